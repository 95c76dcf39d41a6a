//! `seawall audit` on configurations that are broken, hostile or not to be read: it says what and
//! where, ends soon, and changes nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise"
)]

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Lab {
    _dir: tempfile::TempDir,
    home: PathBuf,
}

impl Lab {
    fn new(config: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        let lab = Self { _dir: dir, home };
        lab.write("openclaw.json", config);
        fs::set_permissions(lab.home.join(".openclaw"), fs::Permissions::from_mode(0o700)).unwrap();
        lab
    }

    fn write(&self, name: &str, text: &[u8]) {
        let path = self.home.join(".openclaw").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
        command
            .args(["audit", "--json", "--fail-on", "none"])
            .env_clear()
            .env("HOME", &self.home)
            .env("SEAWALL_HOME", self.home.join("seawall"))
            .env("PATH", format!("{}/bin:/usr/bin:/bin", self.home.display()));
        command
    }

    /// The findings, after a look that nothing was changed.
    fn findings(&self) -> Vec<Value> {
        let before = tree(&self.home);
        let output = self.command().output().unwrap();
        assert_eq!(before, tree(&self.home), "something was changed");
        report(&output)
    }

    fn installed(&self, version: &str) {
        let package = self.home.join("bin/openclaw.d");
        fs::create_dir_all(&package).unwrap();
        let text = format!(r#"{{ "name": "openclaw", "version": "{version}" }}"#);
        fs::write(package.join("package.json"), text).unwrap();
        fs::write(package.join("openclaw.mjs"), "").unwrap();
        symlink("openclaw.d/openclaw.mjs", self.home.join("bin/openclaw")).unwrap();
    }
}

fn report(output: &Output) -> Vec<Value> {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["findings"].as_array().unwrap().clone()
}

/// Every path with mode, time of change and content.
fn tree(dir: &Path) -> BTreeMap<PathBuf, (u32, i64, Option<Vec<u8>>)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        let content = meta.is_file().then(|| fs::read(&path).ok()).flatten();
        all.insert(path.clone(), (meta.mode(), meta.mtime_nsec(), content));
        if meta.is_dir() {
            all.extend(tree(&path));
        }
    }
    all
}

fn failing<'a>(findings: &'a [Value], id: &str) -> Option<&'a Value> {
    findings.iter().find(|finding| finding["id"] == id && finding["status"] == "fail")
}

#[test]
fn what_cannot_be_used_is_one_finding_with_its_place() {
    let huge = format!("{{ a: '{}' }}", "x".repeat(3 << 20));
    let many = format!("{{ $include: [{}] }}", "'one.json',".repeat(300));
    let deep = "[".repeat(100_000);
    let cases: [(&str, &[u8], &str); 9] = [
        ("no JSON5", b"{\n  gateway: { mode 'local' }\n}", "openclaw.json:2:19"),
        ("empty", b"", "openclaw.json:1:1"),
        ("a list", b"[1]", "not an object"),
        ("no text", b"\xff\xfe{}", "UTF-8"),
        ("too large", huge.as_bytes(), "larger than"),
        ("too deep", deep.as_bytes(), "deep"),
        ("includes itself", b"{ $include: 'openclaw.json' }", "includes itself"),
        ("includes too much", many.as_bytes(), "more than 256 files"),
        ("includes what is elsewhere", b"{ $include: '/etc/passwd' }", "outside"),
    ];
    for (name, config, word) in cases {
        let lab = Lab::new(config);
        lab.write("one.json", b"{}");
        let findings = lab.findings();
        let broken = failing(&findings, "config.broken").unwrap_or_else(|| panic!("{name}"));
        let evidence = broken["evidence"].as_str().unwrap();
        assert!(evidence.contains(word), "{name}: {evidence}");
        assert!(evidence.len() < 1000, "{name}: {} bytes of evidence", evidence.len());
        // Nothing of it is taken for a pass.
        let blind = findings.iter().filter(|f| f["status"] == "couldNotCheck").count();
        assert!(blind > 50, "{name}: {blind}");
    }
}

#[test]
fn a_pipe_in_the_place_of_the_configuration_does_not_hold_it_up() {
    let lab = Lab::new(b"{}");
    let config = lab.home.join(".openclaw/openclaw.json");
    fs::remove_file(&config).unwrap();
    assert!(Command::new("mkfifo").arg(&config).status().unwrap().success());
    // Nor in other places where the agent may leave one.
    for name in [".env", "compose.yml", "workspace/notes.md", "extensions/x/package.json"] {
        let path = lab.home.join(".openclaw").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }
    let findings = report(&lab.command().output().unwrap());
    assert!(failing(&findings, "config.broken").unwrap()["evidence"].to_string().contains("file"));
}

#[test]
fn a_symlinked_configuration_is_read_and_said() {
    let lab = Lab::new(b"");
    let config = lab.home.join(".openclaw/openclaw.json");
    fs::remove_file(&config).unwrap();
    fs::write(lab.home.join("real.json5"), "{ gateway: { mode: 'local', bind: 'lan' } }").unwrap();
    symlink("../real.json5", &config).unwrap();
    let findings = lab.findings();
    assert!(failing(&findings, "files.links").unwrap()["evidence"].to_string().contains("real"));
    assert!(failing(&findings, "gateway.bind").is_some(), "it was read through the link");
}

#[test]
fn a_newer_releases_configuration_is_told_apart() {
    let lab = Lab::new(b"{ meta: { lastTouchedVersion: '2027.1.1' }, gateway: { mode: 'local' } }");
    lab.installed("2026.9.6");
    assert!(failing(&lab.findings(), "config.newer").is_some());
    // A newer program: its keys are not known here, and that is said.
    let lab = Lab::new(b"{ gateway: { mode: 'local' } }");
    lab.installed("2027.1.1");
    let findings = lab.findings();
    let keys = findings.iter().find(|finding| finding["id"] == "config.unknown-key").unwrap();
    assert_eq!(keys["status"], "couldNotCheck");
    assert!(keys["evidence"].to_string().contains("2027.1.1"), "{keys}");
}

#[test]
fn another_user_hears_what_to_run() {
    if !rustix::process::getuid().is_root() {
        println!("skipped: only root can become another user");
        return;
    }
    let lab = Lab::new(b"{ gateway: { mode: 'local' } }");
    fs::set_permissions(&lab.home, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(lab.home.join(".openclaw"), fs::Permissions::from_mode(0o755)).unwrap();
    // The program itself has to be reachable for nobody.
    let program = lab.home.join("seawall-program");
    fs::copy(env!("CARGO_BIN_EXE_seawall"), &program).unwrap();
    let output = Command::new(&program)
        .args(["audit", "--json", "--fail-on", "none"])
        .env_clear()
        .env("HOME", &lab.home)
        .env("SEAWALL_HOME", lab.home.join("seawall"))
        .env("PATH", "/usr/bin:/bin")
        .uid(65_534)
        .gid(65_534)
        .output()
        .unwrap();
    let findings = report(&output);
    assert!(failing(&findings, "config.broken").is_none(), "it is not broken");
    let blind = findings.iter().find(|finding| finding["id"] == "gateway.terminal").unwrap();
    assert_eq!(blind["status"], "couldNotCheck");
    let text = blind.to_string();
    assert!(text.contains("Permission denied") && text.contains("sudo seawall audit"), "{text}");
}
