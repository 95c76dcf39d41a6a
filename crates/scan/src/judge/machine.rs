//! What stays on the machine: files, settings, memory, things that run again, things deleted.

use super::{Judge, topics};
use crate::code::value::{Labels, Value};
use crate::content::PlaceKind;
use crate::report::Capabilities;
use crate::text::clip;
use seawall_model::finding::Level;

impl Judge<'_, '_> {
    pub(super) fn write(&mut self, line: u32, path: &str, data: &Value) {
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

    pub(super) fn persist(&mut self, line: u32, how: &str, data: &Value) {
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

    pub(super) fn weaken(&mut self, line: u32, how: &str) {
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

    pub(super) fn delete(&mut self, line: u32, path: &str) {
        // Whatever lies where it is run, or above: nobody knows what that is.
        let above = matches!(path.trim_end_matches(['*', '/']), ".." | "../.." | "../../..");
        let here = matches!(path, "*" | "./*" | "." | "./" | "./.*" | ".*");
        if above || here {
            let severity = match (above, self.runs()) {
                (true, true) => Level::High,
                (true, false) | (false, true) => Level::Medium,
                (false, false) => Level::Low,
            };
            return self.report(
                "destructive",
                severity,
                line,
                format!("deletes everything in the folder that it is run in: `{}`", clip(path, 40)),
            );
        }
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
