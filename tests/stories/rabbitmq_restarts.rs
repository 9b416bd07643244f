//! RabbitMQ or the gate goes away under a worker that is drained: it stays drained, and goes on when it is lifted.

use super::rabbitmq_bad_input::{GREETING, HEARTBEAT, longstr, method, methods, opening_frames, shortstr};
use crate::support::celery::Celery;
use crate::support::gate::text;
use crate::support::queues::{Consumers, declare};
use crate::support::rabbit::Release;
use crate::support::story::{System, Worker};
use crate::support::{World, eventually, secs};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

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

/// The task's process opens a connection for its next attempt. If that is refused, Celery rejects the task, although its
/// acknowledgement is late, and nobody runs it again.
#[test]
fn a_task_is_retried_while_the_gate_is_stopped() {
    let mut world = World::with(Release::Three);
    let celery = Celery { late: true, retries: 1, ..Celery::default() };
    let _worker = celery.start(&world, "w1", 1);
    let mut producer = celery.producer(&world);
    producer.push("long", 3.0, 0.0);
    world.log().await_line("start", "long", secs(60));
    world.gate_mut().terminate();
    eventually("the gate leaves", secs(60), || world.gate_mut().ended());
    world.gate_mut().up();
    world.log().await_line("end", "long.1", secs(60));
    world.log().assert_exactly_once(&[]);
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
    // of this one's queue nothing has been asked: then it is that question that is not answered
    declare(&world, "others", r#"{"durable": true}"#);
    let others = Consumers { queue: "others", prefetch: 2, number: 1, fed: &["jobs", "others"] };
    let _unasked = others.start(&world, "u", 1);
    // the gate has asked what the queue is like: then it is the cancel that is not answered
    world.gate().cli(&["drain", "worker=w", "--name", "before", "--wait", "--timeout", "20s"]).expect(0);
    world.gate().cli(&["undrain", "before"]).expect(0);
    let mut producer = others.producer(&world);
    (0..8).for_each(|number| producer.push(&format!("told{number}"), 4.0, 0.0));
    drop(producer);
    world.log().await_line("start", "told3", secs(20));
    rabbit.ctl(&["set_vm_memory_high_watermark", "absolute", "1"]);
    for label in ["w.1", "u.1"] {
        let blocked = || world.log().first(|line| line.what == "blocked" && line.worker == label);
        eventually(&format!("{label} is blocked"), secs(30), blocked);
    }
    world.gate().cli(&["drain", "worker=w", "worker=u", "--name", "d"]).expect(0);
    world.gate().cli(&["wait", "d", "--for", "sealed", "--timeout", "4s"]).expect(4);
    for name in ["w", "u"] {
        let worker = world.gate().worker(name).expect("it is there");
        assert_eq!(worker["state"], "draining", "{worker}");
        assert!(text(&worker["blocked"][0]).contains("short of memory or disk"), "{worker}");
    }
    a_consume_meanwhile(&world);
    rabbit.ctl(&["set_vm_memory_high_watermark", "0.9"]);
    world.gate().cli(&["wait", "d", "--timeout", "30s"]).expect(0);
    world.gate().cli(&["undrain", "d"]).expect(0);
    world.log().await_all_ended(secs(30));
    world.log().assert_exactly_once(&[]);
}

/// A drained client asks for jobs of a queue that nothing is known of, on a connection that is not read: it hears that it
/// has them, and heartbeats, and its end is seen.
fn a_consume_meanwhile(world: &World) {
    const SECOND: &[u8] = &[0, 1];
    world.gate().cli(&["drain", "all", "--standing", "--name", "all"]).expect(0);
    let mut client = TcpStream::connect(world.worker_address()).expect("the gate accepts");
    client.set_read_timeout(Some(secs(20))).expect("set");
    let tune_ok = method(0, 10, 31, &[&2047_u16.to_be_bytes(), &131_072_u32.to_be_bytes(), SECOND]);
    let name = [shortstr("connection_name"), b"S".to_vec(), longstr(b"meanwhile")].concat();
    let [start_ok, _, open] = opening_frames(&name, "guest", "guest", "/");
    let channel = method(1, 20, 10, &[&[0]]);
    let publish = method(1, 60, 40, &[&[0, 0], &shortstr(""), &shortstr("results"), &[0]]);
    let nothing = [&[2, 0, 1, 0, 0, 0, 14, 0, 60][..], &[0; 12], &[0xCE]].concat();
    client.write_all(&[GREETING, &start_ok, &tune_ok, &open, &channel, &publish, &nothing].concat()).expect("written");
    let (mut heard, until) = (Vec::new(), Instant::now() + secs(60));
    let mut await_heard = |what: &str, client: &mut TcpStream, is: &dyn Fn(&[u8]) -> bool| {
        let mut piece = [0; 4096];
        while !is(&heard) {
            let n = client.read(&mut piece).unwrap_or_else(|error| panic!("{what}: {error} after {heard:02x?}"));
            assert!(n > 0 && Instant::now() < until, "no {what}, but {heard:02x?}");
            heard.extend(&piece[..n]);
        }
        heard.clear();
    };
    await_heard("blocked", &mut client, &|heard| methods(heard).contains(&(10, 60)));
    // it is marked from the first moment on, and listed when its process has been found
    eventually("it is marked", secs(20), || {
        world.gate().worker("meanwhile").filter(|worker| worker["state"] != "active").map(drop)
    });
    let connections = world.gate().metric("draingate_connections");
    let consume = method(1, 60, 20, &[&[0, 0], &shortstr("jobs"), &shortstr("t"), &[0, 0, 0, 0, 0]]);
    client.write_all(&consume).expect("written");
    await_heard("consume-ok", &mut client, &|heard| methods(heard).contains(&(60, 21)));
    await_heard("a heartbeat", &mut client, &|heard| heard.windows(8).any(|frame| frame == HEARTBEAT));
    drop(client);
    eventually("it has left", secs(20), || {
        (world.gate().metric("draingate_connections") == connections - 1.0).then_some(())
    });
    world.gate().cli(&["undrain", "all"]).expect(0);
}

#[test]
fn memory_alarm_on_3() {
    memory_alarm(Release::Three);
}

#[test]
fn memory_alarm_on_4() {
    memory_alarm(Release::Four);
}
