//! The clock should be right.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "host.clock",
    title: "the clock is not synchronised",
    severity: Level::Low,
    confidence: Confidence::High,
    audience: Audience::Production,
    item: Some(10),
    atlas: &[],
    attack: &["T1070.006"],
    cis: &["CIS Controls v8 8.4"],
    why: "Logs of several machines cannot be compared, and expiring tokens and grants last too long.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(clock) = out.need(&facts.host.clock) else { return };
    if !clock.synchronised {
        out.hit("clock", "the kernel says that nothing keeps it right").fix(Fix::safe("switch time synchronisation on").run("timedatectl set-ntp true"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn what_the_kernel_says() {
        let mut facts = given::config(json!({}));
        facts.now = 1_000_000_000;
        facts.host.clock = crate::Fact::Known(crate::facts::Clock { synchronised: true });
        assert_eq!(check(&CHECK, &facts), vec![]);
        facts.host.clock = crate::Fact::Known(crate::facts::Clock { synchronised: false });
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }

}
