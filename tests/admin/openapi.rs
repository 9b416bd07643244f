//! The OpenAPI text says what there is: every route, every field.

use crate::samples;
use draingate::api::model::{
    Drain, Event, NewDrain, NewPause, Pause, Queue, Report, Time, Version, What, Worker, WorkerDetail,
};
use draingate::api::openapi;
use draingate::api::routes::ROUTES;
use draingate::fleet::view::{DrainState, WorkerState};
use draingate::fleet::{Ending, Notice, PauseAnswer, Ttl};
use draingate::job::{System, WorkerId};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn document() -> Value {
    serde_json::from_str(&openapi::text()).expect("JSON")
}

fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

fn schema<'a>(document: &'a Value, name: &str) -> &'a Value {
    &document["components"]["schemas"][name]
}

#[test]
fn it_has_every_route_and_no_other() {
    let document = document();
    let paths: BTreeSet<&str> = ROUTES.iter().map(|(path, _)| *path).collect();
    assert_eq!(keys(&document["paths"]), paths);
    for (path, methods) in ROUTES {
        let described: BTreeSet<&str> =
            keys(&document["paths"][*path]).into_iter().filter(|key| *key != "parameters").collect();
        assert_eq!(described, methods.iter().copied().collect(), "{path}");
    }
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn it_has_every_field_of_what_is_sent() {
    let document = document();
    let view = samples::drain("d", DrainState::Sealed, vec![samples::drain_worker(WorkerState::Sealed)]);
    let drain = json!(Drain::new(view, 0));
    let detail = json!(WorkerDetail::from(samples::worker_detail()));
    let report = json!(Report::from(samples::report()));
    let version = Version { version: String::new(), listeners: vec![], admin: String::new(), unix_socket: None };
    let queue = json!(Queue::from(samples::queues().remove(1)));
    let answer = PauseAnswer { pause: samples::pause("mail", Ttl::Usual, None), created: true, queues: vec![] };
    let pause = json!(Pause::new(answer, |_| vec![]));
    for (name, sent) in [
        ("Worker", &json!(Worker::from(samples::worker()))),
        ("WorkerDetail", &detail),
        ("InFlight", &detail["in_flight"]),
        ("Connection", &detail["connections"][0]),
        ("Job", &detail["jobs"][0]),
        ("PastJob", &detail["recent"][0]),
        ("Estimate", &detail["estimate"]),
        ("Report", &report),
        ("Departure", &report["lost"][0]),
        ("Drain", &drain),
        ("DrainWorker", &drain["workers"][0]),
        ("Version", &json!(version)),
        ("Queue", &queue),
        ("Paused", &queue["paused"]),
        ("Pause", &pause),
    ] {
        let schema = schema(&document, name);
        assert_eq!(keys(&schema["properties"]), keys(sent), "{name}");
        let required: BTreeSet<&str> =
            schema["required"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        assert_eq!(required, keys(sent), "{name}: every field is always sent");
    }
}

#[test]
fn it_has_every_field_of_a_new_drain() {
    let document = document();
    let all = NewDrain {
        name: Some(String::new()),
        ttl: Some(String::new()),
        reason: Some(String::new()),
        require: Some(String::new()),
        delayed: Some(String::new()),
        standing: Some(true),
        allow_empty: Some(true),
        no_starve: Some(true),
        dry_run: Some(true),
        ..NewDrain::default()
    };
    assert_eq!(keys(&schema(&document, "NewDrain")["properties"]), keys(&json!(all)));
    let all = NewPause { ttl: Some(String::new()), reason: Some(String::new()) };
    assert_eq!(keys(&schema(&document, "NewPause")["properties"]), keys(&json!(all)));
}

#[test]
fn it_has_every_field_of_every_event() {
    let document = document();
    let (worker, name, system) = (WorkerId("w".into()), "n".to_owned(), System::Celery);
    let (from, to) = (WorkerState::Active, WorkerState::Draining);
    let notices = [
        Notice::WorkerSeen { worker: worker.clone(), name: name.clone(), system },
        Notice::WorkerState { worker: worker.clone(), name: name.clone(), system, from, to, since_mark: None },
        Notice::WorkerLost { worker, name, system, jobs: vec![] },
        Notice::DrainCreated { drain: "d".into(), workers: 1 },
        Notice::DrainEnded { drain: "d".into(), how: Ending::Lifted },
        Notice::QueuePaused { queue: "q".into(), until: Some(0), reason: None },
        Notice::QueueResumed { queue: "q".into(), how: Ending::Lifted },
    ];
    let schema = schema(&document, "Event");
    let names = schema["properties"]["event"]["enum"].as_array().expect("a list");
    let mut sent = BTreeSet::new();
    for what in notices.iter().map(What::from).chain([What::Missed]) {
        let event = json!(Event { id: 1, at: Time(0), what: what.clone() });
        assert!(names.contains(&event["event"]) && event["event"] == what.name(), "{event}");
        sent.extend(keys(&event).into_iter().map(str::to_owned));
    }
    assert_eq!(keys(&schema["properties"]), sent.iter().map(String::as_str).collect());
}

#[test]
fn its_references_lead_somewhere() {
    fn check(document: &Value, at: &Value) {
        match at {
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref") {
                    let pointer = reference.strip_prefix('#').expect("within the document");
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                }
                map.values().for_each(|value| check(document, value));
            }
            Value::Array(list) => list.iter().for_each(|value| check(document, value)),
            _ => {}
        }
    }
    let document = document();
    check(&document, &document);
}
