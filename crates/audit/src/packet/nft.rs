//! `nft -j list ruleset`.

use super::{Action, Chain, Condition, Rule, net};
use ipnet::IpNet;
use serde_json::Value;
use std::collections::HashMap;

/// Chains and rules of `nft -j list ruleset`. `Err` names what is not of that form.
pub fn parse(json: &Value) -> Result<Vec<Chain>, String> {
    let items = json.get("nftables").and_then(Value::as_array).ok_or("no `nftables` array")?;
    let mut chains: Vec<Chain> = Vec::new();
    // Chains by table and name: a rule set has thousands of rules, each naming its chain.
    let mut index: HashMap<(String, String), usize> = HashMap::new();
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
            if filters {
                index.insert((made.table.clone(), made.name.clone()), chains.len());
                chains.push(made);
            }
        } else if let Some(rule) = item.get("rule") {
            let at = index.get(&(table(rule), text(rule, "chain")));
            if let Some(chain) = at.and_then(|at| chains.get_mut(*at)) {
                chain.rules.push(parse_rule(rule));
            }
        }
    }
    Ok(chains)
}

fn table(value: &Value) -> String {
    format!("{} {}", text(value, "family"), text(value, "table"))
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn parse_rule(rule: &Value) -> Rule {
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
            "counter" | "log" | "mangle" | "comment" | "notrack" | "set" => {}
            // A limit lets some packets through and some not.
            other => conditions.push(Condition::Other(other.to_owned())),
        }
    }
    Rule { conditions, action }
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
        let states = items(right);
        let new = states.iter().any(|state| state.as_str() == Some("new"));
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
    fn what_another_tool_wrote_is_unclear() {
        let chains = set("drop", vec![rule(json!([{ "xt": null }, { "accept": null }]))]);
        assert_eq!(fate(&chains, "input", &to(1)), Fate::Unclear);
        assert!(parse(&json!({})).is_err());
    }
}
