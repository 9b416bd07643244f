//! Time-outs, with a made-up clock and streams in memory.

use crate::gate::pass;
use crate::support::{Running, pump_on};
use draingate::fleet::ClosedBy;
use draingate::gate::{Action, Side};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, sleep};

fn pump(gate: crate::gate::TestGate) -> (DuplexStream, DuplexStream, Running) {
    let (client, inner_client) = tokio::io::duplex(1024);
    let (broker, inner_broker) = tokio::io::duplex(1024);
    let running = pump_on(inner_client, inner_broker, gate, Box::new(|_| ()));
    (client, broker, running)
}

#[tokio::test(start_paused = true)]
async fn a_gates_time_out_comes_when_it_is_due_and_not_before() {
    let mut gate = pass();
    gate.input = Box::new(|state, _, bytes, _| {
        let after = if bytes == b"long" { 60_000 } else { 1_000 };
        state.next_timeout = Some(state.now + after);
        bytes.len()
    });
    gate.timeout = Box::new(|state, out| {
        state.next_timeout = None;
        out.push(Action::Send { to: Side::Client, bytes: "due".into() });
    });
    let (mut client, _broker, _pump) = pump(gate);
    let begun = Instant::now();
    let mut got = [0; 3];
    // a later one, then an earlier one, then a later one again: each is on time
    client.write_all(b"long").await.expect("written");
    sleep(Duration::from_millis(10)).await;
    client.write_all(b"short").await.expect("written");
    client.read_exact(&mut got).await.expect("read");
    let elapsed = begun.elapsed().as_millis();
    assert!((1010..=1013).contains(&elapsed), "{elapsed}");
    let begun = Instant::now();
    client.write_all(b"long").await.expect("written");
    client.read_exact(&mut got).await.expect("read");
    let elapsed = begun.elapsed().as_millis();
    assert!((60_000..=60_003).contains(&elapsed), "{elapsed}");
}

#[tokio::test(start_paused = true)]
async fn a_gate_whose_time_out_is_always_due_does_not_spin() {
    let mut gate = pass();
    gate.timeout = Box::new(|state, _| state.next_timeout = Some(1));
    gate.state.lock().expect("sound").next_timeout = Some(1);
    let (_client, _broker, pump) = pump(gate);
    sleep(Duration::from_millis(1_000)).await;
    let calls = pump.calls().len();
    assert!(calls <= 1_100, "{calls}");
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_never_settles_is_given_up_after_its_client_has_gone() {
    let mut gate = pass();
    gate.end = Box::new(|_, _, _, _| ());
    let (client, mut broker, pump) = pump(gate);
    let begun = Instant::now();
    drop(client);
    sleep(Duration::from_secs(20)).await;
    // a sign of life from the broker is worth waiting on for
    broker.write_all(b"x").await.expect("open");
    let mut rest = Vec::new();
    broker.read_to_end(&mut rest).await.expect("closed");
    let elapsed = begun.elapsed().as_secs();
    assert!((50..=51).contains(&elapsed), "{elapsed}");
    let closed = pump.closed().await;
    assert_eq!((closed.by, closed.settled), (ClosedBy::Client, false));
}

/// A broker that stands still will hand out the job that it was asked for when it goes on.
#[tokio::test(start_paused = true)]
async fn a_gate_that_may_still_get_a_job_is_waited_for_much_longer() {
    let mut gate = pass();
    gate.end = Box::new(|state, _, _, _| state.may_get_job = true);
    let (client, mut broker, pump) = pump(gate);
    let begun = Instant::now();
    drop(client);
    let mut rest = Vec::new();
    broker.read_to_end(&mut rest).await.expect("closed");
    let elapsed = begun.elapsed().as_secs();
    assert!((600..=601).contains(&elapsed), "{elapsed}");
    assert!(!pump.closed().await.settled);
}

#[tokio::test(start_paused = true)]
async fn a_half_closed_client_that_does_not_read_does_not_keep_the_broker_waiting() {
    let mut gate = pass();
    gate.end = Box::new(|_, side, _, out| {
        if side == Side::Broker {
            out.push(Action::Close(Ok(())));
        }
    });
    let (mut client, mut broker, pump) = pump(gate);
    client.shutdown().await.expect("half-closed");
    pump.until(|state| state.calls.contains(&"end Client".to_owned())).await;
    let begun = Instant::now();
    broker.write_all(&[b'x'; 100_000]).await.expect("the pump reads on");
    let elapsed = begun.elapsed().as_secs();
    assert!((5..=6).contains(&elapsed), "{elapsed}");
    drop(broker);
    assert_eq!(pump.closed().await.by, ClosedBy::Client);
}

#[tokio::test(start_paused = true)]
async fn last_bytes_that_nobody_takes_are_thrown_away() {
    let mut gate = pass();
    gate.input = Box::new(|_, _, bytes, out| {
        out.push(Action::Send { to: Side::Client, bytes: vec![b'x'; 2_000].into() });
        out.push(Action::Close(Ok(())));
        bytes.len()
    });
    let (client, mut broker, pump) = pump(gate);
    broker.write_all(b"the last").await.expect("written");
    let begun = Instant::now();
    let closed = pump.closed().await;
    let elapsed = begun.elapsed().as_secs();
    assert!((10..=12).contains(&elapsed), "{elapsed}");
    assert_eq!((closed.by, closed.to_client), (ClosedBy::Gate, 1024));
    drop(client);
}
