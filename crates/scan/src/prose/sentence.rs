//! One sentence: what it has the agent do.

use super::Prose;
use crate::content::{Concept as C, Concepts};
use crate::judge::{Trust, topics, trust};
use crate::markdown::Block;
use crate::purpose::Purpose;
use crate::report::Capabilities;
use crate::text::clip;
use crate::text::urls::Url;
use seawall_model::finding::Level;

impl Prose<'_, '_> {
    #[expect(clippy::too_many_arguments, reason = "the context of one sentence, used once")]
    pub(super) fn sentence(
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
            let severity = if severity == Level::Low
                && (window.all(&[C::Send, C::Sensitive])
                    || block.concepts.has(C::Sensitive) && block.concepts.any(&[C::Fetch, C::Send])
                    || c.has(C::ImperativeHard) && near.has(C::Send))
            {
                Level::Medium
            } else {
                severity
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
            && (!self.purpose.has(C::PurposeSend)
                || (c.any(&[C::Recurring, C::Plant]) && c.any(&[C::ImperativeHard, C::Recurring])))
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
        self.plants(sentence, c, block, window, line, sample);
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
}

impl Prose<'_, '_> {
    /// What it has the agent build into other people's work, or do to it, each time.
    fn plants(
        &mut self,
        sentence: &str,
        c: Concepts,
        block: &Block,
        window: Concepts,
        line: u32,
        sample: bool,
    ) {
        if c.has(C::Negation) || c.has(C::AttackTalk) || negated_before(sentence) {
            return;
        }
        let shown = clip(sentence, 90);
        let demanded = c.any(&[C::ImperativeHard, C::Recurring, C::Write, C::Necessity])
            || begins_with_order(sentence);
        if c.has(C::Plant) && demanded && !self.purpose.security() {
            self.report(
                "plant-access",
                Level::Medium,
                sample,
                line,
                format!("has the agent build in a way for somebody else: “{shown}”"),
            );
        }
        // Tidying up is what some skills are for.
        let tidy =
            self.purpose.about(&topics(&["clean", "tidy", "delet", "remov", "cache", "disk"]));
        if c.has(C::Erase)
            && (c.has(C::Recurring) || window.has(C::Recurring) && c.has(C::ImperativeHard))
            && ["file", "original", "version", "document", "backup", "folder", "director"]
                .iter()
                .any(|what| block.folded.contains(what) && sentence.to_lowercase().contains(what))
            && !tidy
        {
            self.report(
                "standing-delete",
                Level::Medium,
                sample,
                line,
                format!("has the agent delete the user's files each time: “{shown}”"),
            );
        }
        if c.has(C::Show) && c.any(&[C::Recurring, C::ImperativeHard]) && names_secret(sentence) {
            self.report(
                "secret-shown",
                Level::Medium,
                sample,
                line,
                format!("has the agent write a secret where others read it: “{shown}”"),
            );
        }
    }
}

/// `Add …`, `Include …`: an order to whoever reads.
fn begins_with_order(sentence: &str) -> bool {
    let lower = sentence.trim_start_matches(|c: char| !c.is_alphabetic()).to_ascii_lowercase();
    ["add ", "include ", "insert ", "create ", "embed ", "build ", "put ", "when "]
        .iter()
        .any(|word| lower.starts_with(word))
}

/// The name of an environment variable that holds a secret.
fn names_secret(sentence: &str) -> bool {
    sentence.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| {
        word.contains('_')
            && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
            && ["_TOKEN", "_KEY", "_SECRET", "_PASSWORD"].iter().any(|end| word.ends_with(end))
    })
}

/// `never`, `do not` … stand before the demand itself.
pub(super) fn negated_before(sentence: &str) -> bool {
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
