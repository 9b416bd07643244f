//! One event of `GET /v1/events`.

use super::{Time, Word};
use crate::fleet::Notice;
use crate::fleet::view::WorkerState;
use crate::hub;
use serde::{Deserialize, Serialize};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Rises; `Last-Event-ID` resumes behind it.
    pub id: u64,
    /// When.
    pub at: Time,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened; the `event` says which.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// A worker was seen for the first time, or has got its name.
    WorkerSeen {
        /// Id.
        worker: String,
        /// Name.
        name: String,
        /// Job system.
        system: String,
    },
    /// A worker's state has changed.
    WorkerState {
        /// Id.
        worker: String,
        /// Name.
        name: String,
        /// Job system.
        system: String,
        /// Before.
        from: Word<WorkerState>,
        /// Now.
        to: Word<WorkerState>,
    },
    /// A worker went away with jobs in flight.
    WorkerLost {
        /// Id.
        worker: String,
        /// Name.
        name: String,
        /// Job system.
        system: String,
        /// The jobs, as `name[id]`.
        jobs: Vec<String>,
    },
    /// A drain was made.
    DrainCreated {
        /// Its name.
        drain: String,
        /// How many workers it marked.
        workers: usize,
    },
    /// A drain has ended.
    DrainEnded {
        /// Its name.
        drain: String,
        /// `lifted`, `expired` or `done`.
        how: String,
    },
    /// A queue was paused, or its pause renewed.
    QueuePaused {
        /// The queue as it was named.
        queue: String,
        /// When it ends by itself.
        until: Option<Time>,
        /// Why.
        reason: Option<String>,
    },
    /// A pause has ended.
    QueueResumed {
        /// The queue as it was named.
        queue: String,
        /// `lifted` or `expired`.
        how: String,
    },
    /// Events before the next one are not kept any more.
    Missed,
    /// One that this version does not know.
    #[serde(other)]
    Unknown,
}

impl What {
    /// The name of the event.
    pub fn name(&self) -> &'static str {
        match self {
            What::WorkerSeen { .. } => "worker_seen",
            What::WorkerState { .. } => "worker_state",
            What::WorkerLost { .. } => "worker_lost",
            What::DrainCreated { .. } => "drain_created",
            What::DrainEnded { .. } => "drain_ended",
            What::QueuePaused { .. } => "queue_paused",
            What::QueueResumed { .. } => "queue_resumed",
            What::Missed => "missed",
            What::Unknown => "unknown",
        }
    }
}

impl From<&hub::Event> for Time {
    fn from(event: &hub::Event) -> Time {
        Time(event.at)
    }
}

impl From<&hub::Event> for Event {
    fn from(event: &hub::Event) -> Event {
        Event { id: event.id, at: event.into(), what: What::from(&event.notice) }
    }
}

impl From<&Notice> for What {
    fn from(notice: &Notice) -> What {
        match notice {
            Notice::WorkerSeen { worker, name, system } => {
                What::WorkerSeen { worker: worker.0.clone(), name: name.clone(), system: system.as_str().to_owned() }
            }
            Notice::WorkerState { worker, name, system, from, to, .. } => What::WorkerState {
                worker: worker.0.clone(),
                name: name.clone(),
                system: system.as_str().to_owned(),
                from: Word(*from),
                to: Word(*to),
            },
            Notice::WorkerLost { worker, name, system, jobs } => What::WorkerLost {
                worker: worker.0.clone(),
                name: name.clone(),
                system: system.as_str().to_owned(),
                jobs: jobs.clone(),
            },
            Notice::DrainCreated { drain, workers } => What::DrainCreated { drain: drain.clone(), workers: *workers },
            Notice::DrainEnded { drain, how } => {
                What::DrainEnded { drain: drain.clone(), how: how.as_str().to_owned() }
            }
            Notice::QueuePaused { queue, until, reason } => {
                What::QueuePaused { queue: queue.clone(), until: until.map(Time), reason: reason.clone() }
            }
            Notice::QueueResumed { queue, how } => {
                What::QueueResumed { queue: queue.clone(), how: how.as_str().to_owned() }
            }
        }
    }
}
