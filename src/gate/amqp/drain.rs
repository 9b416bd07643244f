//! Drain and undrain, and the same for paused queues.
//!
//! A mark *holds* the client: its bytes are not taken any more, at a frame's end outside of any message, and about 20 ms
//! after the last that were forwarded the job consumers are cancelled. (Cancelled right behind an ack, a quorum queue
//! hands out a job that never arrives and counts it as delivered: twenty such drains dead-letter a job that nobody ran.
//! So a consumer that has just made room is given the time to be filled again. Filled, nothing can be on its way to it.)
//! When every cancel-ok is back the client goes on, and so it does after a second in any case. Deliveries that race the
//! cancel pass and count; nothing is ever nacked. Sealed is a consumer only by its cancel-ok.
//!
//! Lifted, each consumer is consumed again with the client's own words and the prefetch that was in force then. A
//! consumer that still has jobs in hand gets so much less, under a tag of the gate's own (RabbitMQ 3.x crashes on the old
//! one), and is renewed later.

use super::consumer::{By, Consumer, Renewal, State};
use super::inquiry::Question;
use super::{AmqpGate, Wait, method};
use crate::gate::{Action, Side};
use crate::job::{JobEvent, Millis, Place};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// Between the last byte forwarded and the cancel.
const QUIET: Millis = 20;
/// A job that an ack has made room for takes so long at most, on a busy broker that writes to its disk before. (20 ms were
/// too few for one in ten of thirty workers on a quorum queue of a machine without an idle core.)
const ARRIVES: Millis = 250;
/// A client is held so long at most.
const AT_MOST: Millis = 1_000;
/// A consumer that was resumed with less than its prefetch is renewed after so long, and then ever more rarely.
const RENEW_AFTER: Millis = 2_000;
/// A consumer that is being renewed gets nothing new for so long at most, so that its hand becomes empty.
pub(super) const PAUSE: Millis = 5_000;

/// The queues of parked consumers are asked for so often at least: a policy may let them expire without a word here.
const KEEP_ALIVE: Millis = 20_000;

/// How far the gate is with the cancels.
///
/// ```text
/// Off ──a consumer is to be cancelled──▶ Until ──every cancel-ok is back, or none is to be──▶ Off
///                                          └──it is that late──▶ Overdue ──none is to be──▶ Off
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    Off,
    /// The client is held, until then at the latest.
    Until(Millis),
    /// The client goes on, and what is left is cancelled at its next boundary.
    Overdue,
}

impl AmqpGate {
    pub(super) fn mark_changed(&mut self) {
        if self.marked {
            self.ask_all_proofs();
        } else {
            self.leaders.forget();
        }
        self.stops_changed();
    }

    /// Some consumers need not be cancelled any more, perhaps all.
    pub(super) fn call_off(&mut self) {
        if !self.has_due() {
            self.hold = Hold::Off;
        }
    }

    /// Whether the client is held.
    pub(super) fn holds(&self) -> bool {
        matches!(self.hold, Hold::Until(_))
    }

    /// Consumers that are to be cancelled, on channels that can be spoken on.
    fn has_due(&self) -> bool {
        self.open_consumers().any(Consumer::is_due)
    }

    /// Begins a hold if a consumer is to be cancelled and none is in force.
    pub(super) fn mark_may_be_due(&mut self) {
        self.keep_places();
        if self.hold == Hold::Off && !self.closing && !self.ending && self.has_due() {
            self.hold = Hold::Until(self.now + AT_MOST);
        }
    }

    /// Whether the client's next frame is left where it is.
    pub(super) fn keeps_client(&self) -> bool {
        self.wait.is_some() || (self.holds() && self.is_quiet_place())
    }

    /// No channel with a consumer to be cancelled is within a message or a commit of the client's.
    fn is_quiet_place(&self) -> bool {
        let due = |c: &&super::Channel| c.is_open() && c.consumers.values().any(Consumer::is_due);
        self.channels.values().filter(due).all(|channel| channel.may_follow(Side::Client))
    }

    /// When the hold has something to do.
    pub(super) fn hold_due(&self) -> Option<Millis> {
        let Hold::Until(latest) = self.hold else { return None };
        let quiet = self.at[0] == super::At::Boundary && self.has_due() && self.is_quiet_place();
        Some(if quiet { latest.min(self.cancel_at()) } else { latest })
    }

    /// When the cancels go out, if nothing happens before.
    fn cancel_at(&self) -> Millis {
        let expects = |c: &&super::Channel| {
            c.consumers.values().any(|consumer| {
                let in_hand = c.unacked.of_consumer(consumer.no);
                consumer.is_due() && (consumer.prefetch == 0 || in_hand < usize::from(consumer.prefetch))
            })
        };
        let freed = self.channels.values().filter(|c| c.is_open()).filter(expects).filter_map(|c| c.freed).max();
        (self.forwarded + QUIET).max(freed.map_or(0, |at| at + ARRIVES))
    }

    /// Time has passed.
    pub(super) fn hold_time(&mut self) {
        let Hold::Until(latest) = self.hold else { return };
        if self.now >= latest {
            self.hold = if self.has_due() { Hold::Overdue } else { Hold::Off };
        } else if self.now >= self.cancel_at() && self.is_quiet_place() {
            self.cancel_due();
        }
    }

    /// Cancels what is to be cancelled, where nothing is half-way.
    fn cancel_due(&mut self) {
        if self.at[0] != super::At::Boundary || self.closing {
            return;
        }
        let mut frames = Vec::new();
        for (number, channel) in self.channels.iter_mut().filter(|(_, c)| c.is_open() && c.may_follow(Side::Client)) {
            for consumer in channel.consumers.values_mut().filter(|c| c.is_due()) {
                consumer.state = State::Cancelling;
                consumer.cancels.push_back(By::Gate);
                frames.push((*number, method::cancel(*number, &consumer.upstream)));
            }
        }
        for (number, bytes) in frames {
            self.enqueue(Side::Broker, number, bytes);
        }
    }

    /// A hold ended before all was cancelled.
    pub(super) fn cancel_overdue(&mut self) {
        if self.hold == Hold::Overdue {
            self.cancel_due();
            self.call_off();
        }
    }

    /// All cancel-oks may be back.
    pub(super) fn lift_hold(&mut self) {
        let under_way = |c: &Consumer| c.state == State::Cancelling || c.is_due();
        if !self.open_consumers().any(under_way) {
            self.hold = Hold::Off;
        }
    }

    /// What may have become possible, done once per call.
    pub(super) fn advance(&mut self, out: &mut Vec<Action>) {
        self.examine();
        self.keep_places();
        self.cancel_overdue();
        if matches!(self.wait, Some(Wait::Number(number)) if !self.is_own(number)) {
            self.wait = None;
        }
        if self.attention && !self.closing {
            self.attention = false;
            self.resume(out);
            self.renew();
        }
        self.next_inquiry();
        if std::mem::take(&mut self.reasons_changed) {
            self.tell_reasons(out);
        }
    }

    /// A consumer has been parked: from now on its queue is asked for now and then.
    pub(super) fn keep_alive(&mut self) {
        let at = self.now + KEEP_ALIVE.min(self.shortest_expiry());
        self.keep = Some(self.keep.map_or(at, |before| before.min(at)));
    }

    /// Asks for the queues of parked consumers. One that expires does so while nobody consumes it, and is kept by that.
    pub(super) fn ask_parked(&mut self) {
        if self.keep.is_none_or(|at| self.now < at) {
            return;
        }
        let asked = self.open_consumers().filter(|c| c.waits() || c.awaits_its_queue());
        let queues: Vec<Vec<u8>> = asked.map(|c| c.queue.clone()).collect();
        self.keep = None;
        if self.ending {
            return;
        }
        for queue in queues {
            self.inquire(&queue, Question::Exists);
            self.keep_alive();
        }
    }

    /// A third of the time after which a queue with a parked consumer would expire.
    fn shortest_expiry(&self) -> Millis {
        let parked = self.consumers().filter(|c| c.waits());
        let expiry = parked.filter_map(|c| self.queues.known(&c.queue)?.expires).min();
        expiry.map_or(KEEP_ALIVE, |after| after / 3)
    }

    /// The consumers of a channel may be resumable now.
    pub(super) fn resume_later(&mut self, number: u16) {
        let Some(channel) = self.channels.get(&number).filter(|channel| channel.is_open()) else { return };
        let parked = channel.consumers.values().filter(|c| c.resumes());
        let queues: Vec<Vec<u8>> = parked.map(|c| c.queue.clone()).collect();
        for queue in queues {
            self.inquire(&queue, Question::Exists);
        }
    }

    /// Consumes again what is parked, as far as its queue has been found and its prefetch has room.
    fn resume(&mut self, out: &mut Vec<Action>) {
        let numbers: Vec<u16> = self.channels.keys().copied().collect();
        for number in numbers {
            let Some(channel) = self.channels.get(&number).filter(|c| c.is_open()) else { continue };
            let parked = channel.consumers.values().filter(|c| c.resumes());
            let tags: Vec<Vec<u8>> = parked.map(|c| c.consume.tag.clone()).collect();
            self.attention |= !tags.is_empty();
            for tag in tags {
                self.resume_one(number, &tag, out);
            }
        }
    }

    fn resume_one(&mut self, number: u16, tag: &[u8], out: &mut Vec<Action>) {
        let now = self.now;
        let Some(channel) = self.channels.get(&number) else { return };
        let Some(consumer) = channel.consumers.get(tag) else { return };
        if self.is_in_doubt(&consumer.queue) || consumer.is_at_the_end() {
            return;
        }
        let in_hand = channel.unacked.of_consumer(consumer.no);
        let highest = channel.unacked.highest();
        let current = channel.prefetch;
        // where the channel has a limit nothing is said of the consumer's own, which would lift it for a moment
        let whole = if channel.limit > 0 { current } else { consumer.prefetch };
        let room = match channel.limit {
            0 => usize::from(whole).saturating_sub(in_hand),
            limit if whole < limit && in_hand > 0 => 0,
            _ => usize::from(whole),
        };
        let pauses = matches!(consumer.renewal, Renewal::Emptying(until) if now < until) && in_hand > 0;
        if whole > 0 && (room == 0 || pauses) {
            return; // as soon as one is settled
        }
        let limit = if whole == 0 { 0 } else { u16::try_from(room).unwrap_or(whole) };
        let offset = self.goes_on_at(consumer);
        let Some(channel) = self.channels.get_mut(&number) else { return };
        let upstream = if in_hand > 0 { channel.private_tag(tag) } else { tag.to_vec() };
        let Some(consumer) = channel.consumers.get(tag) else { return };
        let Some(consume) = consumer.consume.frame(number, &upstream, offset) else { return };
        let mut bytes = BytesMut::new();
        if limit != current {
            bytes.extend_from_slice(&method::qos(number, limit, false));
        }
        bytes.extend_from_slice(&consume);
        if limit != current {
            bytes.extend_from_slice(&method::qos(number, current, false));
        }
        let Some(channel) = self.channels.get_mut(&number) else { return };
        if limit != current {
            channel.owed.extend([super::channel::Owed::Swallow, super::channel::Owed::Swallow]);
        }
        let Some(consumer) = channel.consumers.get_mut(tag) else { return };
        channel.private.remove(&consumer.upstream);
        if upstream != tag {
            channel.private.insert(upstream.clone(), tag.to_vec());
        }
        consumer.upstream = upstream;
        consumer.state = State::Resuming;
        let short = Renewal::Short { since: now, in_hand, highest };
        consumer.renewal = if limit < whole { short } else { Renewal::Needless };
        self.reasons_changed = true;
        self.attention |= limit < whole;
        out.push(Action::Event(JobEvent::FetchMoved { to: Place::Broker }));
        self.enqueue(Side::Broker, number, Bytes::from(bytes));
    }

    /// Cancels consumers that were resumed with less than their prefetch, when some of what they had in hand then is
    /// settled, to resume them with more: at best when they have nothing in hand, else after a pause in which they get
    /// nothing new.
    fn renew(&mut self) {
        let now = self.now;
        for channel in self.channels.values_mut().filter(|channel| channel.is_open()) {
            for consumer in channel.consumers.values_mut() {
                let Renewal::Short { since, in_hand, highest } = consumer.renewal else { continue };
                if consumer.stopped {
                    continue;
                }
                self.attention = true;
                let due = now >= since + (RENEW_AFTER << consumer.renewals.min(8));
                let gains = channel.unacked.of_consumer_up_to(consumer.no, highest) < in_hand;
                if due && gains && consumer.state == State::Active {
                    consumer.renewal = Renewal::Due;
                    consumer.renewals += 1;
                }
            }
        }
        self.mark_may_be_due();
    }

    /// When something is to be done that nobody else brings about. Asked after every read: an iterator over so few costs
    /// twice as much.
    pub(super) fn next_due(&self) -> Option<Millis> {
        let sooner = |one: Option<Millis>, other: Option<Millis>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let waiting = match &self.wait {
            Some(Wait::Existence { until, .. }) => Some(*until),
            _ => None,
        };
        let proof = self.channels.values().fold(None, |due, channel| sooner(due, channel.proof.due));
        sooner(sooner(sooner(self.hold_due(), waiting), sooner(proof, self.pause_ends())), self.keep)
    }

    /// When a pause is over.
    pub(super) fn pause_ends(&self) -> Option<Millis> {
        if !self.attention {
            return None;
        }
        let until = |c: &Consumer| if let Renewal::Emptying(until) = c.renewal { Some(until) } else { None };
        self.consumers().filter(|c| c.resumes()).filter_map(until).filter(|at| *at > self.now).min()
    }

    /// What the gate has to say on this channel waits for a commit-ok: then so does the client, whose replies would not
    /// keep the order otherwise.
    pub(super) fn commit_delays(&self, number: u16) -> bool {
        let waits = |outbox: &VecDeque<(u16, Bytes)>| outbox.iter().any(|(other, _)| *other == number);
        self.channels.get(&number).is_some_and(|c| c.committing > 0) && waits(&self.outbox[Side::Broker as usize])
    }

    /// A channel of the client's is being closed: nothing of the gate's own goes there any more.
    pub(super) fn forget_own(&mut self, number: u16) {
        for outbox in &mut self.outbox {
            outbox.retain(|(other, _)| *other != number);
        }
        if let Some(channel) = self.channels.get_mut(&number) {
            channel.owed.retain(|owed| !matches!(owed, super::channel::Owed::Answer(_)));
        }
        self.tag_wait_ends(number);
        self.lift_hold();
    }

    /// The connection is being closed: nothing of the gate's own goes anywhere.
    pub(super) fn stop_own(&mut self) {
        self.closing = true;
        self.hold = Hold::Off;
        self.wait = None;
        self.inquiry = None;
        self.keep = None;
        self.inquiries.clear();
        self.outbox.iter_mut().for_each(VecDeque::clear);
    }
}
