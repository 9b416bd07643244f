//! What is counted of a connection's fetches, and what those of all its connections come to for a worker.

use super::conn::Conn;
use crate::job::{Millis, Place};
use std::collections::VecDeque;

/// Outstanding fetches. Only blocking ones say something about idle threads; all of them stand in the way of a seal
/// while the broker has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fetches {
    broker: u32,
    /// Of those at the broker: nobody waits for them any more.
    orphans: u32,
    held: u32,
    broker_polls: u32,
    held_polls: u32,
}

impl Fetches {
    /// A fetch was asked.
    pub(super) fn add(&mut self, place: Place, blocking: bool) {
        *self.slot(place, blocking) += 1;
    }

    /// A fetch ended. Saturates: a gate that ends what it never asked must not wrap a counter.
    pub(super) fn sub(&mut self, place: Place, blocking: bool) {
        let slot = self.slot(place, blocking);
        *slot = slot.saturating_sub(1);
        self.orphans = self.orphans.min(self.broker);
    }

    /// The client of these has gone. Returns how many more of them nobody waits for.
    pub(super) fn orphan(&mut self) -> u32 {
        self.broker - std::mem::replace(&mut self.orphans, self.broker)
    }

    /// So many more are not waited for.
    pub(super) fn add_orphans(&mut self, number: u32) {
        self.orphans = (self.orphans + number).min(self.broker);
    }

    /// Whether a fetch of that kind is outstanding there.
    pub(super) fn has(&self, place: Place, blocking: bool) -> bool {
        match (place, blocking) {
            (Place::Broker, true) => self.broker > 0,
            (Place::Gate, true) => self.held > 0,
            (Place::Broker, false) => self.broker_polls > 0,
            (Place::Gate, false) => self.held_polls > 0,
        }
    }

    /// A connection's fetches join its worker's.
    pub(super) fn join(&mut self, other: Fetches) {
        self.broker += other.broker;
        self.orphans += other.orphans;
        self.held += other.held;
        self.broker_polls += other.broker_polls;
        self.held_polls += other.held_polls;
    }

    /// A connection's fetches leave its worker's.
    pub(super) fn leave(&mut self, other: Fetches) {
        self.broker = self.broker.saturating_sub(other.broker);
        self.orphans = self.orphans.saturating_sub(other.orphans);
        self.held = self.held.saturating_sub(other.held);
        self.broker_polls = self.broker_polls.saturating_sub(other.broker_polls);
        self.held_polls = self.held_polls.saturating_sub(other.held_polls);
    }

    /// Fetches that the broker may still answer with a job.
    pub(super) fn at_broker(&self) -> usize {
        (self.broker + self.broker_polls) as usize
    }

    /// Fetches that the gate keeps to itself.
    pub(super) fn held(&self) -> usize {
        (self.held + self.held_polls) as usize
    }

    /// Blocking fetches, wherever they are: each is an idle thread.
    pub(super) fn blocking(&self) -> usize {
        (self.broker + self.held) as usize
    }

    /// Those that somebody waits for.
    pub(super) fn awaited(&self) -> usize {
        (self.broker + self.held - self.orphans) as usize
    }

    fn slot(&mut self, place: Place, blocking: bool) -> &mut u32 {
        match (place, blocking) {
            (Place::Broker, true) => &mut self.broker,
            (Place::Gate, true) => &mut self.held,
            (Place::Broker, false) => &mut self.broker_polls,
            (Place::Gate, false) => &mut self.held_polls,
        }
    }
}

/// Blocking fetches that ended empty and were not asked again: each counts as an idle thread until a moment, these.
#[derive(Clone, Debug, Default)]
pub(super) struct Nils(VecDeque<Millis>);

impl Nils {
    /// One more, which counts until then.
    pub(super) fn add(&mut self, now: Millis, until: Millis) {
        self.drop_old(now);
        self.0.push_back(until);
    }

    /// One of them asks again. False if there is none.
    pub(super) fn take(&mut self, now: Millis) -> bool {
        self.drop_old(now);
        self.0.pop_front().is_some()
    }

    /// How many count.
    pub(super) fn count(&self, now: Millis) -> usize {
        self.0.iter().filter(|until| **until > now).count()
    }

    /// When there will be one less.
    pub(super) fn first_end(&self, now: Millis) -> Option<Millis> {
        self.0.iter().copied().find(|until| *until > now)
    }

    /// Another worker turned out to be the same.
    pub(super) fn join(&mut self, other: &mut Nils) {
        self.0.append(&mut other.0);
        self.0.make_contiguous().sort_unstable();
    }

    fn drop_old(&mut self, now: Millis) {
        while self.0.front().is_some_and(|until| *until <= now) {
            self.0.pop_front();
        }
    }
}

/// What the connections of a worker come to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    pub(super) fetches: Fetches,
    /// How many have fetched. Of a Celery process that is one.
    pub(super) fetchers: usize,
    /// How many have waited for a job.
    pub(super) waiters: usize,
    /// How many wait for the answer to a fetch whose job has been delivered.
    pub(super) delivering: usize,
    /// Ways to get jobs that are not refused.
    pub(super) blocked: usize,
    /// Blind pipes.
    pub(super) opaque: usize,
    /// How many gates have not yet said that they took the mark over.
    pub(super) unconfirmed: usize,
    /// On how many a process listens to remote control.
    pub(super) mailboxes: usize,
}

impl Sums {
    /// What one connection adds.
    fn of(conn: &Conn) -> Sums {
        Sums {
            fetches: conn.fetches,
            fetchers: usize::from(conn.fetched),
            waiters: usize::from(conn.waited),
            delivering: usize::from(conn.delivering),
            blocked: conn.ways.blocked.len() + conn.ways.bound.len(),
            opaque: usize::from(conn.opaque),
            unconfirmed: usize::from(conn.mark.is_some_and(|mark| !mark.confirmed)),
            mailboxes: usize::from(conn.mailbox.is_some()),
        }
    }

    /// A connection comes to the worker.
    pub(super) fn join(&mut self, conn: &Conn) {
        let one = Sums::of(conn);
        self.fetches.join(one.fetches);
        self.fetchers += one.fetchers;
        self.waiters += one.waiters;
        self.delivering += one.delivering;
        self.blocked += one.blocked;
        self.opaque += one.opaque;
        self.unconfirmed += one.unconfirmed;
        self.mailboxes += one.mailboxes;
    }

    /// It leaves the worker.
    pub(super) fn leave(&mut self, conn: &Conn) {
        let one = Sums::of(conn);
        self.fetches.leave(one.fetches);
        self.fetchers = self.fetchers.saturating_sub(one.fetchers);
        self.waiters = self.waiters.saturating_sub(one.waiters);
        self.delivering = self.delivering.saturating_sub(one.delivering);
        self.blocked = self.blocked.saturating_sub(one.blocked);
        self.opaque = self.opaque.saturating_sub(one.opaque);
        self.unconfirmed = self.unconfirmed.saturating_sub(one.unconfirmed);
        self.mailboxes = self.mailboxes.saturating_sub(one.mailboxes);
    }
}
