//! Who stands behind a session, from the requester and the session key.

use seawall_model::Origin;
use serde::{Deserialize, Serialize};

/// How far the person behind a session may be trusted. Ordered from least to most.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Nobody vouches for it.
    #[default]
    Untrusted,
    /// A sender on the operator's list.
    Listed,
    /// The owner of the deployment.
    Owner,
}

impl Trust {
    /// The name used in policies.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Untrusted => "untrusted",
            Self::Listed => "listed",
            Self::Owner => "owner",
        }
    }
}

/// How a session came to be; the shape of its key says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionKind {
    /// An interactive session of the agent.
    Main,
    /// A group or channel in which several people write.
    Group,
    /// A child of another session.
    Subagent,
    /// A scheduled run.
    Cron,
    /// A run started by a webhook or a mail hook.
    Hook,
    /// Anything else.
    Other,
}

impl SessionKind {
    /// The name used in policies.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Group => "group",
            Self::Subagent => "subagent",
            Self::Cron => "cron",
            Self::Hook => "hook",
            Self::Other => "other",
        }
    }

    /// Reads the kind from a session key (`agent:ID:REST`). A key in which several kinds appear
    /// counts as the most derived one: a sub-agent of a cron run is a sub-agent.
    #[must_use]
    pub fn of(session_key: &str) -> Self {
        let mut parts = session_key.split(':');
        if parts.next() != Some("agent") || parts.next().is_none_or(str::is_empty) {
            return Self::Other;
        }
        let rest: Vec<&str> = parts.collect();
        // The kind stands before an id. A conversation that a person calls `subagent` is theirs.
        let derived = rest.split_last().map_or(&[][..], |(_, before)| before);
        if derived.iter().any(|p| *p == "subagent" || *p == "acp") {
            Self::Subagent
        } else if derived.first().is_some_and(|p| *p == "cron") {
            Self::Cron
        } else if derived.first().is_some_and(|p| *p == "hook") {
            Self::Hook
        } else if rest.iter().any(|p| matches!(*p, "group" | "channel" | "thread" | "topic")) {
            Self::Group
        } else if rest.is_empty() {
            Self::Other
        } else {
            Self::Main
        }
    }
}

/// Trust of a session.
///
/// An absent requester is untrusted. The gateway gives sub-agents a requester that is nobody and
/// scheduled triggers none at all: such sessions have the trust of the session that made them
/// (`lineage`), and none when that is not known. Inherited trust is never raised by the child's
/// own requester.
#[must_use]
pub fn of(origin: &Origin, lineage: Option<Trust>, listed: &[String]) -> Trust {
    let kind = SessionKind::of(&origin.session_key);
    match kind {
        SessionKind::Subagent | SessionKind::Cron | SessionKind::Hook => {
            let inherited = lineage.unwrap_or(Trust::Untrusted);
            return match (kind, &origin.requester) {
                // Mail and webhooks are written by strangers, whoever set the hook up.
                (SessionKind::Hook, _) => Trust::Untrusted,
                // Somebody speaks in it by name: they get no more than their own.
                (_, Some(who)) if who.sender_id.is_some() => inherited.min(named(who, listed)),
                (_, _) => inherited,
            };
        }
        SessionKind::Main | SessionKind::Group | SessionKind::Other => {}
    }
    origin.requester.as_ref().map_or(Trust::Untrusted, |who| named(who, listed))
}

/// Trust of who is named.
fn named(requester: &seawall_model::Requester, listed: &[String]) -> Trust {
    if requester.sender_is_owner == Some(true) {
        return Trust::Owner;
    }
    let Some(sender) = requester.sender_id.as_deref() else { return Trust::Untrusted };
    let channel = requester.channel.as_deref().unwrap_or_default();
    let is_listed = listed.iter().any(|entry| match entry.split_once(':') {
        Some((c, s)) => c == channel && s == sender,
        None => false,
    });
    if is_listed { Trust::Listed } else { Trust::Untrusted }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seawall_model::Requester;

    fn origin(key: &str, owner: Option<bool>, sender: Option<&str>) -> Origin {
        Origin {
            agent_id: "main".into(),
            session_key: key.into(),
            requester: Some(Requester {
                channel: Some("telegram".into()),
                sender_id: sender.map(str::to_owned),
                sender_is_owner: owner,
                account_id: None,
            }),
            ..Origin::default()
        }
    }

    #[test]
    fn an_absent_requester_is_untrusted() {
        let o = Origin { session_key: "agent:main:main".into(), ..Origin::default() };
        assert_eq!(of(&o, None, &[]), Trust::Untrusted);
        assert_eq!(of(&o, Some(Trust::Owner), &[]), Trust::Untrusted);
    }

    #[test]
    fn who_names_somebody_elses_child_gets_no_more_than_their_own_trust() {
        for key in ["agent:main:subagent:1", "agent:main:cron:job:run:mine"] {
            let stranger = origin(key, Some(false), Some("eve"));
            assert_eq!(of(&stranger, Some(Trust::Owner), &[]), Trust::Untrusted, "{key}");
            assert_eq!(of(&stranger, Some(Trust::Owner), &["telegram:eve".into()]), Trust::Listed);
            let owner = origin(key, Some(true), Some("ada"));
            assert_eq!(of(&owner, Some(Trust::Owner), &[]), Trust::Owner);
            assert_eq!(of(&owner, None, &[]), Trust::Untrusted);
        }
    }

    #[test]
    fn a_child_has_the_trust_of_its_parent() {
        let o = origin("agent:main:subagent:1", Some(false), None);
        assert_eq!(of(&o, Some(Trust::Owner), &[]), Trust::Owner);
        assert_eq!(of(&o, None, &[]), Trust::Untrusted);
        let forged = origin("agent:main:subagent:1", Some(true), None);
        assert_eq!(of(&forged, Some(Trust::Untrusted), &[]), Trust::Untrusted);
    }

    #[test]
    fn a_listed_sender_is_listed_on_its_channel_only() {
        let listed = vec!["telegram:42".to_owned(), "43".to_owned()];
        assert_eq!(of(&origin("agent:main:main", None, Some("42")), None, &listed), Trust::Listed);
        assert_eq!(
            of(&origin("agent:main:main", None, Some("43")), None, &listed),
            Trust::Untrusted
        );
    }

    #[test]
    fn hooks_are_strangers() {
        let o = origin("agent:main:hook:gmail", Some(true), None);
        assert_eq!(of(&o, Some(Trust::Owner), &[]), Trust::Untrusted);
        assert_eq!(SessionKind::of("agent:main:cron:j:run:u"), SessionKind::Cron);
        assert_eq!(SessionKind::of("agent:main:telegram:group:1"), SessionKind::Group);
        assert_eq!(SessionKind::of("nonsense"), SessionKind::Other);
        assert_eq!(SessionKind::of("agent::main"), SessionKind::Other);
    }
}
