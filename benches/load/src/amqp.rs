//! Publishers and consumers of RabbitMQ, or of the canned broker. A body begins with its stamp.

use crate::celery::Template;
use crate::net::{Role, Wire};
use crate::world::World;
use traffic::amqp::{self, BODY, Fields, HEADER, METHOD, Properties, method};
use traffic::celery;

const CONSUMER: &str = "ctag1.4f6a";
/// Each consumer's limit of unacknowledged deliveries.
const PREFETCH: u16 = 100;
/// Not more than this waits to be written.
const BACKLOG: usize = 64 * 1024;
/// Octets before a payload.
const HEAD: usize = amqp::AROUND - 1;

/// A whole frame at the start of `input`: kind, length of all of it.
pub(crate) fn frame(input: &[u8]) -> Option<(u8, usize)> {
    let size = u32::from_be_bytes(input.get(3..HEAD)?.try_into().ok()?) as usize;
    (input.len() >= size + amqp::AROUND).then_some((input[0], size + amqp::AROUND))
}

/// The method in a frame.
pub(crate) fn method_of(frame: &[u8]) -> u32 {
    number(frame, HEAD) as u32
}

/// The short string with which the arguments of the method in a frame begin.
pub(crate) fn name_behind_method(frame: &[u8]) -> &str {
    let name = frame.get(HEAD + 4..).and_then(|rest| rest.split_first());
    let name = name.and_then(|(length, rest)| rest.get(..usize::from(*length)));
    name.and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default()
}

fn number(bytes: &[u8], at: usize) -> u64 {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    u64::from(u32::from_be_bytes(four.unwrap_or_default()))
}

fn long_number(bytes: &[u8], at: usize) -> u64 {
    number(bytes, at) << 32 | number(bytes, at + 4)
}

/// What a connection says before its work begins, as the broker answers; each answer brings the next words.
struct Opening {
    /// (what is waited for, what is said then), in order.
    steps: Vec<(u32, Vec<u8>)>,
}

impl Opening {
    /// With more words once the channel is open: (word, its answer).
    fn with(user: &str, more: Vec<(Vec<u8>, u32)>) -> Opening {
        let [start_ok, open] = amqp::opening(user);
        let mut steps = vec![(method::START, start_ok), (method::TUNE, open), (method::OPEN_OK, amqp::channel_open(1))];
        let mut waited = method::CHANNEL_OPEN_OK;
        for (word, answer) in more {
            steps.push((waited, word));
            waited = answer;
        }
        steps.push((waited, Vec::new()));
        Opening { steps }
    }

    /// True if it is over with this method.
    fn heard(&mut self, method: u32, wire: &mut Wire) -> bool {
        if self.steps.first().is_none_or(|(waited, _)| *waited != method) {
            return false;
        }
        wire.send(&self.steps.remove(0).1);
        self.steps.is_empty()
    }
}

struct Publisher {
    opening: Opening,
    message: Template,
    stamp: usize,
    /// The canned broker says when it has had all: on close.
    closes: bool,
    published: u64,
    feeds: bool,
}

fn publishing(queue: &str, properties: &Properties, size: usize, closes: bool) -> Publisher {
    let body = vec![b'x'; size.max(8)];
    let message = amqp::publish(1, "", queue, properties, &body);
    let (stamp, message) = (message.len() - 1 - body.len(), Template::new(message));
    let declare = (amqp::declare(1, queue, false), method::DECLARE_OK);
    Publisher { opening: Opening::with("guest", vec![declare]), message, stamp, closes, published: 0, feeds: true }
}

/// Publishes whenever one is due.
pub(crate) fn publisher(queue: &str, size: usize, closes: bool) -> Box<dyn Role> {
    Box::new(publishing(queue, &Properties::plain(false), size, closes))
}

/// The same with what Celery writes.
pub(crate) fn producer(queue: &str, size: usize) -> Box<dyn Role> {
    Box::new(publishing(queue, &celery::properties(), size, false))
}

/// Publishes a result for each letter it gets.
pub(crate) fn child(user: &str) -> Box<dyn Role> {
    let properties = Properties::celery(&Fields::default(), celery::ID, "");
    let message = amqp::publish(1, "", celery::REPLY, &properties, celery::result().as_bytes());
    let message = Template::new(message);
    let opening = Opening::with(user, Vec::new());
    Box::new(Publisher { opening, message, stamp: 0, closes: false, published: 0, feeds: false })
}

impl Role for Publisher {
    fn feeds(&self) -> bool {
        self.feeds
    }

    fn connected(&mut self, wire: &mut Wire, _world: &mut World) {
        wire.send(amqp::GREETING);
    }

    fn heard(&mut self, wire: &mut Wire, world: &mut World) {
        while let Some((kind, length)) = frame(wire.input()) {
            let method = if kind == METHOD { method_of(wire.input()) } else { 0 };
            wire.take(length);
            if self.opening.heard(method, wire) {
                world.unready -= 1;
            }
            if method == method::CHANNEL_CLOSE_OK {
                world.finish_many(self.published);
            }
        }
    }

    fn poked(&mut self, wire: &mut Wire, world: &mut World) {
        let mut some = 16;
        while some > 0 && wire.backlog() < BACKLOG {
            let Some(stamp) = world.next(world.now()) else { break };
            let message = self.message.of(stamp);
            message[self.stamp..self.stamp + 8].copy_from_slice(&stamp.to_be_bytes());
            wire.send(message);
            self.published += 1;
            some -= 1;
        }
        if self.closes && world.sent >= world.goal {
            self.closes = false;
            world.moved = true;
            wire.send(&Fields::of(method::CHANNEL_CLOSE).short(200).name("").short(0).short(0).frame(1));
        }
    }

    fn mail(&mut self, stamp: u64, wire: &mut Wire) {
        wire.send(self.message.of(stamp));
    }
}

struct Consumer {
    opening: Opening,
    consume: Vec<u8>,
    /// Of the message that is coming.
    tag: u64,
    left: u64,
    first: bool,
    child: Option<usize>,
}

/// Consumes and acknowledges each message; with a child, which then publishes its result.
pub(crate) fn consumer(queue: &str, child: Option<usize>, user: &str) -> Box<dyn Role> {
    let declare = (amqp::declare(1, queue, false), method::DECLARE_OK);
    let opening = Opening::with(user, vec![declare, (amqp::qos(1, PREFETCH), method::QOS_OK)]);
    let consume = amqp::consume(1, queue, CONSUMER, false);
    Box::new(Consumer { opening, consume, tag: 0, left: 0, first: true, child })
}

impl Consumer {
    fn frame(&mut self, wire: &mut Wire, world: &mut World, kind: u8, length: usize) {
        let input = wire.input();
        match kind {
            METHOD if method_of(input) == method::DELIVER => {
                self.tag = long_number(input, amqp::tag_in_deliver(CONSUMER));
            }
            METHOD => {
                let method = method_of(input);
                if self.opening.heard(method, wire) {
                    world.unready -= 1;
                }
            }
            HEADER => {
                self.left = long_number(input, HEAD + 4);
                self.first = true;
            }
            BODY => {
                let stamp = if std::mem::take(&mut self.first) { long_number(input, HEAD) } else { 0 };
                self.left = self.left.saturating_sub((length - amqp::AROUND) as u64);
                if self.left == 0 {
                    wire.send(&amqp::ack(1, self.tag, false));
                    world.finish(stamp);
                    world.mail.extend(self.child.map(|child| (child, stamp)));
                }
            }
            _ => {}
        }
    }
}

impl Role for Consumer {
    fn connected(&mut self, wire: &mut Wire, _world: &mut World) {
        wire.send(amqp::GREETING);
    }

    fn started(&mut self, wire: &mut Wire, _world: &mut World) {
        wire.send(&self.consume);
    }

    fn heard(&mut self, wire: &mut Wire, world: &mut World) {
        while let Some((kind, length)) = frame(wire.input()) {
            self.frame(wire, world, kind, length);
            wire.take(length);
        }
    }
}
