//! Names of drains: one that is in force is the same drain again; one that has ended never answers for a new one.

use crate::Worker;
use crate::support::gate::text;
use crate::support::{World, eventually, secs};
use serde_json::{Value, json};

fn worker(world: &World) -> Worker {
    Worker::start(world, "w", &["BRPOP jobs 0", "BRPOP jobs 0"])
}

fn post(world: &World, body: Value) -> (u16, Value) {
    world.gate().http("POST", "/v1/drains", Some(&body)).expect("an answer")
}

#[test]
fn a_name_in_force_is_the_same_drain() {
    let mut world = World::new();
    let _worker = worker(&world);
    let body = json!({"selector": "w", "name": "nightly"});
    assert_eq!(post(&world, json!({"selector": "w", "name": "nightly", "dry_run": true})).0, 200);
    assert_eq!(world.gate().get("/v1/drains"), json!({"drains": []}), "a dry run leaves nothing");
    let (status, first) = post(&world, body.clone());
    assert_eq!(status, 201, "{first}");
    let (status, again) = post(&world, body.clone());
    assert_eq!((status, &again["created_at"]), (200, &first["created_at"]), "{again}");
    let (status, other) = post(&world, json!({"selector": "w", "name": "nightly", "ttl": "5m"}));
    assert_eq!((status, text(&other["type"])), (422, "urn:draingate:name-taken"), "{other}");
    // over a kill of the gate it is still the same, and its worker still marked
    world.gate_mut().kill();
    world.gate_mut().up();
    let after = world.gate().get("/v1/drains/nightly");
    assert_eq!((&after["created_at"], &after["in_force"]), (&first["created_at"], &json!(true)), "{after}");
    for _ in 0..2 {
        assert_eq!(world.gate().http("DELETE", "/v1/drains/nightly", None).expect("up").0, 204);
    }
    assert_eq!(world.gate().get("/v1/drains/nightly")["state"], "lifted");
}

#[test]
fn yesterdays_drained_is_not_todays() {
    let world = World::new();
    let body = json!({"selector": "w", "name": "daily"});
    let mut first = worker(&world);
    assert_eq!(post(&world, body.clone()).0, 201);
    assert_eq!(world.gate().get("/v1/drains/daily?wait=drained&timeout=10s")["state"], "drained");
    first.process.kill();
    eventually("it has gone", secs(10), || {
        (world.gate().worker("w").is_none_or(|worker| worker["state"] == "gone")).then_some(())
    });
    assert_eq!(post(&world, body.clone()).0, 404, "nobody is there to be drained");
    let second = worker(&world);
    world.redis.command(&["RPUSH", "jobs", "a"]);
    eventually("the newcomer works", secs(5), || (second.answers() == "jobs\na\n").then_some(()));
    let (status, drain) = post(&world, body);
    assert_eq!(status, 201, "a new drain: {drain}");
    assert_ne!(drain["state"], "drained", "it has taken a job, and nobody knows when that ends: {drain}");
}
