//! Snapshots for the API, made at the moment of the question: nothing here is cached, so a `drained` in an answer was
//! true when the answer was made.

use super::Fleet;
use super::boundary::DrainError;
use super::drains::Drain;
use super::durations::slowest;
use super::evidence::{Verdict, acks, judge};
use super::phase::state_of;
use super::selector::{Facts, Hit, Part, hit};
use super::view::{
    ConnView, DrainState, DrainView, DrainWorker, InFlight, JobView, WorkerDetail, WorkerState, WorkerView,
};
use super::worker::{Key, Worker};
use crate::job::{ConnId, Evidence, Millis, System};
use std::borrow::Cow;

/// A marked worker's broker has answered by then, as a rule: Redis within a slice and its jitter, RabbitMQ at once.
const ANSWERS: Millis = 5_000;
const UNCONFIRMED: &str = "its broker has not confirmed yet that no more jobs come to it";

impl Fleet {
    pub(super) fn list(&self, now: Millis, selector: Option<&str>, gone: bool) -> Result<Vec<WorkerView>, DrainError> {
        let selector = selector.map(|text| self.selector(text.trim(), now)).transpose()?;
        let wanted = |worker: &&Worker| {
            let there = worker.is_listed() && (gone || worker.ended.is_none());
            there && selector.as_ref().is_none_or(|s| hit(std::slice::from_ref(s), &self.facts(worker)) != Hit::No)
        };
        let mut found: Vec<WorkerView> =
            self.workers.values().filter(wanted).map(|worker| self.listed_view(now, worker)).collect();
        found.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        Ok(found)
    }

    pub(super) fn detail(&self, now: Millis, id: &str) -> Option<WorkerDetail> {
        let worker = self.workers.get(self.ids.get(id)?)?;
        let verdict = judge(worker, &self.settings, now);
        let jobs = jobs(worker, &verdict, now);
        let connections = worker.conns.iter().filter_map(|id| self.conn_view(*id)).collect();
        let view = WorkerView { recent: worker.recent.view(), ..self.worker_view(now, worker) };
        Some(WorkerDetail { worker: view, jobs, connections })
    }

    /// As lists show it: those that are over with their last jobs.
    fn listed_view(&self, now: Millis, worker: &Worker) -> WorkerView {
        let recent = if worker.ended.is_some() { worker.recent.view() } else { Vec::new() };
        WorkerView { recent, ..self.worker_view(now, worker) }
    }

    fn conn_view(&self, id: ConnId) -> Option<ConnView> {
        let conn = self.conns.get(&id)?;
        Some(ConnView {
            id,
            port: conn.peer.port,
            pid: conn.lineage.first().map(|process| process.pid),
            at_broker: conn.fetches.at_broker(),
            held: conn.fetches.held(),
            since: conn.since,
        })
    }

    fn worker_view(&self, now: Millis, worker: &Worker) -> WorkerView {
        let verdict = judge(worker, &self.settings, now);
        WorkerView {
            id: worker.id.clone(),
            name: worker.name(),
            system: worker.system,
            identity: worker.identity(),
            address: worker.ip,
            listener: worker.listener.to_string(),
            protocol: worker.protocol,
            state: state_of(worker, &verdict, self.settings.require, false),
            queues: worker.queues.iter().cloned().collect(),
            connections: worker.conns.len(),
            at_broker: worker.sums.fetches.at_broker(),
            held: worker.sums.fetches.held(),
            in_flight: verdict.in_flight,
            evidence: verdict.evidence,
            declared: verdict.declared,
            oldest_job_seconds: oldest(worker, &verdict, now),
            safe_until: verdict.safe_until,
            drains: worker.drains.iter().filter_map(|no| self.drains.get(no)).map(|d| d.name.clone()).collect(),
            blocked: self.reasons(worker, &verdict, now),
            since: worker.since,
            estimate: self.estimate(worker, verdict.in_flight, now),
            recent: Vec::new(),
        }
    }

    /// Why it cannot be sealed or judged.
    fn reasons(&self, worker: &Worker, verdict: &Verdict, now: Millis) -> Vec<String> {
        let mut reasons = Vec::new();
        for conn in worker.conns.iter().filter(|_| worker.is_blocked()) {
            let Some(conn) = self.conns.get(conn) else { continue };
            reasons.extend(conn.ways.blocked.iter().chain(&conn.ways.bound).cloned());
            if worker.may_take() {
                reasons.extend(conn.ways.unrefused.iter().cloned());
            }
            if conn.opaque {
                reasons.push("a connection is a blind pipe: its bytes could not be followed".to_owned());
            }
        }
        if self.awaiting.contains(&worker.no) {
            reasons.push("the process of a connection is still being looked up".to_owned());
        }
        let overdue = worker.marked_at.is_some_and(|at| now >= at + ANSWERS);
        if reasons.is_empty() && overdue && worker.sums.fetches.at_broker() > 0 {
            reasons.push(UNCONFIRMED.to_owned());
        }
        reasons.sort_unstable();
        reasons.dedup();
        reasons.extend(verdict.doubts.iter().filter_map(|doubt| doubt.reason()));
        reasons
    }

    pub(super) fn all_drains(&self, now: Millis) -> Vec<DrainView> {
        let ended = self.archive.iter().map(|ended| ended.view.clone());
        self.drains.values().map(|drain| self.drain_view(now, drain)).chain(ended).collect()
    }

    pub(super) fn one_drain(&self, now: Millis, name: &str) -> Option<DrainView> {
        if let Some(drain) = self.drains.values().find(|drain| drain.name == name) {
            return Some(self.drain_view(now, drain));
        }
        self.archive.iter().rev().map(|ended| &ended.view).find(|view| view.name == name).cloned()
    }

    pub(super) fn drain_view(&self, now: Millis, drain: &Drain) -> DrainView {
        let members = drain.members.iter().filter_map(|no| self.workers.get(no)).filter(|w| w.is_listed());
        let mut safe_until: Option<Millis> = None;
        let mut workers = Vec::with_capacity(drain.members.len());
        for worker in members {
            let verdict = judge(worker, &self.settings, now);
            safe_until = [safe_until, verdict.safe_until].into_iter().flatten().min();
            workers.push(self.drain_worker(now, drain, worker, &verdict));
        }
        workers.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        DrainView {
            name: drain.name.clone(),
            selector: drain.request.selector.clone(),
            reason: drain.request.reason.clone(),
            created_at: drain.created_at,
            expires_at: drain.expires_at,
            state: least_advanced(workers.iter().map(|worker| worker.state)),
            estimate: slowest(&workers),
            in_force: true,
            safe_until: safe_until.filter(|_| !drain.request.delayed_wait),
            require: drain.require,
            standing: drain.request.standing,
            workers,
            starving: self.starving(drain),
        }
    }

    fn drain_worker(&self, now: Millis, drain: &Drain, worker: &Worker, verdict: &Verdict) -> DrainWorker {
        let state = state_of(worker, verdict, drain.require, drain.request.delayed_wait);
        let clear = verdict.is_clear(drain.request.delayed_wait);
        // one with a way to get jobs that is not refused will not come to its seal by waiting
        let stuck = state == WorkerState::Draining && worker.is_blocked() && worker.sums.fetches.at_broker() == 0;
        let untold = (state == WorkerState::Sealed || stuck) && clear;
        let time_will_tell = acks::time_will_tell(worker, verdict, now);
        DrainWorker {
            id: worker.id.clone(),
            name: worker.name(),
            state,
            in_flight: verdict.in_flight,
            evidence: verdict.evidence,
            blocked: self.reasons(worker, verdict, now),
            unknown_since: (untold && !time_will_tell).then_some(worker.steady.since),
            hint: if untold { verdict.hint().or_else(|| weaker(drain, verdict)) } else { None },
            oldest_job_seconds: oldest(worker, verdict, now),
            jobs: jobs(worker, verdict, now),
            estimate: self.estimate(worker, verdict.in_flight, now),
        }
    }

    fn starving(&self, drain: &Drain) -> Vec<String> {
        let members = drain.members.iter().filter_map(|no| self.workers.get(no));
        let mut queues: Vec<String> = members
            .flat_map(|worker| worker.queues.iter().map(|queue| (queue, &worker.host)))
            .filter(|(queue, host)| self.open.within(queue, host) == 0)
            .map(|(queue, _)| queue.clone())
            .collect();
        queues.sort_unstable();
        queues.dedup();
        queues
    }

    /// What selectors can ask about a worker.
    pub(super) fn facts<'a>(&'a self, worker: &'a Worker) -> Facts<'a> {
        let display = worker.name();
        let mut names = vec![Cow::from(worker.id.0.as_str())];
        if worker.lives.is_empty() && worker.client_name.is_none() {
            names.push(Cow::from(display.clone()));
        }
        names.extend(worker.aliases.iter().map(|alias| Cow::from(alias.0.as_str())));
        if let Key::Tag(name) | Key::Listener(name) = &worker.key {
            names.push(Cow::from(name.as_str()));
        }
        let (mut ips, mut listeners) = (vec![worker.ip], vec![&*worker.listener]);
        let mut users: Vec<&str> = worker.user.as_deref().into_iter().collect();
        let mut clients: Vec<&str> = Vec::new();
        for conn in worker.conns.iter().filter_map(|id| self.conns.get(id)) {
            ips.push(conn.peer.ip);
            listeners.push(&conn.peer.listener);
            users.extend(conn.names.user.as_deref());
            clients.extend(conn.names.client_name.as_deref());
        }
        if clients.is_empty() {
            clients.extend(worker.client_name.as_deref()); // as it was called when it last had a connection
        }
        for list in [&mut listeners, &mut users, &mut clients] {
            list.sort_unstable();
            list.dedup();
        }
        ips.sort_unstable();
        ips.dedup();
        let parts = parts(worker, &clients);
        Facts { display, names, ips, users, listeners, since: worker.since, parts }
    }
}

/// The parts that a selector can tell apart although the gate cannot: named processes, else client names.
fn parts<'a>(worker: &'a Worker, clients: &[&'a str]) -> Vec<Part<'a>> {
    let live: Vec<_> = worker.live().filter(|life| !life.name.is_empty()).collect();
    if !live.is_empty() {
        let part = |life: &&'a super::life::Life| Part {
            name: Some(life.name.as_str()),
            clients: clients.to_vec(),
            system: if worker.mixed { life.system } else { worker.system },
        };
        return live.iter().map(part).collect();
    }
    if clients.len() > 1 {
        let part = |client: &&'a str| Part { name: None, clients: vec![*client], system: worker.system };
        return clients.iter().map(part).collect();
    }
    vec![Part { name: None, clients: clients.to_vec(), system: worker.system }]
}

fn oldest(worker: &Worker, verdict: &Verdict, now: Millis) -> Option<f64> {
    if verdict.in_flight == InFlight::default() {
        return None;
    }
    worker.ledger.oldest_delivery(now).map(|at| now.saturating_sub(at) as f64 / 1_000.0)
}

/// The jobs that are known to be in flight: what the ledger keeps beyond the verdict's number is left out.
pub(super) fn jobs(worker: &Worker, verdict: &Verdict, now: Millis) -> Vec<JobView> {
    let known = verdict.in_flight;
    let total = (known.running + known.prefetched + known.delayed) as usize;
    // a Sidekiq keeps none in its memory: those that are not over run
    let running = if worker.system == System::Sidekiq { usize::MAX } else { known.running as usize };
    let mut jobs = worker.ledger.jobs(now, running, worker.broker_keeps_unacked(), !verdict.without_returned);
    if worker.system == System::Celery && total < jobs.len() {
        // started jobs of a worker that does not report: neither running nor over
        jobs.retain(|job| job.kind != super::view::JobKind::Running);
    }
    let surplus = jobs.len().saturating_sub(total);
    jobs.drain(..surplus);
    jobs
}

fn weaker(drain: &Drain, verdict: &Verdict) -> Option<String> {
    let needed = drain.require;
    (verdict.evidence < needed && verdict.evidence > Evidence::Unknown).then(|| {
        format!(
            "the evidence is {}, and the drain requires {}: wait, or accept it with --require {}",
            verdict.evidence.as_str(),
            needed.as_str(),
            verdict.evidence.as_str()
        )
    })
}

/// The state of a drain out of those of its workers. Workers that went away drained count as drained; a loss is told
/// when nobody else is on the way any more.
fn least_advanced(states: impl Iterator<Item = WorkerState>) -> DrainState {
    let mut least = DrainState::Drained;
    let mut lost = false;
    for state in states {
        match state {
            WorkerState::Active | WorkerState::Draining => least = DrainState::Draining,
            WorkerState::Sealed => least = least.min(DrainState::Sealed),
            WorkerState::Drained | WorkerState::Gone => {}
            WorkerState::Lost => lost = true,
        }
    }
    if lost && least == DrainState::Drained { DrainState::Lost } else { least }
}
