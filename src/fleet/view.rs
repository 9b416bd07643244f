//! Plain snapshots of the fleet for the API, the CLI and the store. No logic, no serde: `api/model` says how they look
//! in JSON.

mod history;
mod queues;

pub use history::{Departure, Estimate, JobEnd, PastJob, ReportView};
pub use queues::{PauseView, QueueState, QueueView};

use crate::job::{ConnId, Evidence, Millis, Protocol, System, WorkerId};
use std::net::IpAddr;

/// ```text
/// active ──mark──▶ draining ──no fetch at the broker──▶ sealed ──nothing in flight──▶ drained
///    ▲                │                                   ▲  │                           │  │
///    └───── undrain ──┴───────────────────────────────────┘──┘◀── a job comes due ───────┘  │
///  any state without a connection: gone (nothing in flight) or, after forget_after, lost ◀──┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkerState {
    /// Not marked.
    Active,
    /// Marked; a fetch of it may still be answered with a job.
    Draining,
    /// No new job can arrive.
    Sealed,
    /// Sealed, and nothing is in flight, now.
    Drained,
    /// Its connections are closed and nothing was in flight.
    Gone,
    /// It went away with jobs in flight.
    Lost,
}

impl WorkerState {
    /// All of them, in the order of their declaration.
    pub const ALL: [WorkerState; 6] = [
        WorkerState::Active,
        WorkerState::Draining,
        WorkerState::Sealed,
        WorkerState::Drained,
        WorkerState::Gone,
        WorkerState::Lost,
    ];

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            WorkerState::Active => "active",
            WorkerState::Draining => "draining",
            WorkerState::Sealed => "sealed",
            WorkerState::Drained => "drained",
            WorkerState::Gone => "gone",
            WorkerState::Lost => "lost",
        }
    }
}

/// How strongly a worker is identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identity {
    /// By its address only.
    Address,
    /// By a name learned from its traffic, or by its process.
    Learned,
    /// By its own listener or a tag in the user name.
    Strong,
}

impl Identity {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Identity::Address => "address",
            Identity::Learned => "learned",
            Identity::Strong => "strong",
        }
    }
}

/// Jobs in flight by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct InFlight {
    /// Being executed.
    pub running: u32,
    /// In the worker's memory, not started.
    pub prefetched: u32,
    /// In the worker's memory, not due yet.
    pub delayed: u32,
}

/// The kind of one job in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// Being executed (or taken by the scheduler to be pushed on).
    Running,
    /// Not started.
    Prefetched,
    /// Not due.
    Delayed,
}

impl JobKind {
    /// All of them, in the order of their declaration.
    pub const ALL: [JobKind; 3] = [JobKind::Running, JobKind::Prefetched, JobKind::Delayed];

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            JobKind::Running => "running",
            JobKind::Prefetched => "prefetched",
            JobKind::Delayed => "delayed",
        }
    }
}

/// A worker as `GET /v1/workers` shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerView {
    /// Id.
    pub id: WorkerId,
    /// What the job system calls it, else its client name, else process and address.
    pub name: String,
    /// Job system.
    pub system: System,
    /// Strength of the identity.
    pub identity: Identity,
    /// Peer address.
    pub address: IpAddr,
    /// Listener's name.
    pub listener: String,
    /// `redis` or `amqp`.
    pub protocol: Protocol,
    /// State, judged by the configured evidence.
    pub state: WorkerState,
    /// Queues that it has fetched from.
    pub queues: Vec<String>,
    /// Open connections.
    pub connections: usize,
    /// Fetches that the broker may still answer with a job.
    pub at_broker: usize,
    /// Fetches held at this moment.
    pub held: usize,
    /// Jobs in flight.
    pub in_flight: InFlight,
    /// How the gate knows.
    pub evidence: Evidence,
    /// True when `exact` rests on the operator's declaration.
    pub declared: bool,
    /// Age in seconds of the oldest job in flight.
    pub oldest_job_seconds: Option<f64>,
    /// Until when killing it is safe, if delayed jobs are being ignored.
    pub safe_until: Option<Millis>,
    /// The drains that mark it.
    pub drains: Vec<String>,
    /// Why it cannot be sealed or judged.
    pub blocked: Vec<String>,
    /// First seen.
    pub since: Millis,
    /// How long it will take until nothing is in flight, from the durations seen; `None` if it cannot be said.
    pub estimate: Option<Estimate>,
    /// Its last jobs, the newest last. In lists only of workers that are over.
    pub recent: Vec<PastJob>,
}

/// One job in flight.
#[derive(Clone, Debug, PartialEq)]
pub struct JobView {
    /// Id.
    pub id: String,
    /// Task name or class.
    pub name: String,
    /// Queue.
    pub queue: String,
    /// Kind.
    pub kind: JobKind,
    /// When it was delivered.
    pub delivered_at: Millis,
    /// The broker still has it, and hands it out again when the worker dies.
    pub kept_by_broker: bool,
}

/// One connection of a worker.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnView {
    /// Number.
    pub id: ConnId,
    /// Peer port.
    pub port: u16,
    /// Owning process, if known.
    pub pid: Option<u32>,
    /// Fetches outstanding at the broker.
    pub at_broker: usize,
    /// Fetches held by the gate.
    pub held: usize,
    /// Since when.
    pub since: Millis,
}

/// A worker with everything.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerDetail {
    /// The summary.
    pub worker: WorkerView,
    /// Jobs in flight.
    pub jobs: Vec<JobView>,
    /// Connections.
    pub connections: Vec<ConnView>,
}

/// ```text
/// draining → sealed ⇄ drained        (least advanced worker)
///     any → lifted | expired          any → lost (a worker went away with jobs in flight, nobody else draining)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DrainState {
    /// Some worker may still get a job.
    Draining,
    /// No worker can get a job.
    Sealed,
    /// All are drained or went away drained.
    Drained,
    /// A worker was lost with jobs in flight.
    Lost,
    /// Its TTL is over.
    Expired,
    /// Somebody lifted it.
    Lifted,
}

impl DrainState {
    /// All of them, in the order of their declaration.
    pub const ALL: [DrainState; 6] = [
        DrainState::Draining,
        DrainState::Sealed,
        DrainState::Drained,
        DrainState::Lost,
        DrainState::Expired,
        DrainState::Lifted,
    ];

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            DrainState::Draining => "draining",
            DrainState::Sealed => "sealed",
            DrainState::Drained => "drained",
            DrainState::Lost => "lost",
            DrainState::Expired => "expired",
            DrainState::Lifted => "lifted",
        }
    }
}

/// One worker of a drain.
#[derive(Clone, Debug, PartialEq)]
pub struct DrainWorker {
    /// Id.
    pub id: WorkerId,
    /// Name.
    pub name: String,
    /// State, judged by the drain's own `require` and `delayed`.
    pub state: WorkerState,
    /// Jobs in flight.
    pub in_flight: InFlight,
    /// How the gate knows.
    pub evidence: Evidence,
    /// Why it cannot be sealed or judged.
    pub blocked: Vec<String>,
    /// Sealed with nothing in flight known, and the evidence is weaker than required, since then (exit code 6 after
    /// 30 s); `None` otherwise, and as long as only time is missing: until locks that nobody renews have run out.
    pub unknown_since: Option<Millis>,
    /// What helps, so that the gate can tell.
    pub hint: Option<String>,
    /// Age in seconds of the oldest job in flight.
    pub oldest_job_seconds: Option<f64>,
    /// The jobs in flight (for the list at a time-out).
    pub jobs: Vec<JobView>,
    /// How long it will take until nothing is in flight; `None` if it cannot be said.
    pub estimate: Option<Estimate>,
}

/// A drain.
#[derive(Clone, Debug, PartialEq)]
pub struct DrainView {
    /// Name.
    pub name: String,
    /// Selectors as written.
    pub selector: Vec<String>,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub created_at: Millis,
    /// `None`: never.
    pub expires_at: Option<Millis>,
    /// The least advanced worker's.
    pub state: DrainState,
    /// The slowest worker's; `None` if it cannot be said.
    pub estimate: Option<Estimate>,
    /// Whether it is still in force (ended drains stay readable for an hour).
    pub in_force: bool,
    /// Until when killing is safe, if delayed jobs are ignored.
    pub safe_until: Option<Millis>,
    /// The evidence needed.
    pub require: Evidence,
    /// `once` or `standing`.
    pub standing: bool,
    /// Its workers.
    pub workers: Vec<DrainWorker>,
    /// Queues seen by the gate that have no open consumer left.
    pub starving: Vec<String>,
}
