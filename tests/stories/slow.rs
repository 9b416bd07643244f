//! The story that every job system has to live through, with a slow network between workers and gate: each connection
//! stands still by itself now and then, so the gate hears what a worker did in another order than it did it, and late. The
//! workers come from addresses of their own, as containers do.

use crate::support::celery::Celery;
use crate::support::clients::Client;
use crate::support::rabbit::Release;
use crate::support::sidekiq::Sidekiq;
use crate::support::slow::{STEADY, Slowness};
use crate::support::story::{Load, System, drain_amid, drain_and_kill};
use crate::support::{World, rounds_or, secs};

/// As long as most blocking fetches. There and back it is less than redis-py 8 and Sidekiq 6 wait for an answer.
const PATIENT: Slowness = Slowness { longest: 2.2, every: 4.0 };
/// Longer than two periods of Celery's heartbeats.
const BEATS: Slowness = Slowness { longest: 6.0, every: 6.0 };
/// Shorter than a Celery worker takes to start: RabbitMQ must know by then that the one before is gone, whose private queues
/// have the same names.
const BRIEF: Slowness = Slowness { longest: 2.0, every: 4.0 };
/// redis-client gives up on an answer after a second, and what is in it then is lost, with a gate or without.
const IMPATIENT: Slowness = Slowness { longest: 0.3, every: 1.5 };

const JOBS: Load = Load { longest: 3.0, countdown: 0.0, open: 12, require: "reported" };
const EXACT: Load = Load { require: "exact", ..JOBS };

fn on_redis(system: &dyn System, slowness: Slowness, load: Load) {
    drain_and_kill(&with_a_first_minute_of("15s", World::behind(slowness)), system, load, rounds_or(1));
}

fn on_rabbitmq(system: &dyn System, load: Load) {
    let world = with_a_first_minute_of("15s", World::with_behind(Release::Four, BRIEF));
    drain_and_kill(&world, system, load, rounds_or(1));
}

/// So long nothing tells that an address was not in use before the gate began.
fn with_a_first_minute_of(time: &str, mut world: World) -> World {
    world.gate_mut().kill();
    world.gate_mut().set("DRAINGATE__DRAINS__FORGET_AFTER", time);
    world.gate_mut().up();
    world
}

#[test]
fn celery() {
    on_redis(&Celery::default(), BEATS, JOBS);
}

/// Only its heartbeats tell.
#[test]
fn celery_without_remote_control() {
    on_redis(&Celery { remote: false, ..Celery::default() }, BEATS, JOBS);
}

#[test]
fn celery_with_late_acks() {
    on_redis(&Celery { late: true, ..Celery::default() }, BEATS, JOBS);
}

#[test]
fn celery_on_rabbitmq() {
    on_rabbitmq(&Celery::default(), JOBS);
}

#[test]
fn sidekiq_6() {
    on_redis(&Sidekiq::new(6), PATIENT, Load { require: "inferred", ..JOBS });
}

#[test]
fn sidekiq_8() {
    on_redis(&Sidekiq::new(8), IMPATIENT, Load { require: "inferred", ..JOBS });
}

/// Behind an address that may have been in use before the gate began, only locks that nobody renews tell.
#[test]
fn bullmq() {
    on_redis(&super::bull::bullmq_6_worker(), PATIENT, JOBS);
}

#[test]
fn rq() {
    on_redis(&super::rq::rq(3, &[]), PATIENT, EXACT);
}

#[test]
fn arq() {
    on_redis(&super::arq::arq(&[]), PATIENT, EXACT);
}

#[test]
fn dramatiq() {
    on_redis(&super::dramatiq_redis::dramatiq(&[]), PATIENT, EXACT);
}

/// Nothing tells that its address was not in use before the gate began, except that the gate began long ago.
#[test]
fn taskiq() {
    let world = with_a_first_minute_of("100ms", World::behind(PATIENT));
    let taskiq = super::taskiq_redis::taskiq(&[("BROKER_KIND", "stream")]);
    drain_and_kill(&world, &taskiq, EXACT, rounds_or(1));
}

#[test]
fn dramatiq_on_rabbitmq() {
    on_rabbitmq(&Client::NamedDramatiq, EXACT);
}

#[test]
fn amqplib() {
    on_rabbitmq(&Client::Amqplib, EXACT);
}

/// The heartbeats stand still while a job begins and the others of the worker's connections go on: those that say that it has
/// nothing to do come behind the job's acknowledgement, and were sent before. (On Redis Celery waits for the answer to each.)
#[test]
fn heartbeats_come_late() {
    let world = World::with_behind(Release::Three, STEADY);
    let celery = Celery { remote: false, ..Celery::default() };
    let worker = celery.start(&world, "w1", 1);
    let network = world.network.as_ref().expect("a network");
    network.keep_heartbeats(3);
    let mut producer = celery.producer(&world);
    producer.push("long", 9.0, 0.0);
    world.log().await_line("start", "long", secs(60));
    let drained = drain_amid(&world, worker, "d", "reported", |worker| {
        world.gate().await_worker(&worker.name, "sealed", secs(60));
        network.let_heartbeats_go();
    });
    drop(producer);
    assert!(world.log().find("end", "long").is_some(), "drained before the job's end");
    world.log().assert_exactly_once(&[drained]);
}
