//! Job systems that the gate does not know: plain blocking pops without acks.
//!
//! The only thing to go by is that a thread comes back to fetch. That says "done" for a consumer that works one job per
//! fetch, and nothing for one that prefetches (taskiq fetches while the job runs), nor for threads that share a pool of
//! connections: Huey's were measured to send the fetches of three threads over one connection within 7 ms, and the
//! second looks like the first that is back. So it counts only for queues that the operator declared under `[gate]
//! fetch`; anything else is unknown from the first delivery on.

use super::{Doubt, Proof, Verdict, acks};
use crate::fleet::boundary::FleetSettings;
use crate::fleet::ledger::{Entry, Stage};
use crate::fleet::worker::Worker;
use crate::job::{ConnId, Evidence, Millis};

/// A connection asks for a job: which entries are over by that? `was_nil` says that the asker was known to be idle,
/// `fetched` that the connection had asked before.
pub(in crate::fleet) fn returned(
    worker: &Worker,
    conn: ConnId,
    fetched: bool,
    was_nil: bool,
    idle_before: usize,
) -> Vec<u64> {
    if !worker.system.tells_nothing() || worker.ledger.is_empty() || was_nil {
        return Vec::new();
    }
    let own = worker.ledger.select(|entry| entry.conn == Some(conn) && entry.stage == Stage::Delivered);
    if !own.is_empty() {
        return own;
    }
    // with all known threads accounted for, the asker is one of those that took a job: over a pooled connection, or a
    // new one after theirs was cut
    let known_thread = |entry: &Entry| entry.stage == Stage::Delivered && !entry.polled;
    let back = worker.ledger.select(|entry| known_thread(entry) && (fetched || entry.conn.is_none()));
    let all_known = idle_before + outstanding(worker) >= worker.peak;
    back.into_iter().take(usize::from(all_known)).collect()
}

/// Keeps the peak, and notes that all threads are idle at this moment, if they are.
pub(in crate::fleet) fn note_pattern(worker: &mut Worker, now: Millis) {
    let idle = worker.idle_threads(now);
    let out = outstanding(worker);
    worker.peak = worker.peak.max(idle + out);
    if out == 0 && idle >= worker.peak && worker.proof.is_none() {
        worker.proof = Some(Proof { evidence: Evidence::Inferred });
    }
}

fn outstanding(worker: &Worker) -> usize {
    worker.ledger.iter().filter(|(_, entry)| entry.stage == Stage::Delivered && !entry.polled).count()
}

/// See [`super::judge`].
pub(super) fn judge(worker: &Worker, settings: &FleetSettings, now: Millis) -> Verdict {
    let took = worker.took && worker.may_take();
    if worker.is_whole() && worker.deliveries == 0 && worker.ledger.is_empty() && !took {
        return Verdict::idle(Evidence::Exact);
    }
    // nothing but entries of streams, which are acknowledged
    if worker.deliveries > 0 && worker.peak == 0 && worker.polled == 0 && worker.undeclared == 0 && !took {
        return acks::judge(worker, settings, now);
    }
    let verdict = Verdict::running(worker.ledger.len(), Evidence::Unknown);
    if took {
        return verdict.doubt(Doubt::Unrefused);
    }
    if worker.polled > 0 {
        return verdict.doubt(Doubt::Polled);
    }
    if worker.undeclared > 0 {
        return verdict.doubt(Doubt::Undeclared);
    }
    if let Some(why) = worker.adopted.or(worker.suspect.then_some(crate::fleet::worker::Adopted::MidLife)) {
        return verdict.doubt(Doubt::Adopted(why, worker.system));
    }
    if !worker.ledger.is_empty() {
        return Verdict::running(worker.ledger.len(), Evidence::Inferred);
    }
    let idle = worker.idle_threads(now);
    let proven = worker.conns.is_empty() && worker.proof.is_some();
    if proven || (worker.peak > 0 && idle >= worker.peak) {
        return Verdict::idle(Evidence::Inferred);
    }
    verdict.doubt(Doubt::NotBack { idle, peak: worker.peak })
}
