//! Every key of the settings flips a verdict; what is wrong does not load, and says where.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    reason = "a test or an example stops at the first surprise"
)]
#![allow(missing_docs, reason = "a test")]

mod common;

use common::{Session, bundle, origin};
use seawall_model::Decision::{self, Allow, Ask, Deny};
use seawall_policy::{Bundle, PolicyFile};
use serde_json::{Value, json};

#[track_caller]
fn flips(key: &str, tool: &str, params: Value, before: Decision, after: Decision) {
    let old = Session::new(bundle("")).decide(tool, params.clone());
    let new = Session::new(bundle(&format!("[policy]\n{key}\n"))).decide(tool, params);
    assert_eq!(old.decision, before, "without {key}: {}", old.explain());
    assert_eq!(new.decision, after, "with {key}: {}", new.explain());
}

#[test]
fn each_list_flips_a_verdict() {
    let fetch = || json!({"url": "https://docs.example.com/a"});
    flips("listed_hosts = [\"docs.example.com\"]", "web_fetch", fetch(), Ask, Allow);
    flips("listed_hosts = [\"*.example.com\"]", "web_fetch", fetch(), Ask, Allow);
    flips("base = \"owner\"", "web_fetch", fetch(), Ask, Allow);
    flips(
        "private_hosts = [\"wiki.internal\"]",
        "web_fetch",
        json!({"url": "http://wiki.internal/"}),
        Deny,
        Allow,
    );
    flips("tools_deny = [\"read\"]", "read", json!({"path": "a"}), Allow, Deny);
    flips("tools_deny = [\"re*\"]", "read", json!({"path": "a"}), Allow, Deny);
    flips("tools_allow = [\"write\"]", "read", json!({"path": "a"}), Allow, Deny);
    flips("read_folders = [\"/srv/data\"]", "read", json!({"path": "/srv/data/a"}), Ask, Allow);
    flips(
        "write_folders = [\"/srv/data\"]",
        "write",
        json!({"path": "/srv/data/a", "content": ""}),
        Ask,
        Allow,
    );
    flips(
        "listed_recipients = [\"ops\"]",
        "message",
        json!({"action": "send", "target": "ops", "message": "x"}),
        Ask,
        Allow,
    );
}

#[test]
fn a_metadata_service_cannot_be_listed() {
    for key in ["listed_hosts", "private_hosts"] {
        let s = Session::new(bundle(&format!("[policy]\n{key} = [\"169.254.169.254\"]\n")));
        assert_eq!(s.decide("web_fetch", json!({"url": "http://169.254.169.254/"})).decision, Deny);
    }
}

#[test]
fn listed_senders_and_exceptions_flip_a_verdict() {
    let ask = |toml: &str| {
        let mut s = Session::new(bundle(toml));
        s.origin = origin("agent:main:main", false);
        s.origin.requester.as_mut().unwrap().channel = Some("telegram".into());
        s.decide("exec", json!({"command": "ls"})).decision
    };
    assert_eq!(ask(""), Deny);
    assert_eq!(ask("[policy]\nlisted_senders = [\"telegram:me\"]\n"), Allow);
    assert_eq!(ask("[policy]\nlisted_senders = [\"signal:me\"]\n"), Deny);
    let listed = "[policy]\nlisted_senders = [\"telegram:me\"]\n";
    for selector in [
        "agent = \"main\"",
        "channel = \"telegram\"",
        "sender = \"telegram:me\"",
        "session = \"agent:main:*\"",
    ] {
        for effect in ["untrusted = true", "tools_deny = [\"exec\"]", "tools_allow = [\"read\"]"] {
            let toml = format!("{listed}[[policy.override]]\n{selector}\n{effect}\n");
            assert_eq!(ask(&toml), Deny, "{toml}");
        }
    }
    assert_eq!(
        ask(&format!("{listed}[[policy.override]]\nagent = \"other\"\nuntrusted = true\n")),
        Allow
    );
    let fetch = |toml: &str| {
        Session::new(bundle(toml))
            .decide("web_fetch", json!({"url": "https://a.example.com/"}))
            .decision
    };
    assert_eq!(
        fetch("[[policy.override]]\nagent = \"main\"\nlisted_hosts = [\"a.example.com\"]\n"),
        Allow
    );
}

#[test]
fn budgets_and_deadlines_flip_a_verdict() {
    let mut s = Session::new(bundle("[policy.budget]\ncalls_per_hour = 2\n"));
    for expected in [Allow, Allow, Deny] {
        assert_eq!(s.run("read", json!({"path": "a"}), "").decision, expected);
    }
    s.now += 3_600_000 + 120_000;
    assert_eq!(s.run("read", json!({"path": "a"}), "").decision, Allow);
    let mut s = Session::new(bundle("[policy.budget]\nspawns_per_hour = 1\n"));
    for expected in [Allow, Deny] {
        assert_eq!(s.run("sessions_spawn", json!({"task": "a"}), "").decision, expected);
    }
    let mut s = Session::new(bundle("[policy.budget]\nsends_per_hour = 1\n"));
    for expected in [Allow, Deny] {
        assert_eq!(
            s.run("message", json!({"action": "send", "message": "a"}), "").decision,
            expected
        );
    }
    let mut s = Session::new(bundle("[policy.budget]\noutbound_bytes_per_hour = 10\n"));
    assert_eq!(
        s.run("message", json!({"action": "send", "message": "aaaaaaaaaaaaaaaa"}), "").decision,
        Deny
    );
    let s = Session::new(bundle("[policy]\npermit_seconds = 5\n"));
    let permit = s.decide("read", json!({"path": "a"})).permit.unwrap();
    assert_eq!(permit.expires_ms, s.now + 5000);
}

#[test]
fn what_is_wrong_does_not_load_and_says_where() {
    let load = |name: &str, text: &str| {
        Bundle::load(&[PolicyFile { name: name.into(), text: text.into() }]).unwrap_err()
    };
    let shown = |name: &str, text: &str| {
        load(name, text).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let at = |name: &str, text: &str, place: &str| {
        let shown = shown(name, text);
        assert!(shown.contains(place), "{shown}");
    };
    at("a.toml", "[policy]\n\nlisted_host = []\n", "a.toml:3:1: unknown field `listed_host`");
    at("a.toml", "[policy]\nlisted_hosts = [\"*.com\"]\n", "a.toml:2:1: policy.listed_hosts");
    at("a.toml", "[policy]\nask_seconds = 0\n", "a.toml:2:1: policy.ask_seconds");
    at(
        "a.toml",
        "[[tool]]\nname = \"exec\"\ndoes = [\"read\"]\n",
        "`exec` is one of OpenClaw's own tools",
    );
    at("a.toml", "[[tool]]\nname = \"x\"\ndoes = [\"fly\"]\n", "a.toml:3:");
    at("a.cedar", "permit(principal, action, resource);\n", "has no @id");
    at(
        "a.cedar",
        "@id(\"x\")\npermit(principal, action, resource) when { context.nonsense };\n",
        "a.cedar:1:1:",
    );
    at(
        "a.cedar",
        "@id(\"x\")\n@reason(\"r\")\nforbid(principal, action == Seawall::Action::\"fly\", resource);\n",
        "a.cedar:",
    );
    at("a.cedar", "@id(\"x\") permit(\n", "a.cedar:");
    at(
        "a.cedar",
        "@id(\"file.guard\")\npermit(principal, action, resource);\n",
        "is also in baseline.cedar",
    );
    at(
        "a.cedar",
        "@id(\"x\")\n@replaces(\"nothing\")\npermit(principal, action, resource);\n",
        "no rule `nothing`",
    );
    at("a.txt", "", "must end in .cedar or .toml");
    at(
        "a.toml",
        "[[sequence]]\nid = \"s\"\nreason = \"r\"\nremedy = \"\"\ndecision = \"ask\"\nwithin_seconds = 1\nstep = []\n",
        "sequence `s`",
    );
}

#[test]
fn rules_of_the_operator_count() {
    let rule = "@id(\"x\")\n@reason(\"not on {host}\")\nforbid(principal == Seawall::Agent::\"main\", action == Seawall::Action::\"fetch\", resource == Seawall::Target::\"docs.example.com\");\n";
    let files = [
        PolicyFile {
            name: "a.toml".into(),
            text: "[policy]\nlisted_hosts = [\"*.example.com\"]\n".into(),
        },
        PolicyFile { name: "b.cedar".into(), text: rule.into() },
    ];
    let s = Session::new(Bundle::load(&files).unwrap());
    // Twice: the second answer is remembered, and must be the same for each host.
    for _ in 0..2 {
        let no = s.decide("web_fetch", json!({"url": "https://docs.example.com/a"}));
        assert_eq!(no.decision, Deny);
        assert!(no.explain().contains("not on docs.example.com"), "{}", no.explain());
        assert_eq!(
            s.decide("web_fetch", json!({"url": "https://a.example.com/a"})).decision,
            Allow
        );
    }
}

#[test]
fn versions_tell_policies_apart() {
    let a = bundle("");
    assert_eq!(a.version(), Bundle::baseline().version());
    assert_ne!(a.version(), bundle("[policy]\nask_seconds = 60\n").version());
}
