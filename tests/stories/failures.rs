//! The broker goes away, the gate is killed: what was promised still holds afterwards.

use crate::support::celery::{Celery, await_acknowledged};
use crate::support::gate::Gate;
use crate::support::joblog::Drained;
use crate::support::redis::{Client, Redis, Server};
use crate::support::story::{System, Worker, await_job_on, drain_then_kill, random};
use crate::support::{World, eventually, rounds_or, secs};
use std::time::{Duration, Instant};

/// kill -9 of the gate in the middle of a job: the new gate knows the mark and the job, and says `drained` only when the
/// job has ended.
#[test]
fn the_gate_is_killed_while_a_job_runs() {
    let mut world = World::new();
    let celery = Celery::default();
    let worker = celery.start(&world, "w1", 1);
    let mut producer = celery.producer(&world);
    producer.push("long", 10.0, 0.0);
    world.log().await_line("start", "long", secs(60));
    await_acknowledged(&world, &worker);
    world.gate().cli(&["drain", &worker.name, "--name", "d"]).expect(0);
    world.gate_mut().kill();
    world.gate_mut().up();
    producer.push("new", 0.1, 0.0);
    let waits = ["wait", "d", "--timeout", "90s"];
    world.gate().cli(&waits).expect(0);
    let drained_at = crate::support::now();
    let end = world.log().find("end", "long").expect("drained only after the job's end");
    assert!(end.time < drained_at);
    assert_eq!(world.log().find("start", "new"), None, "the mark outlived the gate");
    drop(worker);
    let _next = celery.start(&world, "w1", 2);
    world.log().await_line("end", "new", secs(60));
    world.log().assert_exactly_once(&[]);
}

/// The same with the drains in another Redis, and the next gate's directory is empty, as that of a container that has been
/// replaced: it has the mark and no journal, so the worker has to answer for itself.
#[test]
fn the_gate_is_killed_and_its_directory_goes_with_it() {
    let mut world = World::new();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let keeper = Redis::start(Server::Redis7, dir.path());
    world.gate_mut().kill();
    world.gate_mut().set("DRAINGATE__STATE__URL", &format!("redis://{}/0?key=jobs", keeper.address()));
    world.gate_mut().up();
    let celery = Celery::default();
    let worker = celery.start(&world, "w1", 1);
    let mut producer = celery.producer(&world);
    producer.push("long", 15.0, 0.0);
    world.log().await_line("start", "long", secs(60));
    await_acknowledged(&world, &worker);
    world.gate().cli(&["drain", &worker.name, "--name", "d"]).expect(0);
    world.gate_mut().kill();
    std::fs::remove_dir_all(world.path().join("state")).expect("removed");
    world.gate_mut().up();
    producer.push("new", 0.1, 0.0);
    world.gate().cli(&["wait", "d", "--timeout", "90s"]).expect(0);
    let drained_at = crate::support::now();
    let end = world.log().find("end", "long").expect("drained only after the job's end");
    assert!(end.time < drained_at);
    assert_eq!(world.log().find("start", "new"), None, "the mark is in the other Redis");
    drop(worker);
    let _next = celery.start(&world, "w1", 2);
    world.log().await_line("end", "new", secs(60));
    world.log().assert_exactly_once(&[]);
}

/// kill -9 of the gate at any moment of three workers' lives, with jobs running and more in their memory: the one that is
/// drained, before or after, gets there soon after the gate is back, and not before its jobs have ended. (Celery 5.7 may
/// end by itself when it is cut with jobs in its memory, with a gate or without; then there is nothing to drain. Its pool
/// of threads, and Celery 5.3, may say for ever after a cut that the jobs run: such a worker is never drained.)
#[test]
fn the_gate_is_killed_at_any_moment() {
    let mut world = World::new();
    let kinds = [
        Celery::default(),
        Celery { concurrency: 1, results: false, ..Celery::default() },
        Celery { concurrency: 4, ..Celery::default() },
    ];
    let mut producer = kinds[0].producer(&world);
    let mut random = random();
    let mut others: Vec<Worker> = Vec::new();
    for round in 1..=rounds_or(1) {
        let celery = &kinds[(round - 1) % kinds.len()];
        others.retain_mut(|worker| worker.process.is_running());
        while others.len() < 2 {
            others.push(celery.start(&world, &format!("other{}", others.len()), round));
        }
        let mut worker = celery.start(&world, "w1", round);
        for job in 0..40 {
            producer.push(&format!("job{round}-{job}"), 3.0 * random.f64() * random.f64(), 0.0);
        }
        await_job_on(&world, &worker);
        let name = format!("round-{round}");
        let drain = ["drain", worker.name.as_str(), "--name", &name];
        let early = random.bool();
        if early {
            world.gate().cli(&drain).expect(0);
        }
        std::thread::sleep(Duration::from_millis(random.u64(0..3000)));
        world.gate_mut().kill();
        std::thread::sleep(Duration::from_millis(random.u64(0..3000)));
        world.gate_mut().up();
        let up = Instant::now();
        if !early {
            std::thread::sleep(Duration::from_millis(random.u64(0..4000)));
            world.gate().cli(&drain).expect(0);
        }
        let drained = eventually("it is drained", secs(60), || {
            let drained = world.gate().get(&format!("/v1/drains/{name}"))["state"] == "drained";
            (drained || !worker.process.is_running()).then_some(drained)
        });
        let drained_at = crate::support::now();
        eprintln!("round {round}: early {early}, drained {drained}, after {:?}", up.elapsed());
        if drained {
            let drained = Drained { worker: worker.label, sealed_at: f64::MAX, drained_at };
            worker.process.kill();
            world.log().assert_idle_when_drained(&drained);
        }
    }
}

/// SIGTERM to the gate in the middle of a late-ack job: Celery 5.7 ends when its connection is cut then, so the gate waits
/// for the job. The worker carries on with the next gate.
#[test]
fn the_gate_leaves_while_a_job_runs() {
    let mut world = World::new();
    let celery = Celery { late: true, ..Celery::default() };
    let mut worker = celery.start(&world, "w1", 1);
    let mut producer = celery.producer(&world);
    producer.push("long", 6.0, 0.0);
    world.log().await_line("start", "long", secs(60));
    world.gate_mut().terminate();
    let status = eventually("the gate leaves", secs(60), || world.gate_mut().ended());
    assert!(status.success(), "{status}");
    assert!(world.log().find("end", "long").is_some(), "it left before the job's end");
    producer.push("next", 0.1, 0.0);
    world.gate_mut().up();
    world.log().await_line("end", "next", secs(60));
    assert!(worker.process.is_running());
    world.log().assert_exactly_once(&[]);
}

/// The same for a worker that nobody has marked: it is drained after the gate's second start.
#[test]
fn a_worker_met_in_the_middle_of_its_life() {
    let mut world = World::new();
    let celery = Celery::default();
    let worker = celery.start(&world, "w1", 1);
    let mut producer = celery.producer(&world);
    producer.push("long", 12.0, 0.0);
    world.log().await_line("start", "long", secs(60));
    await_acknowledged(&world, &worker);
    world.gate_mut().kill();
    world.gate_mut().up();
    eventually("the gate knows the worker again", secs(60), || world.gate().worker(&worker.name));
    let drained = drain_then_kill(&world, worker, "adopted");
    assert_eq!(world.log().assert_exactly_once(&[drained]), 1);
}

#[test]
fn the_broker_restarts_under_drained_workers() {
    let mut world = World::new();
    let celery = Celery::default();
    let worker = celery.start(&world, "w1", 1);
    world.gate().cli(&["drain", &worker.name, "--name", "d", "--wait", "--timeout", "90s"]).expect(0);
    world.redis.down();
    assert!(world.redis.up(), "redis-server starts again");
    let mut producer = celery.producer(&world);
    producer.push("new", 0.1, 0.0);
    eventually("the worker is back", secs(40), || {
        world.gate().worker(&worker.name).filter(|worker| worker["connections"].as_u64() > Some(4))
    });
    world.gate().await_worker(&worker.name, "drained", secs(40));
    assert_eq!(world.log().find("start", "new"), None, "the mark outlived the broker");
    world.gate().cli(&["undrain", "d"]).expect(0);
    world.log().await_line("end", "new", secs(60));
    world.log().assert_exactly_once(&[]);
}

#[test]
fn a_broker_that_is_down_costs_only_its_own_clients() {
    let world = World::without_gate();
    let other = tempfile::tempdir().expect("a temporary directory");
    let mut second = Redis::start(Server::Redis7, other.path());
    let gate = Gate::start(world.path(), &[&world.redis.address(), &second.address()]);
    let connect = |number| Client::connect(&gate.listener(number)).expect("the gate accepts");
    let (mut lives, mut dies) = (connect(0), connect(1));
    assert_eq!(lives.command(&["PING"]).expect("a reply"), "PONG");
    assert_eq!(dies.command(&["PING"]).expect("a reply"), "PONG");
    second.down();
    eventually("the client of the broker that went away is closed", secs(60), || dies.command(&["PING"]).err());
    assert!(connect(1).command(&["PING"]).is_err(), "closed, not left hanging");
    assert_eq!(lives.command(&["PING"]).expect("a reply"), "PONG");
    assert!(second.up(), "redis-server starts again");
    assert_eq!(connect(1).command(&["PING"]).expect("a reply"), "PONG");
}
