//! What is known of queues on this connection: that they exist, and how they were declared.

use crate::dialect::amqp::Attributes;
use std::collections::HashMap;

/// A client that declares ever new queues makes no more than so many be remembered; a queue that is not remembered is
/// taken for an ordinary one.
const KEPT: usize = 4_096;

/// See the module. Every queue in it was seen to exist.
#[derive(Debug, Default)]
pub(super) struct Queues {
    known: HashMap<Vec<u8>, Option<Attributes>>,
    /// The last answer to a question, good for the one who asked.
    answer: Option<(Vec<u8>, bool)>,
}

impl Queues {
    /// The broker has answered a declare; a passive one says nothing about the attributes.
    pub(super) fn declared(&mut self, queue: &[u8], attributes: Option<Attributes>) {
        self.exists(queue);
        if let (Some(known), Some(attributes)) = (self.known.get_mut(queue), attributes) {
            *known = Some(attributes);
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

    /// Whether it exists, as far as is known.
    pub(super) fn existence(&mut self, queue: &[u8]) -> Option<bool> {
        if let Some((_, exists)) = self.answer.take_if(|(name, _)| name == queue) {
            return Some(exists);
        }
        self.known.contains_key(queue).then_some(true)
    }

    pub(super) fn attributes(&self, queue: &[u8]) -> Option<Attributes> {
        self.known.get(queue).copied().flatten()
    }
}
