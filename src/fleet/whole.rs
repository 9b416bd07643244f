//! Whether the ledger of a worker has all that is in its hands.

use super::worker::Worker;
use crate::job::Millis;

/// Why the ledger of a worker is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Adopted {
    /// It lived before the gate saw it.
    MidLife,
    /// The gate was restarted meanwhile.
    Restart,
    /// It had a way to get jobs that the gate cannot follow.
    Unseen,
}

/// See the module.
///
/// ```text
/// Yes ◀──something proves it── Doubtful      Yes | Doubtful ──found out──▶ No      No ──its own state has answered──▶ Yes
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Whole {
    /// Every connection of this incarnation has been seen since its birth.
    #[default]
    Yes,
    /// It is known by an address that may have been in use before the gate: not whole until something proves it.
    Doubtful,
    No(Adopted),
}

impl Worker {
    /// Its ledger is known to be whole.
    pub(super) fn is_whole(&self) -> bool {
        self.whole == Whole::Yes
    }

    /// Why not, if that is not so.
    pub(super) fn not_whole(&self) -> Option<Adopted> {
        match self.whole {
            Whole::Yes => None,
            Whole::Doubtful => Some(Adopted::MidLife),
            Whole::No(why) => Some(why),
        }
    }

    /// Why not, if that was found out.
    pub(super) fn adopted(&self) -> Option<Adopted> {
        if let Whole::No(why) = self.whole { Some(why) } else { None }
    }

    /// All its processes have begun before the gate's eyes.
    pub(super) fn is_newborn(&self) -> bool {
        let named = self.lives.iter().all(|life| life.born.is_some());
        let nameless = self.begun.is_some_and(|id| self.conns.contains(&id) || self.conns.is_empty());
        named && (nameless || !self.lives.is_empty())
    }

    /// It is whole if nobody else turns up at its address.
    pub(super) fn awaits_others(&self) -> bool {
        self.whole == Whole::Doubtful && self.is_newborn()
    }

    /// There was nobody before at its address.
    pub(super) fn clear_doubt(&mut self) {
        if self.whole == Whole::Doubtful {
            self.whole = Whole::Yes;
        }
    }

    /// It was found out that jobs may have reached it unseen.
    pub(super) fn adopt(&mut self, why: Adopted, now: Millis) {
        self.whole = Whole::No(self.adopted().unwrap_or(why));
        self.proof = None;
        // what came unseen renews its locks from now on
        self.past.lease.renewed(now);
        self.bump(now);
    }
}
