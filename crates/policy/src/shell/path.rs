//! Paths as text: absolute and lexically normal.

/// Joins `path` to `base` when it is relative and removes `.`, `..` and double slashes.
///
/// Lexical: a folder in the middle that is a symbolic link is not followed. Links are facts from
/// outside that the caller of the analysis holds.
pub(super) fn normalise(base: &str, path: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    if !path.starts_with('/') {
        push(&mut out, base);
    }
    push(&mut out, path);
    let mut text = String::with_capacity(base.len() + path.len() + 1);
    for part in out {
        text.push('/');
        text.push_str(part);
    }
    if text.is_empty() {
        text.push('/');
    }
    text
}

fn push<'a>(out: &mut Vec<&'a str>, path: &'a str) {
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                out.pop();
            }
            other => out.push(other),
        }
    }
}

/// Last part of a path; empty for `/`.
pub(super) fn base_name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or("")
}

/// The folder of a path.
pub(super) fn parent(path: &str) -> &str {
    match path.trim_end_matches('/').rfind('/') {
        Some(0) | None => "/",
        Some(at) => path.get(..at).unwrap_or("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_absolute_and_normal() {
        assert_eq!(normalise("/w", "a/./b/../c"), "/w/a/c");
        assert_eq!(normalise("/w", "/a//b/"), "/a/b");
        assert_eq!(normalise("/w", "../../../x"), "/x");
        assert_eq!(normalise("/", "."), "/");
        assert_eq!(base_name("/a/b/"), "b");
        assert_eq!(parent("/a/b"), "/a");
        assert_eq!(parent("/a"), "/");
    }
}
