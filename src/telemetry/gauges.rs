//! The gauges, computed from the fleet at a scrape. Every combination of labels is set each time, so that none keeps
//! an old value.

use super::Meter;
use crate::fleet::Fleet;
use crate::fleet::view::{DrainState, DrainView, InFlight, WorkerState, WorkerView};
use crate::job::{Millis, System};
use metrics::{counter, gauge};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// Queues that had a gauge at the scrape before.
static QUEUES: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// What the gauges say of the fleet at one moment.
pub struct Present {
    workers: Vec<WorkerView>,
    drains: Vec<DrainView>,
    /// Workers by queue that can get a job of it.
    consumers: Vec<(String, usize)>,
    /// Queues.
    paused: usize,
}

impl Present {
    /// As of `now`.
    pub fn of(fleet: &Fleet, now: Millis) -> Present {
        Present {
            workers: fleet.workers(now, None, true).unwrap_or_default(),
            drains: fleet.drains(now),
            consumers: fleet.open_consumers(),
            paused: fleet.paused().len(),
        }
    }
}

/// Sets all of them.
pub(super) fn refresh(present: &Present, meter: &Meter) {
    of_workers(&present.workers);
    for state in DrainState::ALL {
        let number = present.drains.iter().filter(|drain| drain.state == state).count();
        gauge!("draingate_drains", "state" => state.as_str()).set(number as f64);
    }
    of_queues(&present.consumers);
    gauge!("draingate_queues_paused").set(present.paused as f64);
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

fn of_queues(consumers: &[(String, usize)]) {
    let mut before = QUEUES.lock().unwrap_or_else(PoisonError::into_inner);
    let now: BTreeSet<String> = consumers.iter().map(|(queue, _)| queue.clone()).collect();
    for gone in before.difference(&now) {
        gauge!("draingate_queue_open_consumers", "queue" => gone.clone()).set(0.0);
    }
    *before = now;
    for (queue, number) in consumers {
        gauge!("draingate_queue_open_consumers", "queue" => queue.clone()).set(*number as f64);
    }
}
