//! `seawall skill …`: look at skills, decide about them, keep to the decision.
//!
//! Exit codes of `scan`: 0 allow, 1 warn, 2 block, 3 it could not be done. The other subcommands
//! use the ordinary ones.

mod args;
mod cell;
mod child;
mod clawhub;
mod decide;
mod diff;
mod gate;
mod held;
mod load;
mod lock;
mod pin;
pub(crate) mod places;
pub(crate) mod relay;
mod render;
mod reviewed;
mod sbom;
pub(crate) mod show;
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
        Command::Diff(args) => decide::difference(args),
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

/// SHA-256 in hex.
fn digest(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(bytes))
}

fn resolve(paths: &[String]) -> Result<Vec<PathBuf>, Box<dyn std::error::Error>> {
    let mut out = Vec::new();
    for path in paths {
        if path == "all" {
            let folders = places::of_deployment()?;
            if folders.is_empty() {
                return Err("no skill folder of a gateway was found: set OPENCLAW_STATE_DIR, or name a folder".into());
            }
            for folder in folders {
                let mut skills = load::skills_in(&folder)?;
                // One that holds no skill and nothing else is no skill.
                skills.retain(|skill| *skill != folder || !is_empty(skill));
                out.extend(skills);
            }
            // A folder can be named twice, or be reached by a link.
            let mut known = std::collections::BTreeSet::new();
            out.retain(|path| known.insert(path.canonicalize().unwrap_or_else(|_| path.clone())));
        } else {
            let given = Path::new(path);
            if !given.exists() {
                return Err(format!(
                    "`{}` does not exist. A skill on ClawHub is `@OWNER/SLUG`, with --clawhub",
                    show::line(path)
                )
                .into());
            }
            out.extend(load::skills_in(given)?);
        }
    }
    Ok(out)
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// What the scanner says; when it cannot, a block that says why.
fn look(scanner: &mut Scanner, path: &Path) -> (Option<Folder>, Report, bool) {
    match load::load(path) {
        Err(error) => (None, not_scanned(error.to_string()), false),
        Ok(folder) => judge(scanner, folder),
    }
}

fn judge(scanner: &mut Scanner, folder: Folder) -> (Option<Folder>, Report, bool) {
    match scanner.scan(&folder) {
        Ok(report) => (Some(folder), report, true),
        Err(error) => (Some(folder), not_scanned(error.to_string()), false),
    }
}

fn not_scanned(message: String) -> Report {
    Report {
        verdict: Verdict::Block,
        capabilities: Capabilities::default(),
        findings: vec![Finding {
            rule: "not-scanned".into(),
            severity: seawall_model::finding::Level::High,
            file: String::new(),
            line: 0,
            message,
        }],
    }
}

/// One thing to scan.
enum Wanted {
    Here(PathBuf),
    /// By its name in the registry.
    Fetched(String, Box<Folder>),
}

fn scan(args: &ScanArgs) -> Outcome {
    let mut scanner = Scanner::new(args.confined_only);
    let mut virustotal = VirusTotal::open(&args.virustotal)?;
    let mut all = Vec::new();
    let mut worst = 0;
    let text_content = if args.json { None } else { Some(content()?) };
    let (slugs, paths): (Vec<String>, Vec<String>) =
        args.paths.iter().cloned().partition(|path| clawhub::is_reference(path));
    // What was asked for by name comes first: it can fail before anything is said.
    let mut wanted = Vec::new();
    for slug in &slugs {
        wanted.push(Wanted::Fetched(slug.clone(), Box::new(clawhub::fetch(slug, &args.clawhub)?)));
    }
    if !paths.is_empty() {
        wanted.extend(resolve(&paths)?.into_iter().map(Wanted::Here));
    }
    for wanted in wanted {
        let (path, (folder, mut report, mut done)) = match wanted {
            Wanted::Here(path) => (path.clone(), look(&mut scanner, &path)),
            Wanted::Fetched(name, folder) => (PathBuf::from(name), judge(&mut scanner, *folder)),
        };
        if let (Some(virustotal), Some(folder)) = (&mut virustotal, &folder) {
            report = match virustotal.add(folder, report.clone()) {
                Ok(report) => report,
                Err(error) => {
                    // The scanner's own verdict stands; that it stands alone is an error.
                    let _ = writeln!(
                        std::io::stderr(),
                        "seawall skill: {}: {error}",
                        show::path(&path)
                    );
                    done = false;
                    report
                }
            };
        }
        worst = worst.max(if done { render::code(report.verdict) } else { FAILED });
        // What is still in its archive has no hash of its files yet.
        let tree = folder.as_ref().filter(|f| f.archive.is_none()).map(Folder::tree_hash);
        let scanned = Scanned { path: path.to_string_lossy().into_owned(), tree, report };
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
