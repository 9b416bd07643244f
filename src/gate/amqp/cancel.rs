//! How a consumer ends: by the client's cancel, by the gate's, by the broker's own.

use super::channel::Channel;
use super::consumer::{By, State};
use super::method;
use super::{AmqpGate, Verdict, Wait};
use crate::gate::{Action, Side};
use crate::job::{FetchEnd, JobEvent, Place};

impl AmqpGate {
    /// A consume-ok, cancel-ok or commit-ok has come: the client may go on.
    pub(super) fn tag_wait_ends(&mut self, number: u16) {
        if self.wait == Some(Wait::Tag { channel: number }) {
            self.wait = None;
        }
    }

    /// The client ends a consumer.
    pub(super) fn client_cancel(&mut self, number: u16, payload: &[u8], out: &mut Vec<Action>) -> Verdict {
        let (Some(tag), Some(channel)) = (method::consumer_tag(payload), self.channels.get_mut(&number)) else {
            return Verdict::Pass;
        };
        let nowait = method::cancel_is_nowait(payload);
        let Some(consumer) = channel.consumers.get_mut(tag).filter(|c| !c.over) else { return Verdict::Pass };
        let upstream = consumer.upstream.clone();
        let (job, private) = (consumer.is_job(), consumer.is_private());
        match consumer.state {
            State::Resuming => return Verdict::Wait(Wait::Tag { channel: number }),
            State::Parked => {
                channel.remove(tag);
                self.reasons_changed = true;
                if !nowait {
                    self.enqueue(Side::Client, number, method::tag_only(number, method::BASIC_CANCEL_OK, tag));
                }
                let end = FetchEnd::Vanished;
                out.push(Action::Event(JobEvent::FetchAnswered { from: Place::Gate, end, blocking: true }));
                return Verdict::Swallow;
            }
            State::Asked | State::Active | State::Cancelling | State::Ending => {}
        }
        if nowait {
            consumer.state = State::Ending;
            consumer.over = true;
            self.reasons_changed = true;
            if job {
                let end = FetchEnd::Vanished;
                out.push(Action::Event(JobEvent::FetchAnswered { from: Place::Broker, end, blocking: true }));
            }
        } else {
            consumer.state = State::Ending;
            consumer.cancels.push_back(By::Client);
        }
        let patched = if private { method::with_tag(number, payload, &upstream) } else { None };
        patched.map_or(Verdict::Pass, Verdict::Replace)
    }

    pub(super) fn cancel_ok(&mut self, number: u16, payload: &[u8], out: &mut Vec<Action>) -> Verdict {
        let Some(tag) = method::consumer_tag(payload) else { return Verdict::Pass };
        if tag == self.proof_tag().as_slice() {
            self.proven(number, out);
            return Verdict::Swallow;
        }
        self.tag_wait_ends(number);
        let Some(channel) = self.channels.get_mut(&number) else { return Verdict::Pass };
        let Some(consumer) = channel.by_upstream(tag) else {
            return if took_stale(channel, tag) { Verdict::Swallow } else { Verdict::Pass };
        };
        let (by, job) = (consumer.cancels.pop_front(), consumer.is_job() && !consumer.over);
        let last = consumer.cancels.is_empty();
        let own_tag = consumer.consume.tag.clone();
        let patch = consumer.is_private();
        match (consumer.state, last) {
            (State::Cancelling, true) => {
                consumer.state = State::Parked;
                consumer.until = std::mem::take(&mut consumer.renew).then_some(self.now + super::drain::PAUSE);
                self.attention = true;
                self.keep_alive();
                out.push(Action::Event(JobEvent::FetchMoved { to: Place::Gate }));
                self.resume_later(number);
            }
            (State::Ending, true) if by.is_some() => {
                channel.remove(&own_tag);
                self.reasons_changed = true;
                if job {
                    let (from, end) = (Place::Broker, FetchEnd::Vanished);
                    out.push(Action::Event(JobEvent::FetchAnswered { from, end, blocking: true }));
                }
            }
            _ => {}
        }
        self.lift_hold();
        match by {
            Some(By::Gate) => Verdict::Swallow,
            _ if patch => method::with_tag(number, payload, &own_tag).map_or(Verdict::Pass, Verdict::Replace),
            _ => Verdict::Pass,
        }
    }

    /// The queue was deleted, or its node went away: the broker ends the consumer.
    pub(super) fn cancelled_by_broker(&mut self, number: u16, payload: &[u8], out: &mut Vec<Action>) -> Verdict {
        let (Some(tag), Some(channel)) = (method::consumer_tag(payload), self.channels.get_mut(&number)) else {
            return Verdict::Pass;
        };
        let Some(consumer) = channel.by_upstream(tag) else { return Verdict::Pass };
        let (own_tag, patch) = (consumer.consume.tag.clone(), consumer.is_private());
        if let Some(consumer) = channel.remove(&own_tag) {
            self.queues.deleted(&consumer.queue);
            self.reasons_changed = true;
            if consumer.is_job() {
                let (from, end) = (Place::Broker, FetchEnd::Vanished);
                out.push(Action::Event(JobEvent::FetchAnswered { from, end, blocking: true }));
            }
        }
        self.lift_hold();
        if patch {
            method::with_tag(number, payload, &own_tag).map_or(Verdict::Pass, Verdict::Replace)
        } else {
            Verdict::Pass
        }
    }
}

/// The answer to a cancel of the gate's own whose consumer is gone.
fn took_stale(channel: &mut Channel, tag: &[u8]) -> bool {
    let Some(count) = channel.stale_cancels.get_mut(tag) else { return false };
    *count -= 1;
    if *count == 0 {
        channel.stale_cancels.remove(tag);
    }
    true
}
