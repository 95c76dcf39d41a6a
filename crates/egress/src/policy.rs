//! The policy: the `[egress]` part of `seawall.toml`, and the file of `seawall egress serve`.
//!
//! Everything is refused that no rule allows. Judging is a function of values: name, port,
//! identity and what is known of the protocol first, the addresses of one look-up after that.

use crate::budget::Budget;
use crate::host::{Host, Target};
use crate::identity::Identity;
use crate::refusal::{Cause, Refusal};
use crate::resolve::Dns;
use crate::rule::{HostPattern, How, Mismatch, Protocol, Rule, RuleAction};
use crate::scan::Canary;
use crate::secret::Secret;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::PathBuf;

/// The policy as it is written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EgressPolicy {
    /// What bounds a client.
    #[serde(default)]
    pub limits: Limits,
    /// Names with answers of their own: they are never looked up.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hosts: BTreeMap<String, Vec<IpAddr>>,
    /// Clients of a shared listener.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<Client>,
    /// Secrets that clients hold as placeholders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Secret>,
    /// How TLS is opened where a rule says so.
    #[serde(default, skip_serializing_if = "Interception::is_default")]
    pub interception: Interception,
    /// Where names are looked up.
    #[serde(default, skip_serializing_if = "Dns::is_default")]
    pub dns: Dns,
    /// Decoys: texts that are worth nothing and must not leave. Whoever sends one has looked where
    /// it had no business.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub canaries: Vec<Decoy>,
    /// How much a client may send, ask and reach. The first that is for it is the one that holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<Budget>,
    /// What may pass. The first allow rule that matches is the one that is used; a deny rule
    /// that matches wins over all of them.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

/// A client that shows a secret (`Proxy-Authorization: Basic`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The user part of the credentials.
    pub user: String,
    /// SHA-256 of the password, in hex. Use a long random password: the hash is not salted.
    pub secret_sha256: String,
    /// In whose name the client is judged.
    #[serde(default)]
    pub identity: Identity,
}

/// A decoy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decoy {
    /// Names it in refusals and events.
    pub name: String,
    /// What must not leave, as it stands or encoded: 8 to 256 bytes.
    pub text: String,
}

/// How TLS is opened where a rule says so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interception {
    /// A PEM file of the roots by which destinations are verified, in place of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roots: Option<PathBuf>,
}

impl Interception {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What bounds a client. Times in seconds, sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Longest request or response head. Large cookies and signed URLs need a few KiB.
    pub head_bytes: usize,
    /// Time for a whole head or for the first bytes in a tunnel, once a client has connected.
    pub head_seconds: u64,
    /// How long a kept-alive client connection may stay without a request.
    pub idle_seconds: u64,
    /// How long a tunnel or a body may stay without a byte in either direction. Channel
    /// WebSockets ping about once a minute.
    pub tunnel_idle_seconds: u64,
    /// Time for a look-up.
    pub resolve_seconds: u64,
    /// Time for a connection to the destination.
    pub connect_seconds: u64,
    /// Client connections at one time, all together.
    pub connections: usize,
    /// Client connections at one time of one identity.
    pub connections_per_identity: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 32 * 1024,
            head_seconds: 15,
            idle_seconds: 90,
            tunnel_idle_seconds: 900,
            resolve_seconds: 5,
            connect_seconds: 10,
            connections: 16_384,
            connections_per_identity: 12_288,
        }
    }
}

/// A policy that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The text is not TOML of a policy; the message shows the line.
    #[error("{0}")]
    Toml(String),
    /// A field is wrong.
    #[error("{field}: {problem}")]
    Field {
        /// Path of the field, `rules[2].name`.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Names of metadata services. They lead to addresses that are never dialled; here they are
/// refused before a look-up, so that the refusal says what they are.
const METADATA_NAMES: [&str; 9] = [
    "instance-data",
    "instance-data.ec2.internal",
    "metadata",
    "metadata.azure.internal",
    "metadata.goog",
    "metadata.google.internal",
    "metadata.packet.net",
    "metadata.platformequinix.com",
    "metadata.tencentyun.com",
];

impl EgressPolicy {
    /// Reads a policy.
    ///
    /// # Errors
    /// When the text is not TOML of a policy, or a field is wrong.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        let policy: Self =
            toml::from_str(text).map_err(|e| PolicyError::Toml(e.to_string().trim_end().into()))?;
        policy.compile()?;
        Ok(policy)
    }

    /// The decoys as the scanner takes them.
    pub(crate) fn decoys(&self) -> Vec<Canary> {
        let canary = |decoy: &Decoy| Canary {
            name: format!("canary:{}", decoy.name),
            text: decoy.text.clone().into_bytes(),
        };
        self.canaries.iter().map(canary).collect()
    }

    /// Checks the policy as a whole and makes it ready to judge.
    ///
    /// # Errors
    /// When a field is wrong.
    pub fn compile(&self) -> Result<Compiled, PolicyError> {
        let field = |field: String, problem: String| PolicyError::Field { field, problem };
        let limits = &self.limits;
        for (name, value, range) in [
            ("head_bytes", limits.head_bytes as u64, 1024..=1 << 20),
            ("head_seconds", limits.head_seconds, 1..=600),
            ("idle_seconds", limits.idle_seconds, 1..=86_400),
            ("tunnel_idle_seconds", limits.tunnel_idle_seconds, 1..=604_800),
            ("resolve_seconds", limits.resolve_seconds, 1..=60),
            ("connect_seconds", limits.connect_seconds, 1..=600),
            ("connections", limits.connections as u64, 1..=1 << 20),
            ("connections_per_identity", limits.connections_per_identity as u64, 1..=1 << 20),
        ] {
            if !range.contains(&value) {
                return Err(field(
                    format!("limits.{name}"),
                    format!("{value} is not between {} and {}", range.start(), range.end()),
                ));
            }
        }

        let mut pinned = HashMap::new();
        for (name, addresses) in &self.hosts {
            let at = || format!("hosts.\"{name}\"");
            let host = Host::parse(name).map_err(|e| field(at(), e.to_string()))?;
            let Host::Name(host) = host else {
                return Err(field(at(), "an address needs no answer".into()));
            };
            if addresses.is_empty() {
                return Err(field(at(), "the list of addresses is empty".into()));
            }
            if pinned.insert(host, addresses.clone()).is_some() {
                return Err(field(at(), "the name is there twice".into()));
            }
        }

        let mut clients = HashMap::new();
        for (i, client) in self.clients.iter().enumerate() {
            let at = |name: &str| format!("clients[{i}].{name}");
            if client.user.is_empty() || client.user.contains(':') {
                return Err(field(at("user"), "must not be empty or hold `:`".into()));
            }
            let hash = decode_sha256(&client.secret_sha256).ok_or_else(|| {
                field(
                    at("secret_sha256"),
                    "must be 64 hex digits; make it with: printf %s SECRET | sha256sum".into(),
                )
            })?;
            let entry = (hash, client.identity.clone());
            if clients.insert(client.user.clone(), entry).is_some() {
                return Err(field(at("user"), format!("`{}` is there twice", client.user)));
            }
        }

        let mut secrets = HashMap::new();
        for (i, secret) in self.secrets.iter().enumerate() {
            secret
                .check()
                .map_err(|(name, problem)| field(format!("secrets[{i}].{name}"), problem))?;
            if let Some(other) = secrets.insert(secret.name.as_str(), i) {
                return Err(field(
                    format!("secrets[{i}].name"),
                    format!("`{}` is the name of secrets[{other}] too", secret.name),
                ));
            }
        }

        self.dns.check()?;
        for (i, decoy) in self.canaries.iter().enumerate() {
            let at = |name: &str| format!("canaries[{i}].{name}");
            if decoy.name.is_empty() || decoy.name.len() > 64 {
                return Err(field(at("name"), "must have 1 to 64 bytes".into()));
            }
            if !(8..=256).contains(&decoy.text.len()) {
                return Err(field(at("text"), "must have 8 to 256 bytes".into()));
            }
        }

        let mut budgets = HashMap::new();
        for (i, budget) in self.budgets.iter().enumerate() {
            budget
                .check()
                .map_err(|(name, problem)| field(format!("budgets[{i}].{name}"), problem))?;
            if let Some(other) = budgets.insert(budget.name.as_str(), i) {
                return Err(field(
                    format!("budgets[{i}].name"),
                    format!("`{}` is the name of budgets[{other}] too", budget.name),
                ));
            }
        }

        let mut compiled = Compiled {
            limits: limits.clone(),
            budgets: self.budgets.clone(),
            pinned,
            clients,
            opens: self.rules.iter().any(|rule| rule.intercept),
            rules: self.rules.clone(),
            exact: HashMap::new(),
            suffix: HashMap::new(),
            any: Vec::new(),
        };
        let mut names = HashMap::new();
        for (i, rule) in self.rules.iter().enumerate() {
            if let Some(other) = names.insert(rule.name.as_str(), i) {
                return Err(field(
                    format!("rules[{i}].name"),
                    format!("`{}` is the name of rules[{other}] too", rule.name),
                ));
            }
            for pattern in &rule.hosts {
                match pattern {
                    HostPattern::Exact(host) => {
                        compiled.exact.entry(host.clone()).or_default().push(i);
                    }
                    HostPattern::Suffix(name) => {
                        compiled.suffix.entry(name.clone()).or_default().push(i);
                    }
                    HostPattern::AnyName => compiled.any.push(i),
                }
            }
        }
        Ok(compiled)
    }
}

fn decode_sha256(text: &str) -> Option<[u8; 32]> {
    let text = text.as_bytes();
    if text.len() != 64 {
        return None;
    }
    let mut out = [0; 32];
    for (slot, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        let digits = std::str::from_utf8(pair).ok()?;
        if digits.starts_with('+') {
            return None;
        }
        *slot = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(out)
}

/// A policy that is ready to judge.
#[derive(Debug)]
pub struct Compiled {
    /// What bounds a client.
    pub limits: Limits,
    /// Budgets, in the order of the policy.
    pub budgets: Vec<Budget>,
    pinned: HashMap<String, Vec<IpAddr>>,
    clients: HashMap<String, ([u8; 32], Identity)>,
    rules: Vec<Rule>,
    /// Whether one of them opens TLS.
    opens: bool,
    exact: HashMap<Host, Vec<usize>>,
    suffix: HashMap<String, Vec<usize>>,
    any: Vec<usize>,
}

impl Compiled {
    /// Judges name, port, identity and what is known of the protocol. Nothing has been looked up
    /// when this is asked.
    ///
    /// # Errors
    /// When no rule allows it.
    pub fn judge(
        &self,
        identity: &Identity,
        target: &Target,
        how: How<'_>,
    ) -> Result<&Rule, Refusal> {
        if let Host::Name(name) = &target.host
            && METADATA_NAMES.contains(&name.as_str())
        {
            return Err(Refusal::new(
                Cause::Metadata,
                format!("`{name}` is a cloud metadata service, which no setting allows"),
            ));
        }
        if let Some(only) = &identity.only {
            let host = match &target.host {
                Host::Name(name) => name.as_str().to_owned(),
                Host::Address(address) => address.to_string(),
            };
            if !only.contains(&host) {
                let why =
                    format!("`{target}` is not what the skill in this run was approved to contact");
                return Err(Refusal::new(Cause::NoRule, why).fix(
                    "if it is meant, approve the skill again with `seawall skill approve FOLDER --contacts HOST`",
                ));
            }
        }
        if matches!(how, How::Carries(_))
            && let Some(rule) = self.intercepts(identity, target)
        {
            let why = format!("`{target}` is opened by a rule, and nothing else passes there");
            return Err(Refusal::new(Cause::Protocol, why).rule(&rule.name));
        }
        let mut allowed = None;
        let mut nearest: Option<(Mismatch, &Rule)> = None;
        for rule in self.rules_for(&target.host) {
            match (rule.applies(identity, target.port, how), rule.action) {
                (Ok(()), RuleAction::Deny) => {
                    let why = match &rule.reason {
                        Some(reason) => format!("`{target}` is denied: {reason}"),
                        None => format!("`{target}` is denied"),
                    };
                    return Err(Refusal::new(Cause::DenyRule, why)
                        .rule(&rule.name)
                        .fix(format!("edit or remove the rule `{}`", rule.name)));
                }
                (Ok(()), RuleAction::Allow) => allowed = allowed.or(Some(rule)),
                (Err(mismatch), RuleAction::Allow) => {
                    if nearest.is_none_or(|(best, _)| mismatch > best) {
                        nearest = Some((mismatch, rule));
                    }
                }
                (Err(_), RuleAction::Deny) => {}
            }
        }
        allowed.ok_or_else(|| refuse(identity, target, how, nearest))
    }

    /// The rule by which TLS to this destination is opened. It wins over every rule that lets a
    /// tunnel pass, so that none of those is a way round it.
    #[must_use]
    pub fn intercepts(&self, identity: &Identity, target: &Target) -> Option<&Rule> {
        if !self.opens {
            return None;
        }
        self.rules_for(&target.host)
            .find(|rule| rule.intercept && rule.applies(identity, target.port, How::Tunnel).is_ok())
    }

    /// Whether a rule for the host names this address and port as one of its private ones.
    #[must_use]
    pub fn names(&self, target: &Target, address: IpAddr) -> bool {
        self.rules_for(&target.host).any(|rule| rule.names(address, target.port))
    }

    /// Whether a rule for the host looks at methods or paths.
    #[must_use]
    pub fn narrows(&self, target: &Target) -> bool {
        self.rules_for(&target.host).any(|rule| !(rule.methods.is_empty() && rule.paths.is_empty()))
    }

    /// Whether a rule opens TLS.
    #[must_use]
    pub fn opens(&self) -> bool {
        self.opens
    }

    /// Rules that name the host, in the order of the policy.
    fn rules_for(&self, host: &Host) -> impl Iterator<Item = &Rule> {
        let mut found: Vec<usize> = Vec::new();
        found.extend(self.exact.get(host).into_iter().flatten());
        if let Host::Name(name) = host {
            let mut rest = Some(name.as_str());
            while let Some(domain) = rest {
                found.extend(self.suffix.get(domain).into_iter().flatten());
                rest = domain.split_once('.').map(|(_, parent)| parent);
            }
            found.extend(&self.any);
        }
        found.sort_unstable();
        found.dedup();
        found.into_iter().filter_map(|i| self.rules.get(i))
    }

    /// Judges all addresses of one look-up. One address that may not be dialled refuses the
    /// look-up as a whole: a name that leads to both kinds is either broken or an attack.
    ///
    /// # Errors
    /// When one of them may not be dialled, or there is none.
    pub fn judge_addresses(
        &self,
        identity: &Identity,
        rule: &Rule,
        target: &Target,
        addresses: &[IpAddr],
    ) -> Result<(), Refusal> {
        if addresses.is_empty() {
            return Err(Refusal::new(
                Cause::Unreachable,
                format!("`{}` has no address", target.host),
            ));
        }
        for address in addresses {
            let host = Host::Address(*address);
            let denial = self.exact.get(&host).into_iter().flatten().find_map(|i| {
                self.rules.get(*i).filter(|rule| rule.denies_address(identity, target.port))
            });
            if let Some(denial) = denial {
                let why = format!("`{target}` leads to {address}, which is denied");
                return Err(Refusal::new(Cause::DenyRule, why)
                    .rule(&denial.name)
                    .fix(format!("edit or remove the rule `{}`", denial.name)));
            }
            if let Err(class) = rule.may_dial(*address, target.port) {
                let why = match &target.host {
                    Host::Name(name) => format!("`{name}` leads to {address}, {}", class.as_str()),
                    Host::Address(_) => format!("{address} is {}", class.as_str()),
                };
                if !class.can_be_named() {
                    let cause = match class {
                        crate::address::AddressClass::Metadata => Cause::Metadata,
                        _ => Cause::Address,
                    };
                    let why = format!("{why}, which no setting allows");
                    return Err(Refusal::new(cause, why).rule(&rule.name));
                }
                return Err(Refusal::new(Cause::Address, why).rule(&rule.name).fix(format!(
                    "if this destination is meant, add it to the rule `{}`: private = [\"{}\"]",
                    rule.name,
                    match address {
                        IpAddr::V4(v4) => format!("{v4}:{}", target.port),
                        IpAddr::V6(v6) => format!("[{v6}]:{}", target.port),
                    }
                )));
            }
        }
        Ok(())
    }

    /// The answer that the policy gives for a name.
    #[must_use]
    pub fn pinned(&self, name: &str) -> Option<&[IpAddr]> {
        self.pinned.get(name).map(Vec::as_slice)
    }

    /// Hash of the secret and identity of a client.
    #[must_use]
    pub fn client(&self, user: &str) -> Option<&([u8; 32], Identity)> {
        self.clients.get(user)
    }

    /// Whether a client of the policy has this identity.
    #[must_use]
    pub fn has_identity(&self, identity: &Identity) -> bool {
        self.clients.values().any(|(_, known)| known == identity)
    }

    /// Whether clients have to show a secret.
    #[must_use]
    pub fn has_clients(&self) -> bool {
        !self.clients.is_empty()
    }
}

fn refuse(
    identity: &Identity,
    target: &Target,
    how: How<'_>,
    nearest: Option<(Mismatch, &Rule)>,
) -> Refusal {
    let host = &target.host;
    let Some((mismatch, rule)) = nearest else {
        return Refusal::new(Cause::NoRule, format!("no rule allows the host `{host}`")).fix(
            format!(
                "add a rule: [[rules]] name = \"…\", hosts = [\"{host}\"], ports = [{}]",
                target.port
            ),
        );
    };
    let list = |items: &mut dyn Iterator<Item = String>| items.collect::<Vec<_>>().join(", ");
    let (cause, why, key) = match (mismatch, how) {
        (Mismatch::Identity, _) => (
            Cause::NoRule,
            format!("the host `{host}` is allowed, but not for {identity}"),
            "agents",
        ),
        (Mismatch::Port, _) => (
            Cause::NoRule,
            format!(
                "the host `{host}` is allowed, but not on port {} (only {})",
                target.port,
                list(&mut rule.ports.iter().map(ToString::to_string))
            ),
            "ports",
        ),
        (Mismatch::Protocol, How::Carries(protocol)) => (
            Cause::Protocol,
            format!("`{target}` is allowed, but not for {}", protocol.as_str()),
            "protocols",
        ),
        (Mismatch::Protocol, How::Request { tls: true, websocket, .. }) => {
            let what = if websocket { "a WebSocket" } else { "a request" };
            let why = format!("`{target}` is allowed, but not for {what} inside TLS");
            (Cause::Protocol, why, "protocols")
        }
        (Mismatch::Protocol, How::Request { websocket, .. }) => {
            let protocol = if websocket { Protocol::Websocket } else { Protocol::Http };
            let why = format!("`{target}` is allowed, but not for {}", protocol.as_str());
            (Cause::Protocol, why, "protocols")
        }
        (Mismatch::Protocol, How::Tunnel) => {
            (Cause::Protocol, format!("`{target}` is not allowed as a tunnel"), "protocols")
        }
        (Mismatch::Method, How::Request { method, .. }) => (
            Cause::NoRule,
            format!("`{target}` is allowed, but not with the method {method}"),
            "methods",
        ),
        (Mismatch::Method, _) | (Mismatch::Path, How::Tunnel | How::Carries(_)) => (
            Cause::Protocol,
            format!("`{target}` is allowed for single requests only"),
            "protocols",
        ),
        (Mismatch::Path, How::Request { .. }) => {
            (Cause::NoRule, format!("`{target}` is allowed, but not this path"), "paths")
        }
    };
    Refusal::new(cause, why)
        .rule(&rule.name)
        .fix(format!("change `{key}` of the rule `{}`, or add a rule", rule.name))
}

impl Protocol {
    /// A noun phrase for a refusal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tls => "TLS",
            Self::TlsWithoutName => "TLS without a server name (`tls_without_name`)",
            Self::Http => "plain HTTP (`http`)",
            Self::Websocket => "a WebSocket over plain HTTP (`websocket`)",
            Self::Raw => "a protocol that is neither TLS nor HTTP (`raw`)",
        }
    }
}
