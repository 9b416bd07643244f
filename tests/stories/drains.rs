//! What operators do with drains: several on one worker, drains that expire, stand, or take only who is there now.

use crate::support::celery::Celery;
use crate::support::gate::text;
use crate::support::sidekiq::Sidekiq;
use crate::support::story::{System, Worker, drain_and_kill, random};
use crate::support::{World, eventually, now, rounds_or, secs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Longer than any fetch of a worker: what has not begun by then was held.
const HELD: Duration = Duration::from_millis(3500);

#[test]
fn the_last_of_two_drains_counts() {
    let world = World::new();
    let system = Sidekiq::new(6);
    let worker = system.start(&world, "w1", 1);
    for name in ["deploy", "upgrade"] {
        world.gate().cli(&["drain", &worker.name, "--name", name, "--wait", "--timeout", "90s"]).expect(0);
    }
    system.producer(&world).push("new", 0.1, 0.0);
    world.gate().cli(&["undrain", "deploy"]).expect(0);
    world.log().assert_held("new", HELD);
    let state = world.gate().worker(&worker.name).expect("it is there");
    assert_eq!(state["drains"], serde_json::json!(["upgrade"]), "{state}");
    world.gate().cli(&["wait", "upgrade", "--timeout", "10s"]).expect(0);
    world.gate().cli(&["undrain", "upgrade"]).expect(0);
    world.log().await_line("end", "new", secs(60));
    world.log().assert_exactly_once(&[]);
}

/// Nobody lifts it: the worker goes back to work, and a wait that is taken up then does not say `drained`.
#[test]
fn a_drain_expires() {
    let world = World::new();
    let system = Sidekiq::new(6);
    let worker = system.start(&world, "w1", 1);
    let asked = now();
    world.gate().cli(&["drain", &worker.name, "--name", "d", "--ttl", "15s", "--wait", "--timeout", "90s"]).expect(0);
    system.producer(&world).push("new", 0.1, 0.0);
    let start = world.log().await_line("start", "new", secs(60));
    assert!(start.time - asked > 14.9, "held until the drain expired, not only {:.1} s", start.time - asked);
    assert_eq!(world.gate().get("/v1/drains/d")["state"], "expired");
    world.gate().cli(&["wait", "d", "--timeout", "5s"]).expect(9);
    world.gate().await_worker(&worker.name, "active", secs(60));
}

/// The drain of a rolling deploy, run twice: it takes who was there at its first moment, and nobody else ever.
#[test]
fn before_now_leaves_newcomers_alone() {
    let world = World::new();
    let system = Sidekiq::new(6);
    let old = system.start(&world, "old", 1);
    let drain = ["drain", "before=now", "--name", "deploy", "--wait", "--timeout", "90s"];
    world.gate().cli(&drain).expect(0);
    let new = system.start(&world, "new", 1);
    world.gate().cli(&drain).expect(0);
    let mut producer = system.producer(&world);
    for number in 0..10 {
        producer.push(&format!("job{number}"), 0.1, 0.0);
    }
    drop(producer);
    world.log().await_all_ended(secs(60));
    let on_old = world.log().first(|line| line.what == "start" && line.worker == old.label);
    assert_eq!(on_old, None);
    world.gate().await_worker(&old.name, "drained", secs(60));
    world.gate().await_worker(&new.name, "active", secs(60));
}

/// Restarted in place by its orchestrator, with jobs waiting: it gets none, from its first fetch on.
#[test]
fn a_standing_drain_outlives_its_worker() {
    let systems: [&dyn System; 3] = [&Sidekiq::new(6), &Sidekiq::new(8), &Celery::default()];
    for system in systems {
        let world = World::new();
        let worker = system.start(&world, "w1", 1);
        let selector = if worker.name.starts_with("celery@") { "celery@w1" } else { "system=sidekiq" };
        let drain = ["drain", selector, "--standing", "--name", "maintenance", "--wait", "--timeout", "90s"];
        world.gate().cli(&drain).expect(0);
        let mut producer = system.producer(&world);
        producer.push("waits", 0.1, 0.0);
        drop(worker);
        let worker = system.start(&world, "w1", 2);
        producer.push("waits-too", 0.1, 0.0);
        world.gate().await_worker(&worker.name, "drained", secs(60));
        world.log().assert_held("waits", HELD);
        world.log().assert_held("waits-too", HELD);
        world.gate().cli(&["undrain", "maintenance"]).expect(0);
        world.log().await_all_ended(secs(60));
        world.log().assert_exactly_once(&[]);
    }
}

/// A broker that stands still now and then (CLIENT PAUSE, as a failover does it) while workers are drained and killed.
#[test]
fn the_broker_is_paused_around_the_drain() {
    let systems: [&dyn System; 2] = [&Sidekiq::new(7), &Celery::default()];
    for system in systems {
        let world = World::new();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let _stop = crate::support::story::StopOnDrop(&stop);
            scope.spawn(|| {
                let mut random = random();
                while !stop.load(Ordering::Relaxed) {
                    let mode = if random.bool() { "ALL" } else { "WRITE" };
                    world.redis.command(&["CLIENT", "PAUSE", &random.u64(200..1800).to_string(), mode]);
                    std::thread::sleep(Duration::from_millis(random.u64(2500..4500)));
                }
            });
            drain_and_kill(&world, system, crate::support::story::Load::default(), rounds_or(1));
        });
    }
}

/// What an operator sees of a drain and its worker, from the first moment to the last.
#[test]
fn the_states_in_their_order() {
    let world = World::new();
    let system = Sidekiq::new(6);
    let worker = system.start(&world, "w1", 1);
    let mut producer = system.producer(&world);
    producer.push("long", 5.0, 0.0);
    world.log().await_line("start", "long", secs(60));
    let busy = eventually("the gate counts the job", secs(60), || {
        world.gate().worker(&worker.name).filter(|worker| worker["in_flight"]["running"] == 1)
    });
    assert_eq!(busy["state"], "active", "{busy}");
    world.gate().cli(&["drain", &worker.name, "--name", "d"]).expect(0);
    let mut seen: Vec<String> = Vec::new();
    eventually("it is drained", secs(60), || {
        let state = text(&world.gate().worker(&worker.name).expect("it is there")["state"]).to_owned();
        if seen.last() != Some(&state) {
            seen.push(state.clone());
        }
        (state == "drained").then_some(())
    });
    assert!(world.log().find("end", "long").is_some(), "{seen:?}");
    assert!(["draining,sealed,drained", "sealed,drained"].contains(&seen.join(",").as_str()), "{seen:?}");
    let Worker { process, name, .. } = worker;
    drop(process);
    world.gate().await_worker(&name, "gone", secs(60));
    world.gate().cli(&["wait", "d", "--timeout", "5s"]).expect(0);
}
