//! `seawall token create|list|rotate|revoke`: who may come in through the door.

use crate::clock::now_ms;
use crate::daemon::tokens;
use crate::deploy::{Deployment, Wanted};
use crate::home::Home;
use crate::up;
use seawall_door::{DoorTokens, Role};
use secrecy::ExposeSecret;
use serde_json::json;
use std::process::ExitCode;
use zeroize::Zeroizing;

/// Manage the tokens with which clients come in through the door.
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
    /// Make a token and print it, once.
    Create {
        /// Its name: letters, digits, `-` and `_`.
        #[arg(long)]
        name: String,
        /// What it may do.
        #[arg(long, default_value = "operator")]
        role: RoleName,
        /// Days until it ends; without it, it does not.
        #[arg(long, value_name = "DAYS")]
        expires: Option<u32>,
    },
    /// List the tokens; their text is not kept.
    List {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Replace a token's text and print the new one, once.
    Rotate {
        /// Its name.
        name: String,
    },
    /// End a token. Its connections are closed.
    Revoke {
        /// Its name.
        name: String,
    },
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum RoleName {
    /// Look, and change nothing.
    Viewer,
    /// Also talk to agents.
    Chat,
    /// Everything that the door lets pass at all.
    Operator,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Viewer => Role::Viewer,
            RoleName::Chat => Role::Chat,
            RoleName::Operator => Role::Operator,
        }
    }
}

const DAY_MS: u64 = 86_400_000;

pub(crate) fn run(args: &Args) -> ExitCode {
    match token(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => super::fail(&why),
    }
}

fn token(args: &Args) -> Result<(), String> {
    let deployment =
        Deployment::find(&Wanted::from_env(args.profile.clone())).map_err(|e| e.to_string())?;
    let home = Home::locate(&deployment.name)?;
    home.create()?;
    let mut all = tokens::load(&home)?;
    match &args.what {
        What::Create { name, role, expires } => {
            let end =
                expires.map(|days| now_ms().saturating_add(u64::from(days).saturating_mul(DAY_MS)));
            let clear = all
                .create(name, Role::from(*role), None, end, now_ms(), &*entropy()?)
                .map_err(|e| e.to_string())?;
            put(&home, &all)?;
            super::print(&format!("{}\n", clear.expose_secret()));
        }
        What::Rotate { name } => {
            let clear = all.rotate(name, now_ms(), &*entropy()?).map_err(|e| e.to_string())?;
            put(&home, &all)?;
            if name == tokens::OPERATOR {
                tokens::keep_operator(&home, &clear)?;
            }
            super::print(&format!("{}\n", clear.expose_secret()));
        }
        What::Revoke { name } => {
            all.revoke(name).map_err(|e| e.to_string())?;
            put(&home, &all)?;
            super::print("revoked\n");
        }
        What::List { json } => {
            for token in all.list() {
                if *json {
                    let value = json!({
                        "name": token.name, "role": token.role.as_str(), "scopes": token.scopes,
                        "createdMs": token.created_ms, "expiresMs": token.expires_ms, "fingerprint": token.fingerprint
                    });
                    super::print(&format!("{value}\n"));
                } else {
                    let end = token.expires_ms.map_or_else(
                        || "no end".to_owned(),
                        |end| format!("ends in {} day(s)", end.saturating_sub(now_ms()) / DAY_MS),
                    );
                    super::print(&format!(
                        "{:<24} {:<9} {} {end}\n",
                        token.name,
                        token.role.as_str(),
                        token.fingerprint
                    ));
                }
            }
        }
    }
    Ok(())
}

/// Writes the tokens and tells a running guard.
fn put(home: &Home, all: &DoorTokens) -> Result<(), String> {
    tokens::save(home, all)?;
    match up::ask(home, &json!({ "cmd": "tokens" }))? {
        Some(answer) if answer.get("error").is_some() => Err(format!(
            "written, but the running guard did not take it: {}; restart `seawall up`",
            answer.get("error").and_then(|e| e.as_str()).unwrap_or("no reason given")
        )),
        _ => Ok(()),
    }
}

fn entropy() -> Result<Zeroizing<[u8; 32]>, String> {
    let mut bytes = Zeroizing::new([0u8; 32]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|e| format!("no randomness for a token: {e}"))?;
    Ok(bytes)
}
