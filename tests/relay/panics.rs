//! A defect in one gate is no other's: what it had begun is not carried out for somebody else.

use crate::gate::pass;
use crate::support::{SURELY, pump};
use draingate::gate::{Action, Side};
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
