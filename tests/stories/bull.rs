//! BullMQ 5 with ioredis 5 (RESP2), BullMQ 6 with ioredis 6 (RESP3), and Bull 4.

use crate::support::redis::Server;
use crate::support::scripted::{Named, Scripted};
use crate::support::story::{Load, System, drain_and_kill};
use crate::support::{World, eventually, rounds, secs};

const EXACT: Load = Load { longest: 1.5, countdown: 0.0, open: 16, require: "exact" };

macro_rules! environment {
    ($modules:literal, $library:literal $(, $name:literal = $value:literal)*) => {
        &[
            ("MODULES", concat!(env!("CARGO_MANIFEST_DIR"), "/.cache/", $modules)),
            ("LIBRARY", $library),
            $(($name, $value),)*
        ]
    };
}

fn bull(environment: &'static [(&'static str, &'static str)]) -> Scripted {
    Scripted {
        program: "node",
        worker: &["bull_jobs.js", "worker"],
        producer: &["bull_jobs.js", "producer"],
        environment,
        named: Named::ByProcess,
    }
}

pub(super) fn bullmq_6_worker() -> Scripted {
    bull(environment!("bullmq6", "bullmq"))
}

/// Its scripts are those of the year before: other numbers of keys, other SHAs, no names of workers.
#[test]
fn bullmq_5_12_on_valkey_9() {
    let bull = bull(environment!("bullmq512", "bullmq"));
    drain_and_kill(&World::on(Server::Valkey9), &bull, Load { countdown: 2.0, ..EXACT }, rounds());
}

#[test]
fn bullmq_5() {
    drain_and_kill(&World::new(), &bull(environment!("bullmq5", "bullmq")), Load { countdown: 2.0, ..EXACT }, rounds());
}

#[test]
fn bullmq_6() {
    drain_and_kill(&World::new(), &bullmq_6_worker(), Load { countdown: 2.0, ..EXACT }, rounds());
}

/// Each job fails once: the script that puts it off until its time fetches as well.
#[test]
fn bullmq_6_with_retries() {
    let bull = bull(environment!("bullmq6", "bullmq", "RETRIES" = "1", "BACKOFF" = "300"));
    drain_and_kill(&World::new(), &bull, Load { longest: 0.8, ..EXACT }, rounds());
}

/// Results longer than the gate waits for: the script's argument is changed while it streams.
#[test]
fn bullmq_5_with_long_results() {
    let bull = bull(environment!("bullmq5", "bullmq", "PADDING" = "300000", "CONCURRENCY" = "1"));
    drain_and_kill(&World::new(), &bull, Load { longest: 0.8, ..EXACT }, rounds());
}

#[test]
fn bull_4() {
    drain_and_kill(&World::new(), &bull(environment!("bull4", "bull")), Load { countdown: 2.0, ..EXACT }, rounds());
}

#[test]
fn bull_4_with_retries() {
    let bull = bull(environment!("bull4", "bull", "RETRIES" = "1"));
    drain_and_kill(&World::new(), &bull, Load { longest: 0.8, ..EXACT }, rounds());
}

/// A worker that is being drained may still be woken for a job that it must not take: the marker that wakes the next one
/// has to be there all the same, or the job waits until somebody looks by himself.
#[test]
fn nobody_sleeps_because_a_drained_worker_was_woken() {
    let world = World::new();
    let bull = bull(environment!("bullmq6", "bullmq"));
    let worker = bull.start(&world, "w1", 1);
    let mut producer = bull.producer(&world);
    producer.push("warm", 0.0, 0.0);
    world.log().await_line("end", "warm", secs(30));
    for number in 0..4 {
        let (drain, job) = (format!("d{number}"), format!("job{number}"));
        world.gate().cli(&["drain", &worker.name, "--name", &drain]).expect(0);
        producer.push(&job, 0.0, 0.0);
        world.gate().cli(&["wait", &drain, "--timeout", "30s"]).expect(0);
        eventually("the job has been added", secs(30), || {
            world.redis.command(&["LLEN", "bull:jobs:wait"]).contains('1').then_some(())
        });
        eventually("somebody will be woken", secs(3), || {
            world.redis.command(&["ZCARD", "bull:jobs:marker"]).contains('1').then_some(())
        });
        world.gate().cli(&["undrain", &drain]).expect(0);
        world.log().await_line("end", &job, secs(30));
    }
}

/// The broker forgets all scripts while a worker is drained with a job running: it sends them anew, and they are changed
/// all the same.
#[test]
fn scripts_are_flushed_while_draining() {
    let world = World::new();
    let bull = bull(environment!("bullmq5", "bullmq", "CONCURRENCY" = "1"));
    let worker = bull.start(&world, "w1", 1);
    let mut producer = bull.producer(&world);
    producer.push("warm", 0.0, 0.0);
    world.log().await_line("end", "warm", secs(30));
    producer.push("long", 2.0, 0.0);
    world.log().await_line("start", "long", secs(30));
    producer.push("rest", 0.0, 0.0);
    world.gate().cli(&["drain", &worker.name, "--name", "d"]).expect(0);
    world.redis.command(&["SCRIPT", "FLUSH"]);
    world.gate().cli(&["wait", "d", "--timeout", "60s"]).expect(0);
    assert!(world.log().find("end", "long").is_some(), "drained before the job's end");
    assert!(world.gate().metric("draingate_fetches_rewritten_total") > 0.0);
    // its next look at the queue comes by the script's text, too
    world.log().assert_held("rest", secs(6));
    world.gate().cli(&["undrain", "d"]).expect(0);
    world.log().await_all_ended(secs(30));
    world.log().assert_exactly_once(&[]);
}
