//! What code does, held against what the skill says it is for.
//!
//! Sinks alone do not decide: an API client reads a key and calls a host by design. What decides
//! is the conjunction of source, sink, host and declared purpose, written out per act below.

mod machine;
mod more;
mod net;
mod trust;

use crate::code::flow::Flow;
use crate::code::value::{Act, Event, Labels, Value};
use crate::content::Content;
use crate::purpose::Purpose;
use crate::report::{Capabilities, Findings};
use crate::text::clip;
use crate::text::urls::{self, Url};
use seawall_model::finding::Level;
pub(crate) use trust::{Trust, fictive, placeholder, trust};

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

    /// Judges what `flow` has seen, and takes it out.
    pub(crate) fn judge(&mut self, flow: &mut Flow<'_>) {
        let events = std::mem::take(&mut flow.events);
        if let Some(why) = flow.lost.take() {
            // A fence is read to the end by a person; a script runs to its end.
            let severity = if self.runs() { Level::Medium } else { Level::Low };
            self.report("not-followed", severity, 0, format!("the code {why}"));
        }
        self.events(&events);
    }

    fn events(&mut self, events: &[Event]) {
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
            Act::Give { program, data } => self.give(line, program, data),
            Act::OpenDoor { how } => self.open_door(line, how),
            Act::CoverTracks { how } => self.cover_tracks(line, how),
            Act::ForeignPackage { what, place } => self.foreign_package(line, what, place),
            Act::Sweep { how } => self.sweep(line, how),
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

pub(crate) fn topics(list: &[&str]) -> Vec<String> {
    list.iter().map(|t| (*t).to_owned()).collect()
}
