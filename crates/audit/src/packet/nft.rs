//! `nft -j list ruleset`.

use super::{Action, Chain, Condition, Rule, net};
use ipnet::IpNet;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// Chains and rules of `nft -j list ruleset`. `Err` names what is not of that form.
pub fn parse(json: &Value) -> Result<Vec<Chain>, String> {
    let items = json.get("nftables").and_then(Value::as_array).ok_or("no `nftables` array")?;
    let mut chains: Vec<Chain> = Vec::new();
    // Chains by table and name: a rule set has thousands of rules, each naming its chain.
    let mut index: HashMap<(String, String), usize> = HashMap::new();
    let asleep: HashSet<String> =
        items.iter().filter_map(|item| item.get("table")).filter_map(dormant).collect();
    for item in items {
        if let Some(chain) = item.get("chain") {
            let made = Chain {
                table: table(chain),
                name: text(chain, "name"),
                hook: chain.get("hook").and_then(Value::as_str).map(str::to_owned),
                drops: chain.get("policy").and_then(Value::as_str) == Some("drop"),
                priority: chain.get("prio").and_then(Value::as_i64).unwrap_or_default(),
                rules: Vec::new(),
            };
            // Address translation and routing decide where a packet goes, not whether.
            let filters =
                chain.get("type").and_then(Value::as_str).is_none_or(|kind| kind == "filter");
            if filters && !asleep.contains(&made.table) {
                index.insert((made.table.clone(), made.name.clone()), chains.len());
                chains.push(made);
            }
        } else if let Some(rule) = item.get("rule") {
            let at = index.get(&(table(rule), text(rule, "chain")));
            if let Some(chain) = at.and_then(|at| chains.get_mut(*at)) {
                chain.rules.extend(parse_rule(rule));
            }
        }
    }
    Ok(chains)
}

/// The name of a table that is switched off.
fn dormant(value: &Value) -> Option<String> {
    let flags = items(value.get("flags")?);
    let off = flags.iter().any(|flag| flag.as_str() == Some("dormant"));
    off.then(|| format!("{} {}", text(value, "family"), text(value, "name")))
}

fn table(value: &Value) -> String {
    format!("{} {}", text(value, "family"), text(value, "table"))
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Targets of iptables' extensions that leave a packet where it is.
const HARMLESS: [&str; 8] =
    ["LOG", "NFLOG", "MARK", "CONNMARK", "TCPMSS", "CHECKSUM", "CLASSIFY", "TRACE"];

/// What a rule does; several, for one that looks its verdict up in a map.
fn parse_rule(rule: &Value) -> Vec<Rule> {
    let mut out = Vec::new();
    let mut unknown = None;
    let mut conditions = Vec::new();
    let mut action = Action::Nothing;
    for expression in rule.get("expr").and_then(Value::as_array).into_iter().flatten() {
        let Some((kind, body)) = expression.as_object().and_then(|map| map.iter().next()) else {
            continue;
        };
        match kind.as_str() {
            "match" => conditions.push(condition(body)),
            "accept" => action = Action::Accept,
            "drop" | "reject" => action = Action::Drop,
            "return" => action = Action::Return,
            "jump" => action = Action::Jump(text(body, "target")),
            "goto" => action = Action::Goto(text(body, "target")),
            "counter" | "log" | "mangle" | "comment" | "notrack" | "set" | "last" => {}
            "vmap" => out.extend(verdicts(body, &conditions)),
            "xt" if HARMLESS.contains(&text(body, "name").as_str()) => {}
            // A limit lets some packets through and some not.
            "limit" | "quota" | "ct count" => conditions.push(Condition::Other(kind.clone())),
            "xt" if text(body, "type") == "match" => {
                conditions.push(Condition::Other(kind.clone()));
            }
            // It may end the packet's way here, or not.
            other => {
                conditions.push(Condition::Other(other.to_owned()));
                unknown = Some(other.to_owned());
            }
        }
    }
    if let (Action::Nothing, Some(unknown)) = (&action, unknown) {
        action = Action::Other(unknown);
    }
    out.push(Rule { conditions, action });
    out
}

/// A verdict map's entries as rules; one that is not understood, for a map that is not.
fn verdicts(map: &Value, before: &[Condition]) -> Vec<Rule> {
    let rule = |condition: Option<Condition>, action: Action| Rule {
        conditions: before.iter().cloned().chain(condition).collect(),
        action,
    };
    let left = map.get("key").unwrap_or(&Value::Null);
    let entries = map.pointer("/data/set").and_then(Value::as_array);
    let Some(entries) = entries else { return vec![rule(None, Action::Other("vmap".into()))] };
    entries
        .iter()
        .map(|entry| {
            let key = entry.get(0).map(|key| key.pointer("/elem/val").unwrap_or(key));
            let condition = key
                .and_then(|key| read(left, key))
                .unwrap_or_else(|| Condition::Other(left.to_string()));
            let verdict = entry.get(1).and_then(Value::as_object).and_then(|map| map.iter().next());
            let action = match verdict.map(|(kind, body)| (kind.as_str(), body)) {
                Some(("accept", _)) => Action::Accept,
                Some(("drop", _)) => Action::Drop,
                Some(("return", _)) => Action::Return,
                Some(("continue", _)) => Action::Nothing,
                Some(("jump", body)) => Action::Jump(text(body, "target")),
                Some(("goto", body)) => Action::Goto(text(body, "target")),
                _ => Action::Other("vmap".into()),
            };
            rule(Some(condition), action)
        })
        .collect()
}

fn condition(body: &Value) -> Condition {
    let right = body.get("right").unwrap_or(&Value::Null);
    let left = body.get("left").unwrap_or(&Value::Null);
    let read = read(left, right).unwrap_or_else(|| Condition::Other(left.to_string()));
    match body.get("op").and_then(Value::as_str) {
        Some("==" | "in") => read,
        Some("!=") => match read {
            Condition::Other(_) => read,
            known => Condition::Not(Box::new(known)),
        },
        _ => Condition::Other(body.to_string()),
    }
}

fn read(left: &Value, right: &Value) -> Option<Condition> {
    // A set that is kept elsewhere.
    if right.as_str().is_some_and(|name| name.starts_with('@')) {
        return None;
    }
    if let Some(meta) = left.pointer("/meta/key").and_then(Value::as_str) {
        return match meta {
            "iifname" | "iif" => Some(Condition::In(right.as_str()?.to_owned())),
            "oifname" | "oif" => Some(Condition::Out(right.as_str()?.to_owned())),
            "l4proto" => Some(protocols(right)?),
            "nfproto" => Some(Condition::Family(if right.as_str()? == "ipv4" { 4 } else { 6 })),
            "skuid" => Some(Condition::User(u32::try_from(right.as_u64()?).ok()?)),
            _ => None,
        };
    }
    if left.pointer("/ct/key").and_then(Value::as_str) == Some("state") {
        let states: Vec<&str> = items(right).iter().map(|v| v.as_str()).collect::<Option<_>>()?;
        let new = states.contains(&"new");
        return Some(if new { Condition::New } else { Condition::Established });
    }
    let protocol = left.pointer("/payload/protocol").and_then(Value::as_str)?;
    let field = left.pointer("/payload/field").and_then(Value::as_str)?;
    match (protocol, field) {
        ("tcp" | "th", "dport") => {
            Some(Condition::Port(items(right).iter().map(|v| range(v)).collect::<Option<_>>()?))
        }
        ("udp" | "sctp" | "icmp" | "icmpv6", _) => Some(Condition::NotTcp),
        ("ip" | "ip6", "protocol" | "nexthdr") => Some(protocols(right)?),
        ("ip" | "ip6", "daddr") => Some(Condition::To(nets(right)?)),
        ("ip" | "ip6", "saddr") => Some(Condition::From(nets(right)?)),
        _ => None,
    }
}

fn protocols(right: &Value) -> Option<Condition> {
    let names: Vec<&str> = items(right).iter().map(|v| v.as_str()).collect::<Option<_>>()?;
    Some(if names.contains(&"tcp") { Condition::Tcp } else { Condition::NotTcp })
}

fn nets(right: &Value) -> Option<Vec<IpNet>> {
    items(right)
        .iter()
        .map(|value| match value {
            Value::String(text) => net(text),
            other => {
                let prefix = other.get("prefix")?;
                net(&format!("{}/{}", prefix.get("addr")?.as_str()?, prefix.get("len")?))
            }
        })
        .collect()
}

/// The members of a set, or the one value.
fn items(value: &Value) -> Vec<&Value> {
    match value.get("set").unwrap_or(value) {
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    }
}

fn range(value: &Value) -> Option<(u16, u16)> {
    if let Some(bounds) = value.get("range").and_then(Value::as_array) {
        return Some((port(bounds.first()?)?, port(bounds.get(1)?)?));
    }
    port(value).map(|port| (port, port))
}

fn port(value: &Value) -> Option<u16> {
    u16::try_from(value.as_u64()?).ok()
}

#[cfg(test)]
mod tests {
    use super::super::{Fate, Packet, fate};
    use super::*;
    use serde_json::json;

    fn to(port: u16) -> Packet {
        Packet {
            to: "192.0.2.1".parse().unwrap(),
            port,
            from: "203.0.113.9".parse().unwrap(),
            user: None,
        }
    }

    fn rule(expr: Value) -> Value {
        json!({ "rule": { "family": "inet", "table": "f", "chain": "in", "expr": expr } })
    }

    fn set(policy: &str, rules: Vec<Value>) -> Vec<Chain> {
        let mut items = vec![
            json!({ "chain": { "family": "inet", "table": "f", "name": "in", "type": "filter", "hook": "input", "prio": 0, "policy": policy } }),
        ];
        items.extend(rules);
        parse(&json!({ "nftables": items })).unwrap()
    }

    #[test]
    fn a_closed_host_with_ssh_open() {
        let chains = set(
            "drop",
            vec![
                rule(
                    json!([{ "match": { "op": "==", "left": { "meta": { "key": "iifname" } }, "right": "lo" } }, { "accept": null }]),
                ),
                rule(
                    json!([{ "match": { "op": "in", "left": { "ct": { "key": "state" } }, "right": ["established", "related"] } }, { "accept": null }]),
                ),
                rule(
                    json!([{ "match": { "op": "==", "left": { "payload": { "protocol": "tcp", "field": "dport" } }, "right": { "set": [22, { "range": [8000, 8010] }] } } }, { "counter": { "packets": 1, "bytes": 1 } }, { "accept": null }]),
                ),
            ],
        );
        assert_eq!(fate(&chains, "input", &to(22)), Fate::Passes);
        assert_eq!(fate(&chains, "input", &to(8005)), Fate::Passes);
        assert_eq!(fate(&chains, "input", &to(18789)), Fate::Dropped);
    }

    #[test]
    fn a_source_restriction_is_seen() {
        let from = json!({ "match": { "op": "!=", "left": { "payload": { "protocol": "ip", "field": "saddr" } }, "right": { "prefix": { "addr": "10.0.0.0", "len": 8 } } } });
        let chains = set("accept", vec![rule(json!([from, { "drop": null }]))]);
        assert_eq!(fate(&chains, "input", &to(1)), Fate::Dropped);
    }

    #[test]
    fn what_is_switched_off_or_sees_no_ip_packet_drops_nothing() {
        let ruleset = |family: &str, flags: Value| {
            parse(&json!({ "nftables": [
                { "table": { "family": family, "name": "f", "flags": flags } },
                { "chain": { "family": family, "table": "f", "name": "in", "type": "filter", "hook": "input", "prio": 0, "policy": "drop" } },
            ] }))
            .unwrap()
        };
        assert_eq!(fate(&ruleset("inet", json!([])), "input", &to(1)), Fate::Dropped);
        assert_eq!(fate(&ruleset("inet", json!(["dormant"])), "input", &to(1)), Fate::Passes);
        assert_eq!(fate(&ruleset("inet", json!("dormant")), "input", &to(1)), Fate::Passes);
        assert_eq!(fate(&ruleset("arp", json!([])), "input", &to(1)), Fate::Passes);
        assert_eq!(fate(&ruleset("bridge", json!([])), "input", &to(1)), Fate::Passes);
    }

    #[test]
    fn verdict_maps_are_looked_up() {
        let port = json!({ "payload": { "protocol": "tcp", "field": "dport" } });
        let ports = json!([{ "vmap": { "key": port, "data": { "set": [[8099, { "accept": null }], [{ "range": [9000, 9010] }, { "accept": null }]] } } }]);
        let chains = set("drop", vec![rule(ports)]);
        assert_eq!(fate(&chains, "input", &to(8099)), Fate::Passes);
        assert_eq!(fate(&chains, "input", &to(9005)), Fate::Passes);
        assert_eq!(fate(&chains, "input", &to(47913)), Fate::Dropped);
        let named = set("drop", vec![rule(json!([{ "vmap": { "key": port, "data": "@m" } }]))]);
        assert_eq!(fate(&named, "input", &to(8099)), Fate::Unclear);
        let states = json!([{ "vmap": { "key": { "ct": { "key": "state" } }, "data": { "set": [["established", { "accept": null }], ["invalid", { "drop": null }]] } } }]);
        assert_eq!(fate(&set("drop", vec![rule(states)]), "input", &to(1)), Fate::Dropped);
    }

    #[test]
    fn a_statement_that_nobody_knows_is_unclear() {
        for statement in [json!({ "queue": { "num": 0 } }), json!({ "tproxy": { "port": 1 } })] {
            let chains = set("drop", vec![rule(json!([statement]))]);
            assert_eq!(fate(&chains, "input", &to(1)), Fate::Unclear);
        }
        let log = json!([{ "xt": { "type": "target", "name": "LOG" } }]);
        assert_eq!(fate(&set("drop", vec![rule(log)]), "input", &to(1)), Fate::Dropped);
        let elsewhere = json!([{ "match": { "op": "==", "left": { "meta": { "key": "l4proto" } }, "right": "@p" } }, { "accept": null }]);
        assert_eq!(fate(&set("drop", vec![rule(elsewhere)]), "input", &to(1)), Fate::Unclear);
    }

    #[test]
    fn what_another_tool_wrote_is_unclear() {
        let chains = set("drop", vec![rule(json!([{ "xt": null }, { "accept": null }]))]);
        assert_eq!(fate(&chains, "input", &to(1)), Fate::Unclear);
        assert!(parse(&json!({})).is_err());
    }
}
