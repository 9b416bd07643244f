//! An undrained gate is a wire: properties over random frame streams.

use crate::frames::{encode, frame};
use crate::script::World;
use draingate::gate::{Gate, Side};
use proptest::prelude::*;

/// How often a property is tried, unless PROPTEST_CASES says otherwise.
fn cases(n: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(n), failure_persistence: None, ..ProptestConfig::default() }
}

/// A frame that a client may send on an open channel, or a whole message.
fn client_line() -> impl Strategy<Value = String> {
    let channel = 1..4_u8;
    let tag = prop::sample::select(vec!["a", "b", "c"]);
    let what = prop_oneof![
        (1..30_u64, any::<bool>()).prop_map(|(n, m)| format!("ack {n}{}", if m { " multiple" } else { "" })),
        (1..30_u64).prop_map(|n| format!("nack {n} requeue")),
        tag.clone().prop_map(|t| format!("cancel {t}")),
        tag.prop_map(|t| format!("consume q{t} {t}")),
        Just("send ex key hello id=3".to_owned()),
        Just("send - key - correlation=9".to_owned()),
        Just("qos 5".to_owned()),
        Just("get q".to_owned()),
        Just("declare q durable".to_owned()),
        Just("tx.select".to_owned()),
        Just("recover".to_owned()),
        Just("confirm.select".to_owned()),
    ];
    prop_oneof![9 => (channel, what).prop_map(|(c, w)| format!("{c} {w}")), 1 => Just("0 heartbeat".to_owned())]
}

fn broker_line() -> impl Strategy<Value = String> {
    let what = prop_oneof![
        (1..30_u64).prop_map(|n| format!("message a {n} some-body id=x task=y")),
        (1..30_u64).prop_map(|n| format!("message b {n} -")),
        Just("consume-ok a".to_owned()),
        Just("consume-ok b".to_owned()),
        Just("cancel-ok a".to_owned()),
        Just("qos-ok".to_owned()),
        Just("get-empty".to_owned()),
        Just("declare-ok q".to_owned()),
        Just("ack 4 multiple".to_owned()),
        Just("cancel b nowait".to_owned()),
        Just("recover-ok".to_owned()),
    ];
    (1..4_u8, what).prop_map(|(c, w)| format!("{c} {w}"))
}

fn open() -> (Vec<u8>, Vec<u8>) {
    let lines = |lines: &[&str]| lines.iter().flat_map(|l| encode(l).expect("a frame")).collect::<Vec<u8>>();
    (
        lines(&["greeting", "0 start-ok", "0 tune-ok", "0 connection.open", "1 open", "2 open", "3 open"]),
        lines(&["0 start", "0 tune", "0 connection.open-ok", "1 open-ok", "2 open-ok", "3 open-ok"]),
    )
}

proptest! {
    #![proptest_config(cases(400))]

    /// Whatever is sent, in whatever cut: it arrives, and nothing else does. (The gate's own proofs come with time,
    /// which does not pass here.)
    #[test]
    fn what_is_sent_arrives(
        lines in prop::collection::vec((any::<bool>(), client_line(), broker_line()), 0..60),
        seed in any::<u64>(),
    ) {
        let mut world = World::random(seed);
        let (client, broker) = open();
        let mut sent = [broker.clone(), client.clone()];
        world.feed(Side::Client, &client);
        world.feed(Side::Broker, &broker);
        for (from_client, ours, theirs) in lines {
            let (from, line) = if from_client { (Side::Client, ours) } else { (Side::Broker, theirs) };
            let bytes = encode(&line).expect("a frame");
            sent[from.other() as usize].extend(&bytes);
            world.feed(from, &bytes);
        }
        prop_assert_eq!(&world.written[0], &sent[0]);
        // a tag that is used again waits for the answer that makes it free; nothing else ever does
        let mut arrived = world.written[1].clone();
        arrived.extend(&world.waiting[0]);
        prop_assert_eq!(&arrived, &sent[1]);
        prop_assert!(world.waiting[0].is_empty() || !world.gate.wants(Side::Client));
    }

    /// Random frames and random garbage: no panic, and an unmarked gate loses nothing.
    #[test]
    fn garbage_arrives_too(
        pieces in prop::collection::vec((any::<bool>(), 0..10_u8, 0..4_u16, prop::collection::vec(any::<u8>(), 0..40)), 0..20),
        seed in any::<u64>(),
    ) {
        let mut world = World::random(seed);
        let (client, broker) = open();
        let mut sent = [broker.clone(), client.clone()];
        world.feed(Side::Client, &client);
        world.feed(Side::Broker, &broker);
        for (from_client, kind, channel, payload) in pieces {
            let from = if from_client { Side::Client } else { Side::Broker };
            let bytes = if kind == 0 { payload } else { frame(kind, channel, &payload) };
            sent[from.other() as usize].extend(&bytes);
            world.feed(from, &bytes);
        }
        for side in [0, 1] {
            // what is not there yet is a beginning that may become a frame
            prop_assert!(sent[side].starts_with(&world.written[side]));
        }
    }

    /// Marked or not, its queue paused or not, at any moment: no panic, and what goes to the broker is whole frames, never one of the gate's own
    /// inside a message.
    #[test]
    fn nothing_goes_into_a_message(
        lines in prop::collection::vec((0..8_u8, client_line(), broker_line()), 0..60),
        seed in any::<u64>(),
    ) {
        let mut world = World::random(seed);
        let (client, broker) = open();
        world.feed(Side::Client, &client);
        world.feed(Side::Broker, &broker);
        for (what, ours, theirs) in lines {
            match what {
                0 | 1 => world.feed(Side::Client, &encode(&ours).expect("a frame")),
                2 | 3 => world.feed(Side::Broker, &encode(&theirs).expect("a frame")),
                4 => world.mark(true),
                5 => world.mark(false),
                6 => world.pause(&["q"]),
                _ => world.pause(&[]),
            }
            world.pass(7);
        }
        for side in [Side::Client, Side::Broker] {
            if let Err(why) = well_formed(&world.written[side as usize]) {
                return Err(TestCaseError::fail(why));
            }
        }
        let _ = world.gate.at_safe_boundary();
    }
}

/// Whole frames, and each message in one piece on its channel.
fn well_formed(mut bytes: &[u8]) -> Result<(), String> {
    if bytes.starts_with(b"AMQP") {
        bytes = &bytes[8..];
    }
    let mut due: std::collections::HashMap<u16, Option<u64>> = std::collections::HashMap::new();
    while bytes.len() >= 7 {
        let size = u32::from_be_bytes([bytes[3], bytes[4], bytes[5], bytes[6]]) as usize;
        let Some(frame) = bytes.get(..size + 8) else { break };
        let channel = u16::from_be_bytes([frame[1], frame[2]]);
        match (frame[0], due.get(&channel).copied()) {
            (1, None) => {
                if frame[8] == 60 && [40, 50, 60, 71].contains(&frame[10]) {
                    due.insert(channel, None);
                }
            }
            (2, Some(None)) => {
                let size = u64::from_be_bytes(frame[11..19].try_into().map_err(|_| "short")?);
                if size == 0 {
                    due.remove(&channel)
                } else {
                    due.insert(channel, Some(size))
                };
            }
            (3, Some(Some(left))) => {
                let left = left.checked_sub(size as u64).ok_or("too long")?;
                if left == 0 {
                    due.remove(&channel)
                } else {
                    due.insert(channel, Some(left))
                };
            }
            (8, _) => {}
            other => return Err(format!("a frame out of place: {other:?}")),
        }
        bytes = &bytes[frame.len()..];
    }
    Ok(())
}

/// What RabbitMQ keeps of one channel, as its documentation says it.
#[derive(Default)]
struct Model {
    unacked: std::collections::BTreeSet<u64>,
    highest: u64,
}

impl Model {
    fn settle(&mut self, tag: u64, multiple: bool) {
        if tag > self.highest {
            return;
        }
        match (tag, multiple) {
            (0, true) => self.unacked.clear(),
            (_, true) => self.unacked.retain(|open| *open > tag),
            _ => {
                self.unacked.remove(&tag);
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(300))]

    /// Deliveries and settlements in any order: what the gate takes for in flight is what the broker does.
    #[test]
    fn the_accounts_equal_a_model(
        steps in prop::collection::vec((0..5_u8, 0..20_u64, any::<bool>()), 0..80),
        seed in any::<u64>(),
    ) {
        let mut world = World::random(seed);
        let (client, broker) = open();
        world.feed(Side::Client, &client);
        world.feed(Side::Broker, &broker);
        let send = |world: &mut World, from, line: &str| world.feed(from, &encode(line).expect("a frame"));
        send(&mut world, Side::Client, "1 consume q a");
        send(&mut world, Side::Broker, "1 consume-ok a");
        let mut model = Model::default();
        for (what, tag, multiple) in steps {
            let many = if multiple { " multiple" } else { "" };
            match what {
                0 | 1 => {
                    model.highest += 1;
                    model.unacked.insert(model.highest);
                    send(&mut world, Side::Broker, &format!("1 message a {} abc", model.highest));
                }
                2 | 3 => {
                    model.settle(tag, multiple);
                    let method = if what == 2 { "ack" } else { "nack" };
                    send(&mut world, Side::Client, &format!("1 {method} {tag}{many}"));
                }
                _ => {
                    model.unacked.clear();
                    send(&mut world, Side::Client, "1 recover");
                    send(&mut world, Side::Broker, "1 recover-ok");
                }
            }
            // what has been settled is confirmed
            world.pass(300);
            send(&mut world, Side::Broker, "1 cancel-ok ~draingate-7");
        }
        let open: std::collections::BTreeSet<u64> = world.in_flight();
        prop_assert_eq!(open, model.unacked);
    }
}
