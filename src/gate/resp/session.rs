//! The modes of a connection that decide how commands and replies pair: protocol, transaction, replies switched off,
//! subscriptions, MONITOR.

use super::empty::Proto;
use super::leaves::Leaf;
use super::owed::{Change, Doubted, Noted, PubsubKind};
use super::reply::Reading;
use super::scan::number;
use crate::dialect::Note;

/// ```text
/// On ──OFF──▶ Off ──ON──▶ On        On ──SKIP──▶ SkipNext ──any command──▶ On
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum ReplyMode {
    #[default]
    On,
    Off,
    SkipNext,
}

/// How many commands of one transaction are remembered for what they confirm; acks beyond are not seen.
const NOTES_MAX: usize = 1_024;
/// How many of them are remembered singly for what they may bring.
const DOUBTED_MAX: usize = 256;

/// An open MULTI, as the client has sent it so far.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    pub(super) queued: u32,
    /// It holds a command whose effect on the pairing at EXEC is not followed.
    pub(super) odd: bool,
    /// What the reply to its EXEC will be asked for. Nothing, most often.
    noted: Option<Box<Noted>>,
}

impl Transaction {
    /// The next command confirms something.
    pub(super) fn note(&mut self, note: Note) {
        match &mut self.noted {
            // hardly any transaction has more
            None => self.noted = Some(Noted::of_exec(vec![(self.queued, note)])),
            Some(noted) if noted.notes.len() < NOTES_MAX => noted.notes.push((self.queued, note)),
            Some(_) => {}
        }
    }

    /// The next command may bring a job.
    pub(super) fn doubt(&mut self, new: Doubted) {
        let noted = self.noted.get_or_insert_with(|| Noted::of_exec(Vec::new()));
        let Change::Exec { doubted } = &mut noted.change else { return };
        let known = |(_, other): &(u32, Doubted)| other.name == new.name && other.how == new.how;
        if doubted.len() < DOUBTED_MAX || !doubted.iter().any(known) {
            doubted.push((self.queued, new));
        }
    }

    /// What has been noted so far.
    pub(super) fn notes(&self) -> &[(u32, Note)] {
        self.noted.as_ref().map_or(&[], |noted| &noted.notes)
    }

    /// What the reply to its EXEC is asked for.
    pub(super) fn into_noted(self) -> Option<Box<Noted>> {
        self.noted
    }
}

/// See the module. `proto` and the subscriptions are as of the last reply, the rest as of the last command.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) proto: Proto,
    pub(super) transaction: Option<Transaction>,
    /// The number of the one that is open, or was opened last.
    transactions: u32,
    pub(super) replies: ReplyMode,
    pub(super) monitor: bool,
    channels: u32,
    patterns: u32,
    shards: u32,
}

impl Session {
    /// MULTI was sent. Returns the transaction's number.
    pub(super) fn begin_transaction(&mut self) -> u32 {
        // only those are told apart to which the reply is still to come
        self.transactions = self.transactions.wrapping_add(1);
        self.transaction = Some(Transaction::default());
        self.transactions
    }

    /// The MULTI of the transaction with this number has failed. True if it is still open.
    pub(super) fn drop_transaction(&mut self, number: u32) -> bool {
        self.transaction.take_if(|_| self.transactions == number).is_some()
    }

    /// Something is subscribed to.
    pub(super) fn is_subscribed(&self) -> bool {
        self.channels > 0 || self.patterns > 0 || self.shards > 0
    }

    /// RESP2 with subscriptions: messages are ordinary arrays, and only a few commands are allowed.
    pub(super) fn subscribed_resp2(&self) -> bool {
        self.proto == Proto::Two && self.is_subscribed()
    }

    /// How many confirmations an unsubscribe from everything brings (but one if there are none).
    pub(super) fn subscriptions(&self, kind: PubsubKind) -> u32 {
        match kind {
            PubsubKind::Channels => self.channels,
            PubsubKind::Patterns => self.patterns,
            PubsubKind::Shards => self.shards,
        }
    }

    /// A confirmation has passed: `[kind, channel, count]`. The count is of channels and patterns together.
    pub(super) fn confirmed(&mut self, kind: PubsubKind, reading: &Reading) {
        let count = |leaf: Leaf<'_>| {
            number(leaf.content).ok().filter(|n| *n >= 0).map(|n| u32::try_from(n).unwrap_or(u32::MAX))
        };
        let Some(count) = reading.leaves.last().and_then(count) else { return };
        match kind {
            PubsubKind::Channels => self.channels = count.saturating_sub(self.patterns),
            PubsubKind::Patterns => self.patterns = count.saturating_sub(self.channels),
            PubsubKind::Shards => self.shards = count,
        }
    }

    /// RESET was answered. What has been sent behind it stands.
    pub(super) fn reset(&mut self) {
        self.proto = Proto::Two;
        self.monitor = false;
        (self.channels, self.patterns, self.shards) = (0, 0, 0);
    }
}

/// What a pub/sub item is, by its first element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Message,
    Confirmation(PubsubKind),
}

/// Reads the first element of an item; `None`: something else.
pub(super) fn item(word: &[u8]) -> Option<Item> {
    Some(match word {
        b"message" | b"pmessage" | b"smessage" => Item::Message,
        b"subscribe" | b"unsubscribe" => Item::Confirmation(PubsubKind::Channels),
        b"psubscribe" | b"punsubscribe" => Item::Confirmation(PubsubKind::Patterns),
        b"ssubscribe" | b"sunsubscribe" => Item::Confirmation(PubsubKind::Shards),
        _ => return None,
    })
}
