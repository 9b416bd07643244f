//! Drains in Redis, at the start: what stops it, what overrides that, and how Redis is reached.

use crate::broker::{Broker, Client};
use crate::certificates::Certificates;
use crate::gate::{Gate, command, refusal};
use crate::keeper::{Dirs, Keeper, assert_held, drain, free_port, kept, worker};

#[test]
fn what_cannot_be_reached_stops_the_start_unless_it_is_to_be_ignored() {
    let (dirs, broker, mut keeper) = (Dirs::new(), Broker::start(), Keeper::start(&[]));
    keeper.call(&["HSET", "blue", "drains", "of earlier"]);
    let text = kept(&broker, &keeper.url());
    keeper.down();
    let said = refusal(command(&dirs.of("one"), &text, &[]));
    let reason = "cannot be read: drains: Connection refused (os error 111) (--ignore-state starts without it";
    assert!(said.contains(&format!("{}/1?key=blue {reason}", keeper.address)), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");

    let mut gate = Gate::start_with(&dirs.of("one"), &text, &["--ignore-state"]);
    gate.logs("the saved drains are ignored, and none can be made until Redis can be used");
    let mut worker = worker(&mut gate);
    Client::connect(broker.address).call(&["LPUSH", "jobs", "zero"]);
    assert_eq!(worker.job(), "zero");
    worker.send(&["BRPOP", "jobs", "0"]);
    assert_eq!(drain(&gate).0, 503);
    keeper.up();
    keeper.call(&["HSET", "blue", "drains", "of earlier"]);
    gate.eventually("they can be kept", |gate| (drain(gate).0 == 201).then_some(()));
    gate.get("/v1/drains/d?wait=sealed&timeout=10s");
    assert_held(&broker, &gate, &mut worker);
    assert_eq!(set_aside(&keeper), "of earlier");
}

/// What the key has become that was set aside.
fn set_aside(keeper: &Keeper) -> String {
    let script = "return redis.call('HGET', redis.call('KEYS', '{blue}:ignored-*')[1], 'drains')";
    let mut client = Client::connect(keeper.address);
    client.call(&["SELECT", "1"]);
    client.call(&["EVAL", script, "0"]);
    client.line().expect("the drains")
}

#[test]
fn what_makes_no_sense_stops_the_start_unless_it_is_to_be_ignored() {
    let (dirs, broker, keeper) = (Dirs::new(), Broker::start(), Keeper::start(&[]));
    let text = kept(&broker, &keeper.url());
    keeper.call(&["SET", "blue", "somebody else's"]);
    let said = refusal(command(&dirs.of("one"), &text, &[]));
    assert!(said.contains("drains: WRONGTYPE") && said.contains("--ignore-state"), "{said}");
    assert_eq!(keeper.call(&["GET", "blue"]), "$15", "it is not touched");
    keeper.call(&["DEL", "blue"]);
    keeper.call(&["HSET", "blue", "drains", "nonsense"]);
    let said = refusal(command(&dirs.of("one"), &text, &[]));
    assert!(said.contains("drains: drains line 1: expected") && said.contains("--ignore-state"), "{said}");
    // who was refused keeps nobody waiting
    let gate = Gate::start_with(&dirs.of("two"), &text, &["--ignore-state"]);
    assert!(!gate.log().contains("waiting"), "{}", gate.log());
    assert_eq!(set_aside(&keeper), "nonsense");
}

#[test]
fn a_wrong_password_is_said_and_not_shown() {
    let (dirs, broker, keeper) = (Dirs::new(), Broker::start(), Keeper::start(&[]));
    // as docs/operations.md has it
    let may = "+select +eval +get +set +pttl +exists +rename +hmget +hget +hset +time +del";
    let mut user = vec!["ACL", "SETUSER", "gate", "on", ">right", "~blue", "~{blue}:*"];
    user.extend(may.split(' '));
    assert_eq!(keeper.call(&user), "+OK");
    assert_eq!(keeper.call(&["CONFIG", "SET", "requirepass", "other"]), "+OK");
    let with = |user: &str| kept(&broker, &keeper.url().replace("redis://", &format!("redis://{user}@")));
    let said = refusal(command(&dirs.of("one"), &with(":s3cret"), &[]));
    assert!(said.contains("drains: WRONGPASS") && !said.contains("s3cret"), "{said}");
    let said = refusal(command(&dirs.of("one"), &kept(&broker, &keeper.url()), &[]));
    assert!(said.contains("drains: NOAUTH"), "{said}");
    let mut serve = command(&dirs.of("one"), &kept(&broker, "env:STATE_URL"), &[]);
    serve.env("STATE_URL", keeper.url().replace("redis://", "redis://gate:right@"));
    let mut gate = Gate::spawn(&dirs.of("one"), serve);
    gate.logs("draingate is ready");
    let log = gate.log();
    assert!(log.contains(&format!("drains_in=\"redis://{}/1?key=blue\"", keeper.address)) && !log.contains("right"));
    gate.signal("-TERM");
    gate.exit();
    let mut serve = command(&dirs.of("two"), &kept(&broker, "env:STATE_URL"), &["--ignore-state"]);
    serve.env("STATE_URL", keeper.url().replace("redis://", "redis://gate:right@"));
    let mut gate = Gate::spawn(&dirs.of("two"), serve);
    gate.logs("draingate is ready");
    assert!(!gate.log().contains("ERROR") && !gate.log().contains("waiting"), "{}", gate.log());
}

#[test]
fn it_is_reached_by_tls() {
    let (dirs, broker, port) = (Dirs::new(), Broker::start(), free_port().to_string());
    let files = Certificates::make(&dirs.of("files"));
    let [ca, cert, key] = ["ca.crt", "client.crt", "client.key"].map(|file| files.path(file));
    let shown = [files.path("server.crt"), files.path("server.key")];
    let mut options = vec!["--tls-port", &port, "--tls-cert-file", &shown[0], "--tls-key-file", &shown[1]];
    options.extend(["--tls-ca-cert-file", &ca, "--tls-auth-clients", "yes"]);
    let _keeper = Keeper::start(&options);
    let url = format!("rediss://127.0.0.1:{port}");
    let with = |tls: &str| kept(&broker, &url) + &format!("tls = {{ {tls} }}\n");
    let said = refusal(command(&dirs.of("one"), &with(&format!("cert = {cert:?}, key = {key:?}")), &[]));
    assert!(said.contains("invalid peer certificate"), "{said}");
    let all = format!("ca = {ca:?}, cert = {cert:?}, key = {key:?}");
    let said = refusal(command(&dirs.of("one"), &with(&format!("{all}, server_name = \"elsewhere\"")), &[]));
    assert!(said.contains("not valid for name \"elsewhere\""), "{said}");
    let mut gate = Gate::start(&dirs.of("one"), &with(&all));
    let _worker = worker(&mut gate);
    assert_eq!(drain(&gate).0, 201);
}

#[test]
fn drains_of_the_directory_move_in() {
    let (dirs, broker, keeper) = (Dirs::new(), Broker::start(), Keeper::start(&[]));
    let (dir, text) = (dirs.of("one"), kept(&broker, &keeper.url()));
    let mut gate = Gate::start(&dir, text.split("[state]").next().expect("the rest"));
    let _worker = worker(&mut gate);
    assert_eq!(drain(&gate).0, 201);
    std::fs::write(dir.join("draingate.toml"), &text).expect("written");
    gate.signal("-HUP");
    gate.logs("needs_restart=\"state.url\"");
    drop(gate);
    let mut gate = Gate::start(&dir, &text);
    gate.logs("the drains of the state directory are kept there from now on");
    let mut worker = Client::connect(gate.listener);
    worker.send(&["BRPOP", "jobs", "0"]);
    assert_held(&broker, &gate, &mut worker);
    assert!(!dir.join("state/drains").exists());
    assert_eq!(keeper.call(&["HEXISTS", "blue", "drains"]), ":1");
}
