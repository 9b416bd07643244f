//! arq 0.28.

use crate::support::redis::Server;
use crate::support::scripted::{Named, Scripted};
use crate::support::story::{Load, System, drain_and_kill};
use crate::support::{World, rounds, secs};

const EXACT: Load = Load { longest: 1.5, countdown: 0.0, open: 16, require: "exact" };

pub(super) fn arq(environment: &'static [(&'static str, &'static str)]) -> Scripted {
    Scripted {
        program: ".venvs/arq/bin/python",
        worker: &["arq_jobs.py", "worker"],
        producer: &["arq_jobs.py", "producer"],
        environment,
        named: Named::ByProcess,
    }
}

/// More is waiting than it has room for, so a list that it has read is always stale; half of the jobs come due later.
#[test]
fn deferred_jobs() {
    drain_and_kill(&World::new(), &arq(&[]), Load { countdown: 2.0, ..EXACT }, rounds());
}

/// Each job puts itself off once, and the worker's cron jobs run beside. The queue has a name of its own.
#[test]
fn retries_and_cron_jobs() {
    let arq = arq(&[("RETRIES", "1"), ("CRON", "1"), ("ABORT", "1"), ("QUEUE", "mine")]);
    drain_and_kill(&World::on(Server::Valkey9), &arq, Load { longest: 0.8, ..EXACT }, rounds());
}

/// A worker with its hands full does not even poll; it is sealed at once all the same.
#[test]
fn a_full_worker() {
    let world = World::new();
    let arq = arq(&[("MAX_JOBS", "1")]);
    let worker = arq.start(&world, "w1", 1);
    let mut producer = arq.producer(&world);
    producer.push("long", 3.0, 0.0);
    world.log().await_line("start", "long", secs(30));
    producer.push("rest", 0.0, 0.0);
    world.gate().cli(&["drain", &worker.name, "--name", "d"]).expect(0);
    world.gate().cli(&["wait", "d", "--for", "sealed", "--timeout", "2s"]).expect(0);
    assert_eq!(world.log().find("end", "long"), None);
    world.gate().cli(&["wait", "d", "--timeout", "30s"]).expect(0);
    assert!(world.log().find("end", "long").is_some(), "drained before the job's end");
    world.log().assert_held("rest", secs(2));
    world.gate().cli(&["undrain", "d"]).expect(0);
    world.log().await_line("end", "rest", secs(30));
}
