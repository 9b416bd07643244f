//! Ways to take jobs that the gate does not refuse: a worker that uses one is never drained, and it is said why.

use crate::Worker;
use crate::support::gate::text;
use crate::support::{World, eventually, secs};
use serde_json::{Value, json};

/// A worker that has said `commands` is drained by its name; what the drain says then.
fn after(commands: &[&str]) -> Value {
    let world = World::new();
    world.redis.command(&["RPUSH", "jobs", "a", "b", "c"]);
    let lines: Vec<&str> = commands.iter().copied().chain(["SUBSCRIBE nothing"]).collect();
    let worker = Worker::start(&world, "poller", &lines);
    eventually("all is answered", secs(10), || worker.answers().contains("subscribe").then_some(()));
    let body = json!({"selector": "client=poller", "name": "d"});
    let (status, drain) = world.gate().http("POST", "/v1/drains", Some(&body)).expect("up");
    assert_eq!(status, 201, "{drain}");
    world.gate().get("/v1/drains/d?wait=drained&timeout=1500ms")
}

#[test]
fn a_worker_that_is_not_refused_is_not_drained() {
    let long = format!("EVAL \"return redis.call('rpop', KEYS[1]){}\" 1 jobs", " ".repeat(2_000));
    let ways: &[&[&str]] = &[
        &["LPOP jobs"],
        &["LPOP nothing-there-yet"],
        &["MULTI", "RPOP jobs", "EXEC"],
        &["MULTI", "BRPOP jobs 0", "EXEC"],
        &["EVAL \"return redis.call('rpop', KEYS[1])\" 1 jobs"],
        &["EVAL \"return redis.call('rpop', 'jobs')\" 0"],
        &[&long],
        &["MULTI", &long, "EXEC"],
    ];
    for way in ways {
        let drain = after(way);
        assert_eq!(drain["state"], "draining", "{way:?}: {drain}");
        let worker = &drain["workers"][0];
        assert_eq!(worker["evidence"], "unknown", "{way:?}: {drain}");
        let blocked = worker["blocked"].as_array().expect("a list");
        assert!(blocked.iter().any(|why| text(why).contains("cannot be held")), "{way:?}: {drain}");
        assert!(worker["unknown_seconds"].is_number(), "exit code 6 is near: {way:?}: {drain}");
    }
}

#[test]
fn what_takes_nothing_stands_in_nobodys_way() {
    let ways: &[&[&str]] = &[
        &["LLEN jobs", "GET a", "SET a b"],
        &["EVAL \"return 1\" 1 jobs"],
        &["MULTI", "EVAL \"return 1\" 0", "EXEC"],
        &["BRPOP empty 0.1"],
    ];
    for way in ways {
        let drain = after(way);
        assert_eq!(drain["state"], "drained", "{way:?}: {drain}");
    }
}

/// The fetch is held, and whatever is pushed meanwhile stays; afterwards the consumer has it at once.
#[test]
fn a_plain_consumer_is_held_and_served_again() {
    let world = World::new();
    let worker = Worker::start(&world, "plain", &["BRPOP jobs 0", "BRPOP jobs 0"]);
    world.gate().cli(&["drain", "plain", "--name", "d", "--wait", "--timeout", "10s"]).expect(0);
    world.redis.command(&["RPUSH", "jobs", "a"]);
    world.gate().await_worker("plain", "drained", secs(5));
    assert_eq!(world.gate().worker("plain").expect("there")["held"], 1);
    assert_eq!((world.redis.command(&["LLEN", "jobs"]).as_str(), worker.answers().as_str()), ("1", ""));
    world.gate().cli(&["undrain", "d"]).expect(0);
    eventually("it is served", secs(5), || (worker.answers() == "jobs\na\n").then_some(()));
}
