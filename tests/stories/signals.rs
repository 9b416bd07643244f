//! What process managers, people and the web page tell a Sidekiq while it is being drained: TSTP (no new jobs), TERM and
//! INT (finish, give back what takes too long, leave).

use crate::support::redis::Client;
use crate::support::sidekiq::Sidekiq;
use crate::support::story::{Producer, System, Worker, drain_amid, random};
use crate::support::{World, rounds, rounds_or, secs};
use rustix::process::Signal;
use std::time::Duration;

#[test]
fn quieted_8() {
    quieted(8, 3.0, |_, worker| worker.process.signal(Signal::TSTP));
}

/// As the web page does it: through a list in Redis that the worker reads with each heartbeat, every five seconds.
#[test]
fn quieted_by_the_web_page_6() {
    quieted(6, 7.0, |world, worker| {
        let mut redis = Client::connect(&world.redis.address()).expect("the broker");
        redis.command(&["LPUSH", &format!("{}-signals", worker.name), "TSTP"]).expect("the signal is left");
    });
}

/// A quieted Sidekiq lets its threads end one by one: they never come back to fetch, so their fetches cannot say when the
/// jobs are done.
fn quieted(version: u8, shortest: f64, quiet: fn(&World, &Worker)) {
    let world = World::new();
    let system = Sidekiq::new(version);
    let mut producer = system.producer(&world);
    let mut random = random();
    let mut drained = Vec::new();
    for round in 1..=rounds_or(1) {
        let worker = with_two_jobs(&world, &system, &mut *producer, round, shortest + 4.0 * random.f64());
        let early = random.bool();
        if early {
            quiet(&world, &worker);
        }
        std::thread::sleep(Duration::from_millis(random.u64(0..1500)));
        drained.push(drain_amid(&world, worker, &format!("round-{round}"), "inferred", |worker| {
            std::thread::sleep(Duration::from_millis(random.u64(0..1500)));
            if !early {
                quiet(&world, worker);
            }
            producer.push(&format!("later{round}"), 0.1, 0.0);
        }));
    }
    let _other = system.start(&world, "w2", 1);
    world.log().await_all_ended(secs(60));
    world.log().assert_exactly_once(&drained);
}

#[test]
fn told_to_leave_while_draining_6() {
    told_to_leave(6);
}

#[test]
fn told_to_leave_while_draining_8() {
    told_to_leave(8);
}

/// TERM or INT in the middle of the drain, and time enough for the jobs: the worker goes by itself when they are done.
fn told_to_leave(version: u8) {
    let world = World::new();
    let system = Sidekiq::new(version);
    let mut producer = system.producer(&world);
    let mut random = random();
    let mut drained = Vec::new();
    for round in 1..=rounds() {
        let worker = with_two_jobs(&world, &system, &mut *producer, round, 2.0 + 3.0 * random.f64());
        let signal = if random.bool() { Signal::TERM } else { Signal::INT };
        drained.push(drain_amid(&world, worker, &format!("round-{round}"), "inferred", |worker| {
            std::thread::sleep(Duration::from_millis(random.u64(0..1500)));
            worker.process.signal(signal);
            producer.push(&format!("later{round}"), 0.1, 0.0);
        }));
    }
    let _other = system.start(&world, "w2", 1);
    world.log().await_all_ended(secs(60));
    world.log().assert_exactly_once(&drained);
}

#[test]
fn jobs_are_given_back_at_term_6() {
    jobs_are_given_back_at_term(6);
}

#[test]
fn jobs_are_given_back_at_term_7() {
    jobs_are_given_back_at_term(7);
}

/// TERM in the middle of the drain, and a job that takes longer than Sidekiq grants: it goes back to its queue, and only
/// then the worker has nothing in flight.
fn jobs_are_given_back_at_term(version: u8) {
    for round in 1..=rounds() {
        let world = World::new();
        let system = Sidekiq { timeout: 3, ..Sidekiq::new(version) };
        let mut producer = system.producer(&world);
        let worker = system.start(&world, "w1", round);
        for (job, seconds) in [("long", 30.0), ("short", 1.0), ("longer", 40.0)] {
            producer.push(job, seconds, 0.0);
            world.log().await_line("start", job, secs(60));
        }
        world.gate().cli(&["drain", &worker.name, "--name", "d"]).expect(0);
        std::thread::sleep(Duration::from_millis(random().u64(0..1500)));
        worker.process.signal(Signal::TERM);
        world.gate().cli(&["wait", "d", "--timeout", "40s"]).expect(0);
        let queue = world.redis.command(&["LRANGE", "queue:default", "0", "-1"]);
        assert_eq!(queue.lines().count(), 2, "both are back in the queue before the gate says so: {queue}");
        world.gate().await_worker(&worker.name, "gone", secs(10));
        let log = world.log().lines();
        let on_first = |what: &str, job: &str| {
            log.iter().filter(|line| line.what == what && line.id == job && line.worker == worker.label).count()
        };
        for (job, ended) in [("long", 0), ("short", 1), ("longer", 0)] {
            assert_eq!((on_first("start", job), on_first("end", job)), (1, ended), "{job}: {log:?}");
        }
        // cut down to a second, they run on the next worker, once each
        for job in queue.lines() {
            world.redis.command(&["LREM", "queue:default", "1", job]);
            world.redis.command(&["RPUSH", "queue:default", &job.replace("30.0", "0.1").replace("40.0", "0.1")]);
        }
        let other = system.start(&world, "w2", 1);
        world.log().await_all_ended(secs(60));
        for job in ["long", "longer"] {
            let lines: Vec<_> = world.log().lines().into_iter().filter(|line| line.id == job).collect();
            let on_other: Vec<&str> =
                lines.iter().filter(|line| line.worker == other.label).map(|line| line.what.as_str()).collect();
            assert_eq!(on_other, ["start", "end"], "{lines:?}");
        }
    }
}

/// A worker in whose hands two jobs have just begun.
fn with_two_jobs(world: &World, system: &Sidekiq, producer: &mut dyn Producer, round: usize, seconds: f64) -> Worker {
    let worker = system.start(world, "w1", round);
    for (number, seconds) in [seconds, seconds / 3.0].into_iter().enumerate() {
        let job = format!("job{round}-{number}");
        producer.push(&job, seconds, 0.0);
        world.log().await_line("start", &job, secs(60));
    }
    worker
}
