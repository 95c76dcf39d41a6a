//! The program should not be writable by its own process, or by others.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "install.writable",
    title: "others may change OpenClaw's program",
    severity: Level::High,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: None,
    atlas: &["AML.T0010.001"],
    attack: &["T1554"],
    cis: &["CIS Controls v8 3.3"],
    why: "A changed file runs with every right of the gateway at its next start.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(install) = out.need(&facts.install) else { return };
    if let Some(path) = &install.writable {
        out.hit(path.display().to_string(), "writable by its group or by everybody").fix(Fix::safe("take the right to write away").run_on("chmod -R go-w", install.package.display()));
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
        given::version(&mut facts, "1");
        assert_eq!(check(&CHECK, &facts), vec![]);
        if let crate::Fact::Known(install) = &mut facts.install { install.writable = Some("/x".into()); }
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }

}
