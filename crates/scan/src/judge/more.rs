//! Programs that get secrets, doors, traces, packages from elsewhere, documents deleted by pattern.

use super::{Judge, Trust, topics, trust};
use crate::code::value::{Labels, MORE_SOURCES, Value};
use crate::content::HostClass;
use crate::report::Capabilities;
use crate::text::clip;
use crate::text::urls;
use seawall_model::finding::Level;

impl Judge<'_, '_> {
    /// Every sensitive source has a topic that the skill is about.
    pub(super) fn explained(&self, data: &Value) -> bool {
        data.sources.iter().all(|s| s != MORE_SOURCES)
            && data
                .sources
                .iter()
                .filter_map(|s| self.content.secret_at(s))
                .all(|(_, entry)| self.purpose.about(&entry.topics))
    }

    pub(super) fn give(&mut self, line: u32, program: &str, data: &Value) {
        // The skill's own script is looked at by itself.
        let own = program.contains('.') && !program.contains('/');
        let severity = if self.explained(data) && !data.labels.has(Labels::TYPED_SECRET) || own {
            Level::Info
        } else {
            Level::Medium
        };
        let what = data.sources.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
        self.report(
            "secret-to-program",
            severity,
            line,
            format!("gives {} to `{}`", clip(&what, 80), clip(program, 40)),
        );
    }

    pub(super) fn open_door(&mut self, line: u32, how: &str) {
        let explained = self.purpose.about(&topics(&[
            "tunnel",
            "expos",
            "ngrok",
            "webhook",
            "shar",
            "remote",
            "server",
            "deploy",
            "host",
            "preview",
            "public",
            "cloudflare",
            "tailscale",
            "desktop",
            "callback",
            "oauth",
            "vnc",
            "network",
            "gateway",
            "access",
            "demo",
        ]));
        let severity = match (explained, self.runs()) {
            (true, _) => Level::Info,
            (false, true) => Level::Medium,
            (false, false) => Level::Low,
        };
        self.report(
            "open-door",
            severity,
            line,
            format!("lets machines outside in: `{}`", clip(how, 80)),
        );
    }

    pub(super) fn cover_tracks(&mut self, line: u32, how: &str) {
        let explained = self.purpose.about(&topics(&[
            "log",
            "logs",
            "clean",
            "disk",
            "journal",
            "privacy",
            "history",
            "rotat",
            "maintenance",
        ]));
        let severity = match (explained, self.runs()) {
            (true, _) => Level::Low,
            (false, true) => Level::High,
            (false, false) => Level::Medium,
        };
        self.report("cover-tracks", severity, line, format!("removes traces: `{}`", clip(how, 80)));
    }

    pub(super) fn foreign_package(&mut self, line: u32, what: &str, place: &Value) {
        Capabilities::add(&mut self.capabilities.installs, what);
        let urls: Vec<urls::Url> =
            place.texts.iter().flat_map(|text| urls::find(text, 4)).collect();
        let Some(url) = urls.iter().max_by_key(|u| trust(self.content, self.purpose, u)) else {
            return;
        };
        let code = url.is(self.content, HostClass::CodeHosting);
        let severity = match trust(self.content, self.purpose, url) {
            Trust::Nobody | Trust::Known => Level::Info,
            _ if code => Level::Info,
            Trust::Hiding => Level::High,
            // A name is the author's own choice: an index of packages that matches it proves nothing.
            Trust::Declared | Trust::Mentioned | Trust::Stranger => Level::Medium,
        };
        let host = url.host.clone();
        self.report(
            "foreign-package",
            severity,
            line,
            format!("installs packages from {host}: `{}`", clip(what, 80)),
        );
    }

    pub(super) fn sweep(&mut self, line: u32, how: &str) {
        let explained = self.purpose.about(&topics(&[
            "clean", "tidy", "delet", "remov", "disk", "dedup", "duplicat", "organi", "purge",
            "trash", "archiv",
        ]));
        let severity = match (explained, self.runs()) {
            (true, _) => Level::Info,
            (false, true) => Level::Medium,
            (false, false) => Level::Low,
        };
        self.report(
            "sweep",
            severity,
            line,
            format!("deletes the user's documents by a pattern: `{}`", clip(how, 60)),
        );
    }
}
