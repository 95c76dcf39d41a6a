//! `seawall skill approve|deny|list|diff|lock|verify|quarantine`: decisions, and keeping to them.

use super::args::{DecideArgs, FoldersArgs, OneArgs, QuarantineArgs};
use super::child::Scanner;
use super::load::{self, Folder};
use super::lock::{self, Entry, Lock, Standing, Status};
use super::render::{self, Scanned};
use super::{Outcome, content, look, print, resolve, sbom};
use seawall_scan::{Report, Verdict};
use std::path::PathBuf;

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
        print(&format!("{standing:13} {}\n", path.display()))?;
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

pub(super) fn diff(args: &OneArgs) -> Outcome {
    let path = args.lock.path();
    let lock = Lock::read(&path)?;
    let (folder, report, _) = look(&mut Scanner::default(), &args.path);
    let folder = folder.ok_or("the skill could not be read")?;
    let name = named(args.name.as_ref(), &folder);
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
