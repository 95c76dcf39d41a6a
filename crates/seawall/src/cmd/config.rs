//! `seawall config diff|apply|show`.

use crate::up;
use serde_json::{Value, json};
use std::process::ExitCode;

/// The configuration that the gateway sees, and how it comes from yours.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    choice: up::Choice,
    /// JSON instead of text.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum What {
    /// Show what Seawall changes in your configuration and why, and what an apply would change in
    /// the running snapshot.
    Diff,
    /// Bring later edits of your configuration in. A bad one leaves the running snapshot as it is,
    /// and so does one that gives the agent more than the running one, unless you say so.
    Apply {
        /// The policy may allow more, and the agent have more folders, programs, ports and
        /// variables, than now.
        #[arg(long)]
        widen: bool,
    },
    /// Print the snapshot that `up` or `apply` would use.
    Show,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    match config(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => super::fail(&why),
    }
}

fn config(args: &Args) -> Result<(), String> {
    let prepared = up::prepare(&args.choice)?;
    match args.what {
        What::Show => {
            let text = serde_json::to_string_pretty(&prepared.rendered.config)
                .map_err(|e| e.to_string())?;
            super::print(&format!("{text}\n"));
        }
        What::Diff => {
            let running = up::Snapshots::at(prepared.home.snapshots()).config();
            let pending = running.as_ref().map(|running| lines(running, &prepared.rendered.config));
            if args.json {
                let value = json!({ "changes": prepared.rendered.changes, "pending": pending });
                super::print(&format!("{value}\n"));
            } else {
                super::print(&format!(
                    "Your {} becomes, for the gateway:\n",
                    prepared.deployment.config_path.display()
                ));
                for change in &prepared.rendered.changes {
                    super::print(&format!("  {change}\n"));
                }
                match pending {
                    None => super::print("\nNo snapshot yet: `seawall up` makes the first.\n"),
                    Some(lines) if lines.is_empty() => {
                        super::print("\nThe running snapshot is up to date.\n")
                    }
                    Some(lines) => {
                        super::print(
                            "\n`seawall config apply` would change in the running snapshot:\n",
                        );
                        lines.iter().for_each(|line| super::print(&format!("  {line}\n")));
                    }
                }
            }
        }
        What::Apply { widen } => {
            let question = json!({ "cmd": "apply", "widen": widen });
            let Some(answer) = up::ask(&prepared.home, &question)? else {
                return Err("Seawall is not running for this deployment; `seawall up` reads your configuration anyway".into());
            };
            if answer.get("ok") != Some(&Value::Bool(true)) {
                let why =
                    answer.get("error").and_then(Value::as_str).unwrap_or("no reason was given");
                if let Some(changes) = answer.get("widens").and_then(Value::as_array) {
                    let lines: Vec<&str> = changes.iter().filter_map(Value::as_str).collect();
                    return Err(format!(
                        "not applied, the running snapshot stays: {why}\n  {}\nif this is what you want: `seawall config apply --widen`",
                        lines.join("\n  ")
                    ));
                }
                return Err(format!("not applied, the running snapshot stays: {why}"));
            }
            if args.json {
                super::print(&format!("{answer}\n"));
            } else {
                super::print("applied; the gateway is starting with it (see `seawall status`)\n");
            }
        }
    }
    Ok(())
}

/// Leaves that differ, one a line. Values are not shown: they may be secret.
fn lines(old: &Value, new: &Value) -> Vec<String> {
    fn walk(path: &str, old: Option<&Value>, new: Option<&Value>, out: &mut Vec<String>) {
        if old == new {
            return;
        }
        if let (Some(Value::Object(a)), Some(Value::Object(b))) = (old, new) {
            let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                walk(&at, a.get(key), b.get(key), out);
            }
            return;
        }
        let sign = match (old, new) {
            (None, _) => '+',
            (_, None) => '-',
            _ => '~',
        };
        out.push(format!("{sign} {path}"));
    }
    let mut out = Vec::new();
    walk("", Some(old), Some(new), &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named_by_key() {
        let (old, new) = (json!({"a":{"b":1,"c":2},"d":1}), json!({"a":{"b":2,"e":{"f":1}},"d":1}));
        assert_eq!(lines(&old, &new), ["~ a.b", "- a.c", "+ a.e"]);
    }
}
