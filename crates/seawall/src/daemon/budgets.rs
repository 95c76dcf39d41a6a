//! What agents and senders used up, over all their sessions.

use super::sessions::Sessions;
use seawall_model::Origin;
use seawall_policy::budget::{Counters, Shared};
use std::collections::HashMap;

/// Most agents and senders that are counted. The one that was quiet for longest goes first.
const MAX_COUNTED: usize = 4096;

/// How often what one used is written, at most. A guard that is killed forgets this much.
const WRITE_EVERY_MS: u64 = 10_000;

#[derive(Default)]
struct Counted {
    counters: Counters,
    used_ms: u64,
    written_ms: u64,
}

/// See the module.
#[derive(Default)]
pub(super) struct Budgets(HashMap<String, Counted>);

impl Budgets {
    /// What was written down.
    pub(super) fn open(kept: &Sessions) -> Result<Self, String> {
        let counted = |counters| Counted { counters, ..Counted::default() };
        Ok(Self(kept.budgets()?.into_iter().map(|(name, c)| (name, counted(c))).collect()))
    }

    /// Counters for a decision about a call of this origin.
    pub(super) fn lend(&self, origin: &Origin) -> Shared {
        let find = |name: &str| self.0.get(name).map(|c| c.counters.clone()).unwrap_or_default();
        Shared { agent: find(&agent(origin)), sender: sender(origin).map(|name| find(&name)) }
    }

    /// Takes them back.
    pub(super) fn take_back(
        &mut self,
        origin: &Origin,
        shared: Shared,
        kept: &Sessions,
        now_ms: u64,
    ) {
        self.put(agent(origin), shared.agent, kept, now_ms);
        if let (Some(name), Some(counters)) = (sender(origin), shared.sender) {
            self.put(name, counters, kept, now_ms);
        }
    }

    fn put(&mut self, name: String, counters: Counters, kept: &Sessions, now_ms: u64) {
        if self.0.get(&name).is_some_and(|old| old.counters == counters) {
            return;
        }
        if self.0.len() >= MAX_COUNTED && !self.0.contains_key(&name) {
            let quiet = self.0.iter().min_by_key(|(_, c)| c.used_ms).map(|(name, _)| name.clone());
            if let Some(quiet) = quiet {
                self.0.remove(&quiet);
                super::engine::remember(kept.set_budget(&quiet, None));
            }
        }
        let counted = self.0.entry(name.clone()).or_default();
        (counted.counters, counted.used_ms) = (counters, now_ms);
        if counted.written_ms.saturating_add(WRITE_EVERY_MS) <= now_ms {
            counted.written_ms = now_ms;
            super::engine::remember(kept.set_budget(&name, Some(&counted.counters)));
        }
    }

    /// Writes everything: at the guard's end.
    pub(super) fn close(&self, kept: &Sessions) {
        for (name, counted) in &self.0 {
            super::engine::remember(kept.set_budget(name, Some(&counted.counters)));
        }
    }
}

fn agent(origin: &Origin) -> String {
    format!("agent {}", origin.agent_id)
}

/// The sender as policies name them. Nobody by name is no sender: the session's own limit counts.
fn sender(origin: &Origin) -> Option<String> {
    let who = origin.requester.as_ref()?;
    let id = who.sender_id.as_deref().filter(|id| !id.is_empty())?;
    Some(format!("sender {}:{id}", who.channel.as_deref().unwrap_or_default()))
}
