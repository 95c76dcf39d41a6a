//! Where things are: the checkout, the cache, the build.

use std::env;
use std::path::{Path, PathBuf};

/// Version of OpenClaw that Seawall is tested with.
pub(crate) const OPENCLAW: &str = "2026.9.6";
/// Version of Node that runs it.
pub(crate) const NODE: &str = "24.21.0";

/// Root of the checkout.
pub(crate) fn checkout() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

fn user_cache() -> PathBuf {
    match (env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")) {
        (Some(dir), _) if Path::new(&dir).is_absolute() => PathBuf::from(dir),
        (_, Some(home)) => Path::new(&home).join(".cache"),
        (_, None) => PathBuf::from("/var/tmp"),
    }
}

/// Folder with `node_modules/.bin/{node,openclaw}`: `$SEAWALL_CACHE`, or one in the user's cache
/// that carries OpenClaw's version in its name, so that two versions never mix.
pub(crate) fn openclaw() -> PathBuf {
    match env::var_os("SEAWALL_CACHE") {
        Some(dir) if !dir.is_empty() => {
            std::path::absolute(&dir).unwrap_or_else(|_| PathBuf::from(dir))
        }
        _ => user_cache().join("seawall").join(format!("openclaw-{OPENCLAW}")),
    }
}

/// Where `cargo install` puts programs that only tests need.
pub(crate) fn tools() -> PathBuf {
    user_cache().join("seawall").join("tools")
}

/// Cargo's target folder: the one that this program was built into, so that nothing is built
/// twice. `.ci/run` and the README put it outside of the checkout with `CARGO_TARGET_DIR`.
pub(crate) fn target() -> PathBuf {
    if let Some(dir) = env::var_os("CARGO_TARGET_DIR").filter(|dir| !dir.is_empty()) {
        return checkout().join(dir);
    }
    // …/target/debug/xtask
    env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.parent()?.to_path_buf()))
        .unwrap_or_else(|| checkout().join("target"))
}

/// The `seawall` binary that [`crate::tour`] made.
pub(crate) fn seawall(profile: &str) -> PathBuf {
    target().join(profile).join("seawall")
}
