//! The agent should not be able to read credentials.

use crate::facts::Facts;
use crate::facts::FileKind;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use super::modes;
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "secrets.reach",
    title: "the agent can read a file with credentials",
    severity: Level::High,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(5),
    atlas: &["AML.T0055", "AML.T0057"],
    attack: &["T1552.001"],
    cis: &["CIS Controls v8 3.3"],
    why: "One injected sentence reads the file and sends it away.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(files) = out.need(&facts.files) else { return };
    modes::left_out(files.cuts.iter().filter(|cut| inside(cut.kind)).chain(&files.unread), out);
    for file in files.entries.iter().filter(|file| !file.secrets.is_empty()) {
        // The configuration has a check of its own.
        if matches!(file.kind, FileKind::Config | FileKind::Include | FileKind::Credentials | FileKind::AuthProfiles) {
            continue;
        }
        let link = file.link.as_ref().map(|target| format!("leads to {}, which ", target.display())).unwrap_or_default();
        out.hit(file.path.display().to_string(), format!("{link}holds {}", file.secrets.join(", "))).severity(if inside(file.kind) { Level::High } else { Level::Medium })
            .fix(Fix::risky("move them to a vault or the environment, then rotate them: they count as known", "what reads them from there"));
    }
}

/// What the agent works in.
fn inside(kind: FileKind) -> bool {
    matches!(kind, FileKind::WorkspaceFile | FileKind::Instructions | FileKind::Workspace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn workspaces_are_worse() {
        let mut facts = given::config(json!({}));
        given::files(&mut facts, vec![given::file("/w/.env", FileKind::WorkspaceFile, 0o600, &["an AWS key"]), given::file("/w/a", FileKind::WorkspaceFile, 0o600, &[])]);
        assert_eq!(check(&CHECK, &facts).iter().map(|f| f.severity).collect::<Vec<_>>(), [Level::High]);
    }

    #[test]
    fn what_was_not_searched_is_not_fine() {
        let mut facts = given::config(json!({}));
        for kind in [FileKind::WorkspaceFile, FileKind::Sessions] {
            let cut = crate::facts::Cut { path: "/w/deep".into(), kind, why: "is too deep".into() };
            facts.files = crate::Fact::Known(crate::facts::Files { cuts: vec![cut.clone()], ..Default::default() });
            let blind = usize::from(kind == FileKind::WorkspaceFile);
            assert_eq!(check(&CHECK, &facts).len(), blind);
            facts.files = crate::Fact::Known(crate::facts::Files { unread: vec![cut], ..Default::default() });
            let found = check(&CHECK, &facts);
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].status, crate::finding::Status::CouldNotCheck);
            assert!(found[0].evidence.contains("/w/deep"));
        }
    }
}
