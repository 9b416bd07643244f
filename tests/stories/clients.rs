//! RabbitMQ's other clients: each takes jobs in its own way, and the story is the same for all.

use crate::support::clients::Client;
use crate::support::gate::text;
use crate::support::rabbit::Release;
use crate::support::story::{Load, System, drain_and_kill, drain_then_kill};
use crate::support::{World, eventually, rounds_or, secs};
use serde_json::{Value, json};

/// What is told of a worker and of the job in its hands; then the story with many.
fn story(client: Client, system: &str, job_name: &str) {
    let world = World::with(Release::Four);
    let worker = client.start(&world, "w0", 1);
    client.producer(&world).push("first", 1.0, 0.0);
    world.log().await_line("start", "first", secs(20));
    let shown = shown(&world, &worker.name);
    assert_eq!((&shown["system"], &shown["evidence"]), (&json!(system), &json!("exact")), "{shown}");
    assert_eq!(shown["in_flight"], json!({"running": 1, "prefetched": 0, "delayed": 0}), "{shown}");
    let job = &shown["jobs"][0];
    assert_eq!((text(&job["name"]), text(&job["kind"])), (job_name, "running"), "{job}");
    // the job system's own id, or the message's
    assert!(text(&job["id"]) == "first" || text(&job["id"]).len() >= 32, "{job}");
    assert_eq!(job["queue"], shown["queues"][0], "{job}");
    let counted = format!("draingate_jobs_delivered_total{{system=\"{system}\"}} 1");
    assert!(text(&world.gate().get("/metrics")).contains(&counted), "no {counted}");
    let drained = drain_then_kill(&world, worker, "alone");
    assert_eq!(world.log().assert_exactly_once(&[drained]), 1);

    let load = Load { longest: 1.5, ..Load::default() };
    drain_and_kill(&world, &client, load, rounds_or(1));
}

/// The worker's own page.
fn shown(world: &World, name: &str) -> Value {
    let worker = world.gate().await_known(name);
    world.gate().get(&format!("/v1/workers/{}", text(&worker["id"])))
}

/// Half of the jobs wait for their time in the workers' hands, unacknowledged.
#[test]
fn dramatiq() {
    let load = Load { longest: 4.0, countdown: 2.0, open: 24, ..Load::default() };
    drain_and_kill(&World::with(Release::Four), &Client::Dramatiq, load, rounds_or(1));
}

/// What is running, what waits in the worker's memory and what waits for its time; a drain waits for what is due within
/// the margin, and not for what is due later, which goes back to its queue at once when the worker is killed.
#[test]
fn dramatiq_tells_its_delayed_jobs() {
    let world = World::with(Release::Four);
    let worker = Client::Dramatiq.start(&world, "w1", 1);
    assert_eq!(shown(&world, &worker.name)["system"], "dramatiq", "known before its first job");
    let mut producer = Client::Dramatiq.producer(&world);
    producer.push("running", 2.0, 0.0);
    producer.push("soon", 0.1, 4.0);
    producer.push("later", 0.1, 3600.0);
    world.log().await_line("start", "running", secs(20));
    let page = eventually("all are in its hands", secs(20), || {
        Some(shown(&world, &worker.name)).filter(|page| page["jobs"].as_array().is_some_and(|jobs| jobs.len() == 3))
    });
    assert_eq!(page["in_flight"], json!({"running": 1, "prefetched": 0, "delayed": 2}), "{page}");
    let of_run = |job: &Value| job["name"] == "run" && text(&job["id"]).len() == 36;
    assert!(page["jobs"].as_array().expect("jobs").iter().all(of_run), "{page}");
    assert_eq!((&page["system"], &page["queues"]), (&json!("dramatiq"), &json!(["jobs", "jobs.DQ"])), "{page}");
    let delayed = ["drain", &worker.name, "--name", "all", "--delayed", "wait", "--wait", "--timeout", "8s"];
    world.gate().cli(&delayed).expect(4);
    world.gate().cli(&["undrain", "all"]).expect(0);
    world.log().await_line("end", "soon", secs(20));
    world.gate().cli(&["drain", &worker.name, "--name", "d", "--wait", "--timeout", "20s"]).expect(0);
    let drain = world.gate().get("/v1/drains/d");
    assert!(drain["safe_until"].is_string(), "says when the next comes due: {drain}");
    drop(worker);
    assert!(world.log().find("start", "later").is_none());
    // the broker has it again: the next worker holds it
    let next = Client::Dramatiq.start(&world, "w2", 1);
    let page = eventually("it is in other hands", secs(20), || {
        Some(shown(&world, &next.name)).filter(|page| page["in_flight"]["delayed"] == 1)
    });
    assert_eq!(page["jobs"][0]["queue"], "jobs.DQ", "{page}");
}

#[test]
fn dramatiq_is_shown() {
    story(Client::NamedDramatiq, "dramatiq", "run");
}

#[test]
fn taskiq() {
    story(Client::Taskiq, "taskiq", "jobs:run");
}

#[test]
fn aio_pika() {
    story(Client::AioPika, "unknown", "job");
}

#[test]
fn amqplib() {
    story(Client::Amqplib, "unknown", "job");
}

#[test]
fn bunny() {
    story(Client::Bunny, "unknown", "job");
}

#[test]
fn java() {
    story(Client::Java, "unknown", "job");
}

/// It keeps more jobs than the one it works at.
#[test]
fn php() {
    story(Client::Php, "unknown", "job");
}

#[test]
fn go() {
    story(Client::Go, "unknown", "job");
}

#[test]
fn lapin() {
    story(Client::Lapin, "unknown", "job");
}

/// The same on RabbitMQ 3.
mod on_3 {
    use super::*;

    fn story(client: Client) {
        drain_and_kill(&World::with(Release::Three), &client, Load { longest: 1.5, ..Load::default() }, rounds_or(1));
    }

    #[test]
    fn dramatiq() {
        story(Client::Dramatiq);
    }

    #[test]
    fn aio_pika() {
        story(Client::AioPika);
    }

    #[test]
    fn amqplib() {
        story(Client::Amqplib);
    }
}
