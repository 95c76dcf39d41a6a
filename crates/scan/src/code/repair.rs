//! Lines that a grammar cannot read are taken out, so that the lines after them are read.

use super::{Language, parse_with};
use tree_sitter::Node;

/// Times that a line is taken out. Honest files need few: another version of the language, a
/// placeholder.
const ROUNDS: usize = 8;
/// Bytes parsed in all, so that a large file full of errors costs no more than a large file.
const BUDGET: usize = 1 << 20;

/// `text` with the lines blanked at which errors begin; `None` when there is no error. Lines keep
/// their numbers.
pub(crate) fn without_errors(language: Language, text: &str) -> Option<String> {
    let mut out: Option<String> = None;
    let rounds = ROUNDS.min(BUDGET / text.len().max(1));
    for _ in 0..rounds {
        let current = out.as_deref().unwrap_or(text);
        let Some(row) = parse_with(language, current).and_then(|tree| error(tree.root_node()))
        else {
            break;
        };
        let blanked = blank(current, row);
        // An error on an empty line cannot be taken out.
        if blanked == current {
            break;
        }
        out = Some(blanked);
    }
    out
}

/// The row at which the first error begins.
fn error(root: Node<'_>) -> Option<usize> {
    let mut node = root;
    if !node.has_error() {
        return None;
    }
    // Down to the innermost: an error that spans a file begins where it was noticed.
    loop {
        let mut cursor = node.walk();
        match node.children(&mut cursor).find(|n| n.is_error() || n.is_missing() || n.has_error()) {
            Some(child) if !node.is_error() || child.is_error() => node = child,
            _ => return Some(node.start_position().row),
        }
    }
}

fn blank(text: &str, row: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if index != row {
            out.push_str(line);
        } else if line.ends_with('\n') {
            out.push('\n');
        }
    }
    out
}
