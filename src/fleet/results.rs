//! Results that are stored, and what they say of jobs.
//!
//! taskiq's worker acknowledges a task when its result is stored, or else when it has run (`--ack-type when_executed`), or
//! when it comes (`when_received`). A result that comes behind its task's acknowledgement shows one of the latter two: from
//! then on an acknowledgement without a result is no end.

use super::Fleet;
use super::ledger::Stage;
use super::persist::Fact;
use super::strays::Stray;
use super::view::JobEnd;
use super::worker::{Worker, WorkerNo};
use crate::job::{Millis, System};

impl Fleet {
    /// A result that was told of at `at`.
    pub(super) fn result(&mut self, now: Millis, no: WorkerNo, job: String, at: Millis) {
        let Some(worker) = self.workers.get_mut(&no) else { return };
        if let Some(seq) = worker.ledger.note_result(&job) {
            let entry = worker.ledger.entry(seq);
            let last = entry.is_some_and(|entry| !entry.acknowledged || entry.stage == Stage::Started);
            if worker.system == System::Taskiq && last {
                worker.past.acks += 1;
                return self.strike(now, no, &[seq], JobEnd::Finished);
            }
            worker.inquiry.has_result(now);
            self.journal_job(no, seq, Fact::Result);
        } else if self.may_wait(no) {
            self.keep_stray(no, Stray::Result(job, at));
        } else if let Some(worker) = self.workers.get_mut(&no)
            && worker.system == System::Taskiq
            && worker.recent.ended_before_result(&job, at)
        {
            worker.past.ever_started = true;
        }
    }

    /// The broker has confirmed that a job was acknowledged or given back.
    pub(super) fn over(&mut self, now: Millis, no: WorkerNo, seq: u64, end: JobEnd) {
        let Some(worker) = self.workers.get_mut(&no) else { return };
        if end != JobEnd::Finished || !worker.acknowledges_early(seq) {
            return self.strike(now, no, &[seq], end);
        }
        worker.was_drained = false;
        worker.ledger.start(seq, now);
        self.journal_job(no, seq, Fact::Acked);
        self.strike_surplus(now, no);
    }
}

impl Worker {
    /// Its result is still to come.
    fn acknowledges_early(&self, seq: u64) -> bool {
        let no_result = || self.ledger.entry(seq).is_some_and(|entry| entry.acknowledged && !entry.result);
        self.system == System::Taskiq && self.past.ever_started && no_result()
    }
}
