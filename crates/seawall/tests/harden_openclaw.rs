//! Profiles on the real OpenClaw: what comes out is what it takes.
//!
//! Needs `SEAWALL_OPENCLAW_DIR` (a folder with `node_modules`), skipped without.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The settings of the guide, as it writes them.
const GUIDE: &str = include_str!("../../../testdata/harden/guide.json");

fn seawall(install: &Path, home: &Path, arguments: &[&str]) -> Output {
    let bin = install.join("node_modules/.bin");
    Command::new(env!("CARGO_BIN_EXE_seawall"))
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .env("SEAWALL_HOME", home.join("seawall"))
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .output()
        .unwrap()
}

#[test]
fn the_guides_own_configuration_becomes_one_that_openclaw_takes() {
    let Some(install) = std::env::var_os("SEAWALL_OPENCLAW_DIR").map(PathBuf::from) else {
        println!("skipped: SEAWALL_OPENCLAW_DIR is not set");
        return;
    };
    for profile in ["personal", "team", "production"] {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        fs::create_dir(home.join(".openclaw")).unwrap();
        let config = home.join(".openclaw/openclaw.json");
        fs::write(&config, GUIDE).unwrap();
        // As it is, OpenClaw refuses it: `apply` would have been refused as well.
        let output = seawall(&install, &home, &["harden", "apply", "--profile", profile, "--yes"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{profile}: {said}");
        let verify = seawall(&install, &home, &["harden", "verify"]);
        assert!(verify.status.success(), "{profile}: {}", String::from_utf8_lossy(&verify.stdout));
        let back = seawall(&install, &home, &["harden", "rollback"]);
        assert!(back.status.success());
        assert_eq!(fs::read_to_string(&config).unwrap(), GUIDE);
        // Rolled back it is refused again: the check is not one that says yes to everything.
        let only = [
            "harden",
            "apply",
            "--profile",
            profile,
            "--only",
            "gateway.bind",
            "--only",
            "gateway.mode",
            "--yes",
        ];
        let output = seawall(&install, &home, &only);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            said.contains("nothing was changed") && said.contains("Unrecognized key"),
            "{said}"
        );
    }
}
