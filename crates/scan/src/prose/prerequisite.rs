//! Programs that a reader is told to fetch first: what is demanded, from where, and whether
//! anything uses it.

use super::{Prose, is_requirement};
use crate::content::{Concept as C, Concepts, HostClass};
use crate::judge::{Trust, trust};
use crate::markdown::{Block, Document, Kind};
use crate::text::urls::Url;
use seawall_model::finding::Level;
use std::cell::OnceCell;

/// Longest text of a link that is read for a name.
const MAX_LINK_TEXT: usize = 4_096;

impl Prose<'_, '_> {
    /// Demands a program from somewhere.
    #[expect(clippy::too_many_arguments, reason = "the context of one link, used once")]
    pub(super) fn link(
        &mut self,
        document: &Document,
        index: usize,
        block: &Block,
        named: &OnceCell<Option<String>>,
        window: Concepts,
        url: &Url,
        line: u32,
        sample: bool,
    ) {
        let trust = trust(self.content, self.purpose, url);
        if trust <= Trust::Known {
            return;
        }
        let here = block.concepts;
        let is = |class| url.is(self.content, class);
        let program = url.program();
        let unaccountable = is(HostClass::Paste)
            || is(HostClass::FileShare)
            || is(HostClass::Shortener)
            || is(HostClass::Drop)
            || is(HostClass::FreeHosting);
        // Lines of one list belong together: "download", "extract with password", "run".
        let near = here.union(window);
        let locked = near.all(&[C::Archive, C::Passphrase]) && passphrase_near(document, index);
        if program && locked && trust >= Trust::Declared && near.any(&[C::Obtain, C::Run]) {
            self.report(
                "locked-archive",
                Level::High,
                sample,
                line,
                format!(
                    "offers a program from {} in an archive whose password stands beside it",
                    url.host
                ),
            );
            return;
        }
        let pastes = here.has(C::Paste)
            && near.any(&[C::Terminal, C::Run])
            && near.any(&[C::Obtain, C::Necessity]);
        if pastes && (is(HostClass::Paste) || (trust >= Trust::Stranger && here.has(C::Terminal))) {
            self.report(
                "paste-command",
                Level::High,
                sample,
                line,
                format!("sends the reader to {} for a command to paste into a terminal", url.host),
            );
            return;
        }
        if !(near.has(C::Necessity) && here.has(C::Obtain)
            || (here.has(C::Necessity) && near.has(C::Obtain)))
        {
            return;
        }
        let demanded = program || is_requirement(document, index);
        let tool = self.tool(document, index, block, named, url);
        let used = tool.as_deref().is_none_or(|t| self.used(t));
        let impostor = tool.as_deref().is_some_and(|t| platform_name(t) && !official(t))
            || (platform_name(&url.host) && demanded);
        let runs = near.has(C::Run);
        let shown = tool.clone().unwrap_or_else(|| "a program".into());
        if impostor && (demanded || runs) && is_requirement(document, index) {
            self.report(
                "fake-prerequisite",
                Level::High,
                sample,
                line,
                format!(
                    "demands `{shown}`, which bears the platform's name and comes from {}",
                    url.host
                ),
            );
        } else if program && runs && !used {
            self.report(
                "fake-prerequisite",
                Level::High,
                sample,
                line,
                format!(
                    "demands `{shown}` from {}, to be run by hand, and never uses it",
                    url.host
                ),
            );
        } else if unaccountable && !used && demanded && is_requirement(document, index) {
            self.report("fake-prerequisite", Level::High, sample, line, format!("demands `{shown}` from {}, where nobody can tell whose it is, and never uses it", url.host));
        } else if !used
            && demanded
            && tool.is_some()
            && trust >= Trust::Stranger
            && is_requirement(document, index)
            && here.has(C::Obtain)
        {
            self.report(
                "fake-prerequisite",
                Level::Medium,
                sample,
                line,
                format!("demands `{shown}` from {}, and never uses it", url.host),
            );
        } else if program && runs && trust >= Trust::Stranger {
            self.report(
                "fake-prerequisite",
                Level::Medium,
                sample,
                line,
                format!("has the reader download and run a program from {}", url.host),
            );
        }
    }

    /// A demand without an address: the command below it tells.
    pub(super) fn no_link(
        &mut self,
        document: &Document,
        index: usize,
        block: &Block,
        window: Concepts,
        sample: bool,
    ) {
        let here = block.concepts;
        if here.all(&[C::Necessity, C::Obtain]) {
            let impostor = names(&block.text).find(|n| platform_name(n) && !official(n));
            if let Some(tool) = impostor.filter(|t| !self.used(t)) {
                self.report("fake-prerequisite", Level::Medium, sample, block.line, format!("demands `{tool}`, which bears the platform's name; nothing uses it, and nothing says where it is from"));
            }
        }
        if !here.has(C::Paste)
            || !here.union(window).has(C::Terminal)
            || !is_requirement(document, index)
        {
            return;
        }
        let next = document.blocks.get(index + 1).filter(|b| b.kind == Kind::Code);
        let encoded = next.is_some_and(|b| crate::encoded::command_in(&b.text).is_some());
        if encoded {
            self.report(
                "paste-command",
                Level::High,
                sample,
                block.line,
                "has the reader paste a command that is encoded".into(),
            );
        }
    }

    /// The program that a link is about: its link text, or the name beside the demand.
    /// `named` keeps the first name in the block, which is the same for all its links.
    fn tool(
        &self,
        document: &Document,
        index: usize,
        block: &Block,
        named: &OnceCell<Option<String>>,
        url: &Url,
    ) -> Option<String> {
        let mut from = url.at.saturating_sub(MAX_LINK_TEXT);
        while !block.text.is_char_boundary(from) {
            from += 1;
        }
        let before = block.text.get(from..url.at).unwrap_or("");
        if before.ends_with("](") {
            let text = before.trim_end_matches("](").rsplit('[').next().unwrap_or("");
            if let Some(name) = names(text).next() {
                return Some(name);
            }
        }
        if let Some(name) = named.get_or_init(|| names(&block.text).next()) {
            return Some(name.clone());
        }
        let from = index.saturating_sub(2);
        document
            .blocks
            .get(from..index)
            .unwrap_or(&[])
            .iter()
            .rev()
            .filter(|b| b.kind == Kind::Prose && b.concepts.has(C::Necessity))
            .find_map(|b| names(&b.text).next())
    }

    fn used(&self, tool: &str) -> bool {
        let tool = tool.to_ascii_lowercase();
        let stem = tool.split('.').next().unwrap_or(&tool);
        self.purpose.requires.iter().any(|r| r.eq_ignore_ascii_case(stem))
            || word_in(self.code, stem)
            || self.purpose.name.to_lowercase().contains(stem)
            || self
                .purpose
                .description
                .to_lowercase()
                .split(|c: char| !c.is_alphanumeric() && c != '-')
                .any(|w| w == stem)
    }
}

fn word_in(text: &str, word: &str) -> bool {
    if word.is_empty() {
        return true;
    }
    let wordy = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    text.match_indices(word).take(200).any(|(at, _)| {
        let begins = at == 0 || !wordy(text.as_bytes().get(at - 1));
        begins && !wordy(text.as_bytes().get(at + word.len()))
    })
}

/// The platform's own programs and packages.
fn official(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    matches!(
        lower.as_str(),
        "openclaw"
            | "clawdbot"
            | "clawhub"
            | "moltbot"
            | "openclaw.json"
            | "openclaw.ai"
            | "clawhub.ai"
            | "clawdbot.json"
    )
}

fn platform_name(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    ["openclaw", "clawdbot", "clawhub", "moltbot"].iter().any(|p| lower.contains(p))
}

/// Names of programs in prose: `OpenSSL`, `yt-dlp`, `AuthTool.exe`, `[Some Tool]`.
fn names(text: &str) -> impl Iterator<Item = String> + '_ {
    const COMMON: &[&str] = &[
        "macOS",
        "iOS",
        "GitHub",
        "YouTube",
        "OAuth",
        "README",
        "IMPORTANT",
        "MacOS",
        "JavaScript",
        "TypeScript",
        "PowerShell",
        "iPhone",
        "WhatsApp",
        "LinkedIn",
        "SKILL.md",
    ];
    text.split(|c: char| {
        c.is_whitespace()
            || matches!(c, '[' | ']' | '(' | ')' | '*' | '`' | ',' | '"' | '|' | '⚠' | '️')
    })
    .map(|w| w.trim_matches(|c: char| !c.is_alphanumeric()))
    .map(|w| w.trim_end_matches("'s").trim_end_matches("’s"))
    .filter(|w| {
        w.len() >= 4
            && w.len() <= 60
            && w.is_ascii()
            && !w.contains("://")
            && !w.contains('/')
            && !COMMON.contains(w)
    })
    .filter(|w| {
        let inner = w.get(1..).unwrap_or("");
        let camel = inner.bytes().any(|b| b.is_ascii_uppercase())
            && inner.bytes().any(|b| b.is_ascii_lowercase());
        let joined = w.contains('-')
            && w.split('-').all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric()))
            && !w.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let file = [".exe", ".zip", ".dmg", ".pkg", ".msi"]
            .iter()
            .any(|e| w.to_ascii_lowercase().ends_with(e));
        camel || (joined && !COMPOUND.contains(&w.to_ascii_lowercase().as_str())) || file
    })
    .map(str::to_owned)
}

/// Hyphenated words that are no programs.
const COMPOUND: &[&str] = &[
    "built-in",
    "add-on",
    "plug-in",
    "set-up",
    "sign-up",
    "log-in",
    "open-source",
    "command-line",
    "step-by-step",
    "real-time",
    "up-to-date",
    "pre-built",
    "pre-installed",
    "one-time",
    "third-party",
    "free-tier",
    "read-only",
    "first-time",
    "high-quality",
    "end-to-end",
    "self-hosted",
    "long-running",
    "high-level",
    "low-level",
    "client-side",
    "server-side",
    "out-of-the-box",
    "full-text",
    "cross-platform",
    "per-user",
    "opt-in",
    "follow-up",
    "double-click",
    "right-click",
];

/// Password and archive are named within the same three blocks.
fn passphrase_near(document: &Document, index: usize) -> bool {
    let from = index.saturating_sub(1);
    document.blocks.get(from..(index + 4).min(document.blocks.len())).unwrap_or(&[]).iter().any(
        |b| {
            b.concepts.has(C::Passphrase)
                && (b.concepts.has(C::Archive) || b.concepts.has(C::Obtain) || index > 0)
        },
    )
}
