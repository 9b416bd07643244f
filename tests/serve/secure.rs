//! TLS and the PROXY protocol, on both sides: a gate in front of another gate. What is said between the two is what is
//! tested, so clients and the broker need to know nothing of it.

use crate::broker::{Broker, Client};
use crate::certificates::Certificates;
use crate::gate::{Gate, SURELY, config};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Directories for two gates and for certificates.
struct Place {
    dir: TempDir,
    files: Certificates,
}

impl Place {
    fn new() -> Place {
        let dir = tempfile::tempdir().expect("a directory");
        let files = Certificates::make(dir.path());
        Place { dir, files }
    }

    fn of(&self, name: &str) -> PathBuf {
        let dir = self.dir.path().join(name);
        std::fs::create_dir_all(&dir).expect("made");
        dir
    }

    /// The gate that is spoken to by TLS, in front of the broker.
    fn inner(&self, more: &str) -> Gate {
        let [cert, key] = ["server.crt", "server.key"].map(|file| self.files.path(file));
        let with = format!("tls = {{ cert = {cert:?}, key = {key:?}{more} }}");
        Gate::start(&self.of("inner"), &listener(Broker::start().address, &with))
    }

    /// The gate that speaks TLS, in front of the other.
    fn outer(&self, inner: SocketAddr, more: &str) -> Gate {
        let with = format!("upstream_tls = {{ ca = {:?}{more} }}", self.files.path("ca.crt"));
        Gate::start(&self.of("outer"), &listener(inner, &with))
    }
}

/// [`config`] with more in its listener.
fn listener(broker: SocketAddr, with: &str) -> String {
    config(broker, "").replacen("[admin]", &format!("{with}\n[admin]"), 1)
}

fn workers(gate: &Gate) -> Vec<Value> {
    let found: Value = serde_json::from_str(&gate.get("/v1/workers")).expect("JSON");
    found["workers"].as_array().expect("a list").clone()
}

#[test]
fn jobs_come_through_tls_and_stop_at_a_drain() {
    let place = Place::new();
    let inner = place.inner("");
    let outer = place.outer(inner.listener, "");
    let (mut worker, mut producer) = (Client::connect(outer.listener), Client::connect(outer.listener));
    worker.send(&["BRPOP", "jobs", "0"]);
    let long = "x".repeat(300_000);
    producer.call(&["LPUSH", "jobs", &long]);
    assert_eq!(worker.job(), long);
    // the gate that hears TLS drains what is behind it as any other does
    let (status, body) = inner.http("POST", "/v1/drains", &json!({"selector": "all", "name": "d"}).to_string());
    assert_eq!(status, 201, "{body}");
    worker.send(&["BRPOP", "jobs", "0"]);
    producer.call(&["LPUSH", "jobs", "late"]);
    assert!(worker.is_silent(Duration::from_millis(1500)), "no job while drained");
    assert_eq!(inner.http("DELETE", "/v1/drains/d", "").0, 204);
    assert_eq!(worker.job(), "late");
    let version: Value = serde_json::from_str(&outer.get("/v1/version")).expect("JSON");
    assert_eq!(version["listeners"][0]["upstream"], format!("rediss://{}", inner.listener));
}

#[test]
fn a_broker_whose_certificate_is_not_trusted_is_not_spoken_to() {
    let (place, other) = (Place::new(), Place::new());
    let mut inner = place.inner("");
    let mut outer = other.outer(inner.listener, "");
    let mut client = Client::connect(outer.listener);
    assert_eq!(client.line(), None, "closed");
    outer.logs("the broker cannot be reached; the client is closed");
    outer.logs("TLS: invalid peer certificate");
    inner.logs("the handshake with a client failed; it is closed");
    // nor is one with another name
    let mut outer = place.outer(inner.listener, ", server_name = \"elsewhere\"");
    assert_eq!(Client::connect(outer.listener).line(), None, "closed");
    outer.logs("TLS: invalid peer certificate: certificate not valid for name \"elsewhere\"");
}

#[test]
fn clients_show_their_certificates_where_they_have_to() {
    let place = Place::new();
    let inner = place.inner(&format!(", client_ca = {:?}", place.files.path("ca.crt")));
    let without = place.outer(inner.listener, "");
    assert_eq!(Client::connect(without.listener).line(), None, "closed");
    drop(without);
    let [cert, key] = ["client.crt", "client.key"].map(|file| place.files.path(file));
    let with = place.outer(inner.listener, &format!(", cert = {cert:?}, key = {key:?}"));
    assert_eq!(Client::connect(with.listener).call(&["PING"]), "+PONG");
}

#[test]
fn who_speaks_no_tls_is_closed() {
    let place = Place::new();
    let mut inner = place.inner("");
    let mut client = TcpStream::connect(inner.listener).expect("connected");
    client.set_read_timeout(Some(SURELY)).expect("set");
    client.write_all(b"*1\r\n$4\r\nPING\r\n").expect("written");
    assert!(!ends_with_words(&mut client), "nothing that Redis would say");
    inner.logs("the handshake with a client failed; it is closed");
    // nor does anybody hold a place by silence
    let mut silent = TcpStream::connect(inner.listener).expect("connected");
    silent.set_read_timeout(Some(SURELY)).expect("set");
    assert!(!ends_with_words(&mut silent));
    let count = "draingate_connections_total{listener=\"redis\",result=\"client_error\"} 2";
    inner.eventually("both are counted", |gate| gate.get("/metrics").contains(count).then_some(()));
    assert!(workers(&inner).is_empty());
}

/// Waits for the end; whether something that begins like a reply came before it.
fn ends_with_words(client: &mut TcpStream) -> bool {
    let mut all = Vec::new();
    // a reset is an end as well
    let _ = client.read_to_end(&mut all).map_err(|error| assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock));
    all.first().is_some_and(|byte| b"+-:$*".contains(byte))
}

#[test]
fn certificates_are_renewed_by_a_reload() {
    let place = Place::new();
    let mut inner = place.inner("");
    let mut outer = place.outer(inner.listener, "");
    let mut before = Client::connect(outer.listener);
    assert_eq!(before.call(&["PING"]), "+PONG");
    place.files.renew();
    inner.signal("-HUP");
    inner.logs("changed=\"certificates\"");
    assert_eq!(Client::connect(outer.listener).line(), None, "the other still trusts the old ones");
    outer.signal("-HUP");
    outer.logs("changed=\"certificates\"");
    assert_eq!(Client::connect(outer.listener).call(&["PING"]), "+PONG");
    assert_eq!(before.call(&["PING"]), "+PONG", "who is there is not disturbed");
    // what cannot be used changes nothing
    std::fs::write(place.files.path("server.crt"), "").expect("written");
    inner.signal("-HUP");
    inner.logs("there is no certificate in it");
    assert_eq!(Client::connect(outer.listener).call(&["PING"]), "+PONG");
}

/// A gate that wants headers and sends them on, in front of one that wants them.
fn proxied(dir: &Path) -> (Gate, Gate) {
    let [inner, outer] = ["inner", "outer"].map(|name| dir.join(name));
    for dir in [&inner, &outer] {
        std::fs::create_dir_all(dir).expect("made");
    }
    let inner = Gate::start(&inner, &listener(Broker::start().address, "proxy_protocol = true"));
    let outer = Gate::start(&outer, &listener(inner.listener, "proxy_protocol = true\nsend_proxy_protocol = true"));
    (inner, outer)
}

#[test]
fn a_worker_behind_proxies_is_at_its_own_address() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut inner, mut outer) = proxied(dir.path());
    let mut worker = Client::connect_saying(outer.listener, "PROXY TCP4 10.1.2.3 10.9.9.9 5555 6379\r\n");
    let mut other = Client::connect_saying(outer.listener, "PROXY TCP6 2001:db8::7 ::1 5555 6379\r\n");
    for worker in [&mut worker, &mut other] {
        worker.send(&["BRPOP", "jobs", "0"]);
    }
    for gate in [&mut outer, &mut inner] {
        let both = |gate: &Gate| {
            let mut found: Vec<String> = workers(gate).iter().map(|worker| worker["address"].to_string()).collect();
            found.sort();
            (found == ["\"10.1.2.3\"", "\"2001:db8::7\""]).then_some(())
        };
        gate.eventually("both workers are listed", both);
    }
    let body = json!({"selector": "ip=10.1.2.0/24", "name": "d"}).to_string();
    assert_eq!(inner.http("POST", "/v1/drains", &body).0, 201);
    let sealed = inner.get("/v1/drains/d?wait=sealed&timeout=10s");
    assert!(sealed.contains("\"sealed\""), "{sealed}");
    Client::connect_saying(outer.listener, "PROXY UNKNOWN\r\n").call(&["LPUSH", "jobs", "one"]);
    assert_eq!(other.job(), "one", "the one that is not drained");
}

#[test]
fn who_sends_no_header_is_closed() {
    let dir = tempfile::tempdir().expect("a directory");
    let (_inner, mut outer) = proxied(dir.path());
    let mut client = Client::connect(outer.listener);
    client.send(&["PING"]);
    assert_eq!(client.line(), None, "closed");
    outer.logs("no header of the PROXY protocol: there is none");
}
