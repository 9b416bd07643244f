//! RabbitMQ: Celery with its rpc:// results, and home-made workers with pika, on RabbitMQ 3 and 4.

use crate::support::celery::Celery;
use crate::support::pika::Pika;
use crate::support::rabbit::Release;
use crate::support::story::{Load, System, drain_and_kill};
use crate::support::{World, eventually, rounds_or, secs};

/// A story for each release, with half of the rounds each.
macro_rules! on_each_release {
    ($($story:ident)*) => {
        mod on_3 {
            $(#[test] fn $story() { super::$story(super::Release::Three) })*
        }
        mod on_4 {
            $(#[test] fn $story() { super::$story(super::Release::Four) })*
        }
    };
}

on_each_release! { celery_early_ack celery_late_ack pika pika_on_a_quorum_queue lifted }

fn celery_early_ack(release: Release) {
    drain_and_kill(&World::with(release), &Celery::default(), Load::default(), rounds_or(1));
}

fn celery_late_ack(release: Release) {
    drain_and_kill(&World::with(release), &Celery { late: true, ..Celery::default() }, Load::default(), rounds_or(1));
}

fn pika(release: Release) {
    let pika = Pika { prefetch: 2, queue: "" };
    drain_and_kill(&World::with(release), &pika, Load { longest: 1.5, ..Load::default() }, rounds_or(1));
}

fn pika_on_a_quorum_queue(release: Release) {
    let pika = Pika { prefetch: 3, queue: "x-queue-type=quorum" };
    drain_and_kill(&World::with(release), &pika, Load { longest: 1.5, ..Load::default() }, rounds_or(1));
}

/// Drained, idle for a while, lifted: the same worker goes on, on the same connection.
fn lifted(release: Release) {
    let world = World::with(release);
    let pika = Pika { prefetch: 2, queue: "" };
    let worker = pika.start(&world, "w1", 1);
    let mut producer = pika.producer(&world);
    producer.push("first", 0.1, 0.0);
    world.log().await_line("end", "first", secs(10));
    world.gate().cli(&["drain", &worker.name, "--name", "d", "--wait", "--timeout", "20s"]).expect(0);
    producer.push("held", 0.1, 0.0);
    world.log().assert_held("held", secs(3));
    world.gate().cli(&["undrain", "d"]).expect(0);
    world.log().await_line("end", "held", secs(5));
    let back = eventually("it is active", secs(5), || world.gate().worker("w1").filter(|w| w["state"] == "active"));
    assert_eq!(back["connections"], 1, "{back}");
    world.log().assert_exactly_once(&[]);
}
