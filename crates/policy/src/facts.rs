//! What a policy is told about one item of a call.

use crate::call::Via;
use crate::catalogue::{Known, Verb};
use crate::hosts::HostClass;
use crate::paths::PathClass;
use crate::trust::{SessionKind, Trust};

/// Where the target of an act comes from. Ordered from most to least believed; the least
/// believed of all targets of an item counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The act has no target.
    #[default]
    None,
    /// The conversation that is going on.
    Current,
    /// The person's own words name it, or it is the person.
    User,
    /// The operator's policy lists it.
    Policy,
    /// It belongs to a record that the person's own words single out.
    Record,
    /// A trusted directory holds it.
    Directory,
    /// It is a field of something that was listed, picked by the model.
    Selected,
    /// Nobody named it: the model made it up or computed it.
    Unseen,
    /// Only outside content named it.
    Outside,
}

impl Target {
    /// The name used in policies.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Current => "current",
            Self::User => "user",
            Self::Policy => "policy",
            Self::Record => "record",
            Self::Directory => "directory",
            Self::Selected => "selected",
            Self::Unseen => "unseen",
            Self::Outside => "outside",
        }
    }
}

/// What a payload carries. Ordered from harmless to worst.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Payload {
    /// Nothing that must not travel.
    #[default]
    Clean,
    /// Links, accounts or addresses that only outside content named.
    Actionable,
    /// Private data.
    Private,
    /// More than was looked through.
    Unknown,
    /// Credentials and the like.
    Secret,
}

impl Payload {
    /// The name used in policies.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Actionable => "actionable",
            Self::Private => "private",
            Self::Unknown => "unknown",
            Self::Secret => "secret",
        }
    }
}

/// The facts of one item. Every field is one attribute of the policy schema.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Facts {
    /// What is done.
    pub verb: Verb,
    /// Who stands behind the session.
    pub trust: Trust,
    /// How the session came to be.
    pub session: SessionKind,
    /// Agent id.
    pub agent: String,
    /// Session key.
    pub session_key: String,
    /// Channel of the requester.
    pub channel: String,
    /// Sender id of the requester.
    pub sender: String,
    /// Tool.
    pub tool: String,
    /// Whether the operator took the tool away.
    pub tool_denied: bool,
    /// How the tool is known.
    pub known: Known,
    /// Where it happens.
    pub via: Via,
    /// Path acted on.
    pub path: String,
    /// Its class.
    pub path_class: Option<PathClass>,
    /// Host acted on.
    pub host: String,
    /// Its class.
    pub host_class: Option<HostClass>,
    /// Program that is run.
    pub program: String,
    /// Whether data can leave.
    pub sends: bool,
    /// Whether it is not known statically.
    pub opaque: bool,
    /// Whether it stays in the sandbox.
    pub sandboxed: bool,
    /// Control influence.
    pub outside: bool,
    /// Whether the person's words ask for it.
    pub licensed: bool,
    /// Where the targets come from.
    pub target: Target,
    /// What the payload carries.
    pub payload: Payload,
    /// Whether the file acted on was made from outside content.
    pub tainted_file: bool,
}

/// Words that fill the braces of a reason. Not part of the facts: they decide nothing.
#[derive(Debug, Clone, Default)]
pub struct Words {
    /// The targets that are least believed.
    pub target: String,
    /// All targets that are not believed as the person's own, for the question.
    pub targets: String,
    /// Why the payload is what it is.
    pub why: String,
    /// What is driven.
    pub what: String,
    /// Whether nothing is named that the act is about.
    pub aimless: bool,
}

impl Known {
    /// The name used in policies.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Catalogue => "catalogue",
            Self::Declared => "declared",
            Self::Inferred => "inferred",
            Self::Not => "not",
        }
    }
}

/// The attributes of the policy schema that take one of a few values, with those values.
#[must_use]
pub fn domains() -> Vec<(&'static str, Vec<&'static str>)> {
    use PathClass as P;
    let target = [
        Target::None,
        Target::Current,
        Target::User,
        Target::Policy,
        Target::Record,
        Target::Directory,
        Target::Selected,
        Target::Unseen,
        Target::Outside,
    ];
    let payload =
        [Payload::Clean, Payload::Actionable, Payload::Private, Payload::Unknown, Payload::Secret];
    let path = [
        P::Workspace,
        P::Scratch,
        P::Identity,
        P::Memory,
        P::Skill,
        P::Autorun,
        P::Credential,
        P::State,
        P::Config,
        P::Guard,
        P::Persistence,
        P::System,
        P::Outside,
        P::Unknown,
    ];
    let host = [
        HostClass::Unknown,
        HostClass::Metadata,
        HostClass::Private,
        HostClass::Listed,
        HostClass::Public,
    ];
    let session = [
        SessionKind::Main,
        SessionKind::Group,
        SessionKind::Subagent,
        SessionKind::Cron,
        SessionKind::Hook,
        SessionKind::Other,
    ];
    let known = [Known::Catalogue, Known::Declared, Known::Inferred, Known::Not];
    let none = || std::iter::once("");
    vec![
        (
            "trust",
            [Trust::Owner, Trust::Listed, Trust::Untrusted].iter().map(|v| v.as_str()).collect(),
        ),
        ("session", session.iter().map(|v| v.as_str()).collect()),
        ("known", known.iter().map(|v| v.as_str()).collect()),
        ("via", [Via::Tool, Via::Shell].iter().map(|v| v.as_str()).collect()),
        ("path_class", none().chain(path.iter().map(|v| v.as_str())).collect()),
        ("host_class", none().chain(host.iter().map(|v| v.as_str())).collect()),
        ("target", target.iter().map(|v| v.as_str()).collect()),
        ("payload", payload.iter().map(|v| v.as_str()).collect()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails to compile when a value is added: it has to be added to [`domains`], too, or a proof
    /// would leave requests out.
    #[test]
    fn domains_hold_every_value() {
        fn target(v: Target) -> usize {
            match v {
                Target::None
                | Target::Current
                | Target::User
                | Target::Policy
                | Target::Record
                | Target::Directory
                | Target::Selected
                | Target::Unseen
                | Target::Outside => 9,
            }
        }
        fn payload(v: Payload) -> usize {
            match v {
                Payload::Clean
                | Payload::Actionable
                | Payload::Private
                | Payload::Unknown
                | Payload::Secret => 5,
            }
        }
        fn path(v: PathClass) -> usize {
            use PathClass as P;
            match v {
                P::Workspace | P::Scratch | P::Identity | P::Memory | P::Skill | P::Autorun => 15,
                P::Credential | P::State | P::Config | P::Guard | P::Persistence => 15,
                P::System | P::Outside | P::Unknown => 15,
            }
        }
        fn host(v: HostClass) -> usize {
            match v {
                HostClass::Unknown
                | HostClass::Metadata
                | HostClass::Private
                | HostClass::Listed
                | HostClass::Public => 6,
            }
        }
        fn session(v: SessionKind) -> usize {
            match v {
                SessionKind::Main
                | SessionKind::Group
                | SessionKind::Subagent
                | SessionKind::Cron
                | SessionKind::Hook
                | SessionKind::Other => 6,
            }
        }
        fn known(v: Known) -> usize {
            match v {
                Known::Catalogue | Known::Declared | Known::Inferred | Known::Not => 4,
            }
        }
        fn trust(v: Trust) -> usize {
            match v {
                Trust::Owner | Trust::Listed | Trust::Untrusted => 3,
            }
        }
        fn via(v: Via) -> usize {
            match v {
                Via::Tool | Via::Shell => 2,
            }
        }
        let expected = [
            ("trust", trust(Trust::Owner)),
            ("session", session(SessionKind::Main)),
            ("known", known(Known::Not)),
            ("via", via(Via::Tool)),
            ("path_class", path(PathClass::Outside)),
            ("host_class", host(HostClass::Public)),
            ("target", target(Target::None)),
            ("payload", payload(Payload::Clean)),
        ];
        let domains = domains();
        assert_eq!(domains.len(), expected.len());
        for ((name, values), (expected_name, count)) in domains.iter().zip(expected) {
            assert_eq!(*name, expected_name);
            let different: std::collections::BTreeSet<_> = values.iter().collect();
            assert_eq!(different.len(), count, "{name}");
        }
    }
}
