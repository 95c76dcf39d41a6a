//! Invariants against real bundles with the real solver.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise"
)]

use seawall_model::Decision;
use seawall_policy::{Bundle, PolicyFile};
use seawall_prove::{Judged, Limits, SHIPPED, State, prove, read};
use std::time::Duration;

/// Whether the solver is here; says so when it is not.
fn solver() -> bool {
    let name = Limits::default().solver;
    let found = std::process::Command::new(&name).arg("--version").output().is_ok();
    if !found {
        println!("skipped: no {} (Debian's package cvc5)", name.to_string_lossy());
    }
    found
}

fn with(rules: &str) -> Bundle {
    let file = PolicyFile { name: "own.cedar".into(), text: rules.into() };
    Bundle::load(&[file]).unwrap()
}

fn judged(bundle: &Bundle, invariants: &str) -> Vec<Judged> {
    prove(bundle, &read("own.cedar", invariants).unwrap(), &Limits::default()).unwrap()
}

const NO_PROGRAMS: &str = r#"
@id("no-program-under-influence")
@reason("a test")
@ask("true")
forbid (principal, action == Seawall::Action::"run", resource) when { context.outside };
"#;

const ONE_AGENT: &str = r#"
@id("only-the-accountant-reaches-the-bank")
@reason("a test")
forbid (principal, action in [Seawall::Action::"fetch", Seawall::Action::"post"], resource)
when { context.host == "bank.example" && principal != Seawall::Agent::"accountant" };
"#;

#[test]
fn both_bases_keep_what_is_shipped() {
    if !solver() {
        return;
    }
    for bundle in [Bundle::baseline(), Bundle::owner()] {
        for one in judged(&bundle, SHIPPED) {
            assert_eq!(one.state, State::Holds, "{}", one.id);
        }
    }
}

#[test]
fn a_rule_that_opens_a_hole_is_found_and_the_evaluator_agrees() {
    if !solver() {
        return;
    }
    // Somebody replaces the rule about secrets and forgets messages.
    let bundle = with(
        r#"@id("my.secret") @replaces("flow.secret") @reason("mine")
           forbid (principal, action in [Seawall::Action::"fetch", Seawall::Action::"post"], resource)
           when { context.payload == "secret" };"#,
    );
    // Some beside it that hold all the same.
    let kept = ["secrets-never-leave", "credentials-stay-unread", "tools-taken-away-stay-away"];
    let mut some = read("shipped", SHIPPED).unwrap();
    some.retain(|i| kept.contains(&i.id.as_str()));
    let mut broken = prove(&bundle, &some, &Limits::default()).unwrap();
    assert_eq!(broken.len(), kept.len());
    broken.retain(|j| j.state != State::Holds);
    assert_eq!(broken.len(), 1, "{broken:#?}");
    assert_eq!(broken[0].id, "secrets-never-leave");
    let State::Fails { actions, witness } = &broken[0].state else { panic!("{broken:#?}") };
    assert!(actions.contains(&"send".to_owned()), "{actions:?}");
    assert!(!actions.contains(&"post".to_owned()), "{actions:?}");
    assert!(witness.is_plausible());
    assert_ne!(witness.decision, Decision::Deny, "{witness}");
    assert!(witness.to_string().contains("payload \"secret\""), "{witness}");
}

#[test]
fn the_statements_that_operators_make() {
    if !solver() {
        return;
    }
    // As shipped, programs run in the sandbox whatever was read; an operator may want it narrower.
    for (statement, rule) in [
        (
            NO_PROGRAMS,
            r#"@id("mine") @ask("true") @reason("mine")
               forbid (principal, action == Seawall::Action::"run", resource) when { context.outside };"#,
        ),
        (
            ONE_AGENT,
            r#"@id("mine") @reason("mine")
               forbid (principal, action, resource) when { context.host == "bank.example" }
               unless { principal == Seawall::Agent::"accountant" };"#,
        ),
    ] {
        let before = judged(&Bundle::baseline(), statement);
        let State::Fails { witness, .. } = &before[0].state else { panic!("{before:#?}") };
        assert_eq!(witness.decision, Decision::Allow, "{witness}");
        let after = judged(&with(rule), statement);
        assert_eq!(after[0].state, State::Holds);
    }
}

#[test]
fn a_statement_about_nothing_is_said_to_be_one() {
    if !solver() {
        return;
    }
    let nothing = r#"@id("typo") @reason("a test")
        forbid (principal, action, resource) when { context.trust == "stranger" };"#;
    assert_eq!(judged(&Bundle::baseline(), nothing)[0].state, State::Empty);
}

#[test]
fn what_cannot_be_told_in_time_is_not_proven() {
    if !solver() {
        return;
    }
    let limits = Limits { total: Duration::ZERO, ..Limits::default() };
    let out = prove(&Bundle::baseline(), &read("x", SHIPPED).unwrap(), &limits).unwrap();
    // What needs no solver may hold; nothing else does.
    assert!(out.iter().all(|j| matches!(j.state, State::Undecided { .. })), "{out:#?}");
}

#[test]
fn a_solver_that_is_none_proves_nothing() {
    let limits = Limits { solver: "/nonexistent/cvc5".into(), ..Limits::default() };
    let error = prove(&Bundle::baseline(), &read("x", SHIPPED).unwrap(), &limits).unwrap_err();
    assert!(error.to_string().contains("cannot be started"), "{error}");
    // One that says nothing, and one that lies down.
    for program in ["/bin/cat", "/bin/true"] {
        let limits = Limits {
            solver: program.into(),
            query: Duration::from_millis(100),
            total: Duration::from_secs(2),
        };
        match prove(&Bundle::baseline(), &read("x", SHIPPED).unwrap(), &limits) {
            Err(_) => {}
            Ok(out) => assert!(
                out.iter().all(|j| matches!(j.state, State::Undecided { .. })),
                "{program}: {out:#?}"
            ),
        }
    }
}

#[test]
fn an_invariant_that_is_none_is_refused_with_its_place() {
    for (text, says) in [
        ("forbid (principal, action, resource);", "no @id"),
        ("@id(\"a\") forbid (principal, action, resource);", "needs a @reason"),
        ("@id(\"a\") @reason(\"r\") permit (principal, action, resource);", "`forbid`"),
        (
            "@id(\"a\") @reason(\"r\") @replaces(\"b\") forbid (principal, action, resource);",
            "@replaces",
        ),
        (
            "@id(\"a\") @reason(\"r\") forbid (principal, action, resource) when { context.weather };",
            "weather",
        ),
        (
            "@id(\"a\") @reason(\"r\") forbid (principal, action, resource);\n@id(\"a\") @reason(\"r\") forbid (principal, action, resource);",
            "twice",
        ),
        ("forbid (", "unexpected"),
    ] {
        let errors = read("own.cedar", text).unwrap_err();
        let all: String = errors.iter().map(|e| format!("{e}\n")).collect();
        assert!(all.contains(says) && all.starts_with("own.cedar:1:"), "{text}: {all}");
    }
}
