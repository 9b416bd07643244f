//! The calls and the commands about queues.

use crate::fake::{Fake, Served};
use draingate::fleet::{Ending, Notice};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use std::process::{Command, Output};

async fn call(gate: &Served, method: Method, path: &str, body: &'static str) -> Response {
    Client::new().request(method, gate.url(path)).body(body).send().await.expect("an answer")
}

async fn put(gate: &Served, name: &str, body: &'static str) -> (StatusCode, Value) {
    let response = call(gate, Method::PUT, &format!("/v1/queues/{name}/pause"), body).await;
    let status = response.status();
    (status, serde_json::from_str(&response.text().await.expect("a body")).expect("JSON"))
}

async fn cli(gate: &Served, line: &str) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_draingate"));
    command.args(line.split(' ')).env("DRAINGATE_ADMIN", gate.url("")).env_remove("DRAINGATE_TOKEN");
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
    let Output { status, stdout, stderr } = output.expect("the command line runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text").trim().to_owned();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

#[tokio::test]
async fn they_are_listed() {
    let gate = Fake::new().serve().await;
    let listed = call(&gate, Method::GET, "/v1/queues", "").await.text().await.expect("a body");
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!((&listed["queues"][0]["state"], &listed["queues"][0]["paused"]), (&json!("open"), &Value::Null));
    let paused = &listed["queues"][1];
    assert_eq!(paused["paused"]["until"], "2026-03-02T00:00:00Z", "{paused}");
    assert_eq!((&paused["held"], &paused["systems"], &paused["seen"]), (&json!(3), &json!(["sidekiq"]), &json!(true)));

    let (code, table, _) = cli(&gate, "queues").await;
    assert!(code == 0 && table.contains("provider") && table.contains("inside MULTI"), "{table}");
    let header: Vec<&str> = table.lines().next().expect("a line").split_whitespace().collect();
    assert_eq!(header, ["NAME", "SYSTEM", "STATE", "CONSUMERS", "HELD", "RESUMES", "REASON"]);
    assert_eq!(cli(&gate, "queues -o name").await.1, "queue:low\nqueue:mail");
    assert_eq!(serde_json::from_str::<Value>(&cli(&gate, "queues -o json").await.1).expect("JSON"), listed);
}

#[tokio::test]
async fn one_is_paused_renewed_and_resumed() {
    let fake = Fake::new();
    let gate = fake.serve().await;
    let (status, pause) = put(&gate, "mail", r#"{"ttl": "10m", "reason": "provider"}"#).await;
    assert_eq!((status, &pause["until"]), (StatusCode::CREATED, &json!("2026-03-01T12:10:00Z")), "{pause}");
    assert_eq!(
        (&pause["seen"], &pause["queues"], &pause["nearest"]),
        (&json!(true), &json!(["queue:mail"]), &json!([]))
    );
    assert_eq!(put(&gate, "mail", "").await.0, StatusCode::OK);
    // slashes and colons are part of a name
    let (_, pause) = put(&gate, "a%2Fb:mial", "").await;
    assert_eq!((&pause["name"], &pause["seen"]), (&json!("a/b:mial"), &json!(false)), "{pause}");
    assert_eq!(put(&gate, "mial", "").await.1["nearest"], json!(["queue:mail"]));
    for _ in 0..2 {
        let gone = call(&gate, Method::DELETE, "/v1/queues/mail/pause", "").await;
        assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    }
    assert!(!fake.state().paused.contains("mail"));
}

#[tokio::test]
async fn what_is_refused() {
    let gate = Fake::new().serve().await;
    for (name, body, status, kind) in [
        ("", "", 422, "bad-queue"),
        ("%20", "", 422, "bad-queue"),
        ("mail", "{", 400, "bad-request"),
        ("mail", r#"{"tll": "1m"}"#, 400, "bad-request"),
        ("mail", r#"{"ttl": "0s"}"#, 400, "bad-request"),
        ("mail", r#"{"ttl": "soon"}"#, 400, "bad-request"),
        ("full", "", 503, "store"),
    ] {
        let (answered, problem) = put(&gate, name, body).await;
        assert_eq!(answered.as_u16(), status, "{name} {body}: {problem}");
        assert_eq!(problem["type"], format!("urn:draingate:{kind}"), "{name} {body}");
        assert!(problem["hint"].as_str().is_some_and(|hint| hint.len() > 10), "{problem}");
    }
}

#[tokio::test]
async fn the_commands() {
    let fake = Fake::new();
    let gate = fake.serve().await;
    let (code, out, err) = cli(&gate, "pause queue=mail --ttl 10m").await;
    assert!(code == 0 && out.starts_with("mail (queue:mail) paused for") && err.is_empty(), "{out} {err}");
    let (code, _, err) = cli(&gate, "pause mial --reason r").await;
    assert_eq!((code, err.as_str()), (0, "draingate: no queue of that name has been seen yet; nearest: queue:mail"));
    assert_eq!(cli(&gate, "pause mail -o name --wait").await.1, "mail");
    let (code, out, err) = cli(&gate, "resume queue=mail typo").await;
    assert_eq!((code, out.as_str(), err.as_str()), (0, "mail resumed", "no queue named typo is paused"));
    cli(&gate, "resume mial").await;
    assert!(fake.state().paused.is_empty());
    assert_eq!(cli(&gate, "pause queue=").await.0, 2);
    assert_eq!(cli(&gate, "pause mail --ttl none").await.0, 2);
    assert_eq!(cli(&gate, "pause full").await.0, 1);
    fake.events.push(1, &Notice::QueuePaused { queue: "mail".into(), until: Some(60_000), reason: Some("r".into()) });
    fake.events.push(1, &Notice::QueueResumed { queue: "mail".into(), how: Ending::Expired });
    let (_, out, _) = cli(&gate, "events").await;
    assert!(out.contains("queue mail paused until 1970-01-01T00:01:00Z: r"), "{out}");
    assert!(out.contains("pause of queue mail expired"), "{out}");
}
