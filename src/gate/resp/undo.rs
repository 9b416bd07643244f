//! Putting back: the commands that return an element to the end where it was popped, for a client that vanished before
//! it got it. A member that is there again meanwhile keeps its new score. They go out on the connection that popped it:
//! right database, user and ACL.
//!
//! ```text
//! moved to another list ──is it still there?──▶ yes ──▶ removed there and pushed back, at once ──▶ returned
//!                            ▲         │                    │ the list has changed meanwhile
//!                            └─────────│────────────────────┘
//!                                      └──▶ no: somebody else has taken it from there
//! ```

use super::RespGate;
use super::encode::encode;
use super::leaves::{Leaf, Leaves};
use super::owed::Owed;
use super::pop::Pop;
use super::reply::Reading;
use super::table::Undo;
use crate::gate::{Action, Side};
use crate::job::{Fate, JobEvent, JobKey};
use bytes::Bytes;

/// Looks and tries in a list that others change all the time; then it is put back without looking.
const STEPS: u8 = 16;

/// An element on its way back.
#[derive(Debug)]
pub(super) struct PutBack {
    pub(super) keys: Vec<JobKey>,
    /// The last of them is answered with nothing if the element is not there any more. May be none.
    look: Vec<Vec<Bytes>>,
    /// What brings it back; nothing if the list that was looked at has changed since.
    commands: Vec<Vec<Bytes>>,
    steps: u8,
    looking: bool,
}

impl PutBack {
    pub(super) fn new(keys: Vec<JobKey>, look: Vec<Vec<Bytes>>, commands: Vec<Vec<Bytes>>) -> PutBack {
        PutBack { keys, look, commands, steps: 0, looking: false }
    }
}

impl RespGate {
    /// Asks whether the element is still where it was moved to, if that is in question, or brings it back.
    pub(super) fn bring_back(&mut self, mut back: PutBack, out: &mut Vec<Action>) {
        back.looking = !back.looking && !back.look.is_empty() && back.steps < STEPS;
        back.steps += 1;
        let commands = if back.looking { &back.look } else { &back.commands };
        let sent: Vec<Bytes> = commands.iter().map(|command| encode(command)).collect();
        sent.iter().skip(1).for_each(|_| self.owed.push(Owed::Skip));
        sent.into_iter().for_each(|command| self.send(Side::Broker, command, out));
        self.owed.push(Owed::PutBack(Box::new(back)));
    }

    /// The broker answered the last of its commands.
    pub(super) fn put_back_answered(&mut self, back: PutBack, reply: &Reading, out: &mut Vec<Action>) {
        let nothing = reply.is_empty();
        if back.looking && nothing {
            return not_handed_out(back.keys, Fate::Kept, out);
        }
        // a server that cannot look (before Redis 6.0.6) is told to do it all the same
        if back.looking || (nothing && !back.look.is_empty() && back.steps <= STEPS) {
            return self.bring_back(back, out);
        }
        if nothing || reply.is_error() || reply.leaves.iter().any(|leaf| leaf.is_error()) {
            return out.push(Action::Event(JobEvent::Orphan(Fate::Lost)));
        }
        not_handed_out(back.keys, Fate::Returned, out);
    }
}

/// These jobs, of one reply, have not reached the worker, and this became of them instead.
pub(super) fn not_handed_out(keys: Vec<JobKey>, fate: Fate, out: &mut Vec<Action>) {
    out.extend(keys.into_iter().map(|key| Action::Event(JobEvent::Returned(key))));
    out.push(Action::Event(JobEvent::Orphan(fate)));
}

impl Pop {
    /// The questions whether what was moved to another list is still there. From then on that list is watched: it must not
    /// be changed by somebody else until the element is back.
    pub(super) fn look(&self, reply: &Leaves) -> Vec<Vec<Bytes>> {
        let (Undo::Move, Some(element), Some(destination)) = (self.undo(), reply.first(), self.args().get(2)) else {
            return vec![];
        };
        let word = Bytes::from_static;
        vec![
            // what the client watches must not abort this
            vec![word(b"UNWATCH")],
            vec![word(b"WATCH"), destination.clone()],
            vec![word(b"LPOS"), destination.clone(), element.bytes()],
        ]
    }

    /// The commands that put back what the reply holds. `None`: it need not or cannot be put back.
    pub(super) fn put_back(&self, reply: &Leaves, now_ms: u64) -> Option<Vec<Vec<Bytes>>> {
        let reply: &[Leaf<'_>] = &reply.iter().collect::<Vec<_>>();
        let word = Bytes::from_static;
        let key = self.keys().first()?.clone();
        let named = |reply: &[Leaf<'_>]| reply.first().map(|l| l.bytes());
        Some(match self.undo() {
            Undo::Stays => return None,
            Undo::Left | Undo::Right => {
                let (key, elements) = if self.reply_names_key() { (named(reply)?, &reply[1..]) } else { (key, reply) };
                vec![push_back(self.undo() == Undo::Left, key, elements)]
            }
            Undo::Side => {
                let left = self.side_word()?.eq_ignore_ascii_case(b"left");
                vec![push_back(left, named(reply)?, &reply[1..])]
            }
            Undo::Move => {
                let element = reply.first()?.bytes();
                let (from_left, to_left) = self.move_sides();
                let destination = self.args().get(2)?.clone();
                let take = if to_left { word(b"1") } else { word(b"-1") };
                vec![
                    vec![word(b"MULTI")],
                    vec![word(b"LREM"), destination, take, element.clone()],
                    vec![if from_left { word(b"LPUSH") } else { word(b"RPUSH") }, key, element],
                    vec![word(b"EXEC")],
                ]
            }
            Undo::Scored | Undo::Claimed => {
                let (key, pairs) = if self.reply_names_key() { (named(reply)?, &reply[1..]) } else { (key, reply) };
                // what is there, or not any more, has been seen to by somebody else
                let only = if self.undo() == Undo::Claimed { b"XX" } else { b"NX" };
                let mut command = vec![word(b"ZADD"), key, word(only)];
                for pair in pairs.chunks_exact(2) {
                    command.push(pair[1].bytes());
                    command.push(pair[0].bytes());
                }
                vec![command]
            }
            Undo::Members => {
                let mut command = vec![word(b"SADD"), key];
                command.extend(reply.iter().map(Leaf::bytes));
                vec![command]
            }
            Undo::Due => {
                let now = Bytes::from(format!("{}.{:03}", now_ms / 1000, now_ms % 1000));
                let mut command = vec![word(b"ZADD"), key, word(b"NX")];
                command.extend(reply.iter().flat_map(|member| [now.clone(), member.bytes()]));
                vec![command]
            }
        })
    }
}

/// `LPUSH`/`RPUSH` of elements in the order in which they were popped at that end.
fn push_back(left: bool, key: Bytes, elements: &[Leaf<'_>]) -> Vec<Bytes> {
    let mut command = vec![Bytes::from_static(if left { b"LPUSH" } else { b"RPUSH" }), key];
    command.extend(elements.iter().rev().map(Leaf::bytes));
    command
}
