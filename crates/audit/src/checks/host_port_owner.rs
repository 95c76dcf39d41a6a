//! The gateway's port should belong to the gateway's user.

use crate::facts::Facts;
use crate::facts::FileKind;
use crate::finding::Fix;
use crate::openclaw::port;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "host.port-owner",
    title: "another user's program has the gateway's port",
    severity: Level::High,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(1),
    atlas: &[],
    attack: &["T1557"],
    cis: &[],
    why: "Clients give it their token.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(listeners) = out.need(&facts.host.listeners) else { return };
    let Some(config) = out.need(&facts.config) else { return };
    let Some(owner) = facts.files.known().and_then(|files| files.entries.iter().find(|file| file.kind == FileKind::StateDir)).map(|file| file.uid) else { return };
    for listener in listeners.iter().filter(|listener| listener.port == port(config) && listener.uid != owner && listener.uid != 0) {
        out.hit(format!("{}:{}", listener.address, listener.port), format!("user {} holds it as {}, the state belongs to user {owner}", listener.uid, listener.process.as_deref().unwrap_or("an unknown process")))
            .fix(Fix::risky("stop the other program, and change the token", "that program"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn another_user() {
        let mut facts = given::config(json!({}));
        facts.now = 1_000_000_000;
        facts.host.listeners = crate::Fact::Known(vec![crate::facts::Listener { address: "127.0.0.1".parse().unwrap(), port: 18789, uid: 1001, process: Some("nc[1]".into()) }]);
        given::files(&mut facts, vec![given::file("/s", FileKind::StateDir, 0o700, &[])]);
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }

}
