//! When is a settlement confirmed? AMQP has no reply to basic.ack. But a channel works in order, and a basic.cancel of a
//! tag that never existed is always answered at once, after the acks before it: so its cancel-ok is the proof. At most
//! one is under way per channel. While nobody waits for the answer the acks of a quarter of a second share one, up to a
//! few hundred: the ledger keeps their jobs until then.
//!
//! With quorum queues it proves that the channel has the ack, and not that the queue has: while the queue elects a leader,
//! and behind 32 others that are not written yet, the channel keeps it, and loses it when it is closed. (Measured on 3.10
//! and 4.0: of a hundred acks in one write 67 were lost when the client was killed behind the cancel-ok, and each of
//! those between the end of a leader and, less than half a second later, the next one.) Nothing tells when they are
//! written. (A quorum queue answers the cancel of its own consumer behind what it got before. But most comes after that.)
//! So those of a marked worker are asked for a second time, a second after the channel was known to have them: on their way
//! to it they may have taken any time. And the queue's leader must have shown that it lives (`leader`). Where the type of a
//! queue is not known this is done if there are many.

use super::AmqpGate;
use super::channel::Channel;
use super::consumer::Consumer;
use super::method::{self, Settlement};
use super::queues::Queues;
use super::unacked::{Open, Sent};
use crate::gate::{Action, Side};
use crate::job::{JobEvent, JobKey, Millis, Outcome, Settling, System};

/// Acks of a worker that is not marked are proven so much later, together.
pub(super) const TOGETHER: Millis = 250;
/// Or when there are so many: each of them is a job that the ledger keeps until then.
const MANY: usize = 256;
/// A quorum queue has got a new leader by then, and has written what it got.
pub(super) const WRITTEN: Millis = 1_000;
/// A channel that has sent no more within that time than this, twice, keeps none of them from the leader.
const FEW: usize = 16;

/// How fast a channel's settlements come.
///
/// ```text
/// Slow ──more than FEW within WRITTEN──▶ Fast
/// ```
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// So many since then.
    Slow { since: Millis, sent: usize },
    /// It stays so: those of the last second would have to be told from older ones otherwise.
    Fast,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace::Slow { since: 0, sent: 0 }
    }
}

impl Pace {
    /// So many more are sent.
    fn count(&mut self, more: usize, now: Millis) {
        let Pace::Slow { since, sent } = *self else { return };
        let (since, sent) = if now >= since + WRITTEN { (now, more) } else { (since, sent + more) };
        *self = if sent > FEW { Pace::Fast } else { Pace::Slow { since, sent } };
    }
}

impl AmqpGate {
    /// The tag that never exists.
    pub(super) fn proof_tag(&self) -> Vec<u8> {
        format!("~draingate-{:x}", self.seed).into_bytes()
    }

    /// Settlements have been forwarded on a channel.
    pub(super) fn settlements_sent(&mut self, number: u16) {
        let (marked, now) = (self.marked, self.now);
        if self.channels.get_mut(&number).is_some_and(|channel| channel.is_proof_due(now, marked)) {
            self.ask_proof(number);
        }
    }

    pub(super) fn ask_due_proofs(&mut self) {
        let now = self.now;
        let due = |due: Option<Millis>| due.is_some_and(|at| at <= now);
        let numbers: Vec<u16> = self.channels.iter().filter(|(_, c)| due(c.proof.due)).map(|(n, _)| *n).collect();
        for number in numbers {
            self.ask_proof(number);
        }
    }

    /// The worker has been marked: nothing is left for later.
    pub(super) fn ask_all_proofs(&mut self) {
        for number in self.channels.keys().copied().collect::<Vec<_>>() {
            self.ask_proof(number);
        }
    }

    pub(super) fn ask_proof(&mut self, number: u16) {
        let tag = self.proof_tag();
        let closing = self.closing || self.ending;
        let now = self.now;
        if self.marked {
            self.watch_leaders();
        }
        let Some(channel) = self.channels.get_mut(&number) else { return };
        channel.proof.due = None;
        if channel.proof.asked.is_some() || closing || !channel.is_open() {
            return;
        }
        let unheard = channel.unacked.unheard();
        channel.proof.pace.count(unheard, now);
        let writing = writing(self.marked, &self.queues, channel.proof.pace);
        let written = channel.unacked.longest_heard().map(|at| at + writing);
        let news = unheard > 0 || channel.has_unproven_ends();
        if !news {
            let Some(at) = written.filter(|at| *at <= now) else {
                channel.proof.due = written;
                return;
            };
            // it may be that nobody answers
            channel.proof.due = Some(now + TOGETHER);
            if !self.have_leaders_answered(at) {
                return;
            }
        }
        let Some(channel) = self.channels.get_mut(&number) else { return };
        channel.proof.due = None;
        channel.proof.asked = Some((channel.unacked.unconfirmed(), now));
        channel.consumers.values_mut().for_each(Consumer::over_asked);
        self.enqueue(Side::Broker, number, method::cancel(number, &tag));
    }

    /// Its cancel-ok has come.
    pub(super) fn proven(&mut self, number: u16, out: &mut Vec<Action>) {
        let now = self.now;
        let Some(channel) = self.channels.get_mut(&number) else { return };
        let writing = writing(self.marked, &self.queues, channel.proof.pace);
        let (n, asked) = channel.proof.asked.take().unwrap_or((0, now));
        let sent = match writing {
            0 => channel.unacked.confirm(n),
            _ => channel.unacked.heard(n, asked.min(self.leaders.answered()).saturating_sub(writing), now),
        };
        self.tell_settled(number, &sent, out);
        self.ends_proven(number, out);
        self.settlements_sent(number);
    }

    fn key(&self, number: u16, tag: u64) -> JobKey {
        JobKey::Delivery { seed: self.seed, channel: number, tag }
    }

    /// Celery acknowledges when it starts a job (or, told so, when it has ended one); all others when it is done.
    pub(super) fn tell_settled(&self, number: u16, sent: &[Sent], out: &mut Vec<Action>) {
        for alike in sent.chunk_by(|one, next| one.outcome == next.outcome) {
            let keys = alike.iter().map(|sent| self.key(number, sent.of.tag)).collect();
            let how = match alike[0].outcome {
                Outcome::Finished if self.system == System::Celery => Settling::Acked,
                outcome => Settling::Ended(outcome),
            };
            out.push(Action::Event(JobEvent::Settled { keys, how }));
        }
    }

    pub(super) fn tell_requeued(&self, number: u16, open: Open, out: &mut Vec<Action>) {
        let (key, outcome) = (self.key(number, open.tag), Outcome::Requeued);
        out.push(Action::Event(JobEvent::Ended { key, outcome }));
    }
}

/// How long a channel must have had a settlement before its proof counts. (A queue that was declared without a type is a
/// quorum queue if that is the virtual host's own type. Most are not, and what comes slowly is written anyway.)
fn writing(marked: bool, queues: &Queues, pace: Pace) -> Millis {
    let may_wait = || queues.has_quorum() || (matches!(pace, Pace::Fast) && queues.may_have_quorum());
    if marked && may_wait() { WRITTEN } else { 0 }
}

impl Channel {
    /// The client settles deliveries. True if that is to be proven now, rather than with others.
    pub(super) fn settle(&mut self, settlement: Settlement, now: Millis, marked: bool) -> bool {
        if self.unacked.settle(settlement, self.tx) {
            self.freed = Some(now);
        }
        self.is_proof_due(now, marked)
    }

    /// Whether what was settled is to be proven now, rather than with what comes within a moment.
    fn is_proof_due(&mut self, now: Millis, marked: bool) -> bool {
        let unconfirmed = self.unacked.unconfirmed();
        if unconfirmed == 0 || self.proof.asked.is_some() {
            return false;
        }
        self.proof.due.get_or_insert(now + TOGETHER);
        marked || unconfirmed >= MANY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_is_who_sends_more_than_a_few_within_the_second() {
        let mut pace = Pace::default();
        let mut is_fast_after = |more, now| {
            pace.count(more, now);
            matches!(pace, Pace::Fast)
        };
        assert!(!is_fast_after(FEW, 5_000));
        assert!(!is_fast_after(FEW, 6_000), "a second later");
        assert!(is_fast_after(1, 6_999));
        assert!(is_fast_after(0, 60_000), "and stays so");
    }
}
