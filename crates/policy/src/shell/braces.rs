//! Brace expansion, which bash does before all other expansions and dash not at all.

use super::ast::{Piece, Word};
use super::expand::FIELDS;
use super::value::NAME;

/// A unit of a word for brace expansion.
#[derive(Clone)]
enum Unit {
    Char(char),
    Piece(Piece),
}

/// The words that a word with braces stands for; `None` when it has no brace expression.
pub(super) fn braces(word: &Word) -> Option<Vec<Word>> {
    let mut units = Vec::new();
    for piece in &word.pieces {
        match piece {
            Piece::Bare(text) => units.extend(text.chars().map(Unit::Char)),
            other => units.push(Unit::Piece(other.clone())),
        }
    }
    let mut budget = FIELDS * 8;
    let expanded = expand_braces(&units, &mut budget, 12)?;
    if expanded.len() < 2 && expanded.first().is_some_and(|e| e.len() == units.len()) {
        return None;
    }
    Some(expanded.into_iter().map(|units| to_word(&units)).collect())
}

fn to_word(units: &[Unit]) -> Word {
    let mut word = Word::default();
    for unit in units {
        match unit {
            Unit::Char(c) => {
                if let Some(Piece::Bare(last)) = word.pieces.last_mut() {
                    last.push(*c);
                } else {
                    word.pieces.push(Piece::Bare(c.to_string()));
                }
            }
            Unit::Piece(piece) => word.pieces.push(piece.clone()),
        }
    }
    if word.pieces.is_empty() {
        word.pieces.push(Piece::Bare(String::new()));
    }
    word
}

/// `None` when nothing expands. Too much expansion gives more lists than [`FIELDS`].
fn expand_braces(units: &[Unit], budget: &mut usize, depth: usize) -> Option<Vec<Vec<Unit>>> {
    let is = |at: usize, c: char| matches!(units.get(at), Some(Unit::Char(x)) if *x == c);
    let mut open = 0;
    while open < units.len() {
        if !is(open, '{') {
            open += 1;
            continue;
        }
        // The matching brace and the commas between.
        let (mut level, mut commas, mut close) = (0usize, Vec::new(), None);
        for at in open + 1..units.len() {
            if is(at, '{') {
                level += 1;
            } else if is(at, '}') {
                if level == 0 {
                    close = Some(at);
                    break;
                }
                level -= 1;
            } else if is(at, ',') && level == 0 {
                commas.push(at);
            }
        }
        let Some(close) = close else {
            open += 1;
            continue;
        };
        let inside = units.get(open + 1..close).unwrap_or(&[]);
        let mut parts: Vec<Vec<Unit>> = Vec::new();
        if commas.is_empty() {
            match sequence(inside) {
                Some(words) => {
                    parts.extend(words.into_iter().map(|w| w.chars().map(Unit::Char).collect()));
                }
                None => {
                    open += 1;
                    continue;
                }
            }
        } else {
            let mut from = open + 1;
            for comma in commas.into_iter().chain([close]) {
                parts.push(units.get(from..comma).unwrap_or(&[]).to_vec());
                from = comma + 1;
            }
        }
        let before = units.get(..open).unwrap_or(&[]);
        let after = units.get(close + 1..).unwrap_or(&[]);
        let mut out = Vec::new();
        for part in parts {
            let mut whole = before.to_vec();
            whole.extend(part);
            whole.extend(after.iter().cloned());
            *budget = budget.saturating_sub(1);
            if *budget == 0 || depth == 0 || out.len() > FIELDS {
                return Some(vec![Vec::new(); FIELDS + 1]);
            }
            match expand_braces(&whole, budget, depth - 1) {
                Some(more) => out.extend(more),
                None => out.push(whole),
            }
        }
        return Some(out);
    }
    None
}

/// `1..5`, `a..e`, `0..10..2`.
fn sequence(units: &[Unit]) -> Option<Vec<String>> {
    let text: Option<String> =
        units.iter().map(|u| if let Unit::Char(c) = u { Some(*c) } else { None }).collect();
    let text = text?;
    let parts: Vec<&str> = text.split("..").collect();
    let (from, to) = match parts.as_slice() {
        [from, to] | [from, to, _] => (*from, *to),
        _ => return None,
    };
    if let (Ok(a), Ok(b)) = (from.parse::<i64>(), to.parse::<i64>()) {
        // Padding and steps change the digits, not that they are digits.
        if parts.len() > 2 || from.starts_with('0') || to.starts_with('0') || a.abs_diff(b) > 64 {
            return Some(vec![NAME.to_string()]);
        }
        let (low, high) = (a.min(b), a.max(b));
        return Some((low..=high).map(|n| n.to_string()).collect());
    }
    let (mut a, mut b) = (from.chars(), to.chars());
    match (a.next(), a.next(), b.next(), b.next()) {
        (Some(x), None, Some(y), None) if x.is_ascii_alphabetic() && y.is_ascii_alphabetic() => {
            let (low, high) = (x.min(y), x.max(y));
            Some((low..=high).map(|c| c.to_string()).collect())
        }
        _ => None,
    }
}
