//! One of each view of the fleet. All of it happens on the first of March 2026 at noon.

use draingate::fleet::Ttl;
use draingate::fleet::view::{
    ConnView, Departure, DrainState, DrainView, DrainWorker, Estimate, Identity, InFlight, JobEnd, JobKind, JobView,
    PastJob, PauseView, QueueState, QueueView, ReportView, WorkerDetail, WorkerState, WorkerView,
};
use draingate::job::{ConnId, Evidence, Millis, Protocol, System, WorkerId};
use std::net::{IpAddr, Ipv4Addr};

/// Noon.
pub(crate) const NOON: Millis = 1_772_366_400_000;

pub(crate) fn worker() -> WorkerView {
    WorkerView {
        id: WorkerId("celery-web-1".to_owned()),
        name: "celery@web-1".to_owned(),
        system: System::Celery,
        identity: Identity::Learned,
        address: IpAddr::V4(Ipv4Addr::new(10, 0, 3, 7)),
        listener: "redis".to_owned(),
        protocol: Protocol::Redis,
        state: WorkerState::Sealed,
        queues: vec!["celery".to_owned(), "mail".to_owned()],
        connections: 4,
        at_broker: 0,
        held: 1,
        in_flight: InFlight { running: 1, prefetched: 2, delayed: 0 },
        evidence: Evidence::Reported,
        declared: false,
        oldest_job_seconds: Some(12.5),
        safe_until: None,
        drains: vec!["deploy-7".to_owned()],
        blocked: vec![],
        since: NOON,
        estimate: Some(estimate()),
        recent: vec![past_job()],
    }
}

pub(crate) fn worker_detail() -> WorkerDetail {
    let connection = ConnView { id: ConnId(7), port: 40_112, pid: Some(4711), at_broker: 0, held: 1, since: NOON };
    WorkerDetail { worker: worker(), jobs: vec![job()], connections: vec![connection] }
}

pub(crate) fn job() -> JobView {
    JobView {
        id: "6f0c".to_owned(),
        name: "mail.send".to_owned(),
        queue: "mail".to_owned(),
        kind: JobKind::Running,
        delivered_at: NOON + 1_250,
        kept_by_broker: true,
    }
}

pub(crate) fn estimate() -> Estimate {
    Estimate { p50: 240_000, p95: 540_000 }
}

pub(crate) fn past_job() -> PastJob {
    PastJob {
        id: "6f0b".to_owned(),
        name: "mail.send".to_owned(),
        queue: "mail".to_owned(),
        delivered_at: NOON - 5_000,
        started_at: Some(NOON - 4_000),
        ended_at: NOON - 1_000,
        end: JobEnd::Finished,
    }
}

/// One worker left in peace, one was lost.
pub(crate) fn report() -> ReportView {
    let lost = Departure {
        worker: WorkerId("celery-web-2".to_owned()),
        name: "celery@web-2".to_owned(),
        system: System::Celery,
        at: NOON,
        lost: true,
        jobs: vec![job()],
        more: 0,
    };
    ReportView { since: NOON - 3_600_000, until: NOON, watched_since: NOON - 7_200_000, gone: 1, lost: vec![lost] }
}

/// A worker of a drain; before `drained` it has one job in flight.
pub(crate) fn drain_worker(state: WorkerState) -> DrainWorker {
    let busy = !matches!(state, WorkerState::Drained | WorkerState::Gone);
    DrainWorker {
        id: WorkerId("celery-web-1".to_owned()),
        name: "celery@web-1".to_owned(),
        state,
        in_flight: InFlight { running: u32::from(busy), ..InFlight::default() },
        evidence: Evidence::Reported,
        blocked: vec![],
        unknown_since: None,
        hint: None,
        oldest_job_seconds: busy.then_some(12.5),
        jobs: if busy { vec![job()] } else { vec![] },
        estimate: busy.then(estimate),
    }
}

/// Sealed, nothing known in flight, and the evidence too weak since then.
pub(crate) fn unknown_worker(since: Millis) -> DrainWorker {
    DrainWorker {
        in_flight: InFlight::default(),
        jobs: vec![],
        oldest_job_seconds: None,
        estimate: None,
        evidence: Evidence::Unknown,
        unknown_since: Some(since),
        hint: Some("start it with -E so that it reports".to_owned()),
        ..drain_worker(WorkerState::Sealed)
    }
}

pub(crate) fn drain(name: &str, state: DrainState, workers: Vec<DrainWorker>) -> DrainView {
    DrainView {
        estimate: workers.iter().find_map(|worker| worker.estimate),
        name: name.to_owned(),
        selector: vec!["worker=celery@web-*".to_owned()],
        reason: Some("deploy".to_owned()),
        created_at: NOON,
        expires_at: Some(NOON + 12 * 3_600_000),
        state,
        in_force: !matches!(state, DrainState::Lifted | DrainState::Expired),
        safe_until: None,
        require: Evidence::Inferred,
        standing: false,
        workers,
        starving: vec!["mail".to_owned()],
    }
}

/// One is paused, by what its job system calls it; one is open.
pub(crate) fn queues() -> Vec<QueueView> {
    let paused = QueueView {
        name: "queue:mail".to_owned(),
        seen: true,
        systems: vec![System::Sidekiq],
        consumers: 2,
        held: 3,
        state: QueueState::Paused,
        pause: Some(pause("mail", Ttl::Usual, Some("provider".to_owned()))),
        blocked: vec!["w1: it fetches by BRPOP inside MULTI, which cannot be held".to_owned()],
    };
    let open = QueueView {
        name: "queue:low".to_owned(),
        state: QueueState::Open,
        pause: None,
        blocked: vec![],
        ..paused.clone()
    };
    vec![open, paused]
}

/// As the fleet would make it, at noon; the default is twelve hours.
pub(crate) fn pause(name: &str, ttl: Ttl, reason: Option<String>) -> PauseView {
    let until = match ttl {
        Ttl::Usual => Some(NOON + 12 * 3_600_000),
        Ttl::Endless => None,
        Ttl::For(millis) => Some(NOON + millis),
    };
    PauseView { name: name.to_owned(), since: NOON, until, reason }
}
