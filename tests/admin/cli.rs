//! The command as a script sees it: exit codes, stdout, stderr.

use crate::fake::{Fake, Served, token};
use crate::samples;
use draingate::api::ApiSettings;
use draingate::api::auth::{Rules, Scope};
use draingate::fleet::view::{DrainState, DrainWorker, WorkerState};
use draingate::fleet::{DrainError, Ending, Notice, Ttl};
use draingate::job::{System, WorkerId};
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

pub(crate) struct Ran {
    pub(crate) exit: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn command(admin: &str, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_draingate"));
    command.args(line.split_whitespace()).env("DRAINGATE_ADMIN", admin).env_remove("DRAINGATE_TOKEN");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn ran(output: Output) -> Ran {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ran { exit: output.status.code().expect("not killed"), stdout: text(output.stdout), stderr: text(output.stderr) }
}

pub(crate) async fn run_at(admin: String, line: &str) -> Ran {
    let mut command = command(&admin, line);
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    ran(output.expect("no panic").expect("the command starts"))
}

async fn run(gate: &Served, line: &str) -> Ran {
    run_at(gate.url(""), line).await
}

/// A script must not take a list that a full disk has swallowed for an empty one.
#[tokio::test]
async fn a_result_that_cannot_be_written_is_an_error() {
    let gate = Fake::new().serve().await;
    let mut command = command(&gate.url(""), "workers -o json");
    command.stdout(std::fs::File::create("/dev/full").expect("there"));
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let ran = ran(output.expect("no panic").expect("the command starts"));
    assert_eq!(ran.exit, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("the result cannot be written: No space left"), "{}", ran.stderr);
}

fn gate_with(state: DrainState, worker: WorkerState) -> Arc<Fake> {
    Fake::with("d", state, vec![samples::drain_worker(worker)])
}

#[tokio::test]
async fn exit_codes_of_wait() {
    let now = samples::NOON + 60_000;
    for (fake, line, exit, said) in [
        (gate_with(DrainState::Drained, WorkerState::Drained), "wait d", 0, ""),
        (gate_with(DrainState::Sealed, WorkerState::Sealed), "wait d --for sealed", 0, ""),
        (Fake::new(), "wait d", 3, "no drain named d"),
        (gate_with(DrainState::Sealed, WorkerState::Sealed), "wait d --timeout 0s", 4, "1 job still in flight"),
        (gate_with(DrainState::Draining, WorkerState::Draining), "wait d --timeout 0s", 4, "1 worker not sealed yet"),
        (gate_with(DrainState::Sealed, WorkerState::Sealed), "wait d --timeout 0s", 4, "stays in force"),
        (gate_with(DrainState::Lost, WorkerState::Lost), "wait d", 5, "lost with jobs in flight: celery@web-1"),
        (
            Fake::with(
                "d",
                DrainState::Lost,
                vec![DrainWorker { state: WorkerState::Lost, ..samples::unknown_worker(now) }],
            ),
            "wait d",
            5,
            "lost without proof that nothing was in flight: celery@web-1",
        ),
        (
            Fake::with("d", DrainState::Sealed, vec![samples::unknown_worker(now - 30_000)]),
            "wait d",
            6,
            "start it with -E so that it reports",
        ),
        (
            Fake::with("d", DrainState::Sealed, vec![samples::unknown_worker(now - 29_000)]),
            "wait d --timeout 0s",
            4,
            "no proof yet that celery@web-1 is idle",
        ),
        (gate_with(DrainState::Lifted, WorkerState::Active), "wait d", 9, "was lifted"),
        (gate_with(DrainState::Expired, WorkerState::Active), "wait d", 9, "expired"),
        (Fake::new(), "wait d --for gone", 2, "sealed"),
        (Fake::new(), "wait d --timeout 5", 2, "90s"),
    ] {
        let gate = fake.serve().await;
        let ran = run(&gate, line).await;
        assert_eq!(ran.exit, exit, "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{line}: {}", ran.stderr);
    }
}

#[tokio::test]
async fn jobs_are_listed_with_4_and_5() {
    for (fake, heading) in [
        (gate_with(DrainState::Sealed, WorkerState::Sealed), "still in flight:"),
        (gate_with(DrainState::Lost, WorkerState::Lost), "lost:"),
    ] {
        let gate = fake.serve().await;
        let job = "  celery@web-1: mail.send[6f0c] running from mail";
        let table = run(&gate, "wait d --timeout 0s").await;
        assert!(table.stdout.contains(heading) && table.stdout.contains(job), "{}", table.stdout);
        let json = run(&gate, "wait d --timeout 0s -o json").await;
        assert!(json.stderr.contains(heading) && json.stderr.contains(job), "{}", json.stderr);
        let drain: serde_json::Value = serde_json::from_str(&json.stdout).expect("one JSON text");
        assert_eq!(drain["workers"][0]["jobs"][0]["id"], "6f0c");
    }
}

#[tokio::test]
async fn drain_without_waiting() {
    let fake = Fake::new();
    fake.state().to_drain = (DrainState::Draining, vec![samples::drain_worker(WorkerState::Draining)]);
    let gate = fake.serve().await;
    let made =
        run(&gate, "drain celery@web-1 other --name d --ttl none --reason deploy --delayed wait --standing").await;
    assert_eq!((made.exit, made.stderr.as_str()), (0, ""));
    assert!(made.stdout.contains("drain d: draining"), "{}", made.stdout);
    let request = fake.state().requests[0].clone();
    assert_eq!((request.selector.len(), request.ttl), (2, Ttl::Endless));
    assert!(request.delayed_wait && request.standing);
    let typo = run(&gate, "drain celery@web-1 none").await;
    let said = "draingate: no worker matches none; the drain is of the others\n";
    assert_eq!((typo.exit, typo.stderr.as_str()), (0, said));

    assert_eq!(run(&gate, "drain all -o name").await.stdout, "made-up\n");
    let dry = run(&gate, "drain all --dry-run").await;
    assert!(dry.stdout.contains("would drain 1 worker") && dry.stdout.contains("celery@web-1"), "{}", dry.stdout);
    assert_eq!(run(&gate, "drain all --dry-run -o name").await.stdout, "celery@web-1\n");
    let unreasoned = run(&gate, "drain all --ttl none").await;
    assert_eq!((unreasoned.exit, unreasoned.stderr.as_str()), (2, "draingate: --ttl none needs a --reason\n"));
}

#[tokio::test]
async fn refused_drains() {
    let fake = Fake::new();
    let gate = fake.serve().await;
    fake.state().refusal = Some(|| DrainError::NothingMatched("nobody".to_owned()).into());
    let nothing = run(&gate, "drain nobody --wait").await;
    assert_eq!(nothing.exit, 3);
    assert!(nothing.stderr.starts_with("draingate: no worker matches nobody; GET /v1/workers"), "{}", nothing.stderr);
    fake.state().refusal = Some(|| DrainError::WouldStarve(vec!["mail".to_owned()]).into());
    assert_eq!(run(&gate, "drain all --no-starve").await.exit, 3);
    fake.state().refusal = Some(|| DrainError::BadSelector("what".to_owned()).into());
    assert_eq!(run(&gate, "drain all").await.exit, 2);
}

#[tokio::test]
async fn drain_and_wait() {
    let fake = Fake::new();
    fake.state().to_drain = (DrainState::Drained, vec![samples::drain_worker(WorkerState::Drained)]);
    let gate = fake.serve().await;
    let ran = run(&gate, "drain all --name d --wait -o json").await;
    assert_eq!(ran.exit, 0, "{}", ran.stderr);
    let http = reqwest::get(gate.url("/v1/drains/d")).await.expect("an answer").text().await.expect("a body");
    assert_eq!(ran.stdout.trim_end(), http, "-o json is what HTTP answers");
}

#[tokio::test]
async fn a_remark_about_delayed_jobs_that_are_ignored() {
    let mut drain = samples::drain("d", DrainState::Drained, vec![samples::drain_worker(WorkerState::Drained)]);
    drain.safe_until = Some(samples::NOON + 3_600_000);
    let fake = Fake::new();
    fake.put(drain);
    let gate = fake.serve().await;
    let table = run(&gate, "wait d").await;
    let json = run(&gate, "wait d -o json").await;
    for (said, all) in [(table.stdout, "table"), (json.stderr, "json")] {
        assert!(said.contains("until 2026-03-01T13:00:00Z") && said.contains("visibility time-out"), "{all}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_rides_over_a_restart_of_the_gate() {
    let fake = gate_with(DrainState::Sealed, WorkerState::Sealed);
    let gate = fake.serve().await;
    let mut child = command(&gate.url(""), "wait d --timeout 2m").spawn().expect("the command starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    stderr.read_line(&mut line).expect("UTF-8");
    assert_eq!(
        line,
        "d: celery@web-1 sealed, in flight 1 running, evidence reported, oldest job 12s, about 4m (p95 9m)\n"
    );
    let address = gate.stop().await;
    line.clear();
    stderr.read_line(&mut line).expect("UTF-8");
    assert!(line.contains("cannot be reached") && line.contains("asking again"), "{line}");
    fake.set("d", DrainState::Drained, vec![samples::drain_worker(WorkerState::Drained)]);
    let _gate = fake.serve_at(&address.to_string(), ApiSettings::default()).await;
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).expect("UTF-8");
    assert!(rest.contains("the gate is back"), "{rest}");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_does_not_come_back() {
    let gate = gate_with(DrainState::Sealed, WorkerState::Sealed).serve().await;
    let mut child = command(&gate.url(""), "wait d --timeout 2s").spawn().expect("the command starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
    let mut said = String::new();
    stderr.read_line(&mut said).expect("UTF-8");
    gate.stop().await;
    stderr.read_to_string(&mut said).expect("UTF-8");
    assert!(said.contains("when last seen the drain d was sealed"), "{said}");
    assert_eq!(child.wait().expect("it ends").code(), Some(7));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_lifted_or_replaced_while_waiting() {
    for replaced in [false, true] {
        let fake = gate_with(DrainState::Sealed, WorkerState::Sealed);
        let gate = fake.serve().await;
        let mut child = command(&gate.url(""), "wait d --timeout 2m").spawn().expect("the command starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        stderr.read_line(&mut line).expect("UTF-8");
        let mut next = samples::drain("d", DrainState::Lifted, vec![]);
        if replaced {
            (next.created_at, next.state) = (next.created_at + 1, DrainState::Drained);
        }
        fake.put(next);
        assert_eq!(child.wait().expect("it ends").code(), Some(9), "replaced: {replaced}");
    }
}

#[tokio::test]
async fn no_gate() {
    let gate = Fake::new().serve().await;
    let url = format!("http://{}", gate.stop().await);
    for line in ["wait d", "drain all --wait", "workers", "drains", "status d", "undrain d"] {
        let ran = run_at(url.clone(), line).await;
        assert_eq!(ran.exit, 7, "{line}: {}", ran.stderr);
        assert!(ran.stderr.starts_with("draingate: the gate at http://127.0.0.1:"), "{line}: {}", ran.stderr);
    }
    assert_eq!(run_at(url.clone(), "healthcheck").await.exit, 1);
    let version = run_at(url, "version -o json").await;
    let json: serde_json::Value = serde_json::from_str(&version.stdout).expect("JSON");
    assert_eq!((version.exit, &json["client"]), (0, &env!("CARGO_PKG_VERSION").into()));
    for (admin, said) in [("unix:", "unix:/run"), ("ftp://x", "expected a URL")] {
        let ran = run_at(admin.to_owned(), "workers").await;
        assert_eq!(ran.exit, 2);
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
}

#[tokio::test]
async fn tokens() {
    let rules = Rules { tokens: vec![token("ci", "sesame", Scope::Read)] };
    let gate = Fake::new().serve_at("127.0.0.1:0", ApiSettings { rules, ..ApiSettings::default() }).await;
    assert_eq!(run(&gate, "workers").await.exit, 8);
    assert_eq!(run(&gate, "workers --token sesame").await.exit, 0);
    // there is one, though it does not say more
    let version = run(&gate, "version").await.stdout;
    assert!(version.contains("gate unknown: this gate wants a token"), "{version}");
    let drain = run(&gate, "drain all --wait --token sesame").await;
    assert_eq!(drain.exit, 8);
    assert!(drain.stderr.contains("scope read"), "{}", drain.stderr);
    // a file that it was read from ends its line
    for (token, exit) in
        [("sesame\n", 0), (" sesame\r\n", 0), ("\n", 8), ("ses\name", 2), ("s\u{e9}same", 2), ("\u{7f}", 2)]
    {
        for arguments in [&["workers", "--token", token][..], &["workers"]] {
            let mut command = command(&gate.url(""), "");
            command.args(arguments).env("DRAINGATE_TOKEN", token);
            let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
            let ran = ran(output.expect("the command starts"));
            assert_eq!(ran.exit, exit, "{token:?}: {}", ran.stderr);
            let is_one_line = ran.stderr.lines().count() == 1 && ran.stderr.contains("--token or DRAINGATE_TOKEN");
            assert!(exit != 2 || is_one_line, "{}", ran.stderr);
        }
    }
}

#[tokio::test]
async fn looking() {
    let fake = gate_with(DrainState::Sealed, WorkerState::Sealed);
    let gate = fake.serve().await;
    let workers = run(&gate, "workers").await.stdout;
    let lines: Vec<&str> = workers.lines().collect();
    assert_eq!(lines.len(), 3, "{workers}");
    assert!(lines[0].starts_with("NAME") && lines[1].starts_with("celery@web-1  celery  sealed"), "{workers}");
    assert!(lines[2].contains("mail.send[6f0b] finished after 3s"), "{workers}");
    assert!(!workers.contains('\x1b'), "no colours off a terminal");
    assert!(run(&gate, "workers -o wide").await.stdout.contains("celery-web-1"));
    assert_eq!(run(&gate, "workers -o name").await.stdout, "celery@web-1\n");
    assert_eq!(run(&gate, "workers none").await.stdout, "no workers\n");
    assert_eq!(run(&gate, "workers none -o json").await.stdout, "{\"workers\":[]}\n");
    assert_eq!(run(&gate, "drains -o name").await.stdout, "d\n");
    assert!(run(&gate, "drains").await.stdout.contains("worker=celery@web-*"));
    assert!(run(&gate, "status d").await.stdout.contains("mail.send[6f0c]"));
    assert_eq!(run(&gate, "status e").await.exit, 3);
    let unknown = Fake::with("d", DrainState::Sealed, vec![samples::unknown_worker(samples::NOON)]);
    let status = run(&unknown.serve().await, "status d").await.stdout;
    assert!(status.contains("celery@web-1: what helps: start it with -E"), "{status}");
    let report = run(&gate, "report --since 90m").await.stdout;
    assert!(report.starts_with("in the last 1h 30m: 1 worker lost") && report.contains("mail.send[6f0c]"), "{report}");
    assert!(run(&gate, "report -o json").await.stdout.contains("\"lost\":[{"));
    assert_eq!(run(&gate, "healthcheck").await.exit, 0);
    assert!(run(&gate, "version").await.stdout.contains("redis 127.0.0.1:6380 -> redis://127.0.0.1:6379"));
    assert!(run(&gate, "completions bash").await.stdout.contains("draingate"));
}

#[tokio::test]
async fn undrain() {
    let fake = gate_with(DrainState::Sealed, WorkerState::Sealed);
    fake.set("e", DrainState::Sealed, vec![]);
    let gate = fake.serve().await;
    assert_eq!(run(&gate, "undrain d").await.stdout, "d lifted\n");
    let again = run(&gate, "undrain d").await;
    assert_eq!((again.exit, &*again.stdout, &*again.stderr), (0, "", "no drain named d is in force\n"));
    assert_eq!(run(&gate, "undrain --all").await.stdout, "e lifted\n");
    assert_eq!(run(&gate, "undrain --all").await.stdout, "no drains in force\n");
    assert_eq!(run(&gate, "undrain").await.exit, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn events() {
    let fake = Fake::new();
    let lost = Notice::WorkerLost {
        worker: WorkerId("w".into()),
        name: "celery@web-2".into(),
        system: System::Celery,
        jobs: vec!["mail.send[6f0c]".into()],
    };
    fake.events.push(samples::NOON + 1, &lost);
    let gate = fake.serve().await;
    let said = "2026-03-01T12:00:00.001Z worker celery@web-2 lost with mail.send[6f0c]\n";
    assert_eq!(run(&gate, "events").await.stdout, said);
    assert!(run(&gate, "events -o json").await.stdout.contains(r#""event":"worker_lost""#));

    let mut child = command(&gate.url(""), "events --follow").spawn().expect("the command starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("UTF-8");
    assert_eq!(line, said);
    // over a restart of the gate
    let address = gate.stop().await;
    let _gate = fake.serve_at(&address.to_string(), ApiSettings::default()).await;
    fake.events.push(samples::NOON + 2, &Notice::DrainEnded { drain: "d".into(), how: Ending::Lifted });
    line.clear();
    stdout.read_line(&mut line).expect("UTF-8");
    assert_eq!(line, "2026-03-01T12:00:00.002Z drain d lifted\n");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}
