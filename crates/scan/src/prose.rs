//! Instructions in prose, read with their context.
//!
//! A phrase alone never decides. What is quoted, tabulated, negated or under a heading about
//! attacks is talk about an attack. What is demanded of the agent or the reader counts, and how
//! much it counts depends on what stands beside it.

use crate::content::{Concept as C, Concepts, Content, HostClass};
use crate::judge::{Trust, topics, trust};
use crate::markdown::{Block, Document, Kind, sentences};
use crate::purpose::Purpose;
use crate::report::{Capabilities, Findings};
use crate::text::urls::{self, Url};
use crate::text::{clip, line_of, unicode};
use seawall_model::finding::Level;

/// Blocks before and after that belong to an instruction.
const WINDOW: usize = 6;

pub(crate) struct Prose<'a, 'f> {
    pub(crate) content: &'a Content,
    pub(crate) purpose: &'a Purpose,
    pub(crate) findings: &'f mut Findings<'a>,
    pub(crate) capabilities: &'f mut Capabilities,
    pub(crate) file: &'a str,
    /// Lower-case text of all code of the skill: what is really used.
    pub(crate) code: &'a str,
    /// The whole file is a sample.
    pub(crate) sample: bool,
}

impl<'a> Prose<'a, '_> {
    pub(crate) fn read(&mut self, document: &Document) {
        for (index, block) in document.blocks.iter().enumerate() {
            self.blob(document, index, block);
            if matches!(block.kind, Kind::Code | Kind::Table)
                || block.concepts == Concepts::default()
            {
                continue;
            }
            let sample = self.sample
                || document.sections.get(block.section).is_some_and(|s| s.about_attacks)
                || introduces_sample(document, index);
            self.block(document, index, block, sample);
        }
        self.front(document);
    }

    /// What is to be installed is written so that nobody can read it.
    fn blob(&mut self, document: &Document, index: usize, block: &Block) {
        if block.kind == Kind::Table || block.text.len() < 100 || !unreadable(&block.text) {
            return;
        }
        let from = index.saturating_sub(3);
        let near = document
            .blocks
            .get(from..=index)
            .unwrap_or(&[])
            .iter()
            .fold(Concepts::default(), |a, b| a.union(b.concepts));
        if near.has(C::Obtain) && near.any(&[C::Necessity, C::OsName, C::Run]) {
            let sample = self.sample
                || document.sections.get(block.section).is_some_and(|s| s.about_attacks);
            self.report(
                "encoded-blob",
                Level::Medium,
                sample,
                block.line,
                "what is to be installed is written as numbers or encoded text".into(),
            );
        }
    }

    /// The description is prose that the model reads before anything else.
    fn front(&mut self, document: &Document) {
        if document.front.is_empty() {
            return;
        }
        let folded = unicode::fold(&self.purpose.description.clone());
        let concepts = self.content.concepts(&folded);
        let links = urls::find(&document.front, 32);
        let fetched = links
            .iter()
            .any(|u| u.program() && trust(self.content, self.purpose, u) >= Trust::Mentioned);
        if concepts.all(&[C::Necessity, C::Obtain])
            && concepts.any(&[C::Passphrase, C::Archive])
            && concepts.has(C::Run)
        {
            let file = self.file;
            self.findings.add(
                "fake-prerequisite",
                file,
                1,
                "the description itself demands a download that is unpacked and run",
            );
        }
        if concepts.has(C::Override) && !self.purpose.security() {
            let file = self.file;
            self.findings.add(
                "override",
                file,
                1,
                "the description tries to override the agent's instructions",
            );
        }
        if fetched {
            let file = self.file;
            self.findings.add_at(
                "install-metadata",
                Level::Medium,
                file,
                1,
                "the front matter offers a program from an unaccountable place",
            );
        }
    }

    fn report(&mut self, rule: &str, severity: Level, sample: bool, line: u32, message: String) {
        let severity = match (sample, self.purpose.security()) {
            (false, _) => severity,
            (true, true) => Level::Info,
            (true, false) => match severity {
                Level::Critical | Level::High => Level::Medium,
                Level::Medium => Level::Low,
                other => other,
            },
        };
        let file = self.file;
        self.findings.add_at(rule, severity, file, line, message);
    }

    fn block(&mut self, document: &Document, index: usize, block: &Block, sample: bool) {
        let hidden = block.kind == Kind::Comment;
        let window = window(document, index);
        let links = urls::find(&block.text, 64);
        for url in &links {
            let line = block.line + line_of(&block.text, url.at) - 1;
            self.link(document, index, block, window, url, line, sample);
        }
        if links.is_empty() {
            self.no_link(document, index, block, window, sample);
        }
        let mut together = Concepts::default();
        for (at, sentence) in sentences(&block.text) {
            let line = block.line + line_of(&block.text, at) - 1;
            let folded = unicode::fold(sentence);
            let hits = self.content.hits(&folded);
            let mut spoken = Concepts::default();
            for hit in &hits {
                if !mentioned(&folded, hit.start, hit.end) {
                    spoken.insert(hit.concept);
                }
            }
            if spoken == Concepts::default() {
                continue;
            }
            let links: Vec<&Url> =
                links.iter().filter(|u| u.at >= at && u.at < at + sentence.len()).collect();
            self.sentence(sentence, spoken, block, window, &links, line, sample, hidden);
            if !spoken.has(C::Negation) {
                together = together.union(spoken);
            }
        }
        self.spread(block, together, &links, sample);
    }

    /// One act told in several sentences: what is taken in one, where it goes in the next. Weaker
    /// than one sentence that says both, so it only warns.
    fn spread(&mut self, block: &Block, together: Concepts, links: &[Url], sample: bool) {
        if !together.all(&[C::Send, C::Sensitive])
            || !together.any(&[C::Recurring, C::Conceal])
            || together.has(C::AttackTalk)
            || self.purpose.has(C::PurposeSend)
        {
            return;
        }
        let recipient =
            links.iter().find(|u| trust(self.content, self.purpose, u) >= Trust::Stranger);
        if let Some(url) = recipient {
            let line = block.line + line_of(&block.text, url.at) - 1;
            let host = url.host.clone();
            self.report(
                "send-out",
                Level::Medium,
                sample,
                line,
                format!("private data is taken here, and something is sent to {host} each time"),
            );
        }
    }

    /// Demands a program from somewhere.
    #[expect(clippy::too_many_arguments, reason = "the context of one link, used once")]
    fn link(
        &mut self,
        document: &Document,
        index: usize,
        block: &Block,
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
        let tool = self.tool(document, index, block, url);
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
    fn no_link(
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

    #[expect(clippy::too_many_arguments, reason = "the context of one sentence, used once")]
    fn sentence(
        &mut self,
        sentence: &str,
        c: Concepts,
        block: &Block,
        window: Concepts,
        links: &[&Url],
        line: u32,
        sample: bool,
        hidden: bool,
    ) {
        let shown = clip(sentence, 90);
        let negated = c.has(C::Negation);
        let stranger = links.iter().map(|u| trust(self.content, self.purpose, u)).max();
        let outside = stranger.is_some_and(|t| t >= Trust::Stranger)
            || (c.has(C::Sensitive)
                && links.iter().any(|u| {
                    trust(self.content, self.purpose, u) == Trust::Nobody
                        && crate::judge::fictive(u)
                }));
        let near = block.concepts.union(window);
        let acts = near.any(&[C::Send, C::Weaken, C::Money])
            || (near.has(C::Write) && near.has(C::MemoryFile))
            || (near.has(C::Fetch) && near.has(C::Run))
            || c.any(&[C::Sensitive, C::Integrity]);
        if c.has(C::Conceal) && !c.has(C::AttackTalk) {
            let severity = if hidden
                || (acts
                    && block.concepts.any(&[
                        C::Send,
                        C::Sensitive,
                        C::Weaken,
                        C::Money,
                        C::Integrity,
                        C::Fetch,
                        C::Run,
                        C::Write,
                    ])) {
                Level::Medium
            } else {
                Level::Low
            };
            let severity = if severity == Level::Medium
                && (c.any(&[C::Send, C::Money, C::Integrity])
                    || (block.concepts.has(C::Send) && block.concepts.has(C::Sensitive))
                    || hidden)
            {
                Level::High
            } else {
                severity
            };
            self.report(
                "conceal",
                severity,
                sample,
                line,
                format!("tells the agent to hide something: “{shown}”"),
            );
        }
        if c.has(C::Override) && !negated_before(sentence) {
            let severity = if self.purpose.security() || c.has(C::AttackTalk) {
                Level::Low
            } else {
                Level::High
            };
            self.report(
                "override",
                severity,
                sample,
                line,
                format!("tries to override the agent's instructions: “{shown}”"),
            );
        }
        if c.has(C::Money) && !negated {
            self.report(
                "payment-redirect",
                Level::High,
                sample,
                line,
                format!("changes where money goes: “{shown}”"),
            );
        }
        let recipient = outside || (c.has(C::Send) && mail_address(sentence, self.purpose));
        if c.all(&[C::Send, C::Sensitive]) && recipient && !negated {
            let pressed = c.any(&[C::Recurring, C::ImperativeHard, C::Conceal])
                || hidden
                || stranger == Some(Trust::Hiding)
                || !self.purpose.has(C::PurposeSend);
            let severity = if pressed { Level::High } else { Level::Medium };
            self.report(
                "send-out",
                severity,
                sample,
                line,
                format!("has the agent send private data out: “{shown}”"),
            );
        } else if c.has(C::Send)
            && recipient
            && !negated
            && near.any(&[C::Recurring])
            && !self.purpose.has(C::PurposeSend)
        {
            self.report(
                "extra-step",
                Level::Medium,
                sample,
                line,
                format!("demands a step that sends something out on every use: “{shown}”"),
            );
        }
        if c.all(&[C::Write, C::MemoryFile]) && !negated {
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
                "onboard",
                "setup",
                "skill",
                "config",
                "improve",
            ]));
            let severity = if hidden || c.any(&[C::Conceal, C::Override]) {
                Level::High
            } else if c.has(C::Recurring) && !explained || (outside && c.has(C::Fetch)) {
                Level::Medium
            } else {
                Level::Info
            };
            self.report(
                "memory-instruction",
                severity,
                sample,
                line,
                format!("has the agent rewrite its memory: “{shown}”"),
            );
        }
        if c.has(C::RemoteFollow)
            && near.has(C::Fetch)
            && !negated
            && (!links.is_empty() || block.folded.contains("://"))
        {
            let severity = match stranger {
                Some(t) if t >= Trust::Mentioned => Level::Medium,
                Some(Trust::Declared) => Level::Low,
                _ => Level::Info,
            };
            self.report(
                "remote-instructions",
                severity,
                sample,
                line,
                format!("has the agent obey what an address returns: “{shown}”"),
            );
        }
        if c.has(C::Weaken) && !negated_before(sentence) && !c.has(C::AttackTalk) {
            Capabilities::add(&mut self.capabilities.instructions, "settings");
            let severity = if hidden || c.any(&[C::Send, C::Money, C::Sensitive, C::Conceal]) {
                Level::Medium
            } else {
                Level::Low
            };
            self.report(
                "settings-instruction",
                severity,
                sample,
                line,
                format!("has the agent act with protection off: “{shown}”"),
            );
        }
        if c.has(C::AskSecret) && !negated && c.any(&[C::ImperativeHard, C::Necessity, C::Send]) {
            self.report(
                "ask-secret",
                Level::Low,
                sample,
                line,
                format!("asks for a password or key: “{shown}”"),
            );
        }
        if c.has(C::Integrity) && c.any(&[C::Conceal]) {
            self.report(
                "output-tamper",
                Level::High,
                sample,
                line,
                format!("bends what the user gets: “{shown}”"),
            );
        }
        if hidden
            && !negated
            && (c.any(&[C::Send]) && c.has(C::Sensitive)
                || (c.any(&[C::Run, C::Fetch]) && outside)
                || c.all(&[C::Write, C::MemoryFile]))
        {
            self.report(
                "hidden-comment",
                Level::High,
                sample,
                line,
                format!("a comment that is not displayed gives instructions: “{shown}”"),
            );
        }
    }

    /// The program that a link is about: its link text, or the name beside the demand.
    fn tool(&self, document: &Document, index: usize, block: &Block, url: &Url) -> Option<String> {
        let before = block.text.get(..url.at).unwrap_or("");
        if before.ends_with("](") {
            let text = before.trim_end_matches("](").rsplit('[').next().unwrap_or("");
            if let Some(name) = names(text).next() {
                return Some(name);
            }
        }
        if let Some(name) = names(&block.text).next() {
            return Some(name);
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

/// Forty numbers in a row, or a hundred characters of code without a space that are no address.
fn unreadable(text: &str) -> bool {
    let mut run = 0;
    for part in text.split([',', ';']) {
        let part = part.trim_matches(|c: char| {
            c.is_whitespace() || matches!(c, '\'' | '"' | '[' | ']' | '(' | ')')
        });
        run = if !part.is_empty() && part.len() <= 5 && part.bytes().all(|b| b.is_ascii_digit()) {
            run + 1
        } else {
            0
        };
        if run >= 40 {
            return true;
        }
    }
    text.split_whitespace().any(|token| {
        let token = token.trim_matches(['\'', '"', '`', '=', ';', ',']);
        let classes =
            [u8::is_ascii_lowercase as fn(&u8) -> bool, u8::is_ascii_uppercase, u8::is_ascii_digit]
                .iter()
                .filter(|f| token.bytes().any(|b| f(&b)))
                .count();
        token.len() >= 100
            && classes == 3
            && !token.contains("://")
            && !token.contains("](")
            && token.matches(['/', '.', '_', '|', '{']).count() * 12 < token.len()
    })
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

fn window(document: &Document, index: usize) -> Concepts {
    let from = index.saturating_sub(WINDOW);
    document
        .blocks
        .get(from..(index + WINDOW + 1).min(document.blocks.len()))
        .unwrap_or(&[])
        .iter()
        .filter(|b| b.kind != Kind::Table)
        .fold(Concepts::default(), |acc, b| acc.union(b.concepts))
}

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

/// The block, its heading or the one before demands something before the skill can be used.
fn is_requirement(document: &Document, index: usize) -> bool {
    let from = index.saturating_sub(3);
    document.blocks.get(from..=index).unwrap_or(&[]).iter().any(|b| b.concepts.has(C::Necessity))
        || document.blocks.get(index).and_then(|b| document.sections.get(b.section)).is_some_and(
            |s| {
                s.title.to_ascii_lowercase().contains("prereq")
                    || s.title.to_ascii_lowercase().contains("require")
            },
        )
}

/// The paragraph before says that what follows is a sample.
fn introduces_sample(document: &Document, index: usize) -> bool {
    let block = document.blocks.get(index);
    let mark = |b: &Block| b.text.contains(['❌', '🚫', '🚩', '⛔']);
    if block.is_some_and(mark) {
        return true;
    }
    index.checked_sub(1).and_then(|at| document.blocks.get(at)).is_some_and(|b| {
        b.kind == Kind::Prose
            && b.text.trim_end().ends_with(':')
            && b.concepts.any(&[C::AttackTalk, C::Negation])
    })
}

/// Between quotation marks or in a code span: spoken of, not said.
fn mentioned(folded: &str, start: usize, end: usize) -> bool {
    let before = folded.get(..start).unwrap_or("");
    let after = folded.get(end..).unwrap_or("");
    for (open, close) in [('"', '"'), ('“', '”'), ('«', '»'), ('「', '」')] {
        let odd = if open == close {
            before.matches(open).count() % 2 == 1
        } else {
            before.matches(open).count() > before.matches(close).count()
        };
        if odd && after.contains(close) {
            return true;
        }
    }
    false
}

/// `never`, `do not` … stand before the demand itself.
fn negated_before(sentence: &str) -> bool {
    let lower = sentence.trim_start_matches(|c: char| !c.is_alphanumeric()).to_ascii_lowercase();
    [
        "never",
        "do not",
        "don't",
        "avoid",
        "must not",
        "refuse",
        "reject",
        "block ",
        "detect",
        "flag",
        "watch for",
        "beware",
        "if ",
        "nothing",
        "no ",
        "not ",
    ]
    .iter()
    .any(|w| lower.starts_with(w))
}

/// A concrete mail address of somebody else.
fn mail_address(sentence: &str, purpose: &Purpose) -> bool {
    sentence.split_whitespace().any(|word| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        word.split_once('@').is_some_and(|(user, host)| {
            !user.is_empty()
                && host.contains('.')
                && !crate::judge::placeholder(host)
                && !purpose.description.contains(host)
        })
    })
}
