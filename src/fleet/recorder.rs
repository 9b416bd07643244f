//! The flight recorder: the last jobs of each worker, and which workers went away with what in their hands. It alone
//! answers "what did our last deploy kill?", for people who never drain. Never arguments, never results.

use super::Fleet;
use super::evidence::judge;
use super::ledger::{Entry, Stage, shown_id};
use super::ring::Ring;
use super::view::{Departure, JobEnd, PastJob, ReportView};
use super::worker::{Worker, WorkerNo};
use crate::job::{JobKey, Millis, Protocol};
use std::collections::VecDeque;

/// Jobs remembered of one worker.
const RECENT: usize = 20;
/// Workers that went away, remembered for the report.
const DEPARTURES: usize = 10_000;
/// Jobs named of one that was lost; the others are counted.
const NAMED: usize = 100;
/// How long they are remembered: a week.
const KEEP: Millis = 7 * 24 * 3_600_000;

/// The last jobs of one worker, the newest last.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent(Ring<Past, RECENT>);

/// As it was: a text is made of it where it is shown.
#[derive(Clone, Debug)]
struct Past {
    entry: Box<Entry>,
    ended_at: Millis,
    end: JobEnd,
}

impl Recent {
    /// A job has left the worker's hands. What its scheduler took to push on was no run of a job. Returned is what is
    /// forgotten with that.
    pub(super) fn note(&mut self, now: Millis, entry: Box<Entry>, end: JobEnd) -> Option<Box<Entry>> {
        if entry.stage == Stage::Taken {
            return Some(entry);
        }
        self.0.push(Past { entry, ended_at: now, end }).map(|oldest| oldest.entry)
    }

    /// Whether the job under this key is one of them, and was over.
    pub(super) fn has_ended(&self, key: &JobKey) -> bool {
        self.0.iter().any(|past| past.entry.job.key == *key && past.end != JobEnd::Returned)
    }

    /// Whether the job with this id is one of them, and was over before its result came at that time.
    pub(super) fn ended_before_result(&self, id: &str, at: Millis) -> bool {
        let early = |past: &Past| past.end == JobEnd::Finished && !past.entry.result && past.ended_at < at;
        self.0.iter().rev().find(|past| past.entry.job.id == id).is_some_and(early)
    }

    /// Another worker turned out to be the same.
    pub(super) fn join(&mut self, other: &mut Recent) {
        let mut all = self.0.take();
        all.append(&mut other.0.take());
        all.sort_by_key(|job| job.ended_at);
        all.into_iter().for_each(|job| _ = self.0.push(job));
    }

    pub(super) fn view(&self) -> Vec<PastJob> {
        let view = |past: &Past| PastJob {
            id: shown_id(&past.entry.job),
            name: past.entry.job.name.clone(),
            queue: past.entry.job.queue.to_string(),
            delivered_at: past.entry.at,
            started_at: (past.entry.stage == Stage::Started).then_some(past.entry.acked_at),
            ended_at: past.ended_at,
            end: past.end,
        };
        self.0.iter().map(view).collect()
    }
}

/// The workers that went away, the latest last.
#[derive(Clone, Debug, Default)]
pub(super) struct Departures(VecDeque<Departure>);

impl Departures {
    pub(super) fn push(&mut self, departure: Departure) {
        let limit = departure.at.saturating_sub(KEEP);
        while self.0.len() == DEPARTURES || self.0.front().is_some_and(|first| first.at < limit) {
            self.0.pop_front();
        }
        self.0.push_back(departure);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Departure> {
        self.0.iter()
    }

    pub(super) fn last_mut(&mut self) -> Option<&mut Departure> {
        self.0.back_mut()
    }
}

impl Fleet {
    /// A worker that the fleet spoke of is over: it left with its hands empty, or it was lost.
    pub(super) fn departed(&mut self, now: Millis, no: WorkerNo, lost: bool) {
        let Some(worker) = self.workers.get(&no).filter(|worker| worker.is_listed() && worker.fetching) else { return };
        let at = worker.away.map_or(now, |away| away.since);
        let mut jobs =
            if lost { super::snapshot::jobs(worker, &judge(worker, &self.settings, now), at) } else { vec![] };
        let more = jobs.len().saturating_sub(NAMED);
        jobs.truncate(NAMED);
        let (worker, name, system) = (worker.id.clone(), worker.name(), worker.system);
        let departure = Departure { worker, name, system, at, lost, jobs, more };
        self.journal_departure(&departure);
        self.departures.push(departure);
    }

    /// What happened since `since`.
    pub(super) fn report_since(&self, now: Millis, since: Millis) -> ReportView {
        let within = self.departures.iter().filter(|departure| departure.at >= since);
        let (lost, gone): (Vec<&Departure>, Vec<&Departure>) = within.partition(|departure| departure.lost);
        ReportView {
            since,
            until: now,
            watched_since: self.watched_since,
            gone: gone.len(),
            lost: lost.into_iter().cloned().collect(),
        }
    }
}

impl Worker {
    /// Whether the broker still has what this worker has not acknowledged, and the job system hands it out again when the
    /// worker dies. (RQ's goes to its failed jobs; what is in a stream says so itself.)
    pub(super) fn broker_keeps_unacked(&self) -> bool {
        use crate::job::System;
        self.protocol == Protocol::Amqp
            || matches!(
                self.system,
                System::Celery | System::Dramatiq | System::Bullmq | System::Bull | System::Laravel | System::Asynq
            )
    }
}
