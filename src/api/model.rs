//! What travels over HTTP, as the contract spells it: [`Worker`], [`Job`], [`Drain`], [`NewDrain`] and the small
//! answers around them. The API writes these, the command line reads them. Times are RFC 3339 in UTC, durations of the
//! past are seconds, and a field that the reader does not know is no error: an older command line may meet a newer gate.

mod event;
mod history;
mod new_drain;
mod queue;
mod word;

pub use event::{Event, What};
pub use history::{Departure, Estimate, PastJob, Report};
pub use new_drain::{NewDrain, Selectors};
pub use queue::{NewPause, Pause, Paused, Queue, Queues};
pub use word::{Time, Word};

use crate::fleet::view::{
    ConnView, DrainState, DrainView, DrainWorker as DrainWorkerView, InFlight as InFlightView, JobView,
    WorkerDetail as WorkerDetailView, WorkerState, WorkerView,
};
use crate::hub::ListenerInfo;
use crate::job::{Evidence, Millis};
use serde::{Deserialize, Serialize};

/// `GET /v1/workers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Workers {
    /// Those that match.
    pub workers: Vec<Worker>,
}

/// A worker. In lists `connections` is a number, in [`WorkerDetail`] it is the list itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Worker<Connections = usize> {
    /// Id, `[a-z0-9-]+`.
    pub id: String,
    /// What the job system calls it, else its client name, else process and address.
    pub name: String,
    /// Job system.
    pub system: String,
    /// `strong`, `learned` or `address`.
    pub identity: String,
    /// Peer address.
    pub address: String,
    /// The listener's name.
    pub listener: String,
    /// `redis` or `amqp`.
    pub protocol: String,
    /// State, judged by the configured evidence.
    pub state: Word<WorkerState>,
    /// Queues that it has fetched from.
    pub queues: Vec<String>,
    /// Open connections.
    pub connections: Connections,
    /// Fetches held at this moment.
    pub held: usize,
    /// Jobs in flight.
    pub in_flight: InFlight,
    /// How the gate knows.
    pub evidence: Word<Evidence>,
    /// True when `exact` rests on the operator's declaration.
    #[serde(default)]
    pub declared: bool,
    /// Age of the oldest job in flight.
    pub oldest_job_seconds: Option<f64>,
    /// Until when killing it is safe, if delayed jobs are being ignored.
    pub safe_until: Option<Time>,
    /// The drains that mark it.
    pub drains: Vec<String>,
    /// Why it cannot be sealed or judged.
    pub blocked: Vec<String>,
    /// First seen.
    pub since: Time,
    /// How long it will take until nothing is in flight.
    #[serde(default)]
    pub estimate: Option<Estimate>,
    /// Its last jobs, the newest last. In lists only of workers that are over.
    #[serde(default)]
    pub recent: Vec<PastJob>,
}

/// `GET /v1/workers/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerDetail {
    /// The worker, with its connections.
    #[serde(flatten)]
    pub worker: Worker<Vec<Connection>>,
    /// Its jobs in flight.
    pub jobs: Vec<Job>,
}

/// Jobs in flight by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight {
    /// Being executed.
    pub running: u32,
    /// In the worker's memory, not started.
    pub prefetched: u32,
    /// In the worker's memory, not due yet.
    pub delayed: u32,
}

/// One job in flight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The job system's id.
    pub id: String,
    /// Task name or class.
    pub name: String,
    /// Queue.
    pub queue: String,
    /// `running`, `prefetched` or `delayed`.
    pub kind: String,
    /// When it was delivered.
    pub delivered_at: Time,
    /// The broker still has it, and hands it out again when the worker dies.
    #[serde(default)]
    pub kept_by_broker: bool,
}

/// One connection of a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// The gate's number for it.
    pub id: u64,
    /// Peer port.
    pub port: u16,
    /// Owning process, if known.
    pub pid: Option<u32>,
    /// Fetches outstanding at the broker.
    pub at_broker: usize,
    /// Fetches held by the gate.
    pub held: usize,
    /// Accepted.
    pub since: Time,
}

/// `GET /v1/drains`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drains {
    /// Those in force and those that ended within the last hour.
    pub drains: Vec<Drain>,
}

/// A drain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drain {
    /// Name.
    pub name: String,
    /// The selectors as written; any of them may match.
    pub selector: Vec<String>,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub created_at: Time,
    /// `None`: never.
    pub expires_at: Option<Time>,
    /// The least advanced worker's.
    pub state: Word<DrainState>,
    /// How long it will take until the slowest worker has nothing in flight.
    #[serde(default)]
    pub estimate: Option<Estimate>,
    /// False once it ended (it stays readable for an hour).
    pub in_force: bool,
    /// Until when killing its workers is safe, if delayed jobs are being ignored.
    pub safe_until: Option<Time>,
    /// The evidence that `drained` needs.
    pub require: Word<Evidence>,
    /// Whether it marks newcomers too.
    pub standing: bool,
    /// Its workers.
    pub workers: Vec<DrainWorker>,
    /// Queues seen by the gate that have no open consumer left.
    pub starving: Vec<String>,
}

/// One worker of a drain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrainWorker {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// State, judged by the drain's own `require` and `delayed`.
    pub state: Word<WorkerState>,
    /// Jobs in flight.
    pub in_flight: InFlight,
    /// How the gate knows.
    pub evidence: Word<Evidence>,
    /// Why it cannot be sealed or judged.
    pub blocked: Vec<String>,
    /// For how long it has been sealed with nothing in flight known and evidence weaker than required. Seconds, by the
    /// gate's own clock, so that a reader's clock does not matter; `None` when it is not so.
    pub unknown_seconds: Option<f64>,
    /// What to enable so that the gate can tell.
    pub hint: Option<String>,
    /// Age of the oldest job in flight.
    pub oldest_job_seconds: Option<f64>,
    /// The jobs in flight.
    pub jobs: Vec<Job>,
    /// How long it will take until nothing is in flight.
    #[serde(default)]
    pub estimate: Option<Estimate>,
}

/// `GET /v1/version`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// The gate's version.
    pub version: String,
    /// Listeners in force.
    pub listeners: Vec<Listener>,
    /// The admin API's address in force.
    pub admin: String,
    /// The Unix socket beside it.
    #[serde(default)]
    pub unix_socket: Option<String>,
}

/// One listener of [`Version`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listener {
    /// Name from the configuration.
    pub name: String,
    /// `redis` or `amqp`.
    pub protocol: String,
    /// The address in force.
    pub address: String,
    /// The broker's URL without a password.
    pub upstream: String,
}

impl InFlight {
    /// All kinds together.
    pub fn total(self) -> u32 {
        self.running.saturating_add(self.prefetched).saturating_add(self.delayed)
    }
}

impl<C> Worker<C> {
    fn new(view: WorkerView, connections: C) -> Worker<C> {
        Worker {
            id: view.id.0,
            name: view.name,
            system: view.system.as_str().to_owned(),
            identity: view.identity.as_str().to_owned(),
            address: view.address.to_string(),
            listener: view.listener,
            protocol: view.protocol.as_str().to_owned(),
            state: Word(view.state),
            queues: view.queues,
            connections,
            held: view.held,
            in_flight: view.in_flight.into(),
            evidence: Word(view.evidence),
            declared: view.declared,
            oldest_job_seconds: view.oldest_job_seconds,
            safe_until: view.safe_until.map(Time),
            drains: view.drains,
            blocked: view.blocked,
            since: Time(view.since),
            estimate: view.estimate.map(Estimate::from),
            recent: view.recent.into_iter().map(PastJob::from).collect(),
        }
    }
}

impl From<WorkerView> for Worker {
    fn from(view: WorkerView) -> Worker {
        let connections = view.connections;
        Worker::new(view, connections)
    }
}

impl From<WorkerDetailView> for WorkerDetail {
    fn from(view: WorkerDetailView) -> WorkerDetail {
        let connections = view.connections.into_iter().map(Connection::from).collect();
        WorkerDetail {
            worker: Worker::new(view.worker, connections),
            jobs: view.jobs.into_iter().map(Job::from).collect(),
        }
    }
}

impl From<InFlightView> for InFlight {
    fn from(view: InFlightView) -> InFlight {
        InFlight { running: view.running, prefetched: view.prefetched, delayed: view.delayed }
    }
}

impl From<JobView> for Job {
    fn from(view: JobView) -> Job {
        Job {
            id: view.id,
            name: view.name,
            queue: view.queue,
            kind: view.kind.as_str().to_owned(),
            delivered_at: Time(view.delivered_at),
            kept_by_broker: view.kept_by_broker,
        }
    }
}

impl From<ConnView> for Connection {
    fn from(view: ConnView) -> Connection {
        Connection {
            id: view.id.0,
            port: view.port,
            pid: view.pid,
            at_broker: view.at_broker,
            held: view.held,
            since: Time(view.since),
        }
    }
}

impl Drain {
    /// The fleet's view as it looks at `now`.
    pub fn new(view: DrainView, now: Millis) -> Drain {
        Drain {
            name: view.name,
            selector: view.selector,
            reason: view.reason,
            created_at: Time(view.created_at),
            expires_at: view.expires_at.map(Time),
            state: Word(view.state),
            estimate: view.estimate.map(Estimate::from),
            in_force: view.in_force,
            safe_until: view.safe_until.map(Time),
            require: Word(view.require),
            standing: view.standing,
            workers: view.workers.into_iter().map(|worker| DrainWorker::new(worker, now)).collect(),
            starving: view.starving,
        }
    }
}

impl DrainWorker {
    fn new(view: DrainWorkerView, now: Millis) -> DrainWorker {
        DrainWorker {
            id: view.id.0,
            name: view.name,
            state: Word(view.state),
            in_flight: view.in_flight.into(),
            evidence: Word(view.evidence),
            blocked: view.blocked,
            unknown_seconds: view.unknown_since.map(|since| now.saturating_sub(since) as f64 / 1000.0),
            hint: view.hint,
            oldest_job_seconds: view.oldest_job_seconds,
            jobs: view.jobs.into_iter().map(Job::from).collect(),
            estimate: view.estimate.map(Estimate::from),
        }
    }
}

impl From<ListenerInfo> for Listener {
    fn from(info: ListenerInfo) -> Listener {
        Listener {
            name: info.name,
            protocol: info.protocol.as_str().to_owned(),
            address: info.address,
            upstream: info.upstream,
        }
    }
}
