//! TLS on the admin address: commands that believe the certificate get in, and nobody holds a place by silence.

use crate::broker::Broker;
use crate::certificates::Certificates;
use crate::gate::{Gate, SURELY, command, config};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A gate that speaks TLS on its admin address.
struct Place {
    dir: TempDir,
    files: Certificates,
    gate: Gate,
    url: String,
}

impl Place {
    /// `more` of `admin.tls`.
    fn new(more: impl FnOnce(&Certificates) -> String) -> Place {
        let dir = tempfile::tempdir().expect("a directory");
        let files = Certificates::make(dir.path());
        let [cert, key] = ["server.crt", "server.key"].map(|file| files.path(file));
        let tls = format!("[admin]\ntls = {{ cert = {cert:?}, key = {key:?}{} }}\n", more(&files));
        let config = config(Broker::start().address, "").replace("[admin]\n", &tls);
        let mut gate = Gate::spawn(dir.path(), command(dir.path(), &config, &[]));
        let admin_file = dir.path().join("state/admin.json");
        let admin = gate.eventually("it says where its admin API is", |_| {
            serde_json::from_str::<Value>(&std::fs::read_to_string(&admin_file).ok()?).ok()
        });
        gate.admin = admin["admin"].as_str().and_then(|address| address.parse().ok()).expect("an address");
        let url = format!("https://{}", gate.admin);
        assert_eq!(admin["url"], *url);
        Place { dir, files, gate, url }
    }

    /// Runs a command that believes those whom `ca` names.
    fn run(&self, ca: Option<&str>, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_draingate"));
        command.args(arguments).env("DRAINGATE_ADMIN", &self.url);
        if let Some(ca) = ca {
            command.env("DRAINGATE_CA", ca);
        }
        let Output { status, stdout, stderr } = command.output().expect("it runs");
        (status.code(), [stdout, stderr].map(|text| String::from_utf8(text).expect("text")).concat())
    }
}

#[test]
fn commands_get_in_that_believe_the_certificate() {
    let place = Place::new(|_| String::new());
    let ca = place.files.path("ca.crt");
    assert_eq!(place.run(Some(&ca), &["healthcheck"]), (Some(0), String::new()));
    assert_eq!(place.run(None, &["healthcheck", "--ca", &ca]).0, Some(0));
    assert_eq!(place.run(Some(&ca), &["drain", "all", "--allow-empty", "--name", "d", "--wait"]).0, Some(0));
    let (exit, said) = place.run(Some(&ca), &["events"]);
    assert!(exit == Some(0) && said.contains("drain d made"), "{said}");

    // who has not signed it
    let (exit, said) = place.run(Some(&place.files.path("client.crt")), &["workers"]);
    assert!(exit == Some(7) && said.contains("invalid peer certificate"), "{said}");
    assert!(said.contains("--ca or DRAINGATE_CA"), "{said}");
    let (exit, said) = place.run(Some("/nowhere"), &["workers"]);
    assert_eq!(
        (exit, said.as_str()),
        (Some(2), "draingate: no TLS: /nowhere: No such file or directory (os error 2)\n")
    );
    let (exit, said) = place.run(Some(&ca), &["workers", "--cert", "/nowhere"]);
    assert!(exit == Some(2) && said.contains("give both, or neither"), "{said}");

    // plain HTTP is no way in
    let (exit, said) = place.run(None, &["workers", "--admin", &format!("http://{}", place.gate.admin)]);
    assert!(exit == Some(7) && said.contains("for TLS say https://"), "{said}");
    let dir = tempfile::tempdir().expect("a directory");
    let plain = Gate::start(dir.path(), &config(Broker::start().address, ""));
    let (exit, said) = place.run(Some(&ca), &["workers", "--admin", &format!("https://{}", plain.admin)]);
    assert!(exit == Some(7) && said.contains("speaks no TLS; --admin"), "{said}");
}

#[test]
fn callers_show_their_certificates_where_they_have_to() {
    let place = Place::new(|files| format!(", client_ca = {:?}", files.path("ca.crt")));
    let [ca, cert, key] = ["ca.crt", "client.crt", "client.key"].map(|file| place.files.path(file));
    let (exit, said) = place.run(Some(&ca), &["workers"]);
    assert!(exit == Some(7) && said.contains("--cert and --key"), "{said}");
    let (exit, said) = place.run(Some(&ca), &["workers", "--cert", &cert, "--key", &key]);
    assert_eq!((exit, said.as_str()), (Some(0), "no workers\n"));
}

#[test]
fn certificates_are_renewed_by_a_reload() {
    let mut place = Place::new(|_| String::new());
    let old = place.files.path("old.crt");
    std::fs::copy(place.files.path("ca.crt"), &old).expect("copied");
    place.files.renew();
    assert_eq!(place.run(Some(&old), &["healthcheck"]).0, Some(0), "not read yet");
    place.gate.signal("-HUP");
    place.gate.logs("changed=\"certificates\"");
    assert_eq!(place.run(Some(&old), &["healthcheck"]).0, Some(1));
    assert_eq!(place.run(Some(&place.files.path("ca.crt")), &["healthcheck"]).0, Some(0));
    // what is no longer wanted needs a restart
    let file = place.dir.path().join("draingate.toml");
    let text = std::fs::read_to_string(&file).expect("there");
    let plain: Vec<&str> = text.lines().filter(|line| !line.starts_with("tls = ")).collect();
    std::fs::write(&file, plain.join("\n")).expect("written");
    place.gate.signal("-HUP");
    place.gate.logs("needs_restart=\"admin.tls\"");
}

#[test]
fn who_does_not_speak_tls_is_closed() {
    let place = Place::new(|_| String::new());
    let connect = || {
        let socket = TcpStream::connect(place.gate.admin).expect("connected");
        socket.set_read_timeout(Some(SURELY)).expect("set");
        socket
    };
    let mut silent: Vec<TcpStream> = (0..20).map(|_| connect()).collect();
    let mut plain = connect();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("written");
    assert!(!ends_with(&mut plain).starts_with(b"HTTP"));
    // they keep nobody out meanwhile
    assert_eq!(place.run(Some(&place.files.path("ca.crt")), &["healthcheck"]).0, Some(0));
    for socket in &mut silent {
        assert!(ends_with(socket).is_empty());
    }
}

/// What comes until the end.
fn ends_with(socket: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    // a reset is an end as well
    let _ = socket.read_to_end(&mut all).map_err(|error| assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock));
    all
}

#[test]
fn a_certificate_that_cannot_be_used_is_one_line() {
    let dir = tempfile::tempdir().expect("a directory");
    let with = |cert: &Path| format!("[admin]\ntls = {{ cert = {cert:?}, key = \"/nowhere\" }}\n");
    let empty = dir.path().join("empty.crt");
    std::fs::write(&empty, "").expect("written");
    let said = crate::gate::refusal(command(dir.path(), &with(&empty), &[]));
    let expected = format!("draingate.toml:2: admin.tls: {}: there is no certificate in it (PEM)", empty.display());
    assert!(said.contains(&expected) && said.lines().count() == 1, "{said}");
}
