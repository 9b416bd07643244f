//! The broker goes away, the gate is killed: what was promised still holds afterwards.

use crate::support::celery::Celery;
use crate::support::gate::Gate;
use crate::support::redis::{Client, Redis};
use crate::support::story::{System, drain_then_kill};
use crate::support::{World, eventually, secs};

/// kill -9 of the gate in the middle of a job: the new gate knows the mark and the job, and says `drained` only when the
/// job has ended.
#[test]
fn the_gate_is_killed_while_a_job_runs() {
    let mut world = World::new();
    let celery = Celery::default();
    let worker = celery.start(&world, "w1", 1);
    let mut producer = celery.producer(&world);
    producer.push("long", 10.0, 0.0);
    world.log().await_line("start", "long", secs(60));
    world.gate().cli(&["drain", &worker.name, "--name", "d"]).expect(0);
    world.gate_mut().kill();
    world.gate_mut().up();
    producer.push("new", 0.1, 0.0);
    let waits = ["wait", "d", "--timeout", "90s"];
    world.gate().cli(&waits).expect(0);
    let drained_at = crate::support::now();
    let end = world.log().find("end", "long").expect("drained only after the job's end");
    assert!(end.time < drained_at);
    assert_eq!(world.log().find("start", "new"), None, "the mark outlived the gate");
    drop(worker);
    let _next = celery.start(&world, "w1", 2);
    world.log().await_line("end", "new", secs(60));
    world.log().assert_exactly_once(&[]);
}

/// SIGTERM to the gate in the middle of a late-ack job: Celery 5.7 ends when its connection is cut then, so the gate waits
/// for the job. The worker carries on with the next gate.
#[test]
fn the_gate_leaves_while_a_job_runs() {
    let mut world = World::new();
    let celery = Celery { late: true, ..Celery::default() };
    let mut worker = celery.start(&world, "w1", 1);
    let mut producer = celery.producer(&world);
    producer.push("long", 6.0, 0.0);
    world.log().await_line("start", "long", secs(60));
    world.gate_mut().terminate();
    let status = eventually("the gate leaves", secs(60), || world.gate_mut().ended());
    assert!(status.success(), "{status}");
    assert!(world.log().find("end", "long").is_some(), "it left before the job's end");
    producer.push("next", 0.1, 0.0);
    world.gate_mut().up();
    world.log().await_line("end", "next", secs(60));
    assert!(worker.process.is_running());
    world.log().assert_exactly_once(&[]);
}

/// The same for a worker that nobody has marked: it is drained after the gate's second start.
#[test]
fn a_worker_met_in_the_middle_of_its_life() {
    let mut world = World::new();
    let celery = Celery::default();
    let worker = celery.start(&world, "w1", 1);
    let mut producer = celery.producer(&world);
    producer.push("long", 12.0, 0.0);
    world.log().await_line("start", "long", secs(60));
    world.gate_mut().kill();
    world.gate_mut().up();
    eventually("the gate knows the worker again", secs(60), || world.gate().worker(&worker.name));
    let drained = drain_then_kill(&world, worker, "adopted");
    assert_eq!(world.log().assert_exactly_once(&[drained]), 1);
}

#[test]
fn the_broker_restarts_under_drained_workers() {
    let mut world = World::new();
    let celery = Celery::default();
    let worker = celery.start(&world, "w1", 1);
    world.gate().cli(&["drain", &worker.name, "--name", "d", "--wait", "--timeout", "90s"]).expect(0);
    world.redis.down();
    assert!(world.redis.up(), "redis-server starts again");
    let mut producer = celery.producer(&world);
    producer.push("new", 0.1, 0.0);
    eventually("the worker is back", secs(40), || {
        world.gate().worker(&worker.name).filter(|worker| worker["connections"].as_u64() > Some(4))
    });
    world.gate().await_worker(&worker.name, "drained", secs(40));
    assert_eq!(world.log().find("start", "new"), None, "the mark outlived the broker");
    world.gate().cli(&["undrain", "d"]).expect(0);
    world.log().await_line("end", "new", secs(60));
    world.log().assert_exactly_once(&[]);
}

#[test]
fn a_broker_that_is_down_costs_only_its_own_clients() {
    let world = World::without_gate();
    let other = tempfile::tempdir().expect("a temporary directory");
    let mut second = Redis::start(other.path());
    let gate = Gate::start(world.path(), &[&world.redis.address(), &second.address()]);
    let connect = |number| Client::connect(&gate.listener(number)).expect("the gate accepts");
    let (mut lives, mut dies) = (connect(0), connect(1));
    assert_eq!(lives.command(&["PING"]).expect("a reply"), "PONG");
    assert_eq!(dies.command(&["PING"]).expect("a reply"), "PONG");
    second.down();
    eventually("the client of the broker that went away is closed", secs(60), || dies.command(&["PING"]).err());
    assert!(connect(1).command(&["PING"]).is_err(), "closed, not left hanging");
    assert_eq!(lives.command(&["PING"]).expect("a reply"), "PONG");
    assert!(second.up(), "redis-server starts again");
    assert_eq!(connect(1).command(&["PING"]).expect("a reply"), "PONG");
}
