//! The state on disk: durable, exclusive, and refused when it makes no sense.

use crate::broker::{Broker, Client};
use crate::gate::{Gate, command, config, refusal};
use std::time::Duration;

const DRAIN: &str = r#"{"selector":"all","name":"d"}"#;

#[test]
fn a_mark_is_in_force_from_the_first_accept_of_a_killed_gates_successor() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = Broker::start();
    let mut gate = Gate::start(dir.path(), &config(broker.address, ""));
    let mut worker = Client::connect(gate.listener);
    worker.send(&["BRPOP", "jobs", "0"]);
    gate.eventually("the worker is known", |gate| gate.get("/v1/workers").contains("jobs").then_some(()));
    let (status, body) = gate.http("POST", "/v1/drains", DRAIN);
    assert_eq!(status, 201, "{body}\n{}", gate.log());
    drop(gate); // kill -9

    let gate = Gate::start(dir.path(), &config(broker.address, ""));
    let mut producer = Client::connect(broker.address);
    let mut worker = Client::connect(gate.listener);
    worker.send(&["BRPOP", "jobs", "0"]);
    producer.call(&["LPUSH", "jobs", "one"]);
    assert!(worker.is_silent(Duration::from_millis(1_500)), "{}", gate.log());
    assert_eq!(producer.call(&["LLEN", "jobs"]), ":1");
    assert_eq!(gate.http("DELETE", "/v1/drains/d", "").0, 204);
    assert_eq!(worker.job(), "one");
}

#[test]
fn a_second_gate_on_the_same_state_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = Broker::start();
    let text = config(broker.address, "");
    let mut gate = Gate::start(dir.path(), &text);
    let said = refusal(command(dir.path(), &text, &[]));
    assert!(said.contains("belongs to a gate that is running"), "{said}");
    assert!(gate.is_running());
    assert_eq!(Client::connect(gate.listener).call(&["PING"]), "+PONG");
}

#[test]
fn a_state_that_makes_no_sense_stops_the_start_unless_it_is_to_be_ignored() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    std::fs::create_dir(&state).expect("made");
    std::fs::write(state.join("drains"), "nonsense\n").expect("written");
    let text = "[admin]\nbind = \"127.0.0.1:0\"\n[[listener]]\nbind = \"127.0.0.1:0\"\n";
    let said = refusal(command(dir.path(), text, &[]));
    assert!(said.contains("drains: ") && said.contains("--ignore-state"), "{said}");
    assert!(state.join("drains").exists(), "nothing is thrown away");
    let mut gate = Gate::spawn(dir.path(), command(dir.path(), text, &["--ignore-state"]));
    gate.eventually("it starts", |_| state.join("admin.json").exists().then_some(()));
}

#[test]
fn a_state_that_cannot_be_written_any_more_refuses_drains_and_lets_jobs_go_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = Broker::start();
    let mut gate = Gate::start(dir.path(), &config(broker.address, ""));
    let mut worker = Client::connect(gate.listener);
    worker.send(&["BRPOP", "jobs", "0"]);
    gate.eventually("the worker is known", |gate| gate.get("/v1/workers").contains("jobs").then_some(()));
    std::fs::rename(dir.path().join("state"), dir.path().join("away")).expect("renamed");
    let (status, body) = gate.http("POST", "/v1/drains", DRAIN);
    assert_eq!(status, 503, "{body}");
    Client::connect(broker.address).call(&["LPUSH", "jobs", "one"]);
    assert_eq!(worker.job(), "one");
    std::fs::rename(dir.path().join("away"), dir.path().join("state")).expect("renamed");
    assert_eq!(gate.http("POST", "/v1/drains", DRAIN).0, 201);
}

#[test]
fn a_journal_that_cannot_be_written_at_start_does_not_keep_traffic_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = Broker::start();
    let text = config(broker.address, "");
    let mut gate = Gate::start(dir.path(), &text);
    Client::connect(gate.listener).send(&["BRPOP", "jobs", "0"]);
    gate.eventually("the worker is known", |gate| gate.get("/v1/workers").contains("jobs").then_some(()));
    drop(gate); // kill -9
    let state = dir.path().join("state");
    let journal = || std::fs::read_to_string(state.join("journal")).expect("there");
    assert!(journal().contains("jobs"));
    // as on a full disk: no new file can be written
    std::fs::create_dir(state.join("journal.new")).expect("made");
    let mut gate = Gate::start(dir.path(), &text);
    assert_eq!(Client::connect(gate.listener).call(&["PING"]), "+PONG");
    assert_eq!(journal(), "", "what an earlier gate knew is not true any more");
    assert!(gate.log().contains("the journal cannot be written"), "{}", gate.log());
    std::fs::remove_dir(state.join("journal.new")).expect("removed");
    gate.eventually("the journal is whole", |_| journal().contains("jobs").then_some(()));
}
