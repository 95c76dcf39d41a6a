//! `seawall skill …`: look at skills, decide about them, keep to the decision.
//!
//! Exit codes of `scan`: 0 allow, 1 warn, 2 block, 3 it could not be done. The other subcommands
//! use the ordinary ones.

mod args;
mod cell;
mod child;
mod decide;
mod gate;
mod load;
mod lock;
mod pin;
pub(crate) mod relay;
mod render;
mod sbom;
mod tools;
pub(crate) mod view;
mod virustotal;

pub(crate) use args::Args;
use args::{Command, LockArg, SbomArgs, ScanArgs};
use cell::Confinement;
pub(crate) use child::Scanner;
pub(crate) use load::Folder;
pub(crate) use lock::Lock;
use lock::Standing;
use render::Scanned;
use seawall_scan::{Capabilities, Content, Finding, Report, Verdict};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use virustotal::VirusTotal;

const FAILED: u8 = 3;

pub(crate) fn run(args: &Args) -> ExitCode {
    let result = match &args.command {
        Command::Scan(args) => scan(args),
        Command::InstallPolicy(args) => {
            return gate::run(
                &args.lock.path(),
                args.lock.lock.is_some(),
                args.require_approval,
                args.confined_only,
            );
        }
        Command::Approve(args) => decide::decide(args, lock::Status::Approved),
        Command::Deny(args) => decide::decide(args, lock::Status::Denied),
        Command::List(args) => decide::list(args),
        Command::Diff(args) => decide::diff(args),
        Command::Lock(args) => decide::lock_all(args),
        Command::Verify(args) => decide::verify(args),
        Command::Quarantine(args) => decide::quarantine(args),
        Command::Tools(args) => pin::run(args),
        Command::Sbom(args) => write_sbom(args),
        Command::ScanChild => return child::run(),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "seawall skill: {error}");
            ExitCode::from(FAILED)
        }
    }
}

type Outcome = Result<u8, Box<dyn std::error::Error>>;

fn print(text: &str) -> std::io::Result<()> {
    std::io::stdout().lock().write_all(text.as_bytes())
}

fn content() -> Result<&'static Content, Box<dyn std::error::Error>> {
    seawall_scan::shipped().map_err(|error| error.to_string().into())
}

/// Folders from which the gateway takes skills.
fn gateway_folders() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let state = std::env::var_os("OPENCLAW_STATE_DIR")
        .map(PathBuf::from)
        .unwrap_or_else(|| home.join(".openclaw"));
    [
        state.join("skills"),
        state.join("workspace/skills"),
        state.join("workspace/.agents/skills"),
        state.join("extensions"),
        home.join(".agents/skills"),
    ]
    .into_iter()
    .filter(|p| p.is_dir())
    .collect()
}

fn resolve(paths: &[String]) -> Result<Vec<PathBuf>, Box<dyn std::error::Error>> {
    let mut out = Vec::new();
    for path in paths {
        if path == "all" {
            let folders = gateway_folders();
            if folders.is_empty() {
                return Err("no skill folder of a gateway was found: set OPENCLAW_STATE_DIR, or name a folder".into());
            }
            for folder in folders {
                out.extend(load::skills_in(&folder)?);
            }
        } else {
            let given = Path::new(path);
            if !given.exists() {
                return Err(format!("`{path}` does not exist. A slug has to be downloaded first: `openclaw skills install` asks Seawall through the install policy").into());
            }
            out.extend(load::skills_in(given)?);
        }
    }
    Ok(out)
}

/// What the scanner says; when it cannot, a block that says why.
fn look(scanner: &mut Scanner, path: &Path) -> (Option<Folder>, Report, bool) {
    let failed = |message: String| Report {
        verdict: Verdict::Block,
        capabilities: Capabilities::default(),
        findings: vec![Finding {
            rule: "not-scanned".into(),
            severity: seawall_model::finding::Level::High,
            file: String::new(),
            line: 0,
            message,
        }],
    };
    match load::load(path) {
        Err(error) => (None, failed(error.to_string()), false),
        Ok(folder) => match scanner.scan(&folder) {
            Ok(report) => (Some(folder), report, true),
            Err(error) => (Some(folder), failed(error.to_string()), false),
        },
    }
}

fn scan(args: &ScanArgs) -> Outcome {
    let mut scanner = Scanner::new(args.confined_only);
    let mut virustotal = VirusTotal::open(&args.virustotal)?;
    let mut all = Vec::new();
    let mut worst = 0;
    let text_content = if args.json { None } else { Some(content()?) };
    for path in resolve(&args.paths)? {
        let (folder, mut report, mut done) = look(&mut scanner, &path);
        if let (Some(virustotal), Some(folder)) = (&mut virustotal, &folder) {
            report = match virustotal.add(folder, report.clone()) {
                Ok(report) => report,
                Err(error) => {
                    // The scanner's own verdict stands; that it stands alone is an error.
                    let _ =
                        writeln!(std::io::stderr(), "seawall skill: {}: {error}", path.display());
                    done = false;
                    report
                }
            };
        }
        worst = worst.max(if done { render::code(report.verdict) } else { FAILED });
        let scanned = Scanned { path: path.to_string_lossy().into_owned(), report };
        if args.json {
            print(&format!("{}\n", render::line(&scanned)))?;
        } else if args.sarif || args.html {
            all.push(scanned);
        } else {
            print(&render::text(text_content, &scanned, args.verbose))?;
        }
    }
    if let Some(Confinement::Partial(why)) = scanner.confinement() {
        let _ = writeln!(
            std::io::stderr(),
            "seawall skill: the scanner had no jail of its own: {why}. A skill that takes it over can read what you can read"
        );
    }
    if args.sarif {
        print(&format!("{:#}\n", render::sarif(content()?, &all)))?;
    } else if args.html {
        print(&render::html(content()?, &all))?;
    }
    Ok(worst)
}

/// The folder of the lockfile that a guarded gateway's gate reads, made when it is missing, and the
/// file in it. `SEAWALL_SKILLS_LOCK` does not count: its folder may hold anything.
pub(crate) fn gate_lock() -> PathBuf {
    lock::default_path()
}

/// The tools of these MCP servers, as the operator approved them, under the names by which the
/// gateway calls them.
pub(crate) fn approved_tools<'s>(
    servers: impl Iterator<Item = &'s String>,
) -> Vec<seawall_policy::infer::Offer> {
    let Ok(lock) = Lock::read(&gate_lock()) else { return Vec::new() };
    let mut out = Vec::new();
    for (server, pin) in servers.filter_map(|server| Some((server, lock.mcp.get(server)?))) {
        for (name, text) in &pin.tools {
            let Ok(tool) = serde_json::from_str::<serde_json::Value>(text) else { continue };
            let description = tool.get("description").and_then(|d| d.as_str()).unwrap_or_default();
            out.push(seawall_policy::infer::Offer {
                name: format!("{server}__{name}"),
                description: description.to_owned(),
                schema: tool.get("inputSchema").cloned().unwrap_or_default(),
            });
        }
    }
    out
}

/// What was decided, for a guarded gateway. A lockfile that cannot be read approves nothing.
pub(crate) fn read_gate_lock() -> Result<Lock, String> {
    Lock::read(&gate_lock()).map_err(|e| e.to_string())
}

/// Makes the folder of [`gate_lock`].
pub(crate) fn make_gate_folder() -> Result<PathBuf, String> {
    lock::make_folder(&gate_lock())
}

/// Whether each of these folders is a skill exactly as it was approved, by the lockfile that the
/// other commands use without `--lock`.
pub(crate) fn approvals(paths: &[PathBuf]) -> Vec<bool> {
    let lock = LockArg { lock: std::env::var_os("SEAWALL_SKILLS_LOCK").map(PathBuf::from) };
    let lock = Lock::read(&lock.path()).ok().filter(|lock| !lock.skills.is_empty());
    // Without a decision there is nothing to compare, and no file needs to be read.
    let Some(lock) = lock else { return vec![false; paths.len()] };
    paths
        .iter()
        .map(|path| {
            load::load(path)
                .is_ok_and(|folder| lock.standing(&folder.name, &folder) == Standing::Approved)
        })
        .collect()
}

fn write_sbom(args: &SbomArgs) -> Outcome {
    let mut scanner = Scanner::default();
    let mut components = Vec::new();
    for path in resolve(&args.paths)? {
        let (folder, report, _) = look(&mut scanner, &path);
        let folder = folder.ok_or_else(|| format!("`{}` could not be read", path.display()))?;
        components.push(sbom::component(&folder, &report.capabilities));
    }
    if let Some(config) = &args.config {
        let text = std::fs::read_to_string(config)
            .map_err(|e| format!("`{}` could not be read: {e}", config.display()))?;
        let json: serde_json::Value = serde_json::from_str(&text)
            .map_err(|e| format!("`{}` is not plain JSON: {e}", config.display()))?;
        components.extend(sbom::mcp(&json));
    }
    let document = sbom::document(
        components,
        &uuid::Uuid::new_v4().to_string(),
        &jiff::Timestamp::now().to_string(),
    );
    print(&format!("{document:#}\n"))?;
    Ok(0)
}
