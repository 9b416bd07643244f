//! The API on a Unix socket beside the address: the same calls, and the same commands.

use crate::cli::{Ran, command, run_at};
use crate::fake::{Fake, token};
use crate::samples;
use draingate::api::ApiSettings;
use draingate::api::auth::{Rules, Scope};
use draingate::fleet::view::{DrainState, WorkerState};
use draingate::fleet::{Ending, Notice};
use draingate::hub::Caller;
use draingate::job::WorkerId;
use std::io::{BufRead, BufReader};
use std::path::Path;

async fn run(path: &Path, line: &str) -> Ran {
    run_at(format!("unix:{}", path.display()), line).await
}

#[tokio::test]
async fn every_command_goes_over_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("admin.sock");
    let fake = Fake::with("d", DrainState::Sealed, vec![samples::drain_worker(WorkerState::Sealed)]);
    let gate = fake.serve_unix(&path, ApiSettings::default()).await;
    for (line, exit) in [
        ("healthcheck", 0),
        ("workers -o json", 0),
        ("drains", 0),
        ("status d", 0),
        ("wait d --timeout 100ms", 4),
        ("wait d --for sealed", 0),
        ("drain all --name n", 0),
        ("queues", 0),
        ("pause mail", 0),
        ("resume mail", 0),
        ("report", 0),
        ("events", 0),
        ("undrain d", 0),
        ("status other", 3),
    ] {
        let ran = run(&path, line).await;
        assert_eq!(ran.exit, exit, "{line}: {}", ran.stderr);
    }
    assert_eq!(run_at(gate.url(""), "healthcheck").await.exit, 0, "the address beside it");
    let version = run(&path, "version").await.stdout;
    assert!(version.contains("127.0.0.1:9480 and unix:/run/draingate/admin.sock"), "{version}");
    gate.stop().await;
    let ran = run(&path, "workers").await;
    let said = format!("draingate: the gate at unix:{} cannot be reached: Connection refused", path.display());
    assert!(ran.exit == 7 && ran.stderr.starts_with(&said), "{}", ran.stderr);
}

#[tokio::test]
async fn tokens_are_needed_there_too() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("admin.sock");
    let rules = Rules { tokens: vec![token("ci", "sesame", Scope::Read)] };
    let _gate = Fake::new().serve_unix(&path, ApiSettings { rules, ..ApiSettings::default() }).await;
    assert_eq!(run(&path, "workers").await.exit, 8);
    assert_eq!(run(&path, "workers --token sesame").await.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_flow_over_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("admin.sock");
    let fake = Fake::new();
    let _gate = fake.serve_unix(&path, ApiSettings::default()).await;
    let mut child = command(&format!("unix:{}", path.display()), "events --follow").spawn().expect("it starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    for drain in ["one", "two"] {
        fake.events.push(samples::NOON, &Notice::DrainEnded { drain: drain.into(), how: Ending::Lifted });
        let mut line = String::new();
        stdout.read_line(&mut line).expect("UTF-8");
        assert_eq!(line, format!("2026-03-01T12:00:00Z drain {drain} lifted\n"));
    }
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}

#[tokio::test]
async fn the_caller_is_the_process_that_connected() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("admin.sock");
    let fake = Fake::new();
    fake.state().of_caller = Some(vec![WorkerId("a".to_owned())]);
    let _gate = fake.serve_unix(&path, ApiSettings::default()).await;
    let http = reqwest::Client::builder().unix_socket(path.as_path()).build().expect("a client");
    let answer = http.post("http://localhost/v1/self/drain").send().await.expect("an answer");
    assert_eq!(answer.status(), 201);
    let uid = rustix::process::getuid().as_raw();
    assert_eq!(fake.state().callers, [Caller::Unix { pid: Some(std::process::id()), uid }]);
}
