//! What leaves the machine, and to whom.

use super::{Judge, Trust, trust};
use crate::code::value::{Labels, Value};
use crate::content::HostClass;
use crate::report::Capabilities;
use crate::text::urls::{self, Url};
use seawall_model::finding::Level;

impl Judge<'_, '_> {
    pub(super) fn net(&mut self, line: u32, urls: &[Url], data: &Value, upload: bool) {
        for source in &data.sources {
            if data.labels.has(Labels::ENV_SECRET) {
                Capabilities::add(&mut self.capabilities.secrets, source);
            }
        }
        let mut worst = Trust::Nobody;
        let mut host = String::new();
        for url in urls {
            let trust = trust(self.content, self.purpose, url);
            if trust > Trust::Nobody {
                Capabilities::add(&mut self.capabilities.network, &url.host);
            }
            if trust >= worst {
                (worst, host) = (trust, url.host.clone());
            }
            if url.numeric() {
                self.report(
                    "raw-address",
                    Level::Low,
                    line,
                    format!("contacts the numeric address `{}`", url.host),
                );
            }
        }
        if urls.is_empty() {
            // The address is made at run time: nothing says whose it is.
            worst = Trust::Mentioned;
            host = "an address made at run time".into();
        }
        let labels = data.labels;
        // An address to be filled in does not make the flow of a private key right.
        let fictive = worst == Trust::Nobody && urls.iter().all(|u| !urls::local(&u.host));
        if fictive && labels.has(Labels::STRONG.with(Labels::ENV_ALL).with(Labels::TYPED_SECRET)) {
            worst = Trust::Stranger;
            host = urls.first().map(|u| u.host.clone()).unwrap_or_default();
        }
        if worst == Trust::Nobody {
            return;
        }
        let what = data.sources.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
        if labels.has(Labels::STRONG) {
            let explained = self.explained(data);
            // A purpose explains the use of a key, not that the key itself goes to a server.
            let key = upload && data.sources.iter().any(|s| private_key(s));
            let severity = match worst {
                Trust::Hiding => Level::Critical,
                _ if explained && key => Level::Medium,
                _ if explained => Level::Low,
                _ => Level::High,
            };
            self.report("secret-to-network", severity, line, format!("sends {what} to {host}"));
            return;
        }
        if labels.has(Labels::ENV_ALL) {
            let severity = if worst >= Trust::Declared { Level::High } else { Level::Medium };
            self.report(
                "environment-to-network",
                severity,
                line,
                format!("sends the whole environment to {host}"),
            );
            return;
        }
        if labels.has(Labels::TYPED_SECRET) && worst >= Trust::Mentioned {
            self.report(
                "secret-to-network",
                Level::High,
                line,
                format!("sends a typed password to {host}"),
            );
            return;
        }
        if labels.has(Labels::CAPTURE) && worst >= Trust::Mentioned {
            let severity = if worst >= Trust::Stranger { Level::High } else { Level::Medium };
            self.report(
                "secret-to-network",
                severity,
                line,
                format!("sends the screen or clipboard to {host}"),
            );
            return;
        }
        if labels.has(Labels::DOTENV.with(Labels::ENV_SECRET)) {
            let kin = data.sources.iter().any(|s| akin(s, &host));
            if worst == Trust::Hiding && !kin {
                self.report(
                    "secret-to-stranger",
                    Level::High,
                    line,
                    format!("sends {what} to {host}, an anonymous address"),
                );
            } else if worst == Trust::Stranger && !kin {
                let severity =
                    if labels.has(Labels::DOTENV) && upload { Level::Medium } else { Level::Low };
                self.report(
                    "secret-to-stranger",
                    severity,
                    line,
                    format!("sends {what} to {host}, which the skill never names"),
                );
            }
            return;
        }
        // A shortener keeps an address, not data.
        let inbox = urls.iter().any(|u| {
            trust(self.content, self.purpose, u) == Trust::Hiding
                && !u.is(self.content, HostClass::Shortener)
        });
        if worst == Trust::Hiding && upload && inbox {
            self.report(
                "drop-host",
                Level::Medium,
                line,
                format!("posts data to {host}, where nobody can tell who reads it"),
            );
            return;
        }
        if upload && labels.has(Labels::LOCAL_FILE) && worst == Trust::Stranger {
            let free = urls.iter().any(|u| u.is(self.content, HostClass::FreeHosting));
            let explained = self.purpose.has(crate::content::Concept::PurposeSend) && !free;
            let severity = if explained { Level::Low } else { Level::Medium };
            self.report(
                "file-upload",
                severity,
                line,
                format!("uploads a local file to {host}, which nothing else in the skill explains"),
            );
        } else if upload && worst == Trust::Stranger && !self.runs() {
            self.report(
                "file-upload",
                Level::Low,
                line,
                format!("posts to {host}, which nothing else in the skill explains"),
            );
        }
    }
}

/// The private half of a key, or a folder of them.
fn private_key(path: &str) -> bool {
    let path = path.trim_end_matches(['/', '*']);
    path.ends_with("/.ssh")
        || path.contains(".ssh/id_") && !path.ends_with(".pub")
        || path.contains(".gnupg")
        || path.ends_with("wallet.dat")
        || path.contains("keystore")
}

/// A secret's name and a host speak of the same service.
fn akin(secret: &str, host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    secret.to_ascii_lowercase().split(|c: char| !c.is_ascii_alphanumeric()).any(|part| {
        part.len() >= 3
            && !matches!(
                part,
                "api"
                    | "key"
                    | "token"
                    | "secret"
                    | "auth"
                    | "env"
                    | "access"
                    | "password"
                    | "the"
                    | "pass"
                    | "app"
                    | "com"
                    | "private"
            )
            && host.contains(part)
    })
}
