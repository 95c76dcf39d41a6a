//! Any bytes under any name get an answer: archives, text, syntax trees, programs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seawall_scan::{Tree, scan};

const NAMES: &[&str] = &[
    "SKILL.md",
    "a.sh",
    "a.py",
    "a.js",
    "a.ts",
    "a.rb",
    "a.go",
    "a.ps1",
    "a.bat",
    "a.applescript",
    "a.zip",
    "a.tar",
    "a.gz",
    "package.json",
    ".claude/settings.json",
    "a.bin",
];

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let name = NAMES[usize::from(*first) % NAMES.len()];
    let mut tree = Tree::new("fuzz");
    tree.add(name, rest.to_vec(), false);
    let _ = scan(&tree);
});
