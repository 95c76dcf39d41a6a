//! `seawall channels`: who can write to the agent: seeing it, letting in, taking out, closing.

mod live;

use crate::harden::Base;
use crate::harden::plan::{self, Wish};
use crate::harden::target::{Choice, Target};
use crate::home::Home;
use seawall_audit::harden::Change;
use seawall_audit::harden::channels::{Account, accounts, allow, is_id, lock, revoke};
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
    /// Every channel account with who may write to it, and who was let in by pairing.
    List,
    /// Everybody who may write to the agent, with where that is said and when they last did. Asks
    /// the running gateway.
    Review {
        /// Days without a word after which somebody is marked.
        #[arg(long, default_value_t = 90)]
        unused_days: u64,
    },
    /// Senders who wait to be let in. Asks the running gateway.
    Pending,
    /// Let a waiting sender in.
    Approve {
        /// The request or the sender, as `pending` shows them.
        id: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Turn a waiting sender away.
    Dismiss {
        /// The request or the sender, as `pending` shows them.
        id: String,
    },
    /// Show each waiting sender as they come, and turn away whom nobody answered in time. Runs until
    /// it is stopped.
    Watch {
        /// Minutes that a request may wait.
        #[arg(long, default_value_t = 10)]
        pending_minutes: u64,
        /// Seconds between looks. Each starts OpenClaw's own program, which takes a second.
        #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
        every: u64,
        /// Looks before it ends by itself.
        #[arg(long, value_name = "COUNT", hide = true)]
        looks: Option<u64>,
    },
    /// List a sender. Undone by `seawall harden rollback`.
    Allow {
        /// The channel.
        channel: String,
        /// The sender's id: not a name, which its owner can change.
        #[arg(allow_hyphen_values = true)]
        id: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Take a sender off every list of a channel, and off the senders let in by pairing.
    Revoke {
        /// The channel.
        channel: String,
        /// The sender's id, as it is listed.
        #[arg(allow_hyphen_values = true)]
        id: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
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
        What::Lock { channel, allow, yes } => {
            let value = target.documents()?.value();
            let known: Vec<String> = accounts(&value).into_iter().map(|a| a.channel).collect();
            let names: Vec<&str> = match channel {
                Some(name) => vec![known_channel(&value, name)?],
                None => known.iter().map(String::as_str).collect(),
            };
            let changes = names.iter().flat_map(|name| lock(&value, name, allow)).collect();
            let title = format!("lock {}", channel.as_deref().unwrap_or("all channels"));
            change(args, &target, changes, &title, *yes)
        }
        What::Allow { channel, id, yes } => {
            let value = target.documents()?.value();
            let channel = known_channel(&value, channel)?;
            if !is_id(id) {
                return Err(format!(
                    "nothing was changed: `{id}` is a name, which its owner can change; list the id"
                ));
            }
            let changes = allow(&value, channel, id).into_iter().collect();
            change(args, &target, changes, &format!("allow {channel} {id}"), *yes)
        }
        What::Revoke { channel, id, yes } => {
            let value = target.documents()?.value();
            let channel = known_channel(&value, channel)?;
            let changes = revoke(&value, channel, id);
            let paired = live::paired(&target, channel, id)?;
            if changes.is_empty() && paired.is_empty() {
                return Err(format!("nothing was changed: `{id}` is on no list of {channel}"));
            }
            let listed = !changes.is_empty();
            if !*yes && !super::harden::agreed(&format!("Take {id} off every list of {channel}?"))?
            {
                return Err("nothing was changed".into());
            }
            if listed {
                change(args, &target, changes, &format!("revoke {channel} {id}"), true)?;
            }
            live::unpair(&target, channel, &paired)?;
            if !paired.is_empty() && !args.json {
                super::print(&format!("{id} is no longer let in by pairing\n"));
            }
            Ok(ExitCode::SUCCESS)
        }
        What::Review { unused_days } => live::review(args.json, &target, *unused_days),
        What::Pending => live::pending(args.json, &target),
        What::Approve { id, yes } => live::approve(&target, id, *yes),
        What::Dismiss { id } => live::dismiss(&target, id),
        What::Watch { pending_minutes, every, looks } => {
            live::watch(&target, *pending_minutes, *every, *looks)
        }
    }
}

fn known_channel<'a>(config: &serde_json::Value, name: &'a str) -> Result<&'a str, String> {
    if accounts(config).iter().any(|account| account.channel == name) {
        return Ok(name);
    }
    Err(format!("no channel `{name}` is configured; see `seawall channels list`"))
}

fn list(args: &Args, target: &Target) -> Result<ExitCode, String> {
    let accounts = accounts(&target.documents()?.value());
    let senders = live::senders(target);
    if args.json {
        let paired = senders.as_ref().ok();
        super::print(&format!("{}\n", json!({ "accounts": accounts, "paired": paired })));
        return Ok(ExitCode::SUCCESS);
    }
    if accounts.is_empty() {
        super::print("no channels are configured\n");
    }
    accounts.iter().for_each(|account| super::print(&line(account)));
    match senders {
        Ok(senders) => {
            for (place, ids) in senders {
                super::print(&format!("{place}\n  paired   {}\n", ids.join(", ")));
            }
        }
        Err(why) => super::note(&format!("who was let in by pairing could not be read: {why}")),
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

fn change(
    args: &Args,
    target: &Target,
    changes: Vec<Change>,
    title: &str,
    yes: bool,
) -> Result<ExitCode, String> {
    let home = Home::locate(&target.deployment.name)?;
    let (base, told) = Base::open(&home)?;
    super::harden::tell(&told);
    let wish = Wish { changes, ..Wish::default() };
    let mut plan = plan::make(target, &wish)?;
    title.clone_into(&mut plan.title);
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
        super::print(&format!("done (run {id}). Undo with: seawall harden rollback {id}\n"));
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
