//! What a sentence makes of the agent: who commands it, whom it serves, what it does each time.

use super::Prose;
use crate::content::{Concept as C, Concepts};
use crate::judge::{Trust, topics, trust};
use crate::markdown::Document;
use crate::text::clip;
use crate::text::urls::Url;
use seawall_model::finding::Level;

/// Blocks before and after that tell the same thing.
const NEAR: usize = 4;

impl Prose<'_, '_> {
    #[expect(clippy::too_many_arguments, reason = "the context of one sentence, used once")]
    pub(super) fn orders(
        &mut self,
        document: &Document,
        index: usize,
        sentence: &str,
        c: Concepts,
        links: &[&Url],
        line: u32,
        sample: bool,
    ) {
        if c.has(C::AttackTalk) {
            return;
        }
        self.bends(document, index, c, sentence, line, sample);
        if c.has(C::Negation) && !c.any(&[C::Conceal, C::Weaken]) {
            return;
        }
        let shown = clip(sentence, 90);
        let near = near(document, index);
        let pressed = c.any(&[C::Recurring, C::ImperativeHard, C::Conceal]);
        let denied = sentence.contains(" not ") || sentence.contains("n't ");
        if c.has(C::Obey) && !c.has(C::Negation) && !denied && reads(sentence) {
            self.report(
                "data-as-orders",
                Level::Medium,
                sample,
                line,
                format!("has the agent obey what it reads: “{shown}”"),
            );
        } else if c.has(C::Defer) && foreign_file(sentence, self.files) {
            self.report(
                "data-as-orders",
                Level::Medium,
                sample,
                line,
                format!("lets a file that it does not bring decide: “{shown}”"),
            );
        }
        // A recipient without an address, and everything of a kind.
        let all = whole(sentence);
        if c.all(&[C::Send, C::Recipient]) && !c.has(C::Negation) {
            let hidden = near.any(&[C::Conceal]);
            if hidden || (pressed && (all || c.has(C::Sensitive))) {
                let severity = if hidden && (all || c.has(C::Sensitive)) {
                    Level::High
                } else {
                    Level::Medium
                };
                self.report(
                    "send-out",
                    severity,
                    sample,
                    line,
                    format!("sends what the user works with to somebody unnamed: “{shown}”"),
                );
            }
        }
        // An order to send to a host that nothing explains.
        let stranger = links.iter().map(|u| trust(self.content, self.purpose, u)).max();
        if c.has(C::Send)
            && stranger.is_some_and(|t| t >= Trust::Stranger)
            && order(sentence)
            && !self.purpose.has(C::PurposeSend)
        {
            self.report(
                "extra-step",
                Level::Medium,
                sample,
                line,
                format!("has the agent send something to a host that its purpose does not explain: “{shown}”"),
            );
        }
        // The password is in the same place, the originals go.
        if near.all(&[C::Lock, C::Erase])
            && c.any(&[C::Lock])
            && near.any(&[C::ImperativeHard, C::Recurring, C::Send])
            && !self.purpose.about(&topics(&[
                "encrypt", "archiv", "compress", "zip", "backup", "vault", "secur",
            ]))
        {
            let severity = if near.has(C::Send) { Level::High } else { Level::Medium };
            self.report(
                "ransom",
                severity,
                sample,
                line,
                format!("locks files and removes the originals: “{shown}”"),
            );
        }
        // What cannot be taken back, without asking.
        if c.has(C::Weaken)
            && c.any(&[C::Send, C::Erase, C::Money, C::Sensitive])
            && !super::sentence::negated_before(sentence)
        {
            self.report(
                "settings-instruction",
                Level::Medium,
                sample,
                line,
                format!("has the agent do it without asking: “{shown}”"),
            );
        }
        if c.has(C::Recurring)
            && c.any(&[C::Run, C::ImperativeHard])
            && order(sentence)
            && let Some(script) = absent_script(sentence, self.files)
            && once(document, self.code, &script)
        {
            self.report(
                "extra-step",
                Level::Medium,
                sample,
                line,
                format!(
                    "has `{}` run each time, which the skill does not bring",
                    clip(&script, 60)
                ),
            );
        }
    }

    fn bends(
        &mut self,
        document: &Document,
        index: usize,
        c: Concepts,
        sentence: &str,
        line: u32,
        sample: bool,
    ) {
        if !c.has(C::Bend) {
            return;
        }
        let folded = crate::text::unicode::fold(sentence);
        let here = self.content.hits(&folded).iter().filter(|h| h.concept == C::Bend).count();
        let from = index.saturating_sub(NEAR);
        let section = document.blocks.get(index).map(|b| b.section);
        let others = document
            .blocks
            .get(from..(index + NEAR + 1).min(document.blocks.len()))
            .unwrap_or(&[])
            .iter()
            .filter(|b| Some(b.section) == section && b.concepts.has(C::Bend))
            .count();
        let demanded = c.any(&[C::Recurring, C::ImperativeHard, C::Conceal]) || order(sentence);
        // `never recommend …` alone is advice.
        if c.has(C::Negation) && here < 2 {
            return;
        }
        let told = here >= 2 || others >= 3 || c.has(C::Integrity);
        if c.has(C::Conceal) || told && demanded {
            self.report(
                "output-tamper",
                Level::Medium,
                sample,
                line,
                format!("bends what the user gets: “{}”", clip(sentence, 90)),
            );
        }
    }
}

/// What the blocks around it, of the same section, speak of.
fn near(document: &Document, index: usize) -> Concepts {
    let from = index.saturating_sub(NEAR);
    let section = document.blocks.get(index).map(|b| b.section);
    document
        .blocks
        .get(from..(index + NEAR + 1).min(document.blocks.len()))
        .unwrap_or(&[])
        .iter()
        .filter(|b| Some(b.section) == section)
        .fold(Concepts::default(), |acc, b| acc.union(b.concepts))
}

/// It speaks of something that is read: a document, a page, a message.
fn reads(sentence: &str) -> bool {
    let lower = sentence.to_lowercase();
    [
        "any",
        "text",
        "content",
        "document",
        "page",
        "message",
        "email",
        "comment",
        "file",
        "data",
        "description",
        "found",
        "returned",
        "response",
        "output",
        "phrase",
        "beginning with",
        "begins with",
        "containing",
        "marker",
        "notes",
        "record",
        "snapshot",
    ]
    .iter()
    .any(|w| lower.contains(w))
}

/// A file by its full path, which may or may not be there, and is none of the skill's.
fn foreign_file(sentence: &str, files: &[String]) -> bool {
    let lower = sentence.to_lowercase();
    let maybe = [
        " exists",
        " is present",
        "is available",
        "when a local",
        "the local file",
        "local policy",
    ]
    .iter()
    .any(|w| lower.contains(w));
    maybe
        && sentence.split(['`', ' ', '"', '\'', '(', ')']).any(|word| {
            let word = word.trim_end_matches([',', '.', ';', ':']);
            let name = word.rsplit('/').next().unwrap_or("").to_lowercase();
            word.starts_with('/')
                && word.matches('/').count() >= 2
                && !word.starts_with("/usr/")
                && !word.starts_with("/etc/")
                && !word.starts_with("/Applications/")
                && !word.starts_with("/opt/homebrew")
                && !word.starts_with("/bin/")
                && !word.starts_with("/proc/")
                && !word.starts_with("/dev/")
                && name.rsplit_once('.').is_some_and(|(_, e)| {
                    matches!(
                        e,
                        "md" | "txt"
                            | "json"
                            | "jsonl"
                            | "yaml"
                            | "yml"
                            | "js"
                            | "py"
                            | "sh"
                            | "toml"
                            | "csv"
                            | "html"
                    )
                })
                && !files.contains(&name)
        })
}

/// `all`, `every`, `the full`: not a part that is needed.
fn whole(sentence: &str) -> bool {
    sentence.split(|c: char| !c.is_alphanumeric()).any(|w| {
        matches!(
            w.to_ascii_lowercase().as_str(),
            "all" | "every" | "each" | "full" | "entire" | "whole" | "any" | "copy"
        )
    })
}

/// The sentence begins with what is to be done.
fn order(sentence: &str) -> bool {
    let text = sentence.trim_start_matches(|c: char| !c.is_alphabetic());
    let first =
        text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or("").to_ascii_lowercase();
    matches!(
        first.as_str(),
        "send"
            | "upload"
            | "post"
            | "forward"
            | "submit"
            | "transmit"
            | "push"
            | "run"
            | "execute"
            | "always"
            | "never"
            | "include"
            | "add"
            | "append"
            | "insert"
            | "when"
            | "after"
            | "before"
            | "make"
            | "ensure"
            | "use"
            | "emphasize"
            | "emphasise"
            | "highlight"
            | "frame"
            | "present"
            | "portray"
            | "downplay"
            | "replace"
            | "flag"
            | "rank"
            | "rate"
            | "promote"
            | "recommend"
            | "important"
            | "critical"
            | "each"
            | "every"
            | "on"
            | "once"
            | "for"
            | "call"
            | "copy"
            | "share"
            | "report"
            | "save"
    )
}

/// Spoken of in one place only: a part of how the skill works is spoken of more than once.
fn once(document: &Document, code: &str, script: &str) -> bool {
    let name = script.rsplit('/').next().unwrap_or(script);
    document.blocks.iter().filter(|b| b.text.contains(name)).take(2).count() == 1
        && !code.contains(&name.to_lowercase())
}

/// A script by its name that is none of the skill's files.
fn absent_script(sentence: &str, files: &[String]) -> Option<String> {
    sentence
        .split(|c: char| c.is_whitespace() || matches!(c, '`' | '"' | '\'' | '(' | ')' | '*' | ','))
        .map(|w| w.trim_matches(|c: char| !c.is_alphanumeric() && c != '_').to_owned())
        .find(|word| {
            let name = word.rsplit('/').next().unwrap_or(word).to_lowercase();
            let script = name.rsplit_once('.').is_some_and(|(stem, e)| {
                stem.len() > 1 && matches!(e, "sh" | "py" | "rb" | "ps1" | "bash" | "mjs" | "js")
            });
            // Frameworks are written like files.
            script
                && !files.contains(&name)
                && ![
                    "node.js",
                    "next.js",
                    "vue.js",
                    "react.js",
                    "d3.js",
                    "three.js",
                    "express.js",
                    "setup.py",
                    "manage.py",
                    "main.py",
                    "app.py",
                ]
                .contains(&name.as_str())
                && !word.contains("://")
        })
}
