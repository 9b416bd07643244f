//! Starts, refused starts and reloads.

use crate::broker::{Broker, Client};
use crate::gate::{Gate, command, config, refusal};

#[test]
fn what_is_wrong_is_one_line_each() {
    let dir = tempfile::tempdir().expect("a directory");
    let said = refusal(command(dir.path(), "[admin]\nbnid = 1\n[drains]\nrequire = \"maybe\"\n", &[]));
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(
        said.contains("draingate.toml:2: admin.bnid") && said.contains("draingate.toml:4: drains.require"),
        "{said}"
    );
    let said = refusal(command(dir.path(), "", &["--amqp", "127.0.0.1:0=redis://127.0.0.1"]));
    assert!(said.contains("--amqp: expected a URL that begins with amqp://"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = taken.local_addr().expect("bound").to_string();
    let flags = ["--redis", &format!("{address}=h:1")];
    let said = refusal(command(dir.path(), "[admin]\nbind = \"127.0.0.1:0\"\n", &flags));
    assert!(said.contains(&format!("cannot listen on {address}")), "{said}");
}

#[test]
fn a_broker_that_is_down_does_not_stop_the_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("bound").local_addr().expect("bound");
    let mut gate = Gate::start(dir.path(), &config(nobody, ""));
    assert_eq!(Client::connect(gate.listener).line(), None);
    gate.logs("the broker cannot be reached");
    assert_eq!(gate.http("GET", "/readyz", "").0, 200);
    let metrics = gate.get("/metrics");
    assert!(metrics.contains("draingate_upstream_connect_errors_total{listener=\"redis\"} 1"), "{metrics}");
    assert!(metrics.contains("draingate_connections_total{listener=\"redis\",result=\"upstream_error\"} 1"));
}

#[test]
fn a_reload_takes_over_what_it_can_and_names_the_rest() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = Broker::start();
    let mut gate = Gate::start(dir.path(), &config(broker.address, ""));
    let mut client = Client::connect(gate.listener);
    let rewrite = |text: &str| std::fs::write(dir.path().join("draingate.toml"), text).expect("written");

    rewrite("[log]\nfilter = 7\n");
    gate.signal("-HUP");
    gate.logs("the configuration was not reloaded");
    gate.logs("draingate.toml:2: log.filter");

    let tokens = format!("[[admin.tokens]]\nname = \"ci\"\nsha256 = \"{}\"\nscope = \"read\"\n", "ab".repeat(32));
    let log = "[log]\nfilter = \"debug\"\n[drains]\nforget_after = \"5s\"\n[redis]\nslice = \"2s\"\n";
    rewrite(&config(broker.address, &format!("{log}{tokens}")));
    gate.signal("-HUP");
    gate.logs("the configuration was reloaded as far as it can be");
    assert!(
        gate.log().contains("changed=\"log.filter, admin.tokens, drains\" needs_restart=\"redis\""),
        "{}",
        gate.log()
    );
    gate.eventually("a token is needed now", |gate| (gate.http("GET", "/v1/workers", "").0 == 401).then_some(()));
    assert_eq!(client.call(&["PING"]), "+PONG");
    drop(client);
    gate.logs("connection closed");
}

#[test]
fn all_metrics_are_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = Broker::start();
    let gate = Gate::start(dir.path(), &config(broker.address, ""));
    assert_eq!(Client::connect(gate.listener).call(&["PING"]), "+PONG");
    let metrics = gate.get("/metrics");
    let expected = [
        "build_info{version=\"",
        "connections{listener=\"redis\"}",
        "connections_total{listener=\"redis\",result=\"ok\"} 1",
        "workers{system=\"celery\",state=\"drained\"}",
        "jobs_in_flight{system=\"sidekiq\",kind=\"running\"}",
        "oldest_job_seconds{state=\"active\"}",
        "jobs_delivered_total{system=\"celery\"} 0",
        "jobs_finished_total{system=\"celery\",outcome=\"finished\"} 0",
        "fetches_held_total{system=\"unknown\"} 0",
        "drains{state=\"draining\"} 0",
        "workers_lost_total 0",
        "orphan_replies_total{action=\"returned\"} 0",
        "opaque_connections 0",
        "protocol_errors_total{kind=\"client_out_of_step\"} 0",
        "upstream_connect_errors_total{listener=\"redis\"} 0",
        "bytes_total{listener=\"redis\",direction=\"from_client\"} 14",
        "bytes_total{listener=\"redis\",direction=\"from_broker\"} 7",
    ];
    for name in expected {
        assert!(metrics.contains(&format!("draingate_{name}")), "{name} is missing in\n{metrics}");
    }
}

#[test]
fn a_drain_of_an_idle_worker_is_measured() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = Broker::start();
    let mut gate = Gate::start(dir.path(), &config(broker.address, ""));
    assert!(gate.get("/metrics").contains("draingate_drain_seconds_count 0"), "there from the beginning");
    // a process that is younger than the gate: it has had no job that the gate has not seen
    let mut client = std::process::Command::new("redis-cli");
    client.args(["-p", &gate.listener.port().to_string(), "BRPOP", "jobs", "0"]).stdout(std::process::Stdio::null());
    let _client = Ends(client.spawn().expect("redis-cli"));
    gate.eventually("its fetch", |gate| gate.get("/v1/workers").contains("jobs").then_some(()));
    assert_eq!(gate.http("POST", "/v1/drains", r#"{"name":"d","selector":"all"}"#).0, 201);
    gate.eventually("drained", |gate| gate.get("/v1/drains/d").contains(r#""state":"drained""#).then_some(()));
    // counted a moment after it can be seen
    for name in ["draingate_drain_seal_seconds_count 1", "draingate_drain_seconds_count 1"] {
        gate.eventually(name, |gate| gate.get("/metrics").contains(name).then_some(()));
    }
}

/// A child that does not outlive its test.
struct Ends(std::process::Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
