//! Code in documents: fences and spans, which the agent may run.

use crate::code::{self, flow::Flow};
use crate::content::Content;
use crate::embedded;
use crate::judge::{Judge, Place};
use crate::markdown::{self, Document, Kind};
use crate::purpose::Purpose;
use crate::report::{Capabilities, Findings};
use crate::text;

/// Code in a document: fences in order share one state, spans are read one by one.
pub(crate) fn fences<'a>(
    content: &'a Content,
    purpose: &'a Purpose,
    path: &'a str,
    document: &Document,
    samples: bool,
    findings: &mut Findings<'a>,
    capabilities: &mut Capabilities,
) {
    let mut shell = Flow::new(content, 0);
    for block in &document.blocks {
        let sample =
            samples || document.sections.get(block.section).is_some_and(|s| s.about_attacks);
        if block.kind == Kind::Code {
            let named = code::language_named(&block.language);
            if let Some(holder) = embedded::holder_named(&block.language) {
                for piece in embedded::pieces(holder, &block.text) {
                    shell.offset = block.line + piece.line.saturating_sub(1);
                    shell.refill(2_000, piece.text.len());
                    code::analyse(&mut shell, piece.language, &piece.text);
                    Judge {
                        content,
                        purpose,
                        findings,
                        capabilities,
                        file: path,
                        place: Place::Document,
                        sample,
                    }
                    .judge(&mut shell);
                }
            }
            let Some(language) = named.or_else(|| guess(&block.text)) else { continue };
            if !code::telling(language, &block.text) {
                continue;
            }
            let mut own;
            let flow = if language == code::Language::Shell {
                &mut shell
            } else {
                own = Flow::new(content, 0);
                &mut own
            };
            flow.offset = block.line.saturating_sub(1);
            flow.refill(5_000, block.text.len());
            if named.is_some() {
                code::analyse(flow, language, &block.text);
            } else {
                code::guessed(flow, language, &block.text);
            }
            Judge {
                content,
                purpose,
                findings,
                capabilities,
                file: path,
                place: Place::Document,
                sample,
            }
            .judge(flow);
            // Whoever is told to run a fence runs its commands, whatever its label says.
            if let Some(commands) = named.filter(|l| *l != code::Language::Shell).and_then(|_| {
                let commands = commands_in(&block.text);
                (!commands.trim().is_empty()).then_some(commands)
            }) {
                shell.offset = block.line.saturating_sub(1);
                shell.refill(1_000, commands.len());
                code::analyse(&mut shell, code::Language::Shell, &commands);
                Judge {
                    content,
                    purpose,
                    findings,
                    capabilities,
                    file: path,
                    place: Place::Document,
                    sample,
                }
                .judge(&mut shell);
            }
        } else if !matches!(block.kind, Kind::Code | Kind::Table)
            && block.text.contains("://")
            && !commands_in(&block.text).trim().is_empty()
        {
            let commands = commands_in(&block.text);
            shell.offset = block.line.saturating_sub(1);
            shell.refill(1_000, commands.len());
            code::analyse(&mut shell, code::Language::Shell, &commands);
            Judge {
                content,
                purpose,
                findings,
                capabilities,
                file: path,
                place: Place::Document,
                sample,
            }
            .judge(&mut shell);
        } else if block.text.contains('`') {
            // A table of a security tool lists what it looks for.
            let sample = sample || block.kind == Kind::Table && purpose.security();
            let lines = text::Lines::of(&block.text);
            for (at, span) in markdown::spans(&block.text) {
                // Three marks with a label inside one line.
                let span = span
                    .split_once(' ')
                    .filter(|(label, rest)| {
                        code::language_named(label).is_some()
                            && rest.split(' ').next().is_some_and(starts_command)
                    })
                    .map_or(span, |(_, rest)| rest);
                let commands = span.len() > 8 && span.contains(' ');
                let first = span.split_whitespace().next().unwrap_or("");
                if !commands || !starts_command(first) {
                    continue;
                }
                shell.offset = (block.line + lines.at(at)).saturating_sub(2);
                shell.refill(200, span.len());
                code::analyse(&mut shell, code::Language::Shell, span);
                Judge {
                    content,
                    purpose,
                    findings,
                    capabilities,
                    file: path,
                    place: Place::Document,
                    sample,
                }
                .judge(&mut shell);
            }
        }
    }
}

/// Lines that are commands to fetch something and nothing else can be, at their places: the other
/// lines are empty.
fn commands_in(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let trimmed = line.trim_start().trim_start_matches("$ ");
        let (word, rest) = trimmed.split_once(' ').unwrap_or((trimmed, ""));
        let fetches = matches!(word, "curl" | "wget" | "iwr" | "irm" | "sudo" | "bash" | "sh");
        if fetches && rest.contains("://") && !rest.starts_with(['=', '(', ':']) {
            out.push_str(trimmed);
        }
        out.push('\n');
    }
    out
}

const COMMANDS: &[&str] = &[
    "curl",
    "wget",
    "bash",
    "sh",
    "zsh",
    "sudo",
    "python",
    "python3",
    "node",
    "npm",
    "npx",
    "pip",
    "pip3",
    "echo",
    "cat",
    "eval",
    "export",
    "cd",
    "git",
    "brew",
    "apt",
    "apt-get",
    "powershell",
    "iex",
    "irm",
    "iwr",
    "nc",
    "tar",
    "zip",
    "chmod",
    "rm",
    "cp",
    "mv",
    "base64",
    "openssl",
    "osascript",
    "crontab",
    "source",
    "ssh",
    "scp",
    "rsync",
    "env",
    "printenv",
    "security",
    "xattr",
    "spctl",
    "find",
    "openclaw",
    "clawhub",
    "claude",
    "docker",
    "uv",
    "uvx",
    "bun",
    "deno",
    "go",
    "cargo",
    "printf",
    "tee",
    "launchctl",
    "systemctl",
    "screencapture",
    "nohup",
];

fn starts_command(word: &str) -> bool {
    COMMANDS.contains(&word) || word.starts_with("$(") || word.starts_with("./")
}

/// The language of a fence that does not say, or says something else: its label is the author's.
fn guess(text: &str) -> Option<code::Language> {
    let shell = text.lines().take(40).any(|line| {
        // Marks inside a word change how it looks and not what it runs.
        let plain: String = line.chars().filter(|c| !matches!(c, '\'' | '"' | '\\')).collect();
        let line = plain.trim_start().trim_start_matches("$ ");
        line.split_whitespace().next().is_some_and(starts_command)
            || ["| sh", "| bash", "|sh", "|bash", "$(", "<(", "chmod +x", "| sudo"]
                .iter()
                .any(|sign| line.contains(sign))
    });
    if shell {
        return Some(code::Language::Shell);
    }
    let python = text.contains("import ")
        && (text.contains("def ") || text.contains("requests.") || text.contains("os."));
    python.then_some(code::Language::Python)
}
