//! Calls with hostile arguments, and their results: a verdict, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seawall_model::{Action, ActionKind, Origin, Requester, ToolCall};
use seawall_policy::{Bundle, Observation, SessionState, commit, decide, observe};
use std::sync::LazyLock;

static BUNDLE: LazyLock<Bundle> = LazyLock::new(Bundle::baseline);

fuzz_target!(|input: (u8, &str, &str)| {
    let names = BUNDLE.catalogue().names();
    let tool = names.get(usize::from(input.0) % names.len()).copied().unwrap_or("x").to_owned();
    let Ok(params) = serde_json::from_str::<serde_json::Value>(input.1) else { return };
    let origin = Origin {
        agent_id: "main".into(),
        session_key: "agent:main:main".into(),
        requester: Some(Requester { sender_is_owner: Some(true), ..Requester::default() }),
        ..Origin::default()
    };
    let call = ToolCall { tool: tool.clone(), params: params.clone(), derived_paths: vec![] };
    let action =
        Action { call_id: "1".into(), origin: origin.clone(), kind: ActionKind::ToolCall(call) };
    let mut state = SessionState::default();
    let text = input.2.to_owned();
    let seen = Observation::Result {
        call_id: "0".into(),
        origin: origin.clone(),
        tool,
        params,
        text,
        is_error: false,
    };
    observe(&BUNDLE, &mut state, &seen, 0);
    let verdict = decide(&BUNDLE, &state, &action, 1);
    assert_eq!(verdict, decide(&BUNDLE, &state, &action, 1));
    commit(&BUNDLE, &mut state, &action, &verdict, 1);
});
