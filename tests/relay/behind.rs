//! What is told before its bytes go out, and what behind them.

use crate::gate::{TestGate, pass};
use crate::support::{SURELY, pair, pump_on};
use draingate::gate::{Action, Side};
use draingate::job::{Job, JobEvent, JobKey, Place};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::channel;

/// The client asks, and the broker hands out.
fn telling() -> TestGate {
    let mut gate = pass();
    gate.input = Box::new(|_, side, bytes, out| {
        out.push(Action::Event(match side {
            Side::Client => JobEvent::FetchAsked { place: Place::Broker, queues: [].into(), blocking: true },
            Side::Broker => JobEvent::Delivered(Job {
                key: JobKey::Text("k".into()),
                id: String::new(),
                name: String::new(),
                queue: "q".into(),
                eta: None,
            }),
        }));
        out.push(Action::Forward(0..bytes.len()));
        bytes.len()
    });
    gate
}

/// The test's own end, which waits for what comes.
fn waiting(socket: tokio::net::TcpStream) -> TcpStream {
    let socket = socket.into_std().expect("a socket");
    socket.set_nonblocking(false).expect("set");
    socket.set_read_timeout(Some(SURELY)).expect("set");
    socket
}

/// A job stands in the ledger before it can be lost; a fetch need not wait for the fleet.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_told_before_it_goes_out_and_a_fetch_behind_it() {
    let ((client, inner_client), (broker, inner_broker)) = (pair().await, pair().await);
    let [mut client, mut broker] = [client, broker].map(waiting);
    let [seen_by_client, seen_by_broker] = [&client, &broker].map(|socket| socket.try_clone().expect("cloned"));
    let (story, hear) = channel();
    let facts = move |event| {
        let line = match event {
            JobEvent::FetchAsked { .. } => match seen_by_broker.peek(&mut [0]) {
                Ok(1) => "asked behind the bytes",
                _ => "asked, and nothing was out",
            },
            JobEvent::Delivered(_) => {
                seen_by_client.set_nonblocking(true).expect("set");
                let seen = seen_by_client.peek(&mut [0]).map_err(|error| error.kind());
                seen_by_client.set_nonblocking(false).expect("set");
                if seen == Err(ErrorKind::WouldBlock) { "delivered before the bytes" } else { "delivered too late" }
            }
            _ => "something else",
        };
        story.send(line).expect("heard");
    };
    let _pump = pump_on(inner_client, inner_broker, telling(), Box::new(facts));
    client.write_all(b"f").expect("written");
    assert_eq!(hear.recv_timeout(SURELY).expect("told"), "asked behind the bytes");
    broker.read_exact(&mut [0]).expect("it comes");
    broker.write_all(b"j").expect("written");
    assert_eq!(hear.recv_timeout(SURELY).expect("told"), "delivered before the bytes");
    client.read_exact(&mut [0]).expect("it comes");
}
