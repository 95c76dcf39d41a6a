//! Compiles `content/seccomp/*.json` to BPF for the target, so that nothing is parsed or compiled
//! when a jail starts.

#![expect(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a build that cannot make the filters has to stop"
)]

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    #[expect(dead_code, reason = "for the reader of the file")]
    about: String,
    #[serde(default)]
    extends: Option<String>,
    #[serde(default)]
    allow: Vec<Group>,
    #[serde(default)]
    refuse: Vec<Group>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Group {
    reason: String,
    /// Only on this architecture.
    #[serde(default)]
    arch: Option<String>,
    /// Answer of a refusal.
    #[serde(default)]
    errno: Option<u32>,
    /// Every one of these must hold for the entry to match.
    #[serde(default)]
    args: Vec<serde_json::Value>,
    syscalls: Vec<String>,
}

fn load(dir: &Path, name: &str) -> (Vec<Group>, Vec<Group>) {
    let path = dir.join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let profile: Profile =
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let (mut allow, mut refuse) = profile.extends.map(|base| load(dir, &base)).unwrap_or_default();
    allow.extend(profile.allow);
    refuse.extend(profile.refuse);
    (allow, refuse)
}

fn rules(groups: &[Group], arch: &str) -> Vec<serde_json::Value> {
    let mut rules = Vec::new();
    for group in groups.iter().filter(|g| g.arch.as_deref().is_none_or(|a| a == arch)) {
        for syscall in &group.syscalls {
            let mut rule = serde_json::json!({"syscall": syscall, "comment": group.reason});
            if !group.args.is_empty() {
                rule["args"] = group.args.clone().into();
            }
            rules.push(rule);
        }
    }
    rules
}

fn compile(filter: &serde_json::Value, arch: &str) -> Vec<u8> {
    let target = arch.try_into().expect("an architecture that seccompiler knows");
    let text = serde_json::json!({"filter": filter}).to_string();
    let map = seccompiler::compile_from_json(text.as_bytes(), target)
        .unwrap_or_else(|e| panic!("seccomp profile: {e}"));
    let mut out = Vec::new();
    for op in &map["filter"] {
        out.extend_from_slice(&op.code.to_ne_bytes());
        out.extend_from_slice(&[op.jt, op.jf]);
        out.extend_from_slice(&op.k.to_ne_bytes());
    }
    out
}

fn main() {
    println!("cargo:rerun-if-changed=content/seccomp");
    println!("cargo:rerun-if-changed=build.rs");
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets it");
    let out = std::env::var("OUT_DIR").expect("cargo sets it");
    let dir = Path::new("content/seccomp");
    let mut code = String::new();
    for name in ["gateway", "run"] {
        let (allow, refuse) = load(dir, name);
        // What is on no list is answered as if the kernel did not have it, so that programs fall
        // back; what is refused by name gets the error that its callers understand.
        let mut filters = vec![compile(
            &serde_json::json!({
                "mismatch_action": {"errno": 38},
                "match_action": "allow",
                "filter": rules(&allow, &arch),
            }),
            &arch,
        )];
        let mut by_errno: BTreeMap<u32, Vec<Group>> = BTreeMap::new();
        for group in refuse {
            by_errno.entry(group.errno.unwrap_or(1)).or_default().push(group);
        }
        for (errno, groups) in by_errno {
            filters.push(compile(
                &serde_json::json!({
                    "mismatch_action": "allow",
                    "match_action": {"errno": errno},
                    "filter": rules(&groups, &arch),
                }),
                &arch,
            ));
        }
        let mut names = Vec::new();
        for (i, bytes) in filters.iter().enumerate() {
            let file = format!("{out}/{name}.{i}.bpf");
            std::fs::write(&file, bytes).expect("write to OUT_DIR");
            names.push(format!("include_bytes!({file:?})"));
        }
        writeln!(
            code,
            "pub(crate) static {}: &[&[u8]] = &[{}];",
            name.to_uppercase(),
            names.join(", ")
        )
        .expect("write to a string");
    }
    std::fs::write(format!("{out}/seccomp.rs"), code).expect("write to OUT_DIR");
}
