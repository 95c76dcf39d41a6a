//! One rule of the policy and how it matches.

use crate::address::{AddressClass, classify};
use crate::host::{Host, parse_port};
use crate::identity::{Glob, Identity, Zone, any_matches};
use crate::scan::KINDS;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// What a rule says about what it matches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleAction {
    /// May pass, if its addresses may be dialled.
    #[default]
    Allow,
    /// Refused, whatever another rule allows.
    Deny,
}

/// What may be spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// TLS whose server name is the host that was asked for.
    Tls,
    /// TLS without a server name.
    TlsWithoutName,
    /// HTTP in the clear, each request judged.
    Http,
    /// A WebSocket over HTTP in the clear: its first request is judged, its messages are scanned.
    Websocket,
    /// Anything at all: nothing is looked at.
    Raw,
}

/// A host pattern of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This name or address.
    Exact(Host),
    /// A domain and every name under it, written `.example.com`. Kept without the dot.
    Suffix(String),
    /// Every name, written `*`; never a literal address.
    AnyName,
}

/// A range of ports, `443` or `8000-8100`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ports {
    first: u16,
    last: u16,
}

/// A private destination that a rule opts in to, `127.0.0.1:8080` or `10.1.0.0/16:443`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PrivateRange {
    net: IpNet,
    port: u16,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawRule")]
pub struct Rule {
    /// Names it in refusals and events.
    pub name: String,
    /// Allow or deny.
    pub action: RuleAction,
    /// Destinations.
    pub hosts: Vec<HostPattern>,
    /// Ports; empty is every port, which only a deny rule can say.
    pub ports: Vec<Ports>,
    /// Protocols; empty is all, which only a deny rule can say.
    pub protocols: Vec<Protocol>,
    /// Methods, where a request is seen; empty is all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Path prefixes, by whole segments, where a request is seen; empty is all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Zones to which it applies; empty is all. So for the four below.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<Zone>,
    /// Agent ids, globs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<Glob>,
    /// Session keys, globs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<Glob>,
    /// Channels, globs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<Glob>,
    /// Ids of tool runs, globs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<Glob>,
    /// Private addresses that this rule may dial.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub private: Vec<PrivateRange>,
    /// Kinds of credentials that requests under this rule may carry, where they are seen: those
    /// that belong to the destination. `*` is all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub carries: Vec<String>,
    /// Whether a ClientHello with Encrypted Client Hello passes: the name that it shows may then
    /// not be the name that it asks for.
    pub ech: bool,
    /// Whether TLS is opened, so that each request in it is judged and scanned.
    #[serde(skip_serializing_if = "is_false")]
    pub intercept: bool,
    /// Whether clients may ask for any number of names under its domains, and for names that look
    /// like data.
    #[serde(skip_serializing_if = "is_false")]
    pub many_names: bool,
    /// Why the rule exists, for the people who read it later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !value
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    name: String,
    #[serde(default)]
    action: RuleAction,
    hosts: Vec<HostPattern>,
    ports: Option<Vec<Ports>>,
    protocols: Option<Vec<Protocol>>,
    #[serde(default)]
    methods: Vec<String>,
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    zones: Vec<Zone>,
    #[serde(default)]
    agents: Vec<Glob>,
    #[serde(default)]
    sessions: Vec<Glob>,
    #[serde(default)]
    channels: Vec<Glob>,
    #[serde(default)]
    runs: Vec<Glob>,
    #[serde(default)]
    private: Vec<PrivateRange>,
    #[serde(default)]
    carries: Vec<String>,
    #[serde(default)]
    ech: bool,
    #[serde(default)]
    intercept: bool,
    #[serde(default)]
    many_names: bool,
    reason: Option<String>,
}

impl TryFrom<RawRule> for Rule {
    type Error = String;

    fn try_from(raw: RawRule) -> Result<Self, String> {
        let fail = |what: &str| Err(format!("rule `{}`: {what}", raw.name));
        if raw.name.is_empty() || raw.name.len() > 64 || raw.name.chars().any(char::is_control) {
            return fail("`name` must have 1 to 64 printable characters");
        }
        if raw.hosts.is_empty() {
            return fail("`hosts` is empty, so it matches nothing");
        }
        let denies = raw.action == RuleAction::Deny;
        let protocols = match &raw.protocols {
            Some(list) if list.is_empty() => return fail("`protocols` is empty"),
            Some(list) => list.clone(),
            None if denies => Vec::new(),
            None => vec![Protocol::Tls],
        };
        let ports = match &raw.ports {
            Some(list) if list.is_empty() => return fail("`ports` is empty"),
            Some(list) => list.clone(),
            None if denies => Vec::new(),
            None if protocols == [Protocol::Tls] => vec![Ports { first: 443, last: 443 }],
            None => return fail("`ports` is needed with `protocols`"),
        };
        if denies && !(raw.private.is_empty() && raw.carries.is_empty() && !raw.ech) {
            return fail("`private`, `carries` and `ech` have no effect in a deny rule");
        }
        if raw.intercept {
            if denies {
                return fail("`intercept` has no effect in a deny rule");
            }
            let opened = |p: &Protocol| matches!(p, Protocol::Tls | Protocol::Websocket);
            if !protocols.contains(&Protocol::Tls) || !protocols.iter().all(opened) {
                return fail(
                    "`intercept` goes with `protocols = [\"tls\"]` or `[\"tls\", \"websocket\"]`",
                );
            }
            if raw.ech {
                return fail(
                    "`ech` has no effect with `intercept`: the proxy reads the outer name",
                );
            }
            if raw.hosts.iter().any(|h| matches!(h, HostPattern::Exact(Host::Address(_)))) {
                return fail("`intercept` needs names: TLS to an address shows none");
            }
        }
        let is_seen =
            |p: &Protocol| raw.intercept || matches!(p, Protocol::Http | Protocol::Websocket);
        let sees_requests = protocols.is_empty() || protocols.iter().any(is_seen);
        if !(raw.methods.is_empty() && raw.paths.is_empty()) {
            if !sees_requests {
                return fail(
                    "`methods` and `paths` need `protocols = [\"http\"]` or `intercept = true`: \
                     they cannot be seen in a tunnel",
                );
            }
            if !denies && !protocols.iter().all(is_seen) {
                return fail(
                    "`methods` and `paths` cannot stand beside a protocol other than \
                     `http` and `websocket`: the tunnel would go round them. Split the rule",
                );
            }
        }
        if let Some(bad) = raw
            .methods
            .iter()
            .find(|m| m.is_empty() || !m.bytes().all(|b| b.is_ascii_uppercase() || b == b'-'))
        {
            return fail(&format!("`{bad}` is not a method; methods are upper case"));
        }
        if let Some(bad) = raw.paths.iter().find(|p| !p.starts_with('/') || !is_plain_path(p)) {
            return fail(&format!(
                "`{bad}` is not a path prefix: it begins with `/` and has no `..`, `//`, `%` or `\\`"
            ));
        }
        if !raw.carries.is_empty() && !sees_requests {
            return fail(
                "`carries` needs `protocols = [\"http\"]` or `intercept = true`: nothing is seen in a tunnel",
            );
        }
        let own = ["session:private", "session:secret"];
        let known = |name: &str| {
            name == "*" || own.contains(&name) || KINDS.iter().any(|kind| kind.name == name)
        };
        if let Some(bad) = raw.carries.iter().find(|name| !known(name)) {
            let mut names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
            names.dedup();
            return fail(&format!(
                "`{bad}` is not a kind of credential; they are `*`, {}, {}",
                own.join(", "),
                names.join(", ")
            ));
        }
        if raw.ech && !protocols.contains(&Protocol::Tls) {
            return fail("`ech` has an effect with `tls` only");
        }
        Ok(Self {
            name: raw.name,
            action: raw.action,
            hosts: raw.hosts,
            ports,
            protocols,
            methods: raw.methods,
            paths: raw.paths,
            zones: raw.zones,
            agents: raw.agents,
            sessions: raw.sessions,
            channels: raw.channels,
            runs: raw.runs,
            private: raw.private,
            carries: raw.carries,
            ech: raw.ech,
            intercept: raw.intercept,
            many_names: raw.many_names,
            reason: raw.reason,
        })
    }
}

/// What is known of a request when it is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How<'a> {
    /// A tunnel was asked for; nothing has been sent through it.
    Tunnel,
    /// The tunnel turned out to carry this protocol.
    Carries(Protocol),
    /// An HTTP request.
    Request {
        /// Its method.
        method: &'a str,
        /// Its path, without the query.
        path: &'a str,
        /// Whether it asks to go on as a WebSocket.
        websocket: bool,
        /// Whether it came inside TLS that the proxy opened.
        tls: bool,
    },
}

/// The first part of a rule that did not match, for the explanation of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mismatch {
    /// For others.
    Identity,
    /// Another port.
    Port,
    /// Another protocol.
    Protocol,
    /// Another method.
    Method,
    /// Another path.
    Path,
}

impl Rule {
    /// Whether the rule applies, for a destination whose host it matches.
    ///
    /// # Errors
    /// With the first part that did not match.
    pub fn applies(&self, identity: &Identity, port: u16, how: How<'_>) -> Result<(), Mismatch> {
        let for_this_client = (self.zones.is_empty() || self.zones.contains(&identity.zone))
            && any_matches(&self.agents, identity.agent.as_deref())
            && any_matches(&self.sessions, identity.session.as_deref())
            && any_matches(&self.channels, identity.channel.as_deref())
            && any_matches(&self.runs, identity.run.as_deref());
        if !for_this_client {
            return Err(Mismatch::Identity);
        }
        if !self.ports.is_empty() && !self.ports.iter().any(|p| p.contains(port)) {
            return Err(Mismatch::Port);
        }
        let speaks = |p| self.protocols.is_empty() || self.protocols.contains(&p);
        match how {
            // What a tunnel carries is judged when it shows. A deny that is about requests or
            // protocols has to wait for them too.
            How::Tunnel if self.action == RuleAction::Allow => Ok(()),
            How::Tunnel if !self.protocols.is_empty() => Err(Mismatch::Protocol),
            How::Tunnel if !self.methods.is_empty() => Err(Mismatch::Method),
            How::Tunnel if !self.paths.is_empty() => Err(Mismatch::Path),
            How::Tunnel => Ok(()),
            How::Carries(protocol) if !speaks(protocol) => Err(Mismatch::Protocol),
            // What is in a tunnel cannot be seen, so a denial of some of it is one of all of it.
            How::Carries(_) if self.action == RuleAction::Deny => Ok(()),
            How::Carries(_) if !self.methods.is_empty() => Err(Mismatch::Method),
            How::Carries(_) if !self.paths.is_empty() => Err(Mismatch::Path),
            How::Carries(_) => Ok(()),
            How::Request { websocket, tls, .. } if !self.speaks_request(websocket, tls) => {
                Err(Mismatch::Protocol)
            }
            How::Request { method, .. }
                if !self.methods.is_empty() && !self.methods.iter().any(|m| m == method) =>
            {
                Err(Mismatch::Method)
            }
            How::Request { path, .. } if !self.path_matches(path) => Err(Mismatch::Path),
            How::Request { .. } => Ok(()),
        }
    }

    /// The part of a name that the rule gives: all of it, a domain, or nothing. None if the rule
    /// lets clients ask for any names.
    #[must_use]
    pub fn given<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        if self.many_names {
            return None;
        }
        let part = |pattern: &'a HostPattern| match pattern {
            HostPattern::Exact(Host::Name(exact)) if exact == name => Some(exact.as_str()),
            HostPattern::Suffix(domain) => name
                .strip_suffix(domain.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
                .then_some(domain.as_str()),
            _ => None,
        };
        Some(self.hosts.iter().filter_map(part).max_by_key(|part| part.len()).unwrap_or_default())
    }

    /// Whether requests of this kind are among the rule's protocols. A rule that opens TLS allows
    /// nothing outside of it, and others allow nothing inside; a denial does not look at that.
    fn speaks_request(&self, websocket: bool, tls: bool) -> bool {
        let has = |p| self.protocols.is_empty() || self.protocols.contains(&p);
        let plain = if websocket { Protocol::Websocket } else { Protocol::Http };
        match self.action {
            RuleAction::Deny => has(plain) || (tls && has(Protocol::Tls)),
            RuleAction::Allow if !tls => !self.intercept && has(plain),
            RuleAction::Allow => {
                self.intercept && has(if websocket { Protocol::Websocket } else { Protocol::Tls })
            }
        }
    }

    fn path_matches(&self, path: &str) -> bool {
        if self.paths.is_empty() {
            return true;
        }
        // A path that servers read in different ways is under no allowed prefix, and under every
        // denied one.
        if !is_plain_path(path) {
            return self.action == RuleAction::Deny;
        }
        self.paths.iter().any(|prefix| {
            let (begin, rest) = match path.split_at_checked(prefix.len()) {
                Some(parts) => parts,
                None => return false,
            };
            // Some servers do not tell cases apart: a denial does not either.
            let same = match self.action {
                RuleAction::Deny => begin.eq_ignore_ascii_case(prefix),
                RuleAction::Allow => begin == prefix,
            };
            same && (prefix.ends_with('/') || rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// Whether this denial names an address that a name leads to.
    #[must_use]
    pub fn denies_address(&self, identity: &Identity, port: u16) -> bool {
        // Without looking at protocols, methods and paths: an address is denied as a whole.
        self.action == RuleAction::Deny
            && !matches!(
                self.applies(identity, port, How::Tunnel),
                Err(Mismatch::Identity | Mismatch::Port)
            )
    }

    /// Whether an address is one of its private ones.
    #[must_use]
    pub fn names(&self, address: IpAddr, port: u16) -> bool {
        self.private.iter().any(|range| range.covers(address, port))
    }

    /// Whether this rule may dial an address.
    ///
    /// # Errors
    /// With the class of the address.
    pub fn may_dial(&self, address: IpAddr, port: u16) -> Result<(), AddressClass> {
        match classify(address) {
            None => Ok(()),
            Some(class)
                if class.can_be_named() && self.private.iter().any(|p| p.covers(address, port)) =>
            {
                Ok(())
            }
            Some(class) => Err(class),
        }
    }
}

/// Without what servers and proxies normalise differently.
#[must_use]
pub fn is_plain_path(path: &str) -> bool {
    !path.contains("//")
        && !path.contains(['%', '\\', ';'])
        && !path.split('/').any(|segment| segment == "." || segment == "..")
}

impl Ports {
    /// Whether the port is in the range.
    #[must_use]
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a port (443) or a range of ports (8000-8100)");
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let first = parse_port(first).ok_or_else(bad)?;
        let last = parse_port(last).ok_or_else(bad)?;
        if first > last { Err(bad()) } else { Ok(Self { first, last }) }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            self.first.fmt(f)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl PrivateRange {
    fn covers(&self, address: IpAddr, port: u16) -> bool {
        self.port == port && self.net.contains(&address)
    }
}

impl FromStr for PrivateRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = |why: &str| {
            format!(
                "`{text}`: {why}; write an address or a range, `:` and a port: \
                     `127.0.0.1:8080`, `10.1.0.0/16:443`, `[fd12::/48]:443`"
            )
        };
        let (net, port) = text.rsplit_once(':').ok_or_else(|| bad("no port"))?;
        let port = parse_port(port).ok_or_else(|| bad("not a port"))?;
        let net = match net.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').ok_or_else(|| bad("`]` is missing"))?,
            None if net.contains(':') => return Err(bad("an IPv6 address needs brackets")),
            None => net,
        };
        let net = IpNet::from_str(net)
            .or_else(|_| IpAddr::from_str(net).map(IpNet::from))
            .map_err(|_| bad("not an address or a range"))?;
        // Every private block is a /8 or narrower: wider is a slip of the pen.
        if net.prefix_len() < 8 {
            return Err(bad("the range is wider than /8"));
        }
        if net.trunc() != net {
            return Err(bad("the range has bits set behind its prefix"));
        }
        match classify(net.network()) {
            // One of this host's own.
            None if net.prefix_len() == net.max_prefix_len() => {}
            None => return Err(bad("this is not a private range, so it needs no opt-in")),
            Some(class) if class.can_be_named() => {}
            Some(_) => return Err(bad("addresses of this class are never dialled")),
        }
        Ok(Self { net, port })
    }
}

impl fmt::Display for PrivateRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.net {
            IpNet::V4(net) => write!(f, "{net}:{}", self.port),
            IpNet::V6(net) => write!(f, "[{net}]:{}", self.port),
        }
    }
}

impl FromStr for HostPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = |e: &dyn fmt::Display| format!("`{text}` is not a host of a rule: {e}");
        if text == "*" {
            return Ok(Self::AnyName);
        }
        let (suffix, name) = match text.strip_prefix("*.").or_else(|| text.strip_prefix('.')) {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        // People write internationalised names; requests carry their ASCII form.
        let ascii = if name.is_ascii() {
            name.to_owned()
        } else {
            idna::domain_to_ascii_strict(name).map_err(|_| bad(&"not a valid name"))?
        };
        match (Host::parse(&ascii).map_err(|e| bad(&e))?, suffix) {
            (Host::Name(name), true) => Ok(Self::Suffix(name)),
            (Host::Address(_), true) => Err(bad(&"an address has nothing under it")),
            (host, false) => Ok(Self::Exact(host)),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => host.fmt(f),
            Self::Suffix(name) => write!(f, ".{name}"),
            Self::AnyName => f.write_str("*"),
        }
    }
}

macro_rules! as_text {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
    )*};
}
as_text!(HostPattern, Ports, PrivateRange);

macro_rules! from_text {
    ($($type:ty),*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
from_text!(HostPattern, PrivateRange);

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Ports;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port (443) or a range of ports (\"8000-8100\")")
            }

            fn visit_i64<E: serde::de::Error>(self, port: i64) -> Result<Ports, E> {
                self.visit_str(&port.to_string())
            }

            fn visit_u64<E: serde::de::Error>(self, port: u64) -> Result<Ports, E> {
                self.visit_str(&port.to_string())
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Ports, E> {
                text.parse().map_err(E::custom)
            }
        }
        d.deserialize_any(Visitor)
    }
}
