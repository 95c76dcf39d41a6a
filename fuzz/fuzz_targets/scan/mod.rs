//! What every answer of the scanner has to keep to.

use seawall_scan::{MAX_FILES, MAX_FINDINGS, MAX_TOTAL, Tree, Verdict, scan};

/// Scans `bytes` under `name`, beside a skill that says nothing, and checks the answer.
pub fn one(name: &str, bytes: &[u8]) {
    let mut tree = Tree::new("fuzz");
    tree.add(name, bytes.to_vec(), false);
    if name != "SKILL.md" {
        let skill = b"---\nname: fuzz\ndescription: Keeps notes.\n---\n# Notes\n";
        tree.add("SKILL.md", skill.to_vec(), false);
    }
    assert!(tree.files.len() <= MAX_FILES);
    assert!(tree.files.iter().map(|f| f.bytes.len() as u64).sum::<u64>() <= MAX_TOTAL);
    let report = scan(&tree);
    assert!(report.findings.len() <= MAX_FINDINGS);
    assert!(!report.findings.iter().any(|f| f.message.contains(|c: char| c.is_control())));
    assert_eq!(report.verdict, Verdict::of(&report.findings));
}
