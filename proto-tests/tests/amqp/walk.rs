//! Two ways to the same result: messages that come in one read, which the gate walks over, and those that come byte by
//! byte, which it reads frame by frame. (Acks are walked over either way.) The bytes and the facts have to be the same,
//! whatever is under way.

use crate::frames::encode;
use crate::hand::each;
use draingate::gate::amqp::{AmqpGate, AmqpSettings};
use draingate::gate::{Action, Gate, Side};
use draingate::job::JobEvent;
use proptest::prelude::*;
use std::sync::Arc;

/// One of the two gates, and what it has put out since it was looked at.
struct Way {
    gate: AmqpGate,
    bytewise: bool,
    carry: [Vec<u8>; 2],
    written: [Vec<u8>; 2],
    events: Vec<JobEvent>,
    closed: bool,
}

impl Way {
    fn new(bytewise: bool) -> Way {
        let settings = AmqpSettings { nonce: Some(7), ..AmqpSettings::default() };
        let gate = AmqpGate::new(Arc::new(settings), 7);
        Way {
            gate,
            bytewise,
            carry: Default::default(),
            written: Default::default(),
            events: Vec::new(),
            closed: false,
        }
    }

    fn feed(&mut self, now: u64, from: Side, bytes: &[u8]) {
        let pieces = if self.bytewise { bytes.chunks(1) } else { bytes.chunks(bytes.len().max(1)) };
        for piece in pieces {
            self.carry[from as usize].extend(piece);
            self.present(now, from);
        }
        // what that has set free
        self.present(now, from.other());
    }

    /// Presents what waits on a side.
    fn present(&mut self, now: u64, side: Side) {
        if self.closed || !self.gate.wants(side) {
            return;
        }
        let (waiting, mut out) = (std::mem::take(&mut self.carry[side as usize]), Vec::new());
        let used = self.gate.input(now, side, &waiting, &mut out);
        self.heed(side, &waiting, out);
        self.carry[side as usize] = waiting[used..].to_vec();
    }

    fn heed(&mut self, from: Side, input: &[u8], out: Vec<Action>) {
        for action in out {
            match action {
                Action::Forward(range) => self.written[from.other() as usize].extend(&input[range]),
                Action::Send { to, bytes } => self.written[to as usize].extend(&bytes),
                Action::Event(event) => self.events.extend(each(event)),
                Action::Close(_) => self.closed = true,
            }
        }
    }

    fn at(&mut self, now: u64, marked: Option<bool>) {
        let mut out = Vec::new();
        if let Some(marked) = marked {
            self.gate.mark(now, marked, &mut out);
        }
        if self.gate.next_timeout().is_some_and(|at| at <= now) {
            self.gate.timeout(now, &mut out);
        }
        self.heed(Side::Client, &[], out);
        self.present(now, Side::Client);
        self.present(now, Side::Broker);
    }
}

/// What a client may say: `#` stands for a number, `;` for the end of a frame, and `@` for a frame of the other channel.
/// What is there several times comes more often.
const CLIENT: &[&str] = &[
    "ack #",
    "ack #",
    "ack #",
    "ack # multiple",
    "nack # multiple requeue",
    "reject #",
    "ack 4611686018427387905", // the gate's own
    "send ex key hello id=3",
    "send ex key hello id=3",
    "send - key {\"status\":\"SUCCESS\"} correlation=9",
    "send - key {\"status\":\"RETRY\"} correlation=9",
    "send - key {\"status\":\"SUCCESS\"} correlation=9 task=x",
    "publish - key;header 20 correlation=4;body {\"status\":;body;body \"SUCCESS\"}",
    "publish - key;header 0 correlation=4",
    "send - key hello",
    "send celeryev worker.heartbeat {}",
    "publish ex key;header 3;body ab;body;body c",
    "publish ex key;header 3;@ack #;body abc",
    "cancel a",
    "tx.select",
    "recover",
    "close 200 0/0",
];

const BROKER: &[&str] = &[
    "message a # abc id=x task=y",
    "message a # abc message=m",
    "message a # abc offset=4",
    "message a # - id=x task=y",
    "message a # {\"queue_name\":\"qa\",\"actor_name\":\"add\",\"message_id\":\"m\",\"options\":{\"eta\":5}}",
    "message a # {\"queue_name\":\"other\",\"actor_name\":\"add\",\"message_id\":\"m\",\"options\":{}}",
    "message b # abc id=x task=y",
    "message c # abc",
    "ack #",
    "deliver a #;header 3;body;body ab;@message b # x;body c",
    "deliver a #;header 3 id=x task=y;body ab;body c",
    "deliver a #;header 3;@ack #;@message a # abc;body abc",
    "cancel-ok a",
    "cancel-ok ~draingate-7",
    "cancel-ok ~draingate-7",
    "recover-ok",
];

fn line(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    let line = (1..3_u8, prop::sample::select(of), 0..30_u64);
    let line = line.prop_map(|(channel, what, n)| {
        let of = |frame: &str| match frame.strip_prefix('@') {
            Some(other) => format!("{} {other}", 3 - channel),
            None => format!("{channel} {frame}"),
        };
        let frames: Vec<String> = what.replace('#', &n.to_string()).split(';').map(of).collect();
        frames.join(";")
    });
    prop_oneof![15 => line, 1 => Just("0 heartbeat".to_owned())]
}

#[derive(Clone, Debug)]
enum Do {
    Client(Vec<String>),
    Broker(Vec<String>),
    Mark(bool),
    Wait(u64),
}

fn act() -> impl Strategy<Value = Do> {
    prop_oneof![
        6 => prop::collection::vec(line(CLIENT), 1..8).prop_map(Do::Client),
        9 => prop::collection::vec(line(BROKER), 1..8).prop_map(Do::Broker),
        1 => any::<bool>().prop_map(Do::Mark),
        2 => prop::sample::select(vec![1, 20, 250, 1_000]).prop_map(Do::Wait),
    ]
}

fn cases(n: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(n), failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn whole_reads_and_single_bytes_come_to_the_same(acts in prop::collection::vec(act(), 0..25)) {
        let mut ways = [Way::new(false), Way::new(true)];
        let lines = |lines: &[String]| lines.join(";").split(';').flat_map(|line| encode(line).expect("a frame")).collect::<Vec<u8>>();
        let of = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        // all consumers are there from the first, and no channel is free for a question of the gate's own: what it does about
        // those depends on what it has read by then
        let begin = [
            Do::Client(of("greeting,0 start-ok,0 tune-ok 2,0 connection.open,1 open,2 open,1 consume qa a,2 consume qa a,1 consume qb b no_ack")),
            Do::Broker(of("0 start,0 tune,0 connection.open-ok,1 open-ok,2 open-ok,1 consume-ok a,2 consume-ok a,1 consume-ok b")),
        ];
        let mut now = 1_700_000_000_000;
        for act in begin.into_iter().chain(acts) {
            for way in &mut ways {
                match &act {
                    Do::Client(sent) => way.feed(now, Side::Client, &lines(sent)),
                    Do::Broker(sent) => way.feed(now, Side::Broker, &lines(sent)),
                    Do::Mark(marked) => way.at(now, Some(*marked)),
                    Do::Wait(millis) => way.at(now + millis, None),
                }
            }
            if let Do::Wait(millis) = act {
                now += millis;
            }
            let [whole, bytewise] = &mut ways;
            // what the gate thinks of between two reads it thinks of sooner between bytes: the facts are the same, in another
            // order
            let said = |way: &mut Way| {
                let mut facts: Vec<String> = way.events.drain(..).map(|event| format!("{event:?}")).collect();
                facts.sort_unstable();
                (std::mem::take(&mut way.written), facts, way.closed)
            };
            let (one, other) = (said(whole), said(bytewise));
            if whole.closed && bytewise.closed {
                break;
            }
            prop_assert_eq!(one, other, "{:?}", act);
        }
    }
}
