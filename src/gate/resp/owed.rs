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
    Multi(u64),
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

/// See the module. Most connections owe one reply or one run of replies at a time: these own no memory.
#[derive(Debug, Default)]
pub(super) struct Replies {
    front: Option<Owed>,
    /// What comes behind the front. Empty if there is none.
    rest: VecDeque<Owed>,
}

impl Replies {
    pub(super) fn push(&mut self, owed: Owed) {
        if let (Owed::Plain(n), Some(Owed::Plain(before))) = (&owed, self.back_mut())
            && let Some(sum) = before.checked_add(*n)
        {
            *before = sum;
            return;
        }
        match self.front {
            None => self.front = Some(owed),
            Some(_) => {
                if self.rest.capacity() == 0 {
                    self.rest.reserve_exact(REST_MIN);
                }
                self.rest.push_back(owed);
            }
        }
    }

    pub(super) fn front(&self) -> Option<&Owed> {
        self.front.as_ref()
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Owed> {
        self.front.iter().chain(&self.rest)
    }

    pub(super) fn front_mut(&mut self) -> Option<&mut Owed> {
        self.front.as_mut()
    }

    pub(super) fn back_mut(&mut self) -> Option<&mut Owed> {
        self.rest.back_mut().or(self.front.as_mut())
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
        if self.rest.is_empty() {
            return self.front.take();
        }
        let owed = std::mem::replace(&mut self.front, self.rest.pop_front());
        if self.rest.is_empty() {
            self.rest = VecDeque::new();
        }
        owed
    }

    /// So many of the ordinary replies at the front have been given.
    pub(super) fn pop_plain(&mut self, count: u32) {
        let Some(Owed::Plain(n)) = self.front.as_mut().filter(|_| count > 0) else { return };
        // the last one gives its entry back
        *n = n.saturating_sub(count - 1).max(1);
        self.pop();
    }

    /// The reply to [`Owed::Sync`] that is to come, if one is.
    pub(super) fn sync(&self) -> Option<&Bytes> {
        // it is the last: nothing is sent behind it before it has come
        if let Some(Owed::Sync(reply)) = self.iter().next_back() { Some(reply) } else { None }
    }

    /// Something is owed behind which a question may be answered in an odd form, or not for a long time.
    pub(super) fn has_odd(&self) -> bool {
        self.iter().any(|o| matches!(o, Owed::Blocking | Owed::Pubsub { .. }))
    }

    /// Takes out what is owed before [`Owed::Sync`].
    pub(super) fn skip_to_sync(&mut self) -> Vec<Owed> {
        let Some(last) = self.rest.pop_back() else { return Vec::new() };
        let skipped = self.front.replace(last);
        skipped.into_iter().chain(std::mem::take(&mut self.rest)).collect()
    }

    pub(super) fn is_full(&self) -> bool {
        self.rest.len() + 1 >= FULL
    }

    /// Something is owed that must be settled even for a client that has gone.
    pub(super) fn has_unsettled(&self) -> bool {
        self.iter().any(|o| matches!(o, Owed::Fetch(_) | Owed::Request(_) | Owed::PutBack(_)))
    }

    /// Nothing will be answered any more. Returns what was to be put back.
    pub(super) fn abandon(&mut self) -> Vec<Vec<JobKey>> {
        let keys = |o| if let Owed::PutBack(back) = o { Some(back.keys) } else { None };
        let all = self.front.take().into_iter().chain(std::mem::take(&mut self.rest));
        all.filter_map(keys).collect()
    }

    /// Nothing that the client will see is owed.
    pub(super) fn only_skips(&self) -> bool {
        self.iter().all(|o| matches!(o, Owed::Skip | Owed::Sync(_) | Owed::PutBack(_)))
    }
}
