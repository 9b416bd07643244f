//! Whether a worker is there.
//!
//! ```text
//! here ──its last connection goes──▶ away ──forget_after, or drained and gone by itself──▶ over
//!   ▲                                 │                                                     │
//!   └───────── a connection ──────────┘◀────────── the same process once more ──────────────┘
//! ```

use super::worker::Worker;
use crate::job::Millis;

/// A connection closed by the client within this time of a cut was probably closed because of it.
const CUT_ECHO: Millis = 5_000;

/// A worker has no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Away {
    /// When the last one went.
    pub(super) since: Millis,
    /// The last one was cut by the broker or the gate, or closed in the echo of that: the worker is expected back.
    pub(super) awaited: bool,
    /// Its process has ended: nobody will come back.
    pub(super) dead: bool,
}

/// How a worker went away for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) at: Millis,
    pub(super) lost: bool,
}

impl Worker {
    /// It has no connection from now on, unless that was so before.
    pub(super) fn goes_away(&mut self, now: Millis) -> &mut Away {
        self.away.get_or_insert(Away { since: now, awaited: false, dead: false })
    }

    /// It has no connection, and is expected back.
    pub(super) fn is_awaited(&self) -> bool {
        self.away.is_some_and(|away| away.awaited)
    }

    /// It has no connection, and its process has ended.
    pub(super) fn is_dead(&self) -> bool {
        self.away.is_some_and(|away| away.dead)
    }

    /// Its last connection went at `at`: with one that was cut, or because of that. It may be at its jobs, and come back.
    pub(super) fn is_cut_off(&self, at: Millis) -> bool {
        self.last_cut.is_some_and(|cut| cut.saturating_add(CUT_ECHO) > at)
    }
}
