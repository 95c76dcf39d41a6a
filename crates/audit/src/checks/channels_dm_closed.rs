//! Which channels nobody can use is worth knowing.

use crate::facts::Facts;
use crate::openclaw::channels::accounts;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "channels.dm-closed",
    title: "nobody can write to the agent on this channel",
    severity: Level::Info,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: None,
    atlas: &[],
    attack: &[],
    cis: &[],
    why: "A channel that nobody uses is only attack surface.",
    openclaw: &["channels.*"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let senders = facts.state.known().and_then(Option::as_ref);
    for account in accounts(config) {
        let name = account.name();
        let paired = senders.is_some_and(|state| state.senders.iter().any(|(key, list)| (*key == name || key.starts_with(&format!("{}/", account.channel))) && !list.is_empty()));
        match account.dm_policy() {
            "disabled" => {
                out.hit(account.key(account.dm_key()), format!("direct messages on {name} are off"));
            }
            "open" => {}
            policy if account.allow_from().is_empty() && !paired => {
                out.hit(account.key(account.dm_key()), format!("`{policy}` on {name}, and no sender is known"));
            }
            _ => {}
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
    fn off_and_empty() {
        for bad in [json!({"channels":{"telegram":{"dmPolicy":"disabled"}}}), json!({"channels":{"telegram":{}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        let good = json!({"channels":{"telegram":{"dmPolicy":"allowlist","allowFrom":["1"]}}});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
