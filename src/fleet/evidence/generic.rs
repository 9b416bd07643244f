//! Job systems that the gate does not know: plain blocking pops without acks.
//!
//! The only thing to go by is that a thread comes back to fetch. That says "done" for a consumer that works one job per
//! fetch, and nothing for one that prefetches (taskiq fetches while the job runs), nor for threads that share a pool of
//! connections: Huey's were measured to send the fetches of three threads over one connection within 7 ms, and the
//! second looks like the first that is back. So it counts only for queues that the operator declared under `[gate]
//! fetch`; anything else is unknown from the first delivery on.

use super::{Doubt, Verdict, acks};
use crate::fleet::boundary::FleetSettings;
use crate::fleet::conn::{Conn, MayHave};
use crate::fleet::ledger::{Entry, Stage};
use crate::fleet::worker::Worker;
use crate::job::{ConnId, Evidence, Millis, System};
use globset::GlobSet;
use std::sync::Arc;

/// Whether the queue of the last job was one that the operator declared to hold jobs. The next comes from the same.
#[derive(Clone, Debug, Default)]
pub(in crate::fleet) struct LastQueue(Option<(Arc<str>, bool)>);

impl LastQueue {
    /// Whether `queue` is, which is the last one from now on.
    pub(in crate::fleet) fn is_declared(&mut self, queue: &Arc<str>, declared: &GlobSet) -> bool {
        match &self.0 {
            _ if declared.is_empty() => false,
            Some((last, is)) if last == queue => *is,
            _ => {
                let is = declared.is_match(&**queue);
                self.0 = Some((queue.clone(), is));
                is
            }
        }
    }
}

/// Entries that are over. Nearly always it is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fleet) enum Over {
    One(Option<u64>),
    Several(Vec<u64>),
    /// This one, if the asker has not gone by now: the fetch may have been under way since before the job.
    Perhaps(u64),
}

impl Over {
    pub(in crate::fleet) const NOTHING: Over = Over::One(None);

    pub(in crate::fleet) fn as_slice(&self) -> &[u64] {
        match self {
            Over::One(seq) => seq.as_slice(),
            Over::Several(seqs) => seqs,
            Over::Perhaps(_) => &[],
        }
    }
}

/// A connection asks for a job: which entries are over by that? They are to be struck out. `was_nil` says that the asker
/// was known to be idle.
pub(in crate::fleet) fn returned(
    worker: &Worker,
    id: ConnId,
    conn: &mut Conn,
    blocking: bool,
    was_nil: bool,
    idle_before: usize,
) -> Over {
    if !worker.system.tells_nothing() || was_nil {
        return Over::NOTHING;
    }
    let own = own(worker, id, conn, blocking);
    if !own.as_slice().is_empty() || !blocking {
        return own;
    }
    // with all known threads accounted for, the asker is one of those that took a job: over a pooled connection, or a
    // new one after theirs was cut
    let all_known = idle_before + worker.ledger.blocking() >= worker.past.peak;
    let known_thread = |entry: &Entry| entry.stage == Stage::Delivered && !entry.polled;
    let back = |entry: &Entry| known_thread(entry) && (conn.fetched || entry.conn.is_none());
    let Some(seq) = worker.ledger.find(back).filter(|_| all_known) else { return Over::NOTHING };
    // a fetch that comes late is of somebody who has given it up, and got this very job on another connection
    let later = worker.ledger.entry(seq).is_some_and(|entry| conn.answered.unwrap_or(conn.since) >= entry.at);
    if later { Over::One(Some(seq)) } else { Over::Perhaps(seq) }
}

/// What came on the connection and is not over yet. A poll is of somebody else than who waited for a job: of a scheduler that
/// shares the pool, say.
fn own(worker: &Worker, id: ConnId, conn: &mut Conn, blocking: bool) -> Over {
    let own = |entry: &Entry| entry.conn == Some(id) && entry.stage == Stage::Delivered && (blocking || entry.polled);
    let in_hand = conn.in_hand;
    let found = match conn.in_hand.clear() {
        MayHave::Nothing => Over::NOTHING,
        MayHave::Only(seq) => Over::One(Some(seq).filter(|seq| worker.ledger.entry(*seq).is_some_and(own))),
        MayHave::Several => Over::Several(worker.ledger.select(own)),
    };
    debug_assert_eq!(found.as_slice(), worker.ledger.select(own));
    if !blocking && worker.ledger.blocking() > 0 {
        conn.in_hand = in_hand;
    }
    found
}

/// Keeps the peak, and notes that all threads are idle at this moment, if they are.
pub(in crate::fleet) fn note_pattern(worker: &mut Worker, now: Millis) {
    let idle = worker.idle_threads(now);
    let out = worker.ledger.blocking();
    worker.past.peak = worker.past.peak.max(idle + out);
    if out == 0 && idle >= worker.past.peak {
        worker.prove(Evidence::Inferred);
    }
}

/// See [`super::judge`].
pub(super) fn judge(worker: &Worker, settings: &FleetSettings, now: Millis) -> Verdict {
    let took = worker.takes_unseen();
    if worker.is_whole() && worker.past.deliveries == 0 && worker.ledger.is_empty() && !took {
        return Verdict::idle(Evidence::Exact);
    }
    // nothing but entries of streams, which are acknowledged
    if worker.past.deliveries > 0
        && worker.past.peak == 0
        && worker.past.polled == 0
        && worker.past.undeclared == 0
        && !took
    {
        return acks::judge(worker, settings, now);
    }
    let verdict = Verdict::running(worker.ledger.len(), Evidence::Unknown);
    if took {
        return verdict.doubt(Doubt::Unrefused);
    }
    if worker.past.polled > 0 {
        return verdict.doubt(Doubt::Polled);
    }
    // whatever the operator declared: a second fetch beside the first is another thread's (or another process')
    if worker.system == System::Huey && worker.past.peak > 1 {
        return verdict.doubt(Doubt::Shared);
    }
    if worker.past.undeclared > 0 {
        return verdict.doubt(Doubt::Undeclared);
    }
    if let Some(why) = worker.not_whole() {
        return verdict.doubt(Doubt::Adopted(why, worker.system));
    }
    if !worker.ledger.is_empty() {
        return Verdict::running(worker.ledger.len(), Evidence::Inferred);
    }
    let idle = worker.idle_threads(now);
    let proven = worker.conns.is_empty() && worker.proof.is_some();
    if proven || (worker.past.peak > 0 && idle >= worker.past.peak) {
        return Verdict::idle(Evidence::Inferred);
    }
    verdict.doubt(Doubt::NotBack { idle, peak: worker.past.peak })
}
