//! The gate's own question: it comes to the worker by its consumer of remote control, as if the broker had delivered it.
//! The answer is published to a routing key of the default exchange that no queue has: it is read along on its way, and
//! kept from the broker, which may not let this account publish there (403: the channel is closed, and with it goes what
//! else the worker does on it; Celery 5.7 sends no heartbeats from then on). On a channel whose publishes are confirmed by
//! their numbers it cannot be missing; there the broker gets it, and drops it.
//!
//! That consumer does not acknowledge, and is alone on its channel. Should a client settle such a delivery all the same,
//! the broker must not hear of it: it would close the channel (406).

use super::channel::{Channel, Content, What};
use super::consumer::{Consumer, State};
use super::{AmqpGate, method};
use crate::dialect::inspect;
use crate::gate::{Action, Side};
use crate::job::JobEvent;
use crate::question::{List, Question, addressed};
use bytes::Bytes;

/// Delivery tags from here on are the gate's own. Those of a broker begin with 1 on each channel.
const OWN_TAGS: u64 = 1 << 62;
/// basic.deliver.
const DELIVER: [u8; 4] = [0, 60, 0, 60];
/// Of a content header: the class basic, no weight.
const BASIC: [u8; 4] = [0, 60, 0, 0];
/// Properties: content type and content encoding.
const TYPED: [u8; 2] = [0xC0, 0];

/// What a connection needs for it.
#[derive(Debug, Default)]
pub(super) struct Asking {
    question: Option<Question>,
    /// Deliveries of the gate's own so far.
    delivered: u64,
}

impl Asking {
    /// The newest question counts.
    pub(super) fn wants(&mut self, question: Question) {
        self.question = Some(question);
    }
}

/// A delivery tag that no broker has given.
pub(super) fn is_own(tag: u64) -> bool {
    tag >= OWN_TAGS
}

impl Consumer {
    /// Remote control comes by it, and nobody acknowledges.
    fn is_mailbox(&self) -> bool {
        !self.is_job() && self.consume.no_ack() && self.over.is_none() && inspect::is_mailbox(&self.queue)
    }
}

impl AmqpGate {
    /// A consumer has been asked for.
    pub(super) fn note_mailbox(&mut self, consumer: &Consumer, out: &mut Vec<Action>) {
        if consumer.is_mailbox() {
            out.push(Action::Event(JobEvent::Listens(true)));
        }
    }

    /// Puts the question in line, if somebody listens.
    pub(super) fn put_question(&mut self, out: &mut Vec<Action>) {
        let Some(question) = self.asking.question.take() else { return };
        if self.closing {
            return;
        }
        // alone on its channel: no tag of its own is like one of the gate's
        let alone = |channel: &&Channel| channel.is_open() && channel.consumers.len() == 1;
        let listener = |channel: &Channel| {
            let consumer = channel.consumers.values().next().filter(|consumer| consumer.is_mailbox())?;
            Some((consumer.state, consumer.consume.tag.clone()))
        };
        let mut channels = self.channels.iter().filter(|(_, channel)| alone(channel));
        match channels.find_map(|(number, channel)| Some((*number, listener(channel)?))) {
            Some((number, (State::Active, tag))) => self.deliver_question(number, &tag, &question),
            // its consume-ok is under way
            Some((_, (State::Asked, _))) => self.asking.question = Some(question),
            // it may come again, and says so then
            _ => out.push(Action::Event(JobEvent::Listens(false))),
        }
    }

    fn deliver_question(&mut self, number: u16, consumer: &[u8], question: &Question) {
        let mut bytes = Vec::new();
        for list in question.lists {
            self.asking.delivered += 1;
            let tag = OWN_TAGS + self.asking.delivered;
            deliver(number, consumer, tag, inspect::question(question, *list).as_bytes(), &mut bytes);
        }
        self.enqueue(Side::Client, number, Bytes::from(bytes));
    }

    /// What a publish to the default exchange with this key is, if it answers a question.
    #[inline]
    pub(super) fn answer_to(nonce: Option<u64>, key: &[u8]) -> Option<What> {
        let (number, list) = addressed(nonce?, key)?;
        Some(What::Answer { number, list, kept: false })
    }
}

impl Channel {
    /// The client begins to publish a message. True if it is for the gate alone.
    pub(super) fn publishes(&mut self, mut what: What) -> bool {
        if let What::Answer { kept, .. } = &mut what {
            *kept = !self.confirms;
        }
        let content = self.content(Side::Client);
        *content = Content::Header(what);
        content.is_kept()
    }
}

/// What is asked for, and how much of the answer has come.
#[derive(Debug)]
pub(super) struct Answering {
    pub(super) number: u64,
    pub(super) list: List,
    pub(super) body: Vec<u8>,
    pub(super) kept: bool,
}

/// A message of the gate's own, in three frames.
fn deliver(number: u16, consumer: &[u8], tag: u64, body: &[u8], out: &mut Vec<u8>) {
    let mut payload = DELIVER.to_vec();
    let _ = method::push_shortstr(&mut payload, consumer);
    payload.extend_from_slice(&tag.to_be_bytes());
    payload.push(0);
    let _ = method::push_shortstr(&mut payload, b"celery.pidbox");
    let _ = method::push_shortstr(&mut payload, b"");
    out.extend_from_slice(&method::raw_frame(number, &payload));
    let mut header = BASIC.to_vec();
    header.extend_from_slice(&(body.len() as u64).to_be_bytes());
    header.extend_from_slice(&TYPED);
    let _ = method::push_shortstr(&mut header, b"application/json");
    let _ = method::push_shortstr(&mut header, b"utf-8");
    out.extend_from_slice(&method::frame(2, number, &header));
    out.extend_from_slice(&method::frame(3, number, body));
}
