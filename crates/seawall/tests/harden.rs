//! `seawall harden` on throw-away deployments: what it makes, how it is undone, and what is left
//! after it was killed at any point.
//!
//! OpenClaw is a stand-in here that takes every configuration but one with `refuse: true` in it, so
//! that hundreds of runs take seconds; `harden_openclaw.rs` asks the real one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Lab {
    _dir: tempfile::TempDir,
    root: PathBuf,
}

/// Path below the state folder to mode, owner, group and bytes.
type Tree = BTreeMap<PathBuf, (u32, u32, u32, Option<Vec<u8>>)>;

const CONFIG: &str = "// mine\n{\n  gateway: { mode: 'local', bind: 'lan', auth: { mode: 'token', token: 'a-secret-of-mine' } },\n  $include: './more.json5',\n  model: 'p/m', // from a guide\n}\n";
const MORE: &str = "{\n  channels: { telegram: { dmPolicy: 'open', allowFrom: ['*', 42] } },\n}\n";

impl Lab {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let lab = Self { _dir: dir, root };
        lab.write("state/openclaw.json", CONFIG, 0o640);
        lab.write("state/more.json5", MORE, 0o600);
        lab.write("state/credentials/telegram.json", "{}", 0o644);
        lab.write("state/logs/a.log", "x", 0o600);
        fs::set_permissions(lab.root.join("state"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(lab.root.join("state/logs"), fs::Permissions::from_mode(0o700))
            .unwrap();
        let bin = "oc/node_modules/.bin";
        lab.write(
            "oc/node_modules/openclaw/package.json",
            r#"{"name":"openclaw","version":"2026.9.6"}"#,
            0o644,
        );
        lab.write("oc/node_modules/openclaw/openclaw.mjs", "", 0o644);
        lab.write(
            &format!("{bin}/node"),
            "#!/bin/sh\n[ \"$1\" = --version ] && { echo v24.21.0; exit 0; }\nif grep -q 'refuse' \"$OPENCLAW_CONFIG_PATH\"; then echo '{\"valid\":false,\"issues\":[{\"path\":\"x\",\"message\":\"no\"}]}'; exit 1; fi\necho '{\"valid\":true}'\n",
            0o755,
        );
        std::os::unix::fs::symlink("../openclaw/openclaw.mjs", lab.root.join(bin).join("openclaw"))
            .unwrap();
        lab
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn config(&self) -> String {
        fs::read_to_string(self.root.join("state/openclaw.json")).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
        let bin = self.root.join("oc/node_modules/.bin");
        command
            .args(arguments)
            .env_clear()
            .env("HOME", &self.root)
            .env("SEAWALL_HOME", self.root.join("seawall"))
            .env("OPENCLAW_STATE_DIR", self.root.join("state"))
            .env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn good(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        let mut open = vec![self.root.join("state")];
        while let Some(path) = open.pop() {
            let meta = fs::symlink_metadata(&path).unwrap();
            let bytes = meta.is_file().then(|| fs::read(&path).unwrap());
            tree.insert(path.clone(), (meta.mode(), meta.uid(), meta.gid(), bytes));
            if meta.is_dir() {
                open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
        tree
    }

    fn reset(&self, tree: &Tree) {
        let _ = fs::remove_dir_all(self.root.join("seawall"));
        for (path, (mode, _, _, bytes)) in tree {
            if let Some(bytes) = bytes {
                fs::write(path, bytes).unwrap();
            }
            fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o7777)).unwrap();
        }
    }
}

const APPLY: &[&str] = &["harden", "apply", "--profile", "production", "--yes"];

fn error(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_profile_is_made_and_undone_to_the_byte() {
    let lab = Lab::new();
    let before = lab.tree();
    let plan = lab.good(&["harden", "plan", "--profile", "production"]);
    assert!(plan.contains("gateway.bind") && plan.contains("OpenClaw 2026.9.6 takes the result"));
    assert!(!plan.contains("a-secret-of-mine"), "{plan}");
    assert_eq!(lab.tree(), before, "a plan changes nothing");

    lab.good(APPLY);
    let config = lab.config();
    assert!(config.starts_with("// mine\n{\n  gateway: { mode: 'local', bind: 'loopback', auth:"));
    assert!(
        config.contains("a-secret-of-mine") && !config.contains("model: 'p/m', // from a guide")
    );
    let more = fs::read_to_string(lab.root.join("state/more.json5")).unwrap();
    assert!(more.contains("dmPolicy: 'allowlist', allowFrom: [42]"), "{more}");
    for (path, (mode, ..)) in lab.tree() {
        assert_eq!(mode & 0o077, 0, "{}", path.display());
    }
    assert!(lab.good(&["harden", "verify"]).contains("holds"));
    assert!(lab.good(&["harden", "plan", "--profile", "production"]).contains("Nothing to do"));

    lab.good(&["harden", "rollback"]);
    assert_eq!(lab.tree(), before);
    assert!(lab.good(&["harden", "history"]).contains("undone: rollback"));
    assert!(error(&lab.run(&["harden", "rollback"])).contains("nothing is in force"));
}

#[test]
fn a_plan_reads_well() {
    let lab = Lab::new();
    let plan = lab.good(&["harden", "plan", "--profile", "personal"]);
    insta::assert_snapshot!(plan.replace(&lab.root.display().to_string(), "/home/ada"));
}

#[test]
fn a_refused_result_changes_nothing() {
    let lab = Lab::new();
    lab.write("state/more.json5", "{ refuse: true }", 0o600);
    let before = lab.tree();
    let said = error(&lab.run(APPLY));
    assert!(said.contains("nothing was changed: OpenClaw 2026.9.6 refuses"), "{said}");
    assert_eq!(lab.tree(), before);
    let none = lab.command(APPLY).env("PATH", "/usr/bin:/bin").output().unwrap();
    assert!(error(&none).contains("cannot be checked without OpenClaw"));
    assert_eq!(lab.tree(), before);
}

#[test]
fn what_was_edited_since_is_not_overwritten() {
    let lab = Lab::new();
    lab.good(APPLY);
    let mine = lab.config().replace("'loopback'", "'tailnet'");
    lab.write("state/openclaw.json", &mine, 0o600);
    let after = lab.tree();
    let said = error(&lab.run(&["harden", "rollback"]));
    assert!(
        said.contains("nothing was undone")
            && said.contains("+  gateway: { mode: 'local', bind: 'tailnet'"),
        "{said}"
    );
    assert!(!said.contains("a-secret-of-mine"), "{said}");
    assert_eq!(lab.tree(), after);
    let verify = lab.run(&["harden", "verify"]);
    assert_eq!(verify.status.code(), Some(1));
}

#[test]
fn some_changes_can_be_chosen() {
    let lab = Lab::new();
    lab.good(&["harden", "apply", "--profile", "personal", "--only", "gateway.bind", "--yes"]);
    assert_eq!(lab.config(), CONFIG.replace("'lan'", "'loopback'"));
    let finding = |id: &str, steps: &str| {
        format!(
            r#"{{"id":"{id}","severity":"high","confidence":"high","status":"fail","title":"t","evidence":"e","location":"l","why":"w","fix":{{"disposition":"unsafe","summary":"s","breaks":"b","steps":[{steps}]}}}}"#
        )
    };
    let log = lab.root.join("state/logs/a.log");
    let report = format!(
        r#"{{"findings":[{},{}]}}"#,
        finding("x", r#"{"kind":"config","path":["tools","elevated","enabled"],"value":false}"#),
        finding("y", &format!(r#"{{"kind":"mode","path":"{}","mode":256}}"#, log.display())),
    );
    lab.write("audit.json", &report, 0o600);
    let file = lab.root.join("audit.json");
    let file = file.to_str().unwrap();
    lab.good(&["harden", "apply", "--findings", file, "--only", "x", "--yes"]);
    assert!(lab.config().contains("enabled: false"));
    assert_eq!(fs::metadata(&log).unwrap().mode() & 0o777, 0o600);
    lab.good(&["harden", "apply", "--findings", file, "--only", "y", "--yes"]);
    assert_eq!(fs::metadata(&log).unwrap().mode() & 0o777, 0o400);
}

#[test]
fn bad_input_is_named_and_changes_nothing() {
    let lab = Lab::new();
    assert!(error(&lab.run(&["harden", "plan"])).contains("--profile"));
    assert!(error(&lab.run(&["harden", "plan", "--profile", "x"])).contains("no profile `x`"));
    lab.write("state/more.json5", "{ a: }", 0o600);
    let said = error(&lab.run(APPLY));
    assert!(said.contains("more.json5:1:6"), "{said}");
    lab.write("state/more.json5", MORE, 0o600);
    fs::hard_link(lab.root.join("state/openclaw.json"), lab.root.join("state/second")).unwrap();
    assert!(error(&lab.run(APPLY)).contains("more than one name"));
    assert_eq!(lab.config(), CONFIG);
}

/// Killed at every point that there is, then started again: all is as before, or all is as after.
#[test]
fn a_kill_at_any_point_leaves_the_old_or_the_new() {
    let lab = Lab::new();
    let before = lab.tree();
    lab.good(APPLY);
    let after = lab.tree();
    let mut killed = 0;
    let mut kept = 0;
    for point in 1.. {
        lab.reset(&before);
        assert_eq!(lab.tree(), before);
        let output = lab.command(APPLY).env("SEAWALL_DIE_AT", point.to_string()).output().unwrap();
        if output.status.signal() != Some(9) {
            assert!(output.status.success());
            break;
        }
        killed += 1;
        // The recovery is killed as well, at a point that wanders.
        for again in [point % 7 + 1, point % 3 + 1] {
            lab.command(&["harden", "history"])
                .env("SEAWALL_DIE_AT", again.to_string())
                .output()
                .unwrap();
        }
        let history = lab.good(&["harden", "history"]);
        let tree = lab.tree();
        if tree == after {
            kept += 1;
            assert!(history.contains("in force"), "point {point}: {history}");
            lab.good(&["harden", "rollback"]);
            assert_eq!(lab.tree(), before, "point {point}");
        } else {
            assert_eq!(tree, before, "point {point}: {history}");
            assert!(!history.contains("in force") && !history.contains("NOT"), "{history}");
        }
    }
    println!("killed at {killed} points; {kept} times the change was complete");
    assert!(killed > 20 && kept > 0);
}

/// Random deployments, random plans, killed at a random point, by the fault or from outside: all is as
/// before or as after, and a rollback restores bytes, modes and owners.
#[test]
fn random_plans_are_whole_or_not_there() {
    use proptest::prelude::*;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
    let runs = std::env::var("SEAWALL_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(10);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[3; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mode = prop::sample::select(vec![0o600, 0o644, 0o666, 0o640, 0o604, 0o400]);
    let files = prop::collection::vec((0..12_usize, mode.clone()), 0..6);
    let config = prop::sample::select(vec![
        CONFIG,
        "{}",
        "// a\r\n{ gateway: { bind: 'lan' },\r\n\ttools: { deny: [ 'x', ], }, }\r\n",
        "{\"$include\":\"./more.json5\",\"logging\":{\"level\":\"error\"}}",
    ]);
    let profile = prop::sample::select(vec!["personal", "team", "production"]);
    let only = prop::sample::select(vec!["", "--safe", "gateway.bind", "modes"]);
    let strategy = (files, config, mode, profile, only, 1..60_u32, any::<bool>());
    let (mut whole, mut none, mut outside) = (0, 0, 0);
    for _ in 0..runs {
        let (files, config, mode, profile, only, point, kill) =
            strategy.new_tree(&mut runner).unwrap().current();
        let lab = Lab::new();
        lab.write("state/openclaw.json", config, mode);
        for (number, mode) in files {
            lab.write(&format!("state/agents/a{}/f{number}", number % 3), "x", mode);
        }
        let before = lab.tree();
        let mut arguments = vec!["harden", "apply", "--profile", profile, "--yes"];
        match only {
            "" => {}
            "--safe" => arguments.push(only),
            id => arguments.extend(["--only", id]),
        }
        if kill {
            // From outside, at whatever it does just then.
            let mut child = lab.command(&arguments).spawn().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(u64::from(point) * 4));
            let _ = child.kill();
            child.wait().unwrap();
            outside += 1;
        } else {
            lab.command(&arguments).env("SEAWALL_DIE_AT", point.to_string()).output().unwrap();
        }
        let history = lab.good(&["harden", "history"]);
        assert!(!history.contains("NOT"), "{history}");
        if history.contains("in force") {
            whole += 1;
            assert_ne!(lab.tree(), before, "{arguments:?}");
            lab.good(&["harden", "rollback"]);
        } else {
            none += 1;
        }
        assert_eq!(lab.tree(), before, "{arguments:?} at {point}, killed {kill}");
    }
    println!("{whole} complete, {none} undone, {outside} killed from outside");
}

/// Runs that are over are forgotten, fifty are kept; one that is in force stays, however old.
#[test]
fn old_runs_are_pruned_and_what_is_in_force_stays() {
    let lab = Lab::new();
    let before = lab.tree();
    lab.good(&["harden", "apply", "--profile", "personal", "--only", "gateway.bind", "--yes"]);
    let base = fs::read_dir(lab.root.join("seawall")).unwrap().next().unwrap().unwrap();
    let base = base.path().join("harden");
    let first =
        fs::read_dir(&base).unwrap().map(|e| e.unwrap().path()).find(|p| p.is_dir()).unwrap();
    // As many as there can be, made by copying one that was undone.
    lab.good(&["harden", "apply", "--profile", "personal", "--only", "modes", "--yes"]);
    lab.good(&["harden", "rollback"]);
    let mut all: Vec<PathBuf> =
        fs::read_dir(&base).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    all.sort();
    let undone = all.last().unwrap().clone();
    let (day, _) = undone.file_name().unwrap().to_str().unwrap().split_once('-').unwrap();
    for number in 3..70 {
        let to = base.join(format!("{day}-{number:04}"));
        assert!(Command::new("cp").arg("-a").arg(&undone).arg(&to).status().unwrap().success());
    }
    lab.good(&["harden", "apply", "--profile", "personal", "--only", "modes", "--yes"]);
    let left = fs::read_dir(&base).unwrap().filter(|e| e.as_ref().unwrap().path().is_dir()).count();
    assert!(left <= 51, "{left} are left");
    assert!(first.exists(), "the first one is still in force");
    assert_private(&base);
    lab.good(&["harden", "rollback"]);
    lab.good(&["harden", "rollback"]);
    assert_eq!(lab.tree(), before);
}

#[test]
fn a_rollback_that_is_killed_is_finished_by_the_next_command() {
    let lab = Lab::new();
    let before = lab.tree();
    for point in 1.. {
        lab.reset(&before);
        lab.good(APPLY);
        let output = lab
            .command(&["harden", "rollback"])
            .env("SEAWALL_DIE_AT", point.to_string())
            .output()
            .unwrap();
        if output.status.success() {
            assert!(point > 5);
            break;
        }
        lab.good(&["harden", "history"]);
        let tree = lab.tree();
        // Killed before the decision was written down: still in force.
        if tree != before {
            assert!(point < 3, "point {point}");
            lab.good(&["harden", "rollback"]);
            assert_eq!(lab.tree(), before);
        }
    }
}

#[test]
fn what_could_not_be_restored_is_said_until_it_is() {
    let lab = Lab::new();
    let before = lab.tree();
    for point in 1.. {
        lab.reset(&before);
        let output = lab.command(APPLY).env("SEAWALL_DIE_AT", point.to_string()).output().unwrap();
        assert_eq!(output.status.signal(), Some(9), "the configuration was never seen changed");
        if lab.config() != CONFIG {
            break;
        }
    }
    let made = lab.config();
    lab.write("state/openclaw.json", "{ mine: true }", 0o600);
    let history = lab.good(&["harden", "history"]);
    assert!(
        history.contains("COULD NOT BE RESTORED: ") && history.contains("openclaw.json"),
        "{history}"
    );
    assert_eq!(lab.config(), "{ mine: true }");
    assert!(error(&lab.run(&["harden", "rollback"])).contains("nothing was undone"));
    lab.write("state/openclaw.json", &made, 0o600);
    lab.good(&["harden", "rollback"]);
    assert_eq!(lab.tree(), before);
}

#[test]
fn a_damaged_journal_stops_everything_with_its_place() {
    let lab = Lab::new();
    lab.good(APPLY);
    let after = lab.tree();
    let base = fs::read_dir(lab.root.join("seawall"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path()
        .join("harden");
    let run = fs::read_dir(&base).unwrap().map(|e| e.unwrap().path()).find(|p| p.is_dir()).unwrap();
    let journal = run.join("journal");
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, text.replacen("done", "doing", 1)).unwrap();
    let said = error(&lab.run(&["harden", "rollback"]));
    assert!(said.contains("journal:") && said.contains("changed"), "{said}");
    assert_eq!(lab.tree(), after);
    assert_private(&base);
}

fn assert_private(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::metadata(&path).unwrap();
        assert_eq!(meta.mode() & 0o077, 0, "{}", path.display());
        if meta.is_dir() {
            assert_private(&path);
        }
    }
}

#[test]
fn a_pipe_in_the_place_of_the_env_file_does_not_hold_it_up() {
    let lab = Lab::new();
    lab.write("state/openclaw.json", "{ gateway: { auth: { mode: 'token' } } }\n", 0o600);
    let pipe = lab.root.join("state/.env");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let plan = lab.command(&["harden", "plan", "--profile", "personal"]);
    let mut command = Command::new("timeout");
    command.arg("60").arg(plan.get_program()).args(plan.get_args()).env_clear();
    command.envs(plan.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.output().unwrap();
    assert_ne!(output.status.code(), Some(124), "it waits for the pipe");
}
