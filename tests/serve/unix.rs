//! The admin API's Unix socket: who may open it, what becomes of its file, and who calls over it.

use crate::broker::{Broker, Client};
use crate::certificates::Certificates;
use crate::gate::{Gate, SURELY, answer, command, config, refusal};
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Output;

/// A configuration with a socket in `dir`, and where it is.
fn with_socket(dir: &Path, broker: &Broker) -> (String, PathBuf) {
    let path = dir.join("admin.sock");
    let admin = format!("[admin]\nunix_socket = {:?}\n", path);
    (config(broker.address, "").replace("[admin]\n", &admin), path)
}

/// Status and body.
fn call(path: &Path, call: &str) -> (u16, String) {
    let mut socket = UnixStream::connect(path).expect("connected");
    socket.set_read_timeout(Some(SURELY)).expect("set");
    write!(socket, "{call} HTTP/1.0\r\nHost: gate\r\n\r\n").expect("written");
    answer(socket)
}

#[test]
fn it_is_there_from_start_to_stop() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = Broker::start();
    let (config, path) = with_socket(dir.path(), &broker);
    let mut gate = Gate::start(dir.path(), &config);
    let file = std::fs::metadata(&path).expect("there");
    assert!(file.file_type().is_socket());
    assert_eq!(file.permissions().mode() & 0o777, 0o660);
    assert_eq!(call(&path, "GET /readyz").0, 200);
    let version: serde_json::Value = serde_json::from_str(&call(&path, "GET /v1/version").1).expect("JSON");
    assert_eq!(version["unix_socket"], path.to_str().expect("text"));
    assert_eq!(version["admin"], gate.admin.to_string());
    let file = std::fs::read_to_string(dir.path().join("state/admin.json")).expect("there");
    let file: serde_json::Value = serde_json::from_str(&file).expect("JSON");
    assert_eq!((&file["unix_socket"], &file["admin"]), (&version["unix_socket"], &version["admin"]));
    gate.signal("-TERM");
    assert!(gate.exit().success());
    assert!(!path.exists(), "removed");
}

/// In a container `draingate healthcheck` is all that is said: not where the address is, nor whom to believe there.
#[test]
fn commands_beside_the_gates_state_find_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = Broker::start();
    let (with_both, _) = with_socket(dir.path(), &broker);
    let files = Certificates::make(dir.path());
    let tls =
        format!("[admin]\ntls = {{ cert = {:?}, key = {:?} }}\n", files.path("server.crt"), files.path("server.key"));
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_draingate"));
        command.args(arguments).env("DRAINGATE__STATE__DIR", dir.path().join("state")).env_remove("DRAINGATE_ADMIN");
        let Output { status, stdout, stderr } = command.output().expect("it runs");
        (status.code(), [stdout, stderr].map(|text| String::from_utf8(text).expect("text")).concat())
    };
    // nobody trusts this certificate: by the socket, or not at all
    for config in [config(broker.address, ""), with_both.replace("[admin]\n", &tls)] {
        let mut gate = Gate::spawn(dir.path(), command(dir.path(), &config, &[]));
        gate.eventually("it says where it is", |_| dir.path().join("state/admin.json").exists().then_some(()));
        assert_eq!(run(&["healthcheck"]), (Some(0), String::new()));
        assert_eq!(run(&["workers"]), (Some(0), "no workers\n".to_owned()));
        // who names another place asks there
        let (exit, said) = run(&["workers", "--admin", "127.0.0.1:1"]);
        assert!(exit == Some(7) && said.contains("http://127.0.0.1:1 "), "{said}");
        gate.signal("-KILL");
        gate.exit();
        // what a dead one has said is not believed: back to where a gate is by default
        let (exit, said) = run(&["workers"]);
        assert!(exit == Some(7) && said.contains("http://127.0.0.1:9480 "), "{said}");
        std::fs::remove_file(dir.path().join("state/admin.json")).expect("left behind");
    }
}

#[test]
fn a_dead_gates_is_replaced_and_a_living_ones_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = Broker::start();
    let (config, path) = with_socket(dir.path(), &broker);
    let mut gate = Gate::start(dir.path(), &config);
    gate.signal("-KILL");
    gate.exit();
    assert!(path.exists(), "left behind");
    let _gate = Gate::start(dir.path(), &config);
    assert_eq!(call(&path, "GET /readyz").0, 200);

    let elsewhere = tempfile::tempdir().expect("a directory");
    let said = refusal(command(elsewhere.path(), &config, &[]));
    assert!(
        said.contains(&format!("cannot listen on unix:{}: another process listens there", path.display())),
        "{said}"
    );
    assert_eq!(call(&path, "GET /readyz").0, 200, "it is still its own");
}

#[test]
fn a_reload_names_what_needs_a_restart_and_tells_it_the_tokens() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = Broker::start();
    let (config, path) = with_socket(dir.path(), &broker);
    let mut gate = Gate::start(dir.path(), &config);
    assert_eq!(call(&path, "GET /v1/workers").0, 200);
    let tokens = format!("[[admin.tokens]]\nname = \"ci\"\nsha256 = \"{}\"\nscope = \"read\"\n", "ab".repeat(32));
    let changed = config.replace("admin.sock", "other.sock") + &tokens;
    std::fs::write(dir.path().join("draingate.toml"), changed).expect("written");
    gate.signal("-HUP");
    gate.logs("changed=\"admin.tokens\" needs_restart=\"admin.unix_socket\"");
    gate.eventually("a token is needed now", |_| (call(&path, "GET /v1/workers").0 == 401).then_some(()));
}

/// A worker need not know its name there either: the kernel says which process has connected.
#[test]
fn a_worker_drains_itself_over_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = Broker::start();
    let (config, path) = with_socket(dir.path(), &broker);
    let mut gate = Gate::start(dir.path(), &config);
    let (status, problem) = call(&path, "POST /v1/self/drain");
    assert!(status == 404 && problem.contains(&format!("process {}", std::process::id())), "{problem}");
    // this process is the worker
    let mut worker = Client::connect(gate.listener);
    worker.send(&["BRPOP", "jobs", "0"]);
    gate.eventually("its fetch", |gate| gate.get("/v1/workers").contains("jobs").then_some(()));
    let (status, drain) = call(&path, "POST /v1/self/drain?wait=sealed");
    let drain: serde_json::Value = serde_json::from_str(&drain).expect("JSON");
    // drained as well, if this process is as young as the gate
    let state = drain["state"].as_str().expect("its state");
    assert!(status == 201 && ["sealed", "drained"].contains(&state), "{drain}");
    let name = drain["workers"][0]["name"].as_str().expect("its name");
    assert!(name.contains(&format!("[{}]", std::process::id())), "{name}");
}
