//! RQ 2 and 3, with redis-py 5 (RESP2) and 8 (RESP3).

use crate::support::scripted::{Named, Scripted};
use crate::support::story::{Load, System, drain_and_kill};
use crate::support::{World, rounds, rounds_or, secs};

const EXACT: Load = Load { longest: 1.5, countdown: 0.0, open: 16, require: "exact" };

pub(super) fn rq(version: u8, environment: &'static [(&'static str, &'static str)]) -> Scripted {
    Scripted {
        program: if version == 2 { ".venvs/rq2/bin/python" } else { ".venvs/rq3/bin/python" },
        worker: &["-c", "import rq_jobs; rq_jobs.worker()"],
        producer: &["-c", "import rq_jobs; rq_jobs.producer()"],
        environment,
        named: Named::Given,
    }
}

/// One queue, BLMOVE; a work-horse for each job.
#[test]
fn version_2() {
    drain_and_kill(&World::new(), &rq(2, &[]), EXACT, rounds());
}

/// Several queues, BLPOP, and the scheduler.
#[test]
fn version_3_with_the_scheduler() {
    let rq = rq(3, &[("QUEUES", "high,default"), ("SCHEDULER", "1")]);
    drain_and_kill(&World::new(), &rq, Load { countdown: 3.0, ..EXACT }, rounds());
}

/// Jobs within the worker's own process.
#[test]
fn simple_worker() {
    let rq = rq(3, &[("CLASS", "simple")]);
    drain_and_kill(&World::new(), &rq, EXACT, rounds_or(1));
}

/// The gate is killed while a job runs, and started again: the worker's first word after it is that it is idle.
#[test]
fn a_job_that_outlives_the_gate() {
    let mut world = World::new();
    let rq = rq(3, &[]);
    let mut producer = rq.producer(&world);
    let worker = rq.start(&world, "w1", 1);
    producer.push("long", 2.0, 0.0);
    world.log().await_line("start", "long", secs(30));
    world.gate_mut().kill();
    world.gate_mut().up();
    world.gate().cli(&["drain", &worker.name, "--name", "d", "--wait", "--timeout", "20s"]).expect(0);
    assert!(world.log().find("end", "long").is_some(), "drained before the job's end");
    // and while it is idle
    world.gate_mut().kill();
    world.gate_mut().up();
    world.gate().cli(&["wait", "d", "--timeout", "20s"]).expect(0);
    world.log().assert_exactly_once(&[]);
}

/// A burst worker ends when there is nothing: drained, it finishes what it has and leaves the rest.
#[test]
fn burst() {
    let world = World::new();
    let burst = rq(3, &[("BURST", "1")]);
    let mut producer = burst.producer(&world);
    producer.push("long", 2.0, 0.0);
    producer.push("rest", 0.1, 0.0);
    crate::support::eventually("both are there", secs(30), || {
        (world.redis.command(&["LLEN", "rq:queue:default"]).trim() == "2").then_some(())
    });
    let mut worker = burst.start(&world, "w1", 1);
    world.log().await_line("start", "long", secs(30));
    world.gate().cli(&["drain", "w1", "--name", "d", "--wait", "--timeout", "60s"]).expect(0);
    assert!(world.log().find("end", "long").is_some(), "drained before the job's end");
    crate::support::eventually("the worker ends", secs(30), || (!worker.process.is_running()).then_some(()));
    assert_eq!(world.log().find("start", "rest"), None);
    let _other = rq(3, &[]).start(&world, "w2", 1);
    world.log().await_all_ended(secs(30));
    world.log().assert_exactly_once(&[]);
}
