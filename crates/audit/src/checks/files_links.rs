//! State and configuration should be where they seem to be.

use crate::facts::Facts;
use crate::facts::FileKind;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "files.links",
    title: "the state or the configuration is a symlink",
    severity: Level::Low,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: None,
    atlas: &[],
    attack: &["T1222"],
    cis: &["CIS Controls v8 3.3"],
    why: "The folder that it leads to, and all above it, decide who reads and writes.",
    openclaw: &["fs.state_dir.symlink", "fs.config.symlink"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(files) = out.need(&facts.files) else { return };
    for file in files.entries.iter().filter(|file| matches!(file.kind, FileKind::StateDir | FileKind::Config)) {
        if let Some(target) = &file.link {
            out.hit(file.path.display().to_string(), format!("leads to {}", target.display())).fix(Fix::risky("put the real one there", "tools that keep it elsewhere"));
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
    fn links() {
        let mut facts = given::config(json!({}));
        let mut link = given::file("/s", FileKind::StateDir, 0o700, &[]);
        link.link = Some("/t".into());
        given::files(&mut facts, vec![link]);
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }

}
