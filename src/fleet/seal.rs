//! Whether a new job can still reach a marked worker: by a connection of its own, or by one whose process is being looked
//! up and which may turn out to be its own.

use super::Fleet;
use super::boundary::Effect;
use super::worker::{Key, Worker, WorkerNo};
use crate::job::{ConnId, Found, Millis, System};

/// See the module.
/// ```text
/// Open ──no connection of its own can bring one──▶ Doubted ⇄ Sealed        Open ◀──one of them can again── both
/// ```
/// What was reported before it left `Open` is void, unless it has no connection by then. A doubt voids nothing: if the
/// connection was not its own, no job has come; if it was, what it has brought is joined to the worker and counts as if it
/// came then. If nobody ever knows, it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Seal {
    #[default]
    Open,
    /// A connection whose process is being looked up may be its own, and could.
    Doubted,
    Sealed,
}

impl Fleet {
    /// Judges anew whether a new job can reach a worker.
    pub(super) fn settle_seal(&mut self, now: Millis, no: WorkerNo) {
        let Some(worker) = self.workers.get(&no) else { return };
        let waits = worker.is_marked() && self.has_candidates(worker);
        let seal = match (worker.is_marked() && worker.is_shut(), waits) {
            (false, _) => Seal::Open,
            (true, true) => Seal::Doubted,
            (true, false) => Seal::Sealed,
        };
        if waits {
            self.awaiting.insert(no);
        } else {
            self.awaiting.remove(&no);
        }
        let Some(worker) = self.workers.get_mut(&no) else { return };
        // without a connection nothing can have come since it spoke, whenever it is marked
        if worker.seal == Seal::Open && seal != Seal::Open && !worker.conns.is_empty() {
            worker.bump(now);
        }
        worker.seal = seal;
    }

    /// Connections whose process is being looked up and which may belong to this worker, with a way to get a job.
    fn has_candidates(&self, worker: &Worker) -> bool {
        match &worker.key {
            Key::Listener(_) | Key::Pending(_) => false,
            Key::Tag(_) | Key::Process { .. } => !self.unclean.is_empty(),
            Key::Address(ip) => {
                self.unclean.iter().any(|id| self.conns.get(id).is_some_and(|conn| conn.peer.ip == *ip))
            }
        }
    }

    /// A pending connection is marked while any drain is in force, and what it did decides whether it can still bring
    /// a job to a worker that it turns out to belong to.
    pub(super) fn check_pending(&mut self, now: Millis, id: ConnId) {
        let Some(conn) = self.conns.get(&id).filter(|conn| conn.pending) else { return };
        let clean = conn.is_clean();
        if clean && self.unclean.remove(&id) {
            self.settle_awaiting(now);
        } else if !clean && self.unclean.insert(id) && !self.drains.is_empty() {
            let marked: Vec<WorkerNo> = self.drains.values().flat_map(|drain| drain.members.iter().copied()).collect();
            for no in marked {
                self.settle(now, no);
            }
        }
    }

    /// Nobody will ever know whose this connection was, nor what it has brought to whom.
    pub(super) fn never_resolved(&mut self, now: Millis, id: ConnId) {
        for no in self.awaiting.iter().filter(|_| self.unclean.contains(&id)) {
            if let Some(worker) = self.workers.get_mut(no) {
                worker.bump(now);
            }
        }
        self.pending_resolved(now, id);
    }

    pub(super) fn pending_resolved(&mut self, now: Millis, id: ConnId) {
        if self.pending.remove(&id) {
            self.effects.push(Effect::Wait(id, false));
            if self.pending.is_empty() {
                self.place_strays(now);
            }
        }
        if self.unclean.remove(&id) {
            self.settle_awaiting(now);
        }
    }

    /// Sets the marks of the pending connections after a drain was made or has ended.
    pub(super) fn refresh_pending(&mut self, now: Millis) {
        let marked = !self.drains.is_empty();
        for id in self.pending.clone() {
            self.set_mark(id, marked);
            self.check_pending(now, id);
        }
    }

    fn settle_awaiting(&mut self, now: Millis) {
        for no in self.awaiting.clone() {
            self.settle(now, no);
        }
    }
}

impl Worker {
    /// No way is left for a new job, as far as its own connections go.
    fn is_shut(&self) -> bool {
        self.sums.fetches.at_broker() == 0 && !self.is_blocked() && self.sums.unconfirmed == 0
    }

    /// It has a way to get jobs that the gate does not refuse.
    pub(super) fn is_blocked(&self) -> bool {
        self.sums.blocked > 0 || self.sums.opaque > 0 || self.takes_unseen()
    }

    /// It gets something, or looks for something, in ways that are no fetches to the gate. Where each job that is
    /// fetched is acknowledged, a script that finds nothing tidies up.
    pub(super) fn takes_unseen(&self) -> bool {
        let least = if self.past.acknowledges { Found::Something } else { Found::Nothing };
        self.past.took >= Some(least) && self.may_take()
    }

    /// Nobody has said how it gets its jobs: no job system, and no operator.
    pub(super) fn may_take(&self) -> bool {
        self.system == System::Unknown && !self.asks_declared
    }
}
