//! Events of this plane. None holds a path, a query, a field or a body: those may be secrets.

use crate::host::Target;
use crate::identity::Identity;
use crate::refusal::{Cause, Refusal};
use crate::resolve::Answer;
use crate::rhythm::Pattern;
use crate::wire::Traffic;
use seawall_model::{Event, Plane, Severity};
use serde_json::json;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn event(kind: &str, identity: Option<&Identity>, summary: String) -> Event {
    let mut event = Event::new(now_ms(), Plane::Egress, kind, summary);
    if let Some(identity) = identity {
        event.agent_id.clone_from(&identity.agent);
        event.session_key.clone_from(&identity.session);
        event.call_id.clone_from(&identity.run);
    }
    event
}

/// A method as it is shown; it is the client's text.
fn shown(method: &str) -> &str {
    method.get(..20).unwrap_or(method)
}

/// Something is let through. Written before a byte of it goes out.
pub(crate) fn allowed(
    identity: &Identity,
    target: &Target,
    method: &str,
    rule: &str,
    addresses: &[IpAddr],
) -> Event {
    let method = shown(method);
    event("egress.allowed", Some(identity), format!("{method} {target} by rule `{rule}`"))
        .decision("allow")
        .detail(json!({
            "host": target.host.to_string(),
            "port": target.port,
            "method": method,
            "rule": rule,
            "zone": identity.zone,
            "channel": identity.channel,
            // What was judged; one of these is dialled.
            "addresses": addresses.iter().take(8).collect::<Vec<_>>(),
        }))
}

/// Something is refused.
pub(crate) fn refused(
    identity: Option<&Identity>,
    target: Option<&Target>,
    method: &str,
    refusal: &Refusal,
) -> Event {
    let severity = match refusal.cause {
        Cause::Metadata
        | Cause::NameMismatch
        | Cause::Address
        | Cause::Certificate
        | Cause::Content
        | Cause::Names => Severity::High,
        Cause::Unreachable => Severity::Info,
        Cause::Malformed | Cause::NoRule | Cause::Limit => Severity::Low,
        _ => Severity::Medium,
    };
    let kind =
        if refusal.cause == Cause::Unreachable { "egress.unreachable" } else { "egress.refused" };
    event(kind, identity, refusal.why.clone()).severity(severity).decision("deny").detail(json!({
        "host": target.map(|t| t.host.to_string()),
        "port": target.map(|t| t.port),
        "method": shown(method),
        "cause": refusal.cause,
        "rule": refusal.rule,
        "zone": identity.map(|i| i.zone),
        "channel": identity.and_then(|i| i.channel.as_ref()),
    }))
}

/// Refusals that were counted and not told one by one.
pub(crate) fn folded(identity: Option<&Identity>, cause: Cause, count: u64) -> Event {
    let text = format!("{count} more were refused: {}", cause.as_str());
    event("egress.folded", identity, text)
        .severity(Severity::Medium)
        .decision("deny")
        .detail(json!({ "cause": cause, "count": count, "zone": identity.map(|i| i.zone) }))
}

/// A tunnel has ended.
pub(crate) fn closed(identity: &Identity, target: &Target, traffic: Traffic) -> Event {
    event("egress.closed", Some(identity), format!("{target}: tunnel closed")).detail(json!({
        "host": target.host.to_string(),
        "port": target.port,
        "bytesOut": traffic.out,
        "bytesBack": traffic.back,
    }))
}

/// A name is about to be looked up. Written before the question goes out.
pub(crate) fn lookup(identity: &Identity, name: &str, rule: &str) -> Event {
    event("egress.lookup", Some(identity), format!("look-up of {name} by rule `{rule}`"))
        .decision("allow")
        .detail(json!({ "host": name, "rule": rule, "zone": identity.zone }))
}

/// What a look-up gave.
pub(crate) fn answer(identity: &Identity, name: &str, answer: &Answer, took: Duration) -> Event {
    let count = answer.addresses.len();
    event("egress.answer", Some(identity), format!("{name} has {count} addresses")).detail(json!({
        "host": name,
        "addresses": answer.addresses.iter().take(8).collect::<Vec<_>>(),
        "keptSeconds": answer.keep.as_secs(),
        "tookMs": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    }))
}

/// A pattern over many requests. Nothing was refused.
pub(crate) fn pattern(identity: &Identity, target: &Target, pattern: Pattern) -> Event {
    let (kind, text, detail) = match pattern {
        Pattern::Beacon { interval_ms } => (
            "egress.beacon",
            format!("{identity} asks {target} at even intervals of {} s", interval_ms / 1000),
            json!({ "host": target.host.to_string(), "port": target.port, "intervalMs": interval_ms }),
        ),
        Pattern::Drip { requests, seconds } => (
            "egress.drip",
            format!("{identity} sent {target} {requests} small, different pieces in {seconds} s"),
            json!({
                "host": target.host.to_string(),
                "port": target.port,
                "requests": requests,
                "seconds": seconds,
            }),
        ),
    };
    event(kind, Some(identity), text).severity(Severity::Medium).detail(detail)
}

/// A tunnel was a slow way out. It has ended.
pub(crate) fn slow_tunnel(
    identity: &Identity,
    target: &Target,
    traffic: Traffic,
    open: Duration,
) -> Event {
    let text = format!("{identity} sent {target} {} bytes in {} s", traffic.out, open.as_secs());
    event("egress.drip", Some(identity), text).severity(Severity::Medium).detail(json!({
        "host": target.host.to_string(),
        "port": target.port,
        "bytesOut": traffic.out,
        "bytesBack": traffic.back,
        "seconds": open.as_secs(),
    }))
}

/// Connections were cut.
pub(crate) fn cut(identity: Option<&Identity>, connections: usize, reason: &str) -> Event {
    event("egress.cut", identity, format!("{connections} connections cut: {reason}"))
        .severity(Severity::Medium)
        .detail(json!({ "connections": connections, "reason": reason }))
}

/// The gate was opened or closed.
pub(crate) fn gate(closed: Option<&str>) -> Event {
    match closed {
        Some(reason) => event("egress.gate", None, format!("the gate is closed: {reason}"))
            .severity(Severity::High)
            .detail(json!({ "open": false, "reason": reason })),
        None => {
            event("egress.gate", None, "the gate is open".into()).detail(json!({ "open": true }))
        }
    }
}

/// The policy was replaced.
pub(crate) fn reloaded(rules: usize) -> Event {
    event("egress.reloaded", None, format!("a policy of {rules} rules is in force"))
}
