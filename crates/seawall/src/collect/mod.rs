//! Collects the facts that the audit judges. Reads only, changes nothing.

mod openclaw;

use crate::deploy::Deployment;
use seawall_audit::facts::{Facts, Place};

/// Everything about a deployment and its host, as far as it can be read.
pub(crate) fn collect(deployment: &Deployment) -> Facts {
    Facts {
        now: jiff::Timestamp::now().as_second(),
        place: Place {
            state_dir: deployment.state_dir.clone(),
            config_path: deployment.config_path.clone(),
            home: deployment.home.clone(),
        },
        config: openclaw::config(deployment),
    }
}
