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
    /// The target that is least believed.
    pub target: String,
    /// Why the payload is what it is.
    pub why: String,
    /// What is driven.
    pub what: String,
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
