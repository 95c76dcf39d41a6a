//! Places for connections, so that strangers never take those of clients with a token, and no client
//! takes them all.
//!
//! A connection without a token has no right to its place: when there are more of them than fit, the
//! oldest one of the source that has the most is closed. A client that shows its token at once keeps its
//! place, however many others come and wait.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The places of a door.
pub(crate) struct Places {
    state: Mutex<State>,
    most_waiting: usize,
    most_known: usize,
    most_of_one: usize,
}

#[derive(Default)]
struct State {
    next: u64,
    waiting: BTreeMap<u64, (IpAddr, watch::Sender<bool>)>,
    known: usize,
    of_one: HashMap<String, usize>,
    turned_away: u64,
}

/// The place of one connection, for as long as anything of it lives.
pub(crate) struct Place {
    places: Arc<Places>,
    id: u64,
    gone: watch::Receiver<bool>,
    token: Mutex<Option<String>>,
}

impl Places {
    /// `most_known` with a token at a time, `most_waiting` without one yet.
    pub(crate) fn new(most_known: usize, most_waiting: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            most_waiting: most_waiting.max(1),
            most_known,
            // The half: whoever has one token can't shut the door to the others.
            most_of_one: most_known.div_ceil(2),
        })
    }

    /// A place for a connection that has not shown a token.
    pub(crate) fn enter(self: &Arc<Self>, source: IpAddr) -> Arc<Place> {
        let mut state = self.state();
        while state.waiting.len() >= self.most_waiting {
            let Some(oldest) = state.most_crowded() else { break };
            if let Some((_, gone)) = state.waiting.remove(&oldest) {
                gone.send_replace(true);
                state.turned_away += 1;
            }
        }
        let id = state.next;
        state.next += 1;
        let (end, gone) = watch::channel(false);
        state.waiting.insert(id, (source, end));
        drop(state);
        Arc::new(Place { places: Arc::clone(self), id, gone, token: Mutex::default() })
    }

    /// Connections that were closed for want of a place since this was asked last.
    pub(crate) fn turned_away(&self) -> u64 {
        std::mem::take(&mut self.state().turned_away)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The oldest connection of the source that has the most.
    fn most_crowded(&self) -> Option<u64> {
        let mut sources: HashMap<IpAddr, (usize, u64)> = HashMap::new();
        for (id, (source, _)) in &self.waiting {
            sources.entry(*source).or_insert((0, *id)).0 += 1;
        }
        sources
            .into_values()
            .max_by_key(|(count, oldest)| (*count, std::cmp::Reverse(*oldest)))
            .map(|(_, oldest)| oldest)
    }
}

impl Place {
    /// The connection showed this token. False when there is no place for it.
    pub(crate) fn known(&self, name: &str) -> bool {
        let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        if token.is_some() {
            return true;
        }
        let mut state = self.places.state();
        let of_one = state.of_one.get(name).copied().unwrap_or_default();
        if state.known >= self.places.most_known || of_one >= self.places.most_of_one {
            state.turned_away += 1;
            return false;
        }
        // Closed for another one's sake between two reads.
        if state.waiting.remove(&self.id).is_none() {
            return false;
        }
        state.known += 1;
        state.of_one.insert(name.to_owned(), of_one + 1);
        *token = Some(name.to_owned());
        true
    }

    /// Returns when the place was given to somebody else; never once a token was shown.
    pub(crate) async fn gone(&self) {
        let mut gone = self.gone.clone();
        if gone.wait_for(|gone| *gone).await.is_err() {
            // Dropped without a word: it is a client's that is known.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let token = self.token.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let mut state = self.places.state();
        state.waiting.remove(&self.id);
        let Some(name) = token else { return };
        state.known = state.known.saturating_sub(1);
        match state.of_one.get_mut(&name) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(state.of_one.remove(&name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn closed(place: &Place) -> bool {
        *place.gone.borrow()
    }

    #[test]
    fn the_oldest_of_the_largest_crowd_goes_first() {
        let places = Places::new(4, 3);
        let alone = places.enter(ip("192.0.2.1"));
        let crowd: Vec<_> = (0..3).map(|_| places.enter(ip("192.0.2.2"))).collect();
        assert!(!closed(&alone) && closed(&crowd[0]) && !closed(&crowd[1]));
        assert!(!crowd[0].known("late"));
        assert!(alone.known("owner"));
        for _ in 0..100 {
            places.enter(ip("192.0.2.1"));
        }
        assert!(!closed(&alone));
        assert!(places.turned_away() >= 1);
        assert_eq!(places.turned_away(), 0);
    }

    #[test]
    fn one_token_takes_half_of_the_places_and_gives_them_back() {
        let places = Places::new(4, 8);
        let enter = |name: &str| {
            let place = places.enter(ip("192.0.2.1"));
            (place.known(name), place)
        };
        let greedy: Vec<_> = (0..4).map(|_| enter("viewer")).collect();
        assert_eq!(greedy.iter().filter(|(in_, _)| *in_).count(), 2);
        let owner = (enter("owner"), enter("owner"));
        assert!(owner.0.0 && owner.1.0);
        assert!(!enter("third").0, "all are taken");
        drop(greedy);
        assert!(enter("third").0);
        drop(owner);
        let state = places.state();
        assert_eq!((state.known, state.of_one.len(), state.waiting.len()), (0, 0, 0));
    }
}
