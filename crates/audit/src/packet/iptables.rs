//! `iptables-save` and `ip6tables-save`.

use super::{Action, Chain, Condition, Rule, net};
use std::collections::HashMap;

/// The filter table of an `iptables-save`; `family` is `ip` or `ip6`.
#[must_use]
pub fn parse(text: &str, family: &str) -> Vec<Chain> {
    let mut chains: Vec<Chain> = Vec::new();
    let mut index: HashMap<String, usize> = HashMap::new();
    let mut table = "";
    for line in text.lines() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('*') {
            table = name;
        } else if table != "filter" {
            continue;
        } else if let Some(rest) = line.strip_prefix(':') {
            let mut words = rest.split_whitespace();
            let (name, policy) = (words.next().unwrap_or_default(), words.next().unwrap_or("-"));
            let hook = match name {
                "INPUT" => Some("input"),
                "OUTPUT" => Some("output"),
                "FORWARD" => Some("forward"),
                _ => None,
            };
            index.insert(name.to_owned(), chains.len());
            chains.push(Chain {
                table: format!("{family} filter"),
                name: name.to_owned(),
                hook: hook.map(str::to_owned),
                drops: policy == "DROP",
                priority: 0,
                rules: Vec::new(),
            });
        } else if let Some(rest) = line.strip_prefix("-A ") {
            let words = words(rest);
            let mut words = words.iter().map(String::as_str);
            let name = words.next().unwrap_or_default();
            if let Some(chain) = index.get(name).and_then(|at| chains.get_mut(*at)) {
                chain.rules.push(rule(&words.collect::<Vec<_>>()));
            }
        }
    }
    chains
}

/// Words, with double quotes as `iptables-save` writes them around comments.
fn words(text: &str) -> Vec<String> {
    let (mut out, mut word, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' if quoted => word.extend(chars.next()),
            c if c.is_whitespace() && !quoted => {
                if !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        out.push(word);
    }
    out
}

fn rule(words: &[&str]) -> Rule {
    let mut conditions = Vec::new();
    let mut action = Action::Nothing;
    let mut negate = false;
    let mut at = 0;
    while let Some(&word) = words.get(at) {
        let value = words.get(at + 1).copied().unwrap_or_default();
        // How many words the option has besides itself.
        let mut takes = 1;
        let mut push = |condition: Condition| {
            conditions.push(if negate { Condition::Not(Box::new(condition)) } else { condition });
        };
        match word {
            "!" => {
                negate = true;
                at += 1;
                continue;
            }
            "-i" => push(Condition::In(value.to_owned())),
            "-o" => push(Condition::Out(value.to_owned())),
            "-p" => push(match value {
                "tcp" => Condition::Tcp,
                "all" => Condition::New,
                _ => Condition::NotTcp,
            }),
            "-s" => push(
                net(value).map_or_else(|| other(word, value), |net| Condition::From(vec![net])),
            ),
            "-d" => {
                push(net(value).map_or_else(|| other(word, value), |net| Condition::To(vec![net])))
            }
            "--dport" | "--dports" | "--destination-ports" => {
                let ranges: Option<Vec<(u16, u16)>> = value.split(',').map(range).collect();
                push(ranges.map_or_else(|| other(word, value), Condition::Port));
            }
            "--ctstate" | "--state" => push(if value.split(',').any(|state| state == "NEW") {
                Condition::New
            } else {
                Condition::Established
            }),
            "--uid-owner" => {
                push(value.parse().map_or_else(|_| other(word, value), Condition::User))
            }
            "-m" | "--comment" | "--reject-with" | "--log-prefix" | "--log-level" => {}
            "-j" | "-g" => {
                action = match value {
                    "ACCEPT" => Action::Accept,
                    "DROP" | "REJECT" => Action::Drop,
                    "RETURN" => Action::Return,
                    "LOG" | "NFLOG" | "MARK" | "CONNMARK" | "TRACE" => Action::Nothing,
                    name if word == "-g" => Action::Goto(name.to_owned()),
                    name => Action::Jump(name.to_owned()),
                };
            }
            // `--syn` and its like have no value.
            "--syn" => {
                takes = 0;
                push(Condition::New);
            }
            unknown if unknown.starts_with('-') => {
                takes = usize::from(!value.starts_with('-') && value != "!");
                push(other(unknown, value));
            }
            _ => takes = 0,
        }
        negate = false;
        at += 1 + takes;
    }
    Rule { conditions, action }
}

fn other(word: &str, value: &str) -> Condition {
    Condition::Other(format!("{word} {value}"))
}

fn range(text: &str) -> Option<(u16, u16)> {
    match text.split_once(':') {
        Some((low, high)) => Some((low.parse().ok()?, high.parse().ok()?)),
        None => text.parse().ok().map(|port| (port, port)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Fate, Packet, fate};
    use super::*;

    const UFW: &str = r#"
*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -p tcp --dport 22 -j REDIRECT
COMMIT
*filter
:INPUT DROP [0:0]
:OUTPUT ACCEPT [0:0]
:ufw-user-input - [0:0]
:ufw-before-input - [0:0]
-A INPUT -j ufw-before-input
-A INPUT -j ufw-user-input
-A ufw-before-input -i lo -j ACCEPT
-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-input -p icmp --icmp-type 8 -j ACCEPT
-A ufw-user-input -p tcp -m tcp --dport 22 -m comment --comment "ssh \"in\" -j DROP" -j ACCEPT
-A ufw-user-input -s 10.0.0.0/8 -p tcp -m multiport --dports 80,443 -j ACCEPT
-A OUTPUT -d 169.254.169.254/32 -j DROP
-A OUTPUT -m owner --uid-owner 1000 -j DROP
COMMIT
"#;

    fn packet(to: &str, port: u16, user: Option<u32>) -> Packet {
        Packet { to: to.parse().unwrap(), port, from: "203.0.113.9".parse().unwrap(), user }
    }

    #[test]
    fn what_ufw_writes() {
        let chains = parse(UFW, "ip");
        let in_ = |port| fate(&chains, "input", &packet("192.0.2.1", port, None));
        assert_eq!(in_(22), Fate::Passes);
        assert_eq!(in_(443), Fate::Dropped);
        assert_eq!(in_(18789), Fate::Dropped);
        let out = |to, user| fate(&chains, "output", &packet(to, 80, Some(user)));
        assert_eq!(out("169.254.169.254", 0), Fate::Dropped);
        assert_eq!(out("1.1.1.1", 1000), Fate::Dropped);
        assert_eq!(out("1.1.1.1", 0), Fate::Passes);
    }

    #[test]
    fn the_other_family_is_not_covered() {
        let chains = parse(UFW, "ip");
        assert_eq!(fate(&chains, "input", &packet("2001:db8::1", 18789, None)), Fate::Passes);
    }
}
