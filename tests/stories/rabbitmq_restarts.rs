//! RabbitMQ or the gate goes away under a worker that is drained: it stays drained, and goes on when it is lifted.

use crate::support::celery::Celery;
use crate::support::queues::{Consumers, declare};
use crate::support::rabbit::Release;
use crate::support::story::{System, Worker};
use crate::support::{World, eventually, secs};

/// Drains a Celery worker, lets something happen that costs it its connections, and lifts the drain.
fn survives(release: Release, accident: impl FnOnce(&mut World)) {
    let mut world = World::with(release);
    let celery = Celery::default();
    let worker = celery.start(&world, "w1", 1);
    let mut producer = celery.producer(&world);
    producer.push("first", 0.1, 0.0);
    world.log().await_line("end", "first", secs(60));
    drop(producer);
    world.gate().cli(&["drain", &worker.name, "--name", "d", "--wait", "--timeout", "90s"]).expect(0);
    accident(&mut world);
    let mut producer = celery.producer(&world);
    producer.push("held", 0.1, 0.0);
    await_consuming(&world, &worker);
    world.gate().await_worker(&worker.name, "drained", secs(60));
    assert_eq!(world.log().find("start", "held"), None, "the mark outlived it");
    world.gate().cli(&["undrain", "d"]).expect(0);
    world.log().await_line("end", "held", secs(60));
    world.log().assert_exactly_once(&[]);
}

/// Its consumer is back, and parked.
fn await_consuming(world: &World, worker: &Worker) {
    eventually("the worker consumes again", secs(60), || {
        world.gate().worker(&worker.name).filter(|worker| {
            let queues = worker["queues"].as_array().is_some_and(|queues| queues.iter().any(|queue| queue == "celery"));
            worker["connections"].as_u64() >= Some(2) && worker["held"].as_u64() >= Some(1) && queues
        })
    });
}

#[test]
fn the_broker_restarts_3() {
    survives(Release::Three, restart_broker);
}

#[test]
fn the_broker_restarts_4() {
    survives(Release::Four, restart_broker);
}

fn restart_broker(world: &mut World) {
    let broker = world.rabbit.as_mut().expect("this world has RabbitMQ");
    broker.down();
    broker.up();
}

#[test]
fn the_gate_is_stopped() {
    survives(Release::Three, |world| {
        world.gate_mut().terminate();
        eventually("the gate leaves", secs(60), || world.gate_mut().ended());
        world.gate_mut().up();
    });
}

#[test]
fn the_gate_is_killed() {
    survives(Release::Four, |world| {
        world.gate_mut().kill();
        world.gate_mut().up();
    });
}

/// A connection that publishes while the broker is short of memory is not read any more: its acks and the gate's cancel
/// lie where they are. It stays `draining` as long as that, and nothing is closed or run twice for it.
fn memory_alarm(release: Release) {
    let world = World::with(release);
    let rabbit = world.rabbit.as_ref().expect("it is there");
    declare(&world, "jobs", r#"{"durable": true}"#);
    let system = Consumers { queue: "jobs", prefetch: 2, number: 1, fed: &["jobs"] };
    let _worker = system.start(&world, "w", 1);
    // the gate has asked what the queue is like: then it is the cancel that is not answered
    world.gate().cli(&["drain", "worker=w", "--name", "before", "--wait", "--timeout", "20s"]).expect(0);
    world.gate().cli(&["undrain", "before"]).expect(0);
    let mut producer = system.producer(&world);
    (0..4).for_each(|number| producer.push(&format!("told{number}"), 4.0, 0.0));
    drop(producer);
    world.log().await_line("start", "told1", secs(20));
    rabbit.ctl(&["set_vm_memory_high_watermark", "absolute", "1"]);
    world.log().await_line("blocked", "-", secs(30));
    world.gate().cli(&["drain", "worker=w", "--name", "d"]).expect(0);
    world.gate().cli(&["wait", "d", "--for", "sealed", "--timeout", "4s"]).expect(4);
    assert_eq!(world.gate().worker("w").expect("it is there")["state"], "draining");
    rabbit.ctl(&["set_vm_memory_high_watermark", "0.9"]);
    world.gate().cli(&["wait", "d", "--timeout", "30s"]).expect(0);
    world.gate().cli(&["undrain", "d"]).expect(0);
    world.log().await_all_ended(secs(30));
    world.log().assert_exactly_once(&[]);
}

#[test]
fn memory_alarm_on_3() {
    memory_alarm(Release::Three);
}

#[test]
fn memory_alarm_on_4() {
    memory_alarm(Release::Four);
}
