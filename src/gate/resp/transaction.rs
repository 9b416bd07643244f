//! Commands without arguments: those that begin, end or drop a transaction, and the one that ends more than that.

use super::owed::{Change, Owed};
use super::session::{ReplyMode, Transaction};
use super::{Mode, RespGate};
use crate::gate::Action;

impl RespGate {
    /// A command without arguments, if it is one of a few. Returns whether it is to be forwarded.
    pub(super) fn bare(&mut self, name: &[u8], out: &mut Vec<Action>) -> Option<bool> {
        Some(match name {
            b"exec" => self.exec(out),
            b"multi" if self.session.transaction.is_some() => self.owe(Owed::Plain(1)),
            b"multi" => {
                self.memory.in_transaction = true;
                let number = self.session.begin_transaction();
                self.owe(Owed::Multi(number))
            }
            b"discard" => {
                self.drop_transaction(out);
                self.owe(Owed::Plain(1))
            }
            b"reset" => self.reset(out),
            _ => return None,
        })
    }

    /// RESET ends all modes; its own reply is left out only behind CLIENT REPLY SKIP.
    pub(super) fn reset(&mut self, out: &mut Vec<Action>) -> bool {
        self.drop_transaction(out);
        match std::mem::take(&mut self.session.replies) {
            ReplyMode::SkipNext => self.session.reset(),
            _ => {
                self.owe_noted(Change::Reset, vec![]);
            }
        }
        true
    }

    pub(super) fn exec(&mut self, out: &mut Vec<Action>) -> bool {
        let Some(transaction) = self.end_transaction() else { return self.owe(Owed::Plain(1)) };
        if transaction.odd {
            self.go_opaque(out);
            return self.mode != Mode::Closed;
        }
        // else nobody asks what comes of it
        self.owe(transaction.into_noted().map_or(Owed::Plain(1), Owed::Noted))
    }

    fn end_transaction(&mut self) -> Option<Transaction> {
        self.memory.in_transaction = false;
        self.memory.ack_in_transaction = false;
        self.memory.work = None;
        self.session.transaction.take()
    }

    /// The transaction will not be executed.
    pub(super) fn drop_transaction(&mut self, out: &mut Vec<Action>) {
        if let Some(transaction) = self.end_transaction() {
            self.requests_failed(transaction.notes(), out);
        }
    }

    /// A command whose replies at EXEC are not followed.
    pub(super) fn odd_in_transaction(&mut self) -> bool {
        if let Some(transaction) = &mut self.session.transaction {
            transaction.odd = true;
        }
        self.plain()
    }
}
