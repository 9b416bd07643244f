//! Celery 5.7, prefork, with redis-py 8.

use crate::support::celery::Celery;
use crate::support::gate::Answer;
use crate::support::story::{Load, System, await_job_on, drain_and_kill, drain_then_kill};
use crate::support::{World, eventually, rounds, secs};
use std::time::Instant;

#[test]
fn early_ack() {
    drain_and_kill(&World::new(), &Celery::default(), Load::default(), rounds());
}

/// Only its heartbeats tell.
#[test]
fn without_remote_control() {
    drain_and_kill(&World::new(), &Celery { remote: false, ..Celery::default() }, Load::default(), rounds());
}

#[test]
fn late_ack() {
    drain_and_kill(&World::new(), &Celery { late: true, ..Celery::default() }, Load::default(), rounds());
}

#[test]
fn early_ack_without_results() {
    let celery = Celery { results: false, concurrency: 3, ..Celery::default() };
    drain_and_kill(&World::new(), &celery, Load { longest: 1.5, ..Load::default() }, rounds());
}

#[test]
fn with_tls_on_both_sides() {
    drain_and_kill(&World::secure(), &Celery::default(), Load::default(), rounds());
}

#[test]
fn with_a_unix_socket_of_the_broker() {
    let load = Load::default();
    drain_and_kill(&World::over_unix_socket(), &Celery::default(), load, rounds());
    let late = Celery { late: true, ..Celery::default() };
    drain_and_kill(&World::over_unix_socket(), &late, load, rounds());
}

#[test]
fn jobs_that_come_due_around_the_drain() {
    let load = Load { countdown: 8.0, open: 24, ..Load::default() };
    drain_and_kill(&World::new(), &Celery::default(), load, rounds());
}

/// A job much longer than any of the gate's own periods keeps the worker from being drained to its last second, and the
/// command line says so at its time-out.
#[test]
fn not_drained_while_a_job_runs() {
    let world = World::new();
    let celery = Celery::default();
    let worker = celery.start(&world, "w1", 1);
    let mut producer = celery.producer(&world);
    producer.push("long", 12.0, 0.0);
    world.log().await_line("start", "long", secs(60));
    let drain = ["drain", &worker.name, "--name", "d", "--wait", "--timeout", "4s"];
    world.gate().cli(&drain).expect(4);
    assert_eq!(world.log().find("end", "long"), None);
    // the drain stays in force, and waiting can be taken up again
    world.gate().cli(&["wait", "d", "--for", "sealed", "--timeout", "30s"]).expect(0);
    producer.push("new", 0.0, 0.0);
    world.gate().cli(&["wait", "d", "--timeout", "90s"]).expect(0);
    let end = world.log().find("end", "long").expect("drained only after the job's end");
    assert!(crate::support::now() - end.time < 20.0, "drained soon after the job's end");
    assert_eq!(world.log().find("start", "new"), None);
    // lifted: the job that waited runs at once
    let lifted = Instant::now();
    world.gate().cli(&["undrain", "d"]).expect(0);
    world.log().await_line("start", "new", secs(60));
    assert!(lifted.elapsed() < secs(10), "jobs flow again after {:?}", lifted.elapsed());
    world.log().await_all_ended(secs(60));
    world.log().assert_exactly_once(&[]);
}

/// A job that takes longer than the visibility time-out: Celery gives it back while it runs, and only its own end is one.
#[test]
fn not_drained_while_a_job_runs_that_was_given_back() {
    let world = World::new();
    let celery = Celery { late: true, visible: Some(1), ..Celery::default() };
    let worker = celery.start(&world, "w1", 1);
    let mut producer = celery.producer(&world);
    producer.push("long", 8.0, 0.0);
    world.log().await_line("start", "long", secs(60));
    world.gate().cli(&["drain", &worker.name, "--name", "d"]).expect(0);
    eventually("it stands in its queue again", secs(7), || {
        (world.redis.command(&["LLEN", "celery"]) == "1").then_some(())
    });
    assert_eq!(world.log().find("end", "long"), None);
    world.gate().cli(&["wait", "d", "--timeout", "60s"]).expect(0);
    assert!(world.log().find("end", "long").is_some(), "drained only after the job's end");
}

/// drain → kill → start under the same name: the new life gets jobs within five seconds (of three lives one must show it;
/// a busy machine may slow the others down), and none is lost on the way.
#[test]
fn the_next_life_under_the_same_name_is_not_held() {
    let world = World::new();
    let celery = Celery::default();
    let mut producer = celery.producer(&world);
    let (mut drained, mut fastest) = (Vec::new(), f64::MAX);
    for life in 1..=3 {
        let worker = celery.start(&world, "w1", life);
        let job = format!("job{life}");
        producer.push(&job, 0.2, 0.0);
        await_job_on(&world, &worker);
        let [push, start] = ["push", "start"].map(|what| world.log().find(what, &job).expect("it ran").time);
        fastest = fastest.min(if life > 1 { start - push } else { f64::MAX });
        drained.push(drain_then_kill(&world, worker, &format!("drain-{life}")));
    }
    assert!(fastest < 5.0, "the next life waits for its first job: {fastest:.1} s");
    world.log().assert_exactly_once(&drained);
}

/// It crashed with a job in its hands and was started again: what it lost then is not the drain's business.
#[test]
fn a_crash_before_the_drain() {
    let world = World::new();
    let celery = Celery::default();
    let mut crashed = celery.start(&world, "w1", 1);
    let mut producer = celery.producer(&world);
    producer.push("lost", 60.0, 0.0);
    world.log().await_line("start", "lost", secs(60));
    crashed.process.kill();
    let worker = celery.start(&world, "w1", 2);
    producer.push("done", 1.0, 0.0);
    await_job_on(&world, &worker);
    world.gate().cli(&["drain", &worker.name, "--wait", "--timeout", "30s"]).expect(0);
    assert!(world.log().find("end", "done").is_some());
    assert_eq!(world.log().verdict().lost, ["lost"]);
}

#[test]
fn inspect_answers_while_drained() {
    let world = World::new();
    let celery = Celery::default();
    let worker = celery.start(&world, "w1", 1);
    world.gate().cli(&["drain", &worker.name, "--wait", "--timeout", "90s"]).expect(0);
    for address in [world.worker_address(), world.redis.address()] {
        let mut ping = celery.tool(&world, &address, &["inspect", "ping", "--timeout", "5"]);
        let answer = Answer::of(ping.output().expect("celery inspect runs")).expect(0);
        assert!(answer.out.contains("celery@w1") && answer.out.contains("pong"), "{answer:?}");
    }
    let state = world.gate().worker("celery@w1").expect("it is still there");
    assert_eq!(state["state"], "drained", "{state}");
}

/// Neither the heartbeats nor the lists of a worker tell of a batch that runs, and its tasks are acknowledged when it begins.
#[test]
fn batches_that_are_acknowledged_early_are_unknown() {
    let world = World::new();
    let celery = Celery { batches: true, release: "celery53", results: false, ..Celery::default() };
    let worker = celery.start(&world, "w1", 1);
    let mut producer = celery.producer(&world);
    ["a", "b", "c"].into_iter().for_each(|job| producer.push(job, 5.0, 0.0));
    world.log().await_line("start", "c", secs(60));
    let answer = world.gate().cli(&["drain", &worker.name, "--wait", "--timeout", "90s"]).expect(6);
    assert!(answer.err.contains("celery-batches") && answer.err.contains("acks_late"), "what helps: {}", answer.err);
}

#[test]
fn batches_with_late_acks() {
    let celery = Celery { batches: true, release: "celery53", late: true, results: false, ..Celery::default() };
    drain_and_kill(&World::new(), &celery, Load::default(), rounds());
}
