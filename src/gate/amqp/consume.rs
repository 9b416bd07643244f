//! A basic.consume of the client's: what it asks for, and how the gate says it again.

use super::frame::Fields;
use super::method::{push_shortstr, raw_frame};
use super::table::{self, Entries, Value};
use bytes::Bytes;

/// A basic.consume, kept so that it can be said again word by word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Consume {
    pub(super) queue: Vec<u8>,
    pub(super) tag: Vec<u8>,
    bits: u8,
    /// The arguments' table as written.
    arguments: Vec<u8>,
}

/// Where a stream is read from, in the arguments of a consume.
const STREAM_OFFSET: &[u8] = b"x-stream-offset";
const NO_ACK: u8 = 1 << 1;
const EXCLUSIVE: u8 = 1 << 2;
const NOWAIT: u8 = 1 << 3;

impl Consume {
    pub(super) fn read(payload: &[u8]) -> Option<Consume> {
        let mut fields = Fields(payload.get(6..)?);
        let (queue, tag) = (fields.shortstr()?.to_vec(), fields.shortstr()?.to_vec());
        Some(Consume { queue, tag, bits: fields.octet()?, arguments: fields.0.to_vec() })
    }

    /// Without any arguments.
    pub(super) fn plain(queue: &[u8], tag: &[u8]) -> Consume {
        Consume { queue: queue.to_vec(), tag: tag.to_vec(), bits: 0, arguments: vec![0; 4] }
    }

    pub(super) fn no_ack(&self) -> bool {
        self.bits & NO_ACK != 0
    }

    pub(super) fn exclusive(&self) -> bool {
        self.bits & EXCLUSIVE != 0
    }

    pub(super) fn nowait(&self) -> bool {
        self.bits & NOWAIT != 0
    }

    /// Begins at what is the end of a stream at the time, if it is one.
    pub(super) fn begins_at_the_end(&self) -> bool {
        self.offset().is_none() || self.speaks_of_the_end()
    }

    /// Says so (`next`, `last`, `1h`), as opposed to `first`, an offset and a time.
    pub(super) fn speaks_of_the_end(&self) -> bool {
        matches!(self.offset(), Some(Value::Text(text)) if text != b"first")
    }

    /// Says where to begin, which is only said of a stream.
    pub(super) fn says_where(&self) -> bool {
        self.offset().is_some()
    }

    fn offset(&self) -> Option<Value<'_>> {
        Entries::of(&self.arguments).get(STREAM_OFFSET)
    }

    /// The same of the gate's own, on another channel.
    pub(super) fn beside(&self, channel: u16) -> Option<Bytes> {
        Consume { bits: 0, ..self.clone() }.frame(channel, b"draingate-anchor", None)
    }

    /// The frame, under another tag and never `nowait`; a stream goes on at `offset`.
    pub(super) fn frame(&self, channel: u16, tag: &[u8], offset: Option<i64>) -> Option<Bytes> {
        let mut payload = vec![0, 60, 0, 20, 0, 0];
        push_shortstr(&mut payload, &self.queue)?;
        push_shortstr(&mut payload, tag)?;
        payload.push(self.bits & !NOWAIT);
        match offset {
            None => payload.extend_from_slice(&self.arguments),
            Some(offset) => table::set_integer(&self.arguments, STREAM_OFFSET, offset, &mut payload)?,
        }
        Some(raw_frame(channel, &payload))
    }
}
