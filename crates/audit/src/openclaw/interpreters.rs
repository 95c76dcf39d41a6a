//! Programs that run code given in their arguments or on their input.

/// Names, without version numbers.
const NAMES: &[&str] = &[
    "ash",
    "awk",
    "bash",
    "bun",
    "busybox",
    "clojure",
    "cmd",
    "cscript",
    "dash",
    "deno",
    "elixir",
    "erl",
    "expect",
    "find",
    "fish",
    "gawk",
    "gdb",
    "ghc",
    "groovy",
    "gsed",
    "guile",
    "julia",
    "ksh",
    "lua",
    "make",
    "mawk",
    "nawk",
    "node",
    "nodejs",
    "osascript",
    "perl",
    "php",
    "powershell",
    "pwsh",
    "pypy",
    "python",
    "r",
    "raku",
    "ruby",
    "scala",
    "sed",
    "sh",
    "toybox",
    "wscript",
    "xargs",
    "zsh",
];

/// The program's name in a path or pattern: `/usr/bin/Python3.11` is `python3.11`.
pub(crate) fn name(path: &str) -> String {
    let last = path.trim().rsplit(['/', '\\']).next().unwrap_or_default().to_ascii_lowercase();
    let last = last.trim_end_matches(".exe").trim_end_matches(".cmd").trim_end_matches(".bat");
    last.chars()
        .filter(|c| !"*?[]{}()".contains(*c))
        .collect::<String>()
        .trim_end_matches(['.', '-'])
        .to_owned()
}

/// Whether a name is such a program's, in any version.
pub(crate) fn interpreter(name: &str) -> bool {
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    NAMES.contains(&name) || NAMES.contains(&bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_paths() {
        for path in ["/usr/bin/python3.11", "node", "**/bash", "C:\\x\\Python.EXE", "ruby-3.2"] {
            assert!(interpreter(&name(path)), "{path}");
        }
        for path in ["/usr/bin/ls", "cut", "rg", ""] {
            assert!(!interpreter(&name(path)), "{path}");
        }
    }
}
