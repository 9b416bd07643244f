//! Bytes, frames and operations against the AMQP gate: nothing panics, what is forwarded lies in order within what was
//! consumed, and nothing wants to be woken for ever. `cargo +nightly fuzz run amqp`
#![no_main]

use arbitrary::Arbitrary;
use draingate::gate::amqp::{AmqpGate, AmqpSettings};
use draingate::gate::{Action, Gate, Side};
use draingate::job::System;
use draingate::queue::PausedQueues;
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

#[derive(Arbitrary, Debug)]
enum Op<'a> {
    Client(&'a [u8]),
    Broker(&'a [u8]),
    /// A frame that makes sense, for a deeper reach than bytes by themselves have: which, on which channel, about what.
    ClientSays(u8, u8, u8),
    BrokerSays(u8, u8, u8),
    Mark(bool),
    Pause(bool),
    Wait(u16),
    System(u8),
    Ending,
    End(bool, u16),
}

const QUEUES: [&str; 4] = ["q", "r", "w@h.celery.pidbox", ""];
const TAGS: [&str; 8] = ["t", "~", "!", "~draingate-1", "draingate-anchor", "draingate-probe", "draingate-plug", "u"];

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind];
    frame.extend(channel.to_be_bytes());
    frame.extend((payload.len() as u32).to_be_bytes());
    frame.extend(payload);
    frame.push(0xCE);
    frame
}

fn short(text: &str) -> Vec<u8> {
    [&[text.len() as u8], text.as_bytes()].concat()
}

/// A method by its id; `fields` is the rest of it.
fn method(channel: u16, class: u16, method: u16, fields: &[&[u8]]) -> Vec<u8> {
    let id = [class.to_be_bytes(), method.to_be_bytes()].concat();
    frame(1, channel, &[id, fields.concat()].concat())
}

fn header(channel: u16, size: u64) -> Vec<u8> {
    frame(2, channel, &[&[0, 60, 0, 0][..], &size.to_be_bytes(), &[0, 0]].concat())
}

/// What the gate's own questions are refused with, and what they are refused for.
fn refusal(what: u8) -> Vec<u8> {
    let (argument, current) = [
        ("durable", "'true' but current is 'false'"),
        ("auto_delete", "'false' but current is 'true'"),
        ("x-expires", "none but current is the value '60000' of type 'long'"),
        ("x-single-active-consumer", "none but current is the value 'true' of type 'bool'"),
        ("x-queue-type", "'?' but current is 'stream'"),
        ("x-queue-type", "'?' but current is 'classic'"),
        ("x-queue-type", "'?' but current is 'quorum'"),
        ("x-overflow", "none but current is the value 'x"),
    ][usize::from(what) % 8];
    let text = format!("PRECONDITION_FAILED - inequivalent arg '{argument}' for queue 'q': received {current}");
    let code = [406_u16, 404, 403, 405][usize::from(what >> 4) % 4];
    [&code.to_be_bytes()[..], &short(&text), &[0, 50, 0, 10]].concat()
}

/// A content header with a stream's offset.
fn offset_header(channel: u16, offset: u8) -> Vec<u8> {
    let entry = [&short("x-stream-offset")[..], b"l", &u64::from(offset).to_be_bytes()].concat();
    let table = [&(entry.len() as u32).to_be_bytes()[..], &entry].concat();
    frame(2, channel, &[&[0, 60, 0, 0][..], &[0; 8], &[0x20, 0], &table].concat())
}

fn client_says(which: u8, channel: u16, what: u8) -> Vec<u8> {
    let (queue, tag) = (short(QUEUES[usize::from(what) % 4]), short(TAGS[usize::from(what >> 2) % 8]));
    let (bits, number) = ([what >> 4], u64::from(what & 7).to_be_bytes());
    match which % 16 {
        0 => method(channel, 20, 10, &[&[0]]),
        1 => method(channel, 60, 10, &[&[0; 4], &[0, what & 7], &[what >> 7]]),
        2 if what & 4 == 0 => method(channel, 50, 10, &[&[0, 0], &queue, &bits, &[0; 4]]),
        2 => {
            let kind = ["classic", "quorum", "stream", "?"][usize::from(what >> 4) % 4];
            let size = (kind.len() as u32).to_be_bytes();
            let entry = [&short("x-queue-type")[..], b"S", &size, kind.as_bytes()].concat();
            let size = (entry.len() as u32).to_be_bytes();
            method(channel, 50, 10, &[&[0, 0], &queue, &[2], &size, &entry])
        }
        3 | 4 => method(channel, 60, 20, &[&[0, 0], &queue, &tag, &bits, &[0; 4]]),
        5 => method(channel, 60, 30, &[&tag, &bits]),
        6 | 7 => method(channel, 60, 80, &[&number, &bits]),
        8 => method(channel, 60, 120, &[&number, &bits]),
        9 => method(channel, 60, 70, &[&[0, 0], &queue, &bits]),
        10 => method(channel, 60, 40, &[&[0, 0], &short(""), &queue, &[0]]),
        11 => header(channel, u64::from(what & 7)),
        12 => frame(3, channel, &vec![b'x'; usize::from(what & 7)]),
        13 => method(channel, 60, 100 + 10 * u16::from(what & 1), &[&[1]]),
        14 => method(channel, 20, 40 + u16::from(what & 1), &[&[0; 7]]),
        _ => method(channel, 90, 10 * (1 + u16::from(what % 3)), &[]),
    }
}

fn broker_says(which: u8, channel: u16, what: u8) -> Vec<u8> {
    let (queue, tag) = (short(QUEUES[usize::from(what) % 4]), short(TAGS[usize::from(what >> 2) % 8]));
    let number = u64::from(what & 7).to_be_bytes();
    match which % 17 {
        0 => method(channel, 20, 11, &[&[0; 4]]),
        1 => method(channel, 60, 11, &[]),
        2 => method(channel, 50, 11, &[&queue, &[0; 7], &[what >> 6]]),
        3 => method(channel, 60, 21, &[&tag]),
        4 => method(channel, 60, 31, &[&tag]),
        5 | 6 => method(channel, 60, 60, &[&tag, &number, &[0], &short(""), &queue]),
        7 => header(channel, u64::from(what & 7)),
        8 => frame(3, channel, &vec![b'x'; usize::from(what & 7)]),
        9 => method(channel, 60, 71 + u16::from(what & 1), &[&number, &[0], &short(""), &queue, &[0; 4]]),
        10 => method(channel, 20, 40 + u16::from(what & 1), &[&[1, 148, 0, 0, 50, 0, 10]]),
        11 => method(channel, 60, 30, &[&tag, &[1]]),
        12 => method(channel, 60, 111, &[]),
        13 | 14 => method(channel, 20, 40, &[&refusal(what)]),
        15 => offset_header(channel, what),
        _ => method(channel, 90, 11 + 10 * u16::from(what % 3), &[]),
    }
}

/// The client's channels, and those that the gate takes for its own.
fn channel(of: u8) -> u16 {
    [1, 2, 2047, 2046][usize::from(of) % 4]
}

fuzz_target!(|ops: Vec<Op>| {
    let pass = globset::GlobSetBuilder::new().add(globset::Glob::new("p*").expect("a glob")).build().expect("globs");
    let settings = AmqpSettings { pass, user_tag: true, ..AmqpSettings::default() };
    let mut gate = AmqpGate::new(Arc::new(settings), 1);
    let (mut now, mut carry) = (1_000_000, [b"AMQP\x00\x00\x09\x01".to_vec(), vec![]]);
    carry[0].extend(method(0, 10, 31, &[&[7, 255, 0, 2, 0, 0, 0, 60]]));
    for op in ops {
        let (mut out, mut consumed) = (vec![], 0);
        let mut input = |gate: &mut AmqpGate, from: Side, bytes: &[u8], out: &mut Vec<Action>| {
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
            Op::ClientSays(which, on, what) => {
                input(&mut gate, Side::Client, &client_says(which, channel(on), what), &mut out);
            }
            Op::BrokerSays(which, on, what) => {
                input(&mut gate, Side::Broker, &broker_says(which, channel(on), what), &mut out);
            }
            Op::Mark(marked) => gate.mark(now, marked, &mut out),
            Op::Pause(paused) => {
                let set = PausedQueues::new(now, paused.then(|| "q".to_owned()));
                gate.pause(now, &Arc::new(set), &mut out);
            }
            Op::Wait(ms) => {
                now += u64::from(ms);
                gate.timeout(now, &mut out);
            }
            Op::System(n) => gate.set_system([System::Unknown, System::Celery][usize::from(n) % 2]),
            Op::Ending => gate.ending(now, Side::Client, &mut out),
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
        // a time that has come and does nothing would make the pump spin
        for turn in 0.. {
            let Some(due) = gate.next_timeout().filter(|due| *due <= now) else { break };
            assert!(turn < 100, "it wants to be woken at {due} for ever");
            gate.timeout(now, &mut vec![]);
        }
        gate.at_safe_boundary();
    }
});
