//! Does a queue exist? Asked by a passive queue.declare on a channel of the gate's own: if the answer is no the broker
//! closes the channel that asked, and the client's, with all that is in flight on it, must not be that one.
//!
//! ```text
//! Opening ──open-ok──▶ Asking ──declare-ok──▶ Closing ──close-ok──▶ (done: yes)
//!                        └──channel.close──▶ (done: no)
//! ```

use super::consumer::State;
use super::frame::Fields;
use super::method::{self, Id};
use super::{AmqpGate, Wait};
use crate::gate::{Action, Side};

const NOT_FOUND: u16 = 404;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Opening,
    Asking,
    Closing,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Inquiry {
    /// The gate's own channel.
    pub(super) number: u16,
    queue: Vec<u8>,
    stage: Stage,
}

impl AmqpGate {
    /// Asks whether a queue exists. False if nobody can be asked.
    pub(super) fn inquire(&mut self, queue: &[u8]) -> bool {
        if self.is_asked(queue) {
            return true;
        }
        // a name that is no text cannot be asked for
        if self.closing || std::str::from_utf8(queue).is_err() || self.free_number().is_none() {
            return false;
        }
        self.inquiries.push_back(queue.to_vec());
        self.next_inquiry();
        true
    }

    /// The same before a parked consumer is resumed.
    pub(super) fn inquire_again(&mut self, queue: &[u8]) {
        self.inquire(queue);
    }

    /// Whether the answer is still to come.
    pub(super) fn is_asked(&self, queue: &[u8]) -> bool {
        self.inquiry.as_ref().is_some_and(|i| i.queue == queue) || self.inquiries.iter().any(|q| q == queue)
    }

    /// Begins the next question, if none is under way.
    pub(super) fn next_inquiry(&mut self) {
        if self.inquiry.is_some() || self.closing {
            return;
        }
        let Some(queue) = self.inquiries.pop_front() else { return };
        let Some(number) = self.free_number() else { return self.inquiries.clear() };
        self.inquiry = Some(Inquiry { number, queue, stage: Stage::Opening });
        self.enqueue(Side::Broker, number, method::channel_open(number));
    }

    /// A number that the client does not use, far from those that it will use next.
    fn free_number(&self) -> Option<u16> {
        let most = match self.tuned.channel_max {
            0 => u16::MAX,
            most => most,
        };
        if self.channels.len() >= usize::from(most) / 2 {
            return None;
        }
        (1..=most).rev().find(|number| !self.channels.contains_key(number))
    }

    /// The broker speaks on the gate's own channel.
    pub(super) fn inquiry_answer(&mut self, id: Id, payload: &[u8], out: &mut Vec<Action>) {
        let Some(inquiry) = &mut self.inquiry else { return };
        let number = inquiry.number;
        match (inquiry.stage, id) {
            (Stage::Opening, method::CHANNEL_OPEN_OK) => {
                inquiry.stage = Stage::Asking;
                let question = method::does_exist(number, &String::from_utf8_lossy(&inquiry.queue));
                self.enqueue(Side::Broker, number, question);
            }
            (Stage::Asking, method::QUEUE_DECLARE_OK) => {
                inquiry.stage = Stage::Closing;
                let queue = inquiry.queue.clone();
                self.enqueue(Side::Broker, number, method::channel_close(number));
                self.inquired(&queue, true, out);
            }
            (_, method::CHANNEL_CLOSE) => {
                let code = Fields(payload.get(4..).unwrap_or_default()).short();
                let queue = std::mem::take(&mut inquiry.queue);
                self.enqueue(Side::Broker, number, method::channel_close_ok(number));
                self.inquiry = None;
                // refused for another reason: it is there
                self.inquired(&queue, code != Some(NOT_FOUND), out);
            }
            (Stage::Closing, method::CHANNEL_CLOSE_OK) => self.inquiry = None,
            _ => {}
        }
    }

    fn inquired(&mut self, queue: &[u8], exists: bool, out: &mut Vec<Action>) {
        if let Some(inquiry) = self.inquiry.as_mut().filter(|i| i.queue == queue) {
            inquiry.queue = Vec::new(); // asked again, it is a new question
        }
        if exists {
            self.queues.exists(queue);
        } else {
            self.queue_gone(queue, out);
        }
        if matches!(&self.wait, Some(Wait::Existence { queue: of, .. }) if of == queue) {
            self.queues.answered(queue, exists);
            self.wait = None;
        }
    }

    /// A queue that parked consumers were to be resumed on is not there any more: they stay parked, and it is told.
    fn queue_gone(&mut self, queue: &[u8], out: &mut Vec<Action>) {
        let mut gone = false;
        for consumer in self.channels.values_mut().flat_map(|channel| channel.consumers.values_mut()) {
            if consumer.state == State::Parked && consumer.queue == queue && !self.marked {
                consumer.gone = true;
                gone = true;
            }
        }
        if gone {
            let queue = String::from_utf8_lossy(queue);
            self.blocked(format!("its consumer of {queue} could not be resumed: the queue has been deleted"), out);
        }
    }
}
