//! What happened lately, numbered: the source of the event stream. Listeners read from a ring at their own pace, so one
//! that does not read costs nothing and holds nobody up; what the ring has dropped meanwhile, it is told to have missed.

use crate::fleet::Notice;
use crate::job::Millis;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Events kept.
const KEPT: usize = 4_096;
/// Numbers in a millisecond: an event's number begins with its time, so that the numbers go on rising over a restart.
const PER_MILLI: u64 = 1_000;

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Rises, also over restarts of the gate.
    pub id: u64,
    /// When, in Unix milliseconds.
    pub at: Millis,
    /// What.
    pub notice: Notice,
}

/// Some events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heard {
    /// The oldest first.
    pub events: Vec<Event>,
    /// There were others before them that are not kept any more.
    pub missed: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Events {
    ring: Mutex<Ring>,
    /// The newest number.
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Event>,
    /// The newest number that is not kept any more: nothing is known of the time before the start.
    dropped: u64,
}

impl Events {
    /// None yet.
    pub fn new(now: Millis) -> Events {
        let dropped = now.saturating_mul(PER_MILLI);
        Events { ring: Mutex::new(Ring { events: VecDeque::new(), dropped }), newest: watch::Sender::new(dropped) }
    }

    /// Keeps it.
    pub fn push(&self, at: Millis, notice: &Notice) {
        let mut ring = self.lock();
        let newest = ring.events.back().map_or(ring.dropped, |event| event.id);
        let id = (newest + 1).max(at.saturating_mul(PER_MILLI));
        if ring.events.len() == KEPT
            && let Some(oldest) = ring.events.pop_front()
        {
            ring.dropped = oldest.id;
        }
        ring.events.push_back(Event { id, at, notice: notice.clone() });
        drop(ring);
        self.newest.send_replace(id);
    }

    /// What came after `id`; everything that is kept for `None`.
    pub fn after(&self, id: Option<u64>) -> Heard {
        let ring = self.lock();
        let missed = id.is_some_and(|id| id < ring.dropped);
        let first = id.map_or(0, |id| ring.events.partition_point(|event| event.id <= id));
        Heard { events: ring.events.range(first..).cloned().collect(), missed }
    }

    /// Changes with every event.
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(n: usize) -> Notice {
        Notice::DrainCreated { drain: format!("d{n}"), workers: n }
    }

    #[test]
    fn they_are_numbered_and_read_from_any_number_on() {
        let events = Events::new(1_000);
        for n in 0..3 {
            events.push(1_000 + n as Millis / 2, &made(n));
        }
        let all = events.after(None);
        assert!(!all.missed && all.events.len() == 3);
        assert!(all.events.windows(2).all(|pair| pair[0].id < pair[1].id));
        let later = events.after(Some(all.events[0].id));
        assert!(!later.missed && later.events == all.events[1..]);
        assert_eq!(events.after(Some(all.events[2].id)), Heard::default());
        assert_eq!(*events.newest().borrow(), all.events[2].id);
    }

    #[test]
    fn who_was_away_too_long_is_told() {
        let events = Events::new(1_000);
        for n in 0..KEPT + 10 {
            events.push(1_000, &made(n));
        }
        let all = events.after(None);
        assert!(!all.missed && all.events.len() == KEPT);
        assert!(events.after(Some(all.events[0].id - 2)).missed);
        assert!(!events.after(Some(all.events[0].id - 1)).missed, "the next one is there");
        // the gate was restarted: numbers go on, and what was before is not known any more
        let restarted = Events::new(5_000);
        restarted.push(4_000, &made(0));
        let heard = restarted.after(Some(all.events[KEPT - 1].id));
        assert!(heard.missed && heard.events.len() == 1 && heard.events[0].id > all.events[KEPT - 1].id);
    }
}
