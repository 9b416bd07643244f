//! Leaving: workers without a job first, those with one when it has ended, the rest when the grace is over.

use crate::broker::{Broker, Client};
use crate::gate::{Gate, config};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn start(dir: &std::path::Path, broker: &Broker, grace: &str) -> Gate {
    Gate::start(dir, &config(broker.address, &format!("[shutdown]\ngrace = \"{grace}\"\n")))
}

/// A worker that has been given a job.
fn busy_worker(gate: &mut Gate, broker: &Broker) -> Client {
    let mut worker = Client::connect(gate.listener);
    worker.send(&["BRPOP", "jobs", "0"]);
    Client::connect(broker.address).call(&["LPUSH", "jobs", "one"]);
    assert_eq!(worker.job(), "one");
    gate.eventually("the job is known", |gate| gate.get("/v1/workers").contains("\"running\":1").then_some(()));
    worker
}

#[test]
fn a_safe_stop_waits_for_a_running_job_and_gives_no_new_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = Broker::start();
    let mut gate = start(dir.path(), &broker, "60s");
    let mut worker = busy_worker(&mut gate, &broker);
    gate.signal("-TERM");
    gate.logs("stopping");
    let mut other = Client::connect(gate.listener);
    other.send(&["BRPOP", "jobs", "0"]);
    assert!(worker.is_silent(Duration::from_millis(500)), "{}", gate.log());
    assert_eq!(worker.call(&["PING"]), "+PONG", "the job goes on");
    // the next job must be somebody else's
    Client::connect(broker.address).call(&["LPUSH", "jobs", "two"]);
    worker.send(&["BRPOP", "jobs", "0"]);
    assert_eq!(worker.line(), None, "closed at the safe boundary");
    assert_eq!(other.line(), None, "accepted for what a job might have had to say, held, and closed with the last job");
    assert!(gate.exit().success());
    assert!(TcpStream::connect(gate.listener).is_err());
    assert_eq!(Client::connect(broker.address).call(&["LLEN", "jobs"]), ":1");
    assert!(!dir.path().join("state/admin.json").exists());
}

#[test]
fn a_fetch_that_is_waiting_is_settled_before_its_connection_is_closed() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = Broker::start();
    let mut gate = start(dir.path(), &broker, "60s");
    let mut worker = Client::connect(gate.listener);
    worker.send(&["BRPOP", "jobs", "0"]);
    assert!(worker.is_silent(Duration::from_millis(100)));
    gate.signal("-TERM");
    assert_eq!(worker.line(), None);
    assert!(gate.exit().success());
    Client::connect(broker.address).call(&["LPUSH", "jobs", "one"]);
    assert_eq!(Client::connect(broker.address).call(&["LLEN", "jobs"]), ":1", "nobody is waiting at the broker");
}

#[test]
fn a_second_signal_does_not_wait() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = Broker::start();
    let mut gate = start(dir.path(), &broker, "1h");
    let mut worker = busy_worker(&mut gate, &broker);
    gate.signal("-TERM");
    gate.logs("stopping");
    assert!(worker.is_silent(Duration::from_millis(300)));
    gate.signal("-TERM");
    assert!(gate.exit().success());
    assert_eq!(worker.line(), None);
}

#[test]
fn when_the_grace_is_over_the_rest_is_closed() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = Broker::start();
    let mut gate = start(dir.path(), &broker, "1s");
    let mut worker = busy_worker(&mut gate, &broker);
    let begun = Instant::now();
    gate.signal("-TERM");
    assert_eq!(worker.line(), None);
    assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
    assert!(gate.exit().success());
    assert!(gate.log().contains("the grace is over"), "{}", gate.log());
}

#[test]
fn without_connections_it_leaves_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = Broker::start();
    let mut gate = start(dir.path(), &broker, "1h");
    gate.signal("-INT");
    assert!(gate.exit().success());
}

/// Who loses one connection leaves the others as well: no job may come on them any more.
#[test]
fn no_connection_is_closed_while_a_fetch_of_its_worker_is_at_the_broker() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = Broker::start();
    let mut gate = start(dir.path(), &broker, "60s");
    let mut idle = Client::connect(gate.listener);
    assert_eq!(idle.call(&["PING"]), "+PONG");
    let mut worker = Client::connect(gate.listener);
    worker.send(&["BRPOP", "jobs", "0"]);
    gate.eventually("its fetch", |gate| gate.get("/v1/workers").contains("jobs").then_some(()));
    gate.signal("-TERM");
    assert_eq!(idle.line(), None, "closed at last");
    Client::connect(broker.address).call(&["LPUSH", "jobs", "one"]);
    assert_eq!(Client::connect(broker.address).call(&["LLEN", "jobs"]), ":1", "nobody is waiting at the broker");
    assert_eq!(worker.line(), None);
    assert!(gate.exit().success());
}
