//! A quorum queue that writes slowly: RabbitMQ's channel has the acknowledgements of a worker, answers behind them, and
//! loses those that the queue has not got when the worker is gone.

use super::rabbitmq_bad_input::{GREETING, method, methods, opening, shortstr};
use crate::support::queues::{Consumers, declare, depth};
use crate::support::rabbit::Release;
use crate::support::story::System;
use crate::support::{World, secs};
use std::io::{Read, Write};
use std::net::TcpStream;

/// More than the 32 that a channel sends to the queue before it hears of the first.
const JOBS: u8 = 100;
/// The log that quorum queues write to stands still from now on, for so long.
const STALLS: &str = "sys:suspend(ra_log_wal), spawn(fun() -> timer:sleep(900), sys:resume(ra_log_wal) end).";
const GOES_ON: &str = "sys:resume(ra_log_wal).";
/// The channels hear of nothing for longer than the second that is waited, and the log goes on a while after that: as if
/// all of it had been held up on its way.
const HELD_UP: &str = "C = rabbit_channel:list(), [sys:suspend(P) || P <- C], sys:suspend(ra_log_wal), \
                       spawn(fun() -> timer:sleep(1500), [sys:resume(P) || P <- C], timer:sleep(500), sys:resume(ra_log_wal) end).";

/// It is a quorum queue without having been called one.
const UNTYPED: &str = r#"{"durable": true}"#;
const TYPED: &str = r#"{"durable": true, "arguments": {"x-queue-type": "quorum"}}"#;

/// A consumer with all jobs in its hands. It declares a queue without a type itself.
fn worker(world: &World, queue: &str) -> TcpStream {
    let mut stream = TcpStream::connect(world.worker_address()).expect("the gate listens");
    stream.set_read_timeout(Some(secs(20))).expect("set");
    let mut open = method(1, 20, 10, &[&[0]]);
    if queue == UNTYPED {
        open.extend(method(1, 50, 10, &[&[0, 0], &shortstr("quorum"), &[2, 0, 0, 0, 0]]));
    }
    let qos = method(1, 60, 10, &[&[0, 0, 0, 0, 0, JOBS, 0]]);
    let consume = method(1, 60, 20, &[&[0, 0], &shortstr("quorum"), &shortstr("t"), &[0, 0, 0, 0, 0]]);
    stream.write_all(&[GREETING, &opening("guest", "guest", "/"), &open, &qos, &consume].concat()).expect("written");
    let (mut heard, mut piece) = (Vec::new(), [0; 4096]);
    let delivered = |heard: &[u8]| methods(heard).into_iter().filter(|method| *method == (60, 60)).count();
    while delivered(&heard) < usize::from(JOBS) {
        let n = stream.read(&mut piece).unwrap_or_else(|error| panic!("{error} after {:?}", methods(&heard)));
        assert!(n > 0, "closed after {}", String::from_utf8_lossy(&heard));
        heard.extend(&piece[..n]);
    }
    stream
}

/// A worker with all jobs in its hands.
fn at_work(release: Release, queue: &str) -> (World, TcpStream) {
    let world = World::with(release);
    if queue == UNTYPED {
        let rabbit = world.rabbit.as_ref().expect("it is there");
        rabbit.ctl(&["update_vhost_metadata", "/", "--default-queue-type", "quorum"]);
    }
    declare(&world, "quorum", queue);
    let system = Consumers { queue: "quorum", prefetch: 1, number: 1, fed: &["quorum"] };
    let mut producer = system.producer(&world);
    (0..JOBS).for_each(|number| producer.push(&format!("job{number}"), 0.0, 0.0));
    drop(producer);
    let worker = worker(&world, queue);
    (world, worker)
}

/// All acknowledgements in one piece, to a broker that is told so much before.
fn acknowledge(world: &World, worker: &mut TcpStream, stalls: &str) {
    world.rabbit.as_ref().expect("it is there").ctl(&["eval", stalls]);
    let ack = |tag: u8| method(1, 60, 80, &[&[0, 0, 0, 0, 0, 0, 0, tag, 0]]);
    worker.write_all(&(1..=JOBS).flat_map(ack).collect::<Vec<u8>>()).expect("written");
}

/// Killed as soon as it is drained.
fn ends(world: &World, worker: TcpStream) {
    world.gate().cli(&["wait", "d", "--for", "drained", "--timeout", "20s"]).expect(0);
    drop(worker);
    world.rabbit.as_ref().expect("it is there").ctl(&["eval", GOES_ON]);
    assert_eq!(depth(world, "quorum"), "0", "jobs that were acknowledged are there again");
}

fn acknowledged_together(release: Release, queue: &str, stalls: &str) {
    let (world, mut worker) = at_work(release, queue);
    world.gate().cli(&["drain", "all", "--name", "d"]).expect(0);
    world.gate().cli(&["wait", "d", "--for", "sealed", "--timeout", "20s"]).expect(0);
    acknowledge(&world, &mut worker, stalls);
    ends(&world, worker);
}

#[test]
fn acknowledged_together_on_3() {
    acknowledged_together(Release::Three, TYPED, STALLS);
}

#[test]
fn acknowledged_together_on_4() {
    acknowledged_together(Release::Four, TYPED, STALLS);
}

#[test]
fn held_up_on_their_way_on_3() {
    acknowledged_together(Release::Three, TYPED, HELD_UP);
}

#[test]
fn held_up_on_their_way_on_4() {
    acknowledged_together(Release::Four, TYPED, HELD_UP);
}

/// The virtual host makes quorum queues of those that are declared without a type.
#[test]
fn acknowledged_together_on_a_host_of_quorum_queues() {
    acknowledged_together(Release::Four, UNTYPED, STALLS);
}
