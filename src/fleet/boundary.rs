//! What crosses the fleet's border: settings, peers and requests on the way in, answers, errors and effects on the way
//! out. Plain data; the server half (`hub`, `store`, `api`) knows the fleet by these types and by [`super::Fleet`].

use super::view;
use crate::job::{ConnId, Evidence, Millis, Protocol, System, WorkerId};
use crate::question::Question;
use crate::queue::PausedQueues;
use std::net::IpAddr;
use std::sync::Arc;

/// What the fleet needs to know of the configuration. Times in milliseconds.
#[derive(Clone, Debug)]
pub struct FleetSettings {
    /// TTL of a drain that names none (`drains.default_ttl`).
    pub default_ttl: Millis,
    /// How long a worker without a connection is remembered as present (`drains.forget_after`).
    pub forget_after: Millis,
    /// The evidence that `drained` needs if a drain does not say (`drains.require`).
    pub require: Evidence,
    /// Delayed jobs due later than this are ignored with `delayed = "ignore"` (`drains.delayed_margin`).
    pub delayed_margin: Millis,
    /// `[celery] acks = "late"`: every Celery ack is declared to come after the task.
    pub celery_acks_late: bool,
    /// `[celery] ask`: workers without heartbeats are asked, and their answers go to addresses with this nonce.
    pub asks: Option<u64>,
    /// `[gate] fetch`: keys that the operator declared to hold jobs. A worker of an unknown system that takes jobs only
    /// from them is believed when its fetch pattern says that it is idle.
    pub declared_fetch: globset::GlobSet,
    /// The pump tells with [`crate::job::JobEvent::MarkTaken`] when a connection's gate has taken its mark over, and no
    /// worker is sealed before. Without it a fetch judged in the very moment of the mark can slip behind the seal.
    pub confirm_marks: bool,
}

impl Default for FleetSettings {
    fn default() -> Self {
        FleetSettings {
            default_ttl: 12 * 3_600_000,
            forget_after: 60_000,
            require: Evidence::Inferred,
            delayed_margin: 600_000,
            celery_acks_late: false,
            asks: None,
            declared_fetch: globset::GlobSet::empty(),
            confirm_marks: false,
        }
    }
}

/// Where a connection comes from, as known at accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The listener's name.
    pub listener: Arc<str>,
    /// Whether the listener itself is the worker's identity (`identity = "listener"`, a sidecar).
    pub listener_is_identity: bool,
    /// What the connection speaks.
    pub protocol: Protocol,
    /// The peer's address (from the PROXY header where there is one).
    pub ip: IpAddr,
    /// The peer's port.
    pub port: u16,
    /// Whether the peer is on the gate's own host, so that its process is being looked up and
    /// [`super::Fleet::identified`] will follow.
    pub local: bool,
}

/// A process on the gate's own host. `(pid, started)` names one life of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Start time in the kernel's clock ticks since boot (`/proc/PID/stat`, field 22): a reused pid differs here.
    pub started: u64,
    /// The same as Unix time in milliseconds, to compare with the gate's own start.
    pub started_at: Millis,
}

/// Who closed a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedBy {
    /// The client closed it or went away.
    Client,
    /// The broker closed it, or could not be reached.
    Broker,
    /// The gate did (safe stop, framing lost).
    Gate,
}

/// The time to live of a drain or a pause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ttl {
    /// The configured one (`drains.default_ttl`).
    #[default]
    Usual,
    /// Until somebody lifts it, which needs a reason.
    Endless,
    /// Milliseconds, more than 0.
    For(Millis),
}

impl Ttl {
    /// Refuses what cannot be meant for `what` (a drain, a pause) with that reason.
    pub(super) fn check(self, what: &str, reason: Option<&str>) -> Result<(), DrainError> {
        match self {
            Ttl::Endless if reason.is_none_or(|reason| reason.trim().is_empty()) => {
                Err(DrainError::BadRequest(format!("{what} without an expiry (ttl none) needs a reason")))
            }
            Ttl::For(0) => Err(DrainError::BadRequest("ttl must be longer than 0".to_owned())),
            Ttl::Usual | Ttl::Endless | Ttl::For(_) => Ok(()),
        }
    }

    /// When what begins now is over, if ever.
    pub(super) fn end(self, now: Millis, usual: Millis) -> Option<Millis> {
        match self {
            Ttl::Usual => Some(now.saturating_add(usual)),
            Ttl::Endless => None,
            Ttl::For(millis) => Some(now.saturating_add(millis)),
        }
    }
}

/// What an operator asks for: `POST /v1/drains`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrainRequest {
    /// The selectors as written; any of them may match.
    pub selector: Vec<String>,
    /// The drain's name; generated if absent.
    pub name: Option<String>,
    /// How long it is in force.
    pub ttl: Ttl,
    /// Why.
    pub reason: Option<String>,
    /// The evidence needed, if not the configured.
    pub require: Option<Evidence>,
    /// Whether delayed jobs are waited for too, if not ignored.
    pub delayed_wait: bool,
    /// Marks whoever matches until lifted, instead of the incarnations present.
    pub standing: bool,
    /// A selector that matches nothing is accepted.
    pub allow_empty: bool,
    /// Refused when a queue would be left without a consumer.
    pub no_starve: bool,
    /// Only say what would be marked.
    pub dry_run: bool,
}

/// The answer to an accepted [`DrainRequest`].
#[derive(Clone, Debug, PartialEq)]
pub struct DrainAnswer {
    /// The drain as it now stands (or as it would, for a dry run).
    pub drain: view::DrainView,
    /// False when the name was in force with the same body: nothing new was made.
    pub created: bool,
}

/// What an operator asks for: `PUT /v1/queues/{name}/pause`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PauseRequest {
    /// The queue: its key, or what its job system calls it.
    pub queue: String,
    /// How long it is in force.
    pub ttl: Ttl,
    /// Why. `None`: as it was, if it was paused before.
    pub reason: Option<String>,
}

/// The answer to an accepted [`PauseRequest`].
#[derive(Clone, Debug, PartialEq)]
pub struct PauseAnswer {
    /// The pause as it now stands.
    pub pause: view::PauseView,
    /// False when it was in force.
    pub created: bool,
    /// The queues seen so far that it holds.
    pub queues: Vec<String>,
}

/// Why a drain or a pause was refused. Each reads as one clear line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DrainError {
    /// Not a selector; the text says what was expected.
    #[error("{0}")]
    BadSelector(String),
    /// Not a name for a drain; the text says what was expected.
    #[error("{0}")]
    BadName(String),
    /// Not a name for a queue; the text says what was expected.
    #[error("{0}")]
    BadQueue(String),
    /// `ttl = none` without a reason, or the like.
    #[error("{0}")]
    BadRequest(String),
    /// Nothing matched.
    #[error("no worker matches {0}")]
    NothingMatched(String),
    /// The name is in force with another body.
    #[error("a drain named {0} is in force with another selector or other options")]
    NameTaken(String),
    /// Only a part of what cannot be told apart was selected.
    #[error("{0}")]
    CannotTellApart(String),
    /// `no_starve`: these queues would be left without an open consumer.
    #[error("no worker would be left for {}", .0.join(", "))]
    WouldStarve(Vec<String>),
}

/// What the server half has to do after a call. Taken with [`super::Fleet::take_effects`], in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Set the connection's mark (fetches are held while it is set).
    Mark(ConnId, bool),
    /// Tell the connection's gate its worker's job system.
    System(ConnId, System),
    /// Put this question on the connection.
    Ask(ConnId, Question),
    /// It has told of a job before it is known whose it is: its client gets no answer to that until then (true), or no
    /// longer. A client that has its answer may close, and then nobody can say any more whose the connection was.
    Wait(ConnId, bool),
    /// These queues are paused: tell the gates of all connections.
    Pauses(Arc<PausedQueues>),
    /// The drains or the pauses changed: save [`super::Fleet::export_drains`] durably before answering.
    SaveDrains,
    /// For the counters alone.
    Jobs(JobCount),
    /// Something worth an event, a log line and a metric.
    Notice(Notice),
}

/// An event for the log, the metrics and the event stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// A worker was seen for the first time or got its name.
    WorkerSeen {
        /// The worker.
        worker: WorkerId,
        /// Its name now.
        name: String,
        /// Its system now.
        system: System,
    },
    /// A worker's state changed.
    WorkerState {
        /// The worker.
        worker: WorkerId,
        /// Its name.
        name: String,
        /// Its system.
        system: System,
        /// Before.
        from: view::WorkerState,
        /// Now.
        to: view::WorkerState,
        /// Milliseconds since it was marked, if it is.
        since_mark: Option<Millis>,
    },
    /// A worker went away with jobs in flight.
    WorkerLost {
        /// The worker.
        worker: WorkerId,
        /// Its name.
        name: String,
        /// Its system.
        system: System,
        /// The jobs that were in flight, as `name[id]`.
        jobs: Vec<String>,
    },
    /// A drain was made.
    DrainCreated {
        /// Its name.
        drain: String,
        /// How many workers it marked.
        workers: usize,
    },
    /// A drain ended.
    DrainEnded {
        /// Its name.
        drain: String,
        /// How.
        how: Ending,
    },
    /// A queue was paused, or its pause renewed.
    QueuePaused {
        /// As it was named.
        queue: String,
        /// When it ends by itself.
        until: Option<Millis>,
        /// Why.
        reason: Option<String>,
    },
    /// A pause ended.
    QueueResumed {
        /// As it was named.
        queue: String,
        /// How.
        how: Ending,
    },
}

/// Jobs of one system that reached workers, or left them.
#[derive(Clone, Debug, PartialEq)]
pub struct JobCount {
    /// Of which system.
    pub system: System,
    /// How they left; `None`: they were delivered.
    pub end: Option<view::JobEnd>,
    /// How many.
    pub jobs: u64,
}

/// How a drain or a pause came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Somebody lifted it.
    Lifted,
    /// Its time to live is over.
    Expired,
    /// All workers of the drain are gone.
    Done,
}

impl Ending {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Ending::Lifted => "lifted",
            Ending::Expired => "expired",
            Ending::Done => "done",
        }
    }
}
