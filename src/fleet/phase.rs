//! The phase machine of a worker, moved by events and by time.
//!
//! ```text
//! active ──mark──▶ draining ──no way left for a new job──▶ sealed ──nothing in flight, proven──▶ drained
//!                      ▲                                     │  ▲                                   │
//!                      └────────── a way opens again ────────┘  └──────── a job comes due ──────────┘
//! ```
//! `drained` is never stored: every question judges anew. Stored are only the seal (reports from before it are void) and
//! what was last told, to tell the next change.

use super::Fleet;
use super::boundary::{Effect, FleetSettings, Notice};
use super::conn::Mark;
use super::evidence::{FIRST_WORD, Verdict, acks, celery, judge, sidekiq};
use super::inquiry;
use super::ledger::Stage;
use super::presence::Away;
use super::seal::Seal;
use super::view::{JobEnd, WorkerState};
use super::worker::{Steady, Worker, WorkerNo};
use crate::job::{ConnId, Evidence, Millis, System};

/// Workers of the last hour can be looked at, and ended drains read.
pub(super) const HOUR: Millis = 3_600_000;

/// The state of a worker, judged by what `require` and `delayed_wait` ask for.
pub(super) fn state_of(worker: &Worker, verdict: &Verdict, require: Evidence, delayed_wait: bool) -> WorkerState {
    let clear = verdict.is_clear(delayed_wait);
    let known = clear && verdict.evidence >= require.max(Evidence::Inferred);
    let marked = worker.is_marked();
    if worker.ended.is_some() {
        return if known || (clear && !marked) { WorkerState::Gone } else { WorkerState::Lost };
    }
    if worker.conns.is_empty() && (known || (clear && !marked && !worker.is_awaited())) {
        return WorkerState::Gone;
    }
    match (marked, worker.seal, known) {
        (false, ..) => WorkerState::Active,
        (true, Seal::Open | Seal::Doubted, _) => WorkerState::Draining,
        (true, Seal::Sealed, false) => WorkerState::Sealed,
        (true, Seal::Sealed, true) => WorkerState::Drained,
    }
}

impl Fleet {
    /// Judges a worker anew after something has changed: seal, state, timer.
    pub(super) fn settle(&mut self, now: Millis, no: WorkerNo) {
        self.settle_seal(now, no);
        self.vouch(now, no);
        let Some(worker) = self.workers.get(&no) else { return };
        if inquiry::due(worker, now).is_some_and(|at| at <= now) {
            self.inquire(now, no);
        }
        let settings = &self.settings;
        let Some(worker) = self.workers.get_mut(&no) else { return };
        let verdict = judge(worker, settings, now);
        let state = state_of(worker, &verdict, settings.require, false);
        let told = (worker.state, state);
        worker.remember(now, &verdict, state);
        let drained =
            worker.drains.iter().filter_map(|drain| self.drains.get(drain)).any(|drain| {
                state_of(worker, &verdict, drain.require, drain.request.delayed_wait) == WorkerState::Drained
            });
        worker.was_drained |= drained || state == WorkerState::Drained;
        let deadline = worker.deadline(now, settings);
        self.arm(no, deadline);
        if told.0 != told.1 {
            self.tell_state(now, no, told);
        }
    }

    fn tell_state(&mut self, now: Millis, no: WorkerNo, (from, to): (WorkerState, WorkerState)) {
        let Some(worker) = self.workers.get_mut(&no) else { return };
        worker.state = to;
        if !worker.is_listed() {
            return;
        }
        let since_mark = worker.marked_at.map(|at| now.saturating_sub(at));
        let (id, name, system) = (worker.id.clone(), worker.name(), worker.system);
        self.effects.push(Effect::Notice(Notice::WorkerState { worker: id, name, system, from, to, since_mark }));
        self.journal_state(now, no, to);
    }

    fn arm(&mut self, no: WorkerNo, deadline: Option<Millis>) {
        let Some(worker) = self.workers.get_mut(&no) else { return };
        if worker.timer == deadline {
            return;
        }
        if let Some(at) = worker.timer {
            self.timers.remove(&(at, no));
        }
        worker.timer = deadline;
        if let Some(at) = deadline {
            self.timers.insert((at, no));
        }
    }

    pub(super) fn first_deadline(&self) -> Option<Millis> {
        let worker = self.timers.first().map(|(at, _)| *at);
        let drain = self.drains.values().filter_map(|drain| drain.expires_at).min();
        let trial = self.drains.values().filter_map(|drain| drain.trials.values().min().copied()).min();
        let archive = self.archive.front().map(|ended| ended.at.saturating_add(HOUR));
        [worker, drain, trial, archive, self.pauses.first_end()].into_iter().flatten().min()
    }

    pub(super) fn time_passed(&mut self, now: Millis) {
        while let Some((at, no)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, no));
            if let Some(worker) = self.workers.get_mut(&no) {
                worker.timer = None;
            }
            self.worker_due(now, no);
        }
        self.drains_due(now);
        self.pauses_due(now);
    }

    fn worker_due(&mut self, now: Millis, no: WorkerNo) {
        let Some(worker) = self.workers.get(&no) else { return };
        if let Some(ended) = worker.ended {
            if now >= ended.at.saturating_add(HOUR) && worker.drains.is_empty() {
                return self.forget(no);
            }
            return self.settle(now, no);
        }
        self.vouch(now, no);
        let Some(worker) = self.workers.get(&no) else { return };
        let over = |away: Away| now >= away.since.saturating_add(self.settings.forget_after);
        if worker.away.is_some_and(over) {
            if !worker.is_marked() {
                // the report of losses goes by results; for a drain they prove nothing
                let stored = worker.ledger.select(|entry| entry.stage == Stage::Started && entry.result);
                self.strike(now, no, &stored, JobEnd::Finished);
            }
            let Some(worker) = self.workers.get(&no) else { return };
            let verdict = judge(worker, &self.settings, now);
            let lost = state_of(worker, &verdict, self.settings.require, false) != WorkerState::Gone;
            if lost && worker.is_listed() {
                self.tell_lost(no);
            }
            return self.end(now, no, lost);
        }
        if let Some(id) = worker.conns.first().copied().filter(|_| worker.system == System::Sidekiq) {
            self.note_pattern(now, id);
        }
        self.settle(now, no);
    }

    fn tell_lost(&mut self, no: WorkerNo) {
        let Some(worker) = self.workers.get(&no) else { return };
        let jobs =
            worker.ledger.iter().filter(|(_, entry)| !entry.given_back).map(|(_, entry)| entry.label()).collect();
        let notice = Notice::WorkerLost { worker: worker.id.clone(), name: worker.name(), system: worker.system, jobs };
        self.effects.push(Effect::Notice(notice));
    }

    // ── marks ──

    /// Sets the marks of all connections of a worker as its drains say.
    pub(super) fn refresh_marks(&mut self, now: Millis, no: WorkerNo) {
        let Some(worker) = self.workers.get_mut(&no) else { return };
        let marked = worker.is_marked();
        match (marked, worker.marked_at) {
            (true, None) => worker.marked_at = Some(now),
            (false, Some(_)) => {
                worker.marked_at = None;
                worker.was_drained = false;
            }
            _ => {}
        }
        let conns: Vec<ConnId> = worker.conns.iter().copied().collect();
        for id in conns {
            self.set_mark(id, marked);
        }
        self.count_open(no);
        if marked {
            self.journal_worker(no);
        }
        self.settle(now, no);
    }

    pub(super) fn set_mark(&mut self, id: ConnId, marked: bool) {
        let confirmed = !self.settings.confirm_marks;
        let Some(conn) = self.conns.get_mut(&id).filter(|conn| conn.mark.is_some() != marked) else { return };
        let new = marked.then_some(Mark { since_birth: false, confirmed });
        let old = std::mem::replace(&mut conn.mark, new);
        if let Some(worker) = self.workers.get_mut(&conn.worker) {
            let unconfirmed = |mark: Option<Mark>| usize::from(mark.is_some_and(|mark| !mark.confirmed));
            worker.sums.unconfirmed = (worker.sums.unconfirmed + unconfirmed(new)).saturating_sub(unconfirmed(old));
        }
        self.effects.push(Effect::Mark(id, marked));
    }

    /// The gate of this connection has taken its mark over.
    pub(super) fn confirmed(&mut self, id: ConnId) {
        let Some((conn, worker)) = self.pair(id) else { return };
        if let Some(mark) = conn.mark.as_mut().filter(|mark| !mark.confirmed) {
            mark.confirmed = true;
            worker.sums.unconfirmed = worker.sums.unconfirmed.saturating_sub(1);
        }
    }
}

impl Worker {
    fn remember(&mut self, now: Millis, verdict: &Verdict, state: WorkerState) {
        let pattern = self.system != System::Celery;
        if pattern && !self.conns.is_empty() && verdict.waiting_all == 0 && verdict.evidence > Evidence::Unknown {
            self.prove(verdict.evidence);
        }
        if !self.is_marked() || (!pattern && verdict.waiting > 0) {
            self.was_drained = false;
        }
        let steady = Steady {
            sealed: self.seal == Seal::Sealed,
            clear: verdict.is_clear(false),
            clear_of_delayed: verdict.is_clear(true),
            evidence: Some(verdict.evidence),
            since: self.steady.since,
        };
        if steady != self.steady || state == WorkerState::Active {
            self.steady = Steady { since: now, ..steady };
        }
    }

    /// When time alone will change what can be said of it.
    fn deadline(&self, now: Millis, settings: &FleetSettings) -> Option<Millis> {
        let (forget_after, margin) = (settings.forget_after, settings.delayed_margin);
        if let Some(ended) = self.ended {
            let due = ended.at.saturating_add(HOUR);
            return Some(if due > now { due } else { now.saturating_add(HOUR) });
        }
        let closed = self.away.map(|away| away.since.saturating_add(forget_after));
        if !self.is_marked() {
            return closed;
        }
        let is_celery = self.system == System::Celery;
        let nil = self.past.nils.first_end(now).filter(|_| !is_celery);
        let due = self.ledger.first_due_after(now.saturating_add(margin)).map(|eta| eta - margin);
        let mute = (is_celery && celery::never_heard(self)).then(|| self.since.saturating_add(celery::FIRST_BEAT));
        let quiet = acks::quiet_at(self);
        let unheard = self.is_unheard(now).then(|| self.since.saturating_add(FIRST_WORD));
        let ask = inquiry::due(self, now);
        let patience = inquiry::patience(self);
        let crowded = sidekiq::crowded_until(self);
        let alone = Some(self.shared_until);
        let moments = [nil, due, mute, quiet, unheard, ask, patience, crowded, alone];
        moments.into_iter().flatten().filter(|at| *at > now).chain(closed).min()
    }
}
