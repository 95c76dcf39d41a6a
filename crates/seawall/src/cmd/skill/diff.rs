//! How a skill differs from what was approved: capabilities first, then everything that its hash
//! covers, in full. Nothing is cut: what is not shown would be approved unseen.

use super::load::Folder;
use super::lock::{self, Entry};
use super::show;
use seawall_scan::Report;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// Longest time for the comparison of one file; after it the difference is coarser, and as complete.
const FINE: Duration = Duration::from_millis(500);

/// `+` new, `-` gone, `~` changed, with the path, and what is said of it when it is not its text.
pub(super) fn changes(entry: &Entry, folder: &Folder) -> Vec<(char, String, Option<String>)> {
    let (now, marks) = (folder.digests(), folder.marks());
    let none = Default::default();
    let known = entry.marks.as_ref();
    let before = known.unwrap_or(&none);
    let paths: BTreeSet<&String> =
        now.keys().chain(entry.files.keys()).chain(marks.keys()).chain(before.keys()).collect();
    let mut out = Vec::new();
    for path in paths {
        let (is, was) = (now.get(path), entry.files.get(path));
        let (mark, old) = (marks.get(path), before.get(path));
        let there = is.is_some() || mark.is_some();
        let was_there = was.is_some() || old.is_some() || known.is_none() && mark.is_some();
        let said = (known.is_some() && mark != old).then(|| {
            let say =
                |mark: Option<&String>| mark.map_or("an ordinary file", String::as_str).to_owned();
            match (was_there, there) {
                (false, _) => format!("is {}", say(mark)),
                (_, false) => format!("was {}", say(old)),
                _ => format!("was {}, is {}", say(old), say(mark)),
            }
        });
        let kind = match (was_there, there) {
            (false, _) => '+',
            (_, false) => '-',
            _ if is != was || said.is_some() => '~',
            _ => continue,
        };
        out.push((kind, path.clone(), said));
    }
    out
}

/// The whole difference, for a person.
pub(super) fn text(lock: &Path, entry: &Entry, folder: &Folder, report: &Report) -> String {
    let mut out = String::new();
    for (kind, what) in report.capabilities.gained(&entry.capabilities) {
        let _ = writeln!(out, "now also {kind} {}", show::line(&what));
    }
    for (kind, what) in entry.capabilities.gained(&report.capabilities) {
        let _ = writeln!(out, "no longer {kind} {}", show::line(&what));
    }
    if report.verdict > entry.verdict {
        let _ = writeln!(
            out,
            "the verdict was {}, and is {}",
            entry.verdict.as_str(),
            report.verdict.as_str()
        );
    }
    let changes = changes(entry, folder);
    if changes.is_empty() && entry.tree != folder.tree_hash() {
        out.push_str(
            "the same texts; a mode, a link or a file that is not read differs, and what it was is not in \
             this lockfile, which an earlier version wrote\n",
        );
    }
    for (mark, path, said) in changes {
        let said = said.map_or_else(String::new, |said| format!(": {said}"));
        let _ = writeln!(out, "{mark} {path}{said}");
        let old = entry.files.get(&path);
        let new = folder.files.iter().find(|file| file.path == path);
        let is = |digest: &str| new.is_some_and(|n| super::digest(&n.bytes) == *digest);
        if old.is_some_and(|digest| is(digest)) {
            continue;
        }
        let kept = old.map(|digest| lock::kept(lock, digest));
        match (kept, new) {
            (Some(None), new) => {
                let now =
                    new.map_or_else(String::new, |n| format!(" and is {} bytes", n.bytes.len()));
                let _ = writeln!(
                    out,
                    "  its approved text is not kept (over 1 MiB, or no text){now}: compare it yourself"
                );
            }
            (_, Some(new)) if new.bytes.contains(&0) => {
                let _ = writeln!(
                    out,
                    "  no text: {} bytes, sha256 {}",
                    new.bytes.len(),
                    super::digest(&new.bytes)
                );
            }
            (old, new) => {
                let old = old.flatten().unwrap_or_default();
                let new = new.map(|n| String::from_utf8_lossy(&n.bytes)).unwrap_or_default();
                let text =
                    similar::TextDiff::configure().timeout(FINE).diff_lines(old.as_str(), &new);
                out.push_str(&show::lines(&text.unified_diff().context_radius(2).to_string()));
            }
        }
    }
    out
}
