//! How long jobs take: the last durations seen, by queue and name, and what they say about those still in flight.

use super::Fleet;
use super::index::Index;
use super::ledger::{Entry, Stage};
use super::ring::Ring;
use super::view::{DrainWorker, Estimate, InFlight};
use super::worker::Worker;
use crate::job::{Job, Millis};
use std::sync::Arc;

/// Durations kept of one kind of job.
const SAMPLES: usize = 128;
/// Fewer say nothing.
const ENOUGH: usize = 5;
/// Kinds of jobs remembered; the one not seen for longest goes first.
const KINDS: usize = 1_024;

/// The last durations of one kind of job, in milliseconds.
#[derive(Clone, Debug)]
struct Kind {
    queue: Arc<str>,
    name: String,
    millis: Ring<Millis, SAMPLES>,
    last: Millis,
}

impl Kind {
    fn has(&self, job: &Job) -> bool {
        // jobs of one consumer share the name of their queue
        (Arc::ptr_eq(&self.queue, &job.queue) || self.queue == job.queue) && self.name == job.name
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Durations {
    kinds: Vec<Kind>,
    index: Index,
    /// Most jobs are of the kind of the one before.
    latest: usize,
}

/// When the job began, as far as the gate can know: when it was acknowledged at its start, else when it came (a delayed
/// one: when it came due). A prefetched job waits in between, so what is learned is rather too long than too short.
fn began(entry: &Entry) -> Millis {
    match entry.stage {
        Stage::Started => entry.acked_at.max(entry.at),
        Stage::Delivered | Stage::Taken => entry.at.max(entry.job.eta.unwrap_or(0)),
    }
}

impl Durations {
    /// A job has finished.
    pub(super) fn note(&mut self, now: Millis, entry: &Entry) {
        if entry.stage == Stage::Taken || entry.restored {
            return;
        }
        let at = self.find(&entry.job).unwrap_or_else(|| self.make(&entry.job));
        self.latest = at;
        let kind = &mut self.kinds[at];
        kind.millis.push(now.saturating_sub(began(entry)));
        kind.last = now;
    }

    #[inline(always)]
    fn find(&self, job: &Job) -> Option<usize> {
        let has = |at: &usize| self.kinds.get(*at).is_some_and(|kind| kind.has(job));
        if has(&self.latest) {
            return Some(self.latest);
        }
        self.index.get(self.hash(&job.queue, &job.name)).iter().map(|at| *at as usize).find(has)
    }

    fn hash(&self, queue: &str, name: &str) -> u64 {
        self.index.of_text(queue).rotate_left(1) ^ self.index.of_text(name)
    }

    fn make(&mut self, job: &Job) -> usize {
        let kind = Kind { queue: job.queue.clone(), name: job.name.clone(), millis: Ring::default(), last: 0 };
        let oldest = self.kinds.iter().enumerate().min_by_key(|(_, kind)| kind.last).map(|(at, _)| at);
        let at = match oldest {
            Some(at) if self.kinds.len() >= KINDS => {
                let old = std::mem::replace(&mut self.kinds[at], kind);
                self.index.remove(self.hash(&old.queue, &old.name), at as u64);
                at
            }
            _ => {
                self.kinds.push(kind);
                self.kinds.len() - 1
            }
        };
        self.index.insert(self.hash(&job.queue, &job.name), at as u64);
        at
    }

    /// What is left for a job that has run for `elapsed`, among those seen that took longer. `None`: too few to say, or
    /// it takes longer than any before.
    fn left(&self, entry: &Entry, elapsed: Millis) -> Option<Estimate> {
        let samples = &self.kinds[self.find(&entry.job)?].millis;
        if samples.len() < ENOUGH {
            return None;
        }
        let mut longer: Vec<Millis> = samples.iter().filter_map(|took| took.checked_sub(elapsed)).collect();
        longer.sort_unstable();
        let at = |percent: usize| longer.get((longer.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        Some(Estimate { p50: at(50)?, p95: at(95)? })
    }
}

impl Fleet {
    /// How long it will take until this worker has nothing in flight, delayed jobs left aside. `None`: nothing is, or it
    /// cannot be said.
    pub(super) fn estimate(&self, worker: &Worker, known: InFlight, now: Millis) -> Option<Estimate> {
        if !works(known) || worker.ended.is_some() {
            return None;
        }
        let mut total = Estimate { p50: 0, p95: 0 };
        let mut waiting = Estimate { p50: 0, p95: 0 };
        let mut running = known.running as usize;
        for (_, entry) in worker.ledger.iter().filter(|(_, entry)| !entry.is_delayed(now)) {
            if entry.stage == Stage::Started || running > 0 {
                running = running.saturating_sub(1);
                let left = self.durations.left(entry, now.saturating_sub(began(entry)))?;
                total = Estimate { p50: total.p50.max(left.p50), p95: total.p95.max(left.p95) };
            } else {
                let whole = self.durations.left(entry, 0)?;
                waiting = Estimate { p50: waiting.p50 + whole.p50, p95: waiting.p95 + whole.p95 };
            }
        }
        // those that wait are spread over the threads that are at work
        let threads = Millis::from(known.running.max(1));
        Some(Estimate { p50: total.p50 + waiting.p50 / threads, p95: total.p95 + waiting.p95 / threads })
    }
}

/// The estimate of workers that finish side by side: that of the slowest, and none if that of one cannot be said.
pub(super) fn slowest(workers: &[DrainWorker]) -> Option<Estimate> {
    let mut all: Option<Estimate> = None;
    for worker in workers.iter().filter(|worker| works(worker.in_flight)) {
        let one = worker.estimate?;
        let all = all.get_or_insert(one);
        *all = Estimate { p50: all.p50.max(one.p50), p95: all.p95.max(one.p95) };
    }
    all
}

fn works(jobs: InFlight) -> bool {
    jobs.running + jobs.prefetched > 0
}
