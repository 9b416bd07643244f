//! Drains in Redis: they outlive the gate's directory, belong to one gate at a time, and a Redis in trouble costs no job.

use crate::broker::{Broker, Client};
use crate::gate::{Gate, SURELY, command, refusal};
use crate::keeper::{Dirs, Keeper, assert_held, drain, journal, kept, worker};
use std::time::Instant;

#[test]
fn a_mark_is_in_force_in_another_gate_with_an_empty_directory() {
    let (dirs, broker, keeper) = (Dirs::new(), Broker::start(), Keeper::start(&[]));
    let text = kept(&broker, &keeper.url());
    let mut gate = Gate::start(&dirs.of("one"), &text);
    let _worker = worker(&mut gate);
    let (status, body) = drain(&gate);
    assert_eq!(status, 201, "{body}");
    assert!(!dirs.of("one").join("state/drains").exists(), "in one place only");
    gate.signal("-KILL");
    gate.exit();

    let mut gate = Gate::start(&dirs.of("two"), &text);
    gate.logs("another gate has the drains, or had them when it was killed: waiting");
    let mut worker = Client::connect(gate.listener);
    worker.send(&["BRPOP", "jobs", "0"]);
    assert_held(&broker, &gate, &mut worker);
    let page = gate.get("/v1/drains/d?wait=drained&timeout=1s");
    assert!(page.contains(r#""state":"sealed""#) && page.contains(r#""evidence":"unknown""#), "proved anew: {page}");
    assert_eq!(gate.http("DELETE", "/v1/drains/d", "").0, 204);
    assert_eq!(worker.job(), "one");

    // what was lifted stays so; who leaves in peace keeps nobody waiting
    drop(worker);
    gate.signal("-TERM");
    assert!(gate.exit().success());
    let begun = Instant::now();
    let gate = Gate::start(&dirs.of("three"), &text);
    assert!(!gate.log().contains("waiting"), "{:?}\n{}", begun.elapsed(), gate.log());
    assert!(gate.get("/v1/drains/d").contains(r#""state":"lifted""#));
}

#[test]
fn a_killed_gate_comes_back_at_once_with_its_journal_unless_another_was_there_meanwhile() {
    let (dirs, broker, keeper) = (Dirs::new(), Broker::start(), Keeper::start(&[]));
    let text = kept(&broker, &keeper.url());
    let own = dirs.of("own");
    let mut gate = Gate::start(&own, &text);
    drop(worker(&mut gate));
    drop(gate); // kill -9
    assert!(journal(&own).contains("jobs"));
    let mut gate = Gate::start(&own, &text);
    assert!(!gate.log().contains("waiting"), "{}", gate.log());
    assert!(journal(&own).contains("jobs"), "it is its own");
    gate.signal("-TERM");
    gate.exit();

    let mut other = Gate::start(&dirs.of("other"), &text);
    other.signal("-TERM");
    other.exit();
    assert!(journal(&own).contains("jobs"));
    let _gate = Gate::start(&own, &text);
    assert!(!journal(&own).contains("jobs"), "the workers may have had other jobs meanwhile");
}

#[test]
fn a_second_gate_is_refused_and_one_with_another_key_is_not() {
    let (dirs, broker, keeper) = (Dirs::new(), Broker::start(), Keeper::start(&[]));
    let text = kept(&broker, &keeper.url());
    let mut gate = Gate::start(&dirs.of("one"), &text);
    let said = refusal(command(&dirs.of("two"), &text, &[]));
    let place = format!("the state in redis://{}/1?key=blue belongs to a gate that is running", keeper.address);
    assert!(said.contains(&place) && said.contains("?key="), "{said}");
    let said = refusal(command(&dirs.of("two"), &text, &["--ignore-state"]));
    assert!(said.contains(&place), "{said}");
    let mut other = Gate::start(&dirs.of("two"), &text.replace("key=blue", "key=green"));
    for gate in [&mut gate, &mut other] {
        let _worker = worker(gate);
        assert_eq!(drain(gate).0, 201);
    }
}

#[test]
fn while_redis_is_away_drains_are_refused_and_jobs_go_on() {
    let (dirs, broker, mut keeper) = (Dirs::new(), Broker::start(), Keeper::start(&[]));
    let text = kept(&broker, &keeper.url());
    let mut gate = Gate::start(&dirs.of("one"), &text);
    let mut first = worker(&mut gate);
    keeper.down();
    gate.logs("the drains cannot be kept; jobs go on, new drains are refused");
    let (status, body) = drain(&gate);
    assert!(status == 503 && body.contains("key=blue") && body.contains("nothing was changed"), "{body}");
    Client::connect(broker.address).call(&["LPUSH", "jobs", "one"]);
    assert_eq!(first.job(), "one");
    keeper.up();
    gate.logs("the drains can be kept again");
    assert_eq!(drain(&gate).0, 201);
}

/// Nothing waits for it: neither jobs nor, for long, who asks for a drain.
#[test]
fn a_redis_that_hangs_refuses_drains_and_no_job_waits_for_it() {
    let (dirs, broker, keeper) = (Dirs::new(), Broker::start(), Keeper::start(&[]));
    let text = kept(&broker, &keeper.url());
    let mut gate = Gate::start(&dirs.of("one"), &text);
    let mut first = worker(&mut gate);
    keeper.signal("-STOP");
    let (status, body) = drain(&gate);
    assert!(status == 503 && body.contains("no answer within 2 s"), "{body}");
    // nor do they wait for each other
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..30).map(|_| scope.spawn(|| drain(&gate).0)).collect();
        assert!(all.into_iter().all(|call| call.join().expect("answered") == 503));
    });
    assert!(begun.elapsed() < SURELY, "{:?}", begun.elapsed());
    Client::connect(broker.address).call(&["LPUSH", "jobs", "one"]);
    assert_eq!(first.job(), "one");
    first.send(&["BRPOP", "jobs", "0"]);
    keeper.signal("-CONT");
    gate.eventually("drains can be made", |gate| (drain(gate).0 == 201).then_some(()));
    drop(gate);
    let gate = Gate::start(&dirs.of("one"), &text);
    assert!(gate.get("/v1/drains/d").contains(r#""in_force":true"#), "{}", gate.get("/v1/drains"));
}

/// A Redis that keeps nothing over a restart is given all of it again.
#[test]
fn what_redis_forgets_it_is_told_again() {
    let (dirs, broker, mut keeper) = (Dirs::new(), Broker::start(), Keeper::start(&[]));
    let text = kept(&broker, &keeper.url());
    let mut gate = Gate::start(&dirs.of("one"), &text);
    let waits = worker(&mut gate);
    assert_eq!(drain(&gate).0, 201);
    keeper.down();
    keeper.up();
    gate.logs("drains were lost there and are written anew");
    gate.eventually("they are there", |_| (keeper.call(&["HEXISTS", "blue", "drains"]) == ":1").then_some(()));
    drop(waits);
    gate.signal("-TERM");
    gate.exit();
    let gate = Gate::start(&dirs.of("two"), &text);
    let mut worker = Client::connect(gate.listener);
    worker.send(&["BRPOP", "jobs", "0"]);
    assert_held(&broker, &gate, &mut worker);
}

/// It has come back with an older state, from before this gate: nobody has claimed the drains since.
#[test]
fn a_redis_that_has_gone_back_in_time_is_no_other_gate() {
    let (dirs, broker, keeper) = (Dirs::new(), Broker::start(), Keeper::start(&[]));
    let mut gate = Gate::start(&dirs.of("one"), &kept(&broker, &keeper.url()));
    let _worker = worker(&mut gate);
    assert_eq!(keeper.call(&["DEL", "blue", "{blue}:owner"]), ":2");
    keeper.call(&["HSET", "blue", "gate", "an earlier one", "since", "1", "saved", "7", "drains", "old"]);
    gate.logs("drains were lost there and are written anew");
    assert_eq!(drain(&gate).0, 201);
}

/// A gate that stood still for so long that another took its place must not write over its drains.
#[test]
fn a_gate_that_comes_back_from_a_long_absence_writes_nothing() {
    let (dirs, broker, keeper) = (Dirs::new(), Broker::start(), Keeper::start(&[]));
    let text = kept(&broker, &keeper.url());
    let mut absent = Gate::start(&dirs.of("one"), &text);
    let mut served = worker(&mut absent);
    absent.signal("-STOP");
    let mut gate = Gate::start(&dirs.of("two"), &text);
    let _worker = worker(&mut gate);
    assert_eq!(drain(&gate).0, 201);
    absent.signal("-CONT");
    let (status, body) = drain(&absent);
    assert!(status == 503 && body.contains("another gate has taken them over"), "{body}");
    absent.logs("the drains cannot be kept");
    assert!(gate.get("/v1/drains/d").contains(r#""in_force":true"#));
    drop(gate);
    // also when the other is gone: what it has marked is its successor's
    assert_eq!(keeper.call(&["DEL", "{blue}:owner"]), ":1");
    assert_eq!(drain(&absent).0, 503);
    Client::connect(broker.address).call(&["LPUSH", "jobs", "one"]);
    assert_eq!(served.job(), "one", "its jobs go on");
    let gate = Gate::start(&dirs.of("three"), &text);
    assert!(gate.get("/v1/drains/d").contains(r#""in_force":true"#), "{}", gate.get("/v1/drains"));
}
