//! A crowd: workers of several job systems behind one gate, and an operator who drains them, changes his mind, and kills
//! whom the gate calls drained, all at random and over each other. In every moment in which the gate says `drained` the
//! job log is asked whether that worker does anything.

use crate::support::celery::Celery;
use crate::support::joblog::Drained;
use crate::support::pika::Pika;
use crate::support::rabbit::Release;
use crate::support::scripted::{Named, Scripted};
use crate::support::sidekiq::Sidekiq;
use crate::support::story::{Producer, System, Worker, random};
use crate::support::{World, now, rounds_or, secs};
use serde_json::json;
use std::time::Duration;

/// What the operator does in one round.
const STEPS: usize = 60;
/// No more jobs than this are open at a time.
const OPEN: usize = 40;

/// A worker in its lives, with jobs of its own.
struct Member {
    system: Box<dyn System>,
    producer: Box<dyn Producer>,
    name: String,
    life: usize,
    worker: Worker,
    /// Jobs are due up to so many seconds later.
    countdown: f64,
    drain: Option<Drain>,
}

/// A drain of one member, as far as the gate has answered.
struct Drain {
    name: String,
    sealed_at: Option<f64>,
    drained_at: Option<f64>,
}

impl Member {
    fn new(world: &World, number: usize, system: Box<dyn System>, countdown: f64) -> Member {
        let name = format!("m{number}");
        let (worker, producer) = (system.start(world, &name, 1), system.producer(world));
        Member { system, producer, name, life: 1, worker, countdown, drain: None }
    }

    fn drain(&mut self, world: &World, name: String) {
        let request = json!({"selector": format!("worker={}", self.worker.name), "name": name});
        let answer = world.gate().http("POST", "/v1/drains", Some(&request)).expect("an answer");
        assert_eq!(answer.0, 201, "{request}: {}", answer.1);
        self.drain = Some(Drain { name, sealed_at: None, drained_at: None });
    }

    fn lift(&mut self, world: &World) {
        if let Some(drain) = self.drain.take() {
            let answer = world.gate().http("DELETE", &format!("/v1/drains/{}", drain.name), None).expect("an answer");
            assert_eq!(answer.0, 204, "{}", answer.1);
        }
    }

    /// Asks the gate, and the job log whether that is true.
    fn look(&mut self, world: &World) -> Option<Drained> {
        let drain = self.drain.as_mut()?;
        let state = world.gate().get(&format!("/v1/drains/{}", drain.name))["state"].clone();
        let at = now();
        if state == "sealed" || state == "drained" {
            drain.sealed_at.get_or_insert(at);
        }
        let sealed_at = drain.sealed_at.filter(|_| state == "drained")?;
        let drained_at = *drain.drained_at.get_or_insert(at);
        let drained = Drained { worker: self.worker.label.clone(), sealed_at, drained_at };
        world.log().assert_idle_when_drained(&drained);
        Some(drained)
    }

    fn live_again(&mut self, world: &World) {
        self.worker.process.kill();
        self.drain = None;
        self.life += 1;
        self.worker = self.system.start(world, &self.name, self.life);
    }
}

fn crowd(world: &World, systems: Vec<(Box<dyn System>, f64)>) {
    let mut random = random();
    let systems = systems.into_iter().enumerate();
    let mut members: Vec<Member> = systems.map(|(at, (system, due))| Member::new(world, at, system, due)).collect();
    let mut killed = Vec::new();
    for step in 0..STEPS * rounds_or(1) {
        for _ in 0..random.usize(1..4) {
            let member = random.usize(..members.len());
            let Member { producer, countdown, .. } = &mut members[member];
            if world.log().open() < OPEN {
                producer.push(
                    &format!("job{step}-{}", random.u64(..)),
                    1.5 * random.f64() * random.f64(),
                    random.f64() * *countdown,
                );
            }
        }
        std::thread::sleep(Duration::from_millis(random.u64(0..300)));
        let chosen = random.usize(..members.len());
        let member = &mut members[chosen];
        match (member.drain.is_some(), random.u8(..4)) {
            (false, _) => member.drain(world, format!("step-{step}")),
            (true, 0) => member.lift(world),
            (true, _) => {}
        }
        for member in &mut members {
            if let Some(drained) = member.look(world).filter(|_| random.u8(..4) == 0) {
                killed.push(drained);
                member.live_again(world);
            }
        }
    }
    members.iter_mut().for_each(|member| member.lift(world));
    world.log().await_all_ended(secs(120));
    world.log().assert_exactly_once(&killed);
    assert!(!killed.is_empty(), "nobody was ever drained");
}

fn script(program: &'static str, worker: &'static [&'static str], producer: &'static [&'static str]) -> Scripted {
    Scripted { program, worker, producer, environment: &[], named: Named::ByProcess }
}

fn celery(late: bool, queues: &'static str) -> Box<dyn System> {
    Box::new(Celery { late, queues, ..Celery::default() })
}

#[test]
fn on_redis() {
    let rq = script(
        ".venvs/rq3/bin/python",
        &["-c", "import rq_jobs; rq_jobs.worker()"],
        &["-c", "import rq_jobs; rq_jobs.producer()"],
    );
    let dramatiq = script(
        ".venvs/dramatiq_redis/bin/python",
        &["-m", "dramatiq", "dramatiq_redis_jobs", "-p", "1", "-t", "3"],
        &["dramatiq_redis_jobs.py"],
    );
    crowd(
        &World::new(),
        vec![
            (celery(false, "early"), 2.0),
            (celery(true, "late"), 2.0),
            (Box::new(Sidekiq::new(7)), 2.0),
            (Box::new(rq), 0.0),
            (Box::new(dramatiq), 2.0),
        ],
    );
}

#[test]
fn on_rabbitmq() {
    let pika = Pika { prefetch: 3, queue: "" };
    crowd(
        &World::with(Release::Three),
        vec![(celery(false, "early"), 2.0), (celery(true, "late"), 2.0), (Box::new(pika), 0.0)],
    );
}
