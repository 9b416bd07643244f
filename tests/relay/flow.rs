//! Bytes in both directions, and sides that do not take them.

use crate::gate::pass;
use crate::support::{SURELY, fill, pattern, pump};
use draingate::gate::{Action, Side};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[tokio::test]
async fn a_hundred_megabytes_go_there_and_back_unchanged() {
    const SIZE: usize = 100 << 20;
    let ends = pump(pass()).await;
    let (mut from_client, mut to_client) = ends.client.into_split();
    let (mut from_broker, mut to_broker) = ends.broker.into_split();
    let echo = tokio::spawn(async move {
        tokio::io::copy(&mut from_broker, &mut to_broker).await.expect("echoed");
        to_broker
    });
    let writer = tokio::spawn(async move {
        let mut sent = 0;
        for step in (1..).map(|n: usize| 1 + n * 7919 % 100_000) {
            let step = step.min(SIZE - sent);
            to_client.write_all(&pattern(sent, step)).await.expect("written");
            sent += step;
            if sent == SIZE {
                return to_client;
            }
        }
        to_client
    });
    let mut read = 0;
    let mut buffer = vec![0; 1 << 16];
    while read < SIZE {
        let number = timeout(SURELY, from_client.read(&mut buffer)).await.expect("in time").expect("read");
        assert!(number > 0, "ended after {read}");
        assert!(buffer[..number] == pattern(read, number), "changed near {read}");
        read += number;
    }
    drop((writer.await.expect("sound"), from_client));
    let pump_bytes = ends.pump.meter.clone();
    let closed = ends.pump.closed().await;
    assert_eq!((closed.to_broker, closed.to_client), (SIZE as u64, SIZE as u64));
    assert_eq!(pump_bytes.bytes(), (SIZE as u64, SIZE as u64));
    drop(echo);
}

async fn expect_pattern(socket: &mut TcpStream, from: usize, until: usize) {
    let mut got = vec![0; until - from];
    timeout(SURELY, socket.read_exact(&mut got)).await.expect("in time").expect("all of it");
    assert!(got == pattern(from, until - from));
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_the_broker_and_costs_no_memory() {
    let mut ends = pump(pass()).await;
    let sent = fill(&mut ends.broker).await;
    let (_, from_broker) = ends.pump.meter.bytes();
    let flushed = ends.pump.state.lock().expect("sound").flushed;
    assert!(from_broker - flushed <= 32 * 1024, "{} bytes in memory", from_broker - flushed);
    assert!(sent < 1 << 20, "{sent} bytes were taken");

    // the other direction is not affected
    ends.client.write_all(b"up").await.expect("written");
    let mut up = [0; 2];
    timeout(SURELY, ends.broker.read_exact(&mut up)).await.expect("in time").expect("read");

    expect_pattern(&mut ends.client, 0, sent).await;
    ends.broker.write_all(&pattern(sent, 10)).await.expect("written");
    expect_pattern(&mut ends.client, sent, sent + 10).await;
}

#[tokio::test]
async fn a_broker_that_does_not_read_stops_the_client() {
    let mut ends = pump(pass()).await;
    let sent = fill(&mut ends.client).await;
    assert!(sent < 1 << 20, "{sent} bytes were taken");
    ends.broker.write_all(b"down").await.expect("written");
    let mut down = [0; 4];
    timeout(SURELY, ends.client.read_exact(&mut down)).await.expect("in time").expect("read");
    expect_pattern(&mut ends.broker, 0, sent).await;
}

#[tokio::test]
async fn answers_of_the_gates_own_do_not_pile_up_for_a_client_that_does_not_read() {
    let mut gate = pass();
    gate.input = Box::new(|_, _, bytes, out| {
        out.push(Action::Send { to: Side::Client, bytes: bytes.to_vec().into() });
        bytes.len()
    });
    let mut ends = pump(gate).await;
    let sent = fill(&mut ends.client).await;
    let (from_client, _) = ends.pump.meter.bytes();
    let flushed = ends.pump.state.lock().expect("sound").flushed;
    assert!(from_client - flushed <= 96 * 1024, "{} bytes in memory", from_client - flushed);
    expect_pattern(&mut ends.client, 0, sent).await;
}

/// Consumes lines only, and swallows empty ones.
fn lines() -> crate::gate::TestGate {
    let mut gate = pass();
    gate.input = Box::new(|_, _, bytes, out| {
        let Some(last) = bytes.iter().rposition(|byte| *byte == b'\n') else { return 0 };
        let mut from = 0;
        while from <= last {
            let end = from + 1 + bytes[from..].iter().position(|byte| *byte == b'\n').unwrap_or(0);
            if end - from > 1 {
                out.push(Action::Forward(from..end));
            }
            from = end;
        }
        last + 1
    });
    gate
}

#[tokio::test]
async fn what_the_gate_does_not_consume_is_presented_again_with_more_behind_it() {
    let mut ends = pump(lines()).await;
    for piece in ["ab", "c\n\nde", "f", "\ng\n"] {
        ends.client.write_all(piece.as_bytes()).await.expect("written");
        ends.pump.until(|state| state.calls.last().is_some_and(|call| call.ends_with(piece))).await;
    }
    let mut got = [0; 10];
    timeout(SURELY, ends.broker.read_exact(&mut got)).await.expect("in time").expect("read");
    assert_eq!(&got, b"abc\ndef\ng\n");
    assert_eq!(ends.pump.calls(), ["Client ab", "Client abc\n\nde", "Client def", "Client def\ng\n"]);
}

#[tokio::test]
async fn a_gate_that_never_has_enough_is_given_up() {
    let mut ends = pump(lines()).await;
    let endless = vec![b'x'; 4 << 20];
    let _ = ends.client.write_all(&endless).await;
    let closed = ends.pump.closed().await;
    assert!(closed.error.is_some_and(|error| error.to_string().contains("Client")));
}
