//! Celery workers that send no heartbeats, as many run them, or that cannot answer: what the gate makes of its own question.

use crate::support::celery::{Celery, await_acknowledged};
use crate::support::gate::Answer;
use crate::support::rabbit::Release;
use crate::support::story::{Load, System, drain_and_kill};
use crate::support::{World, eventually, rounds, secs};

const SILENT: &[&str] = &["--without-heartbeat", "--without-gossip", "--without-mingle"];
const REPORTED: Load = Load { longest: 3.0, countdown: 0.0, open: 16, require: "reported" };

fn silent() -> Celery {
    Celery { results: false, options: SILENT, ..Celery::default() }
}

/// Remote control is everybody's all the while, and nothing of the question stays behind.
#[test]
fn drained_by_their_answers() {
    let world = World::new();
    let celery = silent();
    drain_and_kill(&world, &celery, REPORTED, rounds());
    let worker = celery.start(&world, "w3", 1);
    await_pong(&world, &celery, "celery@w3");
    assert_no_trace(&world);
    drop(worker);
}

/// An older release with RESP2, threads and a key prefix.
#[test]
fn threads_with_a_prefix_and_resp2() {
    let world = World::new();
    const OPTIONS: &[&str] = &["--without-heartbeat", "--without-gossip", "--without-mingle", "-P", "threads"];
    let celery = Celery { release: "celery53", prefix: "app:", options: OPTIONS, ..silent() };
    drain_and_kill(&world, &celery, REPORTED, rounds().div_ceil(2));
    assert_no_trace(&world);
}

/// The solo pool runs its task in the loop that answers: it says nothing until the task is over, and then drains.
#[test]
fn a_solo_worker_answers_when_its_task_is_over() {
    let world = World::new();
    const OPTIONS: &[&str] = &["--without-heartbeat", "--without-gossip", "--without-mingle", "-P", "solo"];
    let celery = Celery { options: OPTIONS, ..silent() };
    let mut worker = celery.start(&world, "w1", 1);
    celery.producer(&world).push("long", 14.0, 0.0);
    world.log().await_line("start", "long", secs(60));
    world.gate().cli(&["drain", &worker.name, "--require", "reported", "--wait", "--timeout", "90s"]).expect(0);
    worker.process.kill();
    assert!(world.log().find("end", "long").is_some(), "drained only after its end");
    assert_no_trace(&world);
}

/// The gate is killed and comes back while a job runs: what the worker has in its hands only the worker knows.
#[test]
fn a_worker_that_outlived_the_gate_is_asked_for_all_that_it_has() {
    let mut world = World::new();
    let celery = silent();
    let mut worker = celery.start(&world, "w1", 1);
    let mut producer = celery.producer(&world);
    producer.push("long", 15.0, 0.0);
    world.log().await_line("start", "long", secs(60));
    await_acknowledged(&world, &worker);
    world.gate_mut().kill();
    world.gate_mut().up();
    producer.push("short", 0.1, 0.0);
    world.log().await_line("end", "short", secs(60));
    assert_eq!(world.log().find("end", "long"), None);
    world.gate().cli(&["drain", "all", "--require", "reported", "--wait", "--timeout", "90s"]).expect(0);
    worker.process.kill();
    assert!(world.log().find("end", "long").is_some(), "drained only after its end");
    assert_no_trace(&world);
}

/// On RabbitMQ, which drops what it hears of the answers.
#[test]
fn on_rabbitmq() {
    let world = World::with(Release::Three);
    let celery = silent();
    drain_and_kill(&world, &celery, REPORTED, rounds());
    let worker = celery.start(&world, "w3", 1);
    await_pong(&world, &celery, "celery@w3");
    drop(worker);
}

#[test]
fn on_rabbitmq_without_remote_control() {
    let world = World::with(Release::Three);
    stays_unknown(&world);
}

/// Nobody but the worker knows whether a task that was acked at its start has ended, and this one does not say.
#[test]
fn without_remote_control_it_is_unknown_and_never_drained() {
    stays_unknown(&World::new());
}

fn stays_unknown(world: &World) {
    let celery = Celery { remote: false, ..silent() };
    let worker = celery.start(world, "w1", 1);
    celery.producer(world).push("seen", 0.1, 0.0);
    world.log().await_line("end", "seen", secs(60));
    eventually("the gate knows the worker", secs(60), || world.gate().workers().pop());
    let answer = world.gate().cli(&["drain", "all", "--wait", "--timeout", "90s"]).expect(6);
    let said = format!("{}{}", answer.out, answer.err);
    assert!(said.contains("heartbeat") && said.contains("worker_enable_remote_control"), "what to enable: {said}");
    drop(worker);
}

fn await_pong(world: &World, celery: &Celery, name: &str) {
    for address in [world.worker_address(), world.broker_address()] {
        let mut ping = celery.tool(world, &address, &["inspect", "ping", "-d", name, "--timeout", "5"]);
        let answer = Answer::of(ping.output().expect("celery inspect runs")).expect(0);
        assert!(answer.out.contains(name) && answer.out.contains("pong"), "{answer:?}");
    }
}

fn assert_no_trace(world: &World) {
    let keys = world.redis.command(&["KEYS", "*"]);
    assert!(!keys.contains("draingate"), "{keys}");
}

/// Its account may publish to its own exchanges only. A broker that refuses closes the channel.
#[test]
fn on_rabbitmq_with_an_account_that_may_not_answer() {
    let world = World::with(Release::Three);
    let celery = Celery { results: false, ..Celery::default() };
    let worker = celery.start(&world, "w1", 1);
    let mut producer = celery.producer(&world);
    producer.push("long", 4.0, 0.0);
    world.log().await_line("start", "long", secs(60));
    let rabbit = world.rabbit.as_ref().expect("a broker");
    rabbit.ctl(&["set_permissions", "guest", ".*", "^(?!amq.default$).*$", ".*"]);
    let drain = ["drain", &worker.name, "--name", "d", "--require", "reported", "--wait", "--timeout", "90s"];
    world.gate().cli(&drain).expect(0);
    assert!(world.log().find("end", "long").is_some(), "drained only after its end");
    rabbit.ctl(&["set_permissions", "guest", ".*", ".*", ".*"]);
    world.gate().cli(&["undrain", "d"]).expect(0);
    producer.push("next", 0.1, 0.0);
    world.log().await_line("end", "next", secs(60));
}
