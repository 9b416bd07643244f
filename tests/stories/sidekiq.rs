//! Sidekiq 6.4, 7.3 and 8.

use crate::support::sidekiq::Sidekiq;
use crate::support::story::{Load, System, drain_and_kill, drain_then_kill, random};
use crate::support::{World, eventually, rounds, rounds_or, secs};
use rustix::process::Signal;

#[test]
fn version_6() {
    drain_and_kill(&World::new(), &Sidekiq::new(6), Load::default(), rounds());
}

#[test]
fn version_7() {
    drain_and_kill(&World::new(), &Sidekiq::new(7), Load::default(), rounds());
}

#[test]
fn version_8() {
    drain_and_kill(&World::new(), &Sidekiq::new(8), Load::default(), rounds());
}

/// Sidekiq's poller takes a due job out of `schedule` and pushes it in a second step: a kill between the two loses it.
#[test]
fn a_thousand_due_jobs() {
    for round in 1..=rounds() {
        let world = World::new();
        let system = Sidekiq::new(6);
        let mut producer = system.producer(&world);
        let mut random = random();
        let worker = system.start(&world, "w1", round);
        let _other = system.start(&world, "w2", round);
        for number in 0..1000 {
            producer.push(&format!("due{number}"), 0.0, 0.001 + random.f64() * 6.0);
        }
        eventually("the first are taken", secs(60), || (world.log().verdict().lost.len() < 1000).then_some(()));
        std::thread::sleep(std::time::Duration::from_millis(random.u64(0..1500)));
        let drained = drain_then_kill(&world, worker, "due");
        world.log().await_all_ended(secs(60));
        assert_eq!(world.log().assert_exactly_once(&[drained]), 1000);
    }
}

/// Weighted queues: each fetch names them in another order.
#[test]
fn several_queues_and_weights() {
    let system = Sidekiq { queues: &["critical,3", "default,2", "low,1"], ..Sidekiq::new(6) };
    drain_and_kill(&World::new(), &system, Load::default(), rounds_or(1));
}

/// A capsule has threads and queues of its own in the same process.
#[test]
fn capsules() {
    for version in [7, 8] {
        let system = Sidekiq { queues: &["critical,2", "default"], capsule: true, ..Sidekiq::new(version) };
        drain_and_kill(&World::new(), &system, Load::default(), rounds_or(1));
    }
}

/// A shell as the first process of a container keeps SIGTERM to itself: the usual way to lose jobs at every deploy.
#[test]
fn under_a_shell_that_swallows_term() {
    let world = World::new();
    let system = Sidekiq { shell: true, ..Sidekiq::new(6) };
    let mut worker = system.start(&world, "w1", 1);
    let mut producer = system.producer(&world);
    producer.push("long", 4.0, 0.0);
    let start = world.log().await_line("start", "long", secs(60));
    assert_ne!(start.pid, worker.process.pid(), "the worker is the shell's child");
    worker.process.signal(Signal::TERM);
    producer.push("next", 0.1, 0.0);
    world.log().await_line("end", "next", secs(60));
    assert!(worker.process.is_running(), "TERM changed nothing");
    let drained = drain_then_kill(&world, worker, "shell");
    producer.push("later", 0.1, 0.0);
    let _other = system.start(&world, "w2", 1);
    world.log().await_all_ended(secs(60));
    assert_eq!(world.log().assert_exactly_once(&[drained]), 3);
}
