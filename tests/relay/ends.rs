//! Ends of either side, in order and with nothing lost that was ordered.

use crate::gate::pass;
use crate::support::{SURELY, fill, pattern, pump, pump_on, pump_telling};
use draingate::fleet::ClosedBy;
use draingate::gate::{Action, GateError, Side};
use draingate::job::{Job, JobEvent, JobKey};
use draingate::relay::pump::Stream;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::time::timeout;

#[tokio::test]
async fn the_brokers_last_bytes_come_before_its_end() {
    let mut ends = pump(pass()).await;
    let last = pattern(0, 3 << 20);
    let sent = last.clone();
    let mut broker = ends.broker;
    let writer = tokio::spawn(async move {
        broker.write_all(&sent).await.expect("written");
        broker.shutdown().await.expect("shut");
        broker
    });
    let mut got = Vec::new();
    timeout(SURELY, ends.client.read_to_end(&mut got)).await.expect("in time").expect("no reset");
    assert!(got == last);
    assert_eq!(ends.pump.calls().last().map(String::as_str), Some("end Broker"));
    drop(ends.client);
    assert_eq!(ends.pump.closed().await.by, ClosedBy::Broker);
    drop(writer);
}

#[tokio::test]
async fn a_client_that_still_talks_reads_the_last_words_of_a_broker_that_closes() {
    let mut ends = pump(pass()).await;
    ends.broker.write_all(b"-ERR max number of clients reached\r\n").await.expect("written");
    // unread bytes at the moment of closing would make the kernel reset the connection
    ends.client.write_all(&pattern(0, 30_000)).await.expect("written");
    drop(ends.broker);
    let mut got = Vec::new();
    let read = timeout(SURELY, ends.client.read_to_end(&mut got)).await.expect("in time");
    assert!(read.is_ok() && got.starts_with(b"-ERR max"), "{read:?} {got:?}");
}

/// A client closes as soon as it reads that the broker will.
#[tokio::test]
async fn a_broker_that_has_said_so_has_ended_the_connection_whoever_closes_first() {
    for leaves in [true, false] {
        let gate = pass();
        gate.state.lock().expect("no panic before").broker_leaves = leaves;
        let ends = pump(gate).await;
        drop(ends.client);
        let by = if leaves { ClosedBy::Broker } else { ClosedBy::Client };
        assert_eq!(timeout(SURELY, ends.pump.closed()).await.expect("in time").by, by);
    }
}

#[tokio::test]
async fn a_half_closed_client_still_gets_the_answer_that_its_gate_waits_for() {
    let mut gate = pass();
    gate.end = Box::new(|_, side, _, out| {
        if side == Side::Broker {
            out.push(Action::Close(Ok(())));
        }
    });
    gate.input = Box::new(|state, side, bytes, out| {
        out.push(Action::Forward(0..bytes.len()));
        if side == Side::Broker && state.calls.iter().any(|call| call == "end Client") {
            out.push(Action::Close(Ok(())));
        }
        bytes.len()
    });
    let mut ends = pump(gate).await;
    ends.client.write_all(b"question").await.expect("written");
    ends.client.shutdown().await.expect("shut");
    let mut question = [0; 8];
    timeout(SURELY, ends.broker.read_exact(&mut question)).await.expect("in time").expect("read");
    ends.pump.until(|state| state.calls.contains(&"end Client".to_owned())).await;
    ends.broker.write_all(b"answer").await.expect("written");
    let mut answer = Vec::new();
    timeout(SURELY, ends.client.read_to_end(&mut answer)).await.expect("in time").expect("read");
    assert_eq!(answer, b"answer");
    assert_eq!(ends.pump.closed().await.by, ClosedBy::Client);
}

/// An ack and a goodbye of a client that its gate holds: the gate may want them after all, before the end.
#[tokio::test]
async fn the_last_words_of_a_client_that_is_held_are_offered_before_its_end() {
    let mut gate = pass();
    gate.state.lock().expect("no panic before").wants[Side::Client as usize] = false;
    gate.ending = Box::new(|state, side, _| {
        state.calls.push(format!("ending {side:?}"));
        state.wants[side as usize] = true;
    });
    let mut ends = pump(gate).await;
    ends.client.write_all(b"last words").await.expect("written");
    ends.client.shutdown().await.expect("shut");
    let mut got = Vec::new();
    timeout(SURELY, ends.broker.read_to_end(&mut got)).await.expect("in time").expect("read");
    assert_eq!(got, b"last words");
    assert_eq!(ends.pump.calls(), ["ending Client", "Client last words", "end Client"]);
    assert_eq!(ends.pump.closed().await.by, ClosedBy::Client);
}

/// Both are there when the pump looks: a job that the broker hands out then must find the gate knowing that nobody takes it.
#[tokio::test]
async fn a_clients_end_is_told_before_what_the_broker_says_at_the_same_moment() {
    let (client, inner_client) = tokio::io::duplex(1024);
    let (mut broker, inner_broker) = tokio::io::duplex(1024);
    drop(client);
    broker.write_all(b"job").await.expect("written");
    let mut gate = pass();
    gate.end = Box::new(|_, _, _, _| ());
    let pump = pump_on(inner_client, inner_broker, gate, Box::new(|_| ()));
    pump.until(|state| state.calls.len() > 1).await;
    assert_eq!(pump.calls(), ["end Client", "Broker job"]);
}

#[tokio::test]
async fn what_a_vanished_client_did_not_take_is_not_counted_as_written() {
    let told = Arc::new(Mutex::new(None));
    let tell = told.clone();
    let mut gate = pass();
    gate.end = Box::new(move |_, side, written, out| match side {
        Side::Client => *tell.lock().expect("sound") = Some(written),
        Side::Broker => out.push(Action::Close(Ok(()))),
    });
    let ends = pump(gate).await;
    // the client does not read; then it is gone without a word
    let reply = pattern(0, 4 << 20);
    let mut broker = ends.broker;
    let writer = tokio::spawn(async move {
        broker.write_all(&reply).await.expect("the gate goes on reading");
        broker
    });
    ends.pump.until(|state| state.flushed > 0).await;
    ends.client.set_zero_linger().expect("set");
    drop(ends.client);
    let broker = timeout(SURELY, writer).await.expect("no deadlock").expect("sound");
    ends.pump.until(|state| state.calls.contains(&"end Client".to_owned())).await;
    let written = told.lock().expect("sound").expect("told");
    let state = ends.pump.state.lock().expect("sound").flushed;
    assert_eq!(written, state, "nothing was written after the end");
    assert!(written < 4 << 20);
    assert!(!ends.pump.is_closed(), "the gate has not closed yet");
    drop(broker);
    let closed = ends.pump.closed().await;
    assert_eq!((closed.by, closed.to_client), (ClosedBy::Client, written));
}

#[tokio::test]
async fn a_client_that_ends_while_the_broker_does_not_read_does_not_block_the_brokers_side() {
    let mut gate = pass();
    gate.end = Box::new(|_, side, _, out| {
        if side == Side::Broker {
            out.push(Action::Close(Ok(())));
        }
    });
    let mut ends = pump(gate).await;
    // both directions are full, and neither side reads
    fill(&mut ends.client).await;
    fill(&mut ends.broker).await;
    drop(ends.client);
    timeout(SURELY, ends.broker.write_all(&pattern(0, 2 << 20))).await.expect("no deadlock").expect("written");
    ends.broker.shutdown().await.expect("shut");
    let mut got = Vec::new();
    let _ = timeout(SURELY, ends.broker.read_to_end(&mut got)).await.expect("closed");
    ends.pump.closed().await;
}

#[tokio::test]
async fn an_end_that_is_there_is_told_before_the_other_side_is_read() {
    let mut gate = pass();
    gate.end = Box::new(|_, side, _, out| {
        if side == Side::Broker {
            out.push(Action::Close(Ok(())));
        }
    });
    let (client, inner_client) = tokio::io::duplex(1024);
    let (mut broker, inner_broker) = tokio::io::duplex(1024);
    // both are there at the first look: a job, and that nobody is left to take it
    broker.write_all(b"job").await.expect("written");
    drop(client);
    let running = pump_on(inner_client, inner_broker, gate, Box::new(|_| ()));
    running.until(|state| state.calls.len() >= 2).await;
    assert_eq!(running.calls()[..2], ["end Client", "Broker job"]);
    drop(broker);
    running.closed().await;
}

#[tokio::test]
async fn a_fact_is_told_before_the_bytes_behind_it_are_written() {
    let mut gate = pass();
    gate.input = Box::new(|_, _, bytes, out| {
        out.push(Action::Forward(0..3));
        out.push(Action::Event(JobEvent::Acked(JobKey::Text("k".into()))));
        out.push(Action::Forward(3..bytes.len()));
        bytes.len()
    });
    let written_when_told = Arc::new(Mutex::new(None));
    let (tell, state) = (written_when_told.clone(), gate.state.clone());
    let facts = move |_| *tell.lock().expect("sound") = Some(state.lock().expect("sound").flushed);
    let mut ends = pump_telling(gate, Box::new(facts)).await;
    ends.broker.write_all(b"abcdef").await.expect("written");
    let mut got = [0; 6];
    timeout(SURELY, ends.client.read_exact(&mut got)).await.expect("in time").expect("read");
    assert_eq!(&got, b"abcdef");
    assert!(written_when_told.lock().expect("sound").expect("told") <= 3);
}

#[tokio::test]
async fn a_gate_that_gives_up_closes_both_sides_after_its_last_words() {
    let mut gate = pass();
    gate.input = Box::new(|_, side, bytes, out| {
        out.push(Action::Send { to: Side::Client, bytes: "bye".into() });
        out.push(Action::Close(Err(GateError::OutOfStep { side, what: "nonsense".into() })));
        out.push(Action::Forward(0..bytes.len()));
        bytes.len()
    });
    let mut ends = pump(gate).await;
    ends.client.write_all(b"?").await.expect("written");
    let mut got = Vec::new();
    timeout(SURELY, ends.client.read_to_end(&mut got)).await.expect("in time").expect("read");
    assert_eq!(got, b"bye");
    got.clear();
    timeout(SURELY, ends.broker.read_to_end(&mut got)).await.expect("in time").expect("read");
    assert_eq!(got, b"", "nothing that was ordered behind the close");
    drop(ends.client);
    let closed = ends.pump.closed().await;
    assert_eq!(closed.by, ClosedBy::Gate);
    assert!(closed.error.is_some());
}

/// A client of which the kernel knows that it has left, and the runtime does not yet.
struct Leaving(DuplexStream);

impl Stream for Leaving {
    fn peer_has_left(&self) -> bool {
        true
    }
}

impl AsyncRead for Leaving {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for Leaving {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A job comes for such a client: how many bytes it was handed, as its gate heard at its end.
async fn handed_to_one_that_leaves(takes_back: bool) -> u64 {
    let job = |key: &str| Job {
        key: JobKey::Text(key.into()),
        id: String::new(),
        name: String::new(),
        queue: "jobs".into(),
        eta: None,
    };
    let mut gate = pass();
    gate.state.lock().expect("sound").takes_back = takes_back;
    gate.input = Box::new(move |_, side, bytes, out| {
        if side == Side::Broker && bytes.starts_with(b"job") {
            out.push(Action::Event(JobEvent::Delivered(job("k"))));
        }
        out.push(Action::Forward(0..bytes.len()));
        bytes.len()
    });
    let told = Arc::new(Mutex::new(None));
    let tell = told.clone();
    gate.end = Box::new(move |_, side, written, out| {
        if side == Side::Client {
            *tell.lock().expect("sound") = Some(written);
        }
        out.push(Action::Close(Ok(())));
    });
    let (client, inner_client) = tokio::io::duplex(1024);
    let (mut broker, inner_broker) = tokio::io::duplex(1024);
    let pump = pump_on(Leaving(inner_client), inner_broker, gate, Box::new(|_| ()));
    broker.write_all(b"ok").await.expect("written");
    pump.until(|state| state.flushed == 2).await;
    broker.write_all(b"job").await.expect("written");
    pump.until(|state| state.calls.last().is_some_and(|call| call == "Broker job")).await;
    drop(client);
    let closed = pump.closed().await;
    let told = told.lock().expect("sound").expect("told");
    assert_eq!((closed.by, closed.to_client), (ClosedBy::Client, told));
    told
}

#[tokio::test]
async fn a_job_is_not_handed_to_a_client_that_has_left() {
    assert_eq!(handed_to_one_that_leaves(false).await, 2);
}

#[tokio::test]
async fn nobody_looks_who_has_left_where_the_broker_takes_its_job_back() {
    assert_eq!(handed_to_one_that_leaves(true).await, 5);
}

/// A pipeline of more than the pump keeps, behind a fetch that is held for ever: the client's end lies beyond what is read.
#[tokio::test]
async fn the_end_of_a_client_that_pipelined_much_behind_a_held_fetch_is_noticed() {
    let gate = pass();
    gate.state.lock().expect("sound").wants[Side::Client as usize] = false;
    let mut ends = pump(gate).await;
    ends.client.write_all(&pattern(0, 60_000)).await.expect("written");
    ends.client.shutdown().await.expect("shut");
    let closed = timeout(SURELY, ends.pump.closed()).await.expect("in time");
    assert_eq!(closed.by, ClosedBy::Client);
}

/// The same where the gate wants the rest once it hears that the client is leaving: then nothing of it is dropped.
#[tokio::test]
async fn what_a_leaving_client_has_sent_is_read_if_the_gate_wants_it_after_all() {
    let mut gate = pass();
    gate.state.lock().expect("sound").wants[Side::Client as usize] = false;
    gate.ending = Box::new(|state, _, _| state.wants[Side::Client as usize] = true);
    let mut ends = pump(gate).await;
    let sent = pattern(0, 60_000);
    ends.client.write_all(&sent).await.expect("written");
    drop(ends.client);
    let mut got = Vec::new();
    timeout(SURELY, ends.broker.read_to_end(&mut got)).await.expect("in time").expect("read");
    assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
}
