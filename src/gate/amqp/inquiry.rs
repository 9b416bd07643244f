//! Questions about queues, on a channel of the gate's own: if the answer is no the broker closes the channel that asked,
//! and the client's, with all that is in flight on it, must not be that one.
//!
//! ```text
//! Opening ──open-ok──▶ Asking ──declare-ok──▶ Closing ──close-ok──▶ (done)
//!                        └──channel.close──▶ (done)
//! ```
//! *Does it exist* is a passive queue.declare. It also counts as use, and so keeps a queue alive that would expire.
//!
//! *What is it like* has no method. But the broker compares a declare with the queue that is there, first whether it is
//! durable, then whether it is auto-delete, then its arguments, and its refusal names the first that differs. So a declare
//! is sent that can fit no queue and can make none, because an expiry of -1 is not valid: measured on 3.10 and 4.0.

use super::consumer::{Leave, leave};
use super::frame::Fields;
use super::method::{self, Id};
use super::queues::Known;
use super::{AmqpGate, Wait};
use crate::dialect::amqp::Attributes;
use crate::gate::{Action, Side};
use crate::job::Millis;

const RESOURCE_LOCKED: u16 = 405;
const NOT_FOUND: u16 = 404;

/// What is asked of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Does it exist?
    Exists,
    /// Would a cancel do it harm? Asked as if it were durable or not: the broker says when that is wrong.
    IsLike { durable: bool },
}

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
    question: Question,
    stage: Stage,
}

impl AmqpGate {
    /// Asks something of a queue. False if nobody can be asked.
    pub(super) fn inquire(&mut self, queue: &[u8], question: Question) -> bool {
        if self.is_asked(queue, question) {
            return true;
        }
        // a name that is no text cannot be asked for
        if self.closing || std::str::from_utf8(queue).is_err() || self.free_number().is_none() {
            return false;
        }
        self.inquiries.push_back((queue.to_vec(), question));
        self.next_inquiry();
        true
    }

    /// Whether the answer is still to come.
    pub(super) fn is_asked(&self, queue: &[u8], question: Question) -> bool {
        let same =
            |q: &[u8], of: Question| q == queue && std::mem::discriminant(&of) == std::mem::discriminant(&question);
        self.inquiry.as_ref().is_some_and(|i| i.stage != Stage::Closing && same(&i.queue, i.question))
            || self.inquiries.iter().any(|(q, of)| same(q, *of))
    }

    /// Begins the next question, if none is under way.
    pub(super) fn next_inquiry(&mut self) {
        if self.inquiry.is_some() || self.closing {
            return;
        }
        let Some((queue, question)) = self.inquiries.pop_front() else { return };
        let Some(number) = self.free_number() else { return self.inquiries.clear() };
        self.inquiry = Some(Inquiry { number, queue, question, stage: Stage::Opening });
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
        let (number, question) = (inquiry.number, inquiry.question);
        match (inquiry.stage, id) {
            (Stage::Opening, method::CHANNEL_OPEN_OK) => {
                inquiry.stage = Stage::Asking;
                let name = String::from_utf8_lossy(&inquiry.queue);
                let declare = match question {
                    Question::Exists => method::does_exist(number, &name),
                    Question::IsLike { durable } => method::cannot_fit(number, &name, durable),
                };
                self.enqueue(Side::Broker, number, declare);
            }
            (Stage::Asking, method::QUEUE_DECLARE_OK) => {
                inquiry.stage = Stage::Closing;
                let queue = std::mem::take(&mut inquiry.queue);
                self.enqueue(Side::Broker, number, method::channel_close(number));
                match question {
                    Question::Exists => self.found(&queue, None, out),
                    Question::IsLike { .. } => self.examined(&queue, Likeness::Unreadable),
                }
            }
            (stage, method::CHANNEL_CLOSE) => {
                let mut fields = Fields(payload.get(4..).unwrap_or_default());
                let (code, text) = (fields.short(), fields.shortstr().unwrap_or_default().to_vec());
                let queue = std::mem::take(&mut inquiry.queue);
                self.enqueue(Side::Broker, number, method::channel_close_ok(number));
                self.inquiry = None;
                match question {
                    _ if stage == Stage::Closing => {}
                    Question::Exists => self.found(&queue, code, out),
                    Question::IsLike { durable } => self.examined(&queue, Likeness::read(&text, durable)),
                }
            }
            (Stage::Closing, method::CHANNEL_CLOSE_OK) => self.inquiry = None,
            _ => {}
        }
    }

    /// It exists, unless it was refused with this code.
    fn found(&mut self, queue: &[u8], refused: Option<u16>, out: &mut Vec<Action>) {
        // refused for another reason: it is there
        let exists = refused != Some(NOT_FOUND);
        if exists {
            self.queues.exists(queue);
        } else {
            self.queues.deleted(queue);
        }
        let gone = match refused {
            Some(NOT_FOUND) => Some("has been deleted"),
            Some(RESOURCE_LOCKED) => Some("is now exclusive to another connection"),
            _ => None,
        };
        if !self.marked && gone.is_some() {
            self.gone(queue, gone, out);
        }
        if matches!(&self.wait, Some(Wait::Existence { queue: of, .. }) if of == queue) {
            self.queues.answered(queue, exists);
            self.wait = None;
        }
    }

    /// A queue that parked consumers were to be resumed on: they stay parked, and it is told.
    fn gone(&mut self, queue: &[u8], why: Option<&'static str>, out: &mut Vec<Action>) {
        for consumer in self.channels.values_mut().flat_map(|channel| channel.consumers.values_mut()) {
            if consumer.waits() && consumer.queue == queue {
                consumer.gone = why;
            }
        }
        self.tell_reasons(out);
    }

    /// What a cancel would do is known now, or it is known that it cannot be.
    fn examined(&mut self, queue: &[u8], likeness: Likeness) {
        let known = match likeness {
            Likeness::OtherDurability { durable } => {
                self.inquiries.push_front((queue.to_vec(), Question::IsLike { durable }));
                return;
            }
            Likeness::Known(known) => {
                self.queues.declared(queue, Some(known));
                Some(known)
            }
            Likeness::Unreadable => None,
        };
        self.decide(queue, known);
    }

    /// Consumers whose queue was in question may be cancelled, or not.
    fn decide(&mut self, queue: &[u8], known: Option<Known>) {
        let declared = self.settings.fetch.is_match(String::from_utf8_lossy(queue).as_ref());
        for consumer in self.channels.values_mut().flat_map(|channel| channel.consumers.values_mut()) {
            if consumer.leave == Leave::Unasked && consumer.queue == queue {
                consumer.leave = match known {
                    Some(_) => leave(&consumer.consume, known),
                    None if declared => Leave::Given,
                    None => Leave::Denied(
                        "reads a queue that may be auto-delete: RabbitMQ tells only whom it lets configure the queue \
                         (or name it in [gate] fetch, if it is not)",
                    ),
                };
                self.reasons_changed = true;
            }
        }
        self.mark_may_be_due();
    }

    /// Asks about the queues of consumers that are to be cancelled and that were declared elsewhere.
    pub(super) fn examine(&mut self) {
        if !self.marked || self.closing || self.ending {
            return;
        }
        let consumers = self.channels.values().filter(|c| c.is_open()).flat_map(|c| c.consumers.values());
        let queues: Vec<Vec<u8>> = consumers.filter(|c| c.is_in_question()).map(|c| c.queue.clone()).collect();
        for queue in queues {
            let known = self.queues.known(&queue);
            if known.is_some() || !self.inquire(&queue, Question::IsLike { durable: true }) {
                self.decide(&queue, known);
            }
        }
    }
}

/// What the broker's refusal says of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Likeness {
    /// It is durable, or not, other than was said.
    OtherDurability {
        durable: bool,
    },
    Known(Known),
    /// Refused for another reason, or in other words.
    Unreadable,
}

impl Likeness {
    /// `PRECONDITION_FAILED - inequivalent arg 'x-expires' for queue 'q' in vhost '/': received '-1' but current is '600000'`
    fn read(text: &[u8], durable: bool) -> Likeness {
        const UNLIKE: &str = "PRECONDITION_FAILED - inequivalent arg '";
        // a long name may be cut in the middle of a letter
        let text = String::from_utf8_lossy(text);
        if text.starts_with("PRECONDITION_FAILED - invalid arg 'x-expires'") {
            return Likeness::Known(Known::default()); // there is none: nothing can be lost
        }
        let Some((argument, rest)) = text.strip_prefix(UNLIKE).and_then(|rest| rest.split_once('\'')) else {
            return Likeness::Unreadable;
        };
        let with = |attributes, expires| Likeness::Known(Known { attributes, expires });
        match argument {
            "durable" if durable => Likeness::OtherDurability { durable: false },
            "durable" => Likeness::Unreadable,
            "auto_delete" => with(Attributes { auto_delete: true, ..Attributes::default() }, None),
            "x-expires" if rest.ends_with("current is none") => with(Attributes::default(), None),
            "x-expires" => with(Attributes { expires: true, ..Attributes::default() }, current(rest)),
            _ => with(Attributes::default(), None),
        }
    }
}

/// The number behind `current is`.
fn current(text: &str) -> Option<Millis> {
    let (_, value) = text.rsplit_once("current is ")?;
    value.split('\'').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Word by word what RabbitMQ 3.10 and 4.0 said.
    #[test]
    fn refusals_say_what_a_queue_is_like() {
        let read = |text: &str| Likeness::read(format!("PRECONDITION_FAILED - {text}").as_bytes(), true);
        let unlike = |argument: &str, rest: &str| {
            read(&format!("inequivalent arg '{argument}' for queue 'q' in vhost '/': received {rest}"))
        };
        let plain = Likeness::Known(Known::default());
        let expiring = |after| {
            let attributes = Attributes { expires: true, ..Attributes::default() };
            Likeness::Known(Known { attributes, expires: after })
        };
        assert_eq!(unlike("durable", "'true' but current is 'false'"), Likeness::OtherDurability { durable: false });
        let Likeness::Known(known) = unlike("auto_delete", "'false' but current is 'true'") else { panic!("unread") };
        assert!(known.attributes.auto_delete);
        assert_eq!(unlike("x-expires", "the value '-1' of type 'signedint' but current is none"), plain);
        assert_eq!(unlike("x-expires", "'-1' but current is '600000'"), expiring(Some(600_000)));
        let typed = "the value '-1' of type 'signedint' but current is the value '5000' of type 'long'";
        assert_eq!(unlike("x-expires", typed), expiring(Some(5_000)));
        assert_eq!(unlike("x-expires", "the value '-1' of ty"), expiring(None), "cut short");
        assert_eq!(unlike("x-queue-type", "'classic' but current is 'stream'"), plain);
        assert_eq!(read("invalid arg 'x-expires' for queue 'q' in vhost '/': {value_negative,-1}"), plain);
        assert_eq!(read("something else"), Likeness::Unreadable);
    }
}
