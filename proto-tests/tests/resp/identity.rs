//! Random streams: an undrained gate changes nothing, however the streams are cut; and replies are told
//! apart as the redis-protocol crate tells them apart.

use crate::support::{Rng, cases, command};
use bytes::{Bytes, BytesMut};
use draingate::gate::resp::{RespGate, RespSettings};
use draingate::gate::{Action, Gate, Side};
use draingate::job::JobEvent;
use proptest::prelude::*;
use redis_protocol::resp3::types::{BytesFrame, VerbatimStringFormat};
use redis_protocol::{resp2, resp3};
use std::sync::Arc;

fn word() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[a-z]{1,9}", 1 => "[a-z]{60,90}", 1 => "[a-z]{1020,1030}"]
}

/// A value as Redis might reply it.
fn frame() -> impl Strategy<Value = BytesFrame> {
    let text = || "[ -~]{0,20}".prop_map(Bytes::from);
    let leaf = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..40).prop_map(|d| BytesFrame::BlobString { data: d.into(), attributes: None }),
        1 => text().prop_map(|data| BytesFrame::SimpleString { data, attributes: None }),
        1 => "[A-Z]{3} [ -~]{0,200}".prop_map(|d| BytesFrame::SimpleError { data: d.into(), attributes: None }),
        2 => any::<i32>().prop_map(|n| BytesFrame::Number { data: n.into(), attributes: None }),
        1 => Just(BytesFrame::Null),
        1 => any::<bool>().prop_map(|data| BytesFrame::Boolean { data, attributes: None }),
        1 => (-1e9..1e9f64).prop_map(|data| BytesFrame::Double { data, attributes: None }),
        1 => "[0-9]{1,90}".prop_map(|d| BytesFrame::BigNumber { data: d.into(), attributes: None }),
        1 => text().prop_map(|data| BytesFrame::BlobError { data, attributes: None }),
        1 => text().prop_map(|data| BytesFrame::VerbatimString { data, format: VerbatimStringFormat::Text, attributes: None }),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let some = prop::collection::vec(inner.clone(), 0..6);
        prop_oneof![
            some.clone().prop_map(|data| BytesFrame::Array { data, attributes: None }),
            some.prop_map(|data| BytesFrame::Map {
                data: data
                    .chunks_exact(2)
                    .enumerate()
                    .map(|(i, p)| (BytesFrame::Number { data: i as i64, attributes: None }, p[1].clone()))
                    .collect(),
                attributes: None
            }),
        ]
    })
}

fn encode(frame: &BytesFrame) -> Vec<u8> {
    let mut out = BytesMut::new();
    resp3::encode::complete::extend_encode(&mut out, frame, false).expect("it can be encoded");
    out.to_vec()
}

/// A command and its replies, none of the closed list.
#[derive(Clone)]
struct Exchange {
    asked: Vec<u8>,
    replied: Vec<u8>,
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} -> {}", self.asked.escape_ascii(), self.replied.escape_ascii())
    }
}

fn exchange() -> impl Strategy<Value = Exchange> {
    let plain = (
        prop::sample::select(vec![
            "SET", "GET", "INCR", "FOO", "publish", "HSET", "Eval", "xadd", "LPOP", "watch", "ZPOPMIN", "SMEMBERS",
        ]),
        prop::collection::vec(word(), 0..5),
        frame(),
    )
        .prop_map(|(name, args, reply)| Exchange {
            asked: command(&format!("{name} {}", args.join(" "))),
            replied: encode(&reply),
        });
    let fixed = prop::sample::select(vec![
        ("PING", "+PONG\r\n"),
        ("BRPOP q 1", "_\r\n"),
        ("BRPOP q 2", "*2\r\n$1\r\nq\r\n$3\r\njob\r\n"),
        ("BLMOVE a b LEFT RIGHT 0.5", "$-1\r\n"),
        ("BZPOPMIN z 0.1", "*3\r\n$1\r\nz\r\n$1\r\nm\r\n,1.5\r\n"),
        ("XREADGROUP GROUP g c STREAMS s >", "%1\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"),
        ("SUBSCRIBE a b", ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n>3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n>3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n"),
        ("UNSUBSCRIBE a b", ">3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:1\r\n>3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:0\r\n"),
        ("SUBSCRIBE x", "-NOPERM no\r\n"),
        ("PING", ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n+PONG\r\n"),
        ("CLIENT REPLY SKIP", ""),
        ("CLIENT REPLY ON", "+OK\r\n"),
        ("RESET x", "-ERR wrong number of arguments\r\n"),
        ("HELLO 3", "%1\r\n+proto\r\n:3\r\n"),
        ("AUTH user pass", "+OK\r\n"),
        ("SELECT 3", "+OK\r\n"),
    ]).prop_map(|(asked, replied)| Exchange { asked: command(asked), replied: replied.into() });
    let transaction = prop::collection::vec((word(), frame()), 0..4).prop_map(|commands| {
        let mut asked = command("MULTI");
        let mut replied = b"+OK\r\n".to_vec();
        commands.iter().for_each(|(w, _)| asked.extend(command(&format!("GET {w}"))));
        commands.iter().for_each(|_| replied.extend(b"+QUEUED\r\n"));
        asked.extend(command("EXEC"));
        replied.extend(format!("*{}\r\n", commands.len()).bytes());
        commands.iter().for_each(|(_, f)| replied.extend(encode(f)));
        Exchange { asked, replied }
    });
    let inline = prop::sample::select(vec![
        ("PING\r\n", "+PONG\r\n"),
        ("get \"a b\"\r\n", "$1\r\nx\r\n"),
        ("\r\n", ""),
        ("*0\r\n", ""),
    ])
    .prop_map(|(asked, replied)| Exchange { asked: asked.into(), replied: replied.into() });
    prop_oneof![6 => plain, 5 => fixed, 1 => transaction, 1 => inline]
}

/// CLIENT REPLY SKIP takes the next reply away.
fn skipped(mut exchanges: Vec<Exchange>) -> Vec<Exchange> {
    let skip = command("CLIENT REPLY SKIP");
    let on = command("CLIENT REPLY ON");
    let mut skipping = false;
    for exchange in &mut exchanges {
        if exchange.asked == skip {
            skipping = true;
        } else if skipping && exchange.asked != on {
            // a transaction or a subscription would be more than one command
            exchange.asked = command("PING");
            exchange.replied = vec![];
            skipping = false;
        } else {
            skipping = false;
        }
    }
    exchanges
}

/// One side's bytes on their way through the gate.
#[derive(Default)]
struct Way {
    source: Vec<u8>,
    shown: usize,
    used: usize,
    arrived: Vec<u8>,
}

impl Way {
    fn step(&mut self, gate: &mut RespGate, from: Side, upto: usize, rng: &mut Rng, events: &mut Vec<JobEvent>) {
        self.shown = (self.shown + rng.below([2, 9, 400][rng.clone().below(3)])).min(upto);
        if self.shown == self.used || !gate.wants(from) {
            return;
        }
        let input = &self.source[self.used..self.shown];
        let mut out = vec![];
        let used = gate.input(0, from, input, &mut out);
        for action in out {
            match action {
                Action::Forward(range) => self.arrived.extend_from_slice(&input[range]),
                Action::Event(event) => events.push(event),
                other => panic!("{other:?}"),
            }
        }
        self.used += used;
    }
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn an_undrained_gate_changes_nothing(exchanges in prop::collection::vec(exchange(), 1..40), seed in any::<u64>()) {
        let exchanges = skipped(exchanges);
        let mut gate = RespGate::new(Arc::new(RespSettings::default()), 1);
        let (mut rng, mut events) = (Rng::new(seed), vec![]);
        // a session in RESP3
        gate.input(0, Side::Client, &command("HELLO 3"), &mut vec![]);
        gate.input(0, Side::Broker, b"%1\r\n+proto\r\n:3\r\n", &mut vec![]);
        let (mut there, mut back) = (Way::default(), Way::default());
        there.source = exchanges.iter().flat_map(|e| e.asked.clone()).collect();
        back.source = exchanges.iter().flat_map(|e| e.replied.clone()).collect();
        for _ in 0..200_000 {
            let whole = there.source.len();
            there.step(&mut gate, Side::Client, whole, &mut rng, &mut events);
            // the broker replies to what has reached it
            let (mut asked, mut replied) = (0, 0);
            for exchange in &exchanges {
                asked += exchange.asked.len();
                replied += exchange.replied.len();
                if asked > there.arrived.len() {
                    replied -= exchange.replied.len();
                    break;
                }
            }
            back.step(&mut gate, Side::Broker, replied, &mut rng, &mut events);
            if there.used == there.source.len() && back.used == back.source.len() {
                break;
            }
        }
        prop_assert_eq!(there.arrived.escape_ascii().to_string(), there.source.escape_ascii().to_string());
        prop_assert_eq!(back.arrived.escape_ascii().to_string(), back.source.escape_ascii().to_string());
        gate.flushed(u64::MAX);
        prop_assert!(gate.at_safe_boundary());
        prop_assert!(!events.iter().any(|e| matches!(e, JobEvent::Opaque)), "{events:?}");
    }

    #[test]
    fn replies_end_where_the_oracle_says(frames in prop::collection::vec(frame(), 1..12), seed in any::<u64>()) {
        let bytes: Vec<u8> = frames.iter().flat_map(encode).collect();
        let mut rng = Rng::new(seed);
        let mut gate = RespGate::new(Arc::new(RespSettings::default()), 1);
        gate.input(0, Side::Client, &command("PING").repeat(frames.len()), &mut vec![]);
        let (mut shown, mut used) = (0, 0);
        while used < bytes.len() {
            prop_assert!(!gate.at_safe_boundary(), "it takes the replies for complete after {used} of {} bytes", bytes.len());
            shown = (shown + 1 + rng.below(30)).min(bytes.len());
            used += gate.input(0, Side::Broker, &bytes[used..shown], &mut vec![]);
        }
        prop_assert!(gate.at_safe_boundary());
        // the oracle reads the same number of values
        let (mut at, mut count) = (0, 0);
        while let Some((_, length)) = resp3::decode::complete::decode(&bytes[at..]).expect("it is RESP3") {
            at += length;
            count += 1;
        }
        prop_assert_eq!((at, count), (bytes.len(), frames.len()));
    }

    #[test]
    fn what_one_reader_takes_for_resp_the_other_does(bytes in "([*$:+_#,-]-?[0-9]{0,2}(\r\n)?[a-c]{0,3}(\r\n)?){1,6}") {
        let oracle = resp2::decode::decode(bytes.as_bytes());
        let mut gate = RespGate::new(Arc::new(RespSettings::default()), 1);
        gate.input(0, Side::Client, &command("PING"), &mut vec![]);
        let used = gate.input(0, Side::Broker, bytes.as_bytes(), &mut vec![]);
        // RESP2 is a part of what the gate reads
        if let Ok(Some((_, length))) = oracle {
            let mut other = RespGate::new(Arc::new(RespSettings::default()), 1);
            other.input(0, Side::Client, &command("PING"), &mut vec![]);
            other.input(0, Side::Broker, &bytes.as_bytes()[..length], &mut vec![]);
            prop_assert!(other.at_safe_boundary(), "{bytes:?} {length} {used}");
        }
    }
}
