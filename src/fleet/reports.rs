//! What workers say about themselves, carried to the life that said it.

use super::Fleet;
use super::evidence::voice::Beat;
use super::evidence::{acks, celery, sidekiq};
use super::ledger::Stage;
use super::strays::Stray;
use super::view::JobEnd;
use super::whole::Adopted;
use super::worker::WorkerNo;
use crate::job::{ConnId, Evidence, JobKey, Millis, Report};

impl Fleet {
    pub(super) fn report(&mut self, now: Millis, id: ConnId, report: Report) {
        match report {
            Report::Celery { pid, active, processed, timestamp, period } => {
                let Some(life) = self.reporting_life(now, id, pid, processed) else { return };
                self.split_if_new(now, id, life);
                let beat = Beat { timestamp, arrival: now, active, processed, acks: 0, acks_before: 0, epoch: 0 };
                self.celery_beat(now, id, beat, period);
            }
            Report::Sidekiq { concurrency, busy, beat } => {
                let Some((epoch, no, voice)) = self.sidekiq_voice(id) else { return };
                let news = concurrency.is_some() && concurrency != voice.concurrency;
                voice.concurrency = concurrency.or(voice.concurrency);
                let back = voice.push(now, busy, beat, epoch);
                self.sidekiq_is_back(no, back);
                self.sidekiq_speaks(now, no, busy.is_some_and(|busy| busy > 0));
                self.note_pattern(now, id);
                if news {
                    self.journal_worker(no);
                }
            }
            Report::Lease { lasts, renewed } => {
                let Some((_, worker)) = self.pair(id) else { return };
                worker.past.lease.told(now, lasts, renewed);
            }
            Report::GaveUp => {
                let Some((_, worker)) = self.pair(id) else { return };
                worker.past.gave_up = true;
            }
            Report::LockLost(key) => {
                let Some((_, worker)) = self.pair(id) else { return };
                let no = worker.no;
                self.lock_lost(no, key);
            }
            Report::Idle => {
                self.said_idle(now, id);
                let Some((_, worker)) = self.pair(id) else { return };
                let (no, pending) = (worker.no, worker.key.is_pending());
                if pending && self.may_wait(no) {
                    self.keep_stray(no, Stray::Idle(id, now));
                }
            }
            Report::SidekiqWork { running } => self.sidekiq_work(now, id, &running),
            Report::SidekiqLeft { name } => {
                let Some((_, worker)) = self.pair(id) else { return };
                let no = worker.no;
                self.sidekiq_left(now, no, name, now);
            }
        }
    }

    fn said_idle(&mut self, now: Millis, id: ConnId) {
        let Some((_, worker)) = self.pair(id) else { return };
        let (no, over) = (worker.no, acks::idle(worker, id, now));
        self.strike(now, no, &over, JobEnd::Finished);
    }

    /// It said so at `at`, before it was known whose connection it is. What has come since may have begun.
    pub(super) fn was_idle(&mut self, now: Millis, id: ConnId, at: Millis) {
        let Some((_, worker)) = self.pair(id) else { return };
        if worker.ledger.iter().all(|(_, entry)| entry.at < at) {
            self.said_idle(now, id);
        }
    }

    pub(super) fn celery_beat(&mut self, now: Millis, id: ConnId, beat: Beat, period: Option<Millis>) {
        let Some((conn, worker)) = self.pair(id) else { return };
        let (no, life, acks, epoch) = (worker.no, conn.life, worker.past.acks, worker.epoch.no);
        let Some(index) = worker.lives.iter().position(|l| Some(l.no) == life) else { return };
        let Some(voice) = worker.lives[index].celery_mut() else { return };
        voice.period = period.filter(|period| *period > 0).unwrap_or(voice.period);
        voice.push(beat, acks, epoch);
        self.first_beats(now, no);
        let Some(worker) = self.workers.get_mut(&no) else { return };
        if beat.active == Some(0) {
            worker.inquiry.suggest(now);
        }
        match celery::weigh(worker, index, now) {
            celery::Finding::Nothing => {}
            celery::Finding::Busy(over) => self.strike(now, no, &over, JobEnd::Finished),
            celery::Finding::Idle(over) => {
                worker.past.untracked = 0;
                self.strike_reported(now, no, &over);
            }
        }
    }

    /// The end of a job was refused for its lock. If the worker has it twice, its end is told twice, and one of them would
    /// be taken for that of the other run.
    pub(super) fn lock_lost(&mut self, no: WorkerNo, key: JobKey) {
        let Some(worker) = self.workers.get_mut(&no) else { return };
        if worker.ledger.has_twice(&key) {
            worker.past.runs_twice = true;
            self.journal_worker(no);
        } else if self.may_wait(no) {
            self.keep_stray(no, Stray::LockLost(key));
        }
    }

    /// A process has written down what it is at. What it was given before it wrote that the last time, and does not name now,
    /// is over.
    fn sidekiq_work(&mut self, now: Millis, id: ConnId, running: &[String]) {
        let Some((_, no, voice)) = self.sidekiq_voice(id) else { return };
        let (before, back) = voice.push_work(now, running.is_empty());
        self.sidekiq_is_back(no, back);
        self.sidekiq_speaks(now, no, !running.is_empty());
        let Some(before) = before else { return };
        let Some(worker) = self.workers.get(&no).filter(|worker| worker.live().count() == 1) else { return };
        if running.iter().any(String::is_empty) {
            return;
        }
        let over = worker.ledger.select(|entry| {
            let listed = entry.acknowledged || running.contains(&entry.job.id);
            entry.stage == Stage::Delivered && entry.at < before && !listed
        });
        self.strike(now, no, &over, JobEnd::Finished);
    }

    /// A process says what it is doing: work that the gate has not handed to it is from before its time here.
    fn sidekiq_speaks(&mut self, now: Millis, no: WorkerNo, works: bool) {
        let Some(worker) = self.workers.get_mut(&no) else { return };
        worker.unvouched = false;
        if works && worker.past.deliveries == 0 && worker.is_whole() {
            worker.adopt(Adopted::MidLife, now);
        }
    }

    /// A process that had said goodbye shows work.
    fn sidekiq_is_back(&mut self, no: WorkerNo, back: bool) {
        if let Some(worker) = self.workers.get_mut(&no).filter(|_| back) {
            worker.proof = None;
            worker.was_drained = false;
        }
    }

    /// A process has stopped in good order, and said so at `at`: what is left of its jobs was finished, unless the broker did
    /// not take it back.
    pub(super) fn sidekiq_left(&mut self, now: Millis, no: WorkerNo, name: String, at: Millis) {
        let Some(worker) = self.workers.get_mut(&no) else { return };
        let mut known = false;
        for life in worker.lives.iter_mut().filter(|life| life.name == name) {
            known = true;
            if let Some(voice) = life.sidekiq_mut() {
                voice.left = true;
            }
        }
        if !known && self.may_wait(no) {
            return self.keep_stray(no, Stray::SidekiqLeft(name, at));
        }
        let Some(worker) = self.workers.get_mut(&no) else { return };
        if !sidekiq::have_all_left(worker) {
            return;
        }
        let over = worker.ledger.select(|entry| entry.stage == Stage::Delivered && !entry.refused);
        if over.len() == worker.ledger.len() {
            worker.prove(Evidence::Reported);
        }
        self.strike(now, no, &over, JobEnd::Finished);
    }

    /// The Sidekiq process that reports on this connection, with the worker's epoch. (Its name, which each heartbeat begins
    /// with, says when it was there last: what is told when the broker has answered may be told of one that has gone.)
    pub(super) fn sidekiq_voice(&mut self, id: ConnId) -> Option<(u64, WorkerNo, &mut sidekiq::SidekiqVoice)> {
        let (conn, worker) = self.pair(id)?;
        let only = worker.lives.first().filter(|_| worker.lives.len() == 1).map(|life| life.no);
        let no = conn.life.or(only)?;
        let (epoch, worker_no) = (worker.epoch.no, worker.no);
        worker.life_mut(no)?.sidekiq_mut().map(|voice| (epoch, worker_no, voice))
    }
}
