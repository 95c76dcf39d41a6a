//! The table of programs: how their arguments map to effects, as data.
//!
//! `tables/*.table` holds one program (or several that behave alike) per line:
//!
//! ```text
//! name,name: item item …
//! ```
//!
//! | item | meaning |
//! |---|---|
//! | `lenient` | no option has an effect of its own: unknown ones are passed over; without it an unknown option is opaque |
//! | `flags=abc` | short options without value |
//! | `long=a,b` | long options without value |
//! | `-o\|--output=ROLE` | option with a value in that role |
//! | `--color?=ROLE` | option whose value must be attached |
//! | `-i\|--in-place>ROLE` | option that gives the operands that role |
//! | `1=ROLE` `2=ROLE` | first, second operand |
//! | `*=ROLE` | all other operands |
//! | `$=ROLE` | last operand, when there are at least two |
//! | `0=ROLE` | the working directory, when there is no operand |
//! | `dash` | long options have one dash |
//! | `plain` | has no options: every argument is an operand |
//! | `out=none` | prints nothing that it read |
//! | `out=name` | prints one name or number |
//! | `!opaque:WHY` `!install:X` `!config:X` `!schedule:X` | always has this effect (`_` for a blank) |
//! | `@NAME` | a function of [`super::special`] does the rest |

use std::collections::HashMap;
use std::sync::LazyLock;

/// What an argument is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// No effect.
    Skip,
    /// A file that is read.
    Read,
    /// A file that is written.
    Write,
    /// Both.
    ReadWrite,
    /// A file that is removed.
    Delete,
    /// A file that is read and removed.
    Move,
    /// Names and metadata.
    List,
    /// A URL that is fetched.
    Url,
    /// A host, with or without port and user.
    Host,
    /// Shell text.
    Shell,
    /// Code in some language.
    Code,
    /// A file that is run.
    Script,
    /// A program that is started without arguments.
    Run,
    /// Changes what the program does in ways that are not followed.
    Opaque,
    /// Something to be installed.
    Install,
}

/// An option.
#[derive(Debug, Clone)]
pub(super) struct Opt {
    pub names: Vec<String>,
    pub takes: Takes,
    pub role: Role,
}

/// Whether an option has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    No,
    Value,
    Attached,
    /// None; it changes the role of the operands.
    Operands,
}

/// A constant effect.
#[derive(Debug, Clone)]
pub(super) enum Always {
    Opaque(String),
    Install(String),
    Config(String),
    Schedule(String),
}

/// What a program prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Prints {
    #[default]
    All,
    None,
    Name,
}

/// A program.
#[derive(Debug, Clone, Default)]
pub(super) struct Spec {
    pub lenient: bool,
    pub dash: bool,
    pub plain: bool,
    pub flags: String,
    pub long: Vec<String>,
    pub opts: Vec<Opt>,
    pub first: Vec<Role>,
    pub rest: Option<Role>,
    pub last: Option<Role>,
    pub none: Option<Role>,
    pub always: Vec<Always>,
    pub prints: Prints,
    pub special: Option<String>,
}

const SOURCES: &[&str] = &[
    include_str!("tables/files.table"),
    include_str!("tables/archives.table"),
    include_str!("tables/network.table"),
    include_str!("tables/vcs.table"),
    include_str!("tables/build.table"),
    include_str!("tables/text.table"),
    include_str!("tables/process.table"),
    include_str!("tables/system.table"),
    include_str!("tables/interpreters.table"),
    include_str!("tables/own.table"),
];

static TABLE: LazyLock<HashMap<String, Spec>> = LazyLock::new(|| {
    let mut table = HashMap::new();
    for line in SOURCES.iter().flat_map(|s| s.lines()) {
        // A line that cannot be read leaves its programs unknown, which is opaque; a test shows
        // that there is none.
        if let Ok(Some((names, spec))) = line_spec(line) {
            for name in names {
                table.insert(name, spec.clone());
            }
        }
    }
    table
});

/// The entry of a program.
pub(super) fn lookup(name: &str) -> Option<&'static Spec> {
    TABLE.get(name).or_else(|| {
        // `python3.12`, `gcc-13`, `perl5.36`: a version behind a known name.
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
        if stem.is_empty() || stem.len() == name.len() { None } else { TABLE.get(stem) }
    })
}

fn role(text: &str) -> Result<Role, String> {
    Ok(match text {
        "skip" => Role::Skip,
        "read" => Role::Read,
        "write" => Role::Write,
        "rw" => Role::ReadWrite,
        "delete" => Role::Delete,
        "move" => Role::Move,
        "list" => Role::List,
        "url" => Role::Url,
        "host" => Role::Host,
        "shell" => Role::Shell,
        "code" => Role::Code,
        "script" => Role::Script,
        "run" => Role::Run,
        "opaque" => Role::Opaque,
        "install" => Role::Install,
        other => return Err(format!("role {other}")),
    })
}

fn line_spec(line: &str) -> Result<Option<(Vec<String>, Spec)>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (names, items) = line.split_once(':').ok_or("no colon")?;
    let names = names.split(',').map(|n| n.trim().to_owned()).collect();
    let mut spec = Spec::default();
    for item in items.split_whitespace() {
        if let Some(always) = item.strip_prefix('!') {
            let (kind, what) = always.split_once(':').ok_or("effect without text")?;
            let what = what.replace('_', " ");
            spec.always.push(match kind {
                "opaque" => Always::Opaque(what),
                "install" => Always::Install(what),
                "config" => Always::Config(what),
                "schedule" => Always::Schedule(what),
                other => return Err(format!("effect {other}")),
            });
        } else if let Some(name) = item.strip_prefix('@') {
            spec.special = Some(name.to_owned());
        } else if item.starts_with('-') {
            let (names, takes, value) = if let Some((names, value)) = item.split_once("?=") {
                (names, Takes::Attached, value)
            } else if let Some((names, value)) = item.split_once('=') {
                (names, Takes::Value, value)
            } else if let Some((names, value)) = item.split_once('>') {
                (names, Takes::Operands, value)
            } else {
                (item, Takes::No, "skip")
            };
            let names = names.split('|').map(str::to_owned).collect();
            spec.opts.push(Opt { names, takes, role: role(value)? });
        } else {
            match item.split_once('=') {
                None => match item {
                    "lenient" => spec.lenient = true,
                    "dash" => spec.dash = true,
                    "plain" => spec.plain = true,
                    other => return Err(format!("item {other}")),
                },
                Some(("flags", v)) => spec.flags.push_str(v),
                Some(("long", v)) => spec.long.extend(v.split(',').map(str::to_owned)),
                Some(("*", v)) => spec.rest = Some(role(v)?),
                Some(("$", v)) => spec.last = Some(role(v)?),
                Some(("0", v)) => spec.none = Some(role(v)?),
                Some(("1" | "2" | "3", v)) => spec.first.push(role(v)?),
                Some(("out", "none")) => spec.prints = Prints::None,
                Some(("out", "name")) => spec.prints = Prints::Name,
                Some((other, _)) => return Err(format!("item {other}")),
            }
        }
    }
    Ok(Some((names, spec)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_tables_is_read_and_no_program_is_listed_twice() {
        let mut seen = std::collections::HashSet::new();
        for line in SOURCES.iter().flat_map(|s| s.lines()) {
            let parsed = line_spec(line).unwrap_or_else(|e| panic!("{line}: {e}"));
            for name in parsed.map(|(names, _)| names).unwrap_or_default() {
                assert!(seen.insert(name.clone()), "{name} is listed twice");
            }
        }
        assert!(seen.len() > 300, "{}", seen.len());
    }

    #[test]
    fn every_special_function_exists() {
        for (name, spec) in TABLE.iter() {
            if let Some(special) = &spec.special {
                assert!(crate::shell::special::exists(special), "{name}: @{special}");
            }
        }
    }
}
