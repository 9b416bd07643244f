//! Questions about queues, on a channel of the gate's own: if the answer is no the broker closes the channel that asked,
//! and the client's, with all that is in flight on it, must not be that one.
//!
//! ```text
//! Opening ──open-ok──▶ Asking ──declare-ok, consume-ok──▶ Closing ──close-ok──▶ (done)
//!    └─open-ok──▶ Filling ──▲──channel.close──▶ (done)
//! ```
//! *Does it exist* is a passive queue.declare. It also counts as use, and so keeps a queue alive that would expire.
//!
//! *Can it be consumed from* is a consume that is always refused (`probe`): what for tells.
//!
//! *What is it like* has no method, and is learned from what a declare is refused for, in several rounds (`likeness`).
//!
//! *Would a consume be refused* is tried (`probe`), where the existence has told of one other consumer: it may be exclusive.

use super::consumer::{Consumer, Gone, Leave, leave};
use super::frame::Fields;
use super::likeness::{Guess, Likeness};
use super::method::{self, Id};
use super::queues::{Kind, Known};
use super::{AmqpGate, Wait, probe};
use crate::gate::{Action, Side};
use crate::job::Millis;

/// A queue that RabbitMQ does not speak of.
const UNREADABLE: &str = "reads a queue that may be auto-delete or have a single active consumer: RabbitMQ tells only whom \
                          it lets configure the queue (or name it in [gate] fetch, if it is neither)";
/// One that it cannot be asked about.
const NO_CHANNEL: &str = "reads a queue that may be auto-delete or have a single active consumer, and its connection has no \
                          channels to spare to ask RabbitMQ on (raise its channel_max, or name the queue in [gate] fetch, \
                          if it is neither)";

const ACCESS_REFUSED: u16 = 403;
const RESOURCE_LOCKED: u16 = 405;
const NOT_FOUND: u16 = 404;
const PRECONDITION_FAILED: u16 = 406;

/// What is asked of a queue.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Question {
    /// Does it exist?
    Exists,
    /// May its user consume from it?
    Consumable,
    /// What is it like: would a cancel do it harm?
    IsLike(Guess),
    /// Would it refuse another consumer? Of classic queues only.
    Admits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Opening,
    /// What is to be tried must not be given a job.
    Filling,
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
    /// When the question was put.
    asked: Millis,
}

impl AmqpGate {
    /// Asks something of a queue. False if nobody can be asked.
    pub(super) fn inquire(&mut self, queue: &[u8], question: Question) -> bool {
        let kind = std::mem::discriminant(&question);
        if self.asked(queue).any(|asked| std::mem::discriminant(asked) == kind) {
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

    /// The questions about a queue to which the answers are still to come.
    fn asked(&self, queue: &[u8]) -> impl Iterator<Item = &Question> {
        let under_way = self.inquiry.iter().filter(|inquiry| inquiry.stage != Stage::Closing);
        let all = under_way.map(|inquiry| (&inquiry.queue, &inquiry.question));
        let all = all.chain(self.inquiries.iter().map(|(queue, question)| (queue, question)));
        all.filter(move |(of, _)| *of == queue).map(|(_, question)| question)
    }

    /// Whether anything is being asked about a queue.
    pub(super) fn is_in_doubt(&self, queue: &[u8]) -> bool {
        self.asked(queue).next().is_some()
    }

    /// Begins the next question, if none is under way.
    pub(super) fn next_inquiry(&mut self) {
        if self.inquiry.is_some() || self.closing {
            return;
        }
        let Some((queue, question)) = self.inquiries.pop_front() else { return };
        let Some(number) = self.free_number() else { return self.inquiries.clear() };
        self.inquiry = Some(Inquiry { number, queue, question, stage: Stage::Opening, asked: 0 });
        self.enqueue(Side::Broker, number, method::channel_open(number));
    }

    /// A number that the client does not use, far from those that it will use next.
    pub(super) fn free_number(&self) -> Option<u16> {
        let most = match self.tuned.channel_max {
            0 => u16::MAX,
            most => most,
        };
        // the broker counts them, and closes the connection for one too many (530)
        if self.channels.len() + self.anchors.len() >= usize::from(most) / 2 {
            return None;
        }
        (1..=most).rev().find(|number| !self.channels.contains_key(number) && !self.is_own(*number))
    }

    /// Whether it is a channel of the gate's own.
    pub(super) fn is_own(&self, number: u16) -> bool {
        self.inquiry.as_ref().is_some_and(|inquiry| inquiry.number == number)
            || self.anchors.iter().any(|anchor| anchor.number == number)
    }

    /// The broker speaks on the gate's own channel.
    pub(super) fn inquiry_answer(&mut self, id: Id, payload: &[u8], out: &mut Vec<Action>) {
        let Some(inquiry) = &mut self.inquiry else { return };
        let number = inquiry.number;
        match (inquiry.stage, id) {
            (Stage::Opening, method::CHANNEL_OPEN_OK) => {
                inquiry.asked = self.now;
                self.numbers += 1; // no name comes twice
                let name = String::from_utf8_lossy(&inquiry.queue);
                inquiry.stage = if inquiry.question == Question::Admits { Stage::Filling } else { Stage::Asking };
                let ask = match &inquiry.question {
                    Question::Exists => method::does_exist(number, &name),
                    Question::Consumable => probe::refused(number, &name),
                    Question::IsLike(guess) => guess.declare(number, &name),
                    Question::Admits => probe::fill(number, &format!("draingate.{:x}.{}", self.seed, self.numbers)),
                };
                self.enqueue(Side::Broker, number, ask);
            }
            (Stage::Filling, method::BASIC_DELIVER) => {
                inquiry.stage = Stage::Asking;
                let consume = probe::consume(number, &inquiry.queue);
                self.enqueue(Side::Broker, number, consume);
            }
            (Stage::Asking, method::QUEUE_DECLARE_OK | method::BASIC_CONSUME_OK) => {
                inquiry.stage = Stage::Closing;
                let asked = inquiry.asked;
                let queue = std::mem::take(&mut inquiry.queue);
                let question = std::mem::replace(&mut inquiry.question, Question::Exists);
                self.enqueue(Side::Broker, number, method::channel_close(number));
                match question {
                    Question::Exists => {
                        self.found(&queue, Ok(method::consumer_count(payload)), out);
                        self.leader_answers(&queue, asked);
                    }
                    // a broker that takes any priority
                    Question::Consumable => self.consumable(&queue, true),
                    Question::IsLike(_) => self.examined(&queue, Likeness::Unreadable),
                    Question::Admits => {}
                }
            }
            (_, method::CHANNEL_CLOSE) => self.inquiry_refused(payload, out),
            (Stage::Closing, method::CHANNEL_CLOSE_OK) => self.inquiry = None,
            _ => {}
        }
    }

    /// The broker has closed the gate's own channel.
    fn inquiry_refused(&mut self, payload: &[u8], out: &mut Vec<Action>) {
        let Some(Inquiry { number, queue, question, stage, .. }) = self.inquiry.take() else { return };
        let mut fields = Fields(payload.get(4..).unwrap_or_default());
        let (code, text) = (fields.short().unwrap_or(0), fields.shortstr().unwrap_or_default());
        self.enqueue(Side::Broker, number, method::channel_close_ok(number));
        match question {
            _ if stage == Stage::Closing => {}
            Question::Exists => {
                self.found(&queue, Err(code), out);
                // there is no leader that would tell
                self.leader_answers(&queue, self.now);
            }
            Question::Consumable => self.consumable(&queue, code == PRECONDITION_FAILED),
            Question::IsLike(guess) => self.examined(&queue, guess.read(text)),
            Question::Admits if stage == Stage::Asking && code == ACCESS_REFUSED => {
                self.gone(&queue, Gone::Turn("is in exclusive use by another consumer"), out);
            }
            // it could not be tried
            Question::Admits => {}
        }
    }

    /// It exists, with so many consumers, unless it was refused with this code.
    fn found(&mut self, queue: &[u8], answer: Result<u32, u16>, out: &mut Vec<Action>) {
        // refused for another reason: it is there
        let exists = answer != Err(NOT_FOUND);
        if exists {
            self.queues.exists(queue);
        } else {
            self.queues.deleted(queue);
        }
        match answer {
            Err(NOT_FOUND) if !self.marked => self.gone(queue, Gone::Queue("has been deleted"), out),
            Err(RESOURCE_LOCKED) if !self.marked => {
                self.gone(queue, Gone::Queue("is now exclusive to another connection"), out);
            }
            Ok(_) => self.is_back(queue),
            _ => {}
        }
        if answer == Ok(1) {
            self.doubt(queue);
        }
    }

    /// Its user may consume from it, or the broker is to say itself why not.
    fn consumable(&mut self, queue: &[u8], consumable: bool) {
        if consumable {
            self.queues.exists(queue);
        }
        if matches!(&self.wait, Some(Wait::Existence { queue: of, .. }) if of == queue) {
            self.queues.answered(queue, consumable);
            self.wait = None;
        }
    }

    /// A queue has one consumer. If it is another's, and exclusive, then those that are parked here would be refused: the
    /// broker would close their channels. (An exclusive consumer is the only one.) On anything but a classic queue the
    /// trial itself would end the connection. So the type is asked anew: the queue may have been replaced by a quorum queue
    /// since it was heard of, and a broker may take a quorum queue's declare as a classic one.
    fn doubt(&mut self, queue: &[u8]) {
        let kind = self.queues.known(queue).and_then(|known| known.kind);
        if self.may_be_refused(queue) && !matches!(kind, Some(Kind::Quorum | Kind::Stream)) {
            self.inquiries.push_front((queue.to_vec(), Question::IsLike(Guess::default())));
        }
    }

    /// Consumers are to be resumed on a queue, and none of this connection's is there already.
    fn may_be_refused(&self, queue: &[u8]) -> bool {
        let here = || self.consumers().filter(|c| c.queue == queue);
        here().any(Consumer::resumes) && !here().any(|c| c.is_at_broker() && c.over.is_none())
    }

    /// A queue that parked consumers were to be resumed on: they stay parked, and it is told.
    fn gone(&mut self, queue: &[u8], why: Gone, out: &mut Vec<Action>) {
        for consumer in self.channels.values_mut().flat_map(|channel| channel.consumers.values_mut()) {
            if consumer.resumes() && consumer.queue == queue {
                consumer.gone = Some(why);
            }
        }
        self.tell_reasons(out);
    }

    /// A queue is there. What was parked without it is resumed; it may have been made anew, and be like no other.
    fn is_back(&mut self, queue: &[u8]) {
        for consumer in self.channels.values_mut().flat_map(|channel| channel.consumers.values_mut()) {
            if consumer.queue == queue && consumer.awaits_its_queue() {
                consumer.gone = None;
                consumer.leave = leave(&consumer.consume, None);
                self.reasons_changed = true;
                self.attention = true;
            }
        }
    }

    /// What a cancel would do is known now, or it is known that it cannot be.
    fn examined(&mut self, queue: &[u8], likeness: Likeness) {
        let known = match likeness {
            Likeness::Again(guess) => {
                self.inquiries.push_front((queue.to_vec(), Question::IsLike(guess)));
                return;
            }
            Likeness::Known(known) => {
                self.queues.declared(queue, Some(known));
                if known.kind == Some(Kind::Classic) && self.may_be_refused(queue) {
                    self.inquiries.push_front((queue.to_vec(), Question::Admits));
                }
                Some(known)
            }
            Likeness::Unreadable => None,
        };
        self.decide(queue, known, UNREADABLE);
    }

    /// Consumers whose queue was in question may be cancelled, or not: `why` it is not known what the queue is like.
    fn decide(&mut self, queue: &[u8], known: Option<Known>, why: &'static str) {
        let declared = self.settings.fetch.is_match(String::from_utf8_lossy(queue).as_ref());
        for consumer in self.channels.values_mut().flat_map(|channel| channel.consumers.values_mut()) {
            if consumer.leave == Leave::Unasked && consumer.queue == queue {
                consumer.leave = match leave(&consumer.consume, known) {
                    Leave::Unasked if declared => Leave::Given,
                    Leave::Unasked => Leave::Denied(why),
                    known => known,
                };
                self.reasons_changed = true;
            }
        }
        self.mark_may_be_due();
    }

    /// Asks about the queues of consumers that are to be cancelled and that were declared elsewhere.
    pub(super) fn examine(&mut self) {
        if !self.stops_any() || self.closing || self.ending {
            return;
        }
        let in_question = self.open_consumers().filter(|c| c.is_in_question());
        let queues: Vec<(Vec<u8>, bool)> = in_question
            .map(|c| (c.queue.clone(), leave(&c.consume, self.queues.known(&c.queue)) != Leave::Unasked))
            .collect();
        for (queue, answered) in queues {
            let known = self.queues.known(&queue);
            if answered || !self.inquire(&queue, Question::IsLike(Guess::default())) {
                let why = if self.free_number().is_none() { NO_CHANNEL } else { UNREADABLE };
                self.decide(&queue, known, why);
            }
        }
    }
}
