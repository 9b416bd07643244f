//! Replies that change the session, or confirm what dialects have noted of the commands that they answer.

use super::RespGate;
use super::empty::Proto;
use super::leaves::Leaf;
use super::owed::{Change, Doubted, Noted};
use super::reply::Reading;
use crate::dialect::{self, Note};
use crate::gate::Action;
use crate::job::JobEvent;

impl RespGate {
    /// A MULTI has been answered.
    pub(super) fn begun(&mut self, number: u32, failed: bool) {
        if failed {
            // by now the client may be in another one
            let open = self.session.drop_transaction(number);
            self.memory.in_transaction &= !open;
        }
    }

    /// A reply that changes the session or confirms notes has ended.
    pub(super) fn noted(&mut self, noted: Noted, reading: &Reading, out: &mut Vec<Action>) {
        let failed = reading.is_error();
        let in_exec = matches!(noted.change, Change::Exec { .. });
        match noted.change {
            Change::Unrefused(doubted) if !failed => {
                self.came(&doubted, Came::of(reading.overflow, reading.leaves.iter()), out);
            }
            Change::Exec { doubted } if !failed && !reading.is_empty() => self.doubted_in_exec(&doubted, reading, out),
            Change::Hello { three, user, name } if !failed => {
                if let Some(three) = three {
                    self.session.proto = if three { Proto::Three } else { Proto::Two };
                }
                out.extend(user.map(|u| Action::Event(JobEvent::User(u))));
                out.extend(name.map(|n| Action::Event(JobEvent::ClientNamed(n))));
            }
            Change::Auth { user } if !failed => out.push(Action::Event(JobEvent::User(user))),
            Change::Reset if !failed => self.session.reset(),
            Change::Monitor if !failed => self.session.monitor = true,
            _ => {}
        }
        if noted.notes.is_empty() {
            return;
        }
        // a watched key has changed: nothing was executed, and nothing was refused
        let unexecuted = in_exec && !failed && reading.is_empty();
        if failed || unexecuted {
            self.requests_failed(&noted.notes, out);
        } else {
            self.requests_executed(&noted.notes, reading, out);
        }
        if unexecuted {
            return;
        }
        let flat = in_exec && reading.is_flat();
        let held = |(index, _): &(u32, Note)| {
            // with a nested or overlong reply the elements cannot be told apart: the EXEC itself succeeded
            let element = reading.leaves.get(*index as usize).filter(|_| flat);
            !failed && element.is_none_or(|leaf| !leaf.is_error())
        };
        let (mut notes, mut refused) = (noted.notes, Vec::new());
        if !notes.iter().all(held) {
            (notes, refused) = notes.into_iter().partition(held);
        }
        dialect::confirmed(notes, |event| out.push(Action::Event(event)));
        self.dialects(out, |_, events| dialect::refused(refused, events));
    }

    /// An EXEC has been answered: which of its commands have brought something? If the elements cannot be told apart,
    /// any string may be theirs, and any null.
    fn doubted_in_exec(&mut self, doubted: &[(u32, Doubted)], reading: &Reading, out: &mut Vec<Action>) {
        let flat = reading.is_flat();
        for (index, doubted) in doubted {
            let came = match reading.leaves.get(*index as usize).filter(|_| flat) {
                Some(leaf) => Came::of(false, std::iter::once(leaf)),
                None => {
                    Came::of(reading.overflow, reading.leaves.iter().filter(|leaf| leaf.is_string() || leaf.is_null()))
                }
            };
            self.came(doubted, came, out);
        }
    }
}

/// What a command came back with of which nobody knows whether it takes jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// Strings: it may have been a job.
    Something,
    /// Nulls or an empty list, as from a queue that is empty now: the next one may bring a job.
    Nothing,
    /// Numbers, a status, an error.
    Else,
}

impl Came {
    fn of<'a>(overflow: bool, leaves: impl Iterator<Item = Leaf<'a>>) -> Came {
        let (mut any, mut nulls) = (false, true);
        for leaf in leaves {
            if leaf.is_string() {
                return Came::Something;
            }
            (any, nulls) = (true, nulls && leaf.is_null());
        }
        match (overflow, any && nulls) {
            (true, _) => Came::Something,
            (false, true) => Came::Nothing,
            (false, false) => Came::Else,
        }
    }
}
