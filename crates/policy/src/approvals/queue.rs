//! Questions that wait for the operator, and the answers that hold: a pure state machine, which
//! the daemon keeps on disk.

use super::{AskKey, Grant, Grants, Scope};
use serde::{Deserialize, Serialize};

/// Most questions that wait. When it is full a question is a no at once: dropping an older one
/// would let a busy session push out what others asked.
pub const MAX_WAITING: usize = 256;
/// Most of them from one session, so that one cannot fill the queue.
pub const MAX_PER_SESSION: usize = 16;
/// Most answers that hold. An operator who needs more needs a rule.
pub const MAX_GIVEN: usize = 512;
/// How long a question waits.
pub const WAITS_MS: u64 = 24 * 3_600_000;
/// How long a no holds against the same question of the same session.
pub const REFUSED_MS: u64 = 3_600_000;
/// Longest life of a standing answer. What should hold for longer is a rule.
pub const MAX_STANDING_MS: u64 = 90 * 24 * 3_600_000;
/// How long an answer for once or for a session holds when nothing is said.
pub const DEFAULT_MS: u64 = 24 * 3_600_000;
/// Most letters kept of a text that is shown.
const MAX_TEXT: usize = 6000;

/// A call about which a person has to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What is asked.
    pub keys: Vec<AskKey>,
    /// Session that asks.
    pub session: String,
    /// Tool of the call.
    pub tool: String,
    /// Digest of tool and arguments.
    pub digest: String,
    /// Why it is asked, for people.
    pub why: String,
    /// The call, for people.
    pub call: String,
}

/// A question that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Number by which it is answered.
    pub id: u64,
    /// What is asked.
    pub keys: Vec<AskKey>,
    /// Session that asks.
    pub session: String,
    /// Tool of the call.
    pub tool: String,
    /// Digest of tool and arguments.
    pub digest: String,
    /// Why it is asked.
    pub why: String,
    /// The call, as far as it may be shown.
    #[serde(default)]
    pub call: String,
    /// How often it was asked.
    pub times: u64,
    /// First asked, Unix time in milliseconds.
    pub first_ms: u64,
    /// Last asked.
    pub last_ms: u64,
    /// Gone after this.
    pub expires_ms: u64,
    /// The operator said no; it is kept so that it is not asked again at once.
    #[serde(default)]
    pub refused: bool,
}

/// An answer that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// Number of the question, by which it is taken back.
    pub id: u64,
    /// What it answers.
    pub keys: Vec<AskKey>,
    /// How far it reaches.
    pub scope: Scope,
    /// Sessions in which it holds: a key, or the beginning of one with `*` at its end.
    pub sessions: String,
    /// Digest of the call, for [`Scope::Once`].
    pub digest: String,
    /// Why it was asked.
    pub why: String,
    /// When the operator said yes.
    pub made_ms: u64,
    /// Void after this.
    pub expires_ms: u64,
    /// How many calls it allowed.
    pub uses: u64,
}

impl Given {
    fn holds_in(&self, session: &str) -> bool {
        // Only what the operator wrote is a pattern: the key of a session may end in a star.
        match self.sessions.strip_suffix('*').filter(|_| self.scope == Scope::Standing) {
            Some(begin) => session.starts_with(begin),
            None => self.sessions == session,
        }
    }
}

/// What becomes of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It waits under this number, for the first time.
    New(u64),
    /// It waits already.
    Again(u64),
    /// The operator said no a while ago.
    Refused(u64),
    /// There is no room.
    Full,
}

/// How the operator says yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Yes {
    /// How far it reaches.
    pub scope: Scope,
    /// For how long, in milliseconds.
    pub for_ms: Option<u64>,
    /// Sessions, for [`Scope::Standing`]; without it every session of the agent.
    pub sessions: Option<String>,
}

/// Questions and answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    #[serde(default)]
    last: u64,
    #[serde(default)]
    waiting: Vec<Waiting>,
    #[serde(default)]
    given: Vec<Given>,
}

impl Queue {
    /// Takes a question in. The same question about the same call counts once.
    pub fn ask(&mut self, question: Question, now_ms: u64) -> Asked {
        let same = |w: &&mut Waiting| w.session == question.session && w.keys == question.keys;
        if let Some(no) = self.waiting.iter_mut().filter(same).find(|w| w.refused) {
            no.last_ms = now_ms;
            return Asked::Refused(no.id);
        }
        if let Some(old) =
            self.waiting.iter_mut().filter(same).find(|w| w.digest == question.digest)
        {
            old.times = old.times.saturating_add(1);
            old.last_ms = now_ms;
            return Asked::Again(old.id);
        }
        let open = |w: &&Waiting| !w.refused;
        let of_session = |w: &&Waiting| w.session == question.session;
        if self.waiting.len() >= MAX_WAITING
            || self.waiting.iter().filter(open).filter(of_session).count() >= MAX_PER_SESSION
            || question.keys.is_empty()
        {
            return Asked::Full;
        }
        self.last = self.last.saturating_add(1);
        self.waiting.push(Waiting {
            id: self.last,
            keys: question.keys,
            session: question.session,
            tool: question.tool,
            digest: question.digest,
            why: question.why.chars().take(MAX_TEXT).collect(),
            call: question.call.chars().take(MAX_TEXT).collect(),
            times: 1,
            first_ms: now_ms,
            last_ms: now_ms,
            expires_ms: now_ms.saturating_add(WAITS_MS),
            refused: false,
        });
        Asked::New(self.last)
    }

    /// The operator says yes.
    ///
    /// # Errors
    /// When no such question waits, or the answer reaches too far.
    pub fn allow(&mut self, id: u64, yes: &Yes, now_ms: u64) -> Result<Given, String> {
        let found = self.open(id, now_ms)?;
        let for_ms = match (yes.scope, yes.for_ms) {
            (Scope::Standing, None) => {
                return Err("a standing answer needs an end: --for 7d".into());
            }
            (_, Some(ms)) if ms > MAX_STANDING_MS => {
                return Err(format!(
                    "at most {} days; what should hold for longer is a rule of the policy",
                    MAX_STANDING_MS / 86_400_000
                ));
            }
            (_, Some(0)) => return Err("an answer needs some time to hold".into()),
            (_, ms) => ms.unwrap_or(DEFAULT_MS),
        };
        let sessions = match (yes.scope, &yes.sessions) {
            (Scope::Standing, Some(pattern)) => pattern.clone(),
            (Scope::Standing, None) => "*".into(),
            (_, Some(_)) => return Err("only a standing answer names sessions".into()),
            (_, None) => found.session.clone(),
        };
        if self.given.len() >= MAX_GIVEN {
            return Err(format!("{MAX_GIVEN} answers hold already; take some back first"));
        }
        let given = Given {
            id,
            keys: found.keys,
            scope: yes.scope,
            sessions,
            digest: found.digest,
            why: found.why,
            made_ms: now_ms,
            expires_ms: now_ms.saturating_add(for_ms),
            uses: 0,
        };
        self.waiting.retain(|w| w.id != id);
        self.given.push(given.clone());
        Ok(given)
    }

    /// The operator says no.
    ///
    /// # Errors
    /// When no such question waits.
    pub fn deny(&mut self, id: u64, now_ms: u64) -> Result<Waiting, String> {
        self.open(id, now_ms)?;
        let at = self.waiting.iter_mut().find(|w| w.id == id).ok_or("no such question waits")?;
        at.refused = true;
        at.expires_ms = now_ms.saturating_add(REFUSED_MS);
        Ok(at.clone())
    }

    /// Takes an answer back, be it a yes or a no.
    ///
    /// # Errors
    /// When no such answer holds.
    pub fn revoke(&mut self, id: u64) -> Result<(), String> {
        let before = self.given.len() + self.waiting.len();
        self.given.retain(|g| g.id != id);
        self.waiting.retain(|w| !(w.id == id && w.refused));
        if self.given.len() + self.waiting.len() == before {
            return Err(format!("no answer {id} holds; see `seawall approvals list`"));
        }
        Ok(())
    }

    fn open(&self, id: u64, now_ms: u64) -> Result<Waiting, String> {
        self.waiting
            .iter()
            .find(|w| w.id == id && !w.refused && w.expires_ms > now_ms)
            .cloned()
            .ok_or_else(|| format!("no question {id} waits; see `seawall approvals list`"))
    }

    /// The answers that hold in a session, for [`crate::SessionState::given`].
    #[must_use]
    pub fn grants(&self, session: &str, now_ms: u64) -> Grants {
        let mut grants = Grants::default();
        for given in self.given.iter().filter(|g| g.expires_ms > now_ms && g.holds_in(session)) {
            for key in &given.keys {
                let (scope, digest) = (given.scope, given.digest.clone());
                let expires_ms = given.expires_ms;
                grants.add(Grant { key: key.clone(), scope, digest, expires_ms }, now_ms);
            }
        }
        grants
    }

    /// Counts the answers on which a call was allowed, and uses up those for once. Returns their
    /// numbers.
    pub fn used(&mut self, session: &str, keys: &[AskKey], digest: &str, now_ms: u64) -> Vec<u64> {
        let mut ids = Vec::new();
        for given in &mut self.given {
            let counts = given.expires_ms > now_ms
                && given.holds_in(session)
                && (given.scope != Scope::Once || given.digest == digest)
                && given.keys.iter().any(|key| keys.contains(key));
            if counts {
                given.uses = given.uses.saturating_add(1);
                ids.push(given.id);
            }
        }
        self.given.retain(|g| !(g.scope == Scope::Once && ids.contains(&g.id)));
        ids
    }

    /// Forgets what has expired. Returns the questions that nobody answered.
    pub fn expire(&mut self, now_ms: u64) -> Vec<Waiting> {
        let mut gone = Vec::new();
        self.waiting.retain(|w| {
            let stays = w.expires_ms > now_ms;
            if !stays && !w.refused {
                gone.push(w.clone());
            }
            stays
        });
        self.given.retain(|g| g.expires_ms > now_ms);
        gone
    }

    /// Whether [`Queue::expire`] would change anything.
    #[must_use]
    pub fn has_expired(&self, now_ms: u64) -> bool {
        self.waiting.iter().any(|w| w.expires_ms <= now_ms)
            || self.given.iter().any(|g| g.expires_ms <= now_ms)
    }

    /// Questions, oldest first; those that were answered with no among them.
    #[must_use]
    pub fn waiting(&self) -> &[Waiting] {
        &self.waiting
    }

    /// Answers that hold, oldest first.
    #[must_use]
    pub fn given(&self) -> &[Given] {
        &self.given
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn question(session: &str, target: &str, digest: &str) -> Question {
        Question {
            keys: vec![AskKey {
                rule: "net.unlisted".into(),
                tool: "web_fetch".into(),
                agent: "main".into(),
                target: target.into(),
            }],
            session: session.into(),
            tool: "web_fetch".into(),
            digest: digest.into(),
            why: "because".into(),
            call: "Call: web_fetch".into(),
        }
    }

    fn yes(scope: Scope) -> Yes {
        Yes { scope, for_ms: Some(1000), sessions: None }
    }

    fn covers(queue: &Queue, asked: &Question, now: u64) -> bool {
        let grants = queue.grants(&asked.session, now);
        asked.keys.iter().all(|key| grants.covers(key, &asked.digest, now))
    }

    #[test]
    fn the_same_question_waits_once_and_another_call_is_another_question() {
        let mut queue = Queue::default();
        assert_eq!(queue.ask(question("a", "x", "1"), 0), Asked::New(1));
        assert_eq!(queue.ask(question("a", "x", "1"), 5), Asked::Again(1));
        assert_eq!(queue.ask(question("a", "x", "2"), 6), Asked::New(2));
        assert_eq!(queue.ask(question("b", "x", "1"), 7), Asked::New(3));
        assert_eq!((queue.waiting()[0].times, queue.waiting()[0].last_ms), (2, 5));
    }

    #[test]
    fn each_scope_reaches_as_far_as_it_says_and_no_further() {
        let call = question("a", "x", "1");
        for (scope, other_call, other_session, twice) in [
            (Scope::Once, false, false, false),
            (Scope::Session, true, false, true),
            (Scope::Standing, true, true, true),
        ] {
            let mut queue = Queue::default();
            queue.ask(call.clone(), 0);
            assert!(!covers(&queue, &call, 1), "nobody answered");
            queue.allow(1, &yes(scope), 1).unwrap();
            assert!(covers(&queue, &call, 2));
            assert_eq!(covers(&queue, &question("a", "x", "2"), 2), other_call);
            assert_eq!(covers(&queue, &question("b", "x", "1"), 2), other_session);
            assert!(!covers(&queue, &question("a", "y", "1"), 2), "another target");
            assert_eq!(queue.used("a", &call.keys, "1", 2), [1]);
            assert_eq!(covers(&queue, &call, 3), twice);
            assert!(!covers(&queue, &call, 1001), "it has expired");
        }
    }

    #[test]
    fn a_standing_answer_has_an_end_and_sessions() {
        let mut queue = Queue::default();
        queue.ask(question("agent:main:cron:j:1", "x", "1"), 0);
        let standing = |for_ms| Yes {
            scope: Scope::Standing,
            for_ms,
            sessions: Some("agent:main:cron:j:*".into()),
        };
        assert!(queue.allow(1, &standing(None), 0).is_err());
        assert!(queue.allow(1, &standing(Some(MAX_STANDING_MS + 1)), 0).is_err());
        assert!(queue.allow(1, &standing(Some(0)), 0).is_err());
        let once = Yes { scope: Scope::Once, ..standing(Some(5)) };
        assert!(queue.allow(1, &once, 0).is_err());
        queue.allow(1, &standing(Some(5)), 0).unwrap();
        assert!(covers(&queue, &question("agent:main:cron:j:2", "x", "9"), 1));
        assert!(!covers(&queue, &question("agent:main:cron:k:2", "x", "9"), 1));
        queue.revoke(1).unwrap();
        assert!(!covers(&queue, &question("agent:main:cron:j:2", "x", "9"), 1));
        assert!(queue.revoke(1).is_err());
    }

    #[test]
    fn the_key_of_a_session_is_no_pattern() {
        let mut queue = Queue::default();
        queue.ask(question("agent:*", "x", "1"), 0);
        queue.allow(1, &yes(Scope::Session), 0).unwrap();
        assert!(covers(&queue, &question("agent:*", "x", "1"), 1));
        assert!(!covers(&queue, &question("agent:main", "x", "1"), 1));
    }

    #[test]
    fn a_no_holds_for_a_while_against_every_call_with_that_question() {
        let mut queue = Queue::default();
        queue.ask(question("a", "x", "1"), 0);
        queue.deny(1, 0).unwrap();
        assert_eq!(queue.ask(question("a", "x", "2"), 1), Asked::Refused(1));
        assert!(queue.allow(1, &yes(Scope::Once), 1).is_err(), "it was answered");
        assert_eq!(queue.expire(REFUSED_MS), []);
        assert_eq!(queue.ask(question("a", "x", "2"), REFUSED_MS), Asked::New(2));
    }

    #[test]
    fn one_session_cannot_fill_the_queue_and_a_full_one_drops_nobody() {
        let mut queue = Queue::default();
        for n in 0..MAX_PER_SESSION {
            let asked = queue.ask(question("a", &n.to_string(), "1"), 0);
            assert!(matches!(asked, Asked::New(_)));
        }
        assert_eq!(queue.ask(question("a", "more", "1"), 0), Asked::Full);
        for n in 0..MAX_WAITING * 2 {
            queue.ask(question(&n.to_string(), "x", "1"), 0);
        }
        assert_eq!(queue.waiting().len(), MAX_WAITING);
        assert_eq!(queue.waiting()[0].id, 1);
        assert_eq!(queue.expire(WAITS_MS).len(), MAX_WAITING);
    }

    proptest! {
        /// Whatever happens, what is covered was allowed by the operator, and has not expired.
        #[test]
        fn nothing_is_covered_that_nobody_allowed(
            ops in proptest::collection::vec((0..5u8, 0..3u8, 0..3u8, 0..2u8, 1..40u64), 0..60)
        ) {
            let scopes = [Scope::Once, Scope::Session, Scope::Standing];
            let mut queue = Queue::default();
            // (id, session, target, digest, scope, until)
            let mut model: Vec<(u64, u8, u8, u8, Scope, u64)> = Vec::new();
            let mut now = 0;
            for (op, a, b, digest, time) in ops {
                let of = |a: u8, b: u8, d: u8| question(&a.to_string(), &b.to_string(), &d.to_string());
                match op {
                    0 | 1 => {
                        if let Asked::New(id) | Asked::Again(id) = queue.ask(of(a, b, digest), now)
                            && op == 1
                        {
                            let scope = scopes[usize::from(time % 3 == 0) + usize::from(time % 2 == 0)];
                            let said = Yes { scope, for_ms: Some(time), sessions: None };
                            if queue.allow(id, &said, now).is_ok() {
                                model.push((id, a, b, digest, scope, now + time));
                            }
                        }
                    }
                    2 => {
                        let call = of(a, b, digest);
                        let ids = queue.used(&call.session, &call.keys, &call.digest, now);
                        model.retain(|m| !(m.4 == Scope::Once && ids.contains(&m.0)));
                    }
                    3 => {
                        if let Some(id) = queue.given().first().map(|g| g.id) {
                            queue.revoke(id).unwrap();
                            model.retain(|m| m.0 != id);
                        }
                    }
                    _ => {
                        now += time;
                        queue.expire(now);
                    }
                }
                for (s, t, d) in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (2, 2, 1)] {
                    let expected = model.iter().any(|m| m.5 > now && m.2 == t && match m.4 {
                        Scope::Once => m.1 == s && m.3 == d,
                        Scope::Session => m.1 == s,
                        Scope::Standing => true,
                    });
                    prop_assert_eq!(covers(&queue, &of(s, t, d), now), expected);
                }
            }
        }
    }
}
