//! Paused queues. A fetch whose every queue is paused is held as if its worker were marked; one that asks for others too
//! goes to the broker without the paused ones. What is at the broker already ends there, within a slice.
//!
//! A gate without pauses has no set, and all of this costs it one branch.

use super::RespGate;
use super::encode::encode;
use super::owed::{Fetch, Owed};
use super::pop::Pop;
use super::session::Transaction;
use crate::dialect::{self, Note, Request};
use crate::gate::{Action, Side};
use crate::job::{JobEvent, Millis, System};
use crate::queue::PausedQueues;
use crate::rare::Blank;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Queues that one connection is known to take from by what is not refused.
pub(super) const PASSED_MAX: usize = 64;

/// What is paused, as this gate knows it.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    /// `None`: nothing.
    set: Option<Arc<PausedQueues>>,
    number: u64,
    since: Millis,
    /// The pauses under which a fetch is still at the broker, as last told.
    open: BTreeSet<String>,
}

impl Blank for Pauses {
    const BLANK: &'static Pauses = &Pauses { set: None, number: 0, since: 0, open: BTreeSet::new() };
}

impl Pauses {
    pub(super) fn is_empty(&self) -> bool {
        self.set.is_none()
    }
}

impl Pop {
    /// The queues that it asks for, and whose they are if their names say so.
    pub(super) fn queues(&self) -> impl Iterator<Item = (String, System)> {
        self.keys().iter().map(|key| dialect::asked_queue(self.name(), key))
    }

    fn is_of(&self, key: &[u8], paused: &PausedQueues) -> bool {
        let (queue, system) = dialect::asked_queue(self.name(), key);
        paused.covers(&queue, system)
    }
}

impl RespGate {
    /// Whether a fetch must not go to the broker now.
    pub(super) fn refuses(&self, pop: &Pop) -> bool {
        self.marked || self.pauses.set.as_ref().is_some_and(|set| pop.keys().iter().all(|key| pop.is_of(key, set)))
    }

    /// The same of a request.
    pub(super) fn refuses_request(&self, request: &Request) -> bool {
        self.marked || self.pauses.set.as_ref().is_some_and(|set| set.covers(&request.queue, request.system))
    }

    /// Whether it asks for a paused queue, among others or not.
    pub(super) fn asks_paused(&self, pop: &Pop) -> bool {
        self.pauses.set.as_ref().is_some_and(|set| pop.keys().iter().any(|key| pop.is_of(key, set)))
    }

    /// Since when fetches are refused.
    pub(super) fn refused_since(&self) -> Millis {
        if self.marked { self.marked_at } else { self.pauses.since }
    }

    /// A fetch goes to the broker with the client's own time-out. True if it goes as it stands.
    pub(super) fn forward_fetch(&mut self, mut fetch: Fetch, out: &mut Vec<Action>) -> bool {
        let whole = !self.asks_paused(&fetch.pop);
        fetch.left_out.clone_from(&self.pauses.set);
        if !whole && let Some(set) = &self.pauses.set {
            let args = fetch.pop.without(fetch.pop.args().to_vec(), |key| fetch.pop.is_of(key, set));
            self.send(Side::Broker, encode(&args), out);
        }
        self.owed.push(Owed::Fetch(fetch));
        whole
    }

    /// A slice of a fetch that is not refused.
    pub(super) fn slice(&self, fetch: &mut Fetch, ms: Millis) -> Bytes {
        fetch.left_out.clone_from(&self.pauses.set);
        match &self.pauses.set {
            Some(set) if self.asks_paused(&fetch.pop) => {
                let args = fetch.pop.sliced(ms, self.whole_seconds);
                encode(&fetch.pop.without(args, |key| fetch.pop.is_of(key, set)))
            }
            _ => fetch.pop.slice(ms, self.whole_seconds),
        }
    }

    /// Told once of each queue: a pause of it has to say so.
    pub(super) fn passes_pause(&mut self, queues: &[String], why: &str, sure: bool, out: &mut Vec<Action>) {
        for queue in queues {
            if self.told.passed.len() < PASSED_MAX && self.told.passed.insert(queue.clone()) {
                let (queue, why) = (queue.clone(), why.to_owned());
                out.push(Action::Event(JobEvent::PassesPause { queue, why, sure }));
            }
        }
    }

    /// Another set of queues is paused from now on.
    pub(super) fn take_pauses(&mut self, now: Millis, paused: &Arc<PausedQueues>, out: &mut Vec<Action>) {
        let set = (!paused.is_empty()).then(|| Arc::clone(paused));
        *self.pauses = Pauses { set, number: paused.number(), since: now, open: BTreeSet::new() };
        self.pauses.open = self.open_pauses();
        self.tell_pauses(out);
    }

    /// What was at the broker when its queue was paused may have ended.
    pub(super) fn tell_pauses_if_fewer(&mut self, out: &mut Vec<Action>) {
        if self.pauses.open.is_empty() {
            return;
        }
        let open = self.open_pauses();
        if open.len() < self.pauses.open.len() {
            self.pauses.open = open;
            self.tell_pauses(out);
        }
    }

    fn tell_pauses(&self, out: &mut Vec<Action>) {
        let open = self.pauses.open.iter().map(|name| (name.clone(), None)).collect();
        out.push(Action::Event(JobEvent::PausesTaken { number: self.pauses.number, open }));
    }

    /// The pauses under which a fetch is still at the broker.
    fn open_pauses(&self) -> BTreeSet<String> {
        let Some(set) = &self.pauses.set else { return BTreeSet::new() };
        let queued = self.session.transaction.iter().flat_map(Transaction::notes);
        let confirmed = self.owed.noted().into_iter().flat_map(|noted| &noted.notes);
        let mut asked: Vec<(String, System)> = queued.chain(confirmed).filter_map(|(_, note)| fetched(note)).collect();
        for owed in self.owed.iter() {
            match owed {
                Owed::Noted(noted) => asked.extend(noted.notes.iter().filter_map(|(_, note)| fetched(note))),
                Owed::Request(of) if of.fetches => asked.push((of.request.queue.clone(), of.request.system)),
                Owed::Fetch(fetch) => {
                    let left_out = fetch.left_out.as_deref();
                    let sent =
                        |(queue, system): &(String, System)| !left_out.is_some_and(|set| set.covers(queue, *system));
                    asked.extend(fetch.pop.queues().filter(sent));
                }
                _ => {}
            }
        }
        asked.iter().flat_map(|(queue, system)| set.over(queue, *system)).map(str::to_owned).collect()
    }
}

/// The queue that a request within a transaction asks for.
fn fetched(note: &Note) -> Option<(String, System)> {
    match note {
        Note::Request { request, fetches: true } => Some((request.queue.clone(), request.system)),
        _ => None,
    }
}
