//! What a held worker costs: it must neither spin, as after an answer that comes too early, nor reconnect, as after one
//! that comes too late. Measured once at the end of a story, with jobs waiting that the worker must not get.

use super::story::{System, Worker};
use super::{World, now, secs};
use std::time::Duration;

/// Longer than the longest patience among the clients: kombu looks every 25 s whether an answer is 26 s late.
const HELD: Duration = secs(60);
/// The same worker before its mark, with nothing to do.
const IDLE: Duration = secs(10);
/// Jobs that wait meanwhile.
const WAITING: usize = 3;

/// See the module.
pub(crate) struct Held {
    /// Connections through the gate that were opened from `drained` until the end of the held time, in place of others: that
    /// a pool grows when its broker is slow (Sidekiq's) is none.
    pub(crate) reconnects: f64,
    /// CPU of the worker's processes while it was held, in per cent of one core.
    pub(crate) cpu: f64,
    /// The same before its mark.
    pub(crate) idle_cpu: f64,
}

/// Drains the only worker that is left of a story, looks at it for a minute, and lifts the drain: what waited is run.
pub(crate) fn measure(world: &World, system: &dyn System, worker: &mut Worker) -> Held {
    let gate = world.gate();
    let idle_cpu = cpu(worker, IDLE);
    let drain = ["drain", &worker.name, "--name", "held", "--wait", "--timeout", "120s"];
    gate.cli(&drain).expect(0);
    // a Celery worker that was asked may have opened some to answer
    let connections = || (gate.metric("draingate_connections_total"), gate.metric("draingate_connections"));
    let (opened, open) = connections();
    let mut producer = system.producer(world);
    (0..WAITING).for_each(|number| producer.push(&format!("waits{number}"), 0.0, 0.0));
    let cpu = cpu(worker, HELD);
    let (all_opened, still_open) = connections();
    let reconnects = all_opened - opened - (still_open - open).max(0.0);
    let lifted_at = now();
    gate.cli(&["undrain", "held"]).expect(0);
    world.log().await_all_ended(secs(60));
    assert!(worker.process.is_running(), "{} has not lived through being held", worker.label);
    let early = world.log().first(|line| line.what == "start" && line.id.starts_with("waits") && line.time < lifted_at);
    assert_eq!(early, None, "a job reached {} while it was held", worker.label);
    Held { reconnects, cpu, idle_cpu }
}

impl Held {
    /// Fails the test if the worker spun or reconnected.
    #[track_caller]
    pub(crate) fn assert_quiet(&self) {
        assert!(
            self.cpu < self.idle_cpu + 3.0,
            "the held worker spins: {:.1} % of a core, idle {:.1} %",
            self.cpu,
            self.idle_cpu
        );
        assert!(self.reconnects == 0.0, "the held worker opened {} connections", self.reconnects);
    }
}

fn cpu(worker: &Worker, length: Duration) -> f64 {
    let before = worker.process.cpu_seconds();
    std::thread::sleep(length);
    (worker.process.cpu_seconds() - before) / length.as_secs_f64() * 100.0
}
