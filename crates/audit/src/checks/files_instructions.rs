//! What goes into every prompt should be writable by its owner only.

use crate::facts::Facts;
use crate::facts::FileKind;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "files.instructions",
    title: "others write what the agent is told at every start",
    severity: Level::High,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: None,
    atlas: &["AML.T0080.000"],
    attack: &["T1565.001"],
    cis: &["CIS Controls v8 3.3"],
    why: "A line in SOUL.md or MEMORY.md is obeyed by every later session.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(files) = out.need(&facts.files) else { return };
    for file in files.entries.iter().filter(|file| matches!(file.kind, FileKind::Instructions | FileKind::Workspace)) {
        if file.mode & 0o022 != 0 || file.acl {
            out.hit(file.path.display().to_string(), format!("mode {:o}{}", file.mode & 0o7777, if file.acl { ", and an access control list" } else { "" })).fix(Fix::safe("let only the owner write").mode(&file.path, file.mode & 0o7755));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn group_and_world() {
        let mut facts = given::config(json!({}));
        given::files(&mut facts, vec![given::file("/w/SOUL.md", FileKind::Instructions, 0o664, &[]), given::file("/w/M.md", FileKind::Instructions, 0o644, &[])]);
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }

}
