//! `seawall skill …`: look at skills, decide about them, keep to the decision.
//!
//! Exit codes of `scan`: 0 allow, 1 warn, 2 block, 3 it could not be done. The other subcommands
//! use the ordinary ones.

mod cell;
mod child;
mod gate;
mod load;
mod lock;
pub(crate) mod relay;
mod render;
mod sbom;
mod tools;
mod virustotal;

use cell::Confinement;
use child::Scanner;
use load::Folder;
use lock::{Entry, Lock, Standing, Status};
use render::Scanned;
use seawall_scan::{Capabilities, Content, Finding, Report, Verdict};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use virustotal::VirusTotal;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Look at skills: what they declare, what they can do, what does not fit.
    Scan(ScanArgs),
    /// Answer one install request of the gateway (`security.installPolicy`).
    InstallPolicy(GateArgs),
    /// Approve a skill exactly as it is now.
    Approve(DecideArgs),
    /// Deny a skill, whatever it becomes.
    Deny(DecideArgs),
    /// List skills and how they stand to the lockfile.
    List(FoldersArgs),
    /// Show what changed since a skill was approved: capabilities, then text.
    Diff(OneArgs),
    /// Approve every skill of these folders that the scanner allows.
    Lock(FoldersArgs),
    /// Check that every skill of these folders is exactly what was approved.
    Verify(FoldersArgs),
    /// Move skills that are not exactly what was approved out of these folders.
    Quarantine(QuarantineArgs),
    /// Compare what an MCP server offers with what was approved.
    Tools(ToolsArgs),
    /// Write a CycloneDX list of skills, plugins and MCP servers.
    Sbom(SbomArgs),
    /// The scanning process itself: bytes in, reports out.
    #[command(hide = true)]
    ScanChild,
}

#[derive(clap::Args)]
struct LockArg {
    /// The lockfile.
    #[arg(long, env = "SEAWALL_SKILLS_LOCK")]
    lock: Option<PathBuf>,
}

impl LockArg {
    fn path(&self) -> PathBuf {
        self.lock.clone().unwrap_or_else(lock::default_path)
    }
}

#[derive(clap::Args)]
struct ScanArgs {
    /// Skills, folders of skills, or `all` for the gateway's own folders.
    #[arg(required = true)]
    paths: Vec<String>,
    /// One JSON object per skill and line.
    #[arg(long, conflicts_with_all = ["sarif", "html"])]
    json: bool,
    /// SARIF 2.1.0.
    #[arg(long, conflicts_with = "html")]
    sarif: bool,
    /// One HTML page.
    #[arg(long)]
    html: bool,
    /// Show every finding and all capabilities.
    #[arg(long, short)]
    verbose: bool,
    /// Fail where the scanning process cannot be confined in full.
    #[arg(long)]
    confined_only: bool,
    #[command(flatten)]
    virustotal: virustotal::Options,
}

#[derive(clap::Args)]
struct GateArgs {
    #[command(flatten)]
    lock: LockArg,
    /// Block whatever was not approved by a person, even when nothing speaks against it.
    #[arg(long)]
    require_approval: bool,
    /// Block where the scanning process cannot be confined in full.
    #[arg(long)]
    confined_only: bool,
}

#[derive(clap::Args)]
struct DecideArgs {
    #[command(flatten)]
    lock: LockArg,
    /// The skill's folder.
    path: PathBuf,
    /// The name it is known by; its folder's name when not given.
    #[arg(long)]
    name: Option<String>,
    /// Why.
    #[arg(long)]
    reason: Option<String>,
    /// Who publishes it.
    #[arg(long)]
    publisher: Option<String>,
    /// Where it came from.
    #[arg(long)]
    source: Option<String>,
    /// Approve although the scanner blocks it. Needs a reason.
    #[arg(long, requires = "reason")]
    despite_block: bool,
}

#[derive(clap::Args)]
struct FoldersArgs {
    #[command(flatten)]
    lock: LockArg,
    /// Skills or folders of skills.
    #[arg(required = true)]
    paths: Vec<String>,
}

#[derive(clap::Args)]
struct OneArgs {
    #[command(flatten)]
    lock: LockArg,
    /// The skill's folder.
    path: PathBuf,
    /// The name it is known by; its folder's name when not given.
    #[arg(long)]
    name: Option<String>,
}

#[derive(clap::Args)]
struct QuarantineArgs {
    #[command(flatten)]
    lock: LockArg,
    /// Folders of skills.
    #[arg(required = true)]
    paths: Vec<String>,
    /// Where they go; beside the lockfile when not given.
    #[arg(long)]
    to: Option<PathBuf>,
}

#[derive(clap::Args)]
struct ToolsArgs {
    #[command(flatten)]
    lock: LockArg,
    /// The server's name in the gateway's configuration.
    server: String,
    /// Its answer to `tools/list` as JSON; standard input when not given.
    list: Option<PathBuf>,
    /// Approve the list exactly as it is.
    #[arg(long)]
    approve: bool,
    /// Why.
    #[arg(long)]
    reason: Option<String>,
    /// Approve although the scanner blocks a description. Needs a reason.
    #[arg(long, requires = "reason")]
    despite_block: bool,
}

#[derive(clap::Args)]
struct SbomArgs {
    /// Skills, plugins, or folders of them.
    #[arg(required = true)]
    paths: Vec<String>,
    /// A gateway config in plain JSON, for its MCP servers.
    #[arg(long)]
    config: Option<PathBuf>,
}

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
        Command::Approve(args) => decide(args, Status::Approved),
        Command::Deny(args) => decide(args, Status::Denied),
        Command::List(args) => list(args),
        Command::Diff(args) => diff(args),
        Command::Lock(args) => lock_all(args),
        Command::Verify(args) => verify(args),
        Command::Quarantine(args) => quarantine(args),
        Command::Tools(args) => tools(args),
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

fn named(path: &Path, name: Option<&String>, folder: &Folder) -> String {
    let _ = path;
    name.cloned().unwrap_or_else(|| folder.name.clone())
}

/// Who decides: the person behind `sudo`, else the user.
fn who() -> String {
    ["SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .find_map(|v| std::env::var(v).ok().filter(|u| !u.is_empty()))
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}

fn entry(folder: &Folder, report: &Report, status: Status, args: Option<&DecideArgs>) -> Entry {
    Entry {
        status,
        tree: folder.tree_hash(),
        files: folder.digests(),
        source: args.and_then(|a| a.source.clone()).or_else(|| origin(folder)),
        version: sbom::version(folder),
        publisher: args.and_then(|a| a.publisher.clone()),
        verdict: report.verdict,
        capabilities: report.capabilities.clone(),
        by: who(),
        at: jiff::Timestamp::now().as_second(),
        reason: args.and_then(|a| a.reason.clone()),
    }
}

/// Where ClawHub's own marker says that it came from.
fn origin(folder: &Folder) -> Option<String> {
    let marker = folder.files.iter().find(|f| f.path.ends_with(".clawhub/origin.json"))?;
    let json: serde_json::Value = serde_json::from_slice(&marker.bytes).ok()?;
    Some(format!("clawhub:{}", json.get("slug")?.as_str()?))
}

fn decide(args: &DecideArgs, status: Status) -> Outcome {
    let path = args.lock.path();
    let mut lock = Lock::read(&path)?;
    let (folder, report, done) = look(&mut Scanner::default(), &args.path);
    let folder = folder.ok_or_else(|| {
        report
            .findings
            .first()
            .map_or_else(|| "could not be read".to_owned(), |f| f.message.clone())
    })?;
    let name = named(&args.path, args.name.as_ref(), &folder);
    if status == Status::Approved
        && (report.verdict == Verdict::Block || !done)
        && !args.despite_block
    {
        print(&render::text(content().ok(), &Scanned { path: name.clone(), report }, false))?;
        return Err(format!(
            "`{name}` is blocked. To approve it all the same: --despite-block --reason TEXT"
        )
        .into());
    }
    if let (Status::Approved, Some(unbound)) = (status, folder.unbound()) {
        return Err(format!(
            "`{unbound}` of `{name}` cannot be part of an approval: it is not read and could change \
             unseen (a link that leads out of the skill, a special file, or more than is looked at). \
             Take it out, or put a plain file in its place"
        )
        .into());
    }
    lock::keep(&path, &folder)?;
    let tree = folder.tree_hash();
    lock.skills.insert(name.clone(), entry(&folder, &report, status, Some(args)));
    lock.write(&path)?;
    let word = if status == Status::Approved { "approved" } else { "denied" };
    print(&format!("{word} {name} {tree}\n"))?;
    Ok(0)
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

/// A folder and what came of reading it.
type Loaded = (PathBuf, Result<Folder, load::LoadError>);

fn each(paths: &[String]) -> Result<Vec<Loaded>, Box<dyn std::error::Error>> {
    Ok(resolve(paths)?
        .into_iter()
        .map(|p| {
            let f = load::load(&p);
            (p, f)
        })
        .collect())
}

fn list(args: &FoldersArgs) -> Outcome {
    let lock = Lock::read(&args.lock.path())?;
    for (path, folder) in each(&args.paths)? {
        let standing = folder.as_ref().map_or("unreadable", |f| lock.standing(&f.name, f).as_str());
        print(&format!("{standing:13} {}\n", path.display()))?;
    }
    Ok(0)
}

fn verify(args: &FoldersArgs) -> Outcome {
    let lock = Lock::read(&args.lock.path())?;
    let mut code = 0;
    for (path, folder) in each(&args.paths)? {
        let folder = folder?;
        let standing = lock.standing(&folder.name, &folder);
        if standing != Standing::Approved {
            code = 1;
            print(&format!("{:13} {}\n", standing.as_str(), path.display()))?;
            if let Some(entry) =
                lock.skills.get(&folder.name).filter(|_| standing == Standing::Changed)
            {
                for (mark, file) in changes(entry, &folder) {
                    print(&format!("              {mark} {file}\n"))?;
                }
            }
        }
    }
    Ok(code)
}

/// `+` new, `-` gone, `~` changed.
fn changes(entry: &Entry, folder: &Folder) -> Vec<(char, String)> {
    let now = folder.digests();
    let mut out: Vec<(char, String)> = Vec::new();
    for (path, digest) in &now {
        match entry.files.get(path) {
            None => out.push(('+', path.clone())),
            Some(old) if old != digest => out.push(('~', path.clone())),
            Some(_) => {}
        }
    }
    out.extend(entry.files.keys().filter(|p| !now.contains_key(*p)).map(|p| ('-', p.clone())));
    out
}

fn diff(args: &OneArgs) -> Outcome {
    let path = args.lock.path();
    let lock = Lock::read(&path)?;
    let (folder, report, _) = look(&mut Scanner::default(), &args.path);
    let folder = folder.ok_or("the skill could not be read")?;
    let name = named(&args.path, args.name.as_ref(), &folder);
    let entry =
        lock.skills.get(&name).ok_or_else(|| format!("nothing was decided about `{name}` yet"))?;
    if entry.tree == folder.tree_hash() {
        print("no difference\n")?;
        return Ok(0);
    }
    for (kind, what) in report.capabilities.gained(&entry.capabilities) {
        print(&format!("now also {kind} {what}\n"))?;
    }
    if report.verdict > entry.verdict {
        print(&format!(
            "the verdict was {}, and is {}\n",
            entry.verdict.as_str(),
            report.verdict.as_str()
        ))?;
    }
    for (mark, file) in changes(entry, &folder) {
        print(&format!("{mark} {file}\n"))?;
        let old = entry.files.get(&file).map(|d| lock::kept(&path, d));
        let new = folder
            .files
            .iter()
            .find(|f| f.path == file)
            .map(|f| String::from_utf8_lossy(&f.bytes).into_owned());
        let (old, new) = match (old, new) {
            (Some(None), _) => continue,
            (old, new) => (old.flatten().unwrap_or_default(), new.unwrap_or_default()),
        };
        let text = similar::TextDiff::from_lines(&old, &new);
        // Control characters of a skill must not reach a terminal.
        let shown: String = text
            .unified_diff()
            .context_radius(2)
            .to_string()
            .chars()
            .map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{FFFD}' } else { c })
            .take(64 << 10)
            .collect();
        print(&shown)?;
    }
    Ok(1)
}

fn lock_all(args: &FoldersArgs) -> Outcome {
    let path = args.lock.path();
    let mut lock = Lock::read(&path)?;
    let mut scanner = Scanner::default();
    let mut code = 0;
    for skill in resolve(&args.paths)? {
        let (folder, report, done) = look(&mut scanner, &skill);
        let Some(folder) = folder else {
            code = 1;
            continue;
        };
        let denied = lock.standing(&folder.name, &folder) == lock::Standing::Denied;
        if report.verdict == Verdict::Allow && done && !denied && folder.unbound().is_none() {
            lock::keep(&path, &folder)?;
            lock.skills
                .insert(folder.name.clone(), entry(&folder, &report, Status::Approved, None));
        } else {
            code = 1;
            let why = if denied { "denied" } else { report.verdict.as_str() };
            print(&format!(
                "{why:5} {} is left out: seawall skill approve {}\n",
                skill.display(),
                skill.display()
            ))?;
        }
    }
    lock.write(&path)?;
    Ok(code)
}

fn quarantine(args: &QuarantineArgs) -> Outcome {
    let path = args.lock.path();
    let lock = Lock::read(&path)?;
    let to = args.to.clone().unwrap_or_else(|| path.with_extension("quarantine"));
    let mut code = 0;
    for (skill, folder) in each(&args.paths)? {
        let standing = folder.as_ref().map_or(Standing::Unknown, |f| lock.standing(&f.name, f));
        if standing == Standing::Approved
            || !skill.join("SKILL.md").exists() && !skill.join("skill.md").exists()
        {
            continue;
        }
        std::fs::create_dir_all(&to)?;
        let name = skill.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let target = to.join(format!("{name}.{}", jiff::Timestamp::now().as_millisecond()));
        std::fs::rename(&skill, &target).map_err(|e| {
            format!(
                "`{}` could not be moved to `{}`: {e}. It is still eligible",
                skill.display(),
                target.display()
            )
        })?;
        code = 1;
        print(&format!(
            "{} moved {} to {}\n",
            standing.as_str(),
            skill.display(),
            target.display()
        ))?;
    }
    Ok(code)
}

/// Exit code 0: as approved. 1: held.
fn tools(args: &ToolsArgs) -> Outcome {
    let mut text = String::new();
    let input: Box<dyn std::io::Read> = match &args.list {
        None => Box::new(std::io::stdin().lock()),
        Some(path) => Box::new(
            std::fs::File::open(path)
                .map_err(|e| format!("`{}` could not be read: {e}", path.display()))?,
        ),
    };
    input.take(tools::MAX_LIST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > tools::MAX_LIST {
        return Err(format!("a list of tools longer than {} MiB", tools::MAX_LIST >> 20).into());
    }
    let now = tools::parse(&text).map_err(|e| format!("the list of tools: {e}"))?;
    let path = args.lock.path();
    let mut lock = Lock::read(&path)?;
    let (server, hash) = (&args.server, tools::hash(&now));
    let pinned = lock.mcp.get(server);
    if pinned.is_some_and(|p| p.hash == hash) && !args.approve {
        print(&format!("approved {server} {hash}\n"))?;
        return Ok(0);
    }
    let empty = std::collections::BTreeMap::new();
    let before = pinned.map_or(&empty, |p| &p.tools);
    let shown: String = tools::changes(before, &now)
        .join("\n")
        .chars()
        .map(|c| if c.is_control() && c != '\n' { '\u{FFFD}' } else { c })
        .take(64 << 10)
        .collect();
    print(&format!("{shown}\n"))?;
    let report = Scanner::default().scan(&tools::document(server, &now))?;
    if report.verdict > Verdict::Allow {
        let scanned = Scanned { path: server.clone(), report: report.clone() };
        print(&render::text(content().ok(), &scanned, false))?;
    }
    if !args.approve {
        let word = if pinned.is_some() { "differs from what was approved" } else { "is new" };
        print(&format!(
            "held: {server} {word}. To approve it as it is: seawall skill tools {server} --approve\n"
        ))?;
        return Ok(1);
    }
    if report.verdict == Verdict::Block && !args.despite_block {
        return Err(format!(
            "a description of `{server}` is blocked. To approve it all the same: --despite-block --reason TEXT"
        )
        .into());
    }
    let pin = tools::Pin {
        hash: hash.clone(),
        tools: now,
        by: who(),
        at: jiff::Timestamp::now().as_second(),
        reason: args.reason.clone(),
    };
    lock.mcp.insert(server.clone(), pin);
    lock.write(&path)?;
    print(&format!("approved {server} {hash}\n"))?;
    Ok(0)
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
