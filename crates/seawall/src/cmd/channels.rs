//! `seawall channels list|lock`: who can write to the agent, and closing that.

use crate::harden::Base;
use crate::harden::plan::{self, Wish};
use crate::harden::target::{Choice, Target};
use crate::home::Home;
use seawall_audit::harden::channels::{Account, accounts, lock};
use serde_json::json;
use std::process::ExitCode;

/// Messaging channels: who gets through, and closing them.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    choice: Choice,
    /// JSON instead of text.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum What {
    /// Every channel account with who may write to it.
    List,
    /// Let only listed people and groups through. Undone by `seawall harden rollback`.
    Lock {
        /// The channel; all of them when absent.
        channel: Option<String>,
        /// A sender's id that is let through; may be repeated.
        #[arg(long, value_name = "ID", requires = "channel", allow_hyphen_values = true)]
        allow: Vec<String>,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

pub(crate) fn run(args: &Args) -> ExitCode {
    match channels(args) {
        Ok(code) => code,
        Err(why) => super::fail(&why),
    }
}

fn channels(args: &Args) -> Result<ExitCode, String> {
    let target = args.choice.find()?;
    match &args.what {
        What::List => list(args, &target),
        What::Lock { channel, allow, yes } => close(args, &target, channel.as_deref(), allow, *yes),
    }
}

fn list(args: &Args, target: &Target) -> Result<ExitCode, String> {
    let accounts = accounts(&target.documents()?.value());
    if args.json {
        super::print(&format!("{}\n", json!(accounts)));
    } else if accounts.is_empty() {
        super::print("no channels are configured\n");
    } else {
        accounts.iter().for_each(|account| super::print(&line(account)));
    }
    Ok(ExitCode::SUCCESS)
}

fn line(account: &Account) -> String {
    let name = match &account.account {
        Some(id) => format!("{}/{id}", account.channel),
        None => account.channel.clone(),
    };
    let mut out = format!("{name}{}\n", if account.enabled { "" } else { " (switched off)" });
    let direct = match account.dm.as_str() {
        "open" if account.everybody => "OPEN TO EVERYBODY",
        "open" => "open to listed senders (`open` without a star)",
        "pairing" => "listed senders, and strangers after pairing",
        "allowlist" => "listed senders",
        "disabled" => "nobody",
        other => other,
    };
    out.push_str(&format!("  direct   {direct}; {} ids listed\n", account.ids));
    let groups = match account.group.as_str() {
        "open" => "EVERY GROUP AND MEMBER",
        "allowlist" => "listed groups",
        "disabled" => "none",
        other => other,
    };
    out.push_str(&format!("  groups   {groups}\n"));
    if !account.names.is_empty() {
        out.push_str(&format!(
            "  names    {}: not ids, their owners can change them; list the numeric id\n",
            account.names.join(", ")
        ));
    }
    if !account.unmentioned.is_empty() {
        out.push_str(&format!(
            "  mention  not needed in {}: every line there is for the agent\n",
            account.unmentioned.join(", ")
        ));
    }
    out
}

fn close(
    args: &Args,
    target: &Target,
    channel: Option<&str>,
    allow: &[String],
    yes: bool,
) -> Result<ExitCode, String> {
    let home = Home::locate(&target.deployment.name)?;
    let (base, told) = Base::open(&home)?;
    super::harden::tell(&told);
    let value = target.documents()?.value();
    let known: Vec<String> = accounts(&value).into_iter().map(|account| account.channel).collect();
    let names: Vec<&str> = match channel {
        Some(name) if !known.iter().any(|other| other == name) => {
            return Err(format!("no channel `{name}` is configured; see `seawall channels list`"));
        }
        Some(name) => vec![name],
        None => known.iter().map(String::as_str).collect(),
    };
    let changes = names.iter().flat_map(|name| lock(&value, name, allow)).collect();
    let wish = Wish { changes, ..Wish::default() };
    let mut plan = plan::make(target, &wish)?;
    plan.title = format!("lock {}", channel.unwrap_or("all channels"));
    if plan.is_empty() {
        super::print("Nothing to do.\n");
        return Ok(ExitCode::SUCCESS);
    }
    if !yes {
        super::print(&plan.text());
        if !super::harden::agreed("Make these changes?")? {
            return Err("nothing was changed".into());
        }
    }
    let journal = super::harden::carry_out(target, &base, &plan)?;
    let id = journal.id();
    if args.json {
        super::print(&format!("{}\n", json!({ "run": id, "plan": plan.json() })));
    } else {
        super::print(&format!("locked (run {id}). Undo with: seawall harden rollback {id}\n"));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_channel_reads_as_one() {
        let root = json!({"channels":{"telegram":{"dmPolicy":"open","allowFrom":["*","@me"],"groupPolicy":"open","groups":{"*":{"requireMention":false}}}}});
        let text: String = accounts(&root).iter().map(line).collect();
        insta::assert_snapshot!(text);
    }
}
