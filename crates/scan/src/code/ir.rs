//! The small language into which Python, JavaScript, TypeScript, Ruby, Go and PowerShell are
//! lowered, so that data flow is written once.

/// An expression.
#[derive(Debug, Clone)]
pub(crate) enum Expr {
    /// Constant text.
    Str(String),
    /// A number.
    Num(i64),
    /// An identifier.
    Name(String),
    /// A property of something.
    Member(Box<Expr>, String),
    /// An element of something.
    Index(Box<Expr>, Box<Expr>),
    /// A call.
    Call { callee: Box<Expr>, args: Vec<Expr>, line: u32 },
    /// Text made of parts in a row.
    Concat(Vec<Expr>),
    /// A path made of parts.
    Path(Vec<Expr>),
    /// A list.
    List(Vec<Expr>),
    /// One of its elements: what a loop or a callback gets.
    Each(Box<Expr>),
    /// Something composed of these, text unknown.
    Many(Vec<Expr>),
}

impl Expr {
    pub(crate) fn none() -> Self {
        Expr::Many(Vec::new())
    }
}

/// A statement. `conditional` ones may or may not run.
#[derive(Debug, Clone)]
pub(crate) struct Stmt {
    pub(crate) scope: usize,
    pub(crate) conditional: bool,
    pub(crate) op: Op,
}

#[derive(Debug, Clone)]
pub(crate) enum Op {
    /// All targets get the value.
    Assign(Vec<String>, Expr),
    /// Evaluated for its effect.
    Do(Expr),
    /// The function of this scope returns it.
    Return(Expr),
    /// A local name stands for a library's.
    Alias(String, String),
    /// A function, its scope and parameters.
    Function(String, usize, Vec<String>),
}

/// A lowered file.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) stmts: Vec<Stmt>,
    /// Parent of each scope; the first is the file.
    pub(crate) parents: Vec<usize>,
    /// Why a part of the file is not in it.
    pub(crate) cut: Option<&'static str>,
}
