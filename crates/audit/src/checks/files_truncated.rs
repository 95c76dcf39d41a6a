//! Everything should be looked at.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "files.truncated",
    title: "not every file was looked at",
    severity: Level::Low,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: None,
    atlas: &[],
    attack: &[],
    cis: &[],
    why: "What was not looked at is not known to be fine.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(files) = out.need(&facts.files) else { return };
    for cut in files.cuts.iter().chain(&files.unread) {
        out.hit(cut.path.display().to_string(), cut.why.clone()).fix(Fix::safe("move data that is not the agent's out of the workspace, or let it be read: `sudo seawall audit`"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::facts::{Cut, FileKind, Files};
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn limits_show() {
        let mut facts = given::config(json!({}));
        given::files(&mut facts, vec![]);
        assert_eq!(check(&CHECK, &facts), vec![]);
        let cut = |path: &str| Cut { path: path.into(), kind: FileKind::WorkspaceFile, why: "has too many files".into() };
        facts.files = crate::Fact::Known(Files { cuts: vec![cut("/w")], unread: vec![cut("/w/big")], ..Files::default() });
        assert_eq!(check(&CHECK, &facts).len(), 2);
    }

}
