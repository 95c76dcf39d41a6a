//! Files that make something run without being called: package scripts, editor and agent
//! settings, install entries in the front matter.

use crate::code::flow::Flow;
use crate::code::{self, Language};
use crate::content::Content;
use crate::content::HostClass;
use crate::judge::{Judge, Place};
use crate::purpose::Purpose;
use crate::report::{Capabilities, Findings};
use seawall_model::finding::Level;
use serde_json::Value as Json;

/// Commands that packages run on install for honest reasons.
const ORDINARY: &[&str] = &[
    "husky",
    "npm run build",
    "tsc",
    "node-gyp",
    "patch-package",
    "playwright install",
    "prebuild-install",
    "electron-builder",
    "npm run compile",
    "ngcc",
    "prisma generate",
    "simple-git-hooks",
    "lefthook",
    "pnpm build",
    "yarn build",
    "bun run build",
    "npx tsc",
    "exit 0",
    "echo ",
    "npx playwright install",
    "npx patch-package",
    "npx husky",
    "npm run prepare",
];

pub(crate) struct Manifest<'a, 'f> {
    pub(crate) content: &'a Content,
    pub(crate) purpose: &'a Purpose,
    pub(crate) findings: &'f mut Findings<'a>,
    pub(crate) capabilities: &'f mut Capabilities,
    pub(crate) file: &'a str,
}

impl<'a> Manifest<'a, '_> {
    /// Reads a file if its name makes it a manifest.
    pub(crate) fn read(&mut self, text: &str) {
        let path = self.file.to_ascii_lowercase();
        let name = path.rsplit(['/', '!']).next().unwrap_or(&path).to_owned();
        match name.as_str() {
            "package.json" => self.package(text),
            "settings.json" | "settings.local.json"
                if path.contains(".claude/")
                    || path.contains(".gemini/")
                    || path.contains(".codex/")
                    || path.contains(".cursor/") =>
            {
                self.agent_settings(text)
            }
            "hooks.json"
                if path.contains("hooks/")
                    || path.contains(".claude")
                    || path.contains("plugin") =>
            {
                self.hooks(text)
            }
            "tasks.json" | "settings.json" if path.contains(".vscode/") => self.editor(text),
            ".mcp.json" | "mcp.json" | "mcp_config.json" => self.mcp(text),
            "devcontainer.json" => self.editor(text),
            ".npmrc" | "pip.conf" => self.registry(text),
            "setup.py" if text.contains("cmdclass") => {
                let file = self.file;
                self.findings.add_at(
                    "install-hook",
                    Level::Low,
                    file,
                    0,
                    "setup.py replaces install commands with its own",
                );
            }
            _ if path.contains(".git/hooks/")
                || path.starts_with(".husky/") && !path.contains("_/") =>
            {
                let file = self.file;
                self.findings.add_at(
                    "install-hook",
                    Level::Low,
                    file,
                    0,
                    "a hook that git runs by itself",
                );
            }
            _ => {}
        }
    }

    fn command(&mut self, command: &str, line: u32, place: Place) -> usize {
        let mut flow = Flow::new(self.content, line.saturating_sub(1));
        code::analyse(&mut flow, Language::Shell, command);
        let before = self.findings.list().iter().filter(|f| f.severity >= Level::Medium).count();
        Judge {
            content: self.content,
            purpose: self.purpose,
            findings: self.findings,
            capabilities: self.capabilities,
            file: self.file,
            place,
            sample: false,
        }
        .judge(&mut flow);
        self.findings.list().iter().filter(|f| f.severity >= Level::Medium).count() - before
    }

    fn package(&mut self, text: &str) {
        let Ok(json) = serde_json::from_str::<Json>(text) else { return };
        let Some(scripts) = json.get("scripts").and_then(Json::as_object) else { return };
        for name in
            ["preinstall", "install", "postinstall", "prepare", "prepublish", "preuninstall"]
        {
            let Some(command) = scripts.get(name).and_then(Json::as_str) else { continue };
            let line = line_with(text, name);
            // One ordinary command alone: what is chained to it is looked at.
            let alone = !command.contains([';', '|', '&', '`', '$', '>', '<', '\n']);
            if alone && ORDINARY.iter().any(|o| command.trim_start().starts_with(o)) {
                continue;
            }
            let harm = self.command(command, line, Place::Lifecycle);
            // `node -e "…"` in a lifecycle script hides code in a manifest.
            let inline = command.contains(" -e ")
                || command.contains("--eval")
                || command.contains("http")
                || command.contains("base64");
            let severity = if harm > 0 || inline {
                Level::High
            } else if name == "prepare" || name == "prepublish" {
                Level::Info
            } else {
                Level::Low
            };
            let file = self.file;
            self.findings.add_at(
                "install-hook",
                severity,
                file,
                line,
                format!("`{name}` runs `{}` on install", crate::text::clip(command, 80)),
            );
        }
    }

    fn agent_settings(&mut self, text: &str) {
        let Some(json) = loose(text) else { return };
        let file = self.file;
        if json.get("enableAllProjectMcpServers").and_then(Json::as_bool) == Some(true) {
            self.findings.add(
                "agent-hook",
                file,
                line_with(text, "enableAllProjectMcpServers"),
                "settings that approve every MCP server of the folder",
            );
        }
        let allow = json.pointer("/permissions/allow").and_then(Json::as_array);
        let broad = allow.is_some_and(|list| {
            list.iter()
                .filter_map(Json::as_str)
                .any(|p| matches!(p, "*" | "Bash" | "Bash(*)" | "Bash(*:*)"))
        });
        let bypass = json.pointer("/permissions/defaultMode").and_then(Json::as_str)
            == Some("bypassPermissions");
        if broad || bypass {
            self.findings.add(
                "agent-hook",
                file,
                line_with(text, "permissions"),
                "settings that let every command run without asking",
            );
        }
        if json.get("apiKeyHelper").is_some() || json.pointer("/env/ANTHROPIC_BASE_URL").is_some() {
            self.findings.add(
                "agent-hook",
                file,
                0,
                "settings that redirect the model's traffic or key",
            );
        }
        self.hooks(text);
    }

    fn hooks(&mut self, text: &str) {
        let Some(json) = loose(text) else { return };
        let hooks = json.get("hooks").cloned().unwrap_or(Json::Null);
        let mut commands = Vec::new();
        strings_named(&hooks, "command", 0, &mut commands);
        for command in commands {
            let line = line_with(text, &command.chars().take(24).collect::<String>());
            let harm = self.command(&command, line, Place::Lifecycle);
            let remote = command.contains("://");
            let severity = if harm > 0 || remote { Level::High } else { Level::Low };
            let file = self.file;
            self.findings.add_at(
                "agent-hook",
                severity,
                file,
                line,
                format!("a hook of the agent runs `{}`", crate::text::clip(&command, 80)),
            );
        }
    }

    fn editor(&mut self, text: &str) {
        let file = self.file;
        if text.contains("folderOpen") {
            self.findings.add(
                "agent-hook",
                file,
                line_with(text, "folderOpen"),
                "a task that the editor runs when the folder is opened",
            );
        }
        let Some(json) = loose(text) else { return };
        for key in [
            "postCreateCommand",
            "postStartCommand",
            "initializeCommand",
            "onCreateCommand",
            "command",
        ] {
            let mut commands = Vec::new();
            strings_named(&json, key, 0, &mut commands);
            for command in commands {
                self.command(&command, line_with(text, key), Place::Lifecycle);
            }
        }
        if text.contains("\"chat.tools.autoApprove\"")
            || text.contains("\"security.workspace.trust.enabled\": false")
        {
            self.findings.add(
                "agent-hook",
                file,
                0,
                "editor settings that approve tools or trust folders by themselves",
            );
        }
    }

    fn mcp(&mut self, text: &str) {
        let Some(json) = loose(text) else { return };
        let Some(servers) =
            json.get("mcpServers").or_else(|| json.get("servers")).and_then(Json::as_object)
        else {
            return;
        };
        let file = self.file;
        for (name, server) in servers {
            let mut parts =
                vec![server.get("command").and_then(Json::as_str).unwrap_or("").to_owned()];
            parts.extend(
                server
                    .get("args")
                    .and_then(Json::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(Json::as_str)
                    .map(|a| format!("'{}'", a.replace('\'', ""))),
            );
            let command = parts.join(" ");
            let line = line_with(text, name);
            let harm = if command.trim().is_empty() {
                0
            } else {
                self.command(&command, line, Place::Lifecycle)
            };
            let severity = if harm > 0 { Level::High } else { Level::Low };
            self.findings.add_at(
                "mcp-server",
                severity,
                file,
                line,
                format!("brings the MCP server `{}`", crate::text::clip(name, 60)),
            );
        }
    }

    fn registry(&mut self, text: &str) {
        for url in crate::text::urls::find(text, 8) {
            if !url.is(self.content, HostClass::Registry)
                && !self.purpose.declares(self.content, &url.host, &url.path)
            {
                let file = self.file;
                self.findings.add_at(
                    "install-hook",
                    Level::Medium,
                    file,
                    0,
                    format!("packages come from {} instead of the registry", url.host),
                );
            }
        }
    }

    /// Install entries of a skill's front matter (`metadata.…​.install[]`).
    pub(crate) fn front(&mut self, front: &str) {
        for marker in ["\"command\":", "command:", "\"script\":", "\"run\":"] {
            for (at, _) in front.match_indices(marker).take(16) {
                let rest = front.get(at + marker.len()..).unwrap_or("").trim_start();
                let text = match rest.chars().next() {
                    Some(quote @ ('"' | '\'')) => {
                        rest.get(1..).unwrap_or("").split(quote).next().unwrap_or("")
                    }
                    _ => rest.lines().next().unwrap_or(""),
                };
                if text.len() > 3 {
                    let line = crate::text::line_of(front, at) + 1;
                    self.command(&text.replace("\\\"", "\""), line, Place::Lifecycle);
                }
            }
        }
    }
}

/// JSON with comments and trailing commas, as editors accept it.
fn loose(text: &str) -> Option<Json> {
    if let Ok(json) = serde_json::from_str(text) {
        return Some(json);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' if quoted => {
                out.push(c);
                if let Some(next) = chars.next() {
                    out.push(next);
                }
            }
            '"' => {
                quoted = !quoted;
                out.push(c);
            }
            '/' if !quoted && chars.peek() == Some(&'/') => {
                for c in chars.by_ref() {
                    if c == '\n' {
                        break;
                    }
                }
            }
            '/' if !quoted && chars.peek() == Some(&'*') => {
                let mut last = ' ';
                for c in chars.by_ref() {
                    if last == '*' && c == '/' {
                        break;
                    }
                    last = c;
                }
            }
            ',' if !quoted => {
                let next = chars.clone().find(|c| !c.is_whitespace());
                if !matches!(next, Some('}' | ']')) {
                    out.push(c);
                }
            }
            _ => out.push(c),
        }
    }
    serde_json::from_str(&out).ok()
}

fn strings_named(json: &Json, key: &str, depth: usize, out: &mut Vec<String>) {
    if depth > 24 || out.len() > 64 {
        return;
    }
    match json {
        Json::Object(map) => {
            for (name, value) in map {
                match value {
                    Json::String(text) if name == key => out.push(text.clone()),
                    _ => strings_named(value, key, depth + 1, out),
                }
            }
        }
        Json::Array(list) => list.iter().for_each(|v| strings_named(v, key, depth + 1, out)),
        _ => {}
    }
}

fn line_with(text: &str, needle: &str) -> u32 {
    text.find(needle).map_or(0, |at| crate::text::line_of(text, at))
}
