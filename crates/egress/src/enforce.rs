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
        let subject = self.subject.matching()?;
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
    fn matching(&self) -> Result<String, EnforceError> {
        match self {
            Self::User(0) => Err(EnforceError::Root),
            Self::User(uid) => Ok(format!("meta skuid {uid}")),
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

/// The two counters of the table: packets to the proxy, and packets that tried to get around it.
/// From the output of `nft -j list counters table inet seawall_egress`; none if it is not that.
#[must_use]
pub fn counters(json: &str) -> Option<(u64, u64)> {
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    let packets = |name: &str| {
        value.get("nftables")?.as_array()?.iter().find_map(|item| {
            let counter = item.get("counter")?;
            if counter.get("name")?.as_str()? != name || counter.get("table")?.as_str()? != TABLE {
                return None;
            }
            counter.get("packets")?.as_u64()
        })
    };
    Some((packets("allowed")?, packets("around")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_for_a_user() {
        let enforcement = Enforcement {
            subject: Subject::User(1000),
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
            let enforcement = Enforcement { subject, proxy, loopback_ports: vec![] };
            assert!(enforcement.ruleset().is_err());
        }
    }
}
