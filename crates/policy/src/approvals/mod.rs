//! Answers to asks: once, for the session, or standing, as a pure state machine.

pub mod queue;

pub use queue::Queue;

use serde::{Deserialize, Serialize};

/// Most grants of one session or deployment; an operator who needs more needs a rule.
const MAX_GRANTS: usize = 512;

/// What exactly was asked, so that an answer means that and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AskKey {
    /// Rule that asked.
    pub rule: String,
    /// Tool.
    pub tool: String,
    /// Agent.
    pub agent: String,
    /// Target: path, host, recipient, or the digest of the call where it has none.
    pub target: String,
}

/// How far an answer reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// This very call: the digest of its tool and arguments.
    Once,
    /// The same question again in this session.
    Session,
    /// The same question again until it expires.
    Standing,
}

/// An answer that allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// What it answers.
    pub key: AskKey,
    /// How far it reaches.
    pub scope: Scope,
    /// Digest of the call, for [`Scope::Once`].
    #[serde(default)]
    pub digest: String,
    /// Unix time in milliseconds after which it is void.
    pub expires_ms: u64,
}

/// Grants that hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Grants {
    list: Vec<Grant>,
}

impl Grants {
    /// Adds a grant. The same question keeps one grant: the newer.
    pub fn add(&mut self, grant: Grant, now_ms: u64) {
        self.list.retain(|g| {
            g.expires_ms > now_ms
                && !(g.key == grant.key && g.scope == grant.scope && g.digest == grant.digest)
        });
        if self.list.len() >= MAX_GRANTS {
            self.list.remove(0);
        }
        self.list.push(grant);
    }

    /// Whether a question is answered already.
    #[must_use]
    pub fn covers(&self, key: &AskKey, digest: &str, now_ms: u64) -> bool {
        self.list.iter().any(|g| {
            g.expires_ms > now_ms && g.key == *key && (g.scope != Scope::Once || g.digest == digest)
        })
    }

    /// Uses up the grants for one call.
    pub fn spend(&mut self, digest: &str, now_ms: u64) {
        self.list
            .retain(|g| g.expires_ms > now_ms && !(g.scope == Scope::Once && g.digest == digest));
    }

    /// Takes a grant back. Returns whether there was one.
    pub fn revoke(&mut self, key: &AskKey) -> bool {
        let before = self.list.len();
        self.list.retain(|g| g.key != *key);
        self.list.len() != before
    }

    /// The grants, oldest first.
    #[must_use]
    pub fn list(&self) -> &[Grant] {
        &self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(target: &str) -> AskKey {
        AskKey {
            rule: "net.unlisted".into(),
            tool: "web_fetch".into(),
            agent: "main".into(),
            target: target.into(),
        }
    }

    fn grant(target: &str, scope: Scope, digest: &str, expires_ms: u64) -> Grant {
        Grant { key: key(target), scope, digest: digest.into(), expires_ms }
    }

    #[test]
    fn an_answer_for_once_is_used_up() {
        let mut grants = Grants::default();
        grants.add(grant("a.example", Scope::Once, "d1", 100), 0);
        assert!(!grants.covers(&key("a.example"), "d2", 1));
        assert!(grants.covers(&key("a.example"), "d1", 1));
        grants.spend("d1", 1);
        assert!(!grants.covers(&key("a.example"), "d1", 1));
    }

    #[derive(Debug, Clone)]
    enum Op {
        Add(u8, u8, u64),
        Spend(u8),
        Revoke(u8),
        Pass(u64),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (0..4u8, 0..3u8, 1..50u64).prop_map(|(t, s, e)| Op::Add(t, s, e)),
            (0..4u8).prop_map(Op::Spend),
            (0..4u8).prop_map(Op::Revoke),
            (0..20u64).prop_map(Op::Pass),
        ]
    }

    proptest! {
        /// Beside a naive model: a set of (target, scope, expiry) without any cleverness.
        #[test]
        fn grants_agree_with_a_naive_model(ops in proptest::collection::vec(op(), 0..60)) {
            let scopes = [Scope::Once, Scope::Session, Scope::Standing];
            let mut grants = Grants::default();
            let mut model: Vec<(u8, Scope, u64)> = Vec::new();
            let mut now = 0u64;
            for op in ops {
                match op {
                    Op::Add(t, s, e) => {
                        let scope = scopes[s as usize];
                        grants.add(grant(&t.to_string(), scope, &t.to_string(), now + e), now);
                        model.retain(|(mt, ms, _)| !(*mt == t && *ms == scope));
                        model.push((t, scope, now + e));
                    }
                    Op::Spend(t) => {
                        grants.spend(&t.to_string(), now);
                        model.retain(|(mt, ms, _)| !(*mt == t && *ms == Scope::Once));
                    }
                    Op::Revoke(t) => {
                        grants.revoke(&key(&t.to_string()));
                        model.retain(|(mt, _, _)| *mt != t);
                    }
                    Op::Pass(d) => now += d,
                }
                for t in 0..4u8 {
                    let expected = model.iter().any(|(mt, _, e)| *mt == t && *e > now);
                    prop_assert_eq!(grants.covers(&key(&t.to_string()), &t.to_string(), now), expected);
                }
            }
        }
    }
}
