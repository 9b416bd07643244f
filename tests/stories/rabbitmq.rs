//! RabbitMQ: Celery with its rpc:// results, and home-made workers with pika, on Debian's rabbitmq-server.

use crate::support::celery::Celery;
use crate::support::pika::Pika;
use crate::support::story::{Load, System, drain_and_kill};
use crate::support::{World, eventually, rounds, secs};

#[test]
fn celery_early_ack() {
    drain_and_kill(&World::with_rabbit(), &Celery::default(), Load::default(), rounds());
}

#[test]
fn celery_late_ack() {
    drain_and_kill(&World::with_rabbit(), &Celery { late: true, ..Celery::default() }, Load::default(), rounds());
}

#[test]
fn pika() {
    let pika = Pika { prefetch: 2, queue: "" };
    drain_and_kill(&World::with_rabbit(), &pika, Load { longest: 1.5, ..Load::default() }, rounds());
}

#[test]
fn pika_on_a_quorum_queue() {
    let pika = Pika { prefetch: 3, queue: "x-queue-type=quorum" };
    drain_and_kill(&World::with_rabbit(), &pika, Load { longest: 1.5, ..Load::default() }, rounds());
}

/// Drained, idle for a while, lifted: the same worker goes on, on the same connection.
#[test]
fn lifted() {
    let world = World::with_rabbit();
    let pika = Pika { prefetch: 2, queue: "" };
    let worker = pika.start(&world, "w1", 1);
    let mut producer = pika.producer(&world);
    producer.push("first", 0.1, 0.0);
    world.log().await_line("end", "first", secs(10));
    world.gate().cli(&["drain", &worker.name, "--name", "d", "--wait", "--timeout", "20s"]).expect(0);
    producer.push("held", 0.1, 0.0);
    std::thread::sleep(secs(3));
    assert_eq!(world.log().find("start", "held"), None);
    world.gate().cli(&["undrain", "d"]).expect(0);
    world.log().await_line("end", "held", secs(5));
    let back = eventually("it is active", secs(5), || world.gate().worker("w1").filter(|w| w["state"] == "active"));
    assert_eq!(back["connections"], 1, "{back}");
    world.log().assert_exactly_once(&[]);
}
