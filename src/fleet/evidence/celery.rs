//! Celery: an ack means *started*, so only the worker itself can say that it is idle: when it is asked ([`inquiry`]), or
//! by its heartbeats, if it cannot be asked.
//!
//! A heartbeat counts only if it was composed after the last event that could start a job. Two ways show that:
//! 1. *The counts match*: Celery raises `processed` before it sends the early ack. If `processed` rose since an earlier
//!    heartbeat by at least the acks seen since one that had come before that was composed, the heartbeat knows of every
//!    job that was started. (Not once the broker has taken jobs back: the pool may begin them, and no ack tells of it.)
//! 2. *Two heartbeats*, both arrived after the last such event, their own timestamps at least one period apart. The later
//!    one must not have been under way since before: a network that stands still for a while brings several at once.
//!
//! When a heartbeat was composed is told by how much later it came than the quickest one did. That one may have been under
//! way itself, but not for a period: if the network stood still from the very first on, the last that it brought was not.
//! (One alone may have been, if what kept it kept the next one, too: so two in a row must have come equally late.)

use super::{Doubt, Verdict, cut_mid_job};
use crate::fleet::boundary::FleetSettings;
use crate::fleet::inquiry;
use crate::fleet::ledger::{Entry, Ledger, Stage};
use crate::fleet::life::Life;
use crate::fleet::view::InFlight;
use crate::fleet::worker::{Epoch, Worker};
use crate::job::{ConnId, Evidence, Millis};
use std::collections::VecDeque;

/// Heartbeats kept; the match may have to reach behind the acks of the last few periods.
const BEATS: usize = 8;
/// Celery's default period.
pub(in crate::fleet) const PERIOD: Millis = 2_000;
/// So long after its first sight a worker without any heartbeat is taken to send none.
pub(in crate::fleet) const FIRST_BEAT: Millis = 10_000;
/// A worker's clock may be ahead of the gate's by so much.
const CLOCK_SKEW: Millis = 60_000;

/// One heartbeat.
#[derive(Clone, Copy, Debug)]
pub(in crate::fleet) struct Beat {
    pub(in crate::fleet) timestamp: Option<Millis>,
    pub(in crate::fleet) arrival: Millis,
    pub(in crate::fleet) active: Option<u32>,
    pub(in crate::fleet) processed: Option<u64>,
    /// The worker's acks at arrival.
    pub(in crate::fleet) acks: u64,
    /// And as of the arrival of the last heartbeat that had come before this one was composed: an ack that crosses a
    /// heartbeat on another connection is counted too often, never too rarely.
    pub(in crate::fleet) acks_before: u64,
    /// The worker's epoch at arrival.
    pub(in crate::fleet) epoch: u64,
}

impl Beat {
    /// How far its arrival was behind its timestamp, in milliseconds.
    fn behind(&self) -> Option<i64> {
        self.arrival.checked_signed_diff(self.timestamp?)
    }
}

/// What one life of a Celery worker said.
#[derive(Clone, Debug)]
pub(in crate::fleet) struct CeleryVoice {
    pub(in crate::fleet) pid: Option<u32>,
    pub(in crate::fleet) processed: Option<u64>,
    pub(in crate::fleet) period: Millis,
    /// The connection its heartbeats come on.
    pub(in crate::fleet) reporter: Option<ConnId>,
    pub(in crate::fleet) beats: VecDeque<Beat>,
    /// `processed` of its first heartbeat, until it was compared with what the gate delivered.
    pub(in crate::fleet) first_processed: Option<u64>,
    /// After a reconnect: `processed` must have come so far, or it is not the process that we knew.
    must_reach: u64,
    /// The epoch in which it was last found idle.
    idle_in: Option<u64>,
    /// The least that a heartbeat arrived behind its timestamp, in milliseconds: how far the clocks are apart, and the way.
    behind: Option<i64>,
    /// One of those so far was quick: two in a row came equally late, or as many as are kept came at their own pace.
    settled: bool,
}

impl Default for CeleryVoice {
    fn default() -> Self {
        CeleryVoice {
            pid: None,
            processed: None,
            period: PERIOD,
            reporter: None,
            beats: VecDeque::new(),
            first_processed: None,
            must_reach: 0,
            idle_in: None,
            behind: None,
            settled: false,
        }
    }
}

impl CeleryVoice {
    /// The heartbeats come on this connection now. On a new one they may be those of another process with the same pid
    /// (in containers it is often 1) and so few jobs that its count is no sign; the jobs that the old one started tell: of
    /// those that reached it behind its last heartbeat, none is in that one's count, and of others none if that was 0.
    /// `known`: the key vouches that it is the same process.
    pub(in crate::fleet) fn reported_by(&mut self, conn: ConnId, ledger: &Ledger, known: bool) {
        if !known
            && self.reporter.is_some_and(|reporter| reporter != conn)
            && let Some(last) = self.beats.back()
        {
            let counted = self.processed.unwrap_or(0);
            let behind = |entry: &Entry| entry.stage == Stage::Started && (counted == 0 || entry.at >= last.arrival);
            self.must_reach = self.must_reach.max(counted.saturating_add(ledger.select(behind).len() as u64));
        }
        self.reporter = Some(conn);
    }

    /// The life goes over to another worker, whose counts and epochs are others: what it said before is no base there.
    pub(in crate::fleet) fn moved(&mut self) {
        self.beats.clear();
        self.must_reach = 0;
        self.idle_in = None;
    }

    /// Writes a heartbeat down; `acks` and `epoch` are the worker's at this moment.
    pub(in crate::fleet) fn push(&mut self, beat: Beat, acks: u64, epoch: u64) {
        if self.beats.is_empty() {
            self.first_processed = beat.processed;
        }
        self.processed = beat.processed.or(self.processed);
        if self.beats.len() == BEATS {
            self.beats.pop_front();
        }
        self.beats.push_back(Beat { acks, epoch, ..beat });
        self.compare_clocks();
        let acks_before = self.known_to_newest().map_or(0, |beat| beat.acks);
        self.beats.back_mut().into_iter().for_each(|newest| newest.acks_before = acks_before);
    }

    /// What the newest heartbeat shows of the clocks. They may be set, or drift: then all those that are kept tell of it,
    /// unless they have been under way together.
    fn compare_clocks(&mut self) {
        let least = |beats: &VecDeque<Beat>| beats.iter().filter_map(Beat::behind).min();
        let (Some(first), Some(newest)) = (self.beats.front(), self.beats.back()) else { return };
        let span = newest.timestamp.unwrap_or(0).saturating_sub(first.timestamp.unwrap_or(0));
        let apart = newest.arrival.saturating_sub(first.arrival) >= span.saturating_sub(self.period / 2);
        let all = apart && self.beats.len() == BEATS;
        self.behind = match self.behind {
            Some(_) if all => least(&self.beats),
            known => known.into_iter().chain(newest.behind()).min(),
        };
        self.settled |= all || self.is_even();
    }

    /// The newest heartbeat and the one before it came as quickly as any.
    fn is_even(&self) -> bool {
        let two = self.newest().and_then(|(newest, mut earlier)| Some((newest, earlier.next()?)));
        let (Some(least), Some((newest, before))) = (self.behind, two) else { return false };
        let margin = i64::try_from(self.period / 8).unwrap_or(i64::MAX);
        let quick = |beat: &Beat| beat.behind().is_some_and(|behind| behind.saturating_sub(least) <= margin);
        let times = before.timestamp.zip(newest.timestamp);
        let apart = times.is_some_and(|(before, newest)| newest.saturating_sub(before) >= self.period / 2);
        quick(newest) && quick(before) && apart
    }

    /// How long the newest heartbeat was under way for longer than the quickest one.
    fn delay(&self) -> Millis {
        let newest = self.beats.back().and_then(Beat::behind);
        let delay = newest.zip(self.behind).map_or(0, |(newest, least)| newest.saturating_sub(least));
        u64::try_from(delay).unwrap_or(0)
    }

    /// The newest heartbeat was not composed before.
    fn not_before(&self) -> Option<Millis> {
        let newest = self.beats.back().filter(|newest| newest.timestamp.is_some() && self.settled)?;
        Some(newest.arrival.saturating_sub(self.delay().saturating_add(self.period)))
    }

    /// The last heartbeat that had come when the newest was composed.
    fn known_to_newest(&self) -> Option<&Beat> {
        let composed = self.not_before()?;
        self.newest()?.1.find(|beat| beat.arrival <= composed)
    }

    /// Way 1: the newest heartbeat knows of all `acks`.
    fn counts_match(&self, acks: u64) -> bool {
        let Some((newest, earlier)) = self.newest() else { return false };
        let Some(processed) = newest.processed else { return false };
        earlier.filter_map(|base| Some((base, base.processed?))).any(|(base, before)| {
            let risen = processed.checked_sub(before);
            risen.is_some_and(|risen| risen >= acks.saturating_sub(base.acks_before))
        })
    }

    /// Way 2: the newest heartbeat is the second idle one since the last event.
    fn is_second_idle(&self, epoch: Epoch) -> bool {
        let Some((newest, mut earlier)) = self.newest() else { return false };
        let idle = |beat: &Beat| beat.epoch == epoch.no && beat.active == Some(0);
        let apart = |beat: &Beat| {
            let both = beat.timestamp.zip(newest.timestamp);
            both.is_some_and(|(first, second)| second >= first.saturating_add(self.period))
        };
        let late = newest.epoch == epoch.no && self.not_before().is_some_and(|at| at >= epoch.at);
        late && earlier.any(|beat| idle(beat) && apart(beat))
    }

    /// So many jobs it has begun fewer than the process that it is taken for.
    fn behind_by(&self) -> u64 {
        self.processed.map_or(0, |processed| self.must_reach.saturating_sub(processed))
    }

    /// And those before it, the latest first.
    fn newest(&self) -> Option<(&Beat, impl Iterator<Item = &Beat>)> {
        let mut beats = self.beats.iter().rev();
        Some((beats.next()?, beats))
    }

    fn active(&self) -> usize {
        self.beats.back().and_then(|beat| beat.active).unwrap_or(0) as usize
    }
}

/// What the heartbeat that a life has just pushed proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fleet) enum Finding {
    /// Nothing.
    Nothing,
    /// The worker is idle: these entries are over.
    Idle(Vec<u64>),
    /// No more than so many jobs run: these entries are surely over.
    Busy(Vec<u64>),
}

/// Reads the newest heartbeat of the life at `index`, and remembers if it found the life idle.
pub(in crate::fleet) fn weigh(worker: &mut Worker, index: usize, now: Millis) -> Finding {
    let alone = worker.live().count() == 1 && all_are_heard(worker);
    let may_match = worker.is_whole() && !worker.past.runs_ahead && !may_start_silently(worker, now);
    let (epoch, acks) = (worker.epoch, worker.past.acks);
    let Some(voice) = worker.lives.get_mut(index).and_then(Life::celery_mut) else { return Finding::Nothing };
    if voice.beats.back().is_none_or(|beat| beat.active != Some(0)) {
        voice.idle_in = None;
        return if alone { Finding::Busy(surplus(worker, index)) } else { Finding::Nothing };
    }
    if voice.behind_by() > 0 {
        voice.idle_in = None;
        return Finding::Nothing;
    }
    if voice.is_second_idle(epoch) || (may_match && voice.counts_match(acks)) {
        voice.idle_in = Some(epoch.no);
    }
    if is_reported_idle(worker, now) { Finding::Idle(over(worker, now)) } else { Finding::Nothing }
}

/// A job that is in the worker's hands unacknowledged may be running although it was never acked (late ack): it raises
/// `processed` and would hide an early-acked one that the heartbeat does not know yet.
fn may_start_silently(worker: &Worker, now: Millis) -> bool {
    worker.ledger.unacked() > worker.ledger.due_after(now.saturating_add(CLOCK_SKEW))
}

/// Nobody runs jobs for it who sends no heartbeats, beside others behind its address who do.
pub(in crate::fleet) fn all_are_heard(worker: &Worker) -> bool {
    worker.live().count() >= inquiry::processes(worker)
}

/// Every process has been found idle since the last event that could start a job, and cannot be asked.
fn is_reported_idle(worker: &Worker, now: Millis) -> bool {
    let mut live = worker.live().peekable();
    live.peek().is_some()
        && !inquiry::will_tell(worker, now)
        && all_are_heard(worker)
        && live.all(|life| life.celery().is_some_and(|voice| voice.idle_in == Some(worker.epoch.no)))
}

/// The same, or they have said so when they were asked.
pub(in crate::fleet) fn is_known_idle(worker: &Worker, now: Millis) -> bool {
    is_reported_idle(worker, now) || inquiry::is_idle(worker)
}

/// Of those of its processes that send heartbeats one has come since then, and shows that it is the process we knew.
pub(in crate::fleet) fn are_heard_since(worker: &Worker, at: Millis) -> bool {
    let heard = |voice: &CeleryVoice| voice.beats.back().is_none_or(|last| last.arrival > at) && voice.behind_by() == 0;
    worker.live().filter_map(Life::celery).all(heard)
}

/// What an idle worker has finished: everything started, and what it had in hand before a gap and has not kept for
/// later.
fn over(worker: &Worker, now: Millis) -> Vec<u64> {
    worker.ledger.select(|entry| match entry.stage {
        Stage::Started => true,
        Stage::Delivered => entry.restored && entry.job.eta.is_none_or(|eta| eta <= now),
        Stage::Taken => false,
    })
}

/// Started entries beyond what a busy heartbeat says to be running, among those acknowledged before one that had come when
/// it was composed. Which of them are over cannot be known and does not matter: the number is right.
fn surplus(worker: &Worker, index: usize) -> Vec<u64> {
    let Some(voice) = worker.lives.get(index).and_then(Life::celery) else { return Vec::new() };
    let Some(active) = voice.beats.back().and_then(|newest| newest.active) else { return Vec::new() };
    let Some(base) = voice.known_to_newest() else { return Vec::new() };
    let started = |entry: &Entry| entry.stage == Stage::Started && entry.acked_at < base.arrival;
    let mut old = worker.ledger.select(started);
    // those whose result has passed go first, then the oldest
    old.sort_by_key(|seq| (!worker.ledger.entry(*seq).is_some_and(|entry| entry.result), *seq));
    old.truncate(old.len().saturating_sub(active as usize));
    old
}

/// See [`super::judge`].
pub(super) fn judge(worker: &Worker, settings: &FleetSettings, now: Millis) -> Verdict {
    let ledger = &worker.ledger;
    let active: usize = worker.live().map(|life| life.celery().map_or(0, CeleryVoice::active)).sum();
    let silent = never_heard(worker) && now >= worker.since.saturating_add(FIRST_BEAT);
    let mute = silent && !inquiry::speaks(worker, now);

    let unseen = active.saturating_sub(ledger.len());
    let mut verdict = Verdict::of_ledger(worker, settings, now, active);
    if mute {
        // started jobs of a worker that says nothing: not known to run, not known to be over
        verdict.drop_running(ledger.started());
    } else if worker.adopted().is_some() {
        // jobs from before the gap, known by their number only
        verdict.add_running(unseen);
    }
    let back =
        |at: Millis| worker.is_cut_off(at) && !worker.is_dead() && now < at.saturating_add(settings.forget_after);
    if worker.away.is_some_and(|away| !back(away.since)) {
        leave_out_given_back(&mut verdict, ledger, now, settings.delayed_margin);
    }
    // of late acks its pool goes on with what RabbitMQ took back when it lost its connection; who has left does not
    let may_go_on = !settings.celery_acks_late && (!worker.conns.is_empty() || worker.is_awaited());
    let goes_on = if may_go_on { unseen } else { 0 };
    add_evidence(&mut verdict, worker, now, mute, goes_on);
    verdict.doubts.extend(cut_mid_job(worker, now));
    verdict
}

/// What it had given back when it went by itself is in its queue, and nowhere else.
fn leave_out_given_back(verdict: &mut Verdict, ledger: &Ledger, now: Millis, margin: Millis) {
    let limit = now.saturating_add(margin);
    verdict.without_returned = true;
    for entry in ledger.iter().map(|(_, entry)| entry).filter(|entry| entry.given_back) {
        let InFlight { running, prefetched, delayed } = &mut verdict.in_flight;
        let counted = if entry.is_delayed(now) {
            delayed
        } else if *prefetched > 0 {
            prefetched
        } else {
            running
        };
        *counted = counted.saturating_sub(1);
        verdict.waiting_all = verdict.waiting_all.saturating_sub(1);
        verdict.waiting = verdict.waiting.saturating_sub(usize::from(!entry.is_delayed(limit)));
    }
}

fn add_evidence(verdict: &mut Verdict, worker: &Worker, now: Millis, mute: bool, goes_on: usize) {
    let started = worker.ledger.started() > 0 || worker.past.untracked > 0;
    if worker.is_whole() && !worker.past.ever_started && goes_on == 0 {
        verdict.declared = worker.past.declared;
        return;
    }
    if is_known_idle(worker, now) {
        verdict.evidence = Evidence::Reported;
        return;
    }
    if mute && started {
        verdict.evidence = Evidence::Unknown;
        verdict.doubts.push(Doubt::NoHeartbeat);
        return;
    }
    // jobs that are known to be in flight need no evidence; an empty ledger does
    verdict.evidence = if verdict.waiting > 0 { Evidence::Reported } else { Evidence::Unknown };
    if let Some(why) = worker.not_whole() {
        verdict.evidence = Evidence::Unknown;
        verdict.doubts.push(Doubt::Adopted(why, worker.system));
    } else {
        let unheard = || (!mute && !all_are_heard(worker)).then_some(Doubt::Unheard);
        let more = || (goes_on > 0 && has_spoken_since(worker)).then_some(Doubt::GoesOn(goes_on));
        let behind = worker.live().filter_map(Life::celery).map(CeleryVoice::behind_by).max().filter(|n| *n > 0);
        let behind = || behind.filter(|_| has_spoken_since(worker)).map(Doubt::Behind);
        let doubt = silence(worker, now).or_else(unheard).or_else(more).or_else(behind);
        verdict.doubts.push(doubt.unwrap_or(Doubt::ReportDue));
    }
}

/// Heartbeats have come from all its processes since the last event.
fn has_spoken_since(worker: &Worker) -> bool {
    let newest = |life: &Life| life.celery().and_then(|voice| voice.beats.back()).map(|beat| beat.epoch);
    worker.live().all(|life| newest(life) == Some(worker.epoch.no))
}

fn silence(worker: &Worker, now: Millis) -> Option<Doubt> {
    let newest = worker.live().filter_map(|life| {
        let voice = life.celery()?;
        let arrival = voice.beats.back()?.arrival;
        Some((arrival, arrival.saturating_add(voice.period.saturating_mul(3)).saturating_add(1_000)))
    });
    let (last, limit) = newest.min()?;
    (now > limit).then(|| Doubt::Silent { since: now - last })
}

/// No heartbeat has ever come from it.
pub(in crate::fleet) fn never_heard(worker: &Worker) -> bool {
    worker.lives.iter().all(|life| life.celery().is_none_or(|voice| voice.beats.is_empty()))
}
