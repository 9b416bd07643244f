//! Clients of RabbitMQ that connect again by themselves, each in its own way: a drained worker stays drained over a
//! killed gate and a restarted broker, and goes on when the drain is lifted.

use crate::support::clients::Client;
use crate::support::rabbit::Release;
use crate::support::story::{System, Worker};
use crate::support::{World, eventually, secs};
use serde_json::json;
use std::time::Duration;

/// Long enough for a consumer that is not held to get its job.
const HELD: Duration = Duration::from_millis(2500);

fn cut_while_drained(system: Client) {
    let mut world = World::with(Release::Three);
    let mut worker = system.start(&world, "w1", 1);
    let mut producer = system.producer(&world);
    producer.push("first", 0.1, 0.0);
    world.log().await_line("end", "first", secs(20));
    world.gate().cli(&["drain", &worker.name, "--name", "d", "--wait", "--timeout", "30s"]).expect(0);
    drop(producer);

    world.gate_mut().kill();
    world.gate_mut().up();
    is_back_and_drained(&world, &worker);
    // a producer of its own: not every client's survives the broker's restart
    system.producer(&world).push("held", 0.1, 0.0);
    world.log().assert_held("held", HELD);

    let rabbit = world.rabbit.as_mut().expect("RabbitMQ");
    rabbit.down();
    rabbit.up();
    is_back_and_drained(&world, &worker);
    world.log().assert_held("held", HELD);

    world.gate().cli(&["undrain", "d"]).expect(0);
    world.log().await_line("end", "held", secs(20));
    assert!(worker.process.is_running());
    world.log().assert_exactly_once(&[]);
}

/// It has connected and asked for jobs again, in vain.
fn is_back_and_drained(world: &World, worker: &Worker) {
    is_back(world, worker);
    world.gate().await_worker(&worker.name, "drained", secs(20));
}

fn is_back(world: &World, worker: &Worker) {
    eventually("the worker is back", secs(60), || {
        world.gate().worker(&worker.name).filter(|worker| worker["held"].as_u64() > Some(0))
    });
}

#[test]
fn dramatiq() {
    cut_while_drained(Client::Dramatiq);
}

#[test]
fn aio_pika() {
    cut_while_drained(Client::AioPika);
}

#[test]
fn bunny() {
    cut_while_drained(Client::Bunny);
}

/// Whether a broker that goes away has kept what a worker has in hand, nobody knows: the worker is not drained, although
/// it waits for nothing any more, until the broker has handed the job out again.
#[test]
fn a_job_in_hand_when_the_broker_goes() {
    let mut world = World::with(Release::Three);
    let worker = Client::Dramatiq.start(&world, "w1", 1);
    Client::Dramatiq.producer(&world).push("long", 4.0, 0.0);
    world.log().await_line("start", "long", secs(20));
    world.gate().cli(&["drain", &worker.name, "--name", "d"]).expect(0);
    let rabbit = world.rabbit.as_mut().expect("RabbitMQ");
    rabbit.down();
    rabbit.up();
    world.log().await_line("end", "long", secs(20));
    is_back(&world, &worker);
    let page = world.gate().worker(&worker.name).expect("it is there");
    assert_eq!((&page["state"], &page["evidence"]), (&json!("sealed"), &json!("unknown")), "{page}");
    assert!(page["blocked"].to_string().contains("cut"), "{page}");
    let _next = Client::Dramatiq.start(&world, "w2", 1);
    world.gate().await_worker(&worker.name, "drained", secs(20));
    let starts = world.log().lines().into_iter().filter(|line| line.what == "start").count();
    assert_eq!(starts, 2, "the broker has handed it out again");
}
