//! An idle drained worker is quiet: it neither reconnects nor spins. A refused fetch looks exactly like an empty queue.

use crate::support::celery::Celery;
use crate::support::sidekiq::Sidekiq;
use crate::support::story::{System, Worker};
use crate::support::{World, rounds, secs};
use std::time::Duration;

#[test]
fn celery() {
    stays_quiet(&Celery::default());
}

#[test]
fn sidekiq_6() {
    stays_quiet(&Sidekiq::new(6));
}

#[test]
fn sidekiq_8() {
    stays_quiet(&Sidekiq::new(8));
}

/// What happens in one span of time with an idle worker.
struct Span {
    commands: u64,
    closed: f64,
    opened: f64,
    cpu: f64,
}

fn stays_quiet(system: &dyn System) {
    // redis-rb gives up a connection after 7 s without an answer; more rounds reach kombu's 51 s too
    let length = secs(if rounds() > 2 { 60 } else { 12 });
    let world = World::new();
    let worker = system.start(&world, "w1", 1);
    world.gate().cli(&["drain", &worker.name, "--wait", "--timeout", "90s"]).expect(0);
    let drained = measure(&world, &worker, length);
    let clients = world.redis.command(&["CLIENT", "LIST"]);
    assert_eq!(drained.closed, 0.0, "the worker gave up a connection:\n{clients}");
    // a connection pool opens its last ones some seconds after the start
    assert!(drained.opened <= 2.0, "{} new connections:\n{clients}", drained.opened);
    let seconds = length.as_secs_f64();
    assert!(drained.cpu / seconds < 0.10, "the worker spins: {:.2} s of CPU in {seconds} s", drained.cpu);
    assert!(drained.commands as f64 / seconds < 25.0, "{} commands at the broker in {seconds} s", drained.commands);
    let state = world.gate().worker(&worker.name).expect("it is still there");
    assert_eq!(state["state"], "drained", "{state}");
}

fn measure(world: &World, worker: &Worker, length: Duration) -> Span {
    let read = || {
        let opened = world.gate().metric("draingate_connections_total");
        let commands = world.redis.info("total_commands_processed");
        (commands, opened, world.gate().metric("draingate_connections"), worker.process.cpu_seconds())
    };
    let before = read();
    std::thread::sleep(length);
    let after = read();
    let opened = after.1 - before.1;
    Span { commands: after.0 - before.0, closed: opened - (after.2 - before.2), opened, cpu: after.3 - before.3 }
}
