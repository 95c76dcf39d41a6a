//! The shell analysis against real shells: command lines from a grammar are run in a sandbox of
//! namespaces on a throw-away tree under strace, and what was seen is compared with what was
//! predicted.

use seawall_model::Effect;
use seawall_policy::shell::{Limits, ShellContext, analyze};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// What a run did inside the tree.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Seen {
    Read(String),
    List(String),
    Write(String),
    Delete(String),
    Exec(String),
    Connect(String),
}

/// Outcome of one comparison.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub lines: usize,
    pub opaque: usize,
    /// Events that no effect predicted: text, shell, event.
    pub missed: Vec<(String, &'static str, Seen)>,
    pub predicted: usize,
    /// Predicted path effects of lines without an opaque one that were not seen.
    pub unseen: usize,
}

/// Why the comparison cannot run here.
pub(crate) fn lacking() -> Option<String> {
    for tool in ["bwrap", "strace", "bash", "dash"] {
        if Command::new(tool).arg("--version").output().is_err() {
            return Some(format!("{tool} is not installed"));
        }
    }
    let probe =
        Command::new("bwrap").args(["--unshare-all", "--ro-bind", "/", "/", "true"]).status();
    match probe {
        Ok(status) if status.success() => None,
        _ => Some("bwrap cannot make namespaces here".into()),
    }
}

fn plant(root: &Path) {
    let _ = std::fs::remove_dir_all(root);
    for (path, text) in [
        ("w/a.txt", "x one\nb.txt\n"),
        ("w/b.txt", "a.txt\n"),
        ("w/c d.txt", "blank\n"),
        ("w/d/e.txt", "x deep\n"),
        ("w/d/g.md", "g\n"),
        ("w/s.sh", "cat a.txt\n"),
        ("home/n.txt", "home\n"),
        ("secret/key", "key\n"),
        ("out/.keep", ""),
    ] {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("has a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
}

/// Runs a text and returns what it did below the tree.
fn run(root: &Path, shell: &str, text: &str) -> Vec<Seen> {
    plant(root);
    let bind = |at: &str| root.join(at).display().to_string();
    let calls = "trace=open,openat,openat2,creat,execve,connect,unlink,unlinkat,rmdir,rename,renameat,\
                 renameat2,mkdir,mkdirat,symlink,symlinkat,link,linkat,truncate,mknod,mknodat,chdir,fchdir,\
                 clone,clone3,fork,vfork";
    let status = Command::new("timeout")
        .args(["-s", "KILL", "5", "bwrap", "--unshare-all", "--die-with-parent", "--new-session"])
        .args(["--ro-bind", "/usr", "/usr", "--ro-bind", "/etc", "/etc"])
        .args(["--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib"])
        .args(["--symlink", "usr/lib64", "/lib64", "--symlink", "usr/sbin", "/sbin"])
        .args(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"])
        .args(["--bind", &bind("w"), "/w", "--bind", &bind("home"), "/home/u"])
        .args(["--bind", &bind("secret"), "/secret", "--bind", &bind("out"), "/out"])
        .args(["--clearenv", "--setenv", "PATH", "/usr/bin:/bin", "--setenv", "HOME", "/home/u"])
        .args([
            "--chdir",
            "/w",
            "strace",
            "-f",
            "-qq",
            "-y",
            "-s",
            "512",
            "-o",
            "/out/trace",
            "-e",
            calls,
        ])
        .args([shell, "-c", text])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    assert!(status.is_ok(), "bwrap did not start");
    let trace = std::fs::read(root.join("out/trace")).unwrap_or_default();
    events(&String::from_utf8_lossy(&trace))
}

fn inside(path: &str) -> bool {
    ["/w", "/home/u", "/secret", "/tmp"]
        .iter()
        .any(|top| path == *top || path.starts_with(&format!("{top}/")))
}

/// Reads a trace. Calls that were interrupted are joined first.
fn events(trace: &str) -> Vec<Seen> {
    let mut open: BTreeMap<&str, String> = BTreeMap::new();
    let mut out = Vec::new();
    let mut first = true;
    // Working directory of each process; a child that speaks before its parent's call is
    // finished is where the last call was made.
    let mut folders: BTreeMap<String, String> = BTreeMap::new();
    let mut last = "/w".to_owned();
    for line in trace.lines() {
        let (pid, rest) = line.split_once(' ').unwrap_or(("", line));
        let rest = rest.trim_start();
        let call = if let Some(begin) = rest.strip_suffix(" <unfinished ...>") {
            open.insert(pid, begin.to_owned());
            continue;
        } else if let Some((_, end)) =
            rest.split_once(" resumed>").filter(|_| rest.starts_with("<..."))
        {
            format!("{}{end}", open.remove(pid).unwrap_or_default())
        } else {
            rest.to_owned()
        };
        let Some((name, args)) = call.split_once('(') else { continue };
        let Some((args, result)) = args.rsplit_once(" = ") else { continue };
        if result.starts_with('-') && !matches!(name, "connect") {
            continue;
        }
        let texts = quoted(args);
        let bases = based(args);
        let here = folders.get(pid).cloned().unwrap_or_else(|| last.clone());
        last.clone_from(&here);
        folders.insert(pid.to_owned(), here.clone());
        match name {
            "chdir" | "fchdir" => {
                let to = texts.first().or(bases.first()).cloned().unwrap_or_default();
                let to =
                    if to.starts_with('/') { normal(&to) } else { normal(&format!("{here}/{to}")) };
                last.clone_from(&to);
                folders.insert(pid.to_owned(), to);
                continue;
            }
            "clone" | "clone3" | "fork" | "vfork" => {
                let child = result.split([' ', '<']).next().unwrap_or("");
                folders.entry(child.to_owned()).or_insert(here);
                continue;
            }
            _ => {}
        }
        let path = |n: usize| -> Option<String> {
            let text = texts.get(n)?;
            if text.starts_with('/') {
                return Some(normal(text));
            }
            let base = bases.get(n).or(bases.first()).cloned().unwrap_or_else(|| here.clone());
            Some(normal(&format!("{base}/{text}")))
        };
        let mut push = |seen: Seen| {
            let at = match &seen {
                Seen::Read(p) | Seen::List(p) | Seen::Write(p) | Seen::Delete(p) => p.clone(),
                Seen::Exec(_) | Seen::Connect(_) => "/w".into(),
            };
            if inside(&at) && !out.contains(&seen) {
                out.push(seen);
            }
        };
        match name {
            "open" | "openat" | "openat2" | "creat" => {
                let at = result
                    .split_once('<')
                    .and_then(|(_, r)| r.rsplit_once('>'))
                    .map_or_else(String::new, |(p, _)| p.replace("\\\"", "\""));
                if args.contains("O_DIRECTORY") || args.contains("O_PATH") {
                    push(Seen::List(at));
                } else if args.contains("O_WRONLY") || args.contains("O_RDWR") || name == "creat" {
                    push(Seen::Write(at));
                } else if at != here {
                    // Searches keep the folder in which they began open.
                    push(Seen::Read(at));
                }
            }
            "execve" => {
                // The first is the shell of the harness.
                if !std::mem::take(&mut first) {
                    let base = texts.first().and_then(|t| t.rsplit('/').next()).unwrap_or("");
                    push(Seen::Exec(base.to_owned()));
                }
            }
            "connect" => {
                if let Some(at) = args.find("inet_addr(\"") {
                    push(Seen::Connect(args[at + 11..].split('"').next().unwrap_or("").to_owned()));
                }
            }
            "unlink" | "unlinkat" | "rmdir" => {
                path(0).into_iter().for_each(|p| push(Seen::Delete(p)))
            }
            "rename" | "renameat" | "renameat2" => {
                path(0).into_iter().for_each(|p| push(Seen::Delete(p)));
                path(1).into_iter().for_each(|p| push(Seen::Write(p)));
            }
            "symlink" | "symlinkat" | "link" | "linkat" => {
                let base = bases.last().cloned().unwrap_or_else(|| here.clone());
                if let Some(text) = texts.get(1) {
                    let at =
                        if text.starts_with('/') { text.clone() } else { format!("{base}/{text}") };
                    push(Seen::Write(normal(&at)));
                }
            }
            _ => path(0).into_iter().for_each(|p| push(Seen::Write(p))),
        }
    }
    // Temporary names of in-place editors, which end as the file itself.
    let temporary = |p: &str| {
        let base = p.rsplit('/').next().unwrap_or("");
        base.starts_with("sed") && base.len() == 9
            || base.starts_with("sort") && p.starts_with("/tmp/")
            || p.starts_with("/tmp/sh-thd")
    };
    out.retain(|seen| match seen {
        Seen::Read(p) | Seen::Write(p) | Seen::Delete(p) => !temporary(p),
        _ => true,
    });
    out
}

fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    format!("/{}", parts.join("/"))
}

fn quoted(args: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = args;
    while let Some(at) = rest.find('"') {
        rest = &rest[at + 1..];
        let mut text = String::new();
        let mut chars = rest.char_indices();
        let mut end = rest.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    end = at + 1;
                    break;
                }
                '\\' => text.extend(chars.next().map(|(_, c)| c)),
                c => text.push(c),
            }
        }
        out.push(text);
        rest = &rest[end..];
    }
    out
}

/// Folders of `AT_FDCWD</w>` and `3</w/d>` arguments.
fn based(args: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = args;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let Some(end) = rest.find('>') else { break };
        if rest.starts_with('/') {
            out.push(rest[..end].to_owned());
        }
        rest = &rest[end + 1..];
    }
    out
}

fn covers(effect: &Effect, seen: &Seen) -> bool {
    let below = |p: &str, q: &str| q == p || p == "/" || q.starts_with(&format!("{p}/"));
    // To remove or make a folder is to change what is below it, and the other way around.
    match (effect, seen) {
        (Effect::Read { path }, Seen::Read(q) | Seen::List(q)) => below(path, q),
        (Effect::List { path }, Seen::List(q)) => below(path, q),
        (Effect::Write { path }, Seen::Write(q)) => {
            below(path, q) || (below(q, path) && path != "/")
        }
        (Effect::Write { path }, Seen::List(q)) => below(path, q) || below(q, path),
        (Effect::Write { path }, Seen::Delete(q)) => below(path, q),
        (Effect::Delete { path }, Seen::Delete(q) | Seen::List(q)) => below(path, q),
        (Effect::Run { program }, Seen::Exec(name)) => program.rsplit('/').next() == Some(name),
        (Effect::Request { host, .. }, Seen::Connect(to)) => host == to || host.is_empty(),
        _ => false,
    }
}

/// Runs `count` generated lines.
pub(crate) fn compare(seed: u64, count: usize, each: impl FnMut(&Tally) + Send) -> Tally {
    let root = std::env::temp_dir().join(format!("shell-diff-{}-{seed}", std::process::id()));
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let lines = (0..count).map(|_| {
        let text = super::grammar::line(&mut random);
        (text, if random.below(3) == 0 { "dash" } else { "bash" })
    });
    let lines: Vec<_> = lines.collect();
    let tally = all(&root, &lines, each);
    let _ = std::fs::remove_dir_all(&root);
    tally
}

/// Compares lines, several at a time: most of the time goes into starting processes.
pub(crate) fn all(
    root: &Path,
    lines: &[(String, &'static str)],
    each: impl FnMut(&Tally) + Send,
) -> Tally {
    let shared = std::sync::Mutex::new((Tally::default(), each));
    let next = std::sync::atomic::AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(2, usize::from).min(8);
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let root = root.join(worker.to_string());
            let (shared, next) = (&shared, &next);
            scope.spawn(move || {
                while let Some((text, shell)) =
                    lines.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    let found = one(&root, shell, text);
                    let mut shared = shared.lock().expect("no worker panics with it");
                    shared.0.add(found);
                    let (tally, each) = &mut *shared;
                    each(tally);
                }
            });
        }
    });
    shared.into_inner().expect("no worker panicked").0
}

/// Lines of a file of tricky texts, each for both shells. Lines are separated by newlines; `\\n`
/// inside one stands for a newline.
pub(crate) fn collected(file: &str) -> Vec<(String, &'static str)> {
    file.lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# "))
        .flat_map(|line| ["bash", "dash"].map(|shell| (line.replace("\\n", "\n"), shell)))
        .collect()
}

/// Compares one line. A line with something opaque is not run: whatever it does is predicted.
fn one(root: &Path, shell: &'static str, text: &str) -> Tally {
    let vars = BTreeMap::new();
    let cx = ShellContext {
        cwd: "/w",
        home: "/home/u",
        workspace: "/w",
        vars: &vars,
        limits: Limits::default(),
    };
    let found = analyze(text, &cx);
    let mut tally = Tally { lines: 1, ..Tally::default() };
    if !found.opaque.is_empty() {
        tally.opaque = 1;
        return tally;
    }
    let seen = run(root, shell, text);
    for event in &seen {
        if !found.effects.iter().any(|effect| covers(effect, event)) {
            tally.missed.push((text.to_owned(), shell, event.clone()));
        }
    }
    for effect in &found.effects {
        if matches!(
            effect,
            Effect::Read { .. } | Effect::Write { .. } | Effect::Delete { .. } | Effect::Run { .. }
        ) {
            tally.predicted += 1;
            if !seen.iter().any(|event| covers(effect, event)) {
                tally.unseen += 1;
            }
        }
    }
    tally
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.lines += other.lines;
        self.opaque += other.opaque;
        self.missed.extend(other.missed);
        self.predicted += other.predicted;
        self.unseen += other.unseen;
    }
}

/// xorshift64*: the lines of a seed are the same everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let mixed = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(mixed).unwrap_or(0) % n.max(1)
    }

    pub(crate) fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
}
