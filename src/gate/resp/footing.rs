//! Commands that change how commands and replies pair, on a connection of which only a reply that is still to come will
//! tell whether it takes them. In RESP2 one with subscriptions refuses nearly all; a refused MULTI begins nothing, and
//! what is subscribed to behind it is confirmed at once. Such a command waits for the replies before it.

use super::RespGate;
use super::empty::Proto;
use super::owed::{Change, Noted, Owed, Replies};
use super::session::ReplyMode;

/// What becomes of a command that changes the pairing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Footing {
    /// What it says.
    Sure,
    /// A reply that is still to come decides.
    Unsure,
    /// An error: the connection is for messages only.
    Refused,
}

impl RespGate {
    /// See [`Footing`]. Sure of all commands but a few.
    pub(super) fn footing(&self, name: &[u8]) -> Footing {
        match name {
            b"subscribe" | b"psubscribe" | b"ssubscribe" | b"unsubscribe" | b"punsubscribe" | b"sunsubscribe"
            | b"client" | b"hello" | b"monitor" | b"sync" | b"psync"
                if self.session.transaction.is_some() && self.owed.begins_transaction() =>
            {
                Footing::Unsure
            }
            b"multi" | b"client" | b"sync" | b"psync" => {
                if self.may_end_up_subscribed() {
                    Footing::Unsure
                } else if self.session.subscribed_resp2() {
                    Footing::Refused
                } else {
                    Footing::Sure
                }
            }
            _ => Footing::Sure,
        }
    }

    /// What is still owed decides whether this is RESP2 with subscriptions.
    fn may_end_up_subscribed(&self) -> bool {
        // it has failed without a word if nothing comes; what is owed behind such a one tells
        let may_not_come = matches!(self.owed.back(), Some(Owed::Pubsub { quiet: true, .. }));
        if self.session.replies != ReplyMode::On || self.owed.only_skips() || may_not_come {
            return false;
        }
        let two = self.session.proto == Proto::Two || self.owed.changes_protocol();
        two && (self.session.is_subscribed() || self.owed.confirms_subscriptions())
    }
}

impl Replies {
    /// Confirmations of (un)subscribe commands are to come.
    fn confirms_subscriptions(&self) -> bool {
        self.iter().any(|owed| matches!(owed, Owed::Pubsub { .. }))
    }

    /// Whether a transaction has begun is not known yet.
    fn begins_transaction(&self) -> bool {
        self.iter().any(|owed| matches!(owed, Owed::Multi(_)))
    }

    /// A reply is to come that may change the protocol.
    fn changes_protocol(&self) -> bool {
        let changes = |noted: &Noted| matches!(noted.change, Change::Hello { .. } | Change::Reset);
        self.noted().is_some_and(changes)
            || self.iter().any(|owed| matches!(owed, Owed::Noted(noted) if changes(noted)))
    }
}
