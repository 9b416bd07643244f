//! Dramatiq 2.2 on Redis.

use crate::support::scripted::{Named, Scripted};
use crate::support::story::{Load, System, drain_and_kill, drain_then_kill_by};
use crate::support::{World, rounds, secs};

const EXACT: Load = Load { longest: 1.5, countdown: 0.0, open: 16, require: "exact" };

pub(super) fn dramatiq(environment: &'static [(&'static str, &'static str)]) -> Scripted {
    Scripted {
        program: ".venvs/dramatiq_redis/bin/python",
        worker: &["-m", "dramatiq", "dramatiq_redis_jobs", "-p", "1", "-t", "3"],
        producer: &["dramatiq_redis_jobs.py"],
        environment,
        named: Named::ByProcess,
    }
}

/// With jobs in the worker's memory that have not begun: they are in flight as well.
#[test]
fn jobs_in_hand() {
    drain_and_kill(&World::new(), &dramatiq(&[]), EXACT, rounds());
}

/// Jobs that are not due lie in the worker's memory until they are.
#[test]
fn delayed_jobs() {
    drain_and_kill(&World::new(), &dramatiq(&[]), Load { longest: 0.8, countdown: 2.0, ..EXACT }, rounds());
}

/// A drained worker goes on to say that it is alive: otherwise the job that it runs would be given to another one.
#[test]
fn a_drained_worker_is_not_taken_for_dead() {
    let world = World::new();
    let dramatiq = dramatiq(&[("HEARTBEAT", "2000")]);
    let worker = dramatiq.start(&world, "w1", 1);
    let mut producer = dramatiq.producer(&world);
    producer.push("long", 9.0, 0.0);
    world.log().await_line("start", "long", secs(30));
    let other = dramatiq.start(&world, "w2", 1);
    let drained = drain_then_kill_by(&world, worker, "d", "exact");
    producer.push("later", 0.0, 0.0);
    world.log().await_line("end", "later", secs(30));
    assert_eq!(world.log().assert_exactly_once(&[drained]), 2);
    assert!(world.gate().metric("draingate_fetches_rewritten_total") > 5.0);
    drop(other);
}
