//! `seawall audit`.

use crate::collect::collect;
use crate::deploy::{Deployment, Wanted};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// Check a deployment and its host against the production checklist.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// OpenClaw's named profile.
    #[arg(long)]
    profile: Option<String>,
    /// OpenClaw's state folder.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// OpenClaw's configuration file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// JSON instead of text.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    match audit(args) {
        Ok(code) => code,
        Err(why) => super::fail(&why),
    }
}

fn audit(args: &Args) -> Result<ExitCode, String> {
    let mut wanted = Wanted::from_env(args.profile.clone());
    wanted.state_dir = args.state_dir.clone().or(wanted.state_dir);
    wanted.config_path = args.config.clone().or(wanted.config_path);
    let deployment = Deployment::find(&wanted).map_err(|e| e.to_string())?;
    let findings = seawall_audit::audit(&collect(&deployment));
    if args.json {
        super::print(&format!("{}\n", json!({ "findings": findings })));
    } else {
        for finding in &findings {
            super::print(&format!(
                "{:?} {} {}: {}\n",
                finding.severity, finding.id, finding.location, finding.evidence
            ));
        }
    }
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
