//! Huey 3.5, threads.

use crate::support::scripted::{Named, Scripted};
use crate::support::story::{Load, System, drain_and_kill};
use crate::support::{World, rounds, secs};

fn huey(environment: &'static [(&'static str, &'static str)]) -> Scripted {
    Scripted {
        program: ".venvs/huey/bin/python",
        worker: &["huey_jobs.py", "worker"],
        producer: &["huey_jobs.py", "producer"],
        environment,
        named: Named::ByProcess,
    }
}

/// The operator says that its one thread fetches only when it is done.
fn declared() -> World {
    let mut world = World::new();
    world.gate_mut().kill();
    world.gate_mut().set("DRAINGATE__GATE__FETCH", "huey.*");
    world.gate_mut().up();
    world
}

/// With tasks that come due: the scheduler takes all of them at once, and pushes them one by one.
#[test]
fn due_tasks() {
    let load = Load { longest: 1.5, countdown: 4.0, open: 8, ..Load::default() };
    drain_and_kill(&declared(), &huey(&[("THREADS", "1")]), load, rounds());
}

#[test]
fn priorities() {
    let load = Load { longest: 1.5, open: 8, ..Load::default() };
    drain_and_kill(&declared(), &huey(&[("THREADS", "1"), ("PRIORITY", "1")]), load, rounds());
}

/// Threads that share a pool of connections do not show which of them is back.
#[test]
fn several_threads_are_unknown() {
    never_drained(&huey(&[]), "share", &[6]);
}

/// A consumer that polls does not show when a task has ended.
#[test]
fn without_waiting_it_is_unknown() {
    // a poll on another connection of the pool does not even show that the thread is back
    never_drained(&huey(&[("POLLING", "1")]), "polls", &[4, 6]);
}

fn never_drained(huey: &Scripted, why: &str, codes: &[i32]) {
    let world = World::new();
    let worker = huey.start(&world, "w1", 1);
    let mut producer = huey.producer(&world);
    producer.push("seen", 0.1, 0.0);
    world.log().await_line("end", "seen", secs(30));
    let answer = world.gate().cli(&["drain", &worker.name, "--name", "d", "--wait", "--timeout", "60s"]);
    assert!(codes.contains(&answer.code) && answer.err.contains(why), "{answer:?}");
    producer.push("held", 0.0, 0.0);
    world.log().assert_held("held", secs(2));
}
