//! Sidekiq: no acks at all, so running = threads − fetches outstanding or held of the whole process,
//! cross-checked with `busy` and the work hash of heartbeats that arrived after the seal and the last delivery.
//!
//! With C threads, F blocking fetches outstanding and N fetches that ended empty a moment ago and were not asked again,
//! nothing is in flight if F + N = C. A process that was quieted or whose threads are in their error back-off never
//! comes to that; two heartbeats then decide.

use super::{Doubt, Verdict};
use crate::fleet::life::Life;
use crate::fleet::whole::Adopted;
use crate::fleet::worker::Worker;
use crate::job::{Evidence, Millis, System};
use std::collections::VecDeque;

/// Heartbeats kept.
const BEATS: usize = 4;
/// How far two heartbeats must be apart to judge alone.
const APART: Millis = 4_000;
/// So long a job may be under way to its thread: Sidekiq 6 waits seven seconds for the answer to its fetch, 7 and 8 five.
const UNDER_WAY: Millis = 7_000;
/// A heartbeat that arrives so long after an event was composed after it.
const COMPOSED: Millis = 1_000;
/// So long after a thread has begun to ask on a new connection its fetch on one that it has given up may still count: its
/// answer is due after two seconds, and see below. What is under way may arrive so much later.
const GIVEN_UP: Millis = 15_000;
/// So long a fetch that ended empty still counts as an idle thread.
pub(in crate::fleet) const NIL_LASTS: Millis = 5_000;

/// One heartbeat.
#[derive(Clone, Copy, Debug)]
struct Beat {
    arrival: Millis,
    beat: Option<Millis>,
    busy: Option<u32>,
    /// Whether the work hash that belongs to it was empty; `None` until it is known.
    empty: Option<bool>,
    epoch: u64,
}

impl Beat {
    /// How far its arrival was behind its own time, in milliseconds.
    fn behind(&self) -> Option<i64> {
        self.arrival.checked_signed_diff(self.beat?)
    }

    fn is_idle_in(&self, epoch: u64) -> bool {
        self.epoch == epoch && self.busy == Some(0) && self.empty == Some(true)
    }
}

/// What one Sidekiq process said.
#[derive(Clone, Debug, Default)]
pub(in crate::fleet) struct SidekiqVoice {
    pub(in crate::fleet) concurrency: Option<u32>,
    /// It has stopped in good order: its threads have ended, nothing was delivered since and no heartbeat shows work.
    pub(in crate::fleet) left: bool,
    beats: VecDeque<Beat>,
    /// A work hash that came ahead of its heartbeat: when, and whether it was empty.
    early_work: Option<(Millis, bool)>,
    /// When the last work hash came.
    last_work: Option<Millis>,
}

impl SidekiqVoice {
    /// The life goes over to another worker, whose epochs are others.
    pub(in crate::fleet) fn moved(&mut self) {
        self.beats.clear();
    }

    /// Writes a heartbeat down. Returns whether it voids a goodbye.
    pub(in crate::fleet) fn push(&mut self, now: Millis, busy: Option<u32>, beat: Option<Millis>, epoch: u64) -> bool {
        let fresh = |work: &(Millis, bool)| work.0.saturating_add(COMPOSED) >= now;
        let empty = self.early_work.take().filter(fresh).map(|(_, empty)| empty);
        if self.beats.len() == BEATS {
            self.beats.pop_front();
        }
        self.beats.push_back(Beat { arrival: now, beat, busy, empty, epoch });
        self.shows(busy == Some(0))
    }

    /// Writes a work hash down: it belongs to the heartbeat that follows, or to one that has just come without.
    /// Returns when the hash before it came, and whether it voids a goodbye.
    pub(in crate::fleet) fn push_work(&mut self, now: Millis, empty: bool) -> (Option<Millis>, bool) {
        match self.beats.back_mut() {
            Some(beat) if beat.empty.is_none() && beat.arrival.saturating_add(COMPOSED) >= now => {
                beat.empty = Some(empty);
            }
            _ => self.early_work = Some((now, empty)),
        }
        (self.last_work.replace(now), self.shows(empty))
    }

    /// A heartbeat shows that it has work or none: one that has stopped has none.
    fn shows(&mut self, idle: bool) -> bool {
        let back = self.left && !idle;
        self.left &= idle;
        back
    }

    /// The newest heartbeat is idle and was surely composed after the event that began the epoch.
    fn confirms(&self, epoch: u64, since: Millis) -> bool {
        let Some(newest) = self.beats.back().filter(|beat| beat.is_idle_in(epoch)) else { return false };
        let late = newest.arrival >= since.saturating_add(COMPOSED);
        late || self.beats.iter().filter(|beat| beat.is_idle_in(epoch)).count() >= 2
    }

    /// The newest heartbeat was not composed before, if the quickest one came at once.
    fn composed_at(&self) -> Option<Millis> {
        let newest = self.beats.back()?;
        let delay = newest.behind()?.saturating_sub(self.beats.iter().filter_map(Beat::behind).min()?);
        newest.arrival.checked_sub_signed(delay)
    }

    /// Two idle heartbeats, far enough apart by the gate's clock and rising by the process's own. The newest was composed
    /// when a job that was delivered at `since` had come to its thread.
    fn decides(&self, epoch: u64, since: Millis) -> bool {
        let Some(newest) = self.beats.back().filter(|beat| beat.is_idle_in(epoch)) else { return false };
        let late = self.composed_at().is_some_and(|at| at >= since.saturating_add(UNDER_WAY));
        late && self.beats.iter().filter(|beat| beat.is_idle_in(epoch)).any(|first| {
            newest.arrival >= first.arrival.saturating_add(APART) && first.beat.is_some() && newest.beat > first.beat
        })
    }
}

/// Threads of all live processes that have not stopped; `None` while one has not told.
pub(in crate::fleet) fn threads(worker: &Worker) -> Option<usize> {
    let mut sum = None;
    for life in worker.live().filter(|life| !has_left(life)) {
        sum = Some(sum.unwrap_or(0) + life.sidekiq()?.concurrency? as usize);
    }
    sum
}

/// All its processes have stopped in good order.
pub(in crate::fleet) fn have_all_left(worker: &Worker) -> bool {
    !worker.lives.is_empty() && worker.live().all(has_left)
}

/// Until when two fetches may be one thread's: each waits for its answer on a connection of its own, so of more connections
/// than threads one may have been given up. Its last fetch, and its end, may arrive after the thread has asked again.
pub(in crate::fleet) fn crowded_until(worker: &Worker) -> Option<Millis> {
    let crowded = worker.system == System::Sidekiq && threads(worker).is_some_and(|c| worker.sums.waiters > c);
    worker.past.newest_waiter.filter(|_| crowded).map(|since| since.saturating_add(GIVEN_UP))
}

fn has_left(life: &Life) -> bool {
    life.sidekiq().is_some_and(|voice| voice.left)
}

/// Something was delivered: whoever had stopped has begun again.
pub(in crate::fleet) fn delivered(worker: &mut Worker) {
    for voice in worker.lives.iter_mut().filter_map(Life::sidekiq_mut) {
        voice.left = false;
    }
}

/// Notes that all threads are idle at this moment, if they are: what was displayed as running is over.
pub(in crate::fleet) fn note_zero(worker: &mut Worker, now: Millis) -> bool {
    let known = worker.ledger.taken() == 0 && !worker.gap && crowded_until(worker).is_none_or(|until| now >= until);
    let zero = known && threads(worker).is_some_and(|c| c > 0 && worker.idle_threads(now) == c);
    if zero {
        worker.prove(Evidence::Inferred);
    }
    zero
}

/// See [`super::judge`].
pub(super) fn judge(worker: &Worker, now: Millis) -> Verdict {
    let mut verdict = judge_threads(worker, now);
    verdict.add_running(worker.ledger.taken());
    verdict
}

fn judge_threads(worker: &Worker, now: Millis) -> Verdict {
    let untouched = worker.is_whole() && worker.past.deliveries == 0;
    if untouched {
        return Verdict::idle(Evidence::Exact);
    }
    let entries = worker.ledger.len() - worker.ledger.taken();
    if worker.conns.is_empty() {
        return match worker.proof {
            Some(evidence) => Verdict::idle(evidence),
            None => Verdict::running(entries, Evidence::Unknown),
        };
    }
    if worker.gap {
        return Verdict::running(entries.max(1), Evidence::Unknown).doubt(Doubt::Gap);
    }
    if have_all_left(worker) {
        let verdict = Verdict::running(entries, Evidence::Reported);
        return if entries == 0 { verdict } else { verdict.doubt(Doubt::Refused(entries)) };
    }
    let Some(threads) = threads(worker).filter(|threads| *threads > 0) else {
        let verdict = Verdict::running(entries, Evidence::Unknown);
        return match worker.adopted().filter(|_| worker.lives.is_empty()) {
            Some(why) if why != Adopted::Unseen => verdict.doubt(Doubt::Adopted(why, System::Sidekiq)),
            _ => verdict.doubt(Doubt::NoConcurrency),
        };
    };
    let idle = worker.idle_threads(now);
    if idle > threads {
        return Verdict::idle(Evidence::Unknown).doubt(Doubt::TooManyFetches);
    }
    if all(worker, |voice| voice.decides(worker.epoch.no, worker.epoch.at)) {
        return Verdict::idle(Evidence::Reported);
    }
    if idle < threads {
        return Verdict::running(threads - idle, Evidence::Inferred);
    }
    if crowded_until(worker).is_some_and(|until| now < until) {
        return Verdict::idle(Evidence::Unknown).doubt(Doubt::ReportDue);
    }
    let confirmed = all(worker, |voice| voice.confirms(worker.epoch.no, worker.epoch.at));
    Verdict::idle(if confirmed { Evidence::Reported } else { Evidence::Inferred })
}

fn all(worker: &Worker, test: impl Fn(&SidekiqVoice) -> bool) -> bool {
    worker.live().filter(|life| !has_left(life)).all(|life| life.sidekiq().is_some_and(&test))
}
