//! Loops of nobody's own around redis-py, ioredis and go-redis: all are held, and of each is said what can be known.

use crate::support::scripted::{Named, Scripted};
use crate::support::sidekiq::Sidekiq;
use crate::support::story::{Load, System, drain_and_kill};
use crate::support::{World, eventually, rounds_or, secs};

const EXACT: Load = Load { longest: 1.0, countdown: 0.0, open: 8, require: "exact" };

fn python(program: &'static str, environment: &'static [(&'static str, &'static str)]) -> Scripted {
    Scripted {
        program,
        worker: &["redis_loop.py", "worker"],
        producer: &["redis_loop.py", "producer"],
        environment,
        named: Named::Given,
    }
}

const PY5: &str = ".venvs/huey/bin/python";
const PY6: &str = ".venvs/taskiq_redis/bin/python";
const PY8: &str = ".venvs/rq3/bin/python";

fn declared() -> World {
    let mut world = World::new();
    world.gate_mut().kill();
    world.gate_mut().set("DRAINGATE__GATE__FETCH", "jobs");
    world.gate_mut().up();
    world
}

/// A list of its own keeps each job until it is removed from there.
#[test]
fn a_private_list() {
    drain_and_kill(&World::new(), &python(PY5, &[("KIND", "private")]), EXACT, rounds_or(1));
}

/// Each job is removed over a connection that is closed before its process could be found.
#[test]
fn a_private_list_with_a_connection_for_each_acknowledgement() {
    drain_and_kill(&World::new(), &python(PY5, &[("KIND", "private"), ("FRESH", "1")]), EXACT, rounds_or(1));
}

/// A private list without waiting: its queue has to be declared.
#[test]
fn a_polled_private_list() {
    let python = python(PY8, &[("KIND", "poll"), ("PROTOCOL", "3")]);
    drain_and_kill(&declared(), &python, EXACT, rounds_or(1));
}

/// What Sidekiq Pro's fetcher does. The first job may come before the process has told its name.
#[test]
fn sidekiq_with_private_lists() {
    let sidekiq = Sidekiq { private_lists: true, queues: &["default", "low"], ..Sidekiq::new(7) };
    drain_and_kill(&World::new(), &sidekiq, EXACT, rounds_or(1));
}

#[test]
fn a_stream() {
    let python = python(PY8, &[("KIND", "stream"), ("PROTOCOL", "3")]);
    drain_and_kill(&World::new(), &python, EXACT, rounds_or(1));
}

/// Who comes back is done, says the operator.
#[test]
fn a_declared_list() {
    drain_and_kill(&declared(), &python(PY6, &[("KIND", "list")]), Load { require: "inferred", ..EXACT }, rounds_or(1));
}

/// Nobody has said anything: it is held, and never called drained. At its natural end nothing is lost.
#[test]
fn a_list_that_nobody_declared_is_unknown() {
    held_but_unknown(&python(PY8, &[("KIND", "list"), ("PROTOCOL", "3")]), "[gate] fetch");
}

#[test]
fn ioredis_6_in_resp_3_is_unknown() {
    let modules = concat!(env!("CARGO_MANIFEST_DIR"), "/.cache/bullmq6");
    held_but_unknown(&node(Box::leak(Box::new([("MODULES", modules), ("KIND", "list")]))), "[gate] fetch");
}

/// ioredis 5 speaks RESP2.
#[test]
fn a_private_list_with_ioredis_5() {
    let modules = concat!(env!("CARGO_MANIFEST_DIR"), "/.cache/bullmq5");
    let node = node(Box::leak(Box::new([("MODULES", modules), ("KIND", "private")])));
    drain_and_kill(&World::new(), &node, EXACT, rounds_or(1));
}

fn node(environment: &'static [(&'static str, &'static str)]) -> Scripted {
    Scripted {
        program: "node",
        worker: &["ioredis_loop.js", "worker"],
        producer: &["ioredis_loop.js", "producer"],
        environment,
        named: Named::Given,
    }
}

/// go-redis 9 speaks RESP3 and asks for notes of maintenance, which would lead it past the gate.
#[test]
fn a_private_list_with_go_redis() {
    drain_and_kill(&World::new(), &go(&[("KIND", "private")]), EXACT, rounds_or(1));
}

#[test]
fn a_declared_list_with_go_redis() {
    drain_and_kill(&declared(), &go(&[("KIND", "list")]), Load { require: "inferred", ..EXACT }, rounds_or(1));
}

fn go(environment: &'static [(&'static str, &'static str)]) -> Scripted {
    Scripted {
        program: ".cache/go/go_redis",
        worker: &["worker"],
        producer: &["producer"],
        environment,
        named: Named::Given,
    }
}

fn held_but_unknown(system: &Scripted, hint: &str) {
    let world = World::new();
    let mut worker = system.start(&world, "w1", 1);
    let mut producer = system.producer(&world);
    producer.push("seen", 1.0, 0.0);
    world.log().await_line("start", "seen", secs(30));
    world.gate().cli(&["drain", &worker.name, "--name", "d"]).expect(0);
    world.gate().cli(&["wait", "d", "--for", "sealed", "--timeout", "10s"]).expect(0);
    producer.push("held", 0.0, 0.0);
    let answer = world.gate().cli(&["wait", "d", "--timeout", "90s"]).expect(6);
    assert!(answer.err.contains(hint), "{answer:?}");
    // sealed it is: whoever knows that it is done may end it
    assert!(world.log().find("end", "seen").is_some());
    assert_eq!(world.log().find("start", "held"), None);
    worker.process.kill();
    let _next = system.start(&world, "w2", 1);
    world.log().await_all_ended(secs(30));
    world.log().assert_exactly_once(&[]);
}

/// A script of its own cannot be held: it passes, is counted, and who uses it is never sealed.
#[test]
fn a_script_that_takes_jobs() {
    let world = World::new();
    let script = python(PY8, &[("KIND", "script")]);
    let worker = script.start(&world, "w1", 1);
    // an empty list is no reason to say that nothing can come
    eventually("its script has been answered", secs(10), || {
        world.gate().worker(&worker.name).filter(|worker| worker["blocked"].to_string().contains("EVALSHA"))
    });
    let answer = world.gate().cli(&["drain", &worker.name, "--name", "idle", "--wait", "--timeout", "1s"]).expect(4);
    assert!(answer.out.contains("EVALSHA") && answer.out.contains("cannot be held"), "{answer:?}");
    world.gate().cli(&["undrain", "idle"]).expect(0);
    let mut producer = script.producer(&world);
    producer.push("seen", 0.1, 0.0);
    world.log().await_line("end", "seen", secs(30));
    assert!(world.gate().metric("draingate_unknown_scripts_total") > 0.0);
    let answer = world.gate().cli(&["drain", &worker.name, "--name", "d", "--wait", "--timeout", "3s"]).expect(4);
    assert!(answer.out.contains("EVALSHA") && answer.out.contains("cannot be held"), "{answer:?}");
    producer.push("passes", 0.0, 0.0);
    world.log().await_line("end", "passes", secs(30));
    // nor does a pause of its list come to hold it
    let answer = world.gate().cli(&["pause", "jobs", "--wait", "--timeout", "2s"]).expect(4);
    let shown = world.gate().cli(&["queues"]).expect(0);
    let says = |text: &str| text.contains("EVALSHA") && text.contains("cannot be held");
    assert!(says(&answer.err) || says(&answer.out), "{answer:?}");
    assert!(says(&shown.out) && shown.out.contains("pausing"), "{shown:?}");
}
