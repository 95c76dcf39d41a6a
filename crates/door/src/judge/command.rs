//! Commands in a message: the gateway reads `/exec host=…` and the like out of ordinary text of an
//! authorised sender, so a message can ask for more than a turn.

use super::Finding;
use crate::table::{Commands, Table};

/// The most consequential command in a text that somebody writes to an agent.
pub(super) fn judge(table: &Table, text: &str) -> Option<Finding> {
    worst(table, text, |_| true)
}

/// The same in a string that is not known for such a text: a path may begin like a command, so only
/// those count that the gateway reads wherever they stand.
pub(super) fn judge_any(table: &Table, text: &str) -> Option<Finding> {
    worst(table, text, |commands| commands.anywhere)
}

fn worst(table: &Table, text: &str, counts: impl Fn(&Commands) -> bool) -> Option<Finding> {
    let lower = text.to_lowercase();
    let begin = lower.trim_start_matches(|c: char| gap(c) || c.is_control());
    table
        .commands()
        .iter()
        .filter(|commands| counts(commands))
        .filter_map(|commands| {
            let word = find(commands, begin, &lower)?;
            Some(Finding {
                class: commands.class,
                what: format!("the message has the command `{word}`: {}", commands.reason),
            })
        })
        .max_by_key(|finding| finding.class)
}

fn find<'t>(commands: &'t Commands, begin: &str, all: &str) -> Option<&'t str> {
    commands.words.iter().map(String::as_str).find(|word| {
        starts(begin, word)
            || commands.anywhere
                && all.match_indices(word).any(|(at, _)| {
                    let before = all.get(..at).and_then(|s| s.chars().next_back());
                    before.is_none_or(|c| !c.is_alphanumeric() && c != '/')
                        && all.get(at..).is_some_and(|rest| starts(rest, word))
                })
    })
}

/// `text` begins with the command and the command ends there. `!` needs no end: `!ls` is a command.
fn starts(text: &str, word: &str) -> bool {
    text.strip_prefix(word).is_some_and(|rest| {
        word == "!"
            || rest
                .chars()
                .next()
                .is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '-' && c != '/')
    })
}

/// What JavaScript's `\s` and `trim` take for white space, and characters of no width.
fn gap(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2060}')
}
