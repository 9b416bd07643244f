//! The fast walk over what nearly all traffic is: whole messages and acks on one open channel, several in a read. It
//! passes them with the same effects as the slow way (`relay`, `client`, `broker`, `content`), but looks the channel and
//! the consumer up once for all of them, and at nothing of a message that nobody reads but the lengths of its frames.
//! What it does not know, and what is not all there, it leaves untouched.

use super::arrival::Teller;
use super::ask;
use super::channel::{Arriving, Channel, Tap, What};
use super::content;
use super::frame::{AROUND, END, HEAD, WHOLE_MAX};
use super::method::{self, Delivery, Id, Settlement};
use super::table::{Properties, body_size};
use super::{AmqpGate, Hold, Mode};
use crate::dialect::amqp as dialect;
use crate::gate::{Action, Side};
use crate::job::Millis;

/// A frame at the start of some bytes.
#[derive(Clone, Copy)]
struct Frame<'a> {
    kind: u8,
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// One of this channel that is all there.
    fn of(number: u16, input: &'a [u8]) -> Option<Frame<'a>> {
        let &[kind, c0, c1, s0, s1, s2, s3] = input.first_chunk::<HEAD>()?;
        let size = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
        let (payload, end) = input[HEAD..].split_at_checked(size)?;
        let whole = u16::from_be_bytes([c0, c1]) == number && end.first() == Some(&END);
        whole.then_some(Frame { kind, payload })
    }

    fn len(&self) -> usize {
        self.payload.len() + AROUND
    }

    /// The method in it, of a size that the slow way reads, too.
    fn method(&self) -> Option<Id> {
        if self.kind == 1 && self.payload.len() <= WHOLE_MAX { method::id(self.payload) } else { None }
    }
}

/// The header of a message and its bodies.
struct Whole<'a> {
    header: &'a [u8],
    /// All body frames.
    bodies: &'a [u8],
    len: usize,
}

impl<'a> Whole<'a> {
    /// One that is all there, on this channel.
    #[inline(always)]
    fn of(number: u16, input: &'a [u8]) -> Option<Whole<'a>> {
        let header = Frame::of(number, input).filter(|frame| frame.kind == 2 && frame.payload.len() <= WHOLE_MAX)?;
        let begin = header.len();
        let (mut left, mut len) = (body_size(header.payload).filter(|_| header.payload.len() >= 14)?, begin);
        while left > 0 {
            let body = Frame::of(number, &input[len..]).filter(|frame| frame.kind == 3)?;
            left = left.checked_sub(body.payload.len() as u64)?;
            len += body.len();
        }
        Some(Whole { header: header.payload, bodies: &input[begin..len], len })
    }

    /// It carries a correlation id.
    fn may_be_reply(&self) -> bool {
        self.header[12..].first().is_some_and(|flags| flags & (1 << 2) != 0)
    }

    /// Reads all of its bodies.
    fn read_along(&self, number: u16, tap: &mut Tap) {
        let mut bodies = self.bodies;
        while let Some(body) = Frame::of(number, bodies) {
            content::read_along(tap, body.payload);
            bodies = &bodies[body.len()..];
        }
    }

    /// What it says of a job, if it is a reply.
    fn result(&self, number: u16) -> Option<Action> {
        let tap = content::reply_tap(&Properties::read(self.header))?;
        match (Frame::of(number, self.bodies), tap) {
            // hardly any has more to be read
            (Some(body), Tap::Reply { id, .. }) if dialect::says_terminal(body.payload) => Some(content::ended(id)),
            (_, mut tap) => {
                self.read_along(number, &mut tap);
                content::result(tap)
            }
        }
    }
}

/// The consumer of the last delivery.
struct Of<'a> {
    tag: &'a [u8],
    /// `None`: what it brings is not written down.
    job: Option<Arriving>,
}

impl<'a> Of<'a> {
    /// `None`: the slow way has to look at what comes for it.
    fn find(channel: &mut Channel, delivery: &Delivery<'a>) -> Option<Of<'a>> {
        let consumer = channel.by_upstream(delivery.consumer).filter(|consumer| !consumer.is_private())?;
        let job = if let What::Job(job) = What::job(delivery, consumer) { Some(job) } else { None };
        Some(Of { tag: delivery.consumer, job })
    }
}

impl AmqpGate {
    /// Passes whole messages and acks at the start of `input`, which begins between two frames: so many bytes.
    pub(super) fn walk(&mut self, from: Side, input: &[u8], out: &mut Vec<Action>) -> usize {
        let Some(&[1, c0, c1]) = input.first_chunk::<3>() else { return 0 };
        let number = u16::from_be_bytes([c0, c1]);
        let held = from == Side::Client && self.hold != Hold::Off;
        if number == 0 || held || self.mode != Mode::Running || self.is_own(number) {
            return 0;
        }
        let Some(channel) = self.channels.get_mut(&number) else { return 0 };
        if !channel.is_open() || !channel.may_follow(from) {
            return 0;
        }
        match from {
            Side::Broker => {
                let teller = Teller { seed: self.seed, number, system: &mut self.system };
                from_broker(channel, teller, input, out)
            }
            Side::Client => {
                let (walked, settled) =
                    from_client(channel, self.settings.nonce, (number, self.now), self.marked, input, out);
                if settled {
                    self.ask_proof(number);
                }
                walked
            }
        }
    }
}

/// Deliveries, and the broker's confirms.
fn from_broker(channel: &mut Channel, mut teller: Teller<'_>, input: &[u8], out: &mut Vec<Action>) -> usize {
    let (mut at, mut of) = (0, None::<Of<'_>>);
    while let Some(frame) = Frame::of(teller.number, &input[at..]) {
        let behind = at + frame.len();
        match frame.method() {
            Some(method::BASIC_ACK | method::BASIC_NACK) => at = behind,
            Some(method::BASIC_DELIVER) => {
                let Some(delivery) = Delivery::of_deliver(frame.payload) else { break };
                let Some(message) = Whole::of(teller.number, &input[behind..]) else { break };
                if of.as_ref().is_none_or(|of| of.tag != delivery.consumer) {
                    of = Of::find(channel, &delivery);
                }
                let Some(of) = &mut of else { break };
                channel.unacked.saw(delivery.tag);
                if let Some(job) = &mut of.job {
                    (job.tag, job.again) = (delivery.tag, delivery.again);
                    arrived(channel, &mut teller, job, &message, out);
                }
                at = behind + message.len;
            }
            _ => break,
        }
    }
    at
}

/// A job that is all there.
#[inline]
fn arrived(channel: &mut Channel, teller: &mut Teller<'_>, job: &Arriving, message: &Whole<'_>, out: &mut Vec<Action>) {
    let properties = Properties::read(message.header);
    // most bodies show at once that they say nothing
    let told = Frame::of(teller.number, message.bodies).filter(|body| dialect::may_tell(body.payload));
    let size = told.map_or(0, |_| message.bodies.len() as u64);
    let Some(mut tap) = teller.arrives(channel, job, &properties, size, out) else { return };
    message.read_along(teller.number, &mut tap);
    teller.read(channel, tap, out);
}

/// Publishes and settlements. True if something was settled that is to be proven now.
fn from_client(
    channel: &mut Channel,
    nonce: Option<u64>,
    (number, now): (u16, Millis),
    marked: bool,
    input: &[u8],
    out: &mut Vec<Action>,
) -> (usize, bool) {
    let mut at = 0;
    while let Some(frame) = Frame::of(number, &input[at..]) {
        let behind = at + frame.len();
        match frame.method() {
            Some(method::BASIC_PUBLISH) => {
                let what = AmqpGate::published(nonce, frame.payload);
                let Some(message) = Whole::of(number, &input[behind..]) else { break };
                match what {
                    What::Plain => {}
                    What::Reply if !message.may_be_reply() => {}
                    What::Reply => out.extend(message.result(number)),
                    _ => break,
                }
                at = behind + message.len;
            }
            Some(id @ (method::BASIC_ACK | method::BASIC_NACK | method::BASIC_REJECT)) => {
                let settlement = Settlement::read(id, frame.payload).filter(|settled| !ask::is_own(settled.tag));
                let Some(settlement) = settlement else { break };
                at = behind;
                if channel.settle(settlement, now, marked) {
                    return (at, true);
                }
            }
            _ => break,
        }
    }
    (at, false)
}
