//! Folders of trusted programs should not be writable by others.

use crate::facts::Facts;
use crate::facts::strings;
use crate::finding::Fix;
use crate::openclaw::scope;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "exec.trusted-dirs",
    title: "programs are trusted from a folder that others may write",
    severity: Level::High,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(4),
    atlas: &["AML.T0050"],
    attack: &["T1574.007"],
    cis: &["CIS Controls v8 2.5"],
    why: "A file with a trusted name in that folder runs without approval.",
    openclaw: &["tools.exec.safe_bin_trusted_dirs_risky"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    for scope in scope::scopes(config) {
        let value = if scope.id.is_some() { scope.own("tools.exec.safeBinTrustedDirs") } else { config.get("tools.exec.safeBinTrustedDirs") };
        for dir in value.map(strings).unwrap_or_default() {
            if let Some(why) = risky(&dir) {
                let key = if scope.id.is_some() { scope.path("tools.exec.safeBinTrustedDirs").join(".") } else { "tools.exec.safeBinTrustedDirs".into() };
                out.hit(key, format!("`{dir}` is {why}")).fix(Fix::risky("trust folders of the system only", "programs in that folder"));
            }
        }
    }
}

fn risky(dir: &str) -> Option<&'static str> {
    let lower = dir.to_ascii_lowercase();
    let below = |root: &str| lower == root || lower.starts_with(&format!("{root}/"));
    if !dir.starts_with('/') {
        Some("not absolute: it depends on where the gateway was started")
    } else if ["/tmp", "/var/tmp", "/private/tmp", "/dev/shm"].iter().any(|root| below(root)) {
        Some("a folder for everybody's temporary files")
    } else if ["/usr/local/bin", "/opt/homebrew/bin", "/opt/local/bin", "/home/linuxbrew/.linuxbrew/bin"].contains(&lower.as_str()) {
        Some("where package managers write as a user")
    } else if below("/home") || below("/users") || below("/root") || lower.contains("/.local/bin") {
        Some("in a user's home")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn folders_that_can_be_written() {
        for bad in [json!({"tools":{"exec":{"safeBinTrustedDirs":["bin"]}}}), json!({"tools":{"exec":{"safeBinTrustedDirs":["/tmp/x"]}}}), json!({"tools":{"exec":{"safeBinTrustedDirs":["/home/u/.local/bin"]}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        let good = json!({"tools":{"exec":{"safeBinTrustedDirs":["/usr/bin","/opt/tools"]}}});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
