//! Celery: an ack means *started*, so only the worker itself can say that it is idle: when it is asked ([`inquiry`]), or
//! by its heartbeats, if it cannot be asked.
//!
//! What a heartbeat proves is told in [`super::voice`].

use super::voice::CeleryVoice;
use super::{Doubt, Verdict, cut_mid_job};
use crate::fleet::boundary::FleetSettings;
use crate::fleet::inquiry;
use crate::fleet::ledger::{Entry, Ledger, Stage};
use crate::fleet::life::Life;
use crate::fleet::view::InFlight;
use crate::fleet::worker::Worker;
use crate::job::{Evidence, Millis};

/// So long after its first sight a worker without any heartbeat is taken to send none.
pub(in crate::fleet) const FIRST_BEAT: Millis = 10_000;
/// A worker's clock may be ahead of the gate's by so much.
const CLOCK_SKEW: Millis = 60_000;

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
        && !inquiry::conceals(worker)
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
    let mute = (silent && !inquiry::speaks(worker, now)) || inquiry::conceals(worker);

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
    if inquiry::conceals(worker) {
        verdict.evidence = Evidence::Unknown;
        verdict.doubts.push(Doubt::Conceals);
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
