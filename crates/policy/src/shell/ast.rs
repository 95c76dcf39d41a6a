//! The syntax tree of a shell text.
//!
//! It covers the union of what bash and dash accept. Where the two read the same text as
//! different commands, the tree holds both readings (`other`, `splits`), because the shell that
//! will run the text is not known.

use std::cell::OnceCell;
use std::rc::Rc;

/// Commands one after the other.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct List {
    pub items: Vec<AndOr>,
}

/// Pipelines joined by `&&` and `||`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AndOr {
    pub first: Pipeline,
    /// `true` for `&&`.
    pub rest: Vec<(bool, Pipeline)>,
    /// Ends in `&`.
    pub background: bool,
}

/// Commands joined by `|`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pipeline {
    pub commands: Vec<Command>,
}

/// A command with its redirections.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Command {
    pub kind: Kind,
    pub redirects: Vec<Redirect>,
}

/// What a command is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Simple(Simple),
    Subshell(List),
    Group(List),
    If {
        arms: Vec<(List, List)>,
        otherwise: Option<List>,
    },
    While {
        condition: List,
        body: List,
    },
    For {
        variable: String,
        /// `None`: over the positional parameters.
        words: Option<Vec<Word>>,
        body: List,
    },
    ForArith {
        expression: Word,
        body: List,
    },
    Case {
        word: Word,
        arms: Vec<(Vec<Word>, List)>,
    },
    Function {
        name: String,
        body: Rc<Command>,
        /// Written with the word `function`, which dash takes for a program.
        keyword: bool,
    },
    /// `[[ … ]]`; in a shell without it an ordinary command line.
    Test {
        words: Vec<Word>,
        other: Option<List>,
    },
    /// `(( … ))`; in a shell without it nested subshells.
    Arith {
        expression: Word,
        other: Option<List>,
    },
    /// `coproc`.
    Coproc(Box<Command>),
}

/// A command of assignments and words.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Simple {
    pub assigns: Vec<Assign>,
    pub words: Vec<Arg>,
    /// Indexes of words at which a shell without `&>` starts a new command.
    pub splits: Vec<usize>,
}

/// A word of a simple command, or an assignment behind `export` and the like.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Arg {
    Word(Word),
    Assign(Assign),
}

/// `name=value`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Assign {
    pub name: String,
    pub index: Option<Word>,
    pub append: bool,
    pub value: Assigned,
}

/// What is assigned.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Assigned {
    Scalar(Word),
    Array(Vec<Word>),
}

/// A redirection.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Redirect {
    /// `None`: the default of the operator.
    pub fd: Option<u32>,
    /// `{name}>`: the descriptor is chosen by the shell.
    pub named: Option<String>,
    pub op: RedirectOp,
    pub target: Target,
}

/// Redirection operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RedirectOp {
    Read,
    Write,
    ReadWrite,
    DupIn,
    DupOut,
    Both,
    HereDoc,
    HereString,
}

/// What a redirection names.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Target {
    Word(Word),
    /// Filled when the parser passes the end of the line.
    Body(Rc<OnceCell<Word>>),
}

/// A word as a sequence of pieces.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Word {
    pub pieces: Vec<Piece>,
}

/// Part of a word.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// Unquoted text: subject to globs, braces and a leading tilde.
    Bare(String),
    /// Quoted text.
    Quoted(String),
    /// A parameter.
    Param(Box<Param>),
    /// Output of commands.
    Command { list: Rc<List>, quoted: bool },
    /// Arithmetic.
    Arith { expression: Word },
    /// `<( … )` and `>( … )`.
    Process { list: Rc<List>, output: bool },
}

/// A parameter expansion.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Param {
    pub name: String,
    pub index: Option<Word>,
    pub op: ParamOp,
    pub quoted: bool,
}

/// What is done with a parameter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ParamOp {
    Plain,
    Length,
    Indirect,
    /// `:-`, `-`
    Default(Word),
    /// `:=`, `=`
    Assign(Word),
    /// `:+`, `+`
    Alternative(Word),
    /// `:?`, `?`
    Error(Word),
    /// `#`, `##`, `%`, `%%`: prefix or suffix, longest or shortest.
    Strip {
        suffix: bool,
        longest: bool,
        pattern: Word,
    },
    /// `:offset:length`
    Substring(Word),
    /// `^`, `^^`, `,`, `,,`: upper or lower case; the pattern, if any.
    Case {
        upper: bool,
        all: bool,
        pattern: Word,
    },
    /// `/pattern/replacement`
    Replace {
        all: bool,
        pattern: Word,
        replacement: Word,
    },
    /// `@X`
    Transform(char),
}
