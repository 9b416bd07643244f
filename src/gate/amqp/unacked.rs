//! The deliveries of jobs on one channel that the client has not settled, and those whose settlement the broker has not
//! confirmed. Tags rise, so the first list is sorted; `multiple` and 0 mean what they mean to RabbitMQ.
//!
//! ```text
//! open ──ack, nack, reject──▶ sent ──the proof comes back──▶ (told)
//!   │                          ▲ │
//!   │                  commit-ok │ rollback-ok
//!   └──in a transaction──▶ in_tx ▼──▶ open
//! open ──recover-ok, the channel closes──▶ (told as requeued)      open ──recover-async──▶ sent
//! ```

use super::method::Settlement;
use crate::job::{Millis, Outcome};
use std::collections::VecDeque;

/// A delivery that is not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) tag: u64,
    /// The number of the consumer it came by; 0 for basic.get.
    pub(super) consumer: u32,
}

/// A settled delivery that is not yet confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) of: Open,
    pub(super) outcome: Outcome,
    /// When the channel was first known to have heard of it.
    heard: Option<Millis>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Unacked {
    open: VecDeque<Open>,
    /// The highest tag of any delivery of the channel, jobs or not.
    highest: u64,
    sent: Vec<Sent>,
    in_tx: Vec<Sent>,
}

impl Unacked {
    /// Any delivery, a job or not.
    pub(super) fn saw(&mut self, tag: u64) {
        self.highest = self.highest.max(tag);
    }

    /// A job.
    pub(super) fn delivered(&mut self, tag: u64, consumer: u32) {
        self.saw(tag);
        self.open.push_back(Open { tag, consumer });
    }

    /// The client settled deliveries; false if none. One that the broker refuses (it closes the channel) changes nothing.
    pub(super) fn settle(&mut self, settlement: Settlement, in_transaction: bool) -> bool {
        let Settlement { tag, multiple, requeue } = settlement;
        if tag > self.highest || (tag == 0 && !multiple) {
            return false;
        }
        let before = self.open.len();
        let outcome = if requeue { Outcome::Requeued } else { Outcome::Finished };
        let into = if in_transaction { &mut self.in_tx } else { &mut self.sent };
        if multiple {
            let upto = if tag == 0 { u64::MAX } else { tag };
            let end = self.open.partition_point(|open| open.tag <= upto);
            into.extend(self.open.drain(..end).map(|of| Sent { of, outcome, heard: None }));
        } else if let Some(of) = take(&mut self.open, tag) {
            into.push(Sent { of, outcome, heard: None });
        }
        self.open.len() < before
    }

    /// Settlements that nothing has confirmed yet.
    pub(super) fn unconfirmed(&self) -> usize {
        self.sent.len()
    }

    /// When the channel was first known to have heard of the one that waits longest, if it is known.
    pub(super) fn longest_heard(&self) -> Option<Millis> {
        self.sent.first()?.heard
    }

    /// How many of them the channel is not known to have heard of.
    pub(super) fn unheard(&self) -> usize {
        self.sent.len() - self.sent.partition_point(|sent| sent.heard.is_some())
    }

    /// The channel has heard of the first `n` of them. Those that it has had since `moment` are confirmed.
    pub(super) fn heard(&mut self, n: usize, moment: Millis, now: Millis) -> Vec<Sent> {
        let n = n.min(self.sent.len());
        self.sent[..n].iter_mut().for_each(|sent| _ = sent.heard.get_or_insert(now));
        let confirmed = self.sent[..n].partition_point(|sent| sent.heard.is_some_and(|at| at <= moment));
        self.confirm(confirmed)
    }

    /// The first `n` of them are confirmed.
    pub(super) fn confirm(&mut self, n: usize) -> Vec<Sent> {
        self.trim();
        let later = self.sent.split_off(n.min(self.sent.len()));
        std::mem::replace(&mut self.sent, later)
    }

    /// Gives room back, but not each time that nothing is open: what comes within the next moment would ask for it again.
    fn trim(&mut self) {
        if self.open.is_empty() && self.open.capacity() > 64 {
            self.open = VecDeque::new();
        }
    }

    /// tx.commit-ok: what the transaction settled is confirmed.
    pub(super) fn commit(&mut self) -> Vec<Sent> {
        self.trim();
        std::mem::take(&mut self.in_tx)
    }

    /// tx.rollback-ok: what it settled is open again.
    pub(super) fn roll_back(&mut self) {
        self.open.extend(self.in_tx.drain(..).map(|sent| sent.of));
        self.open.make_contiguous().sort_unstable_by_key(|open| open.tag);
    }

    /// basic.recover-ok: what is not settled has gone back. What a transaction settled waits for its end.
    pub(super) fn recover(&mut self) -> Vec<Open> {
        std::mem::take(&mut self.open).into()
    }

    /// basic.recover-async, which has no answer: the same, to be confirmed like a settlement.
    pub(super) fn recover_async(&mut self) {
        let outcome = Outcome::Requeued;
        self.sent.extend(self.open.drain(..).map(|of| Sent { of, outcome, heard: None }));
    }

    /// The broker has taken everything back that is not settled. In a transaction that includes what it settled.
    pub(super) fn requeue(&mut self) -> Vec<Open> {
        self.roll_back();
        std::mem::take(&mut self.open).into()
    }

    /// How many deliveries of a consumer the broker still counts against its prefetch, when it hears what is sent next.
    pub(super) fn of_consumer(&self, consumer: u32) -> usize {
        self.of_consumer_up_to(consumer, u64::MAX)
    }

    /// The same of the deliveries with tags up to this one.
    pub(super) fn of_consumer_up_to(&self, consumer: u32, highest: u64) -> usize {
        let of = |open: &&Open| open.consumer == consumer && open.tag <= highest;
        self.open.iter().filter(of).count() + self.in_tx.iter().map(|sent| &sent.of).filter(of).count()
    }

    /// The highest tag so far.
    pub(super) fn highest(&self) -> u64 {
        self.highest
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.sent.is_empty() && self.in_tx.is_empty()
    }
}

/// Mostly they are settled in the order in which they came.
fn take(open: &mut VecDeque<Open>, tag: u64) -> Option<Open> {
    if open.front()?.tag == tag {
        return open.pop_front();
    }
    open.remove(open.binary_search_by_key(&tag, |open| open.tag).ok()?)
}
