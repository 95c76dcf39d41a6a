//! What a scan answers: a verdict, what the skill can do, and the evidence.

use crate::content::Content;
use seawall_model::finding::Level;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// May it be installed?
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing speaks against it.
    Allow,
    /// A person has to look first.
    Warn,
    /// It does harm, or it could not be looked at.
    Block,
}

impl Verdict {
    /// What findings amount to.
    #[must_use]
    pub fn of(findings: &[Finding]) -> Self {
        match findings.iter().map(|f| f.severity).max() {
            Some(Level::High | Level::Critical) => Verdict::Block,
            Some(Level::Medium) => Verdict::Warn,
            _ => Verdict::Allow,
        }
    }

    /// The name used in output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Allow => "allow",
            Verdict::Warn => "warn",
            Verdict::Block => "block",
        }
    }
}

/// One piece of evidence, by file and line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable id of the rule.
    pub rule: String,
    /// How bad this is where it stands. Block needs high or critical, warn needs medium.
    pub severity: Level,
    /// Path inside the skill; `outer.zip!inner/file` inside an archive.
    pub file: String,
    /// Line, from 1; 0 when the finding is about the whole file.
    pub line: u32,
    /// What was seen and why it matters, in one sentence.
    pub message: String,
}

/// What the skill can do, as far as its text and code show. Sorted, without duplicates, bounded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// Hosts that its code contacts.
    pub network: BTreeSet<String>,
    /// Sensitive files it reads.
    pub reads: BTreeSet<String>,
    /// Files outside its own folder that it writes.
    pub writes: BTreeSet<String>,
    /// Programs it runs.
    pub programs: BTreeSet<String>,
    /// Environment variables that hold secrets.
    pub secrets: BTreeSet<String>,
    /// Packages that it installs.
    pub installs: BTreeSet<String>,
    /// Ways in which it stays after the session.
    pub persistence: BTreeSet<String>,
    /// What it tells the agent to do beyond answering: `memory`, `messages`, `settings`.
    pub instructions: BTreeSet<String>,
}

/// At most so many names a kind: a skill with more has told what it is, and a report stays short.
const MAX_NAMES: usize = 64;
/// Says that there are more: whoever hides one name among many shows that there are many.
const MORE: &str = "… and more";
/// Longest name kept.
const MAX_NAME: usize = 200;

impl Capabilities {
    /// Adds a name to one of the sets, bounded.
    pub(crate) fn add(set: &mut BTreeSet<String>, name: &str) {
        if name.is_empty() {
            return;
        }
        if set.len() < MAX_NAMES {
            set.insert(name.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect());
        } else {
            set.insert(MORE.to_owned());
        }
    }

    /// What `self` can do that `before` could not: `(kind, name)`.
    #[must_use]
    pub fn gained(&self, before: &Self) -> Vec<(&'static str, String)> {
        let pairs: [(&'static str, &BTreeSet<String>, &BTreeSet<String>); 8] = [
            ("contacts", &self.network, &before.network),
            ("reads", &self.reads, &before.reads),
            ("writes", &self.writes, &before.writes),
            ("runs", &self.programs, &before.programs),
            ("uses the secret", &self.secrets, &before.secrets),
            ("installs", &self.installs, &before.installs),
            ("persists by", &self.persistence, &before.persistence),
            ("instructs", &self.instructions, &before.instructions),
        ];
        let mut out = Vec::new();
        for (kind, now, then) in pairs {
            out.extend(now.difference(then).map(|name| (kind, name.clone())));
        }
        out
    }
}

/// The answer for one skill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The verdict.
    pub verdict: Verdict,
    /// What it can do.
    pub capabilities: Capabilities,
    /// The evidence, worst first.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The same with further findings, and the verdict that all of them give.
    #[must_use]
    pub fn with(mut self, further: Vec<Finding>) -> Self {
        self.findings.extend(further);
        sort(&mut self.findings);
        self.verdict = self.verdict.max(Verdict::of(&self.findings));
        self
    }
}

/// Worst first, the worst kept.
fn sort(findings: &mut Vec<Finding>) {
    findings.sort_by(|a, b| {
        (b.severity, &a.file, a.line, &a.rule).cmp(&(a.severity, &b.file, b.line, &b.rule))
    });
    findings.truncate(MAX_FINDINGS);
}

/// At most so many findings in a report; the worst are kept.
pub const MAX_FINDINGS: usize = 200;

/// Collects findings while a skill is looked at.
pub(crate) struct Findings<'a> {
    content: &'a Content,
    list: Vec<Finding>,
}

impl<'a> Findings<'a> {
    pub(crate) fn new(content: &'a Content) -> Self {
        Self { content, list: Vec::new() }
    }

    /// Records a finding at the severity of its rule.
    pub(crate) fn add(&mut self, rule: &str, file: &str, line: u32, message: impl Into<String>) {
        let severity = self.content.severity(rule);
        self.add_at(rule, severity, file, line, message);
    }

    /// Records a finding at another severity than its rule's, where context says so.
    pub(crate) fn add_at(
        &mut self,
        rule: &str,
        severity: Level,
        file: &str,
        line: u32,
        message: impl Into<String>,
    ) {
        let message: String = message.into();
        let finding = Finding {
            rule: rule.to_owned(),
            severity,
            file: file.to_owned(),
            line,
            message: message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
        };
        let same = |f: &&mut Finding| f.rule == rule && f.file == file && f.line == line;
        if let Some(known) = self.list.iter_mut().find(same) {
            // Of two on one line the worse one counts.
            if known.severity < severity {
                *known = finding;
            }
        } else if self.list.len() < MAX_FINDINGS {
            self.list.push(finding);
        } else if let Some(least) = self.list.iter_mut().min_by_key(|f| f.severity)
            // A flood of harmless findings must not push a bad one out.
            && least.severity < severity
        {
            *least = finding;
        }
    }

    pub(crate) fn list(&self) -> &[Finding] {
        &self.list
    }

    pub(crate) fn finish(mut self) -> Vec<Finding> {
        sort(&mut self.list);
        self.list
    }
}
