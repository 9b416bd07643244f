//! The replies that are owed, in order: one FIFO per connection, and no second queue beside it.
//!
//! Each command that the broker answers has its entry here, and so has each answer of the gate's own that must wait
//! for the replies before it. A reply is paired with the front; the rest of the gate never counts.

use super::empty::Empty;
use super::pop::Pop;
use super::undo::PutBack;
use crate::dialect::{Note, Request};
use crate::job::{JobKey, Millis};
use crate::queue::PausedQueues;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;

/// What is due next.
#[derive(Debug)]
pub(super) enum Owed {
    /// So many ordinary replies that nobody reads.
    Plain(u32),
    /// The reply of a blocking command that is no fetch: it may take for ever.
    Blocking,
    /// The reply to a question of the gate's own: swallowed.
    Skip,
    /// The reply to a question of the gate's own that can be told from all others: `$n text`. Whatever is still owed
    /// before it when it comes had no reply.
    Sync(Bytes),
    /// The reply to the last command of one step of putting an element back.
    PutBack(Box<PutBack>),
    /// Made up here; leaves as soon as it is at the front.
    Answer(Bytes),
    /// "Nothing there", in the protocol that is in force when it leaves.
    Nothing(Empty),
    /// The reply to the MULTI of the connection's transaction with this number.
    Multi(u32),
    /// A reply that changes the session, or confirms what a dialect has noted.
    Noted(Box<Noted>),
    /// A fetch at the broker.
    Fetch(Fetch),
    /// A request whose reply a dialect reads.
    Request(Box<Asked>),
    /// Confirmations of a (un)subscribe command: ordinary arrays in RESP2, pushes in RESP3, or one error.
    Pubsub {
        /// Which set it changes.
        kind: PubsubKind,
        /// How many are to come; unknown for an unsubscribe from everything until it is its turn.
        left: Option<u32>,
        /// Sent with replies switched off: confirmations come all the same, but no error.
        quiet: bool,
    },
}

/// Which subscriptions a command or confirmation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PubsubKind {
    Channels,
    Patterns,
    Shards,
}

/// See [`Owed::Noted`].
#[derive(Debug)]
pub(super) struct Noted {
    pub(super) change: Change,
    /// What it confirms if it is no error; for an EXEC with the index of each command in the transaction.
    pub(super) notes: Vec<(u32, Note)>,
}

impl Noted {
    /// Of an EXEC.
    pub(super) fn of_exec(notes: Vec<(u32, Note)>) -> Box<Noted> {
        Box::new(Noted { change: Change::Exec { doubted: Vec::new() }, notes })
    }

    /// Somebody asks what stands in the reply, beside whether it is an error.
    pub(super) fn asks_more(&self) -> bool {
        match &self.change {
            Change::Exec { doubted } => !doubted.is_empty() || !self.notes.is_empty(),
            Change::Unrefused(_) => true,
            _ => false,
        }
    }

    /// Among what it confirms are requests, whose replies have to be read.
    pub(super) fn has_requests(&self) -> bool {
        self.notes.iter().any(|(_, note)| matches!(note, Note::Request { .. }))
    }
}

/// What a successful reply changes.
#[derive(Debug)]
pub(super) enum Change {
    None,
    Hello {
        three: Option<bool>,
        user: Option<String>,
        name: Option<String>,
    },
    Auth {
        user: String,
    },
    Exec {
        /// Commands within it that may have brought a job: their indices, names and why nobody can say.
        doubted: Vec<(u32, Doubted)>,
    },
    Reset,
    Monitor,
    /// If it brings something, that may be a job.
    Unrefused(Doubted),
}

/// A command of which the gate cannot say whether it takes jobs, and which it does not refuse.
#[derive(Debug)]
pub(super) struct Doubted {
    pub(super) name: Vec<u8>,
    pub(super) how: &'static str,
    /// It takes something, if it returns something, whatever the worker's job system is.
    pub(super) sure: bool,
    /// What it takes from, as far as that is known.
    pub(super) queues: Vec<String>,
}

/// A command that asks for a job, while it is unanswered.
#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) pop: Arc<Pop>,
    /// When the client's own time-out is over; `None`: never.
    pub(super) deadline: Option<Millis>,
    /// The time-out at the broker is the gate's own: its "nothing" is not the client's.
    pub(super) sliced: bool,
    /// A script that takes a due job to be pushed on, rather than a pop.
    pub(super) takes_due: bool,
    /// What was paused when it was sent: these queues it does not ask for.
    pub(super) left_out: Option<Arc<PausedQueues>>,
}

/// See [`Owed::Request`].
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) request: Request,
    /// It went to the broker as a fetch.
    pub(super) fetches: bool,
}

/// With so many entries the client has to wait: not every one is merged with its neighbour.
const FULL: usize = 32_768;

/// As much room as most need that need any.
const REST_MIN: usize = 4;

/// See the module. Most connections owe one reply, one run of replies, or those of one transaction at a time: these own no
/// memory of their own.
#[derive(Debug, Default)]
pub(super) struct Replies {
    front: Option<Owed>,
    /// So many ordinary replies come behind the front,
    plain: u32,
    /// and behind those this one. As from here on:
    noted: Option<Box<Noted>>,
    /// what comes last. Nothing comes behind a front that is not there.
    rest: VecDeque<Owed>,
}

impl Replies {
    pub(super) fn push(&mut self, owed: Owed) {
        if self.front.is_none() {
            self.front = Some(owed);
            return;
        }
        if self.noted.is_some() || !self.rest.is_empty() {
            return self.push_last(owed);
        }
        match owed {
            Owed::Plain(n) => {
                let before = match &mut self.front {
                    Some(Owed::Plain(before)) if self.plain == 0 => before,
                    _ => &mut self.plain,
                };
                match before.checked_add(n) {
                    Some(sum) => *before = sum,
                    None => self.push_last(owed),
                }
            }
            Owed::Noted(noted) => self.noted = Some(noted),
            owed => self.push_last(owed),
        }
    }

    fn push_last(&mut self, owed: Owed) {
        if let (Owed::Plain(n), Some(Owed::Plain(before))) = (&owed, self.rest.back_mut())
            && let Some(sum) = before.checked_add(*n)
        {
            *before = sum;
            return;
        }
        if self.rest.capacity() == 0 {
            self.rest.reserve_exact(REST_MIN);
        }
        self.rest.push_back(owed);
    }

    pub(super) fn front(&self) -> Option<&Owed> {
        self.front.as_ref()
    }

    pub(super) fn front_mut(&mut self) -> Option<&mut Owed> {
        self.front.as_mut()
    }

    /// All but ordinary replies and what stands in [`Replies::noted`], in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Owed> {
        self.front.iter().chain(&self.rest)
    }

    /// A reply that confirms something, if it comes behind the front and before what is more than that.
    pub(super) fn noted(&self) -> Option<&Noted> {
        self.noted.as_deref()
    }

    /// What was pushed last, unless it was an ordinary reply or one that confirms something.
    pub(super) fn back(&self) -> Option<&Owed> {
        match self.plain == 0 && self.noted.is_none() {
            true => self.rest.back().or(self.front.as_ref()),
            false => self.rest.back(),
        }
    }

    /// The same.
    pub(super) fn back_mut(&mut self) -> Option<&mut Owed> {
        match self.plain == 0 && self.noted.is_none() {
            true => self.rest.back_mut().or(self.front.as_mut()),
            false => self.rest.back_mut(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.front.is_none()
    }

    /// The front has been answered.
    pub(super) fn pop(&mut self) -> Option<Owed> {
        if let Some(Owed::Plain(n)) = &mut self.front
            && *n > 1
        {
            *n -= 1;
            return Some(Owed::Plain(1));
        }
        let next = self.take_next();
        std::mem::replace(&mut self.front, next)
    }

    /// What comes behind the front.
    fn take_next(&mut self) -> Option<Owed> {
        if self.plain > 0 {
            return Some(Owed::Plain(std::mem::take(&mut self.plain)));
        }
        if let Some(noted) = self.noted.take() {
            return Some(Owed::Noted(noted));
        }
        let next = self.rest.pop_front()?;
        if self.rest.is_empty() {
            self.rest = VecDeque::new();
        }
        Some(next)
    }

    /// So many of the ordinary replies at the front have been given.
    pub(super) fn pop_plain(&mut self, count: u32) {
        let Some(Owed::Plain(n)) = self.front.as_mut().filter(|_| count > 0) else { return };
        if *n > count {
            *n -= count;
        } else {
            self.front = self.take_next();
        }
    }

    /// The reply to [`Owed::Sync`] that is to come, if one is.
    pub(super) fn sync(&self) -> Option<&Bytes> {
        // it is the last: nothing is sent behind it before it has come
        if let Some(Owed::Sync(reply)) = self.back() { Some(reply) } else { None }
    }

    /// Something is owed behind which a question may be answered in an odd form, or not for a long time.
    pub(super) fn has_odd(&self) -> bool {
        self.iter().any(|o| matches!(o, Owed::Blocking | Owed::Pubsub { .. }))
    }

    /// Takes out what is owed before [`Owed::Sync`].
    pub(super) fn skip_to_sync(&mut self) -> Vec<Owed> {
        let Some(last) = self.rest.pop_back() else { return Vec::new() };
        (self.plain, self.noted) = (0, None);
        let skipped = self.front.replace(last);
        skipped.into_iter().chain(std::mem::take(&mut self.rest)).collect()
    }

    pub(super) fn is_full(&self) -> bool {
        self.rest.len() + usize::from(self.noted.is_some()) + 1 >= FULL
    }

    /// Something is owed that must be settled even for a client that has gone.
    pub(super) fn has_unsettled(&self) -> bool {
        self.iter().any(|o| matches!(o, Owed::Fetch(_) | Owed::Request(_) | Owed::PutBack(_)))
    }

    /// Nothing will be answered any more. Returns what was to be put back.
    pub(super) fn abandon(&mut self) -> Vec<Vec<JobKey>> {
        let keys = |o| if let Owed::PutBack(back) = o { Some(back.keys) } else { None };
        let Replies { front, rest, .. } = std::mem::take(self);
        front.into_iter().chain(rest).filter_map(keys).collect()
    }

    /// Nothing that the client will see is owed.
    pub(super) fn only_skips(&self) -> bool {
        let skips = |o: &Owed| matches!(o, Owed::Skip | Owed::Sync(_) | Owed::PutBack(_));
        self.plain == 0 && self.noted.is_none() && self.iter().all(skips)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One reply, as a letter.
    fn kind(owed: &Owed) -> char {
        match owed {
            Owed::Plain(_) => 'p',
            Owed::Noted(_) => 'n',
            Owed::Multi(_) => 'm',
            Owed::Blocking => 'b',
            Owed::Skip => 's',
            Owed::Sync(_) => 'y',
            _ => '?',
        }
    }

    fn any(rng: &mut fastrand::Rng) -> (Owed, String) {
        match rng.u8(..12) {
            0..4 => (Owed::Plain(3), "ppp".into()),
            4..6 => (Owed::Plain(1), "p".into()),
            6..8 => (Owed::Noted(Noted::of_exec(Vec::new())), "n".into()),
            8..10 => (Owed::Multi(7), "m".into()),
            10 => (Owed::Blocking, "b".into()),
            _ => (Owed::Skip, "s".into()),
        }
    }

    #[test]
    fn replies_are_paired_in_the_order_of_their_commands() {
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..2_000 {
            let (mut replies, mut expected) = (Replies::default(), VecDeque::new());
            for _ in 0..rng.usize(..40) {
                match rng.u8(..8) {
                    0..5 => {
                        let (owed, kinds) = any(&mut rng);
                        replies.push(owed);
                        expected.extend(kinds.chars());
                    }
                    5 => {
                        let run = expected.iter().take_while(|kind| **kind == 'p').count();
                        let Some(Owed::Plain(there)) = replies.front() else { continue };
                        assert!(*there as usize <= run);
                        let count = rng.u32(..=*there);
                        replies.pop_plain(count);
                        expected.drain(..count as usize);
                    }
                    _ => assert_eq!(replies.pop().as_ref().map(kind), expected.pop_front()),
                }
                assert_eq!(replies.front().map(kind), expected.front().copied());
                assert_eq!(replies.is_empty(), expected.is_empty());
                assert_eq!(replies.only_skips(), expected.iter().all(|kind| *kind == 's'));
                assert_eq!(replies.has_odd(), expected.contains(&'b'));
                let last = expected.back().copied().filter(|kind| !matches!(kind, 'p' | 'n'));
                assert_eq!(replies.back().map(kind).filter(|kind| !matches!(kind, 'p' | 'n')), last);
            }
            let noted = expected.iter().filter(|kind| **kind == 'n').count();
            let seen = replies.iter().filter(|owed| kind(owed) == 'n').count() + usize::from(replies.noted().is_some());
            assert_eq!(seen, noted);
            if !expected.is_empty() {
                replies.push(Owed::Sync(Bytes::new()));
                assert!(replies.sync().is_some());
                replies.skip_to_sync();
                assert_eq!((replies.pop().as_ref().map(kind), replies.pop().is_none()), (Some('y'), true));
            }
        }
    }

    #[test]
    fn what_one_transaction_brings_takes_no_room() {
        let mut replies = Replies::default();
        for owed in [Owed::Multi(1), Owed::Plain(1), Owed::Plain(2), Owed::Noted(Noted::of_exec(Vec::new()))] {
            replies.push(owed);
        }
        assert_eq!(replies.rest.capacity(), 0);
    }
}
