//! The pure crates stay pure: what they depend on directly reaches no file, socket, process or
//! clock, and they do not know each other. What their own code may call is in `clippy.toml`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    reason = "a test or an example stops at the first surprise"
)]
#![allow(missing_docs, reason = "a test")]

use serde_json::Value;
use std::process::Command;

/// Each with the crates of ours that it may use.
const PURE: &[(&str, &[&str])] = &[
    ("seawall-model", &[]),
    ("seawall-policy", &["seawall-model"]),
    ("seawall-scan", &["seawall-model"]),
    ("seawall-audit", &["seawall-model"]),
];

/// Crates that exist to reach the outside, and beginnings of the names of families of them.
const IMPURE: &[&str] = &[
    "async-",
    "axum",
    "chrono",
    "getrandom",
    "hickory-",
    "hyper",
    "inotify",
    "landlock",
    "libc",
    "mio",
    "nix",
    "notify",
    "rand",
    "reqwest",
    "rusqlite",
    "rustix",
    "rustls",
    "seccompiler",
    "signal-hook",
    "smol",
    "socket2",
    "tempfile",
    "time",
    "tokio",
    "tracing-subscriber",
    "ureq",
    "walkdir",
    "which",
];

fn packages() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let out = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--locked"])
        .current_dir("../..")
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let mut metadata: Value = serde_json::from_slice(&out.stdout).unwrap();
    match metadata["packages"].take() {
        Value::Array(packages) => packages,
        other => panic!("{other}"),
    }
}

/// What is wrong with the dependencies of a package.
fn faults(package: &Value, ours: &[&str]) -> Vec<String> {
    let mut out = Vec::new();
    for dependency in package["dependencies"].as_array().unwrap() {
        // Tests may do as they like.
        if dependency["kind"] == "dev" {
            continue;
        }
        let name = dependency["name"].as_str().unwrap();
        let impure = IMPURE
            .iter()
            .any(|i| name == *i || name.starts_with(&format!("{}-", i.trim_end_matches('-'))));
        if impure || (name.starts_with("seawall") && !ours.contains(&name)) {
            out.push(format!("{} depends on {name}", package["name"]));
        }
    }
    out
}

#[test]
fn pure_crates_depend_on_nothing_that_reaches_outside() {
    let packages = packages();
    let find = |name: &str| packages.iter().find(|p| p["name"] == name).unwrap();
    for (name, ours) in PURE {
        assert_eq!(faults(find(name), ours), Vec::<String>::new());
    }
    // The same test finds fault with a crate that is not pure.
    assert!(!faults(find("seawall"), &[]).is_empty());
}
