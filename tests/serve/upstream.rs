//! The way to the broker. Behind a Unix socket it is the same to clients, and one clear line when it cannot be reached; and of
//! a list no address keeps everybody waiting.

use crate::broker::{Broker, Client};
use crate::gate::{Gate, SURELY, config};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

/// A configuration with these brokers, given as TOML.
fn with(upstream: &str) -> String {
    config(([127, 0, 0, 1], 1).into(), "").replace("\"redis://127.0.0.1:1\"", upstream)
}

/// A listening socket whose queue takes so many.
fn listen(path: &Path, backlog: i32) -> UnixListener {
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&socket2::SockAddr::unix(path).expect("a path")).expect("bound");
    socket.listen(backlog).expect("listens");
    socket.into()
}

/// Answers each connection's first `PING`; what came before it on each.
fn answer(listener: UnixListener) -> Receiver<Vec<u8>> {
    let (tell, heard) = channel();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for mut socket in listener.incoming().flatten() {
            let _ = tell.send(before_ping(&mut socket));
            let _ = socket.write_all(b"+PONG\r\n");
            open.push(socket);
        }
    });
    heard
}

fn before_ping(socket: &mut UnixStream) -> Vec<u8> {
    let (mut all, mut byte) = (Vec::new(), [0]);
    while !all.ends_with(PING) && matches!(socket.read(&mut byte), Ok(1)) {
        all.extend(byte);
    }
    all.truncate(all.len().saturating_sub(PING.len()));
    all
}

#[test]
fn it_is_spoken_to_and_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("redis.sock");
    let heard = answer(listen(&path, 8));
    let url = format!("unix://{}", path.display());
    let mut gate = Gate::start(dir.path(), &with(&format!("{url:?}")));
    assert_eq!(Client::connect(gate.listener).call(&["PING"]), "+PONG");
    assert_eq!(heard.recv_timeout(SURELY).expect("heard"), b"", "nothing of the gate's own");
    let version: serde_json::Value = serde_json::from_str(&gate.get("/v1/version")).expect("JSON");
    assert_eq!(version["listeners"][0]["upstream"], url);
    gate.logs(&format!("upstream={url:?}"));

    let tcp = with("\"redis://127.0.0.1:1\"");
    std::fs::write(dir.path().join("draingate.toml"), tcp).expect("written");
    gate.signal("-HUP");
    gate.logs("needs_restart=\"listener\"");
}

#[test]
fn one_that_cannot_be_reached_is_one_clear_line_and_the_next_of_a_list_is_tried() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("redis.sock");
    let text = with(&format!("[\"redis://127.0.0.1:1\", \"unix:{}\"]", path.display()));
    let mut gate = Gate::start(dir.path(), &text);
    let line = |error: &str| {
        let (path, what) = (path.display(), "the broker cannot be reached; the client is closed");
        format!("{what} listener=\"redis\" address=unix:{path} error={error}")
    };
    assert_eq!(Client::connect(gate.listener).line(), None, "closed");
    gate.logs(&line("No such file or directory (os error 2)"));
    let metrics = gate.get("/metrics");
    assert!(metrics.contains("draingate_upstream_connect_errors_total{listener=\"redis\"} 1"), "{metrics}");

    let _heard = answer(listen(&path, 8));
    assert_eq!(Client::connect(gate.listener).call(&["PING"]), "+PONG");
    drop(gate);

    // a socket that nobody listens on any more
    let dead = dir.path().join("dead.sock");
    drop(listen(&dead, 8));
    let mut gate = Gate::start(dir.path(), &with(&format!("\"unix:{}\"", dead.display())));
    assert_eq!(Client::connect(gate.listener).line(), None, "closed");
    gate.logs("error=Connection refused (os error 111)");
}

/// The kernel refuses at once what does not fit into the queue of a Unix socket, where over TCP it would wait.
#[test]
fn a_broker_that_is_slow_to_accept_is_waited_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("redis.sock");
    let listener = listen(&path, 1);
    let mut gate = Gate::start(dir.path(), &with(&format!("\"unix:{}\"", path.display())));
    let mut clients: Vec<Client> = (0..20).map(|_| Client::connect(gate.listener)).collect();
    clients.iter_mut().for_each(|client| client.send(&["PING"]));
    let all = "draingate_connections{listener=\"redis\"} 20";
    gate.eventually("all are on their way", |gate| gate.get("/metrics").contains(all).then_some(()));
    let _heard = answer(listener);
    for client in &mut clients {
        assert_eq!(client.line().as_deref(), Some("+PONG"));
    }
}

#[test]
fn a_header_of_the_proxy_protocol_goes_over_it_too() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("redis.sock");
    let heard = answer(listen(&path, 8));
    let upstream = format!("\"unix:{}\"\nsend_proxy_protocol = true", path.display());
    let gate = Gate::start(dir.path(), &with(&upstream));
    let mut client = Client::connect(gate.listener);
    assert_eq!(client.call(&["PING"]), "+PONG");
    let header = heard.recv_timeout(SURELY).expect("heard");
    assert!(header.starts_with(b"\r\n\r\n\0\r\nQUIT\n") && header.ends_with(&gate.listener.port().to_be_bytes()));
}

/// A host that answers no attempt to connect: its queue is full.
fn dead_host() -> (socket2::Socket, SocketAddr, Vec<TcpStream>) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("bound");
    socket.listen(0).expect("listens");
    let address = socket.local_addr().expect("bound").as_socket().expect("an address");
    let fill = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
    let queue = std::iter::from_fn(fill).collect();
    (socket, address, queue)
}

#[test]
fn a_dead_host_keeps_only_the_first_waiting() {
    let dir = tempfile::tempdir().expect("a directory");
    let (_dead, address, _queue) = dead_host();
    let upstream = format!("[\"redis://{address}\", \"redis://{}\"]", Broker::start().address);
    let gate = Gate::start(dir.path(), &with(&upstream));
    assert_eq!(Client::connect(gate.listener).call(&["PING"]), "+PONG");
    let begun = Instant::now();
    assert_eq!(Client::connect(gate.listener).call(&["PING"]), "+PONG");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

/// A RabbitMQ whose process stands still: the kernel goes on accepting for it.
#[test]
fn a_node_that_does_not_greet_is_left_for_the_next() {
    const HEADER: &[u8] = b"AMQP\0\0\x09\x01";
    let dir = tempfile::tempdir().expect("a directory");
    let (stands, lives) = (TcpListener::bind("127.0.0.1:0"), TcpListener::bind("127.0.0.1:0"));
    let (stands, lives) = (stands.expect("bound"), lives.expect("bound"));
    let address = |listener: &TcpListener| listener.local_addr().expect("bound");
    let list = format!("[\"amqp://{}\", \"amqp://{}\"]\nprotocol = \"amqp\"", address(&stands), address(&lives));
    std::thread::spawn(move || {
        for mut socket in lives.incoming().flatten() {
            // another version is wanted
            let _ = socket.read_exact(&mut [0; 8]).and_then(|()| socket.write_all(HEADER));
        }
    });
    let mut gate = Gate::start(dir.path(), &with(&list));
    let is_greeted = |gate: &Gate| {
        let mut client = TcpStream::connect(gate.listener).expect("the gate accepts");
        client.set_read_timeout(Some(Duration::from_millis(1_200))).expect("set");
        client.write_all(HEADER).expect("written");
        client.read_exact(&mut [0; 8]).is_ok()
    };
    assert!(!is_greeted(&gate), "this one has to find out");
    gate.eventually("the next node is tried", |gate| is_greeted(gate).then_some(()));
}
