//! What a packet filter's rules do to a packet, as far as the rules are understood.
//!
//! Only what the checks ask for is modelled: a connection from outside to a local port, and a
//! connection of a user to an outside address. A condition that is not understood is neither true
//! nor false: the answer is then [`Fate::Unclear`], never a pass.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

mod iptables;
mod nft;

pub use iptables::parse as parse_iptables;
pub use nft::parse as parse_nft;

/// A chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Chain {
    /// Family and table: chains jump only within it.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Where packets enter it: `input`, `output`, `forward`; `None` when only jumps lead here.
    pub hook: Option<String>,
    /// What happens at its end, for a chain with a hook.
    pub drops: bool,
    /// Order among chains of one hook.
    pub priority: i64,
    /// Its rules.
    pub rules: Vec<Rule>,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// All must hold.
    pub conditions: Vec<Condition>,
    /// What happens then.
    pub action: Action,
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Condition {
    /// The incoming interface.
    In(String),
    /// The outgoing interface.
    Out(String),
    /// TCP.
    Tcp,
    /// Another protocol than TCP.
    NotTcp,
    /// IPv4 or IPv6 only.
    Family(u8),
    /// The destination port is in one of these ranges.
    Port(Vec<(u16, u16)>),
    /// The destination address is in one of these networks.
    To(Vec<IpNet>),
    /// The source address is in one of these networks.
    From(Vec<IpNet>),
    /// The packet belongs to a connection that exists.
    Established,
    /// The packet opens a connection.
    New,
    /// The socket's user.
    User(u32),
    /// The opposite.
    Not(Box<Self>),
    /// Something that is not understood.
    Other(String),
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Lets the packet go on to the next chain of the hook.
    Accept,
    /// Drops or rejects it.
    Drop,
    /// Continues in another chain and comes back.
    Jump(String),
    /// Continues in another chain and does not come back to this one.
    Goto(String),
    /// Ends this chain.
    Return,
    /// Counts, logs, marks: nothing.
    Nothing,
    /// Something that is not understood.
    Other(String),
}

/// A packet that opens a TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Destination.
    pub to: IpAddr,
    /// Destination port.
    pub port: u16,
    /// Source.
    pub from: IpAddr,
    /// The user of the sending socket, for what leaves this host.
    pub user: Option<u32>,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It passes.
    Passes,
    /// It is dropped or rejected.
    Dropped,
    /// The rules that decide were not understood.
    Unclear,
}

/// Jumps that are followed at most: the kernel itself allows 16 levels.
const MAX_JUMPS: u8 = 16;

/// What the chains of a hook (`input`, `output`) do to a packet.
#[must_use]
pub fn fate(chains: &[Chain], hook: &str, packet: &Packet) -> Fate {
    let mut entries: Vec<&Chain> =
        chains.iter().filter(|chain| chain.hook.as_deref() == Some(hook)).collect();
    entries.sort_by_key(|chain| chain.priority);
    let mut unclear = false;
    for entry in entries {
        let family = entry.table.split(' ').next().unwrap_or_default();
        // Others, such as `arp` and `bridge`, see no packet to a socket of this host.
        let sees = match family {
            "inet" => true,
            "ip" => packet.to.is_ipv4(),
            "ip6" => packet.to.is_ipv6(),
            _ => false,
        };
        if !sees {
            continue;
        }
        let mut doubt = false;
        match walk(chains, entry, packet, 0, &mut doubt) {
            // A certain drop ends it; accepting only means that the next chain is asked.
            Some(false) if !doubt => return Fate::Dropped,
            Some(true) if !doubt => {}
            None if !doubt => {
                if entry.drops {
                    return Fate::Dropped;
                }
            }
            _ => unclear = true,
        }
    }
    if unclear { Fate::Unclear } else { Fate::Passes }
}

/// Machines that nobody knows, all over the address space. Lists of networks that cannot be (those
/// for documentation and the like) hold none of them, and lists of countries or providers not all.
const STRANGERS_4: [[u8; 4]; 6] = [
    [5, 83, 171, 219],
    [41, 203, 77, 10],
    [93, 61, 214, 137],
    [138, 19, 45, 201],
    [177, 92, 8, 53],
    [211, 34, 189, 66],
];
const STRANGERS_6: [[u16; 8]; 4] = [
    [0x2001, 0x41d0, 0x7a3, 0x19, 0, 0, 0, 0x51],
    [0x2408, 0x8a07, 0x33c1, 0, 0x9f, 0, 0, 0x2d],
    [0x2607, 0xf2c8, 0x4b, 0x71, 0, 0, 0, 0x99],
    [0x2a02, 0x8109, 0xb5c0, 0x1f2, 0, 0, 0, 0x17],
];

/// What becomes of a new connection from machines that nobody knows to a port: the worst for one of
/// them. `to` is an address of this host; without one, any is meant.
#[must_use]
pub fn strangers(chains: &[Chain], v6: bool, to: Option<IpAddr>, port: u16) -> Fate {
    let (own, from): (IpAddr, Vec<IpAddr>) = if v6 {
        let own = [0x2a01, 0x4f8, 0x1c1b, 0x6e2d, 0, 0, 0, 1].into();
        (own, STRANGERS_6.iter().map(|a| (*a).into()).collect())
    } else {
        ([88, 198, 43, 109].into(), STRANGERS_4.iter().map(|a| (*a).into()).collect())
    };
    let to = to.unwrap_or(own);
    worst(
        from.into_iter().map(|from| fate(chains, "input", &Packet { to, from, port, user: None })),
    )
}

/// The worst of several.
pub(crate) fn worst(fates: impl Iterator<Item = Fate>) -> Fate {
    fates.fold(Fate::Dropped, |worst, one| match (worst, one) {
        (Fate::Passes, _) | (_, Fate::Passes) => Fate::Passes,
        (Fate::Unclear, _) | (_, Fate::Unclear) => Fate::Unclear,
        _ => Fate::Dropped,
    })
}

/// What becomes of a connection from an unknown machine to a listening socket.
#[must_use]
pub fn reach(chains: &[Chain], listener: &crate::facts::Listener) -> Fate {
    let any = listener.address.is_unspecified();
    let to = (!any).then_some(listener.address);
    let families: &[bool] = match listener.address {
        IpAddr::V4(_) => &[false],
        // A socket on `::` takes both families unless it was told otherwise.
        IpAddr::V6(_) if any => &[false, true],
        IpAddr::V6(_) => &[true],
    };
    worst(families.iter().map(|v6| strangers(chains, *v6, to, listener.port)))
}

/// `Some(true)` accepted, `Some(false)` dropped, `None` fell off the end. `doubt` is set when a
/// rule that might have decided otherwise was not understood.
fn walk(
    chains: &[Chain],
    chain: &Chain,
    packet: &Packet,
    depth: u8,
    doubt: &mut bool,
) -> Option<bool> {
    if depth >= MAX_JUMPS {
        *doubt = true;
        return None;
    }
    for rule in &chain.rules {
        let Some(holds) = all(&rule.conditions, packet) else {
            // It may hold. That matters only when it would end the packet's way here.
            *doubt |= !matches!(rule.action, Action::Nothing);
            continue;
        };
        if !holds {
            continue;
        }
        match &rule.action {
            Action::Accept => return Some(true),
            Action::Drop => return Some(false),
            Action::Return => return None,
            Action::Nothing => {}
            Action::Other(_) => *doubt = true,
            Action::Jump(name) | Action::Goto(name) => {
                let target = chains.iter().find(|c| c.table == chain.table && c.name == *name);
                let Some(target) = target else {
                    *doubt = true;
                    continue;
                };
                let inner = walk(chains, target, packet, depth + 1, doubt);
                if inner.is_some() || matches!(rule.action, Action::Goto(_)) {
                    return inner;
                }
            }
        }
    }
    None
}

/// Whether all hold; `None` when that is not known.
fn all(conditions: &[Condition], packet: &Packet) -> Option<bool> {
    let mut known = true;
    for condition in conditions {
        match holds(condition, packet) {
            Some(true) => {}
            Some(false) => return Some(false),
            None => known = false,
        }
    }
    known.then_some(true)
}

fn holds(condition: &Condition, packet: &Packet) -> Option<bool> {
    Some(match condition {
        // The packets that are asked about never come from, or go to, the loopback interface.
        Condition::In(name) | Condition::Out(name) => {
            if name == "lo" {
                false
            } else {
                return None;
            }
        }
        Condition::Tcp | Condition::New => true,
        Condition::NotTcp | Condition::Established => false,
        Condition::Family(family) => (*family == 4) == packet.to.is_ipv4(),
        Condition::Port(ranges) => {
            ranges.iter().any(|(low, high)| (*low..=*high).contains(&packet.port))
        }
        Condition::To(nets) => nets.iter().any(|net| net.contains(&packet.to)),
        Condition::From(nets) => nets.iter().any(|net| net.contains(&packet.from)),
        Condition::User(user) => packet.user? == *user,
        Condition::Not(inner) => !holds(inner, packet)?,
        Condition::Other(_) => return None,
    })
}

/// A network from `10.0.0.0/8`, or from a single address.
fn net(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside(port: u16) -> Packet {
        Packet {
            to: "192.0.2.1".parse().unwrap(),
            port,
            from: "203.0.113.9".parse().unwrap(),
            user: None,
        }
    }

    fn chain(drops: bool, rules: Vec<Rule>) -> Chain {
        Chain {
            table: "inet filter".into(),
            name: "in".into(),
            hook: Some("input".into()),
            drops,
            priority: 0,
            rules,
        }
    }

    #[test]
    fn no_rules_let_everything_in() {
        assert_eq!(fate(&[], "input", &outside(1)), Fate::Passes);
        assert_eq!(fate(&[chain(false, vec![])], "input", &outside(1)), Fate::Passes);
        assert_eq!(fate(&[chain(true, vec![])], "input", &outside(1)), Fate::Dropped);
    }

    #[test]
    fn a_rule_that_is_not_understood_makes_it_unclear() {
        let odd =
            Rule { conditions: vec![Condition::Other("mark".into())], action: Action::Accept };
        assert_eq!(fate(&[chain(true, vec![odd])], "input", &outside(1)), Fate::Unclear);
    }

    #[test]
    fn chains_that_jump_in_circles_end() {
        let mut looping = chain(true, vec![]);
        looping.rules.push(Rule { conditions: vec![], action: Action::Jump("in".into()) });
        assert_eq!(fate(&[looping], "input", &outside(1)), Fate::Unclear);
    }
}
