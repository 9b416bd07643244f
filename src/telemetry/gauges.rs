//! The gauges, computed from the fleet at a scrape. Every combination of labels is set each time, so that none keeps
//! an old value.

use super::Meter;
use crate::fleet::view::{DrainState, InFlight, WorkerState, WorkerView};
use crate::hub::Hub;
use crate::job::System;
use metrics::{counter, gauge};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// Queues that had a gauge at the scrape before.
static QUEUES: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Sets all of them.
pub(super) fn refresh(hub: &Hub, meter: &Meter) {
    let (workers, drains, consumers, paused) = hub.with_fleet(|fleet, now| {
        let workers = fleet.workers(now, None, true).unwrap_or_default();
        (workers, fleet.drains(now), fleet.open_consumers(), fleet.paused().len())
    });
    of_workers(&workers);
    for state in DrainState::ALL {
        let number = drains.iter().filter(|drain| drain.state == state).count();
        gauge!("draingate_drains", "state" => state.as_str()).set(number as f64);
    }
    of_queues(consumers);
    gauge!("draingate_queues_paused").set(paused as f64);
    for listener in meter.listeners() {
        let name = listener.name.clone();
        gauge!("draingate_connections", "listener" => name.clone()).set(listener.open() as f64);
        let (client, broker) = listener.bytes();
        let labels = |direction| [("listener", name.clone()), ("direction", direction)];
        counter!("draingate_bytes_total", &labels("from_client".to_owned())).absolute(client);
        counter!("draingate_bytes_total", &labels("from_broker".to_owned())).absolute(broker);
    }
}

fn of_workers(workers: &[WorkerView]) {
    let mut states: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut jobs: BTreeMap<&str, InFlight> = BTreeMap::new();
    for worker in workers {
        *states.entry((worker.system.as_str(), worker.state.as_str())).or_default() += 1;
        let sum = jobs.entry(worker.system.as_str()).or_default();
        sum.running += worker.in_flight.running;
        sum.prefetched += worker.in_flight.prefetched;
        sum.delayed += worker.in_flight.delayed;
    }
    for system in System::ALL.map(System::as_str) {
        for state in WorkerState::ALL {
            let number = states.get(&(system, state.as_str())).copied().unwrap_or(0);
            gauge!("draingate_workers", "system" => system, "state" => state.as_str()).set(number as f64);
        }
        let sum = jobs.get(system).copied().unwrap_or_default();
        for (kind, number) in [("running", sum.running), ("prefetched", sum.prefetched), ("delayed", sum.delayed)] {
            gauge!("draingate_jobs_in_flight", "system" => system, "kind" => kind).set(f64::from(number));
        }
    }
    for state in WorkerState::ALL {
        let ages = workers.iter().filter(|worker| worker.state == state).filter_map(|worker| worker.oldest_job_seconds);
        gauge!("draingate_oldest_job_seconds", "state" => state.as_str()).set(ages.fold(0.0, f64::max));
    }
}

fn of_queues(consumers: Vec<(String, usize)>) {
    let mut before = QUEUES.lock().unwrap_or_else(PoisonError::into_inner);
    let now: BTreeSet<String> = consumers.iter().map(|(queue, _)| queue.clone()).collect();
    for gone in before.difference(&now) {
        gauge!("draingate_queue_open_consumers", "queue" => gone.clone()).set(0.0);
    }
    *before = now;
    for (queue, number) in consumers {
        gauge!("draingate_queue_open_consumers", "queue" => queue).set(number as f64);
    }
}
