//! Bytes and operations against the RESP gate: nothing panics, and what is forwarded lies in order within what was
//! consumed. `cargo +nightly fuzz run resp`
#![no_main]

use arbitrary::Arbitrary;
use draingate::gate::resp::{RespGate, RespSettings};
use draingate::gate::{Action, Gate, Side};
use draingate::job::System;
use draingate::queue::PausedQueues;
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

#[derive(Arbitrary, Debug)]
enum Op<'a> {
    Client(&'a [u8]),
    Broker(&'a [u8]),
    /// A fetch, for a deeper reach than bytes by themselves have.
    Fetch(u8),
    Reply(u8),
    Mark(bool),
    Pause(bool),
    Wait(u16),
    System(u8),
    Flushed(u16),
    End(bool, u16),
}

const FETCHES: [&[u8]; 4] = [
    b"*3\r\n$5\r\nBRPOP\r\n$1\r\nq\r\n$1\r\n0\r\n",
    b"*3\r\n$5\r\nBRPOP\r\n$1\r\nq\r\n$1\r\n1\r\n",
    b"*2\r\n$4\r\nLPOP\r\n$1\r\nq\r\n",
    b"*5\r\n$7\r\nEVALSHA\r\n$1\r\na\r\n$1\r\n1\r\n$5\r\nretry\r\n$10\r\n1795000000\r\n",
];
const REPLIES: [&[u8]; 4] = [b"*-1\r\n", b"_\r\n", b"*2\r\n$1\r\nq\r\n$1\r\nx\r\n", b"+OK\r\n"];

fuzz_target!(|ops: Vec<Op>| {
    let fetch = globset::GlobSetBuilder::new().add(globset::Glob::new("q").expect("a glob")).build().expect("globs");
    let settings = RespSettings { fetch, user_tag: true, ..RespSettings::default() };
    let mut gate = RespGate::new(Arc::new(settings), 1);
    let (mut now, mut carry) = (1_000_000, [vec![], vec![]]);
    for op in ops {
        let (mut out, mut consumed) = (vec![], 0);
        let mut input = |gate: &mut RespGate, from: Side, bytes: &[u8], out: &mut Vec<Action>| {
            let kept: &mut Vec<u8> = &mut carry[from as usize];
            kept.extend_from_slice(bytes);
            if gate.wants(from) {
                consumed = gate.input(now, from, kept, out);
                kept.drain(..consumed);
            }
        };
        match op {
            Op::Client(bytes) => input(&mut gate, Side::Client, bytes, &mut out),
            Op::Broker(bytes) => input(&mut gate, Side::Broker, bytes, &mut out),
            Op::Fetch(n) => input(&mut gate, Side::Client, FETCHES[usize::from(n) % 4], &mut out),
            Op::Reply(n) => input(&mut gate, Side::Broker, REPLIES[usize::from(n) % 4], &mut out),
            Op::Mark(marked) => gate.mark(now, marked, &mut out),
            Op::Pause(paused) => {
                let set = PausedQueues::new(now, paused.then(|| "q".to_owned()));
                gate.pause(now, &Arc::new(set), &mut out);
            }
            Op::Wait(ms) => {
                now += u64::from(ms);
                gate.timeout(now, &mut out);
            }
            Op::System(n) => gate.set_system([System::Unknown, System::Celery, System::Sidekiq][usize::from(n) % 3]),
            Op::Flushed(n) => gate.flushed(u64::from(n)),
            Op::End(client, written) => {
                let side = if client { Side::Client } else { Side::Broker };
                gate.end(now, side, u64::from(written), &mut out);
            }
        }
        let mut at = 0;
        for action in out {
            if let Action::Forward(range) = action {
                assert!(at <= range.start && range.start <= range.end && range.end <= consumed);
                at = range.end;
            }
        }
        gate.next_timeout();
        gate.at_safe_boundary();
    }
});
