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

/// With tasks that come due: the scheduler takes all of them at once, and pushes them one by one.
#[test]
fn due_tasks() {
    drain_and_kill(&World::new(), &huey(&[]), Load { longest: 1.5, countdown: 4.0, ..Load::default() }, rounds());
}

#[test]
fn priorities() {
    drain_and_kill(&World::new(), &huey(&[("PRIORITY", "1")]), Load { longest: 1.5, ..Load::default() }, rounds());
}

/// A consumer that polls does not show when a task has ended.
#[test]
fn without_waiting_it_is_unknown() {
    let world = World::new();
    let huey = huey(&[("POLLING", "1")]);
    let worker = huey.start(&world, "w1", 1);
    let mut producer = huey.producer(&world);
    producer.push("seen", 0.1, 0.0);
    world.log().await_line("end", "seen", secs(30));
    let answer = world.gate().cli(&["drain", &worker.name, "--name", "d", "--wait", "--timeout", "90s"]).expect(6);
    assert!(answer.err.contains("polls"), "{answer:?}");
    producer.push("held", 0.0, 0.0);
    std::thread::sleep(secs(2));
    assert_eq!(world.log().find("start", "held"), None);
}
