//! The model credentials should belong to one user alone.

use crate::facts::Facts;
use crate::facts::FileKind;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use super::modes;

pub(super) static CHECK: Check = Check {
    id: "files.auth-profiles",
    title: "others than the owner reach the model credentials",
    severity: Level::Medium,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(5),
    atlas: &["AML.T0055"],
    attack: &["T1222.002", "T1552.001"],
    cis: &["CIS Controls v8 3.3"],
    why: "API keys and logins: others pay with them or read with them.",
    openclaw: &["fs.auth_profiles.*", "fs.sessions_store.*"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(files) = out.need(&facts.files) else { return };
    modes::whole(files, &[FileKind::AuthProfiles], out);
    for file in files.entries.iter().filter(|file| file.kind == FileKind::AuthProfiles) {
        modes::judge(file, &facts.place, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn modes_owners_and_lists() {
        let kind = FileKind::AuthProfiles;
        let mut facts = given::config(json!({}));
        given::files(&mut facts, vec![given::file("/s/x", kind, 0o600, &[])]);
        assert_eq!(check(&CHECK, &facts), vec![]);
        for (mode, severity) in [(0o644, CHECK.severity), (0o666, Level::Critical)] {
            given::files(&mut facts, vec![given::file("/s/x", kind, mode, &[])]);
            assert_eq!(check(&CHECK, &facts).iter().map(|f| f.severity).collect::<Vec<_>>(), [severity]);
        }
    }

}
