//! Queues that are paused while jobs never stop coming: what is pushed to them waits, other queues go on, and nothing is
//! lost or doubled.

use crate::support::celery::Celery;
use crate::support::gate::text;
use crate::support::joblog::Line;
use crate::support::pika::Pika;
use crate::support::rabbit::Release;
use crate::support::scripted::{Named, Scripted};
use crate::support::sidekiq::Sidekiq;
use crate::support::story::{Load, System, random, with_jobs};
use crate::support::{World, eventually, now, rounds, secs};
use serde_json::{Value, json};
use std::time::Duration;

/// The times of one pause: from when its `--wait` returned until it was lifted.
struct Window {
    from: f64,
    until: f64,
}

/// The producers feed two queues in turn: jobs with even numbers go to the first.
fn is_first(id: &str) -> bool {
    id.trim_start_matches("job").parse::<u32>().is_ok_and(|number| number % 2 == 0)
}

fn queue(world: &World, name: &str) -> Value {
    let queues = world.gate().get("/v1/queues");
    let queues = queues["queues"].as_array().expect("a list");
    queues.iter().find(|queue| queue["name"] == name).unwrap_or_else(|| panic!("no {name} in {queues:?}")).clone()
}

/// The metrics say so of what is paused.
fn assert_nobody_can_get_a_job(world: &World) {
    let (queues, metrics) = (world.gate().get("/v1/queues"), world.gate().get("/metrics"));
    let paused = queues["queues"].as_array().into_iter().flatten().filter(|queue| queue["state"] == "paused");
    let names: Vec<&str> = paused.map(|queue| text(&queue["name"])).collect();
    assert!(!names.is_empty(), "nothing is paused: {queues}");
    for name in names {
        let none = format!("draingate_queue_open_consumers{{queue=\"{name}\"}} 0\n");
        assert!(text(&metrics).contains(&none), "no {none}");
    }
}

/// What was pushed to a queue while it was paused: did any of it begin before it was resumed?
fn begun_while_paused(lines: &[Line], window: &Window, is_of: fn(&str) -> bool) -> Vec<String> {
    let within = |time: f64| time > window.from && time < window.until;
    let of = |what: &str| -> Vec<&Line> {
        lines.iter().filter(|line| line.what == what && is_of(&line.id) && within(line.time)).collect()
    };
    let pushed = of("push");
    assert!(!pushed.is_empty(), "nothing was pushed to the paused queue");
    of("start").iter().map(|line| line.id.clone()).filter(|id| pushed.iter().any(|line| line.id == *id)).collect()
}

/// Pauses the first of two queues and resumes it, over and over, while two workers work on both.
fn story(world: &World, system: &dyn System, name: &str, shown: &str) {
    let workers = [system.start(world, "w1", 1), system.start(world, "w2", 1)];
    let mut random = random();
    let mut windows = Vec::new();
    with_jobs(world, system, Load { longest: 0.6, open: 400, ..Load::default() }, || {
        for _ in 0..rounds().max(2) {
            std::thread::sleep(Duration::from_millis(random.u64(500..2000)));
            world.gate().cli(&["pause", &format!("queue={name}"), "--ttl", "10m", "--wait"]).expect(0);
            let from = now();
            assert_nobody_can_get_a_job(world);
            let state = queue(world, shown);
            assert_eq!((&state["state"], &state["paused"]["name"]), (&json!("paused"), &json!(name)), "{state}");
            eventually("the other queue goes on", secs(60), || {
                let lines = world.log().lines();
                let other = |line: &&Line| line.what == "end" && line.time > from && !is_first(&line.id);
                (lines.iter().filter(other).count() >= 8).then_some(())
            });
            assert!(workers.iter().all(|w| world.gate().await_known(&w.name)["state"] == "active"));
            let until = now();
            world.gate().cli(&["resume", name]).expect(0);
            windows.push(Window { from, until });
        }
    });
    world.log().await_all_ended(secs(120));
    world.log().assert_exactly_once(&[]);
    let lines = world.log().lines();
    for window in &windows {
        assert_eq!(begun_while_paused(&lines, window, is_first), Vec::<String>::new());
    }
    assert_eq!(queue(world, shown)["state"], "open");
}

#[test]
fn one_of_two_queues_of_sidekiq() {
    let system = Sidekiq { queues: &["default", "low"], ..Sidekiq::new(7) };
    story(&World::new(), &system, "default", "queue:default");
}

/// With its priority keys.
#[test]
fn one_of_two_queues_of_celery() {
    let system = Celery { queues: "mail,celery", priorities: true, ..Celery::default() };
    story(&World::new(), &system, "mail", "mail");
}

/// Two consumers of one channel.
#[test]
fn one_of_two_queues_of_celery_on_rabbitmq() {
    let system = Celery { queues: "mail,celery", ..Celery::default() };
    story(&World::with(Release::Four), &system, "mail", "mail");
}

/// Pauses the only queue and resumes it, over and over: nobody starts what is pushed meanwhile, and when it is resumed
/// nobody sleeps on it.
fn alone(world: &World, system: &dyn System, name: &str) {
    let _workers = [system.start(world, "w1", 1), system.start(world, "w2", 1)];
    let mut random = random();
    let mut windows = Vec::new();
    with_jobs(world, system, Load { longest: 0.6, open: 400, ..Load::default() }, || {
        for _ in 0..rounds().max(2) {
            std::thread::sleep(Duration::from_millis(random.u64(500..2000)));
            world.gate().cli(&["pause", name, "--wait"]).expect(0);
            let from = now();
            assert_nobody_can_get_a_job(world);
            eventually("jobs pile up, and those that ran have ended", secs(60), || {
                let lines = world.log().lines();
                let count = |what: &str| lines.iter().filter(|line| line.what == what).count();
                let piled = lines.iter().filter(|line| line.what == "push" && line.time > from).count() >= 15;
                (piled && count("start") == count("end")).then_some(())
            });
            let until = now();
            world.gate().cli(&["resume", name]).expect(0);
            windows.push(Window { from, until });
            eventually("they are taken up at once", secs(3), || {
                world.log().first(|line| line.what == "start" && line.time > until)
            });
        }
    });
    world.log().await_all_ended(secs(120));
    world.log().assert_exactly_once(&[]);
    let lines = world.log().lines();
    for window in &windows {
        assert_eq!(begun_while_paused(&lines, window, |_| true), Vec::<String>::new());
    }
}

/// It waits for a marker, and takes jobs with a script that may end another.
#[test]
fn the_queue_of_bullmq() {
    let bullmq = Scripted {
        program: "node",
        worker: &["bull_jobs.js", "worker"],
        producer: &["bull_jobs.js", "producer"],
        environment: &[("MODULES", concat!(env!("CARGO_MANIFEST_DIR"), "/.cache/bullmq6")), ("LIBRARY", "bullmq")],
        named: Named::ByProcess,
    };
    alone(&World::new(), &bullmq, "jobs");
}

/// Its fetch is its heartbeat too.
#[test]
fn the_queue_of_dramatiq() {
    let dramatiq = Scripted {
        program: ".venvs/dramatiq_redis/bin/python",
        worker: &["-m", "dramatiq", "dramatiq_redis_jobs", "-p", "1", "-t", "3"],
        producer: &["dramatiq_redis_jobs.py"],
        environment: &[],
        named: Named::ByProcess,
    };
    alone(&World::new(), &dramatiq, "default");
}

/// A consumer group: reads of new entries, and claims of those that others have left.
#[test]
fn the_stream_of_taskiq() {
    let taskiq = Scripted {
        program: ".venvs/taskiq_redis/bin/python",
        worker: &["-m", "taskiq", "worker", "taskiq_redis_jobs:broker", "--workers", "1", "--max-async-tasks", "3"],
        producer: &["taskiq_redis_jobs.py"],
        environment: &[("BROKER_KIND", "stream")],
        named: Named::ByProcess,
    };
    alone(&World::new(), &taskiq, "taskiq");
}

/// A list of ids that was read before the pause starts nothing either.
#[test]
fn the_queue_of_arq() {
    let arq = Scripted {
        program: ".venvs/arq/bin/python",
        worker: &["arq_jobs.py", "worker"],
        producer: &["arq_jobs.py", "producer"],
        environment: &[],
        named: Named::ByProcess,
    };
    alone(&World::new(), &arq, "arq:queue");
}

/// It waits for hours, and has a child for each job.
#[test]
fn the_queue_of_rq() {
    let rq = Scripted {
        program: ".venvs/rq3/bin/python",
        worker: &["-c", "import rq_jobs; rq_jobs.worker()"],
        producer: &["-c", "import rq_jobs; rq_jobs.producer()"],
        environment: &[],
        named: Named::Given,
    };
    alone(&World::new(), &rq, "default");
}

#[test]
fn the_queue_of_huey() {
    let huey = Scripted {
        program: ".venvs/huey/bin/python",
        worker: &["huey_jobs.py", "worker"],
        producer: &["huey_jobs.py", "producer"],
        environment: &[],
        named: Named::ByProcess,
    };
    alone(&World::new(), &huey, "huey.redis.jobs");
}

/// Consumers of their own, that nobody but the gate cancels.
#[test]
fn the_queue_of_pika() {
    alone(&World::with(Release::Four), &Pika { prefetch: 4, queue: "" }, "jobs");
}

#[test]
fn the_quorum_queue_of_pika() {
    alone(&World::with(Release::Four), &Pika { prefetch: 4, queue: "x-queue-type=quorum" }, "jobs");
}

/// Paused before anybody has asked for it, the gate killed and started again, and drained and lifted besides.
#[test]
fn a_pause_of_an_unseen_queue_outlives_the_gate() {
    let mut world = World::new();
    let answer = world.gate().cli(&["pause", "default", "--ttl", "10m", "--reason", "provider is down"]).expect(0);
    assert!(answer.err.contains("no queue of that name has been seen yet"), "{answer:?}");
    world.gate_mut().kill();
    world.gate_mut().up();
    let system = Sidekiq { queues: &["default", "low"], ..Sidekiq::new(6) };
    let worker = system.start(&world, "w1", 1);
    let mut producer = system.producer(&world);
    for number in 0..6 {
        producer.push(&format!("job{number}"), 0.1, 0.0);
    }
    for other in ["job1", "job3", "job5"] {
        world.log().await_line("end", other, secs(60));
    }
    world.gate().cli(&["drain", &worker.name, "--name", "d", "--wait", "--timeout", "60s"]).expect(0);
    world.gate().cli(&["undrain", "d"]).expect(0);
    producer.push("job6", 0.1, 0.0);
    producer.push("job7", 0.1, 0.0);
    world.log().await_line("end", "job7", secs(60));
    let begun: Vec<Line> =
        world.log().lines().into_iter().filter(|line| line.what == "start" && is_first(&line.id)).collect();
    assert_eq!(begun, vec![]);
    let shown = queue(&world, "queue:default");
    assert_eq!((&shown["state"], text(&shown["paused"]["reason"])), (&json!("paused"), "provider is down"), "{shown}");
    assert_eq!(world.gate().metric("draingate_queues_paused"), 1.0);
    world.gate().cli(&["resume", "queue=queue:default"]).expect(0);
    world.log().await_all_ended(secs(60));
    world.log().assert_exactly_once(&[]);
}
