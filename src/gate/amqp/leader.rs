//! Does the leader of a quorum queue answer? A passive declare asks it, and RabbitMQ answers without it only after a quarter of
//! a second. While it stands still the acks of a channel wait at its door, and are lost with the channel; once there is
//! another, the channel sends them anew. (Measured on 4.0.5: 1 to 4 ms, and 250 to 264 ms while the leader's node was stopped.)
//!
//! So an ack of a marked worker counts only if each leader has answered a question that was asked a second after the channel
//! had the ack (see `proof`), and a second after the last question that a leader did not answer.

use super::AmqpGate;
use super::inquiry::Question;
use super::proof::WRITTEN;
use super::queues::Kind;
use crate::job::Millis;
use std::collections::BTreeMap;

/// What takes no longer is the leader's own word. (It is less than RabbitMQ waits, so that no time is measured too short.)
const QUICK: Millis = 200;

/// One queue's leader.
#[derive(Clone, Copy, Debug, Default)]
struct Leader {
    /// When the last question was asked that counts.
    answered: Millis,
    /// None that is asked before counts.
    not_before: Millis,
}

/// Those of the quorum queues that a marked worker reads, also of those that it has stopped reading since it was marked.
#[derive(Debug, Default)]
pub(super) struct Leaders(Option<Box<Watched>>);

/// By the queue's name. (Most connections have none, and it is no part of their size.)
#[derive(Debug, Default)]
struct Watched(BTreeMap<Vec<u8>, Leader>);

impl Leaders {
    /// A queue's question is answered, by its leader or without it.
    pub(super) fn answer(&mut self, queue: &[u8], asked: Millis, now: Millis) {
        let Some(leader) = self.0.as_mut().and_then(|watched| watched.0.get_mut(queue)) else { return };
        if now > asked + QUICK {
            leader.not_before = now + WRITTEN;
        } else if asked >= leader.not_before {
            leader.answered = asked;
        }
    }

    /// All have answered what was asked then.
    pub(super) fn answered(&self) -> Millis {
        self.each().map(|(_, leader)| leader.answered).min().unwrap_or(Millis::MAX)
    }

    /// The worker is not marked any more.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }

    fn each(&self) -> impl Iterator<Item = (&Vec<u8>, &Leader)> {
        self.0.iter().flat_map(|watched| watched.0.iter())
    }

    fn has(&self, queue: &[u8]) -> bool {
        self.0.as_ref().is_some_and(|watched| watched.0.contains_key(queue))
    }
}

impl AmqpGate {
    /// What a marked worker reads.
    pub(super) fn watch_leaders(&mut self) {
        let is_quorum = |queue: &[u8]| self.queues.known(queue).is_some_and(|known| known.kind == Some(Kind::Quorum));
        let read = self.channels.values().flat_map(|channel| channel.consumers.values());
        for consumer in read.filter(|c| c.is_job() && is_quorum(&c.queue)) {
            if !self.leaders.has(&consumer.queue) {
                self.leaders.0.get_or_insert_default().0.insert(consumer.queue.clone(), Leader::default());
            }
        }
    }

    /// Whether all leaders have answered what was asked then, or later. Those that have not are asked.
    pub(super) fn have_leaders_answered(&mut self, since: Millis) -> bool {
        let late = |leader: &Leader| leader.answered < since;
        let now = self.now;
        let due = self.leaders.each().filter(|(_, leader)| late(leader) && leader.not_before <= now);
        for queue in due.map(|(queue, _)| queue.clone()).collect::<Vec<_>>() {
            // who cannot be asked must not hold up a drain for ever
            if !self.inquire(&queue, Question::Exists) {
                self.leaders.answer(&queue, now, now);
            }
        }
        !self.leaders.each().any(|(_, leader)| late(leader))
    }

    /// A queue has been asked for. Where that was waited for, it may be the proof's turn.
    pub(super) fn leader_answers(&mut self, queue: &[u8], asked: Millis) {
        if self.leaders.has(queue) {
            self.leaders.answer(queue, asked, self.now);
            self.ask_all_proofs();
        }
    }
}
