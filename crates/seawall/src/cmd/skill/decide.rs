//! `seawall skill approve|deny|list|diff|lock|verify|quarantine`: decisions, and keeping to them.

use super::args::{DecideArgs, FoldersArgs, OneArgs, QuarantineArgs};
use super::child::Scanner;
use super::diff;
use super::load::{self, Folder};
use super::lock::{self, Entry, Lock, Standing, Status};
use super::render::{self, Scanned};
use super::{Outcome, content, look, print, resolve, reviewed, sbom, show};
use seawall_scan::{Report, Verdict};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

fn named(name: Option<&String>, folder: &Folder) -> String {
    name.cloned().unwrap_or_else(|| folder.name.clone())
}

/// Who decides: the person behind `sudo`, else the user.
pub(super) fn who() -> String {
    ["SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .find_map(|v| std::env::var(v).ok().filter(|u| !u.is_empty()))
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}

pub(super) fn entry(
    folder: &Folder,
    report: &Report,
    status: Status,
    args: Option<&DecideArgs>,
) -> Entry {
    Entry {
        status,
        tree: folder.tree_hash(),
        files: folder.digests(),
        marks: Some(folder.marks()),
        source: args.and_then(|a| a.source.clone()).or_else(|| origin(folder)),
        version: sbom::version(folder),
        publisher: args.and_then(|a| a.publisher.clone()),
        verdict: report.verdict,
        capabilities: with_contacts(report, args),
        by: who(),
        at: jiff::Timestamp::now().as_second(),
        reason: args.and_then(|a| a.reason.clone()),
    }
}

/// What the scanner saw, and the hosts that the person named.
fn with_contacts(report: &Report, args: Option<&DecideArgs>) -> seawall_scan::Capabilities {
    let mut out = report.capabilities.clone();
    let named = args.into_iter().flat_map(|args| &args.contacts);
    out.network.extend(named.map(|host| host.trim().to_ascii_lowercase()));
    out
}

/// Where ClawHub's own marker says that it came from.
fn origin(folder: &Folder) -> Option<String> {
    let marker = folder.files.iter().find(|f| f.path.ends_with(".clawhub/origin.json"))?;
    let json: serde_json::Value = serde_json::from_slice(&marker.bytes).ok()?;
    Some(format!("clawhub:{}", json.get("slug")?.as_str()?))
}

pub(super) fn decide(args: &DecideArgs, status: Status) -> Outcome {
    let path = args.lock.path();
    let mut lock = Lock::read(&path)?;
    let (folder, report, done) = look(&mut Scanner::default(), &args.path);
    let folder = folder.ok_or_else(|| {
        report
            .findings
            .first()
            .map_or_else(|| "could not be read".to_owned(), |f| f.message.clone())
    })?;
    let name = named(args.name.as_ref(), &folder);
    let (tree, place) = (folder.tree_hash(), place(&args.path));
    let again = command("diff", &args.path, args.name.as_deref());
    if status == Status::Approved || args.tree.is_some() {
        reviewed::check(&path, &place, &tree, args.tree.as_deref(), &again)
            .map_err(|why| format!("`{}`: {why}", show::line(&name)))?;
    }
    if status == Status::Approved
        && (report.verdict == Verdict::Block || !done)
        && !args.despite_block
    {
        let scanned = Scanned { path: show::line(&name), tree: Some(tree), report };
        print(&render::text(content().ok(), &scanned, false))?;
        return Err(format!(
            "`{}` is blocked. To approve it all the same: --despite-block --reason TEXT",
            show::line(&name)
        )
        .into());
    }
    if let (Status::Approved, Some(unbound)) = (status, folder.unbound()) {
        return Err(format!(
            "`{unbound}` of `{}` cannot be part of an approval: it is not read and could change \
             unseen (a link that leads out of the skill, a special file, or more than is looked at). \
             Take it out, or put a plain file in its place",
            show::line(&name)
        )
        .into());
    }
    let asks = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if status == Status::Approved && args.tree.is_none() && asks {
        let shown = match lock.skills.get(&name) {
            Some(entry) => diff::text(&path, entry, &folder, &report),
            None => String::new(),
        };
        let scanned =
            Scanned { path: show::line(&name), tree: Some(tree.clone()), report: report.clone() };
        print(&format!("{}{shown}", render::text(content().ok(), &scanned, true)))?;
        if !confirmed("Approve exactly this?")? {
            return Err("nothing was approved".into());
        }
    }
    lock::keep(&path, &folder)?;
    lock.skills.insert(name.clone(), entry(&folder, &report, status, Some(args)));
    if status == Status::Approved
        && let Some((other, _)) = lock.denial(&name, &tree)
    {
        return Err(format!(
            "`{}` was denied as `{}`, and that holds under every name. To change it: the same command \
             with --name={}",
            show::line(&name),
            show::line(other),
            show::word(other)
        )
        .into());
    }
    lock.write(&path)?;
    reviewed::forget(&path, &place);
    let word = if status == Status::Approved { "approved" } else { "denied" };
    print(&format!("{word} {} {tree}\n", show::line(&name)))?;
    Ok(0)
}

/// Asks a person at the terminal.
pub(super) fn confirmed(question: &str) -> std::io::Result<bool> {
    print(&format!("{question} [y/N] "))?;
    std::io::Write::flush(&mut std::io::stdout())?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Under which name it is remembered that a folder was shown.
fn place(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    format!("skill {}", path.display())
}

/// A command about a skill, for a person to paste.
pub(super) fn command(word: &str, path: &Path, name: Option<&str>) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let name = name.map_or_else(String::new, |name| format!(" --name={}", show::word(name)));
    format!("seawall skill {word} {}{name}", show::word(&path.to_string_lossy()))
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

pub(super) fn list(args: &FoldersArgs) -> Outcome {
    let lock = Lock::read(&args.lock.path())?;
    for (path, folder) in each(&args.paths)? {
        let standing = folder.as_ref().map_or("unreadable", |f| lock.standing(&f.name, f).as_str());
        print(&format!("{standing:13} {}\n", show::path(&path)))?;
    }
    Ok(0)
}

pub(super) fn verify(args: &FoldersArgs) -> Outcome {
    let lock = Lock::read(&args.lock.path())?;
    let mut code = 0;
    for (path, folder) in each(&args.paths)? {
        let folder = folder?;
        let standing = lock.standing(&folder.name, &folder);
        if standing != Standing::Approved {
            code = 1;
            print(&format!("{:13} {}\n", standing.as_str(), show::path(&path)))?;
            if let Some(entry) =
                lock.skills.get(&folder.name).filter(|_| standing == Standing::Changed)
            {
                for (mark, file, said) in diff::changes(entry, &folder) {
                    let said = said.map_or_else(String::new, |said| format!(": {said}"));
                    print(&format!("              {mark} {file}{said}\n"))?;
                }
            }
        }
    }
    Ok(code)
}

pub(super) fn difference(args: &OneArgs) -> Outcome {
    let path = args.lock.path();
    let lock = Lock::read(&path)?;
    let (folder, report, _) = look(&mut Scanner::default(), &args.path);
    let folder = folder.ok_or("the skill could not be read")?;
    let name = named(args.name.as_ref(), &folder);
    let entry = lock
        .skills
        .get(&name)
        .ok_or_else(|| format!("nothing was decided about `{}` yet", show::line(&name)))?;
    let tree = folder.tree_hash();
    if entry.tree == tree {
        print("no difference\n")?;
        return Ok(0);
    }
    print(&diff::text(&path, entry, &folder, &report))?;
    reviewed::remember(&path, &place(&args.path), &tree);
    let approve = command("approve", &args.path, args.name.as_deref());
    print(&format!("To approve exactly this: {approve} --tree {tree}\n"))?;
    Ok(1)
}

pub(super) fn lock_all(args: &FoldersArgs) -> Outcome {
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
        let standing = lock.standing(&folder.name, &folder);
        if standing == Standing::Approved {
            continue;
        }
        // What differs from an approval is for a person, whatever the scanner says of it.
        let new = standing == Standing::Unknown;
        if report.verdict == Verdict::Allow && done && new && folder.unbound().is_none() {
            lock::keep(&path, &folder)?;
            lock.skills
                .insert(folder.name.clone(), entry(&folder, &report, Status::Approved, None));
            print(&format!("approved {} {}\n", show::path(&skill), folder.tree_hash()))?;
        } else {
            code = 1;
            let why = match standing {
                Standing::Unknown => report.verdict.as_str(),
                other => other.as_str(),
            };
            let word = if standing == Standing::Changed { "diff" } else { "scan" };
            print(&format!(
                "{why:8} {} is left out: {}\n",
                show::path(&skill),
                command(word, &skill, None)
            ))?;
        }
    }
    lock.write(&path)?;
    Ok(code)
}

pub(super) fn quarantine(args: &QuarantineArgs) -> Outcome {
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
                show::path(&skill),
                show::path(&target)
            )
        })?;
        code = 1;
        print(&format!(
            "{} moved {} to {}\n",
            standing.as_str(),
            show::path(&skill),
            show::path(&target)
        ))?;
    }
    Ok(code)
}
