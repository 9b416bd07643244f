//! Would a consume be refused? An exclusive consumer of somebody else's makes the broker close the channel that asks for
//! another (403), and all that is in flight on it would be done twice. So it is tried on a channel of the gate's own.
//!
//! What is tried must not be given a job. A channel whose limit as a whole is one message, and that has this one in hand,
//! gets no other: first the message is put into a queue of the gate's own and taken out again. Measured on 3.10 and 4.0,
//! with jobs waiting and without. Quorum queues refuse such a limit (by closing the connection) and streams too, but they
//! know no exclusive consumers either: only classic queues are tried.

use super::method;
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
        method::declare_own(channel, queue),
        method::publish_nothing(channel, queue),
        method::consume(channel, queue.as_bytes(), PLUG),
    ] {
        bytes.extend_from_slice(&frame);
    }
    bytes.into()
}

/// Then this consume gets nothing, if it is not refused.
pub(super) fn consume(channel: u16, queue: &[u8]) -> Bytes {
    method::consume(channel, queue, PROBE)
}
