//! The life of a job in a ledger: delivered, acknowledged, over. Entries are struck out only by what the broker
//! confirmed or by a report that proves it; a doubt makes the worker *adopted*, never idle.

use super::Fleet;
use super::conn::Conn;
use super::evidence::sidekiq;
use super::ledger::{Entry, Stage};
use super::persist::Fact;
use super::strays::Stray;
use super::view::JobEnd;
use super::whole::Adopted;
use super::worker::{Worker, WorkerNo};
use crate::job::{ConnId, Found, Job, JobKey, Millis, Outcome, Protocol, Settling, System};
use globset::GlobSet;

/// A ledger keeps at most so many jobs whose end nobody will tell. Each delivery and each ack strikes out what is beyond:
/// what comes together goes together.
const LEDGER_LIMIT: usize = 10_000;
/// And so many where each is acknowledged when it is over: a consumer without a prefetch of its own is given the whole
/// queue.
const ACKNOWLEDGED_LIMIT: usize = 100_000;
/// So many of Celery's that have begun, whatever is still to come to them: as many as a quick worker begins between two
/// heartbeats, which strike them out. Where there are none, more would only make the journal longer.
const STARTED_LIMIT: usize = 2_000;

impl Fleet {
    #[inline(always)]
    pub(super) fn delivered(&mut self, now: Millis, id: ConnId, job: Job, stage: Stage) {
        // RabbitMQ says of each job whether it had handed it out before
        let silent = |conn: &Conn| conn.peer.protocol == Protocol::Redis;
        if stage == Stage::Delivered && !self.again.awaits_nothing() && self.conns.get(&id).is_some_and(silent) {
            self.handed_out_again(now, &job.id, &job.queue);
        }
        let seq = self.number();
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let Some(worker) = self.workers.get_mut(&conn.worker) else { return };
        let (no, system) = (worker.no, worker.system);
        let mut entry = self.spare.place(Entry::new(job, now, Some(id)));
        entry.stage = stage;
        if stage == Stage::Delivered {
            conn.in_hand.add(seq);
            note_delivery(conn, worker, &mut entry, &self.settings.declared_fetch);
        }
        worker.proof = None;
        worker.was_drained = false;
        worker.bump(now);
        sidekiq::delivered(worker);
        let written = Fact::Job.append(&mut self.journal, worker, seq, &entry);
        worker.ledger.insert(seq, entry);
        let full = worker.is_full();
        if !written {
            self.journal_worker(no);
        }
        if full {
            self.strike_surplus(now, no);
        }
        if stage == Stage::Delivered {
            self.tally.add(system, None);
        }
    }

    /// It is news only if the worker does not have the job.
    pub(super) fn redelivered(&mut self, now: Millis, id: ConnId, job: Job) {
        let Some((_, worker)) = self.pair(id) else { return };
        if worker.ledger.any(&job.key).is_some() {
            return;
        }
        let (no, first) = (worker.no, !worker.fetching);
        self.delivered(now, id, job, Stage::Delivered);
        if first {
            self.became_fetching(now, no, id);
        }
    }

    pub(super) fn scheduler_returned(&mut self, now: Millis, id: ConnId) {
        let Some((conn, worker)) = self.pair(id) else { return };
        if worker.ledger.taken() == 0 {
            return;
        }
        // of an unknown system there may be any number of schedulers behind one address
        let alone = worker.system != System::Unknown && worker.live().count() < 2;
        let (no, life) = (worker.no, conn.life);
        let taken = worker.ledger.select(|entry| entry.stage == Stage::Taken);
        let same_life = |seq: &u64| {
            let Some(of) = self.workers.get(&no).and_then(|w| w.ledger.entry(*seq)).map(|entry| entry.conn) else {
                return false;
            };
            let other = of.and_then(|of| self.conns.get(&of)).and_then(|conn| conn.life);
            alone || of == Some(id) || (life.is_some() && life == other)
        };
        let over: Vec<u64> = taken.into_iter().filter(same_life).collect();
        self.strike(now, no, &over, JobEnd::Requeued);
    }

    pub(super) fn acked(&mut self, now: Millis, id: ConnId, key: JobKey) {
        let Some((conn, worker)) = self.pair(id) else { return };
        let no = worker.no;
        let Some(seq) = worker.ledger.oldest(&key, Stage::Delivered) else {
            if worker.ledger.any(&key).is_none() {
                return self.stray(now, id, Stray::Acked(key));
            }
            worker.past.acks += 1;
            return worker.bump(now);
        };
        conn.acks += 1;
        worker.past.acks += 1;
        worker.bump(now);
        self.acknowledged(now, no, seq);
    }

    /// Celery has acknowledged a job: it has begun, or, by the operator's word, has ended.
    pub(super) fn acknowledged(&mut self, now: Millis, no: WorkerNo, seq: u64) {
        let late = self.settings.celery_acks_late;
        let Some(worker) = self.workers.get_mut(&no) else { return };
        if late {
            worker.past.declared = true;
            return self.strike(now, no, &[seq], JobEnd::Finished);
        }
        worker.past.ever_started = true;
        worker.was_drained = false;
        worker.ledger.start(seq, now);
        let full = worker.is_full();
        self.journal_job(no, seq, Fact::Acked);
        if full {
            self.strike_surplus(now, no);
        }
    }

    pub(super) fn ended(&mut self, now: Millis, id: ConnId, key: JobKey, outcome: Outcome) {
        let end = outcome.into();
        let Some((conn, worker)) = self.pair(id) else { return };
        let no = worker.no;
        let Some(seq) = worker.ledger.any(&key) else {
            return self.stray(now, id, Stray::Ended(key, end, now));
        };
        note_ends(conn, worker, outcome, 1);
        worker.bump(now);
        self.over(now, no, seq, end);
    }

    /// The broker has confirmed what became of several jobs.
    pub(super) fn settled(&mut self, now: Millis, id: ConnId, keys: Vec<JobKey>, how: Settling) {
        let Settling::Ended(outcome) = how else {
            return keys.into_iter().for_each(|key| self.acked(now, id, key));
        };
        let Some((conn, worker)) = self.pair(id) else { return };
        let mut seqs = Vec::with_capacity(keys.len());
        seqs.extend(keys.iter().filter_map(|key| worker.ledger.any(key)));
        // each by itself where one is not there, or where its result says what it means
        if seqs.len() < keys.len() || worker.system == System::Taskiq {
            return keys.into_iter().for_each(|key| self.ended(now, id, key, outcome));
        }
        note_ends(conn, worker, outcome, seqs.len() as u64);
        worker.bump(now);
        let no = worker.no;
        self.strike(now, no, &seqs, outcome.into());
    }

    /// A job stands in its queue again. If it is one of this worker's it may still be at it: it stays in the ledger
    /// until it is acknowledged or a report says that the worker is idle. (Workers give back what others have, too.)
    pub(super) fn given_back(&mut self, now: Millis, id: ConnId, key: JobKey) {
        let Some((_, worker)) = self.pair(id) else { return };
        if let Some(seq) = worker.ledger.oldest(&key, Stage::Delivered) {
            worker.past.runs_ahead = true;
            worker.bump(now);
            return worker.ledger.set_given_back(seq);
        }
        let no = worker.no;
        self.unplaced(now, no, Stray::GivenBack(key, now));
    }

    /// What was popped out of a list of its own is no job that it had, on a worker whose connections are all known: then it
    /// is one that another has put there, and the worker has it now.
    pub(super) fn popped(&mut self, now: Millis, id: ConnId, key: JobKey) {
        let looked_up = self.pending.is_empty();
        let Some((_, worker)) = self.pair(id) else { return };
        let own = !looked_up || worker.is_provisional() || worker.ledger.any(&key).is_some();
        if !own {
            let why = "it pops from a list that others move jobs to as well, which cannot be held";
            self.unrefused(id, why.to_owned(), Found::Job);
        }
        self.ended(now, id, key, Outcome::Finished);
    }

    /// Jobs were pushed on to a queue: by the scheduler that took them, or by a worker that gives them back.
    pub(super) fn pushed_on(&mut self, now: Millis, id: ConnId, keys: &[JobKey]) {
        let Some((_, worker)) = self.pair(id) else { return };
        let no = worker.no;
        let seqs: Vec<u64> = keys.iter().filter_map(|key| worker.ledger.any(key)).collect();
        if seqs.is_empty() {
            return;
        }
        worker.bump(now);
        self.strike(now, no, &seqs, JobEnd::Requeued);
    }

    pub(super) fn refused(&mut self, no: WorkerNo, keys: Vec<JobKey>) {
        let Some(worker) = self.workers.get_mut(&no) else { return };
        let seqs: Vec<u64> = keys.iter().filter_map(|key| worker.ledger.any(key)).collect();
        for seq in &seqs {
            worker.ledger.set_refused(*seq);
        }
        if seqs.is_empty() && self.may_wait(no) {
            self.keep_stray(no, Stray::Refused(keys));
        }
    }

    /// The job that came last on this connection under that key did not reach its worker. (Another may run under it.)
    pub(super) fn returned(&mut self, now: Millis, id: ConnId, key: &JobKey) {
        let Some((_, worker)) = self.pair(id) else { return };
        let no = worker.no;
        let seq = worker.ledger.youngest_on(id, key).or_else(|| worker.ledger.any(key));
        self.strike(now, no, seq.as_slice(), JobEnd::Returned);
    }

    /// Strikes entries out of a ledger. What a scheduler took to push on was never counted as delivered.
    pub(super) fn strike(&mut self, now: Millis, no: WorkerNo, seqs: &[u64], end: JobEnd) {
        if seqs.is_empty() {
            return;
        }
        let Some(worker) = self.workers.get_mut(&no) else { return };
        let mut written = true;
        for seq in seqs {
            let Some(entry) = worker.ledger.remove(*seq) else { continue };
            if end == JobEnd::Finished {
                self.durations.note(now, &entry);
            }
            written &= Fact::End.append(&mut self.journal, worker, *seq, &entry);
            if entry.stage != Stage::Taken {
                self.tally.add(worker.system, Some(end));
            }
            worker.recent.note(now, entry, end).into_iter().for_each(|forgotten| self.spare.keep(forgotten));
        }
        if !written {
            self.journal_worker(no);
        }
    }

    /// Strikes out what reports have shown to be over. Of what had been given back nobody has confirmed the end.
    pub(super) fn strike_reported(&mut self, now: Millis, no: WorkerNo, seqs: &[u64]) {
        let Some(worker) = self.workers.get_mut(&no) else { return };
        let back = |seq: &u64| worker.ledger.entry(*seq).is_some_and(|entry| entry.given_back);
        let (back, over): (Vec<u64>, Vec<u64>) = seqs.iter().copied().partition(back);
        worker.past.ever_started |= !back.is_empty();
        self.strike(now, no, &over, JobEnd::Finished);
        self.strike(now, no, &back, JobEnd::Requeued);
    }

    /// Strikes out what a ledger does not keep any more.
    pub(super) fn strike_surplus(&mut self, now: Millis, no: WorkerNo) {
        while let Some(seq) = self.workers.get_mut(&no).and_then(|worker| surplus(worker, now)) {
            self.strike(now, no, &[seq], JobEnd::Finished);
        }
    }
}

/// The broker has confirmed so many ends.
fn note_ends(conn: &mut Conn, worker: &mut Worker, outcome: Outcome, number: u64) {
    match outcome {
        Outcome::Finished => (conn.acks, worker.past.acks) = (conn.acks + number, worker.past.acks + number),
        // they may have begun, and need not have
        Outcome::Requeued => worker.past.runs_ahead = true,
    }
}

fn note_delivery(conn: &mut Conn, worker: &mut Worker, entry: &mut Entry, declared: &GlobSet) {
    conn.deliveries += 1;
    worker.past.deliveries += 1;
    if conn.is_acknowledging() {
        entry.acknowledged = true;
        return;
    }
    worker.past.unkept = true;
    let blocking = conn.fetches.blocking() > 0;
    if blocking && !conn.delivering {
        conn.delivering = true;
        worker.sums.delivering += 1;
    }
    entry.polled = !blocking;
    worker.past.polled += u64::from(entry.polled && worker.system.tells_nothing());
    let silent = worker.system.tells_nothing() || worker.system == System::Taskiq;
    worker.past.undeclared += u64::from(silent && !worker.last_queue.is_declared(&entry.job.queue, declared));
}

/// What has to be dropped so that a ledger without any known end does not grow for ever. A Celery job that may still be
/// acknowledged is never dropped, and a drop is never forgotten.
fn surplus(worker: &mut Worker, now: Millis) -> Option<u64> {
    if !worker.is_full() {
        return None;
    }
    let (oldest, oldest_started) = worker.ledger.oldest_of_all();
    let seq = if worker.system == System::Celery { oldest_started } else { oldest }?;
    worker.past.untracked += 1;
    if !matches!(worker.system, System::Celery | System::Sidekiq) {
        worker.adopt(Adopted::Unseen, now);
    }
    Some(seq)
}

impl Worker {
    /// There is more in its ledger than is kept.
    fn is_full(&self) -> bool {
        match self.system {
            System::Celery => self.ledger.started() > STARTED_LIMIT,
            _ if self.past.unkept => self.ledger.len() > LEDGER_LIMIT,
            _ => self.ledger.len() > ACKNOWLEDGED_LIMIT,
        }
    }
}
