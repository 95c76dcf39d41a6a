//! `seawall audit`.
//!
//! Exit codes: 0 nothing at or above `--fail-on`, 1 something is, 2 the command line is wrong, 3 it
//! could not be done.

use crate::collect::{self, collect_named};
use crate::deploy::{Deployment, Wanted, expand};
use crate::home::Home;
use seawall_audit::report::{Report, Suppressions, keys};
use seawall_audit::{Audience, Finding, check, checks};
use seawall_model::finding::Level;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Files that this command reads besides the deployment's: a report of a large deployment.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Check a deployment and its host against the production checklist. Reads only.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    look: Look,
}

#[derive(clap::Subcommand)]
enum What {
    /// Say what a check looks at, why it matters, and what it is called elsewhere.
    Explain {
        /// The check's id; without one, all are listed.
        id: Option<String>,
    },
}

#[derive(clap::Args)]
struct Look {
    /// OpenClaw's named profile.
    #[arg(long)]
    profile: Option<String>,
    /// OpenClaw's state folder.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// OpenClaw's configuration file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// OpenClaw's program or package folder.
    #[arg(long, value_name = "PATH")]
    openclaw: Option<PathBuf>,
    /// How the report is written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The same as `--format json`.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Write the report to a file instead of standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Also show what is only for information.
    #[arg(long)]
    verbose: bool,
    /// Exit with 1 when a finding is at least this bad.
    #[arg(long, value_enum, default_value_t = Severity::Medium)]
    fail_on: Severity,
    /// Exit with 1 also when something could not be checked.
    #[arg(long)]
    fail_on_unknown: bool,
    /// Only checks that matter for this kind of deployment.
    #[arg(long = "for", value_enum, value_name = "WHOM", default_value_t = Whom::Production)]
    whom: Whom,
    /// A JSON report whose findings are accepted.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Accepted risks, each with reason and expiry [default: `audit.toml` in Seawall's folder]
    #[arg(long, value_name = "FILE")]
    suppressions: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
    Sarif,
    Html,
    Junit,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
    /// Never.
    None,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Whom {
    Personal,
    Team,
    Production,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let done = match &args.what {
        Some(What::Explain { id }) => explain(id.as_deref()),
        None => audit(&args.look),
    };
    match done {
        Ok(code) => code,
        Err(why) => super::fail(&why),
    }
}

fn audit(args: &Look) -> Result<ExitCode, String> {
    let (deployment, wanted) = find(args)?;
    let suppressions = suppressions(args, &deployment)?;
    let baseline = args.baseline.as_deref().map_or(Ok(BTreeSet::new()), baseline)?;
    let facts = collect_named(&deployment, &wanted);
    let audience = match args.whom {
        Whom::Personal => Audience::Personal,
        Whom::Team => Audience::Team,
        Whom::Production => Audience::Production,
    };
    let matters =
        |finding: &Finding| check(&finding.id).is_none_or(|check| check.audience <= audience);
    let findings = seawall_audit::audit(&facts).into_iter().filter(matters).collect();
    let report = Report::new(findings, &suppressions, &baseline, facts.now);
    let format = if args.json { Format::Json } else { args.format };
    let pretty = |value: &serde_json::Value| {
        serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(|e| e.to_string())
    };
    let text = match format {
        Format::Text => report.text(args.verbose),
        Format::Json => pretty(&serde_json::to_value(&report).map_err(|e| e.to_string())?)?,
        Format::Sarif => pretty(&report.sarif(env!("CARGO_PKG_VERSION")))?,
        Format::Html => report.html(&format!("Audit of {}", deployment.config_path.display())),
        Format::Junit => report.junit(),
    };
    match &args.output {
        None => super::print(&text),
        Some(path) => std::fs::write(path, text)
            .map_err(|e| format!("cannot write `{}`: {e}", path.display()))?,
    }
    let level = match args.fail_on {
        Severity::Info => Some(Level::Info),
        Severity::Low => Some(Level::Low),
        Severity::Medium => Some(Level::Medium),
        Severity::High => Some(Level::High),
        Severity::Critical => Some(Level::Critical),
        Severity::None => None,
    };
    let bad = level.is_some_and(|level| report.fails(level))
        || (args.fail_on_unknown && report.summary.could_not_check > 0);
    Ok(if bad { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// The deployment, and its state folder and configuration as they are named, symlinks and all.
fn find(args: &Look) -> Result<(Deployment, collect::Wanted<'_>), String> {
    let mut wanted = Wanted::from_env(args.profile.clone());
    if let Some(dir) = &args.state_dir {
        wanted.state_dir = Some(dir.clone());
        // The variable names the configuration of another deployment then.
        wanted.config_path = None;
    }
    wanted.config_path = args.config.clone().or(wanted.config_path);
    let deployment = Deployment::find(&wanted).map_err(|e| e.to_string())?;
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let state_link = match (&wanted.state_dir, deployment.name.as_str()) {
        (Some(dir), _) => absolute(&expand(dir, &deployment.home)),
        (None, "default") => deployment.home.join(".openclaw"),
        (None, name) => deployment.home.join(format!(".openclaw-{name}")),
    };
    let config_link = match &wanted.config_path {
        Some(path) => absolute(&expand(path, &deployment.home)),
        None => state_link.join("openclaw.json"),
    };
    Ok((
        deployment,
        collect::Wanted { state_link, config_link, openclaw: args.openclaw.as_deref() },
    ))
}

fn read(path: &Path) -> Result<String, String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE).read_to_string(&mut text))
        .map_err(|e| format!("cannot read `{}`: {e}", path.display()))?;
    Ok(text)
}

fn suppressions(args: &Look, deployment: &Deployment) -> Result<Suppressions, String> {
    let path = match &args.suppressions {
        Some(path) => path.clone(),
        None => {
            let path = Home::locate(&deployment.name)?.dir().join("audit.toml");
            if !path.exists() {
                return Ok(Suppressions::default());
            }
            path
        }
    };
    Suppressions::parse(&read(&path)?).map_err(|why| format!("`{}`: {why}", path.display()))
}

fn baseline(path: &Path) -> Result<BTreeSet<seawall_audit::report::Key>, String> {
    let report: Report = serde_json::from_str(&read(path)?)
        .map_err(|e| format!("`{}` is no report of `seawall audit --json`: {e}", path.display()))?;
    Ok(keys(&report.findings))
}

fn explain(id: Option<&str>) -> Result<ExitCode, String> {
    let mut out = String::new();
    match id {
        None => {
            for check in checks() {
                let _ = writeln!(
                    out,
                    "{:<28} {:<9} {}",
                    check.id,
                    format!("{:?}", check.severity).to_lowercase(),
                    check.title
                );
            }
        }
        Some(id) => {
            let check = check(id).ok_or_else(|| {
                format!("no check has the id `{id}`; `seawall audit explain` lists all")
            })?;
            let _ = writeln!(out, "{}: {}\n\n{}\n", check.id, check.title, check.why);
            let _ =
                writeln!(out, "severity    {:?}, unless a finding says otherwise", check.severity);
            let _ = writeln!(out, "confidence  {:?}", check.confidence);
            let _ = writeln!(out, "matters     from {:?} on", check.audience);
            if let Some(item) = check.item {
                let title = seawall_audit::checklist::ITEMS
                    .get(usize::from(item).saturating_sub(1))
                    .unwrap_or(&"");
                let _ = writeln!(out, "checklist   {item}. {title}");
            }
            for (name, ids) in [
                ("MITRE ATLAS", check.atlas),
                ("MITRE ATT&CK", check.attack),
                ("CIS", check.cis),
                ("OpenClaw's own", check.openclaw),
            ] {
                for id in ids {
                    let title = seawall_audit::reference(id).unwrap_or_default();
                    let _ = writeln!(out, "{}", format!("{name:<15} {id}  {title}").trim_end());
                }
            }
        }
    }
    super::print(&out);
    Ok(ExitCode::SUCCESS)
}
