//! The JSON of the contract, word for word.

use crate::samples;
use draingate::api::model::{Drain, NewDrain, Report, Time, Worker, WorkerDetail};
use draingate::fleet::view::{DrainState, WorkerState};
use serde::Serialize;
use serde_json::{Value, json};

fn as_json(value: impl Serialize) -> Value {
    serde_json::to_value(value).expect("the models have no maps with odd keys")
}

#[test]
fn a_worker() {
    let expected = json!({
        "id": "celery-web-1", "name": "celery@web-1", "system": "celery", "identity": "learned",
        "address": "10.0.3.7", "listener": "redis", "protocol": "redis", "state": "sealed",
        "queues": ["celery", "mail"], "connections": 4, "held": 1,
        "in_flight": {"running": 1, "prefetched": 2, "delayed": 0}, "evidence": "reported", "declared": false,
        "oldest_job_seconds": 12.5, "safe_until": null, "drains": ["deploy-7"], "blocked": [],
        "since": "2026-03-01T12:00:00Z", "estimate": {"p50_seconds": 240.0, "p95_seconds": 540.0},
        "recent": [{"id": "6f0b", "name": "mail.send", "queue": "mail", "delivered_at": "2026-03-01T11:59:55Z",
                    "started_at": "2026-03-01T11:59:56Z", "ended_at": "2026-03-01T11:59:59Z", "outcome": "finished"}]
    });
    assert_eq!(as_json(Worker::from(samples::worker())), expected);
}

#[test]
fn a_worker_in_detail_lists_its_connections_and_jobs() {
    let detail = as_json(WorkerDetail::from(samples::worker_detail()));
    assert_eq!(detail["id"], "celery-web-1");
    assert_eq!(
        detail["connections"],
        json!([{"id": 7, "port": 40112, "pid": 4711, "at_broker": 0, "held": 1, "since": "2026-03-01T12:00:00Z"}])
    );
    assert_eq!(
        detail["jobs"],
        json!([{"id": "6f0c", "name": "mail.send", "queue": "mail", "kind": "running",
                "delivered_at": "2026-03-01T12:00:01.25Z", "kept_by_broker": true}])
    );
}

#[test]
fn a_drain() {
    let view = samples::drain("deploy-7", DrainState::Sealed, vec![samples::drain_worker(WorkerState::Sealed)]);
    let now = view.created_at + 61_500;
    let expected = json!({
        "name": "deploy-7", "selector": ["worker=celery@web-*"], "reason": "deploy", "in_force": true,
        "created_at": "2026-03-01T12:00:00Z", "expires_at": "2026-03-02T00:00:00Z", "state": "sealed",
        "safe_until": null, "require": "inferred", "standing": false,
        "estimate": {"p50_seconds": 240.0, "p95_seconds": 540.0},
        "workers": [{
            "id": "celery-web-1", "name": "celery@web-1", "state": "sealed",
            "in_flight": {"running": 1, "prefetched": 0, "delayed": 0}, "evidence": "reported", "blocked": [],
            "unknown_seconds": null, "hint": null, "oldest_job_seconds": 12.5,
            "estimate": {"p50_seconds": 240.0, "p95_seconds": 540.0},
            "jobs": [{"id": "6f0c", "name": "mail.send", "queue": "mail", "kind": "running",
                      "delivered_at": "2026-03-01T12:00:01.25Z", "kept_by_broker": true}]
        }],
        "starving": ["mail"]
    });
    assert_eq!(as_json(Drain::new(view, now)), expected);
}

#[test]
fn a_report() {
    let expected = json!({
        "since": "2026-03-01T11:00:00Z", "until": "2026-03-01T12:00:00Z", "watched_since": "2026-03-01T10:00:00Z",
        "gone": 1,
        "lost": [{
            "worker": "celery-web-2", "name": "celery@web-2", "system": "celery", "at": "2026-03-01T12:00:00Z",
            "jobs": [{"id": "6f0c", "name": "mail.send", "queue": "mail", "kind": "running",
                      "delivered_at": "2026-03-01T12:00:01.25Z", "kept_by_broker": true}],
            "more": 0
        }]
    });
    assert_eq!(as_json(Report::from(samples::report())), expected);
}

#[test]
fn unknown_is_told_as_seconds_of_the_gates_clock() {
    let mut worker = samples::drain_worker(WorkerState::Sealed);
    worker.unknown_since = Some(1_000);
    let drain = Drain::new(samples::drain("d", DrainState::Sealed, vec![worker]), 31_500);
    assert_eq!(drain.workers[0].unknown_seconds, Some(30.5));
}

#[test]
fn what_is_written_can_be_read() {
    let detail = WorkerDetail::from(samples::worker_detail());
    assert_eq!(serde_json::from_value::<WorkerDetail>(as_json(&detail)).expect("readable"), detail);
    let view = samples::drain("d", DrainState::Draining, vec![samples::drain_worker(WorkerState::Draining)]);
    let drain = Drain::new(view, 0);
    assert_eq!(serde_json::from_value::<Drain>(as_json(&drain)).expect("readable"), drain);
}

#[test]
fn a_time_beyond_writing_is_the_last_one() {
    assert_eq!(Time(0).to_string(), "1970-01-01T00:00:00Z");
    assert!(Time(u64::MAX).to_string().starts_with("9999-12-3"));
}

#[test]
fn a_selector_is_a_string_or_a_list() {
    let one: NewDrain = serde_json::from_str(r#"{"selector": "all"}"#).expect("valid");
    assert_eq!(one.selector.into_vec(), ["all"]);
    let any: NewDrain = serde_json::from_str(r#"{"selector": ["a", "b"], "name": null}"#).expect("valid");
    assert_eq!(any.selector.into_vec(), ["a", "b"]);
    let wrong = serde_json::from_str::<NewDrain>(r#"{"selector": 7}"#).expect_err("a number");
    assert!(wrong.to_string().contains("a string or a list of strings"), "{wrong}");
}
