//! Compiles `content/seccomp/*.json` to BPF for the target, so that nothing is parsed or compiled
//! when a jail starts.

#![expect(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a build that cannot make the filters has to stop"
)]

#[path = "build/bpf.rs"]
mod bpf;

use bpf::{Call, Op, Test};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// What is on no list is answered as if the kernel did not have it, so that programs fall back;
/// what is refused by name gets the error that its callers understand.
const UNKNOWN: u32 = 38;

/// The error of a refusal that names none.
const EPERM: u32 = 1;

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

/// The groups that are for this architecture.
fn here<'g>(groups: &'g [Group], arch: &'g str) -> impl Iterator<Item = &'g Group> {
    groups.iter().filter(move |g| g.arch.as_deref().is_none_or(|a| a == arch))
}

fn rules<'g>(groups: impl Iterator<Item = &'g Group>) -> Vec<serde_json::Value> {
    let mut rules = Vec::new();
    for group in groups {
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

/// A filter as the library compiles it.
fn listed(filter: &serde_json::Value, arch: &str) -> Vec<Op> {
    let target = arch.try_into().expect("an architecture that seccompiler knows");
    let text = serde_json::json!({"filter": filter}).to_string();
    let map = seccompiler::compile_from_json(text.as_bytes(), target)
        .unwrap_or_else(|e| panic!("seccomp profile: {e}"));
    map["filter"].iter().map(|op| (op.code, op.jt, op.jf, op.k)).collect()
}

/// The same profile as one filter for each answer, which the kernel would ask one after the other.
/// The tests compare with it.
fn reference(allow: &[Group], refuse: &[Group], arch: &str) -> Vec<Vec<Op>> {
    let mut filters = vec![listed(
        &serde_json::json!({
            "mismatch_action": {"errno": UNKNOWN},
            "match_action": "allow",
            "filter": rules(here(allow, arch)),
        }),
        arch,
    )];
    let mut by_errno: BTreeMap<u32, Vec<&Group>> = BTreeMap::new();
    for group in here(refuse, arch) {
        by_errno.entry(group.errno.unwrap_or(EPERM)).or_default().push(group);
    }
    for (errno, groups) in by_errno {
        filters.push(listed(
            &serde_json::json!({
                "mismatch_action": "allow",
                "match_action": {"errno": errno},
                "filter": rules(groups.into_iter()),
            }),
            arch,
        ));
    }
    filters
}

/// A call's number, and the architecture's: both stand in the library's own filter for it.
fn number(syscall: &str, arch: &str) -> (u32, u32) {
    let filter = listed(
        &serde_json::json!({
            "mismatch_action": "allow",
            "match_action": {"errno": EPERM},
            "filter": [{"syscall": syscall}],
        }),
        arch,
    );
    let mut compared = filter.iter().filter(|op| op.0 == 0x15).map(|op| op.3);
    match (compared.next(), compared.next()) {
        (Some(arch), Some(number)) => (number, arch),
        _ => panic!("seccompiler's filter for {syscall} has another form"),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Argument {
    index: u32,
    #[serde(rename = "type")]
    width: String,
    op: serde_json::Value,
    val: u64,
}

fn test(argument: &serde_json::Value) -> Test {
    let a: Argument = serde_json::from_value(argument.clone())
        .unwrap_or_else(|e| panic!("seccomp profile: {argument}: {e}"));
    let dword = match a.width.as_str() {
        "dword" => true,
        "qword" => false,
        other => panic!("seccomp profile: no such width: {other}"),
    };
    let half = || u32::try_from(a.val).unwrap_or_else(|_| panic!("too wide: {argument}"));
    match (a.op.as_str(), a.op.get("masked_eq").and_then(serde_json::Value::as_u64)) {
        (Some("eq"), _) if dword => Test::Half { index: a.index, equal: true, value: half() },
        (Some("ne"), _) if dword => Test::Half { index: a.index, equal: false, value: half() },
        (None, Some(mask)) if !dword || mask <= u64::from(u32::MAX) => {
            Test::Masked { index: a.index, mask, value: a.val & mask }
        }
        _ => panic!("seccomp profile: not supported: {argument}"),
    }
}

/// The profile as one program.
fn whole(allow: &[Group], refuse: &[Group], arch: &str) -> Vec<Op> {
    let mut calls: BTreeMap<u32, Call> = BTreeMap::new();
    let mut audit = None;
    let mut call = |name: &str, calls: &mut BTreeMap<u32, Call>| -> u32 {
        let (number, arch) = number(name, arch);
        audit = Some(arch);
        calls.entry(number).or_default();
        number
    };
    for group in here(allow, arch) {
        assert!(group.args.is_empty() && group.errno.is_none(), "a list has names only");
        for syscall in &group.syscalls {
            let number = call(syscall, &mut calls);
            calls.entry(number).or_default().allowed = true;
        }
    }
    for group in here(refuse, arch) {
        for syscall in &group.syscalls {
            let number = call(syscall, &mut calls);
            let tests = group.args.iter().map(test).collect();
            let refusals = &mut calls.entry(number).or_default().refusals;
            refusals.push((group.errno.unwrap_or(EPERM), tests));
        }
    }
    for call in calls.values_mut() {
        // As if each answer had a filter of its own, of which the kernel takes the last installed.
        call.refusals.sort_by_key(|(errno, _)| std::cmp::Reverse(*errno));
    }
    bpf::compile(&calls, audit.expect("a profile has calls"), UNKNOWN)
}

fn bytes(program: &[Op]) -> Vec<u8> {
    let mut out = Vec::new();
    for (code, jt, jf, k) in program {
        out.extend_from_slice(&code.to_ne_bytes());
        out.extend_from_slice(&[*jt, *jf]);
        out.extend_from_slice(&k.to_ne_bytes());
    }
    out
}

fn main() {
    println!("cargo:rerun-if-changed=content/seccomp");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build");
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets it");
    let endian = std::env::var("CARGO_CFG_TARGET_ENDIAN").expect("cargo sets it");
    assert!(endian == "little", "the filters read arguments as little-endian halves");
    let out = std::env::var("OUT_DIR").expect("cargo sets it");
    let dir = Path::new("content/seccomp");
    let mut code = String::new();
    for name in ["gateway", "run", "own"] {
        let (allow, refuse) = load(dir, name);
        let file = |part: &str, program: &[Op]| {
            let file = format!("{out}/{name}.{part}.bpf");
            std::fs::write(&file, bytes(program)).expect("write to OUT_DIR");
            format!("include_bytes!({file:?})")
        };
        let upper = name.to_uppercase();
        let program = file("whole", &whole(&allow, &refuse, &arch));
        writeln!(code, "pub(crate) static {upper}: &[u8] = {program};").expect("to a string");
        let list = reference(&allow, &refuse, &arch)
            .iter()
            .enumerate()
            .map(|(i, program)| file(&i.to_string(), program))
            .collect::<Vec<_>>();
        writeln!(
            code,
            "#[cfg(test)]\npub(crate) static {upper}_LISTS: &[&[u8]] = &[{}];",
            list.join(", ")
        )
        .expect("to a string");
    }
    std::fs::write(format!("{out}/seccomp.rs"), code).expect("write to OUT_DIR");
}
