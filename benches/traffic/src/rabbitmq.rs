//! Scenarios of RabbitMQ.

use crate::amqp::{self, Properties};
use crate::celery;
use crate::scenario::{Scenario, Turn};
use draingate::job::{Protocol, System};

const CONSUMER: &str = "ctag1.4f6a";
const QUEUE: &str = "jobs";

/// All of them.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let plain = Properties::plain(false);
    let (small, large) = ([b'x'; 100], [b'x'; 10_000]);
    vec![
        delivering("amqp deliver ack 100 B", 1, System::Unknown, &plain, &small, true),
        delivering("amqp deliver ack 100 B x50", 50, System::Unknown, &plain, &small, true),
        delivering("amqp deliver no_ack 100 B x50", 50, System::Unknown, &plain, &small, false),
        delivering("amqp deliver ack 10 kB x3", 3, System::Unknown, &plain, &large, true),
        publishing("amqp publish 100 B", 1, &plain, &small),
        publishing("amqp publish 100 B x50", 50, &plain, &small),
        publishing("amqp publish 10 kB x3", 3, &plain, &large),
        celery_worker(),
        whole("amqp job path 100 B x100", System::Unknown, &plain, &small),
        whole("amqp job path celery x100", System::Celery, &celery::properties(), celery::BODY.as_bytes()),
    ]
}

/// A connection with one channel, and what is asked on it.
fn opened(asked: &[(u32, Vec<u8>)]) -> Vec<Turn> {
    let [start_ok, open] = amqp::opening("guest");
    let mut turns = vec![
        Turn::client(&amqp::GREETING[..]),
        Turn::broker(amqp::start()),
        Turn::client(start_ok),
        Turn::broker(answer(amqp::method::START_OK)),
        Turn::client(open),
        Turn::broker(answer(amqp::method::OPEN)),
        Turn::client(amqp::channel_open(1)),
        Turn::broker(answer(amqp::method::CHANNEL_OPEN)),
    ];
    for (method, bytes) in asked {
        turns.extend([Turn::client(bytes.clone()), Turn::broker(answer(*method))]);
    }
    turns
}

fn answer(asked: u32) -> Vec<u8> {
    amqp::answer(1, asked, QUEUE, CONSUMER).unwrap_or_default()
}

fn consuming(no_ack: bool) -> Vec<Turn> {
    opened(&[
        (amqp::method::DECLARE, amqp::declare(1, QUEUE, true)),
        (amqp::method::QOS, amqp::qos(1, 100)),
        (amqp::method::CONSUME, amqp::consume(1, QUEUE, CONSUMER, no_ack)),
    ])
}

/// So many deliveries in one read, and their acks in the next.
fn delivered(number: u64, properties: &Properties, body: &[u8]) -> [Turn; 2] {
    let (mut deliveries, mut acks) = (Turn::broker([]), Turn::client([]));
    for tag in 1..=number {
        deliveries.tags.push(deliveries.bytes.len() + amqp::tag_in_deliver(CONSUMER));
        deliveries.bytes.extend(amqp::deliver(1, CONSUMER, tag, QUEUE, properties, body));
        acks.tags.push(acks.bytes.len() + amqp::TAG_IN_ACK);
        acks.bytes.extend(amqp::ack(1, tag, false));
    }
    [deliveries, acks]
}

fn delivering(
    name: &'static str,
    number: u64,
    system: System,
    properties: &Properties,
    body: &[u8],
    acked: bool,
) -> Scenario {
    let [deliveries, acks] = delivered(number, properties, body);
    let cycle = if acked { vec![deliveries, acks] } else { vec![deliveries] };
    let (before, units) = (consuming(!acked), number * if acked { 4 } else { 3 });
    Scenario { name, protocol: Protocol::Amqp, system, before, cycle, units, tags: number, whole: false }
}

/// All that a job costs: 100 in a read, through the gate into the fleet and its journal, and out of it when the broker has
/// confirmed their acks.
fn whole(name: &'static str, system: System, properties: &Properties, body: &[u8]) -> Scenario {
    let mut scenario = delivering(name, 100, system, properties, body, true);
    let deliveries = &mut scenario.cycle[0];
    let id = [&b"\x02idS\0\0\0\x24"[..], celery::ID.as_bytes()].concat();
    let at = deliveries.bytes.windows(id.len()).enumerate().filter(|(_, window)| *window == id);
    deliveries.ids = at.map(|(at, _)| at + 8).collect();
    for (number, at) in deliveries.ids.iter().enumerate() {
        deliveries.bytes[*at..at + 8].copy_from_slice(format!("{number:02}000000").as_bytes());
    }
    Scenario { units: 100, whole: true, ..scenario }
}

fn publishing(name: &'static str, number: u64, properties: &Properties, body: &[u8]) -> Scenario {
    let bytes = amqp::publish(1, "", QUEUE, properties, body).repeat(number as usize);
    let (before, cycle) = (opened(&[]), vec![Turn::client(bytes)]);
    Scenario {
        name,
        protocol: Protocol::Amqp,
        system: System::Unknown,
        before,
        cycle,
        units: number * 3,
        tags: 0,
        whole: false,
    }
}

/// A task, its ack, and its result, on one connection.
fn celery_worker() -> Scenario {
    let [delivery, ack] = delivered(1, &celery::properties(), celery::BODY.as_bytes());
    let headers = amqp::Fields::default();
    let result = Properties::celery(&headers, celery::ID, "");
    let publish = amqp::publish(1, "", celery::REPLY, &result, celery::result().as_bytes());
    Scenario {
        name: "amqp celery deliver ack result",
        protocol: Protocol::Amqp,
        system: System::Celery,
        before: consuming(false),
        cycle: vec![delivery, ack, Turn::client(publish)],
        units: 7,
        tags: 1,
        whole: false,
    }
}
