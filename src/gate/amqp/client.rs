//! The client's methods.

use super::channel::{Arriving, Channel, Content, Life, Owed, What};
use super::consume::Consume;
use super::consumer::{Consumer, Leave, State, leave};
use super::handshake;
use super::inquiry::Question;
use super::method::{self, Delivery, Id, Settlement};
use super::queues::{self, Kind, Known};
use super::{AmqpGate, Verdict, Wait};
use crate::dialect::amqp::{self as dialect, Attributes, Role};
use crate::gate::{Action, Side};
use crate::job::{FetchEnd, JobEvent, Place};
use amq_protocol::protocol::{AMQPClass, queue};
use amq_protocol::types::AMQPValue;
use bytes::Bytes;

/// The client's question about a queue's existence is given up after so long.
const ASK_AT_MOST: u64 = 1_000;

impl AmqpGate {
    pub(super) fn client_method(&mut self, number: u16, id: Id, payload: &[u8], out: &mut Vec<Action>) -> Verdict {
        if self.is_own(number) {
            self.give_way(number);
            return Verdict::Wait(Wait::Number(number));
        }
        match (number, id) {
            (0, method::CONNECTION_START_OK) => return self.start_ok(payload, out),
            (0, method::CONNECTION_TUNE_OK) => {
                self.tuned = super::Tuned::read(payload).unwrap_or_default();
                return Verdict::Pass;
            }
            (0, handshake::OPEN) => {
                self.opened(payload, out);
                return Verdict::Pass;
            }
            (0, method::CONNECTION_CLOSE | method::CONNECTION_CLOSE_OK) => {
                self.stop_own();
                return Verdict::Pass;
            }
            (0, _) => return Verdict::Pass,
            (_, method::CHANNEL_OPEN) => {
                if self.channels.get(&number).is_some_and(|channel| channel.life == Life::ClosedByClient) {
                    return Verdict::Wait(Wait::Tag { channel: number }); // until the close-ok of its former life
                }
                // what is open already is the broker's business (504)
                let channel = self.channels.entry(number).or_insert_with(Channel::new);
                channel.owed.push_back(Owed::Plain);
                return Verdict::Pass;
            }
            _ => {}
        }
        let Some(channel) = self.channels.get_mut(&number) else { return Verdict::Pass };
        if !channel.is_open() {
            if id == method::CHANNEL_CLOSE_OK && channel.life == Life::ClosedByBroker {
                self.channels.remove(&number);
            }
            return Verdict::Pass;
        }
        self.on_open_channel(number, id, payload, out)
    }

    fn on_open_channel(&mut self, number: u16, id: Id, payload: &[u8], out: &mut Vec<Action>) -> Verdict {
        let nonce = self.settings.nonce;
        if self.commit_delays(number) {
            return Verdict::Wait(Wait::Tag { channel: number });
        }
        let Some(channel) = self.channels.get_mut(&number) else { return Verdict::Pass };
        match id {
            method::BASIC_PUBLISH => {
                if channel.publishes(Self::published(nonce, payload)) {
                    return Verdict::Swallow;
                }
            }
            method::BASIC_ACK | method::BASIC_NACK | method::BASIC_REJECT => {
                let Some(settlement) = Settlement::read(id, payload) else { return Verdict::Pass };
                if super::ask::is_own(settlement.tag) {
                    return Verdict::Swallow;
                }
                if channel.settle(settlement, self.now, self.marked) {
                    self.ask_proof(number);
                }
            }
            method::BASIC_CONSUME => return self.consume(number, payload, out),
            method::BASIC_CANCEL => return self.client_cancel(number, payload, out),
            method::BASIC_GET => return self.get(number, payload, out),
            method::BASIC_QOS => {
                channel.qos(payload);
                channel.owed.push_back(Owed::Plain);
            }
            method::QUEUE_DECLARE => self.declare(number, payload),
            method::QUEUE_DELETE => {
                if let Some(queue) = method::queue_name(payload).map(|queue| channel.queue_meant(queue).to_vec()) {
                    self.queues.deleted(&queue);
                }
                self.owe(number, id, payload);
            }
            method::BASIC_RECOVER => channel.owed.push_back(Owed::Recover),
            method::BASIC_RECOVER_ASYNC => {
                channel.unacked.recover_async();
                self.settlements_sent(number);
            }
            method::TX_SELECT => {
                channel.tx = true;
                channel.owed.push_back(Owed::Plain);
            }
            method::CONFIRM_SELECT => {
                channel.confirms = true;
                self.owe(number, id, payload);
            }
            method::TX_COMMIT => {
                channel.committing += 1;
                channel.freed = Some(self.now);
                channel.owed.push_back(Owed::Plain);
            }
            method::CHANNEL_CLOSE => self.closed_by_client(number, out),
            _ => self.owe(number, id, payload),
        }
        Verdict::Pass
    }

    /// Nothing is read on the channel any more. A message that was half-way to a basic.get is forgotten now: another may
    /// take its place before the close-ok.
    fn closed_by_client(&mut self, number: u16, out: &mut Vec<Action>) {
        let Some(channel) = self.channels.get_mut(&number) else { return };
        channel.life = Life::ClosedByClient;
        let content = channel.content(Side::Broker);
        if content.is_untold_get() {
            *content = Content::None;
            let (from, end) = (Place::Broker, FetchEnd::Error);
            out.push(Action::Event(JobEvent::FetchAnswered { from, end, blocking: false }));
        }
        self.forget_own(number);
    }

    fn owe(&mut self, number: u16, id: Id, payload: &[u8]) {
        if method::has_ordered_reply(id, payload)
            && let Some(channel) = self.channels.get_mut(&number)
        {
            channel.owed.push_back(Owed::Plain);
        }
    }

    fn declare(&mut self, number: u16, payload: &[u8]) {
        let Some(AMQPClass::Queue(queue::AMQPMethod::Declare(declare))) = method::decode(payload) else {
            return self.owe(number, method::QUEUE_DECLARE, payload);
        };
        let argument = |key: &str| declare.arguments.inner().get(key);
        let attributes = Attributes {
            exclusive: declare.exclusive,
            auto_delete: declare.auto_delete,
            expires: argument("x-expires").is_some(),
            single_active: matches!(argument("x-single-active-consumer"), Some(AMQPValue::Boolean(true))),
        };
        let expires = argument("x-expires").and_then(method::unsigned);
        let kind = match argument("x-queue-type") {
            // a virtual host may have a type of its own for whoever names none, but makes no others than these of it
            None if declare.exclusive || declare.auto_delete || !declare.durable => Some(Kind::Classic),
            named => named.and_then(queues::kind),
        };
        let is = (!declare.passive).then_some(Known { attributes, expires, kind });
        let name = declare.queue.as_str().as_bytes().to_vec();
        let Some(channel) = self.channels.get_mut(&number) else { return };
        channel.last_queue = Some(name.clone());
        if declare.nowait {
            // the broker may have refused it, and nobody would hear of that: only what forbids a cancel is believed
            self.queues.declared(&name, is.filter(|is| is.attributes != Attributes::default()));
        } else {
            channel.owed.push_back(Owed::Declare { queue: name, is });
        }
    }

    /// What a queue is for. The operator's word is stronger than what it looks like.
    pub(super) fn role(&self, queue: &[u8], attributes: Option<Attributes>, no_ack: bool) -> Role {
        let name = String::from_utf8_lossy(queue);
        if self.settings.pass.is_match(name.as_ref()) {
            Role::Control
        } else if self.settings.fetch.is_match(name.as_ref()) {
            Role::Job
        } else {
            dialect::role(queue, attributes, no_ack)
        }
    }

    fn consume(&mut self, number: u16, payload: &[u8], out: &mut Vec<Action>) -> Verdict {
        let (Some(consume), Some(channel)) = (Consume::read(payload), self.channels.get(&number)) else {
            return Verdict::Pass;
        };
        let anonymous = consume.tag.is_empty();
        let same = channel.consumers.get(&consume.tag);
        if let Some(same) = same.filter(|same| same.over.is_none() || same.is_private() || self.stops_any()) {
            return match same.state {
                State::Asked if anonymous => Verdict::Wait(Wait::Tag { channel: number }),
                // its cancel-ok or the proof of its end is under way: then the tag is free
                State::Ending => Verdict::Wait(Wait::Tag { channel: number }),
                // the broker closes the connection (530); where it does not know the consumer, the gate has to
                State::Parked | State::Cancelling | State::Resuming => Verdict::Refuse(format!(
                    "the consumer tag {:?} a second time",
                    String::from_utf8_lossy(&consume.tag)
                )),
                State::Asked | State::Active => Verdict::Pass,
            };
        }
        let queue = channel.queue_meant(&consume.queue).to_vec();
        let known = channel.declaring(&queue).or_else(|| self.queues.known(&queue));
        let role = self.role(&queue, known.map(|known| known.attributes), consume.no_ack());
        let leave = leave(&consume, known);
        let parks = self.stops(&queue) && role == Role::Job && !matches!(leave, Leave::Denied(_)) && !self.ending;
        if parks {
            match self.existence(&queue) {
                Ok(true) => return self.park(number, consume, queue, leave, out),
                Ok(false) => {} // the broker closes the channel (403, 404, 405)
                Err(wait) => return Verdict::Wait(wait),
            }
        }
        let mut consumer = self.consumer(number, consume, queue, role);
        consumer.leave = leave;
        self.entered(&consumer, Place::Broker, out);
        if consumer.consume.nowait() {
            consumer.state = State::Active;
            if anonymous {
                // nobody will ever hear its tag, and what it brings cannot be told from anything else
                out.extend(consumer.reason().map(|reason| Action::Event(JobEvent::Blocked(reason))));
                return Verdict::Pass;
            }
        }
        let Some(channel) = self.channels.get_mut(&number) else { return Verdict::Pass };
        let tag = consumer.consume.tag.clone();
        if channel.remove(&tag).is_some_and(|same| same.is_job()) {
            // it was cancelled without waiting: what still comes for it is this one's
            let (from, end) = (Place::Broker, FetchEnd::Vanished);
            out.push(Action::Event(JobEvent::FetchAnswered { from, end, blocking: true }));
        }
        let instead = channel.give_private_tag(number, &mut consumer);
        channel.consumers.insert(tag, consumer);
        self.mark_may_be_due();
        instead.map_or(Verdict::Pass, Verdict::Replace)
    }

    fn consumer(&mut self, number: u16, consume: Consume, queue: Vec<u8>, role: Role) -> Consumer {
        self.numbers += 1;
        let prefetch = self.channels.get(&number).map_or(0, |channel| channel.prefetch);
        let stopped = self.stops(&queue);
        Consumer { stopped, ..Consumer::new(self.numbers, consume, queue, role, prefetch) }
    }

    /// A consumer is there now, as the client sees it.
    fn entered(&mut self, consumer: &Consumer, place: Place, out: &mut Vec<Action>) {
        let mut events = Vec::new();
        dialect::consumed(&consumer.queue, self.system, &mut events);
        self.emit(events, out);
        self.note_mailbox(consumer, out);
        if !consumer.is_job() {
            return;
        }
        let queue = consumer.name.to_string();
        out.push(Action::Event(JobEvent::FetchAsked { place, queues: [queue.clone()].into(), blocking: true }));
        self.reasons_changed = true;
        if consumer.consume.no_ack() {
            self.blocked(format!("it takes jobs from {queue} without acknowledging them (no_ack)"), out);
        }
    }

    /// Whether a queue exists, as far as can be known without delay; else it is asked whether it can be consumed from, and
    /// the client waits for the answer.
    fn existence(&mut self, queue: &[u8]) -> Result<bool, Wait> {
        if let Some(known) = self.queues.existence(queue) {
            return Ok(known);
        }
        if !self.inquire(queue, Question::Consumable) {
            return Ok(true); // nobody can be asked
        }
        Err(Wait::Existence { queue: queue.to_vec(), until: self.now + ASK_AT_MOST })
    }

    /// A consume of a marked worker, or of a paused queue: to the client it is one.
    fn park(
        &mut self,
        number: u16,
        mut consume: Consume,
        queue: Vec<u8>,
        leave: Leave,
        out: &mut Vec<Action>,
    ) -> Verdict {
        if consume.tag.is_empty() {
            consume.tag = format!("amq.ctag-draingate.{:x}.{}", self.seed, self.numbers + 1).into_bytes();
        }
        let mut consumer = self.consumer(number, consume, queue, Role::Job);
        consumer.state = State::Parked;
        consumer.leave = leave;
        self.entered(&consumer, Place::Gate, out);
        let tag = consumer.consume.tag.clone();
        if !consumer.consume.nowait() {
            self.enqueue(Side::Client, number, method::tag_only(number, method::BASIC_CONSUME_OK, &tag));
        }
        if let Some(channel) = self.channels.get_mut(&number) {
            channel.remove(&tag);
            channel.consumers.insert(tag, consumer);
        }
        self.keep_alive();
        Verdict::Swallow
    }

    /// The client asks for one message. A marked worker gets none, and nobody of a paused queue, in its turn among the
    /// replies.
    fn get(&mut self, number: u16, payload: &[u8], out: &mut Vec<Action>) -> Verdict {
        let (Some((queue, no_ack)), Some(channel)) = (method::get(payload), self.channels.get(&number)) else {
            return Verdict::Pass;
        };
        let queue = channel.queue_meant(queue).to_vec();
        let known = channel.declaring(&queue).or_else(|| self.queues.known(&queue));
        let job = self.role(&queue, known.map(|known| known.attributes), no_ack) == Role::Job;
        let name = String::from_utf8_lossy(&queue).into_owned();
        if job && self.stops(&queue) && !self.ending {
            match self.existence(&queue) {
                Ok(true) => return self.refuse_get(number, name, out),
                Ok(false) => {} // the broker closes the channel (403, 404, 405)
                Err(wait) => return Verdict::Wait(wait),
            }
        }
        if job {
            if no_ack {
                self.blocked(format!("it takes jobs from {name} without acknowledging them (no_ack)"), out);
            }
            let asked = JobEvent::FetchAsked { place: Place::Broker, queues: [name].into(), blocking: false };
            out.push(Action::Event(asked));
        }
        if let Some(channel) = self.channels.get_mut(&number) {
            channel.owed.push_back(Owed::Get { queue, job, no_ack });
        }
        Verdict::Pass
    }

    fn refuse_get(&mut self, number: u16, name: String, out: &mut Vec<Action>) -> Verdict {
        let place = Place::Gate;
        out.push(Action::Event(JobEvent::FetchAsked { place, queues: [name].into(), blocking: false }));
        let (end, blocking) = (FetchEnd::Empty, false);
        out.push(Action::Event(JobEvent::FetchAnswered { from: place, end, blocking }));
        if let Some(channel) = self.channels.get_mut(&number) {
            channel.owed.push_back(Owed::Answer(method::get_empty(number)));
        }
        self.answer_due(number);
        Verdict::Swallow
    }

    /// Sends the answers that nothing is owed before any more.
    pub(super) fn answer_due(&mut self, number: u16) {
        loop {
            let Some(channel) = self.channels.get_mut(&number) else { return };
            if !matches!(channel.owed.front(), Some(Owed::Answer(_))) {
                return;
            }
            let Some(Owed::Answer(bytes)) = channel.owed.pop_front() else { return };
            self.enqueue(Side::Client, number, bytes);
        }
    }
}

impl Channel {
    /// basic.qos: of each consumer to come, which lifts any limit of the channel (measured on 3.10 and 4.0), or (`global`)
    /// of the whole channel, which the broker watches by itself.
    fn qos(&mut self, payload: &[u8]) {
        let mut fields = super::frame::Fields(payload.get(8..).unwrap_or_default());
        let (Some(count), Some(bits)) = (fields.short(), fields.octet()) else { return };
        match bits & 1 {
            0 => (self.prefetch, self.limit) = (count, 0),
            _ => self.limit = count,
        }
    }

    /// A consumer whose tag is in use at the broker, as a private one of another, gets a private one too.
    fn give_private_tag(&mut self, number: u16, consumer: &mut Consumer) -> Option<Bytes> {
        if !self.private.contains_key(&consumer.consume.tag) {
            return None;
        }
        let upstream = self.private_tag(&consumer.consume.tag);
        let consume = consumer.consume.frame(number, &upstream, None)?;
        if consumer.consume.nowait() {
            consumer.state = State::Resuming; // its consume-ok is not for the client
        }
        self.private.insert(upstream.clone(), consumer.consume.tag.clone());
        consumer.upstream = upstream;
        Some(consume)
    }
}

impl What {
    /// A delivery of jobs that is to be written down.
    pub(super) fn job(delivery: &Delivery<'_>, consumer: &Consumer) -> What {
        if consumer.is_job() && !consumer.consume.no_ack() {
            let &Delivery { tag, again, .. } = delivery;
            What::Job(Arriving { tag, consumer: consumer.no, queue: consumer.name.clone(), again })
        } else {
            What::Plain
        }
    }
}
