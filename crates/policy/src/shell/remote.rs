//! Programs that copy to and from other machines or work on them.

use super::program::{Tally, split_port};
use super::special::Call;
use super::state::State;
use super::table::Role;
use super::value::{Val, merge};
use super::walk::{Io, Out, Walk};
use super::{Sink, Source};
use seawall_model::Effect;

/// `[user@]host:path`, `scheme://host/path`; `None` for a local path.
fn remote(text: &str) -> Option<String> {
    if let Some((_, rest)) = text.split_once("://") {
        let place = rest.split('/').next().unwrap_or("");
        return Some(split_port(place.rsplit('@').next().unwrap_or("")).0);
    }
    let colon = text.find(':')?;
    if text.find('/').is_some_and(|slash| slash < colon) {
        return None;
    }
    let place = text.get(..colon).unwrap_or("");
    Some(place.rsplit('@').next().unwrap_or("").to_owned())
}

fn copy(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>, operands: &[Val], tally: &mut Tally) {
    let count = operands.len();
    let mut from = Vec::new();
    let mut hosts = Vec::new();
    for (n, operand) in operands.iter().enumerate() {
        let target = n + 1 == count && count > 1;
        match remote(&operand.text) {
            Some(host) => {
                let sends = if target { from.clone() } else { Default::default() };
                let host = walk.request(&host, Some(22), None, true, &sends);
                hosts.push(host.clone());
                if !target {
                    from.push(Source::Host(host));
                }
            }
            None if target => {
                let mut tally = Tally::default();
                walk.role(st, call.name, Role::Write, operand, call.io, &mut tally);
                for sink in &tally.writes {
                    walk.flow(&from, sink);
                }
                for source in operands.iter().take(n) {
                    let base = super::path::base_name(&source.text);
                    let inside = Val::known(format!("{}/{base}", operand.text));
                    if source.is_known() && operand.is_known() && !base.is_empty() {
                        walk.role(st, call.name, Role::Write, &inside, call.io, &mut tally);
                    }
                }
            }
            None => {
                walk.role(st, call.name, Role::Read, operand, call.io, tally);
                merge(&mut from, &tally.reads);
            }
        }
    }
    tally.hosts.append(&mut hosts);
}

pub(super) fn remote_copy(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut tally = Tally::default();
    let mut operands = Vec::new();
    let mut at = 0;
    while let Some(arg) = call.args.get(at) {
        at += 1;
        walk.literal(&arg.text);
        let text = arg.text.as_str();
        if arg.starts_unknown() {
            walk.opaque("an argument of `scp` is not known and may be an option");
        }
        if text.starts_with('-') && text.len() > 1 {
            let last = text.chars().last().unwrap_or(' ');
            let first = text.chars().nth(1).unwrap_or(' ');
            for c in [first, last] {
                match c {
                    'o' | 'S' | 'F' | 'D' => walk.opaque("an option of `scp` can run programs"),
                    'J' => walk.opaque("an option of `scp` goes through another host"),
                    _ => {}
                }
            }
            if "cDFiJloPSX".contains(last) {
                if last == 'i'
                    && let Some(value) = call.args.get(at)
                {
                    walk.role(st, "scp", Role::Read, value, call.io, &mut tally);
                }
                at += 1;
            }
            continue;
        }
        operands.push(arg.clone());
    }
    let mut tally = Tally::default();
    copy(walk, st, call, &operands, &mut tally);
    Out::default()
}

pub(super) fn rsync(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut operands = Vec::new();
    let mut tally = Tally::default();
    let mut deletes = false;
    let mut at = 0;
    while let Some(arg) = call.args.get(at) {
        at += 1;
        walk.literal(&arg.text);
        let text = arg.text.as_str();
        if arg.starts_unknown() {
            walk.opaque("an argument of `rsync` is not known and may be an option");
        }
        if !text.starts_with('-') || text.len() < 2 {
            operands.push(arg.clone());
            continue;
        }
        let (name, attached) = text.split_once('=').unwrap_or((text, ""));
        let value = if attached.is_empty() {
            call.args.get(at).cloned()
        } else {
            Some(Val { text: attached.to_owned(), ..arg.clone() })
        };
        let mut taken = 0;
        match name {
            "--exclude" | "--include" | "--filter" | "-f" | "--bwlimit" | "--timeout"
            | "--port" | "--chmod" | "--chown" | "--max-size" | "--min-size" | "--info"
            | "--out-format" | "--compress-level" | "--usermap" | "--groupmap" | "-B"
            | "--block-size" | "--suffix" => taken = 1,
            "--exclude-from" | "--include-from" | "--files-from" | "--password-file"
            | "--compare-dest" => {
                if let Some(value) = &value {
                    walk.role(st, "rsync", Role::Read, value, call.io, &mut tally);
                }
                if name == "--files-from" {
                    walk.opaque("`rsync` copies what a file names");
                }
                taken = 1;
            }
            "--log-file" | "--backup-dir" | "--partial-dir" | "-T" | "--temp-dir"
            | "--link-dest" | "--copy-dest" | "--write-batch" => {
                if let Some(value) = &value {
                    walk.role(st, "rsync", Role::ReadWrite, value, call.io, &mut tally);
                }
                taken = 1;
            }
            "-e" | "--rsh" => {
                taken = 1;
                let plain = value.as_ref().is_some_and(|v| v.text == "ssh");
                if !plain {
                    walk.opaque("`rsync -e` runs a program");
                    if let Some(value) = &value {
                        let _ =
                            walk.shell_text(&mut st.clone(), value, &Io::default(), "`rsync -e`");
                    }
                }
            }
            "--rsync-path" | "-M" | "--remote-option" | "--daemon" | "--config"
            | "--read-batch" | "--sockopts" | "--address" | "--early-input" | "--copy-as" => {
                walk.opaque("an option of `rsync` runs or obeys something");
                taken = usize::from(name != "--daemon");
            }
            _ if name.starts_with("--") => {
                deletes |= name.starts_with("--del") || name == "--remove-source-files";
                const KNOWN: &[&str] = &[
                    "--archive",
                    "--verbose",
                    "--recursive",
                    "--delete",
                    "--delete-after",
                    "--delete-before",
                    "--delete-during",
                    "--delete-excluded",
                    "--dry-run",
                    "--progress",
                    "--partial",
                    "--compress",
                    "--checksum",
                    "--update",
                    "--links",
                    "--copy-links",
                    "--perms",
                    "--times",
                    "--owner",
                    "--group",
                    "--human-readable",
                    "--stats",
                    "--ignore-existing",
                    "--existing",
                    "--inplace",
                    "--quiet",
                    "--relative",
                    "--size-only",
                    "--itemize-changes",
                    "--hard-links",
                    "--xattrs",
                    "--acls",
                    "--sparse",
                    "--mkpath",
                    "--numeric-ids",
                    "--safe-links",
                    "--remove-source-files",
                    "--prune-empty-dirs",
                    "--one-file-system",
                    "--whole-file",
                    "--append",
                    "--no-perms",
                    "--no-owner",
                    "--no-group",
                    "--no-times",
                    "--version",
                    "--help",
                    "--cvs-exclude",
                    "--del",
                ];
                if !KNOWN.contains(&name) {
                    walk.opaque("an option of `rsync` is not known");
                }
            }
            _ => {
                // A cluster; `e`, `f`, `M`, `T` and `B` in it take a value.
                if name.ends_with('e') {
                    walk.opaque("`rsync -e` runs a program");
                }
                if name.contains(['M', 'e']) {
                    walk.opaque("an option of `rsync` runs something");
                }
                if name.ends_with(['e', 'f', 'M', 'T', 'B']) {
                    taken = 1;
                }
            }
        }
        if attached.is_empty() {
            at += taken;
        }
    }
    if deletes {
        for operand in &operands {
            if remote(&operand.text).is_none() {
                walk.role(st, "rsync", Role::Delete, operand, call.io, &mut tally);
            }
        }
    }
    let mut tally = Tally::default();
    copy(walk, st, call, &operands, &mut tally);
    Out::from(tally.reads)
}

/// Clients whose command language is not followed: they can send what they can read.
pub(super) fn remote_any(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut from = if call.io.piped { call.io.from.clone() } else { Vec::new() };
    let mut tally = Tally::default();
    let version = call
        .args
        .first()
        .is_some_and(|a| matches!(a.text.as_str(), "--version" | "--help" | "version" | "-V"));
    if version && call.args.len() == 1 {
        return Out::default();
    }
    let mut asked = false;
    for arg in call.args {
        walk.literal(&arg.text);
        merge(&mut from, &arg.from);
        if arg.text.contains("://") {
            walk.url(arg, true, &from.clone(), &mut tally);
            asked = true;
        } else if arg.text.starts_with(['/', '.', '~', '@']) || arg.text.contains("=@") {
            let text = arg.text.rsplit('@').next().unwrap_or("").to_owned();
            let file = Val { text, ..arg.clone() };
            if file.is_known() && file.text.contains(['/', '.']) {
                walk.role(st, call.name, Role::Read, &file, call.io, &mut tally);
            }
        }
    }
    merge(&mut from, &tally.reads);
    walk.opaque(&format!("`{}` talks to the network by its own commands", call.name));
    if !asked {
        walk.effect(Effect::Request { host: String::new(), port: None, url: None, sends: true });
    }
    walk.flow(&from, &Sink::Host(String::new()));
    merge(&mut from, &[Source::Host(String::new())]);
    Out::from(from)
}
