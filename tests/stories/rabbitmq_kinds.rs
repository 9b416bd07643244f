//! Queues and consumers of special kinds, declared by somebody else than who consumes them: nothing is crashed, skipped or
//! closed by a drain.

use crate::support::gate::text;
use crate::support::queues::{Consumers, declare, deliveries, depth, hold};
use crate::support::rabbit::Release;
use crate::support::story::System;
use crate::support::{World, eventually, secs};
use serde_json::Value;

/// The worker's page as soon as it has something that cannot be stopped.
fn await_blocked(world: &World, name: &str) -> Value {
    eventually("it is told", secs(10), || {
        let blocked = |worker: &Value| worker["blocked"].as_array().is_some_and(|reasons| !reasons.is_empty());
        world.gate().worker(name).filter(blocked)
    })
}

/// A single active consumer: were it cancelled, another would start while it works, and RabbitMQ 3 crashes the queue when
/// the next job comes.
fn single_active(release: Release) {
    const QUEUE: &str = r#"{"durable": true, "arguments":
        {"x-single-active-consumer": true, "x-dead-letter-exchange": "", "x-max-length": 1000}}"#;
    let world = World::with(release);
    declare(&world, "single", QUEUE);
    let system = Consumers { queue: "single", prefetch: 1, number: 1, fed: &["single"] };
    let _active = system.start(&world, "a", 1);
    let _other = system.start(&world, "b", 1);
    let mut producer = system.producer(&world);
    (0..4).for_each(|number| producer.push(&format!("job{number}"), 0.5, 0.0));
    world.log().await_line("start", "job0", secs(20));
    world.gate().cli(&["drain", "worker=a", "--name", "d"]).expect(0);
    let worker = await_blocked(&world, "a");
    assert_eq!(worker["state"], "draining", "{worker}");
    assert!(text(&worker["blocked"][0]).contains("is a single active consumer"), "{worker}");
    // the next job that is published is the one that would crash it
    producer.push("last", 0.1, 0.0);
    world.log().await_line("end", "last", secs(20));
    assert_eq!(depth(&world, "single"), "0", "the queue is still there");
    world.log().assert_exactly_once(&[]);
    let lines = world.log().lines();
    let by = |worker: &str| lines.iter().filter(|line| line.what == "start" && line.worker == worker).count();
    assert_eq!((by("a.1"), by("b.1")), (5, 0), "one at a time, and the same");
}

#[test]
fn single_active_on_3() {
    single_active(Release::Three);
}

#[test]
fn single_active_on_4() {
    single_active(Release::Four);
}

/// A quorum queue with an expiry: nothing but a consumer keeps it.
#[test]
fn an_expiring_quorum_queue() {
    const QUEUE: &str = r#"{"durable": true, "arguments":
        {"x-queue-type": "quorum", "x-expires": 2000, "x-dead-letter-exchange": ""}}"#;
    let world = World::with(Release::Four);
    declare(&world, "expiring", QUEUE);
    let system = Consumers { queue: "expiring", prefetch: 1, number: 1, fed: &["expiring"] };
    let _worker = system.start(&world, "w", 1);
    world.gate().cli(&["drain", "worker=w", "--name", "d"]).expect(0);
    let worker = await_blocked(&world, "w");
    assert!(text(&worker["blocked"][0]).contains("reads a quorum queue with an x-expires"), "{worker}");
    std::thread::sleep(secs(6));
    assert_eq!(depth(&world, "expiring"), "0", "the queue is still there");
}

/// Somebody takes the queue of a drained worker to himself. The worker's channel, with a job in flight on it, must not be
/// the one that RabbitMQ closes for that; and whoever shares the queue is no obstacle.
fn exclusive(release: Release) {
    let world = World::with(release);
    declare(&world, "taken", r#"{"durable": true}"#);
    let system = Consumers { queue: "taken", prefetch: 2, number: 1, fed: &["taken"] };
    let _worker = system.start(&world, "a", 1);
    let mut producer = system.producer(&world);
    producer.push("long", 6.0, 0.0);
    world.log().await_line("start", "long", secs(20));
    let drain = |name: &str| {
        world.gate().cli(&["drain", "worker=a", "--name", name]).expect(0);
        world.gate().cli(&["wait", name, "--for", "sealed", "--timeout", "20s"]).expect(0);
    };
    drain("first");
    let holder = hold(&world, "taken");
    world.gate().cli(&["undrain", "first"]).expect(0);
    let worker = await_blocked(&world, "a");
    assert!(text(&worker["blocked"][0]).contains("is in exclusive use by another consumer"), "{worker}");
    drop(holder);
    drain("second");
    let _other = system.start(&world, "b", 1);
    world.gate().cli(&["undrain", "second"]).expect(0);
    (0..4).for_each(|number| producer.push(&format!("job{number}"), 2.0, 0.0));
    drop(producer);
    world.log().await_all_ended(secs(30));
    world.log().assert_exactly_once(&[]);
    let lines = world.log().lines();
    for worker in ["a.1", "b.1"] {
        let of = |line: &&crate::support::joblog::Line| line.worker == worker && line.id.starts_with("job");
        assert!(lines.iter().filter(of).count() > 0, "{worker} got nothing");
    }
    assert_eq!(deliveries(&world).iter().filter(|delivery| delivery.redelivered).count(), 0, "taken and given back");
}

#[test]
fn exclusive_on_3() {
    exclusive(Release::Three);
}

#[test]
fn exclusive_on_4() {
    exclusive(Release::Four);
}

/// A stream's consumer that begins at the end and has got nothing is drained. What is published meanwhile it gets when the
/// drain is lifted, each once, and nothing of what was published before it began.
fn stream(release: Release) {
    let world = World::with(release);
    declare(&world, "stream", r#"{"durable": true, "arguments": {"x-queue-type": "stream"}}"#);
    let system = Consumers { queue: "stream", prefetch: 9, number: 1, fed: &["stream"] };
    let mut producer = system.producer(&world);
    let mut push = |name: &str| (0..3).for_each(|number| producer.push(&format!("{name}{number}"), 0.1, 0.0));
    push("before");
    world.log().await_line("push", "before2", secs(20));
    eventually("they are in the stream", secs(20), || (depth(&world, "stream") == "3").then_some(()));
    let worker = system.start(&world, "w", 1);
    let drain = |name: &str| {
        world.gate().cli(&["drain", "worker=w", "--name", name, "--wait", "--timeout", "20s"]).expect(0);
    };
    drain("with-jobs-meanwhile");
    push("meanwhile");
    eventually("they are in the stream", secs(20), || (depth(&world, "stream") == "6").then_some(()));
    assert_eq!(world.log().find("start", "meanwhile0"), None);
    world.gate().cli(&["undrain", "with-jobs-meanwhile"]).expect(0);
    world.log().await_line("end", "meanwhile2", secs(20));
    drain("with-a-place");
    world.gate().cli(&["undrain", "with-a-place"]).expect(0);
    push("after");
    world.log().await_line("end", "after2", secs(20));
    drop(worker);
    // another life, which gets nothing before its drain nor in it
    let worker = system.start(&world, "w", 2);
    drain("with-nothing");
    world.gate().cli(&["undrain", "with-nothing"]).expect(0);
    push("last");
    world.log().await_line("end", "last2", secs(20));
    drop(worker);
    // the same for a queue that is paused
    let _worker = system.start(&world, "w", 3);
    world.gate().cli(&["pause", "stream", "--wait"]).expect(0);
    push("paused");
    eventually("they are in the stream", secs(20), || (depth(&world, "stream") == "15").then_some(()));
    assert_eq!(world.log().find("start", "paused0"), None);
    world.gate().cli(&["resume", "stream"]).expect(0);
    world.log().await_line("end", "paused2", secs(20));
    let lines = world.log().lines();
    for name in ["before", "meanwhile", "after", "last", "paused"] {
        for number in 0..3 {
            let id = format!("{name}{number}");
            let times = lines.iter().filter(|line| line.what == "start" && line.id == id).count();
            assert_eq!(times, usize::from(name != "before"), "{id}");
        }
    }
}

#[test]
fn stream_on_3() {
    stream(Release::Three);
}

#[test]
fn stream_on_4() {
    stream(Release::Four);
}
