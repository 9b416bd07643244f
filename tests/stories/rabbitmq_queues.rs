//! RabbitMQ's own accounts: no delivery is counted that no worker saw, none is dead-lettered, no queue is lost, and nobody
//! gets more than its prefetch, however often it is drained and lifted.

use crate::support::celery::Celery;
use crate::support::gate::text;
use crate::support::queues::{Consumers, declare, deliveries, depth, most_in_hand};
use crate::support::rabbit::Release;
use crate::support::story::{Load, System, random, with_jobs};
use crate::support::{World, eventually, now, rounds, secs};
use serde_json::json;
use std::time::Duration;

const CLASSIC: &str = r#"{"durable": true, "arguments":
    {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}}"#;
const QUORUM: &str = r#"{"durable": true, "arguments": {"x-queue-type": "quorum", "x-delivery-limit": 3,
    "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}}"#;
const PREFETCH: usize = 4;

/// Drains and lifts, over and over, while jobs run: on a classic queue and on a quorum queue at once.
fn cycles(release: Release) {
    let world = World::with(release);
    declare(&world, "dead", r#"{"durable": true}"#);
    declare(&world, "classic", CLASSIC);
    declare(&world, "quorum", QUORUM);
    let fed: &[&str] = &["classic", "quorum"];
    let of = |queue| Consumers { queue, prefetch: PREFETCH, number: 1, fed };
    let _workers = [of("classic").start(&world, "c", 1), of("quorum").start(&world, "q", 1)];
    let mut random = random();
    // more than they can do, so that whoever has room gets a job
    let load = Load { longest: 2.0, open: 60, ..Load::default() };
    let mut backlog = of("classic").producer(&world);
    (0..50).for_each(|number| backlog.push(&format!("first{number}"), length_of(number), 0.0));
    drop(backlog);
    with_jobs(&world, &of("classic"), load, || {
        for cycle in 0..rounds().max(2) * 10 {
            std::thread::sleep(Duration::from_millis(random.u64(0..500)));
            let name = format!("cycle-{cycle}");
            world.gate().cli(&["drain", "worker=c", "worker=q", "--name", &name]).expect(0);
            // lifted with jobs in hand, or with none
            let goal = if random.bool() { "sealed" } else { "drained" };
            world.gate().cli(&["wait", &name, "--for", goal, "--timeout", "60s"]).expect(0);
            world.gate().cli(&["undrain", &name]).expect(0);
        }
    });
    world.log().await_all_ended(secs(120));
    world.log().assert_exactly_once(&[]);
    assert_eq!(depth(&world, "dead"), "0", "jobs were dead-lettered");
    let most = most_in_hand(&world, 0.0);
    assert!(most.values().all(|most| *most <= PREFETCH), "more than the prefetch: {most:?}");
    the_whole_prefetch_comes_back(&world, &of("classic"));
}

/// What a consumer was resumed with less for, it gets back in the end.
fn the_whole_prefetch_comes_back(world: &World, system: &Consumers) {
    let lifted = now();
    let mut producer = system.producer(world);
    let mut number = 0;
    eventually("both have a full hand again", secs(90), || {
        if world.log().open() < 2 * PREFETCH + 4 {
            (0..4).for_each(|_| producer.push(&format!("late{number}-{}", next(&mut number)), 0.6, 0.0));
            std::thread::sleep(Duration::from_millis(100));
        }
        let most = most_in_hand(world, lifted);
        assert!(most.values().all(|most| *most <= PREFETCH), "more than the prefetch: {most:?}");
        (most.len() == 2 && most.values().all(|most| *most == PREFETCH)).then_some(())
    });
}

fn next(number: &mut usize) -> usize {
    *number += 1;
    *number
}

#[test]
fn twenty_cycles_on_3() {
    cycles(Release::Three);
}

#[test]
fn twenty_cycles_on_4() {
    cycles(Release::Four);
}

/// Thirty workers on one quorum queue are drained one after the other. A cancel right behind an ack would cost the next
/// job a delivery that nobody sees, and the twentieth of these its life.
fn rolling(release: Release) {
    const WORKERS: usize = 30;
    const BACKLOG: usize = 1_500;
    let world = World::with(release);
    declare(&world, "dead", r#"{"durable": true}"#);
    declare(&world, "quorum", QUORUM);
    let system = Consumers { queue: "quorum", prefetch: 1, number: WORKERS, fed: &["quorum"] };
    let mut producer = system.producer(&world);
    producer.push("back", 0.0, 0.0);
    // so short that acks are always on their way
    (0..BACKLOG).for_each(|number| producer.push(&format!("job{number}"), 0.0, 0.0));
    drop(producer);
    let _workers = system.start(&world, "w", 1);
    for child in 0..WORKERS {
        let name = format!("drain-{child}");
        world.gate().cli(&["drain", &format!("worker=w-{child}"), "--name", &name]).expect(0);
        world.gate().cli(&["wait", &name, "--for", "sealed", "--timeout", "60s"]).expect(0);
    }
    world.gate().cli(&["undrain", "--all"]).expect(0);
    world.log().await_all_ended(secs(120));
    world.log().assert_exactly_once(&[]);
    let counted: Vec<_> = deliveries(&world).into_iter().filter(|d| d.redelivered || d.count > 0).collect();
    // the one that was given back shows that the count would be seen
    assert_eq!(counted.len(), 1, "{counted:?}");
    assert_eq!((counted[0].id.as_str(), counted[0].count), ("back", 1));
    assert_eq!(depth(&world, "dead"), "0", "jobs were dead-lettered");
}

/// Between 0.2 and 0.9 s, so that acks come at any moment.
fn length_of(number: usize) -> f64 {
    0.2 + (number * 37 % 71) as f64 / 100.0
}

#[test]
fn rolling_on_3() {
    rolling(Release::Three);
}

#[test]
fn rolling_on_4() {
    rolling(Release::Four);
}

/// A consumer of an auto-delete queue that somebody else has declared: a cancel would delete the queue with its jobs.
fn auto_delete(release: Release) {
    let world = World::with(release);
    let fed: &[&str] = &["fleeting"];
    let system = Consumers { queue: "fleeting", prefetch: 1, number: 1, fed };
    declare(&world, "fleeting", r#"{"auto_delete": true}"#);
    let _worker = system.start(&world, "w", 1);
    let mut producer = system.producer(&world);
    (0..4).for_each(|number| producer.push(&format!("job{number}"), 0.5, 0.0));
    world.log().await_line("start", "job0", secs(20));
    world.gate().cli(&["drain", "worker=w", "--name", "d"]).expect(0);
    let worker = eventually("it is told", secs(10), || {
        world
            .gate()
            .worker("w")
            .filter(|worker| worker["blocked"].as_array().is_some_and(|reasons| !reasons.is_empty()))
    });
    assert_eq!(worker["state"], "draining", "{worker}");
    assert!(text(&worker["blocked"][0]).contains("reads an auto-delete queue"), "{worker}");
    world.log().await_all_ended(secs(20));
    assert_eq!(depth(&world, "fleeting"), "0", "the queue is still there");
    world.log().assert_exactly_once(&[]);
}

#[test]
fn auto_delete_on_3() {
    auto_delete(Release::Three);
}

#[test]
fn auto_delete_on_4() {
    auto_delete(Release::Four);
}

/// A queue with an expiry is kept while its only consumer is drained.
fn expiring(release: Release) {
    let world = World::with(release);
    declare(&world, "expiring", r#"{"durable": true, "arguments": {"x-expires": 2000}}"#);
    let system = Consumers { queue: "expiring", prefetch: 1, number: 1, fed: &["expiring"] };
    let _worker = system.start(&world, "w", 1);
    world.gate().cli(&["drain", "worker=w", "--name", "d", "--wait", "--timeout", "20s"]).expect(0);
    let mut producer = system.producer(&world);
    producer.push("held", 0.1, 0.0);
    drop(producer);
    world.log().assert_held("held", secs(6));
    world.gate().cli(&["undrain", "d"]).expect(0);
    world.log().await_line("end", "held", secs(20));
    world.log().assert_exactly_once(&[]);
}

#[test]
fn expiring_on_3() {
    expiring(Release::Three);
}

#[test]
fn expiring_on_4() {
    expiring(Release::Four);
}

/// Remote control goes on while a worker is drained, longer than its queue would live without a consumer.
fn remote_control(release: Release) {
    let world = World::with(release);
    let celery = Celery::default();
    let worker = celery.start(&world, "w1", 1);
    let drain = ["drain", &worker.name, "--name", "d", "--wait", "--timeout", "60s"];
    world.gate().cli(&drain).expect(0);
    let drained = now();
    while now() < drained + 12.0 {
        let mut ping = celery.tool(&world, &world.worker_address(), &["inspect", "ping", "--json", "--timeout", "5"]);
        let answer = ping.output().expect("celery runs");
        let pong: serde_json::Value = serde_json::from_slice(&answer.stdout).unwrap_or_default();
        assert_eq!(pong[&worker.name], json!({"ok": "pong"}), "{}", String::from_utf8_lossy(&answer.stderr));
    }
    assert_eq!(world.gate().worker(&worker.name).expect("it is there")["state"], "drained");
    world.gate().cli(&["undrain", "d"]).expect(0);
    celery.producer(&world).push("after", 0.1, 0.0);
    world.log().await_line("end", "after", secs(30));
}

#[test]
fn remote_control_on_3() {
    remote_control(Release::Three);
}

#[test]
fn remote_control_on_4() {
    remote_control(Release::Four);
}
