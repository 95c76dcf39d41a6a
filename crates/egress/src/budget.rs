//! How much one client may send, ask and reach in a time: the bound on what a destination that a
//! rule allows can be used for.
//!
//! A budget is counted in windows that begin with the first request, so across the edge of two of
//! them up to twice the numbers can pass. Time is an input.

use crate::host::Host;
use crate::identity::{Glob, Identity, Zone, any_matches};
use crate::refusal::{Cause, Refusal};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Most accounts that are kept. Those that come later share one: names of sessions come from the
/// gateway, which may be turned, and memory must not follow them.
const MAX_ACCOUNTS: usize = 4096;

/// Most destinations that a budget can allow: each one costs 16 bytes for each account.
pub const MAX_HOSTS: u64 = 65_536;

/// A budget as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Names it in refusals.
    pub name: String,
    /// Zones for which it is; empty is all. So for the three below.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<Zone>,
    /// Agent ids, globs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<Glob>,
    /// Session keys, globs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<Glob>,
    /// Channels, globs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<Glob>,
    /// Who shares one account.
    #[serde(default)]
    pub per: Per,
    /// Length of a window, in seconds; absent is an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_seconds: Option<u64>,
    /// Requests and tunnels; absent is the number for the client's zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Bytes that go out: heads, bodies and tunnels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_out: Option<u64>,
    /// Different destinations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<u64>,
}

/// Who shares one account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// All sessions and runs of an agent: a model that starts another session gets no other
    /// account. A client without an agent is counted by its session.
    #[default]
    Agent,
    /// All runs of a session.
    Session,
    /// Each run.
    Run,
}

/// The numbers that hold for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Length of a window.
    pub window: Duration,
    /// Requests and tunnels.
    pub requests: u64,
    /// Bytes that go out.
    pub bytes_out: u64,
    /// Different destinations.
    pub hosts: u64,
}

impl Bounds {
    /// What holds without a budget in the policy.
    #[must_use]
    pub fn of_zone(zone: Zone) -> Self {
        let window = Duration::from_secs(3600);
        match zone {
            // A build that fetches thousands of packages and a large push stay below.
            Zone::Run => Self { window, requests: 20_000, bytes_out: 4 << 30, hosts: 500 },
            // Every turn of a model sends its whole context again: a megabyte, a thousand times.
            Zone::Gateway => Self { window, requests: 100_000, bytes_out: 16 << 30, hosts: 2_000 },
            // Clients that Seawall did not start: anything from a shell to a build farm.
            Zone::Local => Self { window, requests: 50_000_000, bytes_out: 1 << 40, hosts: 20_000 },
        }
    }
}

/// What was spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Requests.
    Requests,
    /// Bytes.
    Bytes,
    /// Destinations.
    Hosts,
}

impl Budget {
    /// Whether it is for this client.
    #[must_use]
    pub fn applies(&self, identity: &Identity) -> bool {
        (self.zones.is_empty() || self.zones.contains(&identity.zone))
            && any_matches(&self.agents, identity.agent.as_deref())
            && any_matches(&self.sessions, identity.session.as_deref())
            && any_matches(&self.channels, identity.channel.as_deref())
    }

    fn bounds(&self, zone: Zone) -> Bounds {
        let base = Bounds::of_zone(zone);
        Bounds {
            window: self.window_seconds.map_or(base.window, Duration::from_secs),
            requests: self.requests.unwrap_or(base.requests),
            bytes_out: self.bytes_out.unwrap_or(base.bytes_out),
            hosts: self.hosts.unwrap_or(base.hosts),
        }
    }

    /// Checks it.
    ///
    /// # Errors
    /// With the field and what is wrong with it.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let named = !self.name.is_empty()
            && self.name.len() <= 64
            && !self.name.chars().any(char::is_control);
        if !named {
            return Err(("name", "must have 1 to 64 printable characters".into()));
        }
        for (field, value, max) in [
            ("window_seconds", self.window_seconds, 30 * 86_400),
            ("requests", self.requests, u64::MAX),
            ("bytes_out", self.bytes_out, u64::MAX),
            ("hosts", self.hosts, MAX_HOSTS),
        ] {
            if value.is_some_and(|value| value == 0 || value > max) {
                return Err((field, format!("must be between 1 and {max}")));
            }
        }
        Ok(())
    }
}

/// What is counted for one client in one window.
#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    requests: u64,
    bytes: u64,
    /// Hashes of hosts, keyed anew at each start.
    hosts: HashSet<u64>,
}

impl Window {
    fn turn(&mut self, now: Instant, length: Duration) {
        let over = self.began.is_none_or(|began| now.saturating_duration_since(began) >= length);
        if over {
            *self = Self { began: Some(now), ..Self::default() };
        }
    }

    fn admit(&mut self, now: Instant, bounds: Bounds, host: u64) -> Result<(), Over> {
        self.turn(now, bounds.window);
        if self.requests >= bounds.requests {
            return Err(Over::Requests);
        }
        if self.bytes >= bounds.bytes_out {
            return Err(Over::Bytes);
        }
        if !self.hosts.contains(&host) {
            if self.hosts.len() as u64 >= bounds.hosts {
                return Err(Over::Hosts);
            }
            self.hosts.insert(host);
        }
        self.requests += 1;
        Ok(())
    }

    fn spend(&mut self, now: Instant, bounds: Bounds, bytes: u64) -> Result<(), Over> {
        self.turn(now, bounds.window);
        let sum = self.bytes.saturating_add(bytes);
        if sum > bounds.bytes_out {
            // Nothing more fits, however small.
            self.bytes = bounds.bytes_out;
            return Err(Over::Bytes);
        }
        self.bytes = sum;
        Ok(())
    }
}

#[derive(Debug)]
struct Account {
    window: Mutex<Window>,
    /// The bounds of the policy at the last admission; a tunnel that is open meets new ones.
    bounds: Mutex<Bounds>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts what one connection sends. Cheap to copy around.
#[derive(Debug, Clone)]
pub struct Meter {
    account: Arc<Account>,
    budget: Arc<str>,
}

impl Meter {
    /// Counts bytes before they go out.
    ///
    /// # Errors
    /// When they do not fit into the budget any more.
    pub fn spend(&self, bytes: usize) -> Result<(), Over> {
        let bounds = *lock(&self.account.bounds);
        lock(&self.account.window).spend(Instant::now(), bounds, bytes as u64)
    }

    /// How it is told that a budget is spent.
    #[must_use]
    pub fn refusal(&self, identity: &Identity, over: Over) -> Refusal {
        let bounds = *lock(&self.account.bounds);
        refusal(&self.budget, bounds, identity, over)
    }
}

fn refusal(budget: &str, bounds: Bounds, identity: &Identity, over: Over) -> Refusal {
    let (field, number, what) = match over {
        Over::Requests => ("requests", bounds.requests, "requests"),
        Over::Bytes => ("bytes_out", bounds.bytes_out, "bytes out"),
        Over::Hosts => ("hosts", bounds.hosts, "different destinations"),
    };
    let seconds = bounds.window.as_secs();
    let why = format!("{identity} has spent its budget of {number} {what} in {seconds} s");
    let fix = if budget.is_empty() {
        let agents = match &identity.agent {
            Some(agent) => format!(", agents = [\"{agent}\"]"),
            None => String::new(),
        };
        let double = number.saturating_mul(2);
        format!("add a budget: [[budgets]] name = \"…\"{agents}, {field} = {double}")
    } else {
        format!("raise `{field}` of the budget `{budget}`")
    };
    Refusal::new(Cause::Budget, why).fix(fix)
}

/// A budget by its name, and whose account it is.
type Key = (Arc<str>, Identity);

/// All accounts.
#[derive(Debug, Default)]
pub struct Accounts {
    accounts: Mutex<HashMap<Key, Arc<Account>>>,
    hasher: RandomState,
}

impl Accounts {
    /// Counts one request or tunnel to a host, by the first budget that is for the client.
    ///
    /// # Errors
    /// When its budget is spent.
    pub fn admit(
        &self,
        budgets: &[Budget],
        identity: &Identity,
        host: &Host,
        now: Instant,
    ) -> Result<Meter, Refusal> {
        let budget = budgets.iter().find(|budget| budget.applies(identity));
        let bounds = budget
            .map_or_else(|| Bounds::of_zone(identity.zone), |budget| budget.bounds(identity.zone));
        let per = budget.map(|budget| budget.per).unwrap_or_default();
        let name: Arc<str> = Arc::from(budget.map_or("", |budget| budget.name.as_str()));
        let account = self.account((Arc::clone(&name), holder(identity, per)), bounds, now);
        *lock(&account.bounds) = bounds;
        let host = self.hasher.hash_one(host);
        let admitted = lock(&account.window).admit(now, bounds, host);
        match admitted {
            Ok(()) => Ok(Meter { account, budget: name }),
            Err(over) => Err(refusal(&name, bounds, identity, over)),
        }
    }

    fn account(&self, key: Key, bounds: Bounds, now: Instant) -> Arc<Account> {
        let mut accounts = lock(&self.accounts);
        if let Some(account) = accounts.get(&key) {
            return Arc::clone(account);
        }
        let mut key = key;
        if accounts.len() >= MAX_ACCOUNTS {
            // An account whose window is over says nothing any more.
            accounts.retain(|_, account| {
                let length = lock(&account.bounds).window;
                lock(&account.window)
                    .began
                    .is_some_and(|began| now.saturating_duration_since(began) < length)
            });
            if accounts.len() >= MAX_ACCOUNTS {
                // One for all that are too many, in each zone: a turned gateway that names
                // sessions without end gains no budget by it.
                key = (key.0, Identity { zone: key.1.zone, ..Identity::default() });
            }
        }
        let make = || Arc::new(Account { window: Mutex::default(), bounds: Mutex::new(bounds) });
        Arc::clone(accounts.entry(key).or_insert_with(make))
    }
}

/// Whose account it is.
fn holder(identity: &Identity, per: Per) -> Identity {
    let mut holder = identity.clone();
    match per {
        Per::Agent if holder.agent.is_some() => {
            holder.session = None;
            holder.channel = None;
            holder.run = None;
        }
        Per::Agent | Per::Session => holder.run = None,
        Per::Run => {}
    }
    holder
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn host(n: usize) -> Host {
        Host::parse(&format!("h{n}.test")).unwrap()
    }

    fn run(agent: &str, session: &str, run: &str) -> Identity {
        Identity {
            zone: Zone::Run,
            agent: Some(agent.into()),
            session: Some(session.into()),
            channel: None,
            run: Some(run.into()),
            only: None,
        }
    }

    fn budget(text: &str) -> Vec<Budget> {
        crate::EgressPolicy::from_toml(&format!("[[budgets]]\nname = \"b\"\n{text}"))
            .unwrap()
            .budgets
    }

    #[test]
    fn each_number_ends_what_it_counts_and_the_next_window_begins_anew() {
        let budgets = budget("requests = 3\nhosts = 2\nbytes_out = 10\nwindow_seconds = 60\n");
        let accounts = Accounts::default();
        let who = run("main", "s", "r");
        let start = Instant::now();
        let admit = |n, at| accounts.admit(&budgets, &who, &host(n), start + at);
        let second = Duration::from_secs(1);
        let meter = admit(1, Duration::ZERO).unwrap();
        assert!(admit(2, Duration::ZERO).is_ok());
        let refusal = admit(3, second).unwrap_err();
        assert!(refusal.why.contains("2 different destinations"), "{refusal:?}");
        assert!(admit(1, second).is_ok());
        let refusal = admit(1, second).unwrap_err();
        assert_eq!(refusal.cause, Cause::Budget);
        insta::assert_snapshot!(refusal.text(), @r"
        Seawall refused this connection: a tool run, agent `main`, session `s`, run `r` has spent its budget of 3 requests in 60 s
        To change it (operator): raise `requests` of the budget `b`
        ");
        assert!(admit(3, 60 * second).is_ok());
        assert_eq!(meter.spend(10), Ok(()));
        assert_eq!(meter.spend(1), Err(Over::Bytes));
        assert!(admit(3, 61 * second).unwrap_err().why.contains("10 bytes out"));
    }

    #[test]
    fn another_session_or_run_is_no_other_account_unless_the_budget_says_so() {
        let now = Instant::now();
        for (per, by_session, by_run) in
            [("agent", false, false), ("session", true, false), ("run", true, true)]
        {
            let budgets = budget(&format!("requests = 1\nper = \"{per}\"\n"));
            let accounts = Accounts::default();
            let admit = |who: Identity| accounts.admit(&budgets, &who, &host(1), now).is_ok();
            assert!(admit(run("main", "s", "r")));
            assert_eq!(admit(run("main", "s", "r2")), by_run, "{per}");
            assert_eq!(admit(run("main", "s2", "r")), by_session, "{per}");
            assert!(admit(run("other", "s", "r")), "{per}");
        }
    }

    #[test]
    fn accounts_are_bounded_and_those_beyond_share_one() {
        let budgets = budget("requests = 1\nper = \"run\"\nwindow_seconds = 60\n");
        let accounts = Accounts::default();
        let now = Instant::now();
        let admit = |n: usize, now| {
            accounts.admit(&budgets, &run("main", "s", &n.to_string()), &host(1), now).is_ok()
        };
        assert!((0..MAX_ACCOUNTS).all(|n| admit(n, now)));
        let late = (0..100).filter(|n| admit(MAX_ACCOUNTS + n, now)).count();
        assert_eq!(late, 1);
        assert!(lock(&accounts.accounts).len() <= MAX_ACCOUNTS + 1);
        // When the windows are over, there is room again.
        assert!(admit(MAX_ACCOUNTS + 200, now + Duration::from_secs(61)));
        assert!(lock(&accounts.accounts).len() < 10);
    }

    proptest! {
        /// Beside a naive count.
        #[test]
        fn no_order_of_requests_and_bytes_gets_more_out(steps in proptest::collection::vec((0u64..40, 0usize..6, any::<bool>()), 0..80)) {
            let bounds = Bounds { window: Duration::from_secs(1), requests: 10, bytes_out: 100, hosts: 3 };
            let mut window = Window::default();
            let now = Instant::now();
            let (mut requests, mut bytes, mut hosts) = (0, 0, HashSet::new());
            for (n, host, is_request) in steps {
                if is_request {
                    if window.admit(now, bounds, host as u64).is_ok() {
                        requests += 1;
                        hosts.insert(host);
                    }
                } else if window.spend(now, bounds, n).is_ok() {
                    bytes += n;
                }
            }
            prop_assert!(requests <= 10 && bytes <= 100 && hosts.len() <= 3);
        }
    }
}
