//! What code does, held against what the skill says it is for.
//!
//! Sinks alone do not decide: an API client reads a key and calls a host by design. What decides
//! is the conjunction of source, sink, host and declared purpose, written out per act below.

use crate::code::value::{Act, Event, HOLE, Labels, Value};
use crate::content::{Content, HostClass, PlaceKind};
use crate::purpose::Purpose;
use crate::report::{Capabilities, Findings};
use crate::text::clip;
use crate::text::urls::{self, Url};
use seawall_model::finding::Level;

/// Where code stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A file that runs.
    Script,
    /// A fence or span in a document: the agent may run it.
    Document,
    /// A command that runs on install.
    Lifecycle,
}

pub(crate) struct Judge<'a, 'f> {
    pub(crate) content: &'a Content,
    pub(crate) purpose: &'a Purpose,
    pub(crate) findings: &'f mut Findings<'a>,
    pub(crate) capabilities: &'f mut Capabilities,
    pub(crate) file: &'a str,
    pub(crate) place: Place,
    /// Under a heading about attacks, or among test data of a security tool.
    pub(crate) sample: bool,
}

/// How a host stands to the skill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trust {
    /// The machine itself, documentation.
    Nobody,
    /// Registries and well-known installers.
    Known,
    /// Part of what the skill says it is.
    Declared,
    /// Named in the documents, not declared.
    Mentioned,
    /// Anything else.
    Stranger,
    /// Of a kind that hides who is behind it.
    Hiding,
}

pub(crate) fn trust(content: &Content, purpose: &Purpose, url: &Url) -> Trust {
    let is = |class| url.is(content, class);
    if urls::local(&url.host)
        || is(HostClass::Example)
        || url.host.contains(HOLE)
        || placeholder(&url.host)
    {
        return Trust::Nobody;
    }
    if url.numeric()
        || is(HostClass::Drop)
        || is(HostClass::Tunnel)
        || is(HostClass::Paste)
        || is(HostClass::Shortener)
    {
        return if purpose.declares(content, &url.host, &url.path) && !url.numeric() {
            Trust::Declared
        } else {
            Trust::Hiding
        };
    }
    if is(HostClass::MessengerHook) && !placeholder(&url.path) && url.path.len() > 30 {
        return Trust::Hiding;
    }
    if is(HostClass::Installer) || is(HostClass::Registry) || is(HostClass::Platform) {
        return Trust::Known;
    }
    if is(HostClass::CodeHosting) {
        // Whose repository counts, not whose host.
        let owner =
            url.path.trim_start_matches('/').split('/').take(2).collect::<Vec<_>>().join("-");
        return if purpose.declares(content, &format!("{}.x", owner.to_lowercase()), "") {
            Trust::Declared
        } else {
            Trust::Mentioned
        };
    }
    if purpose.declares(content, &url.host, &url.path) {
        return Trust::Declared;
    }
    if is(HostClass::FileShare) {
        return Trust::Hiding;
    }
    if purpose.mentioned(&url.host) > 2 { Trust::Mentioned } else { Trust::Stranger }
}

/// `YOUR-HOST`, `<host>`, `xxx`, `…`: to be filled in by the user.
pub(crate) fn placeholder(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    text.contains(['<', '{', '$', '…', HOLE, '['])
        || [
            "your",
            "xxx",
            "...",
            "example",
            "placeholder",
            "my-",
            "<",
            "host:port",
            "yyy",
            "token_here",
            "000000",
            "abc123",
            "changeme",
        ]
        .iter()
        .any(|w| lower.contains(w))
}

impl Judge<'_, '_> {
    fn report(&mut self, rule: &str, severity: Level, line: u32, message: String) {
        let severity = if !self.sample {
            severity
        } else if self.purpose.security() {
            Level::Info
        } else {
            match severity {
                Level::Critical | Level::High => Level::Medium,
                Level::Medium => Level::Low,
                other => other,
            }
        };
        let file = self.file;
        self.findings.add_at(rule, severity, file, line, message);
    }

    fn runs(&self) -> bool {
        self.place != Place::Document
    }

    pub(crate) fn judge(&mut self, events: &[Event]) {
        let shell = events.iter().any(|e| matches!(&e.act, Act::Program { name } if matches!(name.as_str(), "sh" | "bash" | "zsh" | "cmd" | "powershell")));
        let redirects = events.iter().filter(|e| matches!(e.act, Act::Redirects)).count();
        let socket = events.iter().any(|e| matches!(e.act, Act::Net { .. }));
        if redirects >= 2 && socket && shell {
            let line =
                events.iter().find(|e| matches!(e.act, Act::Redirects)).map_or(0, |e| e.line);
            self.report(
                "reverse-shell",
                Level::Critical,
                line,
                "connects the input and output of a shell to a socket".into(),
            );
        }
        for event in events {
            self.act(event);
        }
    }

    fn act(&mut self, event: &Event) {
        let line = event.line;
        match &event.act {
            Act::Net { urls, data, upload, hidden } => {
                if *hidden {
                    let host = urls.first().map_or("an address", |u| u.host.as_str()).to_owned();
                    self.report(
                        "hidden-address",
                        Level::High,
                        line,
                        format!("the address of {host} is encoded so that nobody reads it"),
                    );
                }
                self.net(line, urls, data, *upload);
            }
            Act::Run { what, name } => self.run(line, what, name, false),
            Act::Eval { what } => self.run(line, what, "", true),
            Act::Program { name } => Capabilities::add(&mut self.capabilities.programs, name),
            Act::Read { path } => Capabilities::add(&mut self.capabilities.reads, path),
            Act::Write { path, data } => self.write(line, path, data),
            Act::Delete { path } => self.delete(line, path),
            Act::Install { what } => Capabilities::add(&mut self.capabilities.installs, what),
            Act::Persist { how } => self.persist(line, how, &Value::default()),
            Act::Weaken { how } => self.weaken(line, how),
            Act::ReverseShell { how } => {
                let severity =
                    if !self.runs() && to_be_filled_in(how) { Level::Low } else { Level::Critical };
                self.report(
                    "reverse-shell",
                    severity,
                    line,
                    format!("gives a shell to another machine: `{}`", clip(how, 80)),
                );
            }
            Act::Redirects => {}
            Act::Prompt { how } => self.report(
                "password-prompt",
                Level::High,
                line,
                format!("asks for the user's password: {}", clip(how, 80)),
            ),
            Act::Secret { name } => Capabilities::add(&mut self.capabilities.reads, name),
            Act::Mine { how } => self.report(
                "miner",
                Level::High,
                line,
                format!("mines cryptocurrency: `{}`", clip(how, 80)),
            ),
            Act::SkillInstall { what } => {
                let explained = self.purpose.about(&topics(&[
                    "skill",
                    "install",
                    "clawhub",
                    "plugin",
                    "marketplace",
                ]));
                let severity = if self.runs() && !explained { Level::Medium } else { Level::Info };
                self.report(
                    "skill-install",
                    severity,
                    line,
                    format!("installs a skill or plugin: `{}`", clip(what, 80)),
                );
            }
        }
    }

    fn net(&mut self, line: u32, urls: &[Url], data: &Value, upload: bool) {
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
            let explained = data
                .sources
                .iter()
                .filter_map(|s| self.content.secret_at(s))
                .all(|(_, entry)| self.purpose.about(&entry.topics));
            let severity = match worst {
                Trust::Hiding => Level::Critical,
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

    fn run(&mut self, line: u32, what: &Value, name: &str, eval: bool) {
        if what.labels.has(Labels::DECODED) {
            let text = what.likely().map(|t| clip(t, 100)).unwrap_or_default();
            let shown = if text.is_empty() { String::new() } else { format!(": `{text}`") };
            let severity =
                if what.labels.has(Labels::DOWNLOADED) { Level::Critical } else { Level::High };
            self.report("decode-run", severity, line, format!("decodes text and runs it{shown}"));
            return;
        }
        if what.labels.has(Labels::DOWNLOADED) {
            self.download_run(line, what);
            return;
        }
        if eval && what.texts.is_empty() && self.runs() {
            self.report(
                "dynamic-code",
                Level::Info,
                line,
                "runs code that is made at run time".into(),
            );
        }
        let _ = name;
    }

    fn download_run(&mut self, line: u32, what: &Value) {
        if what.sources.iter().any(|s| s == SOCKET) {
            return self.report(
                "reverse-shell",
                Level::Critical,
                line,
                "runs what comes out of a raw socket".into(),
            );
        }
        if what.sources.iter().any(|s| s == NAME_SERVER) {
            return self.report(
                "download-run",
                Level::High,
                line,
                "runs what a name server answers".into(),
            );
        }
        let urls: Vec<Url> = what
            .sources
            .iter()
            .flat_map(|s| {
                let found = urls::find(s, 4);
                if found.is_empty() {
                    urls::parse(&format!("https://{s}"), 0)
                        .into_iter()
                        .filter(|u| u.host.contains('.'))
                        .collect()
                } else {
                    found
                }
            })
            .collect();
        let Some(url) = urls.iter().max_by_key(|u| trust(self.content, self.purpose, u)) else {
            let severity = if self.runs() { Level::Medium } else { Level::Low };
            self.report(
                "download-run",
                severity,
                line,
                "runs what it downloads from an address made at run time".into(),
            );
            return;
        };
        let trust = trust(self.content, self.purpose, url);
        let plain = url.scheme == "http";
        let host = url.host.clone();
        let severity = match trust {
            Trust::Nobody if fictive(url) => Level::Medium,
            Trust::Nobody | Trust::Known => Level::Info,
            Trust::Declared if !plain => Level::Low,
            Trust::Declared => Level::Medium,
            Trust::Mentioned if !plain => Level::Medium,
            Trust::Stranger if !plain => Level::Medium,
            Trust::Mentioned | Trust::Stranger => Level::High,
            Trust::Hiding => Level::Critical,
        };
        if severity <= Level::Low {
            self.report(
                "plain-download",
                severity,
                line,
                format!("runs an installer straight from {host}"),
            );
        } else {
            self.report(
                "download-run",
                severity,
                line,
                format!("downloads from {host} and runs what comes"),
            );
        }
    }

    fn write(&mut self, line: u32, path: &str, data: &Value) {
        let outside = path.starts_with(['/', '~', '$'])
            && !path.starts_with("/tmp")
            && !path.starts_with("/dev");
        if outside {
            Capabilities::add(&mut self.capabilities.writes, path);
        }
        let foreign = data.labels.has(Labels::DOWNLOADED.with(Labels::DECODED));
        let shown = clip(path, 80);
        match self.content.place_at(path) {
            Some(PlaceKind::Persistence) => self.persist(line, path, data),
            Some(PlaceKind::Memory) => {
                Capabilities::add(&mut self.capabilities.instructions, "memory");
                let explained = self.purpose.about(&topics(&[
                    "memory",
                    "agent",
                    "soul",
                    "identity",
                    "workspace",
                    "openclaw",
                    "context",
                    "learn",
                    "journal",
                    "persona",
                    "claude",
                    "rules",
                    "bootstrap",
                    "heartbeat",
                    "session",
                    "self",
                    "init",
                    "setup",
                    "onboard",
                ]));
                let severity = match (foreign, self.runs(), explained) {
                    (true, _, _) => Level::High,
                    (false, true, false) => Level::Medium,
                    _ => Level::Info,
                };
                self.report(
                    "memory-write",
                    severity,
                    line,
                    format!("writes `{shown}`, which the agent obeys in every session"),
                );
            }
            Some(PlaceKind::Settings) => {
                Capabilities::add(&mut self.capabilities.instructions, "settings");
                let explained = self.purpose.about(&topics(&[
                    "config",
                    "setting",
                    "mcp",
                    "permission",
                    "hook",
                    "claude",
                    "openclaw",
                    "setup",
                    "install",
                    "gateway",
                    "plugin",
                    "dns",
                    "hosts",
                    "vscode",
                    "cursor",
                    "model",
                    "proxy",
                    "security",
                ]));
                let severity = match (foreign, self.runs(), explained) {
                    (true, _, _) => Level::High,
                    (false, true, false) => Level::Medium,
                    _ => Level::Info,
                };
                self.report(
                    "settings-write",
                    severity,
                    line,
                    format!("writes settings: `{shown}`"),
                );
            }
            Some(PlaceKind::Skills) if foreign => {
                let severity = if self.runs() { Level::Medium } else { Level::Low };
                self.report(
                    "skill-install",
                    severity,
                    line,
                    format!("puts what it downloads among the agent's skills: `{shown}`"),
                );
            }
            _ => {}
        }
    }

    fn persist(&mut self, line: u32, how: &str, data: &Value) {
        Capabilities::add(&mut self.capabilities.persistence, how);
        let keys = ["authorized_keys", "ld.so.preload", "sudoers"].iter().any(|w| how.contains(w));
        let explained = self.purpose.about(&topics(&[
            "schedul",
            "cron",
            "daemon",
            "service",
            "startup",
            "launch",
            "background",
            "monitor",
            "shell",
            "setup",
            "install",
            "remind",
            "hook",
            "watch",
            "autostart",
            "periodic",
            "sync",
            "daily",
            "alias",
            "git",
            "systemd",
            "automat",
            "server",
            "deploy",
            "timer",
            "backup",
            "heartbeat",
            "gateway",
        ]));
        let foreign = data.labels.has(Labels::DOWNLOADED.with(Labels::DECODED));
        let severity = match (foreign, keys && self.runs(), self.runs(), explained) {
            (true, _, _, _) => Level::High,
            (_, true, _, false) => Level::High,
            (_, _, true, false) => Level::Medium,
            _ => Level::Info,
        };
        self.report(
            "persistence",
            severity,
            line,
            format!("arranges to run again: `{}`", clip(how, 80)),
        );
    }

    fn weaken(&mut self, line: u32, how: &str) {
        Capabilities::add(&mut self.capabilities.instructions, "settings");
        let agents = self.purpose.about(&topics(&[
            "claude",
            "codex",
            "agent",
            "coding",
            "gemini",
            "cursor",
            "docker",
            "container",
            "sandbox",
            "openclaw",
            "gateway",
            "config",
        ]));
        let severity = match (self.runs(), agents) {
            (true, false) => Level::High,
            (true, true) => Level::Medium,
            (false, false) => Level::Medium,
            (false, true) => Level::Low,
        };
        self.report(
            "settings-weaken",
            severity,
            line,
            format!("takes protection away: `{}`", clip(how, 100)),
        );
    }

    fn delete(&mut self, line: u32, path: &str) {
        let root = matches!(path, "/" | "/*");
        let path = path.trim_end_matches('*').trim_end_matches('/');
        let whole = root
            || matches!(
                path,
                "~" | "$HOME"
                    | "${HOME}"
                    | "C:"
                    | "/home"
                    | "/Users"
                    | "/etc"
                    | "/usr"
                    | "/var"
                    | "~/Documents"
                    | "~/Desktop"
                    | "~/.ssh"
                    | "/System"
                    | "/Library"
                    | "~/Library"
            );
        if whole {
            self.report(
                "destructive",
                Level::High,
                line,
                format!("deletes `{}`", if root { "/" } else { path }),
            );
        } else if path == "~/.openclaw" {
            // Everything the agent is; a restore guide says so, a script does it.
            let severity = if self.runs() { Level::Medium } else { Level::Low };
            self.report("destructive", severity, line, format!("deletes `{path}`"));
        }
    }
}

/// `/dev/tcp/HOST/PORT`: capitals or a placeholder where the address would stand.
fn to_be_filled_in(how: &str) -> bool {
    how.split_once("/dev/tcp/").or_else(|| how.split_once("/dev/udp/")).is_some_and(|(_, rest)| {
        let host = rest.split('/').next().unwrap_or("");
        !host.is_empty()
            && (host.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
                || host.contains(['<', '[']))
    })
}

/// The source of what a raw socket yields.
pub(crate) const SOCKET: &str = "a raw socket";

/// The source of what a name server says.
pub(crate) const NAME_SERVER: &str = "a name server";

/// A name that is reserved for examples: nobody is behind it, and it is no local address either.
/// What stands there will be put in its place by whoever copies the line.
pub(crate) fn fictive(url: &Url) -> bool {
    !urls::local(&url.host)
        && !url.host.contains(HOLE)
        && !placeholder(&url.host.replace("example", ""))
}

pub(crate) fn topics(list: &[&str]) -> Vec<String> {
    list.iter().map(|t| (*t).to_owned()).collect()
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
