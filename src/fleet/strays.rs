//! What is told of a job before it is known whose it is. A connection whose process is being looked up is a worker by itself
//! until then, and so is a process that has not asked for a job yet: what is said there may be of a job in the ledger of the
//! worker that it turns out to be a part of, or the reverse. It waits until that is known.

use super::Fleet;
use super::boundary::Effect;
use super::ledger::Stage;
use super::view::JobEnd;
use super::whole::Adopted;
use super::worker::{Key, Worker, WorkerNo};
use crate::job::{ConnId, JobKey, Millis, Protocol, System};

/// So many events wait for each worker.
const STRAYS: usize = 1_024;

/// An event about a job that is not in the ledger of the worker it was told of.
#[derive(Clone, Debug)]
pub(super) enum Stray {
    Acked(JobKey),
    /// With its time: what was delivered later under the same key is another job.
    Ended(JobKey, JobEnd, Millis),
    /// The same.
    GivenBack(JobKey, Millis),
    /// The same.
    Result(String, Millis),
    Idle(ConnId, Millis),
    LockLost(JobKey),
    Refused(Vec<JobKey>),
    /// With its time, too: a job that has come since voids it.
    SidekiqLeft(String, Millis),
}

impl Fleet {
    /// An acknowledgement or end of a job that the ledger does not know.
    pub(super) fn stray(&mut self, now: Millis, id: ConnId, stray: Stray) {
        let Some((conn, worker)) = self.pair(id) else { return };
        conn.acks += 1;
        worker.past.acks += 1;
        let no = worker.no;
        self.unplaced(now, no, stray);
    }

    /// The job may be in the ledger of a connection whose worker is still being looked for. Otherwise jobs have reached the
    /// worker unseen.
    pub(super) fn unplaced(&mut self, now: Millis, no: WorkerNo, stray: Stray) {
        if self.may_wait(no) {
            return self.keep_stray(no, stray);
        }
        let Some(worker) = self.workers.get_mut(&no) else { return };
        // a client whose connection was cut before the answer came says it once more
        let again = matches!(&stray, Stray::Acked(key) | Stray::Ended(key, ..) if worker.recent.has_ended(key));
        // a consumer of streams may acknowledge what was pending before it came; others tidy up after the dead
        let lenient = matches!(stray, Stray::GivenBack(..))
            || matches!(worker.system, System::Unknown | System::Taskiq | System::Resque | System::Sidekiq);
        if again || (lenient && worker.protocol == Protocol::Redis) {
            worker.bump(now);
        } else {
            worker.adopt(Adopted::Unseen, now);
        }
    }

    /// Whether what this worker was told of may still find its place.
    pub(super) fn may_wait(&self, no: WorkerNo) -> bool {
        let waits = |worker: &Worker| worker.is_provisional() || !self.pending.is_empty();
        self.workers.get(&no).is_some_and(|worker| waits(worker) && worker.strays.len() < STRAYS)
    }

    /// Keeps an event until then, see [`Fleet::may_wait`].
    pub(super) fn keep_stray(&mut self, no: WorkerNo, stray: Stray) {
        let Some(worker) = self.workers.get_mut(&no) else { return };
        worker.strays.push(stray);
        if let Key::Pending(id) = worker.key {
            self.effects.push(Effect::Wait(id, true));
        }
        if !worker.is_provisional() {
            self.astray.insert(no);
        }
    }

    /// No connection is being looked up any more: what has no place now has none.
    pub(super) fn place_strays(&mut self, now: Millis) {
        for no in std::mem::take(&mut self.astray) {
            let strays = self.workers.get_mut(&no).map(|worker| std::mem::take(&mut worker.strays));
            self.replay_strays(now, strays.unwrap_or_default(), no);
            self.settle(now, no);
        }
    }

    /// Events that another worker could not place, in the one that it joined.
    pub(super) fn replay_strays(&mut self, now: Millis, strays: Vec<Stray>, no: WorkerNo) {
        for stray in strays {
            let Some(worker) = self.workers.get_mut(&no) else { return };
            match stray {
                Stray::Result(job, at) => self.result(now, no, job, at),
                Stray::Idle(conn, at) => self.was_idle(now, conn, at),
                Stray::LockLost(key) => self.lock_lost(no, key),
                Stray::Refused(keys) => self.refused(no, keys),
                Stray::SidekiqLeft(name, at) if worker.ledger.iter().all(|(_, entry)| entry.at < at) => {
                    self.sidekiq_left(now, no, name, at);
                }
                Stray::SidekiqLeft(..) => {}
                Stray::Acked(ref key) => match worker.ledger.oldest(key, Stage::Delivered) {
                    Some(seq) => {
                        worker.bump(now);
                        self.acknowledged(now, no, seq);
                    }
                    None if worker.ledger.any(key).is_none() => self.unplaced(now, no, stray),
                    None => {}
                },
                Stray::Ended(ref key, end, at) => match worker.ledger.any_at(key, at) {
                    Some(seq) => self.over(now, no, seq, end),
                    None => self.unplaced(now, no, stray),
                },
                Stray::GivenBack(ref key, at) => match worker.ledger.any_at(key, at) {
                    Some(seq) => worker.ledger.set_given_back(seq),
                    None => self.unplaced(now, no, stray),
                },
            }
        }
    }
}

impl Worker {
    /// It may still turn out to be a part of another worker.
    pub(super) fn is_provisional(&self) -> bool {
        matches!(self.key, Key::Pending(_)) || (matches!(self.key, Key::Process { .. }) && !self.fetching)
    }
}
