//! The fleet's lock. Whoever needs the fleet for longer than a moment says so before (a drain of thousands of workers,
//! a list of them): the threads on which connections live do not wait for it then. What their connections have to tell
//! is put off a little, and all others go on.

use super::Hub;
use crate::fleet::{Effect, Fleet};
use crate::job::{ConnId, JobEvent, Millis};
use crate::telemetry;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError, TryLockError};

/// Tells facts of connections to the fleet, and leaves none behind. Or leaves all of them and says false: somebody has the
/// fleet for longer (a drain of thousands of workers, a list of them), and `at_once` was not asked for.
pub type Tell = Arc<dyn Fn(&mut Vec<(ConnId, JobEvent)>, bool) -> bool + Send + Sync>;

/// See [`Hub::for_long`].
pub(super) struct Long<'a>(&'a AtomicUsize);

impl Drop for Long<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Hub {
    /// Runs `f` under the lock and carries its effects out (without waiting for anything but the lock and the files).
    pub fn with_fleet<R>(&self, f: impl FnOnce(&mut Fleet, Millis) -> R) -> R {
        self.run(self.lock_fleet(), f)
    }

    /// [`Hub::with_fleet`] for what may take longer than a moment: what connections have to tell is put off until then.
    pub(super) fn with_fleet_for_long<R>(&self, f: impl FnOnce(&mut Fleet, Millis) -> R) -> R {
        let _long = self.for_long();
        self.with_fleet(f)
    }

    fn run<R>(&self, mut fleet: MutexGuard<'_, Fleet>, f: impl FnOnce(&mut Fleet, Millis) -> R) -> R {
        let now = self.now();
        let result = f(&mut fleet, now);
        let effects = fleet.take_effects();
        self.carry_out(&effects);
        if fleet.journal_due(now).is_some_and(|due| due <= now) {
            self.append_journal(&mut fleet);
        }
        // under the lock, as the chores arm themselves: no time-out can slip in between
        if self.next_timeout(&mut fleet, now) < self.armed.load(Ordering::Acquire) {
            self.chores.notify_one();
        }
        drop(fleet);
        // log lines take long: nobody has to wait for them
        for effect in &effects {
            match effect {
                Effect::Notice(notice) => telemetry::notice(notice),
                Effect::Jobs(count) => telemetry::jobs(count),
                _ => {}
            }
        }
        // who subscribes later looks at the fleet later, so nobody can miss this change
        if self.changes.receiver_count() > 0 {
            self.changes.send_modify(|number| *number += 1);
        }
        result
    }

    /// Writes what still waits to be written: the gate is about to end.
    pub fn write_journal(&self) {
        self.append_journal(&mut self.lock_fleet());
    }

    fn append_journal(&self, fleet: &mut Fleet) {
        let full = fleet.take_journal(|lines| self.store.journal(lines)) == Some(true);
        if full && !self.journal_unsaved.swap(true, Ordering::AcqRel) {
            self.chores.notify_one();
        }
    }

    /// When the chores have something to do.
    pub(super) fn next_timeout(&self, fleet: &mut Fleet, now: Millis) -> Millis {
        let due = [fleet.next_timeout(), fleet.journal_due(now)];
        due.into_iter().flatten().min().unwrap_or(Millis::MAX)
    }

    /// What tells the fleet of connections of one thread: one turn under the lock, one write to the journal.
    pub fn teller(self: &Arc<Hub>) -> Tell {
        let hub = self.clone();
        Arc::new(move |facts, at_once| {
            if facts.is_empty() {
                return true;
            }
            let fleet = if at_once { Some(hub.lock_fleet()) } else { hub.lock_fleet_soon() };
            let Some(fleet) = fleet else { return false };
            hub.run(fleet, |fleet, now| facts.drain(..).for_each(|(conn, event)| fleet.event(now, conn, event)));
            true
        })
    }

    /// Runs `f` under the lock for a mere look: nothing is carried out, and [`Hub::changes`] does not move. (Long polls
    /// look after every change: a look that counted as one would wake them for ever.)
    pub fn look<R>(&self, f: impl FnOnce(&Fleet, Millis) -> R) -> R {
        let _long = self.for_long();
        let fleet = self.lock_fleet();
        f(&fleet, self.now())
    }

    pub(super) fn lock_fleet(&self) -> MutexGuard<'_, Fleet> {
        // a panic elsewhere must not stop all traffic
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None`: somebody has the fleet, or is about to have it, for longer than a moment.
    fn lock_fleet_soon(&self) -> Option<MutexGuard<'_, Fleet>> {
        match self.fleet.try_lock() {
            Ok(fleet) => Some(fleet),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(TryLockError::WouldBlock) if self.long.load(Ordering::Acquire) > 0 => None,
            Err(TryLockError::WouldBlock) => Some(self.lock_fleet()),
        }
    }

    /// As long as it lives, the fleet is taken for longer than a moment.
    pub(super) fn for_long(&self) -> Long<'_> {
        self.long.fetch_add(1, Ordering::AcqRel);
        Long(&self.long)
    }
}
