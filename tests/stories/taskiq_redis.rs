//! taskiq 0.13 with taskiq-redis 1.2: lists and streams.

use crate::support::scripted::{Named, Scripted};
use crate::support::story::{Load, System, drain_and_kill};
use crate::support::{World, rounds, secs};

const EXACT: Load = Load { longest: 1.5, countdown: 0.0, open: 12, require: "exact" };

pub(super) fn taskiq(environment: &'static [(&'static str, &'static str)]) -> Scripted {
    Scripted {
        program: ".venvs/taskiq_redis/bin/python",
        worker: &["-m", "taskiq", "worker", "taskiq_redis_jobs:broker", "--workers", "1", "--max-async-tasks", "3"],
        producer: &["taskiq_redis_jobs.py"],
        environment,
        named: Named::ByProcess,
    }
}

/// A BRPOP without end: it is held for ever, for a nil is no answer to it.
#[test]
fn a_list_with_results() {
    drain_and_kill(&World::new(), &taskiq(&[("BROKER_KIND", "list"), ("RESULTS", "1")]), EXACT, rounds());
}

/// Nothing says when a task is over: never drained.
#[test]
fn a_list_without_results() {
    let world = World::new();
    let taskiq = taskiq(&[("BROKER_KIND", "list")]);
    let worker = taskiq.start(&world, "w1", 1);
    let mut producer = taskiq.producer(&world);
    producer.push("seen", 0.1, 0.0);
    world.log().await_line("end", "seen", secs(30));
    let answer = world.gate().cli(&["drain", &worker.name, "--name", "d", "--wait", "--timeout", "90s"]).expect(6);
    assert!(answer.err.contains("result backend"), "{answer:?}");
    // held, and given on when the drain is lifted
    producer.push("held", 0.0, 0.0);
    world.log().assert_held("held", secs(2));
    world.gate().cli(&["undrain", "d"]).expect(0);
    world.log().await_line("end", "held", secs(30));
}

#[test]
fn a_stream() {
    drain_and_kill(&World::new(), &taskiq(&[("BROKER_KIND", "stream")]), EXACT, rounds());
}
