//! Laravel's queues: 8.83 with Debian's own PHP, and the newest that Debian has with its PHP.

use crate::support::scripted::{Named, Scripted};
use crate::support::story::{Load, System, drain_and_kill, drain_then_kill_by};
use crate::support::{World, eventually, rounds, secs};

/// Due jobs are looked for each second: every other one is due up to two seconds later.
const EXACT: Load = Load { longest: 1.5, countdown: 1.9, open: 10, require: "exact" };

fn laravel(program: &'static str, environment: &'static [(&'static str, &'static str)]) -> Scripted {
    Scripted {
        program,
        worker: &["laravel_jobs.php", "worker"],
        producer: &["laravel_jobs.php", "producer"],
        environment,
        named: Named::ByProcess,
    }
}

const OLD: &str = "php";
const NEW: &str = ".cache/php/php";

/// A worker that found nothing looks again some time later.
#[test]
fn polling() {
    drain_and_kill(&World::new(), &laravel(OLD, &[]), EXACT, rounds());
}

/// Two queues, the one before the other, and each worker waits for the sign of a push.
#[test]
fn waiting_with_predis() {
    let environment = &[("CLIENT", "predis"), ("BLOCK_FOR", "1"), ("QUEUES", "high,default")];
    drain_and_kill(&World::new(), &laravel(OLD, environment), EXACT, rounds());
}

/// Its keys have an application's prefix. A worker that was drained behind a sign must not have it for itself: the other
/// one would wait for five seconds.
#[test]
fn the_newest() {
    let environment = &[("PREFIX", "laravel_database_"), ("BLOCK_FOR", "5")];
    drain_and_kill(&World::new(), &laravel(NEW, environment), EXACT, rounds());
}

#[test]
fn the_newest_with_predis() {
    drain_and_kill(&World::new(), &laravel(NEW, &[("CLIENT", "predis")]), EXACT, rounds());
}

/// A job that failed is removed first, and then its callback runs.
#[test]
fn a_failed_job_s_callback() {
    let world = World::new();
    for (number, program) in (1..).zip([OLD, NEW]) {
        let laravel = laravel(program, &[]);
        let worker = laravel.start(&world, "w1", number);
        let id = format!("failing{number}");
        laravel.producer(&world).push(&id, 3.0, 0.0);
        world.log().await_line("start", &id, secs(30));
        let drained = drain_then_kill_by(&world, worker, &format!("d{number}"), "exact");
        assert_eq!(world.log().assert_exactly_once(&[drained]), number);
    }
}

/// After `retry_after` another worker runs the job as well: who runs it still is not drained, nor by the other's end.
#[test]
fn a_job_that_ran_out_of_time() {
    let world = World::new();
    let laravel = laravel(OLD, &[("RETRY_AFTER", "1")]);
    let first = laravel.start(&world, "w1", 1);
    laravel.producer(&world).push("long", 5.0, 0.0);
    world.log().await_line("start", "long", secs(30));
    let second = laravel.start(&world, "w2", 1);
    eventually("the other one runs it, too", secs(30), || {
        world.log().first(|line| line.what == "start" && line.worker == second.label)
    });
    for (worker, drain) in [(first, "first"), (second, "second")] {
        let drained = drain_then_kill_by(&world, worker, drain, "exact");
        world.log().assert_idle_when_drained(&drained);
    }
}

/// A worker that is being drained may still be woken for a job that it must not take. Whoever waits without an end has to be
/// woken all the same.
#[test]
fn nobody_sleeps_because_a_drained_worker_was_woken() {
    let world = World::new();
    let laravel = laravel(OLD, &[("BLOCK_FOR", "0")]);
    let worker = laravel.start(&world, "w1", 1);
    let mut producer = laravel.producer(&world);
    producer.push("warm", 0.0, 0.0);
    world.log().await_line("end", "warm", secs(30));
    for number in 0..4 {
        let (drain, job) = (format!("d{number}"), format!("quick{number}"));
        world.gate().cli(&["drain", &worker.name, "--name", &drain]).expect(0);
        producer.push(&job, 0.0, 0.0);
        world.gate().cli(&["wait", &drain, "--timeout", "30s"]).expect(0);
        for (key, what) in [("queues:default", "the job is there"), ("queues:default:notify", "and its sign")] {
            eventually(what, secs(3), || world.redis.command(&["LLEN", key]).contains('1').then_some(()));
        }
        world.gate().cli(&["undrain", &drain]).expect(0);
        world.log().await_line("end", &job, secs(5));
    }
}
