//! What OpenClaw's own files say.

use crate::deploy::{Deployment, load};
use seawall_audit::facts::{Config, Fact};

pub(super) fn config(deployment: &Deployment) -> Fact<Config> {
    match load(&deployment.config_path, &deployment.include_roots) {
        Ok(loaded) => Fact::Known(Config { value: loaded.value, files: loaded.files }),
        Err(error) => Fact::unknown(error.to_string(), "openclaw config validate"),
    }
}
