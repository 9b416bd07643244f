//! Methods: the ids of those that the gate reads, the few that lie on the way of every job read by hand without an
//! allocation, and the frames of the gate's own making (by `amq-protocol`).

use super::frame::{END, Fields, HEAD};
use amq_protocol::frame::{AMQPFrame, WriteContext, gen_frame, parsing::traits::ParsableInput};
use amq_protocol::protocol::{AMQPClass, basic, channel, parse_class, queue};
use amq_protocol::types::{AMQPValue, FieldTable, ShortString};
use bytes::Bytes;

/// `(class, method)` as they stand at the front of a method frame's payload.
pub(super) type Id = (u16, u16);

pub(super) const CONNECTION_START_OK: Id = (10, 11);
pub(super) const CONNECTION_TUNE_OK: Id = (10, 31);
pub(super) const CONNECTION_CLOSE: Id = (10, 50);
pub(super) const CONNECTION_CLOSE_OK: Id = (10, 51);
pub(super) const CONNECTION_BLOCKED: Id = (10, 60);
pub(super) const CONNECTION_UNBLOCKED: Id = (10, 61);
pub(super) const CHANNEL_OPEN: Id = (20, 10);
pub(super) const CHANNEL_OPEN_OK: Id = (20, 11);
pub(super) const CHANNEL_CLOSE: Id = (20, 40);
pub(super) const CHANNEL_CLOSE_OK: Id = (20, 41);
pub(super) const QUEUE_DECLARE: Id = (50, 10);
pub(super) const QUEUE_DECLARE_OK: Id = (50, 11);
pub(super) const QUEUE_DELETE: Id = (50, 40);
pub(super) const BASIC_QOS: Id = (60, 10);
pub(super) const BASIC_QOS_OK: Id = (60, 11);
pub(super) const BASIC_CONSUME: Id = (60, 20);
pub(super) const BASIC_CONSUME_OK: Id = (60, 21);
pub(super) const BASIC_CANCEL: Id = (60, 30);
pub(super) const BASIC_CANCEL_OK: Id = (60, 31);
pub(super) const BASIC_PUBLISH: Id = (60, 40);
pub(super) const BASIC_RETURN: Id = (60, 50);
pub(super) const BASIC_DELIVER: Id = (60, 60);
pub(super) const BASIC_GET: Id = (60, 70);
pub(super) const BASIC_GET_OK: Id = (60, 71);
pub(super) const BASIC_GET_EMPTY: Id = (60, 72);
pub(super) const BASIC_ACK: Id = (60, 80);
pub(super) const BASIC_REJECT: Id = (60, 90);
pub(super) const BASIC_RECOVER_ASYNC: Id = (60, 100);
pub(super) const BASIC_RECOVER: Id = (60, 110);
pub(super) const BASIC_RECOVER_OK: Id = (60, 111);
pub(super) const BASIC_NACK: Id = (60, 120);
pub(super) const TX_SELECT: Id = (90, 10);
pub(super) const CONFIRM_SELECT: Id = (85, 10);
pub(super) const TX_COMMIT: Id = (90, 20);
pub(super) const TX_COMMIT_OK: Id = (90, 21);
pub(super) const TX_ROLLBACK: Id = (90, 30);
pub(super) const TX_ROLLBACK_OK: Id = (90, 31);

/// The id at the front of a payload.
pub(super) fn id(payload: &[u8]) -> Option<Id> {
    let mut fields = Fields(payload);
    Some((fields.short()?, fields.short()?))
}

/// Whether the broker answers a client's method with one reply, in the order of the requests. The replies to
/// basic.consume and basic.cancel keep no order and are matched by their tag. `payload` tells a `nowait`.
pub(super) fn has_ordered_reply(id: Id, payload: &[u8]) -> bool {
    match id {
        // open, select, commit, rollback, qos, get, recover
        CHANNEL_OPEN | BASIC_QOS | BASIC_GET | BASIC_RECOVER | TX_SELECT | TX_COMMIT | TX_ROLLBACK => true,
        // channel.flow, access.request
        (20, 20) | (30, 10) => true,
        QUEUE_DECLARE => !bit_after_names(payload, 1, 4),
        // delete(queue) has if-unused, if-empty, nowait
        QUEUE_DELETE => !bit_after_names(payload, 1, 2),
        // purge; bind(queue, exchange, key); unbind has no nowait
        (50, 30) => !bit_after_names(payload, 1, 0),
        (50, 20) => !bit_after_names(payload, 3, 0),
        (50, 50) => true,
        // exchange.declare(name, type): passive, durable, auto-delete, internal, nowait; delete(name): if-unused, nowait
        (40, 10) => !bit_after_names(payload, 2, 4),
        (40, 20) => !bit_after_names(payload, 1, 1),
        // exchange.bind and unbind (destination, source, key): nowait
        (40, 30 | 40) => !bit_after_names(payload, 3, 0),
        // nowait only
        CONFIRM_SELECT => payload.get(4).is_none_or(|bits| bits & 1 == 0),
        _ => false,
    }
}

/// Whether a broker's method is the reply to one of those.
pub(super) fn is_ordered_reply(id: Id) -> bool {
    let basic = matches!(id, BASIC_QOS_OK | BASIC_GET_OK | BASIC_GET_EMPTY | BASIC_RECOVER_OK);
    basic
        || matches!(id, CHANNEL_OPEN_OK | QUEUE_DECLARE_OK | TX_COMMIT_OK | TX_ROLLBACK_OK)
        || matches!(id, (20, 21) | (30, 11) | (40, 11 | 21 | 31 | 51) | (50, 21 | 31 | 41 | 51) | (85, 11) | (90, 11))
}

/// A bit of the octet that follows the ticket and so many names.
fn bit_after_names(payload: &[u8], names: usize, bit: u8) -> bool {
    let mut fields = Fields(payload);
    if fields.take(6).is_none() {
        return false;
    }
    for _ in 0..names {
        if fields.shortstr().is_none() {
            return false;
        }
    }
    fields.octet().is_some_and(|bits| bits >> bit & 1 == 1)
}

/// basic.deliver and basic.get-ok, as far as the gate cares.
pub(super) struct Delivery<'a> {
    /// Empty for basic.get-ok.
    pub(super) consumer: &'a [u8],
    pub(super) tag: u64,
    /// It was handed out before, to whomever.
    pub(super) again: bool,
}

impl<'a> Delivery<'a> {
    pub(super) fn of_deliver(payload: &'a [u8]) -> Option<Delivery<'a>> {
        let mut fields = Fields(payload.get(4..)?);
        Some(Delivery { consumer: fields.shortstr()?, tag: fields.longlong()?, again: fields.octet()? & 1 == 1 })
    }

    pub(super) fn of_get_ok(payload: &'a [u8]) -> Option<Delivery<'a>> {
        let mut fields = Fields(payload.get(4..)?);
        Some(Delivery { consumer: &[], tag: fields.longlong()?, again: fields.octet()? & 1 == 1 })
    }
}

/// How a client ends deliveries: basic.ack, nack and reject in one shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settlement {
    pub(super) tag: u64,
    pub(super) multiple: bool,
    /// Given back to the queue.
    pub(super) requeue: bool,
}

impl Settlement {
    pub(super) fn read(id: Id, payload: &[u8]) -> Option<Settlement> {
        let mut fields = Fields(payload.get(4..)?);
        let (tag, bits) = (fields.longlong()?, fields.octet()?);
        Some(match id {
            BASIC_ACK => Settlement { tag, multiple: bits & 1 == 1, requeue: false },
            BASIC_NACK => Settlement { tag, multiple: bits & 1 == 1, requeue: bits >> 1 & 1 == 1 },
            _ => Settlement { tag, multiple: false, requeue: bits & 1 == 1 },
        })
    }
}

/// basic.publish: exchange and routing key.
pub(super) fn publish(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut fields = Fields(payload.get(6..)?);
    Some((fields.shortstr()?, fields.shortstr()?))
}

/// The tag of consume-ok, cancel and cancel-ok.
pub(super) fn consumer_tag(payload: &[u8]) -> Option<&[u8]> {
    Fields(payload.get(4..)?).shortstr()
}

/// `nowait` of a basic.cancel.
pub(super) fn cancel_is_nowait(payload: &[u8]) -> bool {
    let mut fields = Fields(payload.get(4..).unwrap_or_default());
    fields.shortstr().is_some() && fields.octet().is_some_and(|bits| bits & 1 == 1)
}

/// The queue that a method of the class queue is about.
pub(super) fn queue_name(payload: &[u8]) -> Option<&[u8]> {
    Fields(payload.get(6..)?).shortstr()
}

/// How many consumers a queue has, by its declare-ok.
pub(super) fn consumer_count(payload: &[u8]) -> u32 {
    let mut fields = Fields(payload.get(4..).unwrap_or_default());
    fields.shortstr().and_then(|_| fields.long()).and_then(|_| fields.long()).unwrap_or(0)
}

/// basic.get: the queue, and whether nothing will be acknowledged.
pub(super) fn get(payload: &[u8]) -> Option<(&[u8], bool)> {
    let mut fields = Fields(payload.get(6..)?);
    Some((fields.shortstr()?, fields.octet()? & 1 == 1))
}

/// A method frame out of its payload.
pub(super) fn raw_frame(channel: u16, payload: &[u8]) -> Bytes {
    frame(1, channel, payload)
}

/// A frame of any kind.
pub(super) fn frame(kind: u8, channel: u16, payload: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(payload.len() + HEAD + 1);
    frame.push(kind);
    frame.extend_from_slice(&channel.to_be_bytes());
    frame.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(payload);
    frame.push(END);
    frame.into()
}

pub(super) fn push_shortstr(into: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    into.push(u8::try_from(text.len()).ok()?);
    into.extend_from_slice(text);
    Some(())
}

/// A method frame with its tag (the first field) replaced.
pub(super) fn with_tag(channel: u16, payload: &[u8], tag: &[u8]) -> Option<Bytes> {
    let mut fields = Fields(payload.get(4..)?);
    fields.shortstr()?;
    let mut patched = payload[..4].to_vec();
    push_shortstr(&mut patched, tag)?;
    patched.extend_from_slice(fields.0);
    Some(raw_frame(channel, &patched))
}

/// Decodes a method with all its fields. For rare ones.
pub(super) fn decode(payload: &[u8]) -> Option<AMQPClass> {
    fn whole<'a>(payload: &'a [u8]) -> Option<AMQPClass>
    where
        &'a [u8]: ParsableInput,
    {
        parse_class(payload).ok().map(|(_, class)| class)
    }
    whole(payload)
}

/// A whole number that a client wrote in any of its types.
pub(super) fn unsigned(value: &AMQPValue) -> Option<u64> {
    match value {
        AMQPValue::ShortShortInt(n) => u64::try_from(*n).ok(),
        AMQPValue::ShortShortUInt(n) => Some(u64::from(*n)),
        AMQPValue::ShortInt(n) => u64::try_from(*n).ok(),
        AMQPValue::ShortUInt(n) => Some(u64::from(*n)),
        AMQPValue::LongInt(n) => u64::try_from(*n).ok(),
        AMQPValue::LongUInt(n) => Some(u64::from(*n)),
        AMQPValue::LongLongInt(n) => u64::try_from(*n).ok(),
        _ => None,
    }
}

/// The bytes of a method of the gate's own.
pub(super) fn generate(channel: u16, class: AMQPClass) -> Bytes {
    let frame = AMQPFrame::Method(channel, class);
    let mut buffer = vec![0; 1_024];
    let made = gen_frame(&frame)(WriteContext::from(std::io::Cursor::new(buffer.as_mut_slice())));
    let length = made.map_or(0, |context| context.into_inner().1);
    buffer.truncate(usize::try_from(length).unwrap_or(0));
    buffer.into()
}

pub(super) fn short(text: &[u8]) -> ShortString {
    ShortString::try_new(String::from_utf8_lossy(text)).unwrap_or_else(|_| ShortString::from(""))
}

/// basic.cancel, to be answered. (By hand: a client's tag need not be text.)
pub(super) fn cancel(channel: u16, tag: &[u8]) -> Bytes {
    let mut payload = vec![0, 60, 0, 30];
    let _ = push_shortstr(&mut payload, tag);
    payload.push(0);
    raw_frame(channel, &payload)
}

/// basic.consume-ok and basic.cancel-ok: nothing but the tag.
pub(super) fn tag_only(channel: u16, id: Id, tag: &[u8]) -> Bytes {
    let mut payload = Vec::with_capacity(5 + tag.len());
    payload.extend_from_slice(&id.0.to_be_bytes());
    payload.extend_from_slice(&id.1.to_be_bytes());
    let _ = push_shortstr(&mut payload, tag);
    raw_frame(channel, &payload)
}

/// basic.get-empty.
pub(super) fn get_empty(channel: u16) -> Bytes {
    generate(channel, AMQPClass::Basic(basic::AMQPMethod::GetEmpty(basic::GetEmpty {})))
}

/// basic.qos of each consumer to come, or (`global`) of the channel.
pub(super) fn qos(channel: u16, prefetch_count: u16, global: bool) -> Bytes {
    generate(channel, AMQPClass::Basic(basic::AMQPMethod::Qos(basic::Qos { prefetch_count, global })))
}

/// channel.open.
pub(super) fn channel_open(number: u16) -> Bytes {
    generate(number, AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})))
}

/// channel.close.
pub(super) fn channel_close(number: u16) -> Bytes {
    let close = channel::Close { reply_code: 200, reply_text: short(b"done"), class_id: 0, method_id: 0 };
    generate(number, AMQPClass::Channel(channel::AMQPMethod::Close(close)))
}

/// channel.close-ok.
pub(super) fn channel_close_ok(number: u16) -> Bytes {
    generate(number, AMQPClass::Channel(channel::AMQPMethod::CloseOk(channel::CloseOk {})))
}

/// A passive queue.declare: does it exist?
pub(super) fn does_exist(channel: u16, queue: &str) -> Bytes {
    declare(channel, queue::Declare { passive: true, ..a_declare(queue) })
}

/// A queue.declare that is compared with the queue that is there.
pub(super) fn declare_like(channel: u16, queue: &str, durable: bool, arguments: FieldTable) -> Bytes {
    declare(channel, queue::Declare { durable, arguments, ..a_declare(queue) })
}

pub(super) fn declare(channel: u16, declare: queue::Declare) -> Bytes {
    generate(channel, AMQPClass::Queue(queue::AMQPMethod::Declare(declare)))
}

/// One that says nothing.
pub(super) fn a_declare(queue: &str) -> queue::Declare {
    queue::Declare { queue: short(queue.as_bytes()), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amq_protocol::protocol::{confirm, exchange};

    /// Every method that can be said without waiting, with all its other flags set the other way.
    #[test]
    fn whoever_does_not_wait_is_owed_nothing() {
        let name = || short(b"a name");
        for nowait in [false, true] {
            let other = !nowait;
            let of_queue = [
                queue::AMQPMethod::Declare(queue::Declare {
                    queue: name(),
                    passive: other,
                    durable: other,
                    exclusive: other,
                    auto_delete: other,
                    nowait,
                    ..Default::default()
                }),
                queue::AMQPMethod::Bind(queue::Bind { queue: name(), nowait, ..Default::default() }),
                queue::AMQPMethod::Purge(queue::Purge { queue: name(), nowait }),
                queue::AMQPMethod::Delete(queue::Delete { queue: name(), if_unused: other, if_empty: other, nowait }),
            ];
            let of_exchange = [
                exchange::AMQPMethod::Declare(exchange::Declare {
                    exchange: name(),
                    kind: name(),
                    passive: other,
                    durable: other,
                    auto_delete: other,
                    internal: other,
                    nowait,
                    ..Default::default()
                }),
                exchange::AMQPMethod::Delete(exchange::Delete { exchange: name(), if_unused: other, nowait }),
                exchange::AMQPMethod::Bind(exchange::Bind { source: name(), nowait, ..Default::default() }),
                exchange::AMQPMethod::Unbind(exchange::Unbind { source: name(), nowait, ..Default::default() }),
            ];
            let select = AMQPClass::Confirm(confirm::AMQPMethod::Select(confirm::Select { nowait }));
            let classes = of_queue.map(AMQPClass::Queue).into_iter().chain(of_exchange.map(AMQPClass::Exchange));
            for class in classes.chain([select]) {
                let what = format!("{class:?}");
                let frame = generate(1, class);
                let payload = &frame[HEAD..frame.len() - 1];
                assert_eq!(id(payload).map(|id| has_ordered_reply(id, payload)), Some(other), "{what}");
            }
        }
        let unbind = generate(1, AMQPClass::Queue(queue::AMQPMethod::Unbind(queue::Unbind::default())));
        assert!(has_ordered_reply((50, 50), &unbind[HEAD..]), "it always waits");
    }
}
