//! Whole reads and single bytes: what the RESP gate writes and tells does not depend on where a read ends. With nothing but a
//! stable compiler:
//! `RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
//! -Cllvm-args=-sanitizer-coverage-pc-table --cfg fuzzing" cargo run --release --target x86_64-unknown-linux-gnu --bin cuts`
//! (a target of its own, so that build scripts are left alone).
#![no_main]

use arbitrary::Arbitrary;
use draingate::gate::resp::{RespGate, RespSettings};
use draingate::gate::{Action, Gate, Side};
use draingate::job::{JobEvent, System};
use draingate::queue::PausedQueues;
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

#[derive(Arbitrary, Debug)]
enum Op<'a> {
    Client(&'a [u8]),
    Broker(&'a [u8]),
    /// Two commands that make sense, for a deeper reach than bytes by themselves have.
    Say(u8, u8),
    Reply(u8),
    Mark(bool),
    Pause(bool),
    Wait(u16),
    System(u8),
}

const COMMANDS: &[&str] = &[
    "BRPOP q 0",
    "BRPOP q 1",
    "LPOP q",
    "EVALSHA a 1 retry 1795000000",
    "MULTI",
    "EXEC",
    "DISCARD",
    "HELLO 3",
    "HELLO 2",
    "PING",
    "BLMOVE q mine RIGHT LEFT 1",
    "LREM mine 1 x",
    "XREADGROUP GROUP g c BLOCK 1000 STREAMS s >",
    "XACK s g 1-1",
    "SUBSCRIBE a",
    "UNSUBSCRIBE",
    "CLIENT REPLY OFF",
    "CLIENT REPLY ON",
    "CLIENT REPLY SKIP",
    "RESET",
    "SELECT 1",
    "AUTH a b",
    "WATCH k",
    "GET k",
    "SET k v",
    "ZPOPMIN s__queue 1",
    "EVAL x 1 s__queue 1 2",
    "BZPOPMIN z 5",
    "HDEL unacked t",
    "SETEX celery-task-meta-1 9 {}",
];

const REPLIES: &[&str] = &[
    "*-1\r\n",
    "_\r\n",
    "*2\r\n$1\r\nq\r\n$1\r\nx\r\n",
    "+OK\r\n",
    "+QUEUED\r\n",
    ":1\r\n",
    "$-1\r\n",
    "$1\r\nx\r\n",
    "-ERR no\r\n",
    "*0\r\n",
    "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*1\r\n$1\r\na\r\n",
    "%1\r\n+proto\r\n:3\r\n",
    "*2\r\n+proto\r\n:2\r\n",
    "*1\r\n:1\r\n",
    ">2\r\n+a\r\n+b\r\n",
    "*2\r\n$1\r\nm\r\n$13\r\n1795000000000\r\n",
];

fn command(which: u8) -> Vec<u8> {
    let words: Vec<&str> = COMMANDS[usize::from(which) % COMMANDS.len()].split(' ').collect();
    let head = format!("*{}\r\n", words.len());
    words.iter().fold(head, |all, word| format!("{all}${}\r\n{word}\r\n", word.len())).into_bytes()
}

/// One of the two gates, and what it has put out.
struct Way {
    gate: RespGate,
    bytewise: bool,
    carry: [Vec<u8>; 2],
    written: [Vec<u8>; 2],
    events: Vec<JobEvent>,
    closed: bool,
}

impl Way {
    fn new(bytewise: bool) -> Way {
        let fetch =
            globset::GlobSetBuilder::new().add(globset::Glob::new("q").expect("a glob")).build().expect("globs");
        let gate = RespGate::new(Arc::new(RespSettings { fetch, ..RespSettings::default() }), 1);
        let (carry, written) = Default::default();
        Way { gate, bytewise, carry, written, events: vec![], closed: false }
    }

    fn feed(&mut self, now: u64, from: Side, bytes: &[u8]) {
        for piece in bytes.chunks(if self.bytewise { 1 } else { bytes.len().max(1) }) {
            self.carry[from as usize].extend(piece);
            self.present(now, from);
        }
        // what that has set free
        self.present(now, from.other());
        self.gate.flushed(self.written[Side::Client as usize].len() as u64);
    }

    /// Presents what waits on a side, bytewise as if it had just come that way.
    fn present(&mut self, now: u64, side: Side) {
        while !self.closed && self.gate.wants(side) && !self.carry[side as usize].is_empty() {
            let waiting = std::mem::take(&mut self.carry[side as usize]);
            let (mut out, mut used) = (vec![], 0);
            for end in if self.bytewise { 1 } else { waiting.len() }..=waiting.len() {
                used = self.gate.input(now, side, &waiting[..end], &mut out);
                self.heed(side, &waiting, std::mem::take(&mut out));
                if used > 0 || self.closed {
                    break;
                }
            }
            self.carry[side as usize] = waiting[used..].to_vec();
            if used == 0 {
                return;
            }
        }
    }

    fn heed(&mut self, from: Side, input: &[u8], out: Vec<Action>) {
        for action in out {
            match action {
                Action::Forward(range) => self.written[from.other() as usize].extend(&input[range]),
                Action::Send { to, bytes } => self.written[to as usize].extend(&bytes),
                // told behind all that one read has brought
                Action::Event(JobEvent::PausesTaken { .. }) => {}
                Action::Event(event) => self.events.push(event),
                Action::Close(_) => self.closed = true,
            }
        }
    }

    fn tell(&mut self, now: u64, told: impl FnOnce(&mut RespGate, &mut Vec<Action>)) {
        let mut out = vec![];
        told(&mut self.gate, &mut out);
        if self.gate.next_timeout().is_some_and(|at| at <= now) {
            self.gate.timeout(now, &mut out);
        }
        self.heed(Side::Client, &[], out);
        self.present(now, Side::Client);
        self.present(now, Side::Broker);
    }

    fn take(&mut self, now: u64, op: &Op) {
        match op {
            Op::Client(bytes) => self.feed(now, Side::Client, bytes),
            Op::Broker(bytes) => self.feed(now, Side::Broker, bytes),
            Op::Say(one, other) => self.feed(now, Side::Client, &[command(*one), command(*other)].concat()),
            Op::Reply(n) => self.feed(now, Side::Broker, REPLIES[usize::from(*n) % REPLIES.len()].as_bytes()),
            Op::Mark(marked) => self.tell(now, |gate, out| gate.mark(now, *marked, out)),
            Op::Pause(paused) => {
                let set = Arc::new(PausedQueues::new(now, paused.then(|| "q".to_owned())));
                self.tell(now, |gate, out| gate.pause(now, &set, out));
            }
            Op::System(n) => {
                let system = [System::Unknown, System::Celery, System::Sidekiq][usize::from(*n) % 3];
                self.tell(now, |gate, _| gate.set_system(system));
            }
            Op::Wait(_) => self.tell(now, |_, _| {}),
        }
    }
}

fuzz_target!(|ops: Vec<Op>| {
    let [mut whole, mut bytewise] = [Way::new(false), Way::new(true)];
    let mut now = 1_000_000;
    for op in ops {
        match op {
            Op::Wait(ms) => now += u64::from(ms),
            // Redis puts none into a line; where it ends is anybody's guess then
            Op::Broker(bytes) if bytes.contains(&b'\r') => continue,
            _ => {}
        }
        whole.take(now, &op);
        bytewise.take(now, &op);
        // what is no RESP may be noticed sooner or later
        if whole.closed || bytewise.closed {
            return;
        }
        assert_eq!(whole.written, bytewise.written);
        assert_eq!(whole.events, bytewise.events);
    }
});
