//! The scanning child, seen from outside while it reads a skill: what it could reach if a skill
//! took it over.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise"
)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn seawall() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
    command.arg("skill").env_remove("SEAWALL_SKILLS_LOCK");
    command
}

/// A skill that takes the scanner long enough to be looked at.
fn long_skill(dir: &Path) -> PathBuf {
    let skill = dir.join("long");
    std::fs::create_dir_all(&skill).unwrap();
    std::fs::write(skill.join("SKILL.md"), "---\nname: long\ndescription: Notes\n---\n# Notes\n")
        .unwrap();
    for n in 0..8 {
        let text = "Write the notes of the day, one line each, and the date.\n\n".repeat(8_000);
        std::fs::write(skill.join(format!("part-{n}.md")), text).unwrap();
    }
    skill
}

/// Parent of every process that can be seen.
fn parents() -> HashMap<u32, u32> {
    let mut out = HashMap::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else {
            continue;
        };
        let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let parent =
            status.lines().find_map(|l| l.strip_prefix("PPid:")?.trim().parse::<u32>().ok());
        out.extend(parent.map(|parent| (pid, parent)));
    }
    out
}

/// The process below `top` that scans, once it is there.
fn scanning(top: u32) -> Option<PathBuf> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        let parents = parents();
        for &pid in parents.keys() {
            let mut above = pid;
            while let Some(&parent) = parents.get(&above).filter(|_| above != top) {
                above = parent;
            }
            let folder = PathBuf::from(format!("/proc/{pid}"));
            let words = std::fs::read(folder.join("cmdline")).unwrap_or_default();
            if above == top && pid != top && words.ends_with(b"skill\0scan-child\0") {
                return Some(folder);
            }
        }
        std::thread::yield_now();
    }
    None
}

#[test]
fn the_scanning_child_reaches_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let skill = long_skill(dir.path());
    let mut top = seawall()
        .args(["scan", "--json"])
        .arg(&skill)
        .env("A_SECRET", "of the caller")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let child = scanning(top.id()).expect("the scanning child is seen");
    let status = std::fs::read_to_string(child.join("status")).unwrap_or_default();
    let network = std::fs::read_link(child.join("ns/net"));
    let passwd = std::fs::symlink_metadata(child.join("root/etc/passwd"));
    let environment = std::fs::read(child.join("environ"));
    top.kill().unwrap();
    let output = top.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("no jail of its own") || !status.contains("Seccomp:\t2") {
        // Said where it matters: to the caller.
        println!("skipped: this host has no jails for this user: {said}");
        return;
    }
    for line in ["NoNewPrivs:\t1", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000"] {
        assert!(status.contains(line), "{line} is not in {status}");
    }
    // An ordinary user may look at the namespaces and the root of such a process only as its
    // parent; root can.
    if let Ok(network) = network {
        assert_ne!(network, std::fs::read_link("/proc/self/ns/net").unwrap());
    }
    if let Err(error) = &passwd {
        assert!(
            matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied
            ),
            "{error}"
        );
    } else {
        panic!("the host's files are there");
    }
    if let Ok(environment) = environment {
        assert!(!String::from_utf8_lossy(&environment).contains("A_SECRET"));
    }
}

/// A skill that takes the scanner over answers for itself alone: each is looked at by a copy of the
/// child, and the next copy is made of what none of them has touched.
#[test]
fn each_skill_is_looked_at_by_a_process_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let names = ["one", "two"].map(|name| {
        let skill = dir.path().join(name);
        std::fs::rename(long_skill(dir.path()), &skill).unwrap();
        skill
    });
    let mut top = seawall()
        .args(["scan", "--json"])
        .args(&names)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let is_child = |pid: u32| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.ends_with(b"skill\0scan-child\0")
    };
    let mut copies = std::collections::BTreeSet::new();
    while top.try_wait().unwrap().is_none() {
        let parents = parents();
        for (&pid, &parent) in &parents {
            let mut above = parent;
            while let Some(&next) = parents.get(&above).filter(|_| above != top.id()) {
                above = next;
            }
            if above == top.id() && is_child(pid) && is_child(parent) {
                copies.insert((parent, pid));
            }
        }
    }
    let output = top.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 2);
    let readers: std::collections::BTreeSet<u32> =
        copies.iter().map(|(reader, _)| *reader).collect();
    // Between the reader and its copy there may be a starter of the same name.
    let reader =
        readers.iter().find(|r| copies.iter().filter(|(parent, _)| parent == *r).count() >= 2);
    assert!(reader.is_some(), "one reader and a copy for each skill: {copies:?}");
}

/// Inside a tool run there are no further namespaces to be had, so the scanner has no jail there.
#[test]
fn where_there_is_no_jail_it_is_said_and_can_be_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_seawall"), dir.path().join("seawall")).unwrap();
    let skill = dir.path().join("good");
    std::fs::create_dir(&skill).unwrap();
    std::fs::write(skill.join("SKILL.md"), "---\nname: good\ndescription: Notes\n---\n# Notes\n")
        .unwrap();
    let scan = |extra: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_seawall"))
            .args(["sandbox", "run", "--", "/workspace/seawall", "skill", "scan", "good"])
            .args(extra)
            .current_dir(dir.path())
            .output()
            .unwrap()
    };
    let output = scan(&[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() == Some(125) {
        println!("skipped: this host has no jails for this user: {said}");
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("no jail of its own"), "{said}");
    let output = scan(&["--confined-only"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("cannot be confined in full"));
}
