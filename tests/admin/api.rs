//! The calls, one by one, over HTTP.

use crate::fake::{Fake, Served, token};
use crate::samples;
use draingate::api::ApiSettings;
use draingate::api::auth::{Rules, Scope};
use draingate::fleet::view::{DrainState, WorkerState};
use draingate::fleet::{DrainError, Notice, Ttl};
use draingate::hub::HubError;
use draingate::job::{Evidence, WorkerId};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

async fn get(gate: &Served, path: &str) -> Response {
    Client::new().get(gate.url(path)).send().await.expect("an answer")
}

async fn post(gate: &Served, path: &str, body: &str) -> Response {
    Client::new().post(gate.url(path)).body(body.to_owned()).send().await.expect("an answer")
}

async fn json_of(response: Response) -> Value {
    let text = response.text().await.expect("a body");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Checks that it is a problem of that status and type, and returns its detail and hint in one.
async fn problem(response: Response, status: u16, kind: &str) -> String {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(response.status(), status);
    let problem = json_of(response).await;
    assert_eq!(problem["type"], format!("urn:draingate:{kind}"), "{problem}");
    assert_eq!(problem["status"], status);
    assert!(problem["title"].is_string());
    format!("{} {}", problem["detail"], problem["hint"])
}

fn drained(name: &str) -> Arc<Fake> {
    Fake::with(name, DrainState::Drained, vec![samples::drain_worker(WorkerState::Drained)])
}

#[tokio::test]
async fn workers() {
    let gate = Fake::new().serve().await;
    assert_eq!(json_of(get(&gate, "/v1/workers").await).await["workers"][0]["connections"], 4);
    assert_eq!(json_of(get(&gate, "/v1/workers?selector=none").await).await, json!({"workers": []}));
    let with_gone = json_of(get(&gate, "/v1/workers?gone=true").await).await;
    assert_eq!(with_gone["workers"].as_array().map(Vec::len), Some(2));
    problem(get(&gate, "/v1/workers?selector=%3D").await, 400, "bad-selector").await;
    let said = problem(get(&gate, "/v1/workers?selectro=all").await, 400, "bad-request").await;
    assert!(said.contains("selectro") && said.contains("`selector`"), "{said}");

    let detail = json_of(get(&gate, "/v1/workers/celery-web-1").await).await;
    assert_eq!((&detail["connections"][0]["id"], &detail["jobs"][0]["id"]), (&json!(7), &json!("6f0c")));
    problem(get(&gate, "/v1/workers/nobody").await, 404, "no-worker").await;
}

#[tokio::test]
async fn a_drain_is_made_once() {
    let fake = Fake::new();
    let gate = fake.serve().await;
    let body = r#"{"selector": "all", "name": "deploy-7", "ttl": "2h", "require": "exact", "delayed": "wait"}"#;
    let made = post(&gate, "/v1/drains", body).await;
    assert_eq!(made.status(), 201);
    assert_eq!(made.headers()["location"], "/v1/drains/deploy-7");
    assert_eq!(json_of(made).await["name"], "deploy-7");
    let again = post(&gate, "/v1/drains", body).await;
    assert_eq!((again.status(), again.headers().contains_key("location")), (StatusCode::OK, false));

    let request = fake.state().requests[0].clone();
    assert_eq!((request.ttl, request.require), (Ttl::For(7_200_000), Some(Evidence::Exact)));
    assert!(request.delayed_wait && !request.standing && !request.dry_run);

    let dry = post(&gate, "/v1/drains", r#"{"selector": ["a", "b"], "name": "x", "dry_run": true}"#).await;
    assert_eq!(dry.status(), 200);
    problem(get(&gate, "/v1/drains/x").await, 404, "no-drain").await;
    assert_eq!(json_of(get(&gate, "/v1/drains").await).await["drains"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn what_is_no_drain() {
    let fake = Fake::new();
    let gate = fake.serve().await;
    for (body, kind, said) in [
        ("", "bad-request", "not valid"),
        ("[]", "bad-request", "expected an object"),
        ("{}", "bad-request", "selector"),
        (r#"{"selector": "all", "nmae": "x"}"#, "bad-request", "nmae"),
        (r#"{"selector": 7}"#, "bad-request", "a string or a list of strings"),
        (r#"{"selector": []}"#, "bad-selector", "empty"),
        (r#"{"selector": ["all", " "]}"#, "bad-selector", "empty"),
        (r#"{"selector": "all", "ttl": "soon"}"#, "bad-request", "90s"),
        (r#"{"selector": "all", "ttl": "0s"}"#, "bad-request", "12h"),
        (r#"{"selector": "all", "ttl": "11000days"}"#, "bad-request", "ten years"),
        (r#"{"selector": "all", "ttl": "none"}"#, "bad-request", "reason"),
        (r#"{"selector": "all", "ttl": "none", "reason": " "}"#, "bad-request", "reason"),
        (r#"{"selector": "all", "require": "unknown"}"#, "bad-request", "exact, reported or inferred"),
        (r#"{"selector": "all", "delayed": "maybe"}"#, "bad-request", "ignore or wait"),
        (r#"{"selector": "all", "standing": "yes"}"#, "bad-request", "bool"),
    ] {
        let answer = problem(post(&gate, "/v1/drains", body).await, 400, kind).await;
        assert!(answer.contains(said), "{body}: {answer}");
    }
    problem(post(&gate, "/v1/drains", &" ".repeat(300_000)).await, 413, "too-large").await;
    assert_eq!(fake.state().requests, []);
}

#[tokio::test]
async fn refusals_of_the_gate() {
    let fake = Fake::new();
    let gate = fake.serve().await;
    type Refusal = (fn() -> HubError, u16, &'static str, &'static str);
    let refusals: [Refusal; 8] = [
        (|| DrainError::BadSelector("x".to_owned()).into(), 400, "bad-selector", "x"),
        (|| DrainError::BadName("x".to_owned()).into(), 400, "bad-name", "x"),
        (|| DrainError::BadRequest("x".to_owned()).into(), 400, "bad-request", "x"),
        (|| DrainError::NothingMatched("a=b".to_owned()).into(), 404, "nothing-matched", "no worker matches a=b"),
        (|| DrainError::NameTaken("n".to_owned()).into(), 422, "name-taken", "another selector"),
        (|| DrainError::CannotTellApart("x".to_owned()).into(), 409, "cannot-tell-apart", "x"),
        (|| DrainError::WouldStarve(vec!["mail".to_owned()]).into(), 409, "would-starve", "mail"),
        (|| HubError::Store("disk full".to_owned()), 503, "store", "disk full"),
    ];
    for (refusal, status, kind, said) in refusals {
        fake.state().refusal = Some(refusal);
        let answer = problem(post(&gate, "/v1/drains", r#"{"selector": "all"}"#).await, status, kind).await;
        assert!(answer.contains(said), "{answer}");
    }
}

#[tokio::test]
async fn lifting_is_idempotent() {
    let fake = Fake::with("d", DrainState::Draining, vec![]);
    let gate = fake.serve().await;
    for _ in 0..2 {
        let lifted = Client::new().delete(gate.url("/v1/drains/d")).send().await.expect("an answer");
        assert_eq!(lifted.status(), 204);
    }
    assert_eq!(json_of(get(&gate, "/v1/drains/d").await).await["state"], "lifted");
}

#[tokio::test]
async fn a_long_poll_answers_at_once_when_it_is_over() {
    let sealed = || vec![samples::drain_worker(WorkerState::Sealed)];
    let lost = || vec![samples::drain_worker(WorkerState::Lost)];
    for (fake, wait) in [
        (drained("d"), "drained"),
        (drained("d"), "sealed"),
        (Fake::with("d", DrainState::Sealed, sealed()), "sealed"),
        (Fake::with("d", DrainState::Lost, lost()), "drained"),
        (Fake::with("d", DrainState::Lifted, sealed()), "drained"),
        (Fake::with("d", DrainState::Expired, sealed()), "drained"),
    ] {
        let gate = fake.serve().await;
        // Longer than any test run: it would hang.
        let answer = get(&gate, &format!("/v1/drains/d?wait={wait}&timeout=1h")).await;
        assert_eq!(answer.status(), 200);
    }
}

#[tokio::test]
async fn a_long_poll_answers_when_it_comes_about() {
    let fake = Fake::with("d", DrainState::Draining, vec![samples::drain_worker(WorkerState::Draining)]);
    let gate = fake.serve().await;
    let poll = get(&gate, "/v1/drains/d?wait=drained&timeout=1h");
    let news = async {
        for (state, worker) in [
            (DrainState::Sealed, WorkerState::Sealed),
            (DrainState::Draining, WorkerState::Draining),
            (DrainState::Drained, WorkerState::Drained),
        ] {
            tokio::task::yield_now().await;
            fake.set("d", state, vec![samples::drain_worker(worker)]);
        }
    };
    let (answer, ()) = tokio::join!(poll, news);
    assert_eq!(json_of(answer).await["state"], "drained");
}

#[tokio::test]
async fn a_long_poll_answers_when_its_time_is_up_and_when_the_gate_stops() {
    let fake = Fake::with("d", DrainState::Sealed, vec![samples::drain_worker(WorkerState::Sealed)]);
    let gate = fake.serve().await;
    let answer = get(&gate, "/v1/drains/d?wait=drained&timeout=1ms").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(json_of(answer).await["state"], "sealed");

    let url = gate.url("/v1/drains/d?wait=drained&timeout=1h");
    // On a connection that is there already: the stop then cannot come before the call.
    let http = Client::new();
    let looked = http.get(gate.url("/healthz")).send().await.expect("an answer");
    looked.bytes().await.expect("a body");
    let poll = tokio::spawn(http.get(url).send());
    let looks = get(&gate, "/healthz").await;
    assert_eq!(looks.status(), 200);
    gate.stop().await;
    if let Ok(answer) = poll.await.expect("no panic") {
        assert_eq!(json_of(answer).await["state"], "sealed");
    }
}

#[tokio::test]
async fn what_is_no_wait() {
    let gate = drained("d").serve().await;
    for (query, said) in [
        ("wait=gone", "sealed or drained"),
        ("wait=drained&timeout=1", "90s"),
        ("timeout=5s", "no wait"),
        ("wiat=drained", "wiat"),
    ] {
        let answer = problem(get(&gate, &format!("/v1/drains/d?{query}")).await, 400, "bad-request").await;
        assert!(answer.contains(said), "{query}: {answer}");
    }
    problem(get(&gate, "/v1/drains/e?wait=drained&timeout=1h").await, 404, "no-drain").await;
}

#[tokio::test]
async fn the_callers_own_worker() {
    let fake = Fake::new();
    let gate = fake.serve().await;
    problem(post(&gate, "/v1/self/drain", "").await, 404, "nothing-matched").await;

    fake.state().of_caller = None;
    let said = problem(post(&gate, "/v1/self/drain", "").await, 409, "cannot-tell-apart").await;
    assert!(said.contains("cannot see which process"), "{said}");

    fake.state().of_caller = Some(vec![WorkerId("a".to_owned()), WorkerId("b".to_owned())]);
    let said = problem(post(&gate, "/v1/self/drain", "").await, 409, "cannot-tell-apart").await;
    assert!(said.contains("a, b"), "{said}");

    fake.state().of_caller = Some(vec![WorkerId("a".to_owned())]);
    fake.state().to_drain = (DrainState::Drained, vec![samples::drain_worker(WorkerState::Drained)]);
    let path = "/v1/self/drain?wait=drained&timeout=55m&ttl=1h&reason=stop";
    let made = post(&gate, path, "").await;
    assert_eq!(
        (made.status().as_u16(), &made.headers()["location"]),
        (201, &"/v1/drains/self-a".parse().expect("a value"))
    );
    assert_eq!(json_of(made).await["state"], "drained");
    assert_eq!(post(&gate, path, "").await.status(), 200, "asking again is the same drain");
    let request = fake.state().requests[0].clone();
    assert_eq!((request.selector, request.ttl), (vec!["a".to_owned()], Ttl::For(3_600_000)));
    problem(post(&gate, "/v1/self/drain?wait=soon", "").await, 400, "bad-request").await;
}

#[tokio::test]
async fn what_the_gate_says_of_itself() {
    let fake = Fake::new();
    let gate = fake.serve().await;
    let version = json_of(get(&gate, "/v1/version").await).await;
    let listener = json!({"name": "redis", "protocol": "redis", "address": "127.0.0.1:6380",
                          "upstream": "redis://127.0.0.1:6379"});
    let expected = json!({"version": env!("CARGO_PKG_VERSION"), "listeners": [listener], "admin": "127.0.0.1:9480",
                          "unix_socket": "/run/draingate/admin.sock"});
    assert_eq!(version, expected);
    assert_eq!(get(&gate, "/metrics").await.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(json_of(get(&gate, "/openapi.json").await).await["openapi"], "3.1.0");
    assert_eq!(get(&gate, "/readyz").await.status(), 200);
    fake.state().ready = false;
    problem(get(&gate, "/readyz").await, 503, "not-ready").await;
    assert_eq!(get(&gate, "/healthz").await.status(), 200);
}

#[tokio::test]
async fn the_page_needs_no_token_and_nothing_from_elsewhere() {
    let rules = Rules { tokens: vec![token("deploy", "secret", Scope::Read)] };
    let gate = Fake::new().serve_at("127.0.0.1:0", ApiSettings { rules, ..ApiSettings::default() }).await;
    problem(get(&gate, "/v1/workers").await, 401, "no-token").await;
    let page = get(&gate, "/").await;
    assert_eq!(
        (page.status().as_u16(), &page.headers()["content-type"]),
        (200, &"text/html; charset=utf-8".parse().expect("a value"))
    );
    assert!(page.headers()["content-security-policy"].to_str().expect("text").starts_with("default-src 'none'"));
    let text = page.text().await.expect("text");
    assert!(text.contains("v1/workers") && !text.contains("innerHTML") && !text.contains("http"), "{text}");
}

#[tokio::test]
async fn what_is_not_there() {
    let gate = Fake::new().serve().await;
    for path in ["/v1", "/v1/nothing", "/v1/drains/a/b"] {
        let said = problem(get(&gate, path).await, 404, "no-route").await;
        assert!(said.contains("/v1/drains/{name}"), "{said}");
    }
    problem(post(&gate, "/v1/workers", "").await, 405, "no-method").await;
}

fn made(n: usize) -> Notice {
    Notice::DrainCreated { drain: format!("d{n}"), workers: n }
}

#[tokio::test]
async fn events_are_a_stream_that_can_be_resumed() {
    let fake = Fake::new();
    for n in 0..3 {
        fake.events.push(samples::NOON + 1, &made(n));
    }
    let gate = fake.serve().await;
    let ask = |last: Option<&str>| {
        let request = reqwest::Client::new().get(gate.url("/v1/events?follow=false"));
        last.into_iter().fold(request, |request, last| request.header("Last-Event-ID", last)).send()
    };
    let all = ask(None).await.expect("an answer");
    assert_eq!(all.headers()["content-type"], "text/event-stream");
    let text = all.text().await.expect("text");
    let ids: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
    assert_eq!((ids.len(), text.matches("event: drain_created").count()), (3, 3), "{text}");
    let later = ask(Some(ids[1])).await.expect("an answer").text().await.expect("text");
    assert!(later.contains(&format!("id: {}", ids[2])) && !later.contains(ids[1]), "{later}");
    let old = ask(Some("7")).await.expect("an answer").text().await.expect("text");
    assert!(old.find("event: missed") < old.find("event: drain_created") && old.contains("missed"), "{old}");
    let odd = ask(Some("yesterday")).await.expect("an answer");
    assert_eq!(odd.status(), 400);
    let nothing = async { ask(Some(ids[2])).await.expect("an answer").text().await.expect("text") };
    let nothing = tokio::time::timeout(Duration::from_secs(10), nothing).await;
    assert_eq!(nothing.expect("who does not follow is not kept waiting for news"), "");
}

#[tokio::test]
async fn a_listener_hears_what_happens_and_is_let_go_when_the_gate_stops() {
    let fake = Fake::new();
    let gate = fake.serve().await;
    let mut answer = reqwest::get(gate.url("/v1/events")).await.expect("an answer");
    fake.events.push(samples::NOON + 1, &made(1));
    let mut heard = String::new();
    while !heard.contains("\n\n") {
        heard += &String::from_utf8_lossy(&answer.chunk().await.expect("bytes").expect("not the end"));
    }
    assert!(heard.contains("event: drain_created") && heard.contains(r#""workers":1"#), "{heard}");
    let rest = tokio::spawn(async move { answer.chunk().await });
    gate.stop().await;
    assert_eq!(rest.await.expect("no panic").expect("a clean end"), None);
}
