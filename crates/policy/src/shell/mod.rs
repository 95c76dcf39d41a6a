//! Shell text to typed effects.

mod ast;
mod builtins;
mod dev;
mod expand;
mod files;
mod hazards;
mod net;
mod own;
mod parse;
mod parse_word;
mod path;
mod program;
mod special;
mod state;
mod table;
mod value;
mod walk;
mod wrappers;

use seawall_model::Effect;
use std::collections::BTreeMap;

/// Bounds on the work that one text can cause. A text beyond them is opaque, with the bound in
/// the reason; it is never cut off silently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest text in bytes.
    pub text: usize,
    /// Deepest nesting in levels of the grammar (a construct takes two to four), also across
    /// `sh -c` and the like. Bounds the stack.
    pub depth: usize,
    /// Most commands looked at, loops and functions unrolled.
    pub commands: usize,
    /// Most effects reported.
    pub effects: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { text: 64 * 1024, depth: 96, commands: 4096, effects: 2048 }
    }
}

/// What is known about the shell that will run the text.
#[derive(Debug, Clone, Copy)]
pub struct ShellContext<'a> {
    /// Absolute working directory at the start.
    pub cwd: &'a str,
    /// Absolute home folder.
    pub home: &'a str,
    /// Absolute workspace folder of the agent.
    pub workspace: &'a str,
    /// Environment variables whose value is known.
    pub vars: &'a BTreeMap<String, String>,
    /// Bounds.
    pub limits: Limits,
}

/// Where data that reaches a sink comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// Content of a file (or of what is below a folder); absolute path.
    File(String),
    /// Standard input of the whole text.
    Stdin,
    /// An environment variable; `*` for all of them.
    Env(String),
    /// Output of a program.
    Program(String),
    /// Answer of a network host; empty when the host is not known.
    Host(String),
    /// Text that stands in the command line itself.
    Text(String),
}

/// Where data goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Sink {
    /// A network host; empty when it is not known.
    Host(String),
    /// A file; absolute path.
    File(String),
    /// A program that was handed the data as its input or argument and whose use of it is not
    /// known (an interpreter, an unknown program).
    Program(String),
}

/// Data that moves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Flow {
    /// From.
    pub from: Source,
    /// To.
    pub to: Sink,
}

/// What a shell text would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Analysis {
    /// Typed consequences, without duplicates, in the order in which they were met. Every
    /// entry of `opaque` is also an [`Effect::Opaque`] here.
    pub effects: Vec<Effect>,
    /// Programs that would be started, as written; without duplicates.
    pub programs: Vec<String>,
    /// Data that moves from a source to a sink within the text.
    pub flows: Vec<Flow>,
    /// Why parts of the text are not known statically; without duplicates.
    pub opaque: Vec<String>,
    /// Text that the command hands to programs, files or the network (arguments, here-documents,
    /// inline code), for payload scanning.
    pub literals: Vec<String>,
}

/// Works out what a shell text would do.
///
/// Pure and total: any text gives an answer within [`Limits`].
#[must_use]
pub fn analyze(text: &str, cx: &ShellContext<'_>) -> Analysis {
    let mut walk = walk::Walk::new(cx);
    let mut state = state::State::new(cx);
    if text.len() > cx.limits.text {
        walk.opaque(&format!(
            "the text is longer ({} bytes) than what is looked at ({})",
            text.len(),
            cx.limits.text
        ));
        return walk.out.finish();
    }
    let io = walk::Io::default();
    let value = value::Val::known(text);
    if text.contains([value::ANY, value::NAME, value::GLOB, value::BELOW]) {
        walk.opaque("the text holds characters that stand for unknown text here");
    }
    let _ = walk.shell_text(&mut state, &value, &io, "the call");
    walk.out.finish()
}
