//! What was, and what it says about what is to come: past jobs, workers that went away, estimates.

use super::{Job, Time};
use crate::fleet::view::{Departure as DepartureView, Estimate as EstimateView, PastJob as PastJobView, ReportView};
use serde::{Deserialize, Serialize};

/// What durations seen before say about a span of time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// As likely longer as shorter, in seconds.
    pub p50_seconds: f64,
    /// Longer in one of twenty cases, in seconds.
    pub p95_seconds: f64,
}

/// A job that has left a worker's hands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastJob {
    /// The job system's id.
    pub id: String,
    /// Task name or class.
    pub name: String,
    /// Queue.
    pub queue: String,
    /// When it reached the worker.
    pub delivered_at: Time,
    /// When it was acknowledged at its start, for systems that do so.
    pub started_at: Option<Time>,
    /// When the gate learned that it was over.
    pub ended_at: Time,
    /// `finished`, `requeued` or `returned`.
    pub outcome: String,
}

/// `GET /v1/report`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// From when.
    pub since: Time,
    /// Till when.
    pub until: Time,
    /// Since when the gate has been writing down who went away; nothing is known of the time before.
    pub watched_since: Time,
    /// Workers that left with nothing in flight.
    pub gone: usize,
    /// Workers that were lost, the latest last.
    pub lost: Vec<Departure>,
}

/// A worker that was lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Departure {
    /// Id.
    pub worker: String,
    /// Its name at the end.
    pub name: String,
    /// Job system.
    pub system: String,
    /// When its last connection was closed.
    pub at: Time,
    /// What was in flight, the oldest first.
    pub jobs: Vec<Job>,
    /// How many more there were.
    pub more: usize,
}

impl From<EstimateView> for Estimate {
    fn from(view: EstimateView) -> Estimate {
        Estimate { p50_seconds: view.p50 as f64 / 1_000.0, p95_seconds: view.p95 as f64 / 1_000.0 }
    }
}

impl From<PastJobView> for PastJob {
    fn from(view: PastJobView) -> PastJob {
        PastJob {
            id: view.id,
            name: view.name,
            queue: view.queue,
            delivered_at: Time(view.delivered_at),
            started_at: view.started_at.map(Time),
            ended_at: Time(view.ended_at),
            outcome: view.end.as_str().to_owned(),
        }
    }
}

impl From<DepartureView> for Departure {
    fn from(view: DepartureView) -> Departure {
        Departure {
            worker: view.worker.0,
            name: view.name,
            system: view.system.as_str().to_owned(),
            at: Time(view.at),
            jobs: view.jobs.into_iter().map(Job::from).collect(),
            more: view.more,
        }
    }
}

impl From<ReportView> for Report {
    fn from(view: ReportView) -> Report {
        Report {
            since: Time(view.since),
            until: Time(view.until),
            watched_since: Time(view.watched_since),
            gone: view.gone,
            lost: view.lost.into_iter().map(Departure::from).collect(),
        }
    }
}
