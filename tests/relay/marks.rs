//! Flags that reach a connection from outside: marks, the job system, the stop.

use crate::gate::{TestGate, pass};
use crate::support::{Ends, SURELY, pump, pump_telling};
use draingate::fleet::ClosedBy;
use draingate::gate::{Action, Side};
use draingate::job::{JobEvent, JobKey, System};
use draingate::queue::PausedQueues;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

#[tokio::test]
async fn a_mark_is_told_before_what_is_read_after_it() {
    let mut ends = pump(pass()).await;
    ends.client.write_all(b"1").await.expect("written");
    ends.pump.until(|state| state.calls.len() == 1).await;
    ends.pump.handle.set_system(System::Celery);
    ends.pump.handle.set_mark(true);
    ends.client.write_all(b"2").await.expect("written");
    ends.pump.until(|state| state.calls.len() == 5).await;
    ends.pump.handle.set_mark(false);
    ends.pump.until(|state| state.calls.len() == 6).await;
    let expected = ["Client 1", "system celery", "mark true", "mark taken", "Client 2", "mark false"];
    assert_eq!(ends.pump.calls(), expected);
}

#[tokio::test]
async fn a_mark_of_before_the_first_byte_is_told_first() {
    let mut ends = pump(pass()).await;
    ends.pump.handle.set_mark(true);
    ends.client.write_all(b"1").await.expect("written");
    ends.pump.until(|state| state.calls.len() == 3).await;
    assert_eq!(ends.pump.calls(), ["mark true", "mark taken", "Client 1"]);
}

#[tokio::test]
async fn every_mark_is_confirmed_also_one_that_changes_nothing() {
    let ends = pump(pass()).await;
    ends.pump.handle.set_mark(true);
    ends.pump.until(|state| state.calls.len() == 2).await;
    // another drain marks the same connection
    ends.pump.handle.set_mark(true);
    ends.pump.until(|state| state.calls.len() == 3).await;
    assert_eq!(ends.pump.calls(), ["mark true", "mark taken", "mark taken"]);
}

#[tokio::test]
async fn pauses_are_told_before_what_is_read_after_them() {
    let mut ends = pump(pass()).await;
    let set = |number| Arc::new(PausedQueues::new(number, ["q".to_owned()]));
    ends.pump.handle.set_paused(set(1));
    ends.client.write_all(b"1").await.expect("written");
    ends.pump.until(|state| state.calls.len() == 2).await;
    ends.pump.handle.set_paused(set(2));
    ends.pump.until(|state| state.calls.len() == 3).await;
    ends.pump.handle.set_mark(true);
    ends.pump.until(|state| state.calls.len() == 5).await;
    assert_eq!(ends.pump.calls(), ["paused 1", "Client 1", "paused 2", "mark true", "mark taken"]);
}

/// The broker has confirmed the end of a job on a connection of which it is not known yet whose it is.
async fn waiting() -> Ends {
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let mut gate = pass();
    gate.input = Box::new(|_, _, bytes, out| {
        out.push(Action::Event(JobEvent::Acked(JobKey::Text("k".into()))));
        out.push(Action::Forward(0..bytes.len()));
        bytes.len()
    });
    // only the first is heard
    let mut ends = pump_telling(gate, Box::new(move |fact| drop(told.send(fact)))).await;
    ends.pump.handle.set_waiting(true);
    ends.broker.write_all(b":1").await.expect("written");
    timeout(SURELY, heard.recv()).await.expect("in time").expect("told");
    ends
}

#[tokio::test]
async fn an_answer_waits_until_it_is_known_whose_the_connection_is() {
    let mut ends = waiting().await;
    assert!(ends.client.try_read(&mut [0; 2]).is_err());
    ends.client.write_all(b"2").await.expect("written");
    ends.pump.handle.set_waiting(false);
    let mut got = [0; 2];
    timeout(SURELY, ends.client.read_exact(&mut got)).await.expect("in time").expect("read");
    timeout(SURELY, ends.broker.read_exact(&mut got[..1])).await.expect("in time").expect("read");
    assert_eq!(&got, b"21");
}

#[tokio::test]
async fn an_answer_does_not_wait_for_ever() {
    let mut ends = waiting().await;
    let mut got = [0; 2];
    timeout(SURELY, ends.client.read_exact(&mut got)).await.expect("in time").expect("read");
    assert_eq!(&got, b":1");
    drop(ends.client);
    assert_eq!(ends.pump.closed().await.by, ClosedBy::Client);
}

/// Holds whatever the client says until the broker speaks.
fn holding() -> TestGate {
    let mut gate = pass();
    gate.input = Box::new(|state, side, bytes, out| {
        if side == Side::Client && bytes[0] == b'h' {
            state.wants[Side::Client as usize] = false;
            return 1;
        }
        state.wants[Side::Client as usize] = true;
        out.push(Action::Forward(0..bytes.len()));
        bytes.len()
    });
    gate
}

#[tokio::test]
async fn what_is_behind_a_held_fetch_is_kept_and_presented_when_the_gate_wants_it() {
    let mut ends = pump(holding()).await;
    ends.client.write_all(b"h1").await.expect("written");
    ends.pump.until(|state| state.calls.len() == 1).await;
    ends.client.write_all(b"2").await.expect("written");
    ends.broker.write_all(b"!").await.expect("written");
    let mut got = [0; 2];
    timeout(SURELY, ends.broker.read_exact(&mut got)).await.expect("in time").expect("read");
    assert_eq!(&got, b"12");
}

#[tokio::test]
async fn the_end_of_a_client_is_noticed_although_the_gate_does_not_want_to_hear_it() {
    let mut ends = pump(holding()).await;
    ends.client.write_all(b"h and some more").await.expect("written");
    drop(ends.client);
    let closed = ends.pump.closed().await;
    assert_eq!(closed.by, ClosedBy::Client);
    assert_eq!(closed.to_broker, 0);
}

#[tokio::test]
async fn a_client_that_is_not_heard_is_read_only_so_far() {
    let ends = pump(holding()).await;
    let mut client = ends.client;
    client.write_all(b"h").await.expect("written");
    ends.pump.until(|state| state.calls.len() == 1).await;
    let writer = tokio::spawn(async move {
        let _ = client.write_all(&vec![b'x'; 8 << 20]).await;
    });
    let read_enough = async {
        while ends.pump.meter.bytes().0 < 1 + 16 * 1024 {
            tokio::task::yield_now().await;
        }
    };
    timeout(SURELY, read_enough).await.expect("in time");
    // whatever comes now, no more is read
    ends.pump.handle.set_system(System::Celery);
    ends.pump.until(|state| state.calls.last().is_some_and(|call| call == "system celery")).await;
    assert_eq!(ends.pump.meter.bytes().0, 1 + 16 * 1024);
    writer.abort();
}

#[tokio::test]
async fn a_stop_waits_for_a_safe_boundary() {
    let gate = pass();
    gate.state.lock().expect("sound").boundary = false;
    let mut ends = pump(gate).await;
    ends.client.write_all(b"1").await.expect("written");
    ends.pump.until(|state| state.calls.len() == 1).await;
    ends.pump.handle.stop();
    ends.pump.until(|state| state.calls.contains(&"mark true".to_owned())).await;
    assert!(!ends.pump.is_closed());
    ends.pump.state.lock().expect("sound").boundary = true;
    ends.broker.write_all(b"reply").await.expect("written");
    let mut got = Vec::new();
    timeout(SURELY, ends.client.read_to_end(&mut got)).await.expect("in time").expect("read");
    assert_eq!(got, b"reply");
    drop(ends.client);
    assert_eq!(ends.pump.closed().await.by, ClosedBy::Gate);
}

#[tokio::test]
async fn a_second_stop_does_not_wait() {
    let gate = pass();
    gate.state.lock().expect("sound").boundary = false;
    let mut ends = pump(gate).await;
    ends.pump.handle.stop();
    ends.pump.handle.stop_now();
    let mut got = Vec::new();
    timeout(SURELY, ends.client.read_to_end(&mut got)).await.expect("in time").expect("read");
    drop(ends.client);
    assert_eq!(ends.pump.closed().await.by, ClosedBy::Gate);
}
