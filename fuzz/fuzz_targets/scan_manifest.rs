//! Files that run by themselves or name what runs.
#![no_main]

mod scan;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    const NAMES: [&str; 6] = [
        "package.json",
        ".claude/settings.json",
        ".vscode/tasks.json",
        "pyproject.toml",
        "Makefile",
        ".mcp.json",
    ];
    let Some((first, rest)) = data.split_first() else { return };
    scan::one(NAMES[usize::from(*first) % NAMES.len()], rest);
});
