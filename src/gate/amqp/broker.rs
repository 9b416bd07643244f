//! The broker's methods.

use super::channel::{Arriving, Channel, Content, Life, Owed, What};
use super::consumer::State;
use super::frame::Fields;
use super::method::{self, Delivery, Id};
use super::{AmqpGate, Verdict};
use crate::gate::{Action, GateError, Side};
use crate::job::{FetchEnd, JobEvent, Place};

impl AmqpGate {
    pub(super) fn broker_method(&mut self, number: u16, id: Id, payload: &[u8], out: &mut Vec<Action>) -> Verdict {
        if self.inquiry.as_ref().is_some_and(|inquiry| inquiry.number == number) {
            self.inquiry_answer(id, payload, out);
            return Verdict::Swallow;
        }
        if let Some(at) = self.anchors.iter().position(|anchor| anchor.number == number) {
            self.anchor_answer(at, id);
            return Verdict::Swallow;
        }
        if number == 0 {
            if matches!(id, method::CONNECTION_BLOCKED | method::CONNECTION_UNBLOCKED) {
                self.deaf = id == method::CONNECTION_BLOCKED;
                self.reasons_changed = true;
            }
            if matches!(id, method::CONNECTION_CLOSE | method::CONNECTION_CLOSE_OK) {
                self.stop_own();
                if id == method::CONNECTION_CLOSE_OK {
                    self.all_channels_gone(out);
                } else {
                    self.odd = refusal(payload);
                    self.broker_leaves = self.odd.is_none();
                }
            }
            return Verdict::Pass;
        }
        let Some(channel) = self.channels.get_mut(&number) else { return Verdict::Pass };
        match (channel.life, id) {
            (Life::Open, method::CHANNEL_CLOSE) => {
                self.forget_own(number);
                self.channel_gone(number, out);
                let mut channel = Channel::new();
                channel.life = Life::ClosedByBroker;
                self.channels.insert(number, channel);
            }
            (Life::ClosedByClient, method::CHANNEL_CLOSE_OK) => self.channel_gone(number, out),
            // both closed at once: the client answers the broker's, and the broker the client's
            (Life::ClosedByBroker, _) => {}
            _ if method::is_ordered_reply(id) => return self.ordered_reply(number, id, payload, out),
            (_, method::BASIC_DELIVER) => return self.deliver(number, payload),
            (_, method::BASIC_RETURN) => *channel.content(Side::Broker) = Content::Header(What::Plain),
            (_, method::BASIC_CONSUME_OK) => return self.consume_ok(number, payload),
            (_, method::BASIC_CANCEL_OK) => return self.cancel_ok(number, payload, out),
            (_, method::BASIC_CANCEL) => return self.cancelled_by_broker(number, payload, out),
            _ => {}
        }
        Verdict::Pass
    }

    /// A connection that was closed in due form: everything unsettled has gone back.
    fn all_channels_gone(&mut self, out: &mut Vec<Action>) {
        for number in self.channels.keys().copied().collect::<Vec<_>>() {
            self.channel_gone(number, out);
        }
    }

    fn deliver(&mut self, number: u16, payload: &[u8]) -> Verdict {
        let (Some(delivery), Some(channel)) = (Delivery::of_deliver(payload), self.channels.get_mut(&number)) else {
            return Verdict::Pass;
        };
        channel.unacked.saw(delivery.tag);
        let (what, patch) = match channel.by_upstream(delivery.consumer) {
            // deliveries that were on their way when the client cancelled without waiting
            None => (What::Plain, None),
            Some(consumer) => (What::job(&delivery, consumer), consumer.other_tag()),
        };
        *channel.content(Side::Broker) = Content::Header(what);
        Verdict::with_tag(number, payload, patch)
    }

    /// A reply that keeps the order of the requests.
    fn ordered_reply(&mut self, number: u16, id: Id, payload: &[u8], out: &mut Vec<Action>) -> Verdict {
        let Some(channel) = self.channels.get_mut(&number) else { return Verdict::Pass };
        let owed = channel.owed.pop_front();
        if matches!(owed, Some(Owed::Swallow)) && id != method::BASIC_QOS_OK {
            return Verdict::Refuse("another reply than the one that was due".to_owned());
        }
        match (&owed, id) {
            (_, method::BASIC_GET_OK) => self.got(number, owed.as_ref(), payload, out),
            (Some(Owed::Get { queue, job, .. }), method::BASIC_GET_EMPTY) => {
                self.queues.exists(queue);
                if *job {
                    let (from, end) = (Place::Broker, FetchEnd::Empty);
                    out.push(Action::Event(JobEvent::FetchAnswered { from, end, blocking: false }));
                }
            }
            (Some(Owed::Declare { queue, is }), method::QUEUE_DECLARE_OK) => {
                let named = Fields(payload.get(4..).unwrap_or_default()).shortstr().unwrap_or(queue);
                // one that was named by the broker
                if queue.is_empty() && channel.last_queue.as_ref().is_some_and(Vec::is_empty) {
                    channel.last_queue = Some(named.to_vec());
                }
                self.queues.declared(named, *is);
            }
            (Some(Owed::Recover), method::BASIC_RECOVER_OK) => {
                for open in channel.unacked.recover() {
                    self.tell_requeued(number, open, out);
                }
                self.resume_later(number);
            }
            (_, method::TX_COMMIT_OK) => {
                channel.committing = channel.committing.saturating_sub(1);
                let sent = channel.unacked.commit();
                self.tell_settled(number, &sent, out);
                self.tag_wait_ends(number);
            }
            (_, method::TX_ROLLBACK_OK) => channel.unacked.roll_back(),
            _ => {}
        }
        self.answer_due(number);
        if matches!(owed, Some(Owed::Swallow)) { Verdict::Swallow } else { Verdict::Pass }
    }

    /// basic.get-ok: a message follows.
    fn got(&mut self, number: u16, owed: Option<&Owed>, payload: &[u8], out: &mut Vec<Action>) {
        let (Some(delivery), Some(channel)) = (Delivery::of_get_ok(payload), self.channels.get_mut(&number)) else {
            return;
        };
        channel.unacked.saw(delivery.tag);
        let mut what = What::Plain;
        if let Some(Owed::Get { queue, job, no_ack }) = owed {
            self.queues.exists(queue);
            // who closes a channel does not look at what still comes, and it goes back with the channel
            let over = if channel.is_open() { FetchEnd::Job } else { FetchEnd::Error };
            if *job && (*no_ack || over == FetchEnd::Error) {
                let from = Place::Broker;
                out.push(Action::Event(JobEvent::FetchAnswered { from, end: over, blocking: false }));
            } else if *job {
                let queue = String::from_utf8_lossy(queue).into();
                what = What::Job(Arriving { tag: delivery.tag, consumer: 0, queue, again: delivery.again });
            }
        }
        *channel.content(Side::Broker) = Content::Header(what);
    }

    fn consume_ok(&mut self, number: u16, payload: &[u8]) -> Verdict {
        let Some(tag) = method::consumer_tag(payload) else { return Verdict::Pass };
        self.tag_wait_ends(number);
        let Some(channel) = self.channels.get_mut(&number) else { return Verdict::Pass };
        let anonymous = channel.by_upstream(tag).is_none_or(|c| !matches!(c.state, State::Asked | State::Resuming));
        if anonymous && let Some(mut consumer) = channel.consumers.remove(&[][..]) {
            consumer.consume.tag = tag.to_vec();
            consumer.upstream = tag.to_vec();
            channel.consumers.insert(tag.to_vec(), consumer);
        }
        let Some(consumer) = channel.by_upstream(tag) else { return Verdict::Pass };
        let own = consumer.state == State::Resuming;
        let patch = consumer.other_tag();
        if matches!(consumer.state, State::Asked | State::Resuming) {
            consumer.state = State::Active;
        }
        let queue = consumer.queue.clone();
        self.queues.exists(&queue);
        self.mark_may_be_due();
        self.lift_hold();
        if own { Verdict::Swallow } else { Verdict::with_tag(number, payload, patch) }
    }
}

/// Why the broker closes the connection, unless it leaves itself.
fn refusal(payload: &[u8]) -> Option<GateError> {
    let mut fields = Fields(payload.get(4..)?);
    let (code, text) = (fields.short()?, String::from_utf8_lossy(fields.shortstr()?));
    // the text quotes what the client said
    let said = || GateError::Refused(format!("{code} {}", text.escape_debug()));
    (code >= 400).then(said)
}
