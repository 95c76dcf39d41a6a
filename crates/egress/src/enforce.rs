//! nftables rules for hosts where Seawall does not start OpenClaw: what a user or a cgroup sends
//! has to go to the proxy.
//!
//! The rules live in a table of their own, so that they are applied and removed as a whole and
//! leave the host's other rules alone. A packet that another table drops stays dropped.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Name of the table; also how it is found again.
pub const TABLE: &str = "seawall_egress";

/// Whose traffic is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// All processes of a user.
    User(u32),
    /// All processes of a cgroup v2, by its path from the root of the hierarchy.
    Cgroup(String),
}

/// What is enforced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enforcement {
    /// Whose traffic.
    pub subject: Subject,
    /// Ids that a user may take on in a user namespace, as ranges; see [`subordinate`].
    pub subordinate: Vec<(u32, u32)>,
    /// Where the proxy listens.
    pub proxy: SocketAddr,
    /// Ports on loopback that the subject may reach besides: its own gateway's.
    pub loopback_ports: Vec<u16>,
}

/// A subject that cannot be written as a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnforceError {
    /// Root's traffic includes the proxy's own when both run as root.
    #[error("uid 0 is not held: run OpenClaw as a user of its own")]
    Root,
    /// Not a path of a cgroup.
    #[error(
        "`{0}` is not the path of a cgroup: letters, digits and `/-_.@:` from the root of the hierarchy"
    )]
    Cgroup(String),
}

impl Enforcement {
    /// The rules, for `nft -f -`. Applying them again replaces them in one step.
    ///
    /// # Errors
    /// When the subject cannot be written as a rule.
    pub fn ruleset(&self) -> Result<String, EnforceError> {
        let subject = self.subject.matching(&self.subordinate)?;
        let (family, address) = match self.proxy.ip() {
            IpAddr::V4(v4) => ("ip", v4.to_string()),
            IpAddr::V6(v6) => ("ip6", v6.to_string()),
        };
        let port = self.proxy.port();
        let mut loopback = String::new();
        if !self.loopback_ports.is_empty() {
            let ports: Vec<_> = self.loopback_ports.iter().map(ToString::to_string).collect();
            loopback = format!("        oif \"lo\" tcp dport {{ {} }} accept\n", ports.join(", "));
        }
        // `add` then `delete` makes the removal work whether or not the table is there; the whole
        // text is one transaction.
        Ok(format!(
            "add table inet {TABLE}\n\
             delete table inet {TABLE}\n\
             table inet {TABLE} {{\n\
             \x20   counter allowed {{ }}\n\
             \x20   counter around {{ }}\n\
             \x20   chain output {{\n\
             \x20       type filter hook output priority 0; policy accept;\n\
             \x20       {subject} jump held\n\
             \x20   }}\n\
             \x20   chain held {{\n\
             \x20       {family} daddr {address} tcp dport {port} counter name allowed accept\n\
             {loopback}\
             \x20       # Answers on connections that came in: to the gateway, from its clients.\n\
             \x20       ct state established,related ct direction reply accept\n\
             \x20       counter name around reject with icmpx type admin-prohibited\n\
             \x20   }}\n\
             }}\n"
        ))
    }

    /// What removes the rules, for `nft -f -`; does nothing when they are not there.
    #[must_use]
    pub fn removal() -> String {
        format!("add table inet {TABLE}\ndelete table inet {TABLE}\n")
    }
}

impl Subject {
    fn matching(&self, subordinate: &[(u32, u32)]) -> Result<String, EnforceError> {
        match self {
            Self::User(0) => Err(EnforceError::Root),
            Self::User(uid) if subordinate.is_empty() => Ok(format!("meta skuid {uid}")),
            Self::User(uid) => {
                let ranges: Vec<_> = subordinate.iter().map(|(a, b)| format!("{a}-{b}")).collect();
                Ok(format!("meta skuid {{ {uid}, {} }}", ranges.join(", ")))
            }
            Self::Cgroup(path) => {
                let path = path.trim_matches('/');
                let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@:/".contains(c);
                if path.is_empty() || path.len() > 1024 || !path.chars().all(plain) {
                    return Err(EnforceError::Cgroup(path.to_owned()));
                }
                let level = path.split('/').count();
                Ok(format!("socket cgroupv2 level {level} \"{path}\""))
            }
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(uid) => write!(f, "uid {uid}"),
            Self::Cgroup(path) => write!(f, "cgroup {path}"),
        }
    }
}

/// The ranges of ids that `/etc/subuid` lets a user take on: in a user namespace of the host's network its
/// processes can have one of them, and would not be held.
#[must_use]
pub fn subordinate(subuid: &str, passwd: &str, uid: u32) -> Vec<(u32, u32)> {
    let id = uid.to_string();
    let name = passwd.lines().find_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next()?;
        (parts.nth(1)? == id).then_some(name)
    });
    let range = |line: &str| {
        let (who, range) = line.split_once(':')?;
        let (first, count) = range.split_once(':')?;
        let (first, count): (u32, u32) = (first.parse().ok()?, count.trim().parse().ok()?);
        let last = first.checked_add(count.checked_sub(1)?)?;
        ((who == id || Some(who) == name) && first > 0).then_some((first, last))
    };
    subuid.lines().filter_map(range).collect()
}

/// What the kernel has of the rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct State {
    /// Packets to the proxy.
    pub allowed: u64,
    /// Packets that tried to get around it.
    pub around: u64,
    /// Whether the rules hold: what a subject sends comes to them, and what none accepts is rejected.
    pub holds: bool,
}

/// From the output of `nft -j list table inet seawall_egress`; none if it is not that.
#[must_use]
pub fn state(json: &str) -> Option<State> {
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    let items = value.get("nftables")?.as_array()?;
    let named = |kind: &'static str| {
        items
            .iter()
            .filter_map(move |item| item.get(kind))
            .filter(|item| item.get("table").and_then(serde_json::Value::as_str) == Some(TABLE))
    };
    let is = |item: &serde_json::Value, field: &str, text: &str| {
        item.get(field).and_then(serde_json::Value::as_str) == Some(text)
    };
    let packets =
        |name: &str| named("counter").find(|item| is(item, "name", name))?.get("packets")?.as_u64();
    let hooked = named("chain").any(|chain| {
        is(chain, "name", "output") && is(chain, "hook", "output") && is(chain, "type", "filter")
    });
    let ends = |chain: &'static str, word: &str| {
        let last = named("rule").rfind(|rule| is(rule, "chain", chain));
        let last = last.and_then(|rule| rule.get("expr")?.as_array()?.last());
        last.is_some_and(|end| end.get(word).is_some())
    };
    let holds = hooked && ends("output", "jump") && ends("held", "reject");
    Some(State { allowed: packets("allowed")?, around: packets("around")?, holds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_for_a_user() {
        let enforcement = Enforcement {
            subject: Subject::User(1000),
            subordinate: vec![],
            proxy: "127.0.0.1:3128".parse().unwrap(),
            loopback_ports: vec![18789],
        };
        insta::assert_snapshot!(enforcement.ruleset().unwrap(), @r#"
        add table inet seawall_egress
        delete table inet seawall_egress
        table inet seawall_egress {
            counter allowed { }
            counter around { }
            chain output {
                type filter hook output priority 0; policy accept;
                meta skuid 1000 jump held
            }
            chain held {
                ip daddr 127.0.0.1 tcp dport 3128 counter name allowed accept
                oif "lo" tcp dport { 18789 } accept
                # Answers on connections that came in: to the gateway, from its clients.
                ct state established,related ct direction reply accept
                counter name around reject with icmpx type admin-prohibited
            }
        }
        "#);
    }

    #[test]
    fn a_subject_that_is_not_one_is_refused() {
        let proxy = "127.0.0.1:3128".parse().unwrap();
        for subject in
            [Subject::User(0), Subject::Cgroup("/".into()), Subject::Cgroup("a\" accept\n".into())]
        {
            let enforcement =
                Enforcement { subject, subordinate: vec![], proxy, loopback_ports: vec![] };
            assert!(enforcement.ruleset().is_err());
        }
    }

    #[test]
    fn ids_that_a_user_may_take_on() {
        let subuid = "ada:100000:65536\nbob:165536:65536\n1000:300000:10\nada:x:1\nada:5:0\n";
        let passwd = "root:x:0:0::/:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n";
        let ranges = subordinate(subuid, passwd, 1000);
        assert_eq!(ranges, [(100_000, 165_535), (300_000, 300_009)]);
        assert_eq!(subordinate(subuid, passwd, 1001), []);
        let text = Subject::User(1000).matching(&ranges).unwrap();
        assert_eq!(text, "meta skuid { 1000, 100000-165535, 300000-300009 }");
    }
}
