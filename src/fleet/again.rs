//! What a broker that acknowledges hands out a second time. When it closes a connection, nobody knows what it has kept of
//! the jobs in that worker's hands, nor whether the worker is still at them: they stay in its ledger until the broker hands
//! them out again, to whomever.
//!
//! That may be heard before the end of the connection. Two connections keep no order between them (a broker that misses
//! heartbeats closes one and hands out on another in the same millisecond), and a client may take its time to answer the
//! broker's `connection.close`, behind which the broker has taken back everything.

use super::Fleet;
use super::view::JobEnd;
use super::worker::WorkerNo;
use crate::job::{ConnId, Millis};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// So many are remembered of either kind.
const KEPT: usize = 10_000;
/// RabbitMQ waits for the answer to its `connection.close` for 30 seconds.
const EARLY: Millis = 40_000;

/// A job that was handed out again, and was in no hands that are known to have lost it.
#[derive(Debug)]
struct Early {
    queue: Arc<str>,
    at: Millis,
    /// On which connection.
    conn: ConnId,
}

/// See the module. By the ids of jobs.
#[derive(Debug, Default)]
pub(super) struct Again {
    /// Jobs that were in a worker's hands when its broker went away.
    cut: HashMap<String, Vec<(WorkerNo, u64)>>,
    early: HashMap<Arc<str>, Vec<Early>>,
    /// When they came.
    times: VecDeque<(Millis, Arc<str>)>,
}

impl Again {
    /// Nothing is awaited.
    pub(super) fn awaits_nothing(&self) -> bool {
        self.cut.is_empty()
    }

    fn came_early(&mut self, id: &str, early: Early) {
        let id: Arc<str> = id.into();
        self.times.push_back((early.at, id.clone()));
        self.early.entry(id).or_default().push(early);
    }

    /// Takes out one that came on another connection than `conn`, to which the job had come at `since`.
    fn take_early(&mut self, id: &str, queue: &str, conn: ConnId, since: Millis) -> bool {
        let Some(early) = self.early.get_mut(id) else { return false };
        let found = early.iter().position(|early| *early.queue == *queue && early.conn != conn && early.at >= since);
        let found = found.map(|at| early.remove(at)).is_some();
        if early.is_empty() {
            self.early.remove(id);
        }
        found
    }

    fn forget_early(&mut self, now: Millis) {
        let too_many = self.times.len().saturating_sub(KEPT);
        let too_old = self.times.partition_point(|(at, _)| now > at.saturating_add(EARLY));
        for (at, id) in self.times.drain(..too_many.max(too_old)) {
            let Some(early) = self.early.get_mut(&id) else { continue };
            early.retain(|early| early.at > at);
            if early.is_empty() {
                self.early.remove(&id);
            }
        }
    }
}

impl Fleet {
    /// A broker that acknowledges has closed the connection with these jobs in a worker's hands.
    pub(super) fn await_again(&mut self, now: Millis, conn: ConnId, no: WorkerNo, ids: Vec<(String, u64)>) {
        self.again.forget_early(now);
        for (id, seq) in ids.into_iter().filter(|(id, _)| !id.is_empty()) {
            let Some(entry) = self.workers.get(&no).and_then(|worker| worker.ledger.entry(seq)) else { continue };
            if self.again.take_early(&id, &entry.job.queue, conn, entry.at) {
                self.strike(now, no, &[seq], JobEnd::Requeued);
            } else if self.again.cut.len() < KEPT {
                self.again.cut.entry(id).or_default().push((no, seq));
            }
        }
    }

    /// RabbitMQ hands out a job, and says that it had done so before.
    pub(super) fn said_again(&mut self, now: Millis, conn: ConnId, id: &str, queue: Arc<str>) {
        self.again.forget_early(now);
        if !self.handed_out_again(now, id, &queue) {
            self.again.came_early(id, Early { queue, at: now, conn });
        }
    }

    /// The broker hands out a job: if it had done so before it went away, it has kept it. That says nothing of others with
    /// the same id (one of `correlation_id`s may be that of a hundred jobs), so it ends one of them, and of its queue. False
    /// if there is none.
    pub(super) fn handed_out_again(&mut self, now: Millis, id: &str, queue: &str) -> bool {
        let Some(cut) = self.again.cut.get_mut(id) else { return false };
        let entry = |no: &WorkerNo, seq: &u64| self.workers.get(no)?.ledger.entry(*seq);
        cut.retain(|(no, seq)| entry(no, seq).is_some());
        let same = cut.iter().position(|(no, seq)| entry(no, seq).is_some_and(|entry| *entry.job.queue == *queue));
        let kept = same.map(|at| cut.remove(at));
        if cut.is_empty() {
            self.again.cut.remove(id);
        }
        let Some((no, seq)) = kept else { return false };
        self.strike(now, no, &[seq], JobEnd::Requeued);
        self.settle(now, no);
        true
    }
}
