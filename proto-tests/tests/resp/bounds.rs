//! Memory is bounded and nothing panics, whatever comes from either side.

use crate::support::memory::live;
use crate::support::{Rng, cases, command};
use draingate::gate::resp::{RespGate, RespSettings};
use draingate::gate::{Action, Gate, Side};
use draingate::job::System;
use draingate::queue::PausedQueues;
use proptest::prelude::*;
use std::sync::Arc;

/// Most that one connection may own, beside the copies of jobs on their way.
const MOST: isize = 10 << 20;

/// What a gate is given.
#[derive(Clone, Debug)]
enum Op {
    Bytes(bool, Vec<u8>),
    Mark(bool),
    Pause(bool),
    Wait(u64),
    System(u8),
    Flushed(u64),
    End(bool, u64),
}

/// Pieces of what Redis and its clients say, to be put together at random.
const WORDS: &[&str] = &[
    "*1\r\n",
    "*2\r\n",
    "*3\r\n",
    "*4\r\n",
    "*0\r\n",
    "*-1\r\n",
    "$-1\r\n",
    "_\r\n",
    "$0\r\n\r\n",
    "$1\r\nq\r\n",
    "$1\r\n0\r\n",
    "$1\r\n1\r\n",
    "$1\r\n9\r\n",
    "$4\r\nMULTI\r\n",
    "$5\r\nMULTI\r\n",
    "$4\r\nEXEC\r\n",
    "$5\r\nBRPOP\r\n",
    "$6\r\nBLMOVE\r\n",
    "$4\r\nLEFT\r\n",
    "$4\r\nPING\r\n",
    "$5\r\nHELLO\r\n",
    "$1\r\n3\r\n",
    "$9\r\nSUBSCRIBE\r\n",
    "$9\r\nsubscribe\r\n",
    "$11\r\nUNSUBSCRIBE\r\n",
    "$11\r\nunsubscribe\r\n",
    "$7\r\nmessage\r\n",
    ">3\r\n",
    ">2\r\n",
    "%1\r\n",
    "~2\r\n",
    "|1\r\n",
    "+OK\r\n",
    "+QUEUED\r\n",
    "-ERR x\r\n",
    ":1\r\n",
    ":0\r\n",
    "#t\r\n",
    ",1.5\r\n",
    "(12\r\n",
    "=5\r\ntxt:x\r\n",
    "!3\r\nERR\r\n",
    "$6\r\nCLIENT\r\n",
    "$5\r\nREPLY\r\n",
    "$3\r\nOFF\r\n",
    "$4\r\nSKIP\r\n",
    "$2\r\nON\r\n",
    "$7\r\nMONITOR\r\n",
    "$5\r\nRESET\r\n",
    "$4\r\nSYNC\r\n",
    "$7\r\nEVALSHA\r\n",
    "$5\r\nretry\r\n",
    "$10\r\n1795000000\r\n",
    "$4\r\nHDEL\r\n",
    "$7\r\nunacked\r\n",
    "$10\r\nXREADGROUP\r\n",
    "$4\r\nLPOP\r\n",
    "PING\r\n",
    "brpop q 0\r\n",
    "\r\n",
    "*3\r\n$5\r\nBRPOP\r\n$1\r\nq\r\n$1\r\n0\r\n",
    "*3\r\n$5\r\nBRPOP\r\n$1\r\nq\r\n$1\r\n1\r\n",
    "*2\r\n$4\r\nLPOP\r\n$1\r\nq\r\n",
    "*2\r\n$1\r\nq\r\n$1\r\nx\r\n",
    "*1\r\n$4\r\nPING\r\n",
    "*1\r\n$5\r\nMULTI\r\n",
    "*1\r\n$4\r\nEXEC\r\n",
    "x",
    "\n",
    "$",
    "*",
    "-",
    "9",
];

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::collection::vec(prop::sample::select(WORDS), 1..8).prop_map(|w| w.concat().into_bytes());
    prop_oneof![8 => words, 1 => prop::collection::vec(any::<u8>(), 1..40)]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (any::<bool>(), bytes()).prop_map(|(client, bytes)| Op::Bytes(client, bytes)),
        2 => any::<bool>().prop_map(Op::Mark),
        1 => any::<bool>().prop_map(Op::Pause),
        2 => (0..40_000u64).prop_map(Op::Wait),
        1 => (0..3u8).prop_map(Op::System),
        1 => (0..500u64).prop_map(Op::Flushed),
        1 => (any::<bool>(), 0..500u64).prop_map(|(client, written)| Op::End(client, written)),
    ]
}

fn gate() -> RespGate {
    let fetch = globset::GlobSetBuilder::new().add(globset::Glob::new("q").unwrap()).build().unwrap();
    RespGate::new(Arc::new(RespSettings { fetch, user_tag: true, ..RespSettings::default() }), 1)
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn nothing_panics(ops in prop::collection::vec(op(), 1..60)) {
        let (mut gate, mut now, mut carry) = (gate(), 1_000_000, [vec![], vec![]]);
        for op in ops {
            let mut out = vec![];
            let (mut consumed, mut from) = (0, Side::Client);
            match op {
                Op::Bytes(client, bytes) => {
                    from = if client { Side::Client } else { Side::Broker };
                    let kept: &mut Vec<u8> = &mut carry[from as usize];
                    kept.extend(bytes);
                    if gate.wants(from) {
                        consumed = gate.input(now, from, kept, &mut out);
                        prop_assert!(consumed <= kept.len());
                        kept.drain(..consumed);
                    }
                }
                Op::Mark(marked) => gate.mark(now, marked, &mut out),
                Op::Pause(paused) => {
                    let set = PausedQueues::new(now, paused.then(|| "q".to_owned()));
                    gate.pause(now, &Arc::new(set), &mut out);
                }
                Op::Wait(ms) => {
                    now += ms;
                    gate.timeout(now, &mut out);
                }
                Op::System(n) => gate.set_system([System::Unknown, System::Celery, System::Sidekiq][usize::from(n)]),
                Op::Flushed(n) => gate.flushed(n),
                Op::End(client, written) => {
                    gate.end(now, if client { Side::Client } else { Side::Broker }, written, &mut out);
                }
            }
            let mut at = 0;
            for action in out {
                if let Action::Forward(range) = action {
                    prop_assert!(at <= range.start && range.start <= range.end && range.end <= consumed, "{from:?}");
                    at = range.end;
                }
            }
            gate.at_safe_boundary();
            gate.next_timeout();
        }
    }
}

/// Gives a gate the same bytes over and over, as long as it wants them, and returns the most it owned.
fn flood(gate: &mut RespGate, side: Side, bytes: &[u8], times: usize) -> isize {
    let before = live();
    let (mut most, mut carry, mut out) = (0, Vec::with_capacity(1 << 18), Vec::with_capacity(1 << 16));
    let own = live() - before;
    for _ in 0..times {
        if !gate.wants(side) || carry.len() > 1 << 17 {
            break;
        }
        carry.extend_from_slice(bytes);
        let used = gate.input(1_000, side, &carry, &mut out);
        carry.drain(..used);
        out.clear();
        most = most.max(live() - before - own);
    }
    most
}

#[test]
fn memory_is_bounded_when_the_broker_does_not_answer() {
    for line in [
        "MULTI",
        "PING",
        "HELLO 3",
        "SUBSCRIBE a",
        "XREAD STREAMS s 0",
        "RESET",
        "EVALSHA a 1 k",
        "LPOP q",
        "CLIENT MAINT_NOTIFICATIONS ON",
    ] {
        let bytes = [command(line), command("PING")].concat().repeat(50);
        let most = flood(&mut gate(), Side::Client, &bytes, 5_000);
        assert!(most < MOST, "{line}: {most} bytes");
    }
    let mut marked = gate();
    marked.mark(0, true, &mut vec![]);
    let bytes = [command("PING"), command("LPOP q")].concat().repeat(50);
    assert!(flood(&mut marked, Side::Client, &bytes, 5_000) < MOST);
}

#[test]
fn memory_is_bounded_in_a_transaction_without_an_end() {
    let mut gate = gate();
    flood(&mut gate, Side::Client, &command("MULTI"), 1);
    gate.input(0, Side::Broker, b"+OK\r\n", &mut vec![]);
    let id = "vm:1:44a5a0652e61";
    let entry = format!("{{\"jid\":\"{}\"}}", "a".repeat(24));
    let words = [
        command(&format!("HDEL unacked {}", "t".repeat(1000))),
        command(&format!("HSET {id}:work {}", format!("t '{entry}' ").repeat(31))),
        command("RPUSH a b"),
    ];
    for bytes in words {
        let most = flood(&mut gate, Side::Client, &bytes.repeat(20), 300);
        assert!(most < 2 * MOST, "{most} bytes");
    }
    // the same outside of one
    let most =
        flood(&mut self::gate(), Side::Client, &command(&format!("HSET {id}:work t '{entry}'")).repeat(20), 5_000);
    assert!(most < MOST, "{most} bytes");
}

#[test]
fn memory_is_bounded_for_what_is_remembered_of_replies() {
    let mut gate = gate();
    let entries: String =
        (0..200).map(|i| format!("*2\r\n$9\r\n{:05}-123\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n", i)).collect();
    let reply = format!("*1\r\n*2\r\n$1\r\ns\r\n*200\r\n{entries}");
    let before = live();
    for _ in 0..2_000 {
        gate.input(0, Side::Client, &command("XREADGROUP GROUP g c STREAMS s >"), &mut vec![]);
        gate.input(0, Side::Broker, reply.as_bytes(), &mut vec![]);
        gate.flushed(u64::MAX);
    }
    assert!(live() - before < MOST, "{} bytes", live() - before);
    // nested values and large numbers of elements cost nothing
    for head in ["*1\r\n", "*999999999999\r\n", "%99999999\r\n", "|1\r\n$1\r\na\r\n"] {
        gate.input(0, Side::Client, &command("PING"), &mut vec![]);
        assert!(flood(&mut gate, Side::Broker, head.as_bytes(), 10_000) < MOST, "{head:?}");
        gate = self::gate();
    }
    let mut rng = Rng::new(3);
    let junk: Vec<u8> = (0..1 << 20).map(|_| rng.below(256) as u8).collect();
    assert!(flood(&mut gate, Side::Broker, &junk, 10) < MOST);
    assert!(flood(&mut self::gate(), Side::Client, &junk, 10) < MOST);
}

#[test]
fn a_large_pipeline_is_read_in_linear_time() {
    // were it read again from its start with each piece, this would not end
    let mut gate = gate();
    let bytes = [command("SET key value"), command("PING")].concat().repeat(300_000);
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let end = (at + 32 * 1024).min(bytes.len());
        at += gate.input(0, Side::Client, &bytes[at..end], &mut out);
        assert!(out.len() < 8, "one run of whole commands is one write");
        out.clear();
    }
    let replies = b"+OK\r\n+PONG\r\n".repeat(300_000);
    assert_eq!(gate.input(0, Side::Broker, &replies, &mut out), replies.len());
    assert!(gate.at_safe_boundary());
}
