//! A defect in one connection is no other's: what it had begun is not carried out for somebody else, and its thread goes on.

use crate::gate::pass;
use crate::support::{SURELY, pair, pump};
use draingate::gate::{Action, Side};
use draingate::hub::Clock;
use draingate::job::Millis;
use draingate::relay::{Life, Socket, Threads};
use std::sync::mpsc::channel;
use std::task::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

#[tokio::test]
async fn what_a_broken_gate_had_ordered_reaches_nobody() {
    let mut gate = pass();
    gate.input = Box::new(|_, _, _, out| {
        out.push(Action::Send { to: Side::Client, bytes: "another's".into() });
        panic!("a defect");
    });
    let mut broken = pump(gate).await;
    let mut sound = pump(pass()).await;
    broken.client.write_all(b"1").await.expect("written");
    let end = timeout(SURELY, broken.client.read(&mut [0; 1])).await.expect("in time");
    assert!(matches!(end, Ok(0) | Err(_)), "it is closed without a word");
    sound.broker.write_all(b"own").await.expect("written");
    let mut read = [0; 3];
    timeout(SURELY, sound.client.read_exact(&mut read)).await.expect("in time").expect("read");
    assert_eq!(&read, b"own");
}

/// One turn, and it is over.
struct Short {
    sockets: [Socket; 2],
    at_close: Box<dyn FnOnce() + Send>,
}

impl Life for Short {
    fn sockets(&mut self) -> [&mut Socket; 2] {
        self.sockets.each_mut()
    }

    fn turn(&mut self, _cx: &mut Context<'_>) -> bool {
        true
    }

    fn timer(&mut self) -> Option<Millis> {
        None
    }

    fn close(self: Box<Self>) {
        (self.at_close)();
    }
}

async fn short(at_close: impl FnOnce() + Send + 'static) -> Box<Short> {
    let (one, other) = pair().await;
    let sockets = [one, other].map(|socket| Socket::new(socket.into_std().expect("a socket")));
    Box::new(Short { sockets, at_close: Box::new(at_close) })
}

#[tokio::test]
async fn a_thread_outlives_a_panic_at_a_connections_end() {
    let threads = Threads::start(1, Clock::start()).expect("started");
    threads.enter(0, short(|| panic!("a defect")).await);
    let (say, said) = channel();
    threads.enter(0, short(move || say.send("closed").expect("heard")).await);
    let heard = tokio::task::spawn_blocking(move || said.recv_timeout(SURELY)).await.expect("waited");
    assert_eq!(heard, Ok("closed"));
}
