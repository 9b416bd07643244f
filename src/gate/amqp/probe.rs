//! Would a consume be refused? An exclusive consumer of somebody else's makes the broker close the channel that asks for
//! another (403), and all that is in flight on it would be done twice. So it is tried on a channel of the gate's own.
//!
//! What is tried must not be given a job. A channel whose limit as a whole is one message, and that has this one in hand,
//! gets no other: first the message is put into a queue of the gate's own and taken out again. Measured on 3.10 and 4.0,
//! with jobs waiting and without. Quorum queues refuse such a limit (by closing the connection) and streams too, but they
//! know no exclusive consumers either: only classic queues are tried.

use super::consume::Consume;
use super::method;
use amq_protocol::protocol::{AMQPClass, basic, queue};
use amq_protocol::types::{AMQPValue, FieldTable, LongString};
use bytes::{Bytes, BytesMut};

/// Whom the gate calls its consumer of jobs.
pub(super) const PROBE: &[u8] = b"draingate-probe";
/// And that of the message which fills its hand.
const PLUG: &[u8] = b"draingate-plug";

/// Fills the channel's hand from a queue of this name. (The limit of each consumer comes first: said after that of the
/// channel it would lift it.)
pub(super) fn fill(channel: u16, queue: &str) -> Bytes {
    let mut bytes = BytesMut::new();
    for frame in [
        method::qos(channel, 1, false),
        method::qos(channel, 1, true),
        own_queue(channel, queue),
        nothing(channel, queue),
        a_consume(channel, queue.as_bytes(), PLUG),
    ] {
        bytes.extend_from_slice(&frame);
    }
    bytes.into()
}

/// Then this consume gets nothing, if it is not refused.
pub(super) fn consume(channel: u16, queue: &[u8]) -> Bytes {
    a_consume(channel, queue, PROBE)
}

/// A consume that is always refused, as no text is a priority. But first it is looked whether the queue is there (404), open
/// to this connection (405) and to the user (403): only who may consume hears of the priority (406). Measured on 3.10 and
/// 4.0, with queues of all kinds.
pub(super) fn refused(channel: u16, queue: &str) -> Bytes {
    let mut arguments = FieldTable::default();
    arguments.insert("x-priority".into(), AMQPValue::LongString(LongString::from("?")));
    let (queue, consumer_tag) = (method::short(queue.as_bytes()), method::short(PROBE));
    let consume = basic::Consume { queue, consumer_tag, arguments, ..Default::default() };
    method::generate(channel, AMQPClass::Basic(basic::AMQPMethod::Consume(consume)))
}

fn a_consume(channel: u16, queue: &[u8], tag: &[u8]) -> Bytes {
    Consume::plain(queue, tag).frame(channel, tag, None).unwrap_or_default()
}

/// A queue of the gate's own, for a moment.
fn own_queue(channel: u16, name: &str) -> Bytes {
    method::declare(channel, queue::Declare { exclusive: true, auto_delete: true, ..method::a_declare(name) })
}

/// An empty message into a queue.
fn nothing(channel: u16, queue: &str) -> Bytes {
    let (exchange, routing_key) = (method::short(b""), method::short(queue.as_bytes()));
    let publish = basic::Publish { exchange, routing_key, ..Default::default() };
    let mut frames = method::generate(channel, AMQPClass::Basic(basic::AMQPMethod::Publish(publish))).to_vec();
    // the content header: class, weight, size, no properties
    frames.extend_from_slice(&method::frame(2, channel, &[&[0, 60][..], &[0; 12]].concat()));
    frames.into()
}
