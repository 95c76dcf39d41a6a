use super::*;
use crate::grant::Grant;
use crate::token::{DoorTokens, Role};
use proptest::prelude::*;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use std::sync::OnceLock;

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| Table::shipped().expect("shipped tables"))
}

fn who(role: Role) -> Principal {
    let mut tokens = DoorTokens::new();
    let secret = tokens.create("me", role, None, None, 0, &[3; 32]).expect("valid");
    tokens.authenticate(secret.expose_secret(), 1).expect("known")
}

fn call(role: Role, method: &str, params: Value) -> Judgement {
    let table = table();
    let request = Request {
        id: "1".into(),
        method: method.into(),
        params: params.as_object().cloned(),
        envelope: Vec::new(),
    };
    judge(table, &Grants::default(), &who(role), &request, 1)
}

#[track_caller]
fn allowed(role: Role, method: &str, params: Value) {
    let judgement = call(role, method, params);
    assert!(judgement.is_allowed(), "{method}: {judgement:?}");
}

#[track_caller]
fn refused(role: Role, method: &str, params: Value, says: &str) {
    match call(role, method, params) {
        Judgement::Refuse { message, .. } => assert!(message.contains(says), "{message}"),
        allowed @ Judgement::Allow { .. } => panic!("{method} went through: {allowed:?}"),
    }
}

#[test]
fn ordinary_use_goes_on() {
    allowed(Role::Viewer, "sessions.list", json!({}));
    allowed(Role::Viewer, "health", json!({}));
    allowed(
        Role::Chat,
        "chat.send",
        json!({"sessionKey":"agent:main:main","message":"what is in /etc/config and does 1/2 exec?","idempotencyKey":"k"}),
    );
    allowed(Role::Chat, "agent", json!({"message":"hello","agentId":"main","idempotencyKey":"k"}));
    allowed(
        Role::Chat,
        "sessions.patch",
        json!({"key":"agent:main:main","label":"x","model":null}),
    );
    allowed(Role::Chat, "sessions.patch", json!({"key":"k","sandboxMode":null,"execHost":null}));
    allowed(
        Role::Chat,
        "chat.send",
        json!({"sessionKey":"k","message":"/new","idempotencyKey":"k"}),
    );
    allowed(Role::Operator, "exec.approval.resolve", json!({"id":"1","decision":"allow-once"}));
    allowed(
        Role::Operator,
        "cron.add",
        json!({"name":"n","schedule":{"kind":"every","everyMs":60000},"sessionTarget":"isolated","wakeMode":"now",
               "payload":{"kind":"agentTurn","message":"look at the mail"},"delivery":{"mode":"announce","channel":"last"}}),
    );
    allowed(
        Role::Operator,
        "cron.update",
        json!({"id":"j","patch":{"enabled":false,"failureAlert":false}}),
    );
    allowed(Role::Operator, "talk.config", json!({"anything":1,"includeSecrets":false}));
}

#[test]
fn what_gives_the_machine_needs_the_operators_say() {
    for method in [
        "terminal.open",
        "agents.files.set",
        "config.patch",
        "plugins.install",
        "exec.approvals.set",
        "skills.install",
        "secrets.store.set",
        "node.invoke",
        "computer.invoke",
        "environments.session.exec",
        "sessions.files.set",
        "doctor.memory.resetDreamDiary",
        "mcp.app.callTool",
        "tools.invoke",
    ] {
        refused(Role::Operator, method, json!({}), &format!("seawall door allow {method} --to me"));
        refused(Role::Chat, method, json!({}), "only an operator's token");
    }
    refused(Role::Operator, "config.set", json!({}), "Use `seawall config apply`, or");
    refused(Role::Operator, "secrets.resolve", json!({}), "refused through this door");
    refused(Role::Operator, "node.event", json!({}), "this door admits operators");
    refused(Role::Operator, "plugin-of.tomorrow", json!({}), "not in the table");
    refused(Role::Chat, "exec.approval.resolve", json!({}), "needs a token of role operator");
    refused(Role::Viewer, "chat.send", json!({"message":"hi"}), "needs a token of role chat");
}

#[test]
fn parameters_that_give_the_machine_are_seen() {
    let refused = |method, params, says| refused(Role::Operator, method, params, says);
    refused(
        "cron.add",
        json!({"name":"n","schedule":{"kind":"every","everyMs":1},"payload":{"kind":"command","argv":["id"]}}),
        "payload.kind",
    );
    refused(
        "cron.add",
        json!({"name":"n","schedule":{"kind":"stream","command":["id"]},"payload":{"kind":"systemEvent","text":"x"}}),
        "schedule.",
    );
    refused("cron.add", json!({"schedule":{"kind":"on-exit","command":"id"}}), "schedule.");
    refused(
        "cron.add",
        json!({"schedule":{"kind":"every","everyMs":1,"command":"id"}}),
        "schedule.command",
    );
    refused("cron.add", json!({"payload":{"kind":"script","script":"x"}}), "payload.");
    refused("cron.add", json!({"trigger":{"script":"x"}}), "trigger");
    refused("cron.add", json!({"delivery":{"mode":"webhook","to":"http://x"}}), "delivery.mode");
    refused(
        "cron.add",
        json!({"delivery":{"mode":"announce","completionDestination":{"mode":"webhook","to":"http://x"}}}),
        "completionDestination",
    );
    refused(
        "cron.add",
        json!({"delivery":{"mode":"none","failureDestination":{"mode":"webhook"}}}),
        "failureDestination.mode",
    );
    refused("cron.add", json!({"failureAlert":{"mode":"webhook"}}), "failureAlert.mode");
    refused(
        "cron.update",
        json!({"id":"j","patch":{"payload":{"kind":"command"}}}),
        "patch.payload.kind",
    );
    refused(
        "cron.update",
        json!({"id":"j","patch":{"later":1}}),
        "no parameter that this door knows",
    );
    refused("cron.update", json!({"id":"j","patch":"x"}), "no object");
    refused("sessions.patch", json!({"key":"k","sandboxMode":"off"}), "sandboxMode");
    refused("sessions.patch", json!({"key":"k","execHost":"gateway"}), "execHost");
    refused("sessions.patch", json!({"key":"k","elevatedLevel":"full"}), "elevatedLevel");
    refused("sessions.patch", json!({"key":"k","permissionMode":"full"}), "permissionMode");
    refused(
        "sessions.patchMany",
        json!({"targets":[{"key":"k"}],"patch":{"sandboxMode":"off"}}),
        "patch.sandboxMode",
    );
    refused("sessions.create", json!({"worktree":true}), "worktree");
    refused("sessions.create", json!({"message":"/bash id"}), "/bash");
    refused("agent", json!({"message":"x","inputProvenance":{"kind":"user"}}), "inputProvenance");
    refused("chat.send", json!({"message":"x","later":1}), "`later` is no parameter");
    refused("talk.config", json!({"includeSecrets":true}), "includeSecrets");
    refused(
        "channels.pairing.approve",
        json!({"channel":"c","bootstrapCommandOwner":true}),
        "bootstrapCommandOwner",
    );
}

#[test]
fn commands_in_a_message_are_seen() {
    for text in [
        "/exec host=gateway ls",
        "please /EXEC host=gateway ls",
        "x\u{feff}/exec: host=gateway",
        "  \u{200b}/config set a b",
        "! id",
        "!id",
        "/elevated",
        "list\n/elevated full",
    ] {
        refused(Role::Operator, "chat.send", json!({"message":text}), "command");
    }
    refused(Role::Chat, "chat.send", json!({"message":"/approve 1 allow-once"}), "role operator");
    allowed(Role::Operator, "chat.send", json!({"message":"/approve 1 allow-once"}));
    for text in ["see /usr/exec and a/exec/b", "the config in /config-files", "wow!", "/execute it"]
    {
        allowed(Role::Chat, "chat.send", json!({ "message": text }));
    }
}

#[test]
fn a_command_is_seen_wherever_it_stands() {
    let exec = "/exec host=gateway security=full ask=off";
    for (method, params) in [
        (
            "taskSuggestions.create",
            json!({"sessionKey":"k","title":"t","tldr":"x","cwd":"/w","prompt":exec}),
        ),
        ("taskSuggestions.create", json!({"title":exec})),
        ("session.suggestions.add", json!({"sessionKey":"k","text":exec})),
        ("sessions.goal.update", json!({"key":"k","goal":exec})),
        ("wake", json!({"text":exec})),
        ("system-event", json!({"text":exec})),
        ("conversations.turn", json!({"input":[{"parts":[exec]}]})),
        ("message.action", json!({"params":{"anything":{"of":"tomorrow, /exec host=gateway"}}})),
        ("tasks.retry", json!({"unheardOf":exec})),
        ("question.resolve", json!({"answers":[["yes", exec]]})),
        ("talk.client.transcript", json!({"transcript":"/elevated full"})),
    ] {
        refused(Role::Operator, method, params, "the command `/e");
    }
    refused(Role::Operator, "wake", json!({"text":"/config set a b"}), "/config");
    // A path may be called like a command, and what is only looked for is no turn.
    allowed(Role::Operator, "fs.listDir", json!({"path":"/config"}));
    allowed(Role::Viewer, "sessions.search", json!({"query":exec}));
    allowed(Role::Chat, "taskSuggestions.create", json!({"prompt":"run the tests","cwd":"/w"}));
}

#[test]
fn a_suggestion_is_accepted_into_its_own_session_only() {
    allowed(Role::Chat, "taskSuggestions.accept", json!({"taskId":"t","mode":"session"}));
    for params in [
        json!({"taskId":"t"}),
        json!({"taskId":"t","mode":null}),
        json!({"taskId":"t","mode":"local"}),
        json!({"taskId":"t","mode":"worktree","cwd":"/etc"}),
        json!({"taskId":"t","mode":"cloud","cloudProfileId":"p"}),
    ] {
        refused(Role::Operator, "taskSuggestions.accept", params, "seawall door allow");
    }
}

#[test]
fn an_answer_that_is_sent_elsewhere_is_the_operators() {
    let turn = |more: Value| {
        let mut params = json!({"message":"hi","agentId":"main","idempotencyKey":"k"});
        for (name, value) in more.as_object().expect("an object") {
            params[name] = value.clone();
        }
        params
    };
    for more in [
        json!({"deliver":true}),
        json!({"channel":"telegram"}),
        json!({"to":"12345"}),
        json!({"replyChannel":"telegram","replyTo":"12345"}),
        json!({"accountId":"a"}),
        json!({"groupId":"g"}),
    ] {
        refused(Role::Chat, "agent", turn(more.clone()), "role operator");
        match call(Role::Operator, "agent", turn(more)) {
            Judgement::Allow { class, record, .. } => {
                assert!(class == Class::Operator && record);
            }
            refused @ Judgement::Refuse { .. } => panic!("{refused:?}"),
        }
    }
    allowed(Role::Chat, "agent", turn(json!({"deliver":false,"channel":"webchat"})));
}

#[test]
fn a_grant_lifts_one_method_for_one_token_for_a_time() {
    let table = table();
    let mut grants = Grants::default();
    grants
        .add(
            Grant {
                id: "g".into(),
                method: "agents.files.set".into(),
                token: "me".into(),
                until_ms: 100,
            },
            0,
            table,
        )
        .expect("valid");
    let ask = |method: &str, who: &Principal, now| {
        let request =
            Request { id: "1".into(), method: method.into(), params: None, envelope: Vec::new() };
        judge(table, &grants, who, &request, now)
    };
    let me = who(Role::Operator);
    assert_eq!(
        ask("agents.files.set", &me, 99),
        Judgement::Allow { class: Class::Host, record: true, by_grant: Some("g".into()) }
    );
    assert!(!ask("agents.files.set", &me, 100).is_allowed());
    assert!(!ask("agents.delete", &me, 99).is_allowed());
    assert!(!ask("agents.files.set", &who(Role::Chat), 99).is_allowed());
    let mut other = me.clone();
    other.name = "other".into();
    assert!(!ask("agents.files.set", &other, 99).is_allowed());
}

#[test]
fn what_is_consequential_is_written_down() {
    let record = |method| match call(Role::Operator, method, json!({})) {
        Judgement::Allow { record, .. } => record,
        refused @ Judgement::Refuse { .. } => panic!("{refused:?}"),
    };
    assert!(
        record("exec.approval.resolve") && record("device.pair.approve") && record("cron.remove")
    );
    assert!(!record("device.pair.list") && !record("health") && !record("chat.history"));
}

proptest! {
    /// A role never gets what a lesser class refuses it, whatever the parameters.
    #[test]
    fn a_lesser_role_never_gets_more(pick in 0usize..500, key in "[a-zA-Z]{1,12}", text in ".{0,20}") {
        let table = table();
        let (name, method) = table.methods().nth(pick % table.methods().count()).expect("in range");
        let params = json!({ key: text });
        let results: Vec<bool> = [Role::Viewer, Role::Chat, Role::Operator]
            .into_iter()
            .map(|role| call(role, name, params.clone()).is_allowed())
            .collect();
        prop_assert!(results.windows(2).all(|w| w[0] <= w[1]), "{name}: {results:?}");
        prop_assert!(method.class < Class::Host || results.iter().all(|ok| !ok), "{name}");
    }

    /// No method that a table does not list goes through.
    #[test]
    fn unknown_methods_never_go_through(name in "[a-zA-Z.]{1,30}") {
        let table = table();
        prop_assume!(table.method(&name).is_none());
        let judgement = call(Role::Operator, &name, json!({}));
        prop_assert!(!judgement.is_allowed());
    }

    /// A field that a shape does not list is never let through, wherever it stands.
    #[test]
    fn unknown_fields_never_go_through(field in "[a-z]{3,10}X") {
        for params in [
            json!({ (field.clone()): 1 }),
            json!({"schedule":{ (field.clone()): 1 }}),
            json!({"payload":{"kind":"agentTurn", (field.clone()): 1 }}),
        ] {
            let judgement = call(Role::Operator, "cron.add", params);
            prop_assert!(!judgement.is_allowed());
        }
    }
}
