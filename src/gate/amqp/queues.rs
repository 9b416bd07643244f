//! What is known of queues on this connection: that they exist, and what they are like.

use crate::dialect::amqp::Attributes;
use crate::job::Millis;
use amq_protocol::types::AMQPValue;
use std::collections::HashMap;

/// A client that declares ever new queues makes no more than so many be remembered; one that is not remembered is asked
/// for when it matters.
const KEPT: usize = 4_096;

/// The types of queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Classic,
    Quorum,
    Stream,
}

/// The type that an `x-queue-type` says.
pub(super) fn kind(value: &AMQPValue) -> Option<Kind> {
    let AMQPValue::LongString(text) = value else { return None };
    match text.as_bytes() {
        b"classic" => Some(Kind::Classic),
        b"quorum" => Some(Kind::Quorum),
        b"stream" => Some(Kind::Stream),
        _ => None,
    }
}

/// What a queue is like: by its declare on this connection, which the broker has checked, or by its own word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) attributes: Attributes,
    /// `x-expires`, if it could be read.
    pub(super) expires: Option<Millis>,
    /// A declare need not say it: then it is not known.
    pub(super) kind: Option<Kind>,
}

/// See the module. Every queue in it was seen to exist.
#[derive(Debug, Default)]
pub(super) struct Queues {
    known: HashMap<Vec<u8>, Option<Known>>,
    /// The last answer to a question, good for the one who asked.
    answer: Option<(Vec<u8>, bool)>,
    /// One of them is a quorum queue.
    quorum: bool,
}

impl Queues {
    /// The broker has answered a declare; a passive one says nothing about what the queue is like.
    pub(super) fn declared(&mut self, queue: &[u8], is: Option<Known>) {
        self.exists(queue);
        self.quorum |= is.is_some_and(|is| is.kind == Some(Kind::Quorum));
        if let (Some(known), Some(is)) = (self.known.get_mut(queue), is) {
            *known = Some(is);
        }
    }

    /// It was seen to exist.
    pub(super) fn exists(&mut self, queue: &[u8]) {
        if !self.known.contains_key(queue) && self.known.len() < KEPT {
            self.known.insert(queue.to_vec(), None);
        }
    }

    pub(super) fn deleted(&mut self, queue: &[u8]) {
        self.known.remove(queue);
    }

    /// The broker has been asked (or has not answered: then it is taken to be there).
    pub(super) fn answered(&mut self, queue: &[u8], exists: bool) {
        if !exists {
            self.known.remove(queue);
        }
        self.answer = Some((queue.to_vec(), exists));
    }

    /// Whether a quorum queue has been seen here.
    pub(super) fn has_quorum(&self) -> bool {
        self.quorum
    }

    /// Whether there is one that may be a quorum queue, as far as is known.
    pub(super) fn may_have_quorum(&self) -> bool {
        self.known.values().any(|known| known.is_none_or(|known| known.kind.is_none()))
    }

    /// Whether it exists, as far as is known.
    pub(super) fn existence(&mut self, queue: &[u8]) -> Option<bool> {
        if let Some((_, exists)) = self.answer.take_if(|(name, _)| name == queue) {
            return Some(exists);
        }
        self.known.contains_key(queue).then_some(true)
    }

    pub(super) fn known(&self, queue: &[u8]) -> Option<Known> {
        self.known.get(queue).copied().flatten()
    }
}
