//! What may pass. A gate is a state machine for one connection: it owns no socket, clock, task or lock. It is given
//! bytes and the time, and appends ordered [`Action`]s; the pump (`crate::relay`) carries them out in that order.

pub mod amqp;
pub mod resp;
mod run;

use crate::job::{JobEvent, Millis, System};
use crate::question::Question;
use crate::queue::PausedQueues;
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;

/// One of the two sides of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The worker (or any other client).
    Client,
    /// Redis, Valkey or RabbitMQ.
    Broker,
}

impl Side {
    /// The other side.
    pub fn other(self) -> Side {
        match self {
            Side::Client => Side::Broker,
            Side::Broker => Side::Client,
        }
    }
}

/// One thing for the pump to do. The order matters: a job is written into the ledger before its last byte leaves.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Write this slice of the input just given to the other side of the one it came from.
    Forward(Range<usize>),
    /// Write bytes of the gate's own making.
    Send {
        /// To whom.
        to: Side,
        /// What.
        bytes: Bytes,
    },
    /// Tell the fleet.
    Event(JobEvent),
    /// Flush what was ordered before, then close both sides. `Err` carries a line for the log.
    Close(Result<(), GateError>),
}

/// Why a gate gave a connection up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// The bytes are not the protocol, or not what was due.
    #[error("{side:?} sent what the protocol does not allow: {what}")]
    OutOfStep {
        /// Who sent it.
        side: Side,
        /// What was wrong, in words for the log.
        what: String,
    },
    /// The broker closed the connection and said why.
    #[error("the broker refused: {0}")]
    Refused(String),
    /// A blind pipe cannot be judged, so a mark closes it.
    #[error("the connection could not be judged any more and its worker was marked")]
    OpaqueMarked,
}

/// The contract. All times are [`Millis`]; no call blocks, none panics on any input.
pub trait Gate {
    /// Takes bytes that `from` sent and appends actions. Returns how many bytes of `input` were consumed: the pump
    /// presents the rest again, with more behind it, when [`Gate::wants`] is true for that side.
    fn input(&mut self, now: Millis, from: Side, input: &[u8], out: &mut Vec<Action>) -> usize;

    /// `from` will send no more behind bytes that it has sent and that the gate did not want yet. What the gate wants
    /// from now on is presented before [`Gate::end`]; the rest is dropped with it.
    fn ending(&mut self, _now: Millis, _from: Side, _out: &mut Vec<Action>) {}

    /// `from` will send no more (orderly end or error). After the client's end the pump keeps the broker's side open
    /// and goes on presenting its bytes until a [`Action::Close`] comes. `written` is the number of bytes that have
    /// been handed to the client's socket in this connection's life: what lies beyond never reached it.
    fn end(&mut self, now: Millis, from: Side, written: u64, out: &mut Vec<Action>);

    /// Marks or unmarks the connection's worker. Idempotent. To be called before each [`Gate::input`] with the mark in
    /// force at that moment, so that no fetch *read* after a drain was answered is forwarded.
    fn mark(&mut self, now: Millis, marked: bool, out: &mut Vec<Action>);

    /// These queues are paused from now on, and no others: nobody fetches from them. To be called as [`Gate::mark`] is.
    /// Answered with [`JobEvent::PausesTaken`], again whenever fewer of them are open.
    fn pause(&mut self, now: Millis, paused: &Arc<PausedQueues>, out: &mut Vec<Action>);

    /// What the fleet knows of the worker's job system.
    fn set_system(&mut self, system: System);

    /// Puts a question of the gate's own to the process that has said [`JobEvent::Listens`] on this connection.
    fn ask(&mut self, question: Question, out: &mut Vec<Action>);

    /// When [`Gate::timeout`] is due.
    fn next_timeout(&self) -> Option<Millis>;

    /// Time has passed.
    fn timeout(&mut self, now: Millis, out: &mut Vec<Action>);

    /// Whether more bytes of that side can be consumed now. While the client's side is held back the pump reads on a
    /// little (so that it notices an end) but keeps the bytes.
    fn wants(&self, from: Side) -> bool;

    /// `written` bytes have been handed to the client's socket so far: copies kept for putting back can go.
    /// Cheap to call after every write.
    fn flushed(&mut self, written: u64);

    /// The broker has said that it closes the connection because it leaves itself: whoever closes first, the broker has
    /// ended it.
    fn broker_leaves(&self) -> bool {
        false
    }

    /// The broker takes each job back that its client has not acknowledged when it goes: what is handed to one that has
    /// gone already is not lost.
    fn takes_back(&self) -> bool {
        false
    }

    /// The client has gone, and the broker may still hand out a job for it, which would be lost if the connection was closed
    /// now.
    fn may_get_job(&self) -> bool {
        false
    }

    /// Whether the connection can be closed without hurting anybody: nothing owed, nothing half-way in either
    /// direction, no transaction open. A held fetch counts as idle.
    fn at_safe_boundary(&self) -> bool;
}
