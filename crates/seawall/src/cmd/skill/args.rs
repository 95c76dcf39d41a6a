//! The arguments of `seawall skill`.

use super::{clawhub, lock, virustotal};
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(clap::Subcommand)]
pub(super) enum Command {
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
    /// Approve the skills of these folders about which nothing was decided and that the scanner allows.
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
pub(super) struct LockArg {
    /// The lockfile.
    #[arg(long, env = "SEAWALL_SKILLS_LOCK")]
    pub(super) lock: Option<PathBuf>,
}

impl LockArg {
    pub(super) fn path(&self) -> PathBuf {
        self.lock.clone().unwrap_or_else(lock::default_path)
    }
}

#[derive(clap::Args)]
pub(super) struct ScanArgs {
    /// Skills, folders of skills, `all` for the gateway's own folders, or `@OWNER/SLUG[@VERSION]`
    /// on ClawHub (with --clawhub).
    #[arg(required = true)]
    pub(super) paths: Vec<String>,
    /// One JSON object per skill and line.
    #[arg(long, conflicts_with_all = ["sarif", "html"])]
    pub(super) json: bool,
    /// SARIF 2.1.0.
    #[arg(long, conflicts_with = "html")]
    pub(super) sarif: bool,
    /// One HTML page.
    #[arg(long)]
    pub(super) html: bool,
    /// Show every finding and all capabilities.
    #[arg(long, short)]
    pub(super) verbose: bool,
    /// Fail where the scanning process cannot be confined in full.
    #[arg(long)]
    pub(super) confined_only: bool,
    #[command(flatten)]
    pub(super) clawhub: clawhub::Options,
    #[command(flatten)]
    pub(super) virustotal: virustotal::Options,
}

#[derive(clap::Args)]
pub(super) struct GateArgs {
    #[command(flatten)]
    pub(super) lock: LockArg,
    /// Block whatever was not approved by a person, even when nothing speaks against it.
    #[arg(long)]
    pub(super) require_approval: bool,
    /// Block where the scanning process cannot be confined in full.
    #[arg(long)]
    pub(super) confined_only: bool,
}

#[derive(clap::Args)]
pub(super) struct DecideArgs {
    #[command(flatten)]
    pub(super) lock: LockArg,
    /// The skill's folder.
    pub(super) path: PathBuf,
    /// The name it is known by; its folder's name when not given.
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Why.
    #[arg(long)]
    pub(super) reason: Option<String>,
    /// Who publishes it.
    #[arg(long)]
    pub(super) publisher: Option<String>,
    /// Where it came from.
    #[arg(long)]
    pub(super) source: Option<String>,
    /// A host that its scripts contact besides those that the scanner saw; may be repeated. Runs
    /// that use the skill reach no other.
    #[arg(long, value_name = "HOST")]
    pub(super) contacts: Vec<String>,
    /// Approve although the scanner blocks it. Needs a reason.
    #[arg(long, requires = "reason")]
    pub(super) despite_block: bool,
    /// Approve only what has this hash, as `scan` and `diff` print it.
    #[arg(long, value_name = "HASH")]
    pub(super) tree: Option<String>,
}

#[derive(clap::Args)]
pub(super) struct FoldersArgs {
    #[command(flatten)]
    pub(super) lock: LockArg,
    /// Skills or folders of skills.
    #[arg(required = true)]
    pub(super) paths: Vec<String>,
}

#[derive(clap::Args)]
pub(super) struct OneArgs {
    #[command(flatten)]
    pub(super) lock: LockArg,
    /// The skill's folder.
    pub(super) path: PathBuf,
    /// The name it is known by; its folder's name when not given.
    #[arg(long)]
    pub(super) name: Option<String>,
}

#[derive(clap::Args)]
pub(super) struct QuarantineArgs {
    #[command(flatten)]
    pub(super) lock: LockArg,
    /// Folders of skills.
    #[arg(required = true)]
    pub(super) paths: Vec<String>,
    /// Where they go; beside the lockfile when not given.
    #[arg(long)]
    pub(super) to: Option<PathBuf>,
}

#[derive(clap::Args)]
pub(super) struct ToolsArgs {
    #[command(flatten)]
    pub(super) lock: LockArg,
    /// The server's name in the gateway's configuration.
    pub(super) server: String,
    /// Its answer to `tools/list` as JSON; standard input when not given.
    pub(super) list: Option<PathBuf>,
    /// Approve the list exactly as it is.
    #[arg(long)]
    pub(super) approve: bool,
    /// Approve only a list with this hash, as the comparison prints it.
    #[arg(long, value_name = "HASH", requires = "approve")]
    pub(super) hash: Option<String>,
    /// Why.
    #[arg(long)]
    pub(super) reason: Option<String>,
    /// Approve although the scanner blocks a description. Needs a reason.
    #[arg(long, requires = "reason")]
    pub(super) despite_block: bool,
}

#[derive(clap::Args)]
pub(super) struct SbomArgs {
    /// Skills, plugins, or folders of them.
    #[arg(required = true)]
    pub(super) paths: Vec<String>,
    /// A gateway config in plain JSON, for its MCP servers.
    #[arg(long)]
    pub(super) config: Option<PathBuf>,
}
