//! Celery 5.7 on RabbitMQ: what is told of its workers, and jobs that wait for their time.

use crate::support::celery::Celery;
use crate::support::gate::{Answer, text};
use crate::support::rabbit::Release;
use crate::support::story::{Load, System, drain_and_kill, drain_then_kill};
use crate::support::{World, eventually, rounds_or, secs};
use serde_json::{Value, json};

/// With events of tasks, and with results that the gate does not see.
#[test]
fn jobs_that_come_due_around_the_drain() {
    let load = Load { countdown: 6.0, open: 24, ..Load::default() };
    let celery = Celery { results_in_redis: true, options: &["-E"], ..Celery::default() };
    drain_and_kill(&World::with(Release::Three), &celery, load, rounds_or(1));
}

/// Only its heartbeats tell.
#[test]
fn without_remote_control() {
    let celery = Celery { remote: false, ..Celery::default() };
    drain_and_kill(&World::with(Release::Three), &celery, Load::default(), rounds_or(1));
}

/// Each is retried once: a child publishes it anew before its main process acknowledges.
#[test]
fn late_ack_jobs_that_come_due_around_the_drain() {
    let load = Load { longest: 2.0, countdown: 4.0, open: 12, ..Load::default() };
    drain_and_kill(
        &World::with(Release::Three),
        &Celery { late: true, retries: 1, ..Celery::default() },
        load,
        rounds_or(1),
    );
}

#[test]
fn with_tls_on_both_sides() {
    drain_and_kill(&World::secure_with(Release::Three), &Celery::default(), Load::default(), rounds_or(1));
}

/// The worker sets its prefetch per consumer then. What is not due waits with it all the same, in its default exchange.
#[test]
fn quorum_queues() {
    let load = Load { countdown: 6.0, open: 24, ..Load::default() };
    let celery = Celery { quorum: true, late: true, ..Celery::default() };
    drain_and_kill(&World::with(Release::Four), &celery, load, rounds_or(1));
}

/// The result of a short task is stored before the worker acknowledges it, and what its `after_return` does comes behind.
#[test]
fn a_task_that_goes_on_behind_its_result() {
    let world = World::with(Release::Four);
    let celery = Celery { after: 5, ..Celery::default() };
    for (round, options) in [&[][..], &["-P", "threads"]].into_iter().enumerate() {
        let worker = Celery { options, ..celery.clone() }.start(&world, "w1", round + 1);
        let job = format!("short{round}");
        let mut producer = celery.producer(&world);
        producer.push(&job, 0.0, 0.0);
        world.log().await_line("start", &job, secs(20));
        let drained = drain_then_kill(&world, worker, &format!("d{round}"));
        world.log().assert_exactly_once(&[drained]);
    }
}

/// Its next attempt is published before its `on_retry`, and waits for its time in the same worker, under the same id.
#[test]
fn a_task_that_goes_on_behind_its_retry() {
    let world = World::with(Release::Three);
    let celery = Celery { retries: 1, retry_in: 3600, after: 5, ..Celery::default() };
    let worker = celery.start(&world, "w1", 1);
    let mut producer = celery.producer(&world);
    producer.push("put-off", 0.0, 0.0);
    let both = |page: &Value| page["in_flight"] == json!({"running": 1, "prefetched": 0, "delayed": 1});
    eventually("it has come back to be done later", secs(20), || Some(shown(&world, "celery@w1")).filter(both));
    let drained = drain_then_kill(&world, worker, "d");
    world.log().assert_idle_when_drained(&drained);
    assert_eq!(world.log().verdict().lost, ["put-off.1"], "it was to come in an hour");
}

/// One worker with all its processes, its jobs by kind, remote control all the while; what is not due for an hour goes
/// back to the queue at once when the worker is killed.
#[test]
fn a_worker_and_its_jobs() {
    let world = World::with(Release::Three);
    let celery = Celery { options: &["--prefetch-multiplier", "2"], ..Celery::default() };
    let worker = celery.start(&world, "w1", 1);
    let mut producer = celery.producer(&world);
    producer.push("later", 0.1, 3600.0);
    for job in ["a", "b", "c"] {
        producer.push(job, 4.0, 0.0);
    }
    let kinds = |page: &Value| page["in_flight"] == json!({"running": 2, "prefetched": 1, "delayed": 1});
    let page = eventually("all jobs are told", secs(20), || Some(shown(&world, "celery@w1")).filter(kinds));
    let jobs: Vec<[&str; 3]> = page["jobs"]
        .as_array()
        .expect("jobs")
        .iter()
        .map(|job| {
            assert_eq!(text(&job["id"]).len(), 36, "{job}");
            [text(&job["name"]), text(&job["queue"]), text(&job["kind"])]
        })
        .collect();
    assert_eq!(jobs.iter().filter(|job| **job == ["jobs.run", "celery", "delayed"]).count(), 1, "{page}");
    assert_eq!(jobs.iter().filter(|job| **job == ["jobs.run", "celery", "running"]).count(), 2, "{page}");
    assert_eq!((&page["system"], &page["queues"]), (&json!("celery"), &json!(["celery"])), "{page}");

    world.gate().cli(&["drain", "celery@w1", "--name", "d", "--wait", "--timeout", "60s"]).expect(0);
    assert!(world.gate().get("/v1/drains/d")["safe_until"].is_string());
    // its children have sent results over connections of their own: still one worker
    assert_eq!(world.gate().workers().len(), 1);
    assert!(shown(&world, "celery@w1")["connections"].as_array().expect("connections").len() > 3);
    for address in [world.worker_address(), world.broker_address()] {
        let mut ping = celery.tool(&world, &address, &["inspect", "ping", "--timeout", "5"]);
        let answer = Answer::of(ping.output().expect("celery inspect runs")).expect(0);
        assert!(answer.out.contains("celery@w1") && answer.out.contains("pong"), "{answer:?}");
    }
    assert_eq!(world.gate().await_known("celery@w1")["state"], "drained");
    drop(worker);
    let _next = celery.start(&world, "w2", 1);
    let has_one = |page: &Value| page["in_flight"]["delayed"] == 1;
    eventually("the delayed job is in other hands", secs(20), || Some(shown(&world, "celery@w2")).filter(has_one));
    assert_eq!(world.log().verdict().lost, ["later"]);
    assert!(world.log().verdict().doubled.is_empty());
}

/// The worker's own page.
fn shown(world: &World, name: &str) -> Value {
    let worker = world.gate().await_known(name);
    world.gate().get(&format!("/v1/workers/{}", text(&worker["id"])))
}
