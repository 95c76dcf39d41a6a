//! `seawall sandbox run|explain|learn|probe`: the kernel plane for people and scripts.

use seawall_model::Protection;
use seawall_sandbox::learn::{Proposal, propose, watch};
use seawall_sandbox::plan::{RealHost, RunPlan, run_plan};
use seawall_sandbox::spec::{Access, Limits, Mount};
use seawall_sandbox::{Jail, JailIo, JailSpec};
use std::io::Write as _;
use std::process::ExitCode;

/// Exit code when nothing was run.
const NOT_RUN: u8 = 125;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

/// This command's arguments without the rest of the command line. None where they are for another
/// command, wrong, or a question for help.
pub(crate) fn alone(mut args: impl Iterator<Item = std::ffi::OsString>) -> Option<Args> {
    use clap::Parser as _;
    #[derive(clap::Parser)]
    #[command(disable_help_subcommand = true)]
    struct Alone {
        #[command(flatten)]
        args: Args,
    }
    args.next()?;
    let name = args.next().filter(|name| name == "sandbox")?;
    Alone::try_parse_from(std::iter::once(name).chain(args)).ok().map(|alone| alone.args)
}

#[derive(clap::Subcommand)]
enum Command {
    /// Run a command with nothing but what is granted here. Exits with its code, 124 when it
    /// took too long, 125 when it could not be started.
    Run(Grants),
    /// Print what a command would be granted, without running it.
    Explain(Grants),
    /// Run a command unconfined, watch it, and propose the narrowest grants that allow what it
    /// did. Exits with its code, 125 when it could not be started.
    Learn(Learn),
    /// Try every known way out of a throw-away jail on this host. Exits with 1 when one works.
    Probe,
}

#[derive(clap::Args)]
struct Grants {
    /// What may be done with the current folder, which is seen as /workspace.
    #[arg(long, value_enum, default_value = "workspace")]
    profile: Profile,
    /// A file or folder that may be read, at the same place inside. Can be repeated.
    #[arg(long, value_name = "PATH")]
    read: Vec<String>,
    /// A file or folder that may be changed. Can be repeated.
    #[arg(long, value_name = "PATH")]
    write: Vec<String>,
    /// An environment variable, `NAME=VALUE`, or `NAME` to pass it on. Can be repeated.
    #[arg(long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Memory of all its processes, in MiB.
    #[arg(long, value_name = "MIB")]
    memory: Option<u64>,
    /// Processes and threads.
    #[arg(long, value_name = "N")]
    pids: Option<u64>,
    /// Seconds until it is killed.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Say on standard error what the kernel refused it.
    #[arg(long)]
    report: bool,
    /// Program and arguments, as seen inside.
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

#[derive(clap::Args)]
struct Learn {
    /// Write the whole proposal to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<std::path::PathBuf>,
    /// Seconds until the command is killed.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Program and arguments.
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Profile {
    /// The current folder can be read and changed, but for identity files and skills.
    Workspace,
    /// The current folder can be read.
    ReadOnly,
    /// Nothing of the current folder is there.
    Empty,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    match &args.command {
        Command::Run(grants) => done(plan(grants).and_then(|spec| start(&spec))),
        Command::Explain(grants) => done(plan(grants).and_then(|spec| explain(&spec))),
        Command::Learn(args) => done(learn(args)),
        Command::Probe => probe(),
    }
}

fn done(result: Result<u8, String>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(reason) => {
            let _closed = writeln!(std::io::stderr(), "seawall: {reason}");
            ExitCode::from(NOT_RUN)
        }
    }
}

fn plan(grants: &Grants) -> Result<JailSpec, String> {
    let text = |path: std::path::PathBuf| {
        path.into_os_string().into_string().map_err(|p| format!("{} is not UTF-8", p.display()))
    };
    let here =
        || std::env::current_dir().map_err(|e| format!("the current folder: {e}")).and_then(text);
    let workspace = match grants.profile {
        Profile::Workspace => Some((here()?, Access::Rw)),
        Profile::ReadOnly => Some((here()?, Access::Ro)),
        Profile::Empty => None,
    };
    let mut env: std::collections::BTreeMap<String, String> = ["TERM", "LANG", "LC_ALL"]
        .iter()
        .filter_map(|n| Some(((*n).to_owned(), std::env::var(n).ok()?)))
        .collect();
    for entry in &grants.env {
        let (name, value) = match entry.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => {
                let value = std::env::var(entry).map_err(|e| format!("--env {entry}: {e}"))?;
                (entry.clone(), value)
            }
        };
        env.insert(name, value);
    }
    let absolute = |path: &String| {
        std::path::absolute(path).map_err(|e| format!("{path}: {e}")).and_then(text)
    };
    let mut granted = Vec::new();
    for path in &grants.read {
        granted.push((absolute(path)?, Access::Ro));
    }
    for path in &grants.write {
        granted.push((absolute(path)?, Access::Rw));
    }
    let mut argv = grants.command.clone();
    if let Some(program) = argv.first_mut() {
        *program = find(program)?;
    }
    let plan = RunPlan {
        argv,
        env,
        workspace,
        grants: granted,
        limits: Limits {
            memory: grants.memory.map(|m| m.saturating_mul(1 << 20)),
            pids: grants.pids,
            wall_ms: grants.timeout.map(|s| s.saturating_mul(1000)),
            ..Limits::default()
        },
        report: grants.report,
        hold_memory: true,
        slot: std::process::id(),
        home: std::env::var("HOME").unwrap_or_default(),
        ..RunPlan::default()
    };
    run_plan(&plan).map_err(|e| e.to_string())
}

/// A program by name is one of the system's; the jail has no other folder of programs.
fn find(program: &str) -> Result<String, String> {
    if program.starts_with('/') {
        return Ok(program.into());
    }
    if program.contains('/') {
        let inside = program.strip_prefix("./").unwrap_or(program);
        return Ok(format!("{}/{inside}", seawall_sandbox::plan::WORKSPACE));
    }
    ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"]
        .iter()
        .map(|dir| format!("{dir}/{program}"))
        .find(|path| std::path::Path::new(path).exists())
        .ok_or_else(|| format!("there is no program `{program}` in the system's folders"))
}

fn start(spec: &JailSpec) -> Result<u8, String> {
    let io = JailIo::own().map_err(|e| format!("the standard streams: {e}"))?;
    let mut jail = Jail::spawn_here(spec, io).map_err(|e| e.to_string())?;
    for missing in &jail.facts().missing {
        let _closed = writeln!(std::io::stderr(), "seawall: not held here: {missing}");
    }
    let exit = jail.wait_processes();
    let mut err = std::io::stderr();
    let mut limits = jail.exceeded().to_vec();
    if exit == seawall_sandbox::Exit::Timeout {
        limits.push("time".into());
    }
    if !limits.is_empty() {
        let _closed = writeln!(err, "seawall: {}", seawall_sandbox::launch::met(&limits));
    }
    for refusal in jail.take_refusals() {
        let (program, target) = (refusal.program.escape_debug(), refusal.target.escape_debug());
        let _closed =
            writeln!(err, "seawall: refused `{program}` to {} `{target}`", refusal.action);
    }
    if jail.refused_more() > 0 {
        let _closed = writeln!(err, "seawall: refused {} more things", jail.refused_more());
    }
    Ok(u8::try_from(exit.code()).unwrap_or(u8::MAX))
}

fn learn(args: &Learn) -> Result<u8, String> {
    let text = |path: std::path::PathBuf| {
        path.into_os_string().into_string().map_err(|p| format!("{} is not UTF-8", p.display()))
    };
    let here =
        std::env::current_dir().map_err(|e| format!("the current folder: {e}")).and_then(text)?;
    let search = std::env::var("PATH").unwrap_or_default();
    let mut argv = args.command.clone();
    let Some(name) = argv.first_mut() else { return Err("no command".into()) };
    let program = if name.contains('/') {
        std::path::absolute(&name).map_err(|e| format!("{name}: {e}")).and_then(text)?
    } else {
        let found = search
            .split(':')
            .filter(|folder| folder.starts_with('/'))
            .map(|folder| format!("{}/{name}", folder.trim_end_matches('/')))
            .find(|path| std::path::Path::new(path).is_file())
            .ok_or_else(|| format!("there is no program `{name}` in PATH"))?;
        // `run` looks in the system's folders only.
        if find(name).is_err() {
            name.clone_from(&found);
        }
        found
    };
    let wall = args.timeout.map(std::time::Duration::from_secs);
    let seen = watch(&program, &args.command, wall).map_err(|e| e.to_string())?;
    let home = std::env::var("HOME").unwrap_or_default();
    let proposal = propose(&seen, &argv, &here, &home, &search, &RealHost);
    let mut err = std::io::stderr().lock();
    let _closed = err.write_all(tell(&proposal).as_bytes());
    if let Some(file) = &args.json {
        let json = serde_json::to_vec_pretty(&proposal).map_err(|e| e.to_string())?;
        std::fs::write(file, json).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    Ok(u8::try_from(proposal.exit).unwrap_or(u8::MAX))
}

/// Lines of a list that are printed; the JSON has all.
const SHOWN: usize = 20;

fn tell(proposal: &Proposal) -> String {
    let mut text = String::from("\nseawall: what was seen needs\n  seawall sandbox run");
    for argument in &proposal.arguments {
        text.push(' ');
        text.push_str(&quoted(argument));
    }
    text.push('\n');
    let refused: Vec<String> =
        proposal.refused.iter().map(|r| format!("{}: {}", r.path, r.why)).collect();
    for (title, list) in [
        ("no run can have", &refused),
        ("tried to reach", &proposal.destinations),
        ("wanted to be reached at", &proposal.listens),
        ("used sockets", &proposal.unix_sockets),
        ("only asked about, not granted", &proposal.looked_at),
        ("otherwise than here", &proposal.notes),
        ("not seen", &proposal.unseen),
    ] {
        if list.is_empty() {
            continue;
        }
        text.push_str(title);
        text.push('\n');
        for line in list.iter().take(SHOWN) {
            // What a program called its files must not steer the terminal.
            text.push_str("  ");
            for c in line.chars() {
                match c {
                    '\'' | '"' => text.push(c),
                    c => text.extend(c.escape_debug()),
                }
            }
            text.push('\n');
        }
        if list.len() > SHOWN {
            text.push_str(&format!("  and {} more: see --json\n", list.len() - SHOWN));
        }
    }
    text
}

/// As a shell reads it back.
fn quoted(argument: &str) -> String {
    let plain = !argument.is_empty()
        && argument.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./=:,@%+".contains(&b));
    if plain {
        argument.to_owned()
    } else if argument.chars().any(char::is_control) {
        // In a form that every POSIX shell reads the same; `$'…'` is not one.
        let mut text = String::from("\"$(printf '");
        for c in argument.chars() {
            match c {
                '\'' => text.push_str("'\\''"),
                '\\' => text.push_str("\\\\"),
                '%' => text.push_str("%%"),
                c if c.is_control() => {
                    let mut bytes = [0u8; 4];
                    for b in c.encode_utf8(&mut bytes).bytes() {
                        text.push_str(&format!("\\{b:03o}"));
                    }
                }
                c => text.push(c),
            }
        }
        text.push_str("')\"");
        text
    } else {
        format!("'{}'", argument.replace('\'', "'\\''"))
    }
}

fn explain(spec: &JailSpec) -> Result<u8, String> {
    std::io::stdout().write_all(explained(spec).as_bytes()).map_err(|e| e.to_string())?;
    Ok(0)
}

fn explained(spec: &JailSpec) -> String {
    let mut text = String::from("files\n");
    let mut line = |what: &str, path: &str| {
        text.push_str(&format!("  {what:<10} {path}\n"));
    };
    for mount in &spec.mounts {
        match mount {
            Mount::Bind { from, to, access, .. } => {
                let word = if *access == Access::Rw { "read-write" } else { "read-only" };
                let path = if from == to { to.clone() } else { format!("{to}  ({from})") };
                line(word, &path);
            }
            Mount::Pin { to } => line("held", to),
            Mount::Tmpfs { to, size, .. } => {
                line("in memory", &format!("{to}  ({} MiB)", size >> 20));
            }
            Mount::System { path } => line("system", path),
            Mount::Proc { to, .. } => line("own", to),
            Mount::File { .. }
            | Mount::Device { .. }
            | Mount::Dir { .. }
            | Mount::Symlink { .. } => {}
        }
    }
    text.push_str("network\n");
    if spec.listeners.is_empty() {
        text.push_str("  none\n");
    }
    for listener in &spec.listeners {
        text.push_str(&format!("  {} at 127.0.0.1:{}\n", listener.name, listener.port));
    }
    text.push_str(&format!("user\n  {}:{} inside\n", spec.uid, spec.gid));
    text.push_str(&format!("runs\n  {}\n", spec.argv.join(" ")));
    text
}

fn probe() -> ExitCode {
    let mechanisms = seawall_sandbox::probe(&std::env::temp_dir());
    let mut full = true;
    let mut out = std::io::stdout().lock();
    for mechanism in &mechanisms {
        let word = match mechanism.protection {
            Protection::Full => "full",
            Protection::Partial => "partial",
            Protection::None => "none",
        };
        full &= mechanism.protection == Protection::Full;
        let _closed =
            writeln!(out, "{:<20} {word:<8} {}", mechanism.name, mechanism.evidence.join("; "));
    }
    if full { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seawall_sandbox::learn::{Refused, Workspace};
    use seawall_sandbox::plan::{Host, Kind, run_plan_with};

    struct Everything;

    impl Host for Everything {
        fn canonical(&self, path: &str) -> std::io::Result<String> {
            Ok(path.into())
        }
        fn kind(&self, path: &str) -> Option<Kind> {
            (!path.contains("/.git") || path.ends_with(".git")).then_some(Kind::Folder)
        }
    }

    #[test]
    fn what_explain_prints() {
        let plan = RunPlan {
            argv: vec!["/usr/bin/make".into(), "all".into()],
            workspace: Some(("/home/ada/project".into(), Access::Rw)),
            grants: vec![("/data/in".into(), Access::Ro), ("/data/in/cache".into(), Access::Rw)],
            egress: Some(3128),
            home: "/home/ada".into(),
            ..RunPlan::default()
        };
        let spec = run_plan_with(&plan, &Everything).unwrap();
        insta::assert_snapshot!(explained(&spec));
    }

    #[test]
    fn what_learn_prints() {
        let proposal = Proposal {
            arguments: [
                "--profile",
                "read-only",
                "--write",
                "/data/my file",
                "--",
                "./build",
                "it's",
            ]
            .map(str::to_owned)
            .to_vec(),
            refused: vec![Refused {
                path: "/home/ada/.ssh/id_rsa".into(),
                why: "lies in the home folder".into(),
            }],
            destinations: vec!["192.0.2.7:443".into()],
            looked_at: (0..25).map(|n| format!("/opt/{n}\u{1b}[2J")).collect(),
            unseen: vec!["other inputs than this run's".into()],
            version: 1,
            profile: Workspace::ReadOnly,
            read: Vec::new(),
            write: vec!["/data/my file".into()],
            programs: Vec::new(),
            listens: Vec::new(),
            unix_sockets: Vec::new(),
            notes: Vec::new(),
            exit: 0,
        };
        insta::assert_snapshot!(tell(&proposal));
    }
}
