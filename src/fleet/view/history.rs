//! What was, and what it says about what is to come: past jobs, workers that went away, estimates.

use super::JobView;
use crate::job::{Millis, Outcome, System, WorkerId};

/// A span of time as far as durations seen before can say, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// As likely longer as shorter.
    pub p50: Millis,
    /// Longer in one of twenty cases.
    pub p95: Millis,
}

/// How a job left a worker's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobEnd {
    /// Done, well or badly.
    Finished,
    /// It stands in its queue again.
    Requeued,
    /// It was put back where it came from: the worker had vanished before its last byte.
    Returned,
}

impl JobEnd {
    /// All of them, in the order of their declaration.
    pub const ALL: [JobEnd; 3] = [JobEnd::Finished, JobEnd::Requeued, JobEnd::Returned];

    /// The name in the API and the metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            JobEnd::Finished => "finished",
            JobEnd::Requeued => "requeued",
            JobEnd::Returned => "returned",
        }
    }
}

impl From<Outcome> for JobEnd {
    fn from(outcome: Outcome) -> JobEnd {
        match outcome {
            Outcome::Finished => JobEnd::Finished,
            Outcome::Requeued => JobEnd::Requeued,
        }
    }
}

/// A job that has left a worker's hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastJob {
    /// Id.
    pub id: String,
    /// Task name or class.
    pub name: String,
    /// Queue.
    pub queue: String,
    /// When it reached the worker.
    pub delivered_at: Millis,
    /// When the worker acknowledged it at its start, for systems that do so.
    pub started_at: Option<Millis>,
    /// When the gate learned that it was over.
    pub ended_at: Millis,
    /// How.
    pub end: JobEnd,
}

/// A worker that went away.
#[derive(Clone, Debug, PartialEq)]
pub struct Departure {
    /// The worker.
    pub worker: WorkerId,
    /// Its name at the end.
    pub name: String,
    /// Its job system.
    pub system: System,
    /// When its last connection was closed.
    pub at: Millis,
    /// With jobs in flight, or without a word on whether it had any while it was marked.
    pub lost: bool,
    /// What was in flight, the oldest first.
    pub jobs: Vec<JobView>,
    /// How many more there were.
    pub more: usize,
}

/// What went away since a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportView {
    /// From when.
    pub since: Millis,
    /// Till when.
    pub until: Millis,
    /// Since when there is anything written down.
    pub watched_since: Millis,
    /// Workers that left with nothing in flight.
    pub gone: usize,
    /// Those that were lost, the latest last.
    pub lost: Vec<Departure>,
}
