//! How a consumer ends: by the client's cancel, by the gate's, by the broker's own.

use super::consumer::{By, Consumer, Over, Renewal, State};
use super::{AmqpGate, Verdict, Wait, method, proof};
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
        let Some(consumer) = channel.consumers.get_mut(tag).filter(|c| c.over.is_none()) else {
            if !nowait {
                channel.cancels_nobody(tag);
            }
            return Verdict::Pass;
        };
        let (job, patch) = (consumer.is_job(), consumer.is_private().then(|| consumer.upstream.clone()));
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
        consumer.state = State::Ending;
        if !nowait {
            consumer.cancels.push_back(By::Client);
        } else if job {
            consumer.over = Some(Over::default());
            self.reasons_changed = true;
            self.prove_ends(number);
        } else {
            channel.remove(tag);
        }
        Verdict::with_tag(number, payload, patch)
    }

    /// Consumers that the client has cancelled without waiting: when nothing comes for them any more is to be proven.
    pub(super) fn prove_ends(&mut self, number: u16) {
        let at_once = self.stops_any();
        let Some(channel) = self.channels.get_mut(&number).filter(|c| c.has_unproven_ends()) else { return };
        if at_once {
            self.ask_proof(number);
        } else if channel.proof.asked.is_none() {
            channel.proof.due.get_or_insert(self.now + proof::TOGETHER);
        }
    }

    /// A proof has come back: some of them are over for good.
    pub(super) fn ends_proven(&mut self, number: u16, out: &mut Vec<Action>) {
        let Some(channel) = self.channels.get_mut(&number) else { return };
        let gone: Vec<Vec<u8>> = channel.consumers.values_mut().filter_map(Consumer::proven_over).collect();
        for tag in gone {
            self.consumer_gone(number, &tag, out);
        }
        self.prove_ends(number);
    }

    /// The broker knows it no more, and nothing comes for it.
    fn consumer_gone(&mut self, number: u16, tag: &[u8], out: &mut Vec<Action>) {
        let Some(consumer) = self.channels.get_mut(&number).and_then(|channel| channel.remove(tag)) else { return };
        self.reasons_changed = true;
        self.tag_wait_ends(number);
        if consumer.is_job() {
            let (from, end) = (Place::Broker, FetchEnd::Vanished);
            out.push(Action::Event(JobEvent::FetchAnswered { from, end, blocking: true }));
        }
    }

    pub(super) fn cancel_ok(&mut self, number: u16, payload: &[u8], out: &mut Vec<Action>) -> Verdict {
        let Some(tag) = method::consumer_tag(payload) else { return Verdict::Pass };
        if tag == self.proof_tag().as_slice() {
            self.proven(number, out);
            return Verdict::Swallow;
        }
        self.tag_wait_ends(number);
        let Some(channel) = self.channels.get_mut(&number) else { return Verdict::Pass };
        // that of a consumer that is gone: another may have its tag by now
        if let Some((by, own_tag)) = channel.took_stale(tag) {
            return answer(number, by, payload, (own_tag != tag).then_some(own_tag));
        }
        let Some(consumer) = channel.by_upstream(tag) else { return Verdict::Pass };
        let by = consumer.cancels.pop_front();
        let last = consumer.cancels.is_empty();
        let (own_tag, patch) = (consumer.consume.tag.clone(), consumer.other_tag());
        match (consumer.state, last) {
            (State::Cancelling, true) => {
                consumer.state = State::Parked;
                self.reasons_changed |= self.deaf;
                if consumer.renewal == Renewal::Due {
                    consumer.renewal = Renewal::Emptying(self.now + super::drain::PAUSE);
                }
                let reads_on = consumer.offset.map(|_| consumer.queue.clone());
                self.attention = true;
                self.keep_alive();
                reads_on.into_iter().for_each(|queue| self.ask_kind(&queue));
                out.push(Action::Event(JobEvent::FetchMoved { to: Place::Gate }));
                self.resume_later(number);
            }
            (State::Ending, true) if by.is_some() => self.consumer_gone(number, &own_tag, out),
            _ => {}
        }
        self.lift_hold();
        answer(number, by.unwrap_or(By::Client), payload, patch)
    }

    /// The queue was deleted, or its node went away: the broker ends the consumer.
    pub(super) fn cancelled_by_broker(&mut self, number: u16, payload: &[u8], out: &mut Vec<Action>) -> Verdict {
        let (Some(tag), Some(channel)) = (method::consumer_tag(payload), self.channels.get_mut(&number)) else {
            return Verdict::Pass;
        };
        let Some(consumer) = channel.by_upstream(tag) else { return Verdict::Pass };
        let (own_tag, patch) = (consumer.consume.tag.clone(), consumer.other_tag());
        self.queues.deleted(&consumer.queue);
        self.consumer_gone(number, &own_tag, out);
        self.lift_hold();
        Verdict::with_tag(number, payload, patch)
    }
}

/// What becomes of a cancel-ok: the client's passes, under the client's own tag if the broker knows it by another.
fn answer(number: u16, by: By, payload: &[u8], own_tag: Option<Vec<u8>>) -> Verdict {
    match by {
        By::Gate => Verdict::Swallow,
        By::Client => Verdict::with_tag(number, payload, own_tag),
    }
}
