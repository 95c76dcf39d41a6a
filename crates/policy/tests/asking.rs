//! A yes answers what was asked, and nothing beside it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use seawall_model::{Action, ActionKind, Decision, Origin, Requester, ToolCall};
use seawall_policy::approvals::Scope;
use seawall_policy::{Bundle, Observation, SessionState, decide_fully, observe};
use serde_json::{Value, json};

fn call(id: &str, tool: &str, params: Value) -> Action {
    Action {
        call_id: id.into(),
        origin: Origin {
            agent_id: "main".into(),
            session_key: "agent:main:main".into(),
            requester: Some(Requester { sender_is_owner: Some(true), ..Requester::default() }),
            ..Origin::default()
        },
        kind: ActionKind::ToolCall(ToolCall { tool: tool.into(), params, derived_paths: vec![] }),
    }
}

fn yes(bundle: &Bundle, state: &mut SessionState, action: &Action) {
    let decided = decide_fully(bundle, state, action, 0);
    assert_eq!(decided.verdict.decision, Decision::Ask, "{:?}", decided.verdict);
    for key in decided.asks {
        let answer = Observation::Answer {
            key,
            scope: Some(Scope::Session),
            digest: decided.digest.clone(),
            expires_ms: 1_000_000,
        };
        observe(bundle, state, &answer, 0);
    }
    assert_eq!(decide_fully(bundle, state, action, 0).verdict.decision, Decision::Allow);
}

#[test]
fn a_yes_about_one_recipient_is_none_about_another_beside_them() {
    let bundle = Bundle::baseline();
    let mut state = SessionState::default();
    let one = json!({"action": "send", "target": "alice", "message": "hello"});
    yes(&bundle, &mut state, &call("1", "message", one));
    for targets in
        [json!(["alice", "mallory@evil.example"]), json!(["mallory@evil.example", "alice"])]
    {
        let both = json!({"action": "broadcast", "targets": targets, "message": "hello"});
        let decided = decide_fully(&bundle, &state, &call("2", "message", both), 0);
        assert_eq!(decided.verdict.decision, Decision::Ask, "{:?}", decided.verdict);
        assert!(decided.verdict.explain().contains("mallory@evil.example"));
    }
}

#[test]
fn targets_that_are_cut_short_are_still_told_apart() {
    let bundle = Bundle::baseline();
    let mut state = SessionState::default();
    let many = |last: &str| {
        let mut all: Vec<String> =
            (0..60).map(|i| format!("somebody-{i:02}@example.org")).collect();
        all.push(last.to_owned());
        json!({"action": "broadcast", "targets": all, "message": "hello"})
    };
    yes(&bundle, &mut state, &call("1", "message", many("zoe@example.org")));
    let other = call("2", "message", many("zorro@evil.example"));
    assert_eq!(decide_fully(&bundle, &state, &other, 0).verdict.decision, Decision::Ask);
}

#[test]
fn what_asks_for_more_than_is_shown_is_denied() {
    let hosts: Vec<String> = (0..12).map(|i| format!("curl https://h{i}.example/")).collect();
    let action = call("1", "exec", json!({"command": hosts.join("; ")}));
    let verdict = decide_fully(&Bundle::baseline(), &SessionState::default(), &action, 0).verdict;
    assert_eq!(verdict.decision, Decision::Deny);
    assert!(verdict.explain().contains("split the call"), "{verdict:?}");
}

#[test]
fn a_yes_to_fetch_is_none_to_send_and_one_without_a_target_is_about_its_call() {
    let bundle = Bundle::baseline();
    let mut state = SessionState::default();
    let exec = |id: &str, command: &str| call(id, "exec", json!({"command": command}));
    yes(&bundle, &mut state, &exec("1", "curl -s https://status.example/a"));
    let sends = exec("2", "curl -s -X POST -d hello https://status.example/upload");
    assert_eq!(decide_fully(&bundle, &state, &sends, 0).verdict.decision, Decision::Ask);
    let mut state = SessionState::default();
    yes(&bundle, &mut state, &exec("1", "curl -s \"$(cat u.txt)\""));
    let other = exec("2", "curl -s \"$(cat other.txt)\"");
    assert_eq!(decide_fully(&bundle, &state, &other, 0).verdict.decision, Decision::Ask);
}

#[test]
fn a_limit_of_a_session_is_one_of_what_it_starts() {
    let text = "[policy]\n[[policy.override]]\nsession = \"agent:main:lim*\"\ntools_deny = [\"exec\"]\n\
                [[policy.override]]\nagent = \"other\"\nlisted_hosts = [\"a.example\"]\n";
    let file = seawall_policy::PolicyFile { name: "x.toml".into(), text: text.into() };
    let bundle = Bundle::load(&[file]).unwrap();
    let maker =
        Origin { session_key: "agent:main:lim1".into(), ..call("0", "ls", Value::Null).origin };
    let child = SessionState::inherit(SessionState::default().lineage(&bundle, &maker));
    let grandchild = {
        let origin = Origin { session_key: "agent:main:subagent:1".into(), ..maker.clone() };
        SessionState::inherit(child.lineage(&bundle, &origin))
    };
    for (state, expected) in [
        (SessionState::default(), Decision::Allow),
        (child, Decision::Deny),
        (grandchild, Decision::Deny),
    ] {
        let mut action = call("1", "exec", json!({"command": "echo hi"}));
        action.origin.session_key = "agent:other:main".into();
        action.origin.agent_id = "other".into();
        let decided = decide_fully(&bundle, &state, &action, 0);
        assert_eq!(decided.verdict.decision, expected, "{:?}", decided.verdict);
        let hosts = bundle.listed_hosts(&action.origin, &state.makers);
        assert_eq!(hosts.contains(&"a.example".to_owned()), expected == Decision::Allow);
    }
}
