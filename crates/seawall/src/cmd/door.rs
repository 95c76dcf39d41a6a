//! `seawall door allow|list|disallow`: the operator's say on methods that give a caller the host.

use crate::deploy::{Deployment, Wanted};
use crate::home::Home;
use crate::up;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Allow a method that the door refuses, to one token and for a time.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
    /// OpenClaw's named profile.
    #[arg(long, global = true)]
    profile: Option<String>,
}

#[derive(clap::Subcommand)]
enum What {
    /// Allow a method.
    Allow {
        /// The method, as the door's refusal names it.
        method: String,
        /// Name of the token.
        #[arg(long = "to", value_name = "TOKEN")]
        to: String,
        /// For how long: `10m`, `2h`; at most 8 hours.
        #[arg(long = "for", value_name = "TIME", default_value = "10m")]
        last: String,
    },
    /// List what is allowed now.
    List,
    /// Take a method's grants away.
    Disallow {
        /// The method.
        method: String,
    },
}

pub(crate) fn run(args: &Args) -> ExitCode {
    match door(args) {
        Ok(text) => {
            super::print(&text);
            ExitCode::SUCCESS
        }
        Err(why) => super::fail(&why),
    }
}

fn door(args: &Args) -> Result<String, String> {
    let deployment =
        Deployment::find(&Wanted::from_env(args.profile.clone())).map_err(|e| e.to_string())?;
    let home = Home::locate(&deployment.name)?;
    let question = match &args.what {
        What::Allow { method, to, last } => {
            json!({ "cmd": "door.allow", "method": method, "token": to, "seconds": seconds(last)? })
        }
        What::List => json!({ "cmd": "door.list" }),
        What::Disallow { method } => json!({ "cmd": "door.disallow", "method": method }),
    };
    let answer = up::ask(&home, &question)?.ok_or("Seawall is not running for this deployment")?;
    if let Some(why) = answer.get("error").and_then(Value::as_str) {
        return Err(why.to_owned());
    }
    Ok(match &args.what {
        What::Allow { method, to, last } => format!("{method} is allowed to {to} for {last}\n"),
        What::Disallow { .. } => {
            format!("{} grant(s) taken away\n", answer.get("removed").unwrap_or(&json!(0)))
        }
        What::List => {
            let grants =
                answer.get("grants").and_then(Value::as_array).cloned().unwrap_or_default();
            grants.iter().map(|grant| format!("{grant}\n")).collect()
        }
    })
}

/// `90s`, `10m`, `2h` in seconds.
fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a time such as 10m or 2h");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return Err(wrong()),
    };
    let number: u64 = text.strip_suffix(unit).and_then(|n| n.parse().ok()).ok_or_else(wrong)?;
    number.checked_mul(factor).filter(|n| *n > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(seconds("10m"), Ok(600));
        assert_eq!(seconds("2h"), Ok(7200));
        for bad in ["", "10", "m", "0s", "-1m", "99999999999999999999h"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
