//! Scripts: which language, its syntax tree, and what data does in it.

pub(crate) mod applescript;
pub(crate) mod command;
pub(crate) mod flow;
pub(crate) mod interp;
pub(crate) mod ir;
pub(crate) mod lower;
pub(crate) mod powershell;
mod repair;
pub(crate) mod shell;
pub(crate) mod value;

use aho_corasick::AhoCorasick;
use flow::Flow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::LazyLock;
use tree_sitter::{ParseOptions, Parser, Point, Tree};

/// A language that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Language {
    Shell,
    Python,
    JavaScript,
    TypeScript,
    Tsx,
    Ruby,
    PowerShell,
    Go,
    AppleScript,
    Batch,
    /// Known to be code, not read by a grammar (Perl, PHP, Lua).
    Other,
}

impl Language {
    pub(crate) fn api(self) -> &'static str {
        match self {
            Language::Python => "python",
            Language::JavaScript | Language::TypeScript | Language::Tsx => "javascript",
            Language::Ruby => "ruby",
            Language::Go => "go",
            Language::PowerShell => "powershell",
            _ => "",
        }
    }
}

/// Longest code that gets a syntax tree. Larger files are bundles or data; their text is still
/// searched.
const MAX_CODE: usize = 2 << 20;

/// Steps of a parser (a hundred operations each) that any text may take.
const PARSE_STEPS: usize = 1_000;
/// One more step for so many bytes. Honest code takes a step for every 40 to 200 bytes; text that
/// makes a grammar try everything takes many times more.
const PARSE_BYTES: usize = 10;

/// The language of a file, by its name and first line.
pub(crate) fn language_of(path: &str, text: &str) -> Option<Language> {
    let name = path.rsplit(['/', '!']).next().unwrap_or(path).to_ascii_lowercase();
    if let Some((_, ending)) = name.rsplit_once('.') {
        let by_name = language_named(ending);
        if by_name.is_some() {
            return by_name;
        }
    }
    let first = text.lines().next().unwrap_or("");
    let interpreter = first.strip_prefix("#!")?;
    let program = interpreter
        .split_whitespace()
        .map(|w| w.rsplit('/').next().unwrap_or(w))
        .find(|w| *w != "env" && !w.starts_with('-'))?;
    language_named(program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.'))
}

/// The language of a fence or ending.
pub(crate) fn language_named(name: &str) -> Option<Language> {
    Some(match name {
        "sh" | "bash" | "zsh" | "shell" | "console" | "shellsession" | "shell-session"
        | "terminal" | "ksh" | "dash" | "command" | "zshrc" | "bashrc" | "fish" => Language::Shell,
        "py" | "python" | "python3" | "pyw" | "pth" => Language::Python,
        "js" | "javascript" | "mjs" | "cjs" | "jsx" | "node" | "nodejs" => Language::JavaScript,
        "ts" | "typescript" | "mts" | "cts" => Language::TypeScript,
        "tsx" => Language::Tsx,
        "rb" | "ruby" => Language::Ruby,
        "ps1" | "powershell" | "pwsh" | "psm1" => Language::PowerShell,
        "go" | "golang" => Language::Go,
        "applescript" | "scpt" | "osascript" | "jxa" => Language::AppleScript,
        "bat" | "cmd" | "batch" | "batchfile" => Language::Batch,
        "pl" | "perl" | "php" | "lua" => Language::Other,
        _ => return None,
    })
}

thread_local! {
    static PARSERS: RefCell<HashMap<Language, Parser>> = RefCell::new(HashMap::new());
}

/// A syntax tree, or `None` when there is no grammar or it took too long.
pub(crate) fn parse_with(language: Language, text: &str) -> Option<Tree> {
    if text.len() > MAX_CODE {
        return None;
    }
    let grammar: tree_sitter::Language = match language {
        Language::Shell | Language::Batch => tree_sitter_bash::LANGUAGE.into(),
        Language::Python => tree_sitter_python::LANGUAGE.into(),
        Language::JavaScript => tree_sitter_javascript::LANGUAGE.into(),
        Language::TypeScript => tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(),
        Language::Tsx => tree_sitter_typescript::LANGUAGE_TSX.into(),
        Language::Ruby => tree_sitter_ruby::LANGUAGE.into(),
        Language::PowerShell => tree_sitter_powershell::LANGUAGE.into(),
        Language::Go => tree_sitter_go::LANGUAGE.into(),
        Language::AppleScript | Language::Other => return None,
    };
    PARSERS.with(|cell| {
        let mut parsers = cell.try_borrow_mut().ok()?;
        let parser = match parsers.entry(language) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let mut parser = Parser::new();
                parser.set_language(&grammar).ok()?;
                entry.insert(parser)
            }
        };
        parser.reset();
        // Counted, not timed: what one text costs is the same everywhere.
        let mut steps = PARSE_STEPS + text.len() / PARSE_BYTES;
        let mut spend = |_: &tree_sitter::ParseState| {
            steps = steps.saturating_sub(1);
            if steps == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let options = ParseOptions::new().progress_callback(&mut spend);
        let bytes = text.as_bytes();
        parser.parse_with_options(
            &mut |at: usize, _: Point| bytes.get(at..).unwrap_or(&[]),
            None,
            Some(options),
        )
    })
}

/// Words without which no rule about code can apply: files that have none of them get no tree.
/// Each rule needs a fetch, a send, a program, an evaluation, a secret place or a place that
/// persists, and every way to name one of these, decoded at run time or not, needs one of these.
static TELLING: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .build([
            "http",
            "socket",
            "urlopen",
            "curl",
            "wget",
            "fetch",
            "request",
            "axios",
            "subprocess",
            "os.system",
            "popen",
            "exec",
            "eval",
            "spawn",
            "system(",
            "child_process",
            "shell",
            "compile(",
            "b64",
            "base64",
            "atob",
            "fromcharcode",
            "decode",
            "unescape",
            "getattr",
            "__import__",
            "importlib",
            "globals()",
            "pickle",
            "marshal",
            "environ",
            "process.env",
            "getenv",
            "~/",
            ".ssh",
            ".aws",
            "home",
            "rmtree",
            "rm -",
            "rmsync",
            "smtplib",
            "sendmail",
            "paramiko",
            "net.dial",
            "dup2",
            "clipboard",
            "screenshot",
            "screencapture",
            "keychain",
            "launchagents",
            "crontab",
            "bashrc",
            "zshrc",
            "function(",
            "require(",
            "vm.",
            "iex",
            "invoke-",
            "webclient",
            "start-process",
            "`",
            "tcpsocket",
            "open-uri",
            "open(",
            "write_text",
            "writefile",
            "appendfile",
            "/etc/",
            "soul.md",
            "memory.md",
            "agents.md",
            "claude.md",
            "\\x",
            "nc ",
            "ncat",
            "socat",
            "dlopen",
            "cdll",
            "websocket",
            "dns",
            "removeall",
            "chmod",
            "password",
            "unlink",
            "os.remove",
            "file.delete",
            "boto3",
            "s3",
            "webbrowser",
            "ftp",
            "telnet",
            "mail",
            "ssh",
            "make_archive",
            "upload",
            "mqtt",
            "grpc",
            "xmlrpc",
            "send",
            "getbuiltinmodule",
            "process.binding",
            "pynput",
            "keyboard",
        ])
        .ok()
});

/// Could any rule about code apply to this text? Shell spells every word in a hundred ways, so it
/// is always read.
pub(crate) fn telling(language: Language, text: &str) -> bool {
    matches!(language, Language::Shell | Language::Batch | Language::PowerShell)
        || TELLING.as_ref().is_none_or(|words| words.is_match(text))
}

/// Signs that code was made unreadable on purpose. A bundle is merely small: its strings and
/// properties keep their names.
pub(crate) fn obfuscated(language: Language, text: &str) -> Option<&'static str> {
    if matches!(language, Language::JavaScript | Language::TypeScript | Language::Tsx) {
        let renamed = text.match_indices("_0x").take(400).filter(|(at, _)| {
            text.as_bytes().get(at + 3..at + 7).is_some_and(|b| b.iter().all(u8::is_ascii_hexdigit))
        });
        if renamed.count() >= 24 {
            return Some("every name was replaced by a number");
        }
    }
    // Tables of bytes are data; text spelt letter by letter is hidden.
    let letters = text.matches("\\x6").count() + text.matches("\\x7").count();
    (letters >= 200 && letters * 16 > text.len())
        .then_some("most of its text is spelt as character codes")
}

/// Reads what may be code or the output of a program: a fence that does not say. Its lines are not
/// tried one by one, because output that quotes a command is not that command.
pub(crate) fn guessed(flow: &mut Flow<'_>, language: Language, text: &str) {
    match language {
        Language::Shell => read(flow, language, &unprompt(text)),
        _ => read(flow, language, text),
    };
}

/// Reads code and records what it does.
pub(crate) fn analyse(flow: &mut Flow<'_>, language: Language, text: &str) {
    if text.len() > MAX_CODE {
        flow.lose("is longer than code that is followed");
        return;
    }
    let plain = match language {
        Language::Shell => unprompt(text),
        Language::Batch => batch(text),
        Language::AppleScript => return applescript::run(flow, text),
        Language::Other => return,
        _ => text.to_owned(),
    };
    let whole = read(flow, language, &plain);
    // A line that a grammar cannot read may swallow the lines after it. They are read once more
    // without it.
    if !whole && let Some(repaired) = repair::without_errors(language, &plain) {
        read(flow, language, &repaired);
    }
}

/// Reads code; true when the grammar understood all of it.
fn read(flow: &mut Flow<'_>, language: Language, text: &str) -> bool {
    if matches!(language, Language::Shell | Language::Batch) {
        return shell::run_whole(flow, text);
    }
    let Some(tree) = flow.parse(language, text) else { return false };
    let root = tree.root_node();
    if language == Language::PowerShell {
        let program = powershell::lower(root, text);
        interp::run(flow, &program, language);
    } else {
        let program = lower::lower(root, text, language == Language::Ruby);
        interp::run(flow, &program, Language::JavaScript.if_script(language));
    }
    !root.has_error()
}

impl Language {
    /// TypeScript runs as JavaScript.
    fn if_script(self, language: Language) -> Language {
        match language {
            Language::TypeScript | Language::Tsx => self,
            other => other,
        }
    }
}

/// Drops the prompt signs of a console transcript.
fn unprompt(text: &str) -> String {
    if !text.contains("$ ") && !text.contains("% ") {
        return text.to_owned();
    }
    text.lines()
        .map(|line| {
            let trimmed = line.trim_start();
            trimmed.strip_prefix("$ ").or_else(|| trimmed.strip_prefix("% ")).unwrap_or(line)
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Batch files, near enough to a shell for what matters here.
fn batch(text: &str) -> String {
    text.lines()
        .map(|line| {
            let line = line.trim_start().trim_start_matches('@');
            let lower = line.to_ascii_lowercase();
            if lower.starts_with("rem ") || line.starts_with("::") {
                return String::new();
            }
            let line = line.replace('^', "").replace('\\', "/");
            let mut out = String::with_capacity(line.len());
            let mut rest = line.as_str();
            while let Some((before, after)) = rest.split_once('%') {
                let Some((name, after)) = after.split_once('%') else { break };
                out.push_str(before);
                out.push_str("${");
                out.push_str(name);
                out.push('}');
                rest = after;
            }
            out.push_str(rest);
            out
        })
        .collect::<Vec<_>>()
        .join("\n")
}
