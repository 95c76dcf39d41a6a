//! The agent should not be able to read credentials.

use crate::facts::Facts;
use crate::facts::FileKind;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
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
    for file in files.entries.iter().filter(|file| !file.secrets.is_empty()) {
        // The configuration has a check of its own.
        if matches!(file.kind, FileKind::Config | FileKind::Include | FileKind::Credentials | FileKind::AuthProfiles) {
            continue;
        }
        let inside = matches!(file.kind, FileKind::WorkspaceFile | FileKind::Instructions | FileKind::Workspace);
        out.hit(file.path.display().to_string(), format!("holds {}", file.secrets.join(", "))).severity(if inside { Level::High } else { Level::Medium })
            .fix(Fix::risky("move them to a vault or the environment, then rotate them: they count as known", "what reads them from there"));
    }
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

}
