//! Shell text to typed effects.
//!
//! [`analyze`] parses a shell text, follows it as bash and dash would, and reports what it would
//! read, write, run and request. What it cannot know is [`Effect::Opaque`], never nothing.
//!
//! # How it works
//! - `parse`, `parse_word`: text to a syntax tree, in time linear in the text. Where bash and
//!   dash read the same text as different commands (`((…))`, `[[…]]`, `&>`, `function`, braces),
//!   the tree holds both readings and both count.
//! - `value`, `expand`: words to fields. A value is text with marks for what is not known, so
//!   that `"/tmp/x-$(date +%F)"` is known to stay in `/tmp` and `"$DIR/x"` is not.
//! - `walk`, `state`, `builtins`: which commands run, in which folder, with what on which
//!   descriptor. Branches are joined, loops are followed until nothing changes. A `cd` may fail,
//!   so that what comes after a `;` counts in both folders.
//! - `table`, `program`: programs as data (`tables/*.table`). A program that is not listed is
//!   run and opaque. `special` and its neighbours hold what a table cannot say.
//!
//! # What it means
//! - A path stands for the file and for all below it. A glob stands for the folder of its
//!   matches.
//! - Paths are normalised lexically; of links only those that the text makes are followed.
//!   Links that exist already are facts that the caller has to add.
//! - What a program reads for itself (libraries, locales, its own settings) and temporary files
//!   that in-place editors make beside the file are not listed.
//! - Writes to the agent's memory and identity files appear as plain writes: the caller knows
//!   these files, for all tools.
//! - Aliases and functions from the user's start-up files are not seen: the text is taken to run
//!   as `sh -c TEXT`.
//!
//! # Why an own parser
//! brush-parser 0.4, the candidate, needs exponential time on 26 bytes of open parentheses and on
//! unclosed braces, overflows the stack on nesting, and reads `( ( cmd ) )` as arithmetic.
//! In the path of a decision each of these is an attack.

mod archive;
mod ast;
mod braces;
mod builtins;
mod compound;
mod curl;
mod dev;
mod expand;
mod files;
mod filter;
mod hazards;
mod net;
mod own;
mod parse;
mod parse_simple;
mod parse_word;
mod path;
mod program;
mod redirect;
mod remote;
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
    /// The first limit beyond which it was not looked at. What was found is then not all.
    pub limited: Option<&'static str>,
    /// Text that the command hands to programs, files or the network (arguments, here-documents,
    /// inline code), for payload scanning.
    pub literals: Vec<String>,
}

impl Analysis {
    /// Puts another path in the place of each.
    pub fn map_paths(&mut self, change: impl Fn(&str) -> String) {
        for effect in &mut self.effects {
            if let Effect::Read { path }
            | Effect::Write { path }
            | Effect::Delete { path }
            | Effect::List { path } = effect
            {
                *path = change(path);
            }
        }
        for Flow { from, to } in &mut self.flows {
            if let Source::File(path) = from {
                *path = change(path);
            }
            if let Sink::File(path) = to {
                *path = change(path);
            }
        }
    }
}

/// Works out what a shell text would do.
///
/// Pure and total: any text gives an answer within [`Limits`].
#[must_use]
pub fn analyze(text: &str, cx: &ShellContext<'_>) -> Analysis {
    let mut walk = walk::Walk::new(cx);
    let mut state = state::State::new(cx);
    if text.len() > cx.limits.text {
        walk.limit("length");
        return walk.out.finish();
    }
    let io = walk::Io::default();
    let value = value::Val::known(text);
    if text.contains([value::ANY, value::NAME, value::GLOB, value::BELOW]) {
        walk.opaque("the text holds characters that stand for unknown text here");
    }
    let _ = walk.shell_text(&mut state, &value, &io, "the call");
    let mut analysis = walk.out.finish();
    close(&mut analysis.flows);
    analysis
}

/// Adds what flows on through files that the text itself writes and reads.
fn close(flows: &mut Vec<Flow>) {
    // More than an ordinary text has; beyond it the single steps are still there.
    const MOST: usize = 1024;
    let within = |outer: &str, inner: &str| {
        outer == inner
            || inner.strip_prefix(outer).is_some_and(|r| r.starts_with('/') || outer == "/")
    };
    let mut at = 0;
    while let Some(flow) = flows.get(at).cloned() {
        at += 1;
        let Sink::File(written) = &flow.to else { continue };
        let mut more = Vec::new();
        for next in flows.iter() {
            if let Source::File(read) = &next.from {
                let new = Flow { from: flow.from.clone(), to: next.to.clone() };
                if (within(read, written) || within(written, read))
                    && !flows.contains(&new)
                    && !more.contains(&new)
                {
                    more.push(new);
                }
            }
        }
        for new in more {
            if flows.len() >= MOST {
                return;
            }
            flows.push(new);
        }
    }
}
