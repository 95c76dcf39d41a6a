//! State should not be copied to other machines by itself.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "files.synced",
    title: "the state lies in a folder that is copied elsewhere",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(5),
    atlas: &["AML.T0057"],
    attack: &["T1530"],
    cis: &["CIS Controls v8 3.3"],
    why: "Tokens and transcripts are on every machine and at the provider that the folder is synced with.",
    openclaw: &["fs.synced_dir"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    for path in [&facts.place.state_dir, &facts.place.config_path] {
        let lower = path.display().to_string().to_ascii_lowercase();
        if let Some(name) = ["icloud", "dropbox", "google drive", "googledrive", "onedrive", "nextcloud", "syncthing", "mobile documents"].iter().find(|name| lower.contains(*name)) {
            out.hit(path.display().to_string(), format!("the path has `{name}` in it")).fix(Fix::risky("move it to a folder of this machine", "other machines that use the copy"));
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
    fn by_name() {
        let mut facts = given::config(json!({}));
        assert_eq!(check(&CHECK, &facts), vec![]);
        facts.place.state_dir = "/home/u/Dropbox/x".into();
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }

}
