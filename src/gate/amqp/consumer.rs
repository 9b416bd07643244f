//! One consumer of the client's, and where it stands between the client and the broker.

use super::AmqpGate;
use super::consume::Consume;
use super::queues::{Kind, Known};
use crate::dialect::amqp::Role;
use crate::job::Millis;
use std::collections::VecDeque;
use std::sync::Arc;

/// What the client sees is a consumer from its consume-ok to its cancel-ok, whatever stands here.
///
/// ```text
/// Asked ──consume-ok──▶ Active ──stop: cancel──▶ Cancelling ──cancel-ok──▶ Parked
///                         ▲ │                                              │  ▲ consume while stopped
///                         │ └──client's cancel──▶ Ending ──cancel-ok──▶ (gone) ◀──client's cancel
///                         └────────consume-ok──── Resuming ◀───lifted: consume────┘
/// ```
/// A cancel never follows a consume whose consume-ok is not back: the broker would close the connection (541).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The client's consume has been forwarded.
    Asked,
    /// Established at the broker.
    Active,
    /// The gate's cancel is under way.
    Cancelling,
    /// The broker does not know it.
    Parked,
    /// The gate's consume is under way.
    Resuming,
    /// The client's own cancel is under way.
    Ending,
}

/// Who waits for a cancel-ok.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Client,
    Gate,
}

/// Whether the gate may cancel a consumer of jobs.
///
/// ```text
/// Unasked ──marked: the queue is examined──▶ Given or Denied
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// It may.
    Given,
    /// This connection has not declared the queue: what a cancel would do to it is asked when it matters.
    Unasked,
    /// It must not, and why.
    Denied(&'static str),
}

/// How it is known where a stream's consumer goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// By what it has got or, if nothing, by its own words. No other kind of queue has places.
    Own,
    /// An anchor is being set.
    Sought,
    /// By an anchor.
    Kept,
}

/// Why a consumer could not be resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// Its queue cannot be had: that may change by itself.
    Queue(&'static str),
    /// Somebody else has it, or its place is not known: only the next mark is reason enough to try again.
    Turn(&'static str),
}

/// How a consumer that was resumed with less than its prefetch comes to all of it again.
///
/// ```text
/// Needless ──resumed with jobs in the client's hands──▶ Short ──some of them are settled──▶ Due ──cancel-ok──▶ Emptying
///     ▲                                                   ▲                                                       │
///     └───────────── resumed, with all of it ─────────────┴──────────────────── or with less ─────────────────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    Needless,
    Short {
        since: Millis,
        /// How many jobs, with tags up to this one.
        in_hand: usize,
        highest: u64,
    },
    /// It is being cancelled to be resumed with more.
    Due,
    /// Parked for that: it is waited for an empty hand until then.
    Emptying(Millis),
}

/// The client has cancelled a consumer without waiting. What is on its way to it may come behind the answer to whatever is
/// asked next, but not behind that to what is asked when the first answer is back. (Measured: a classic queue's fifty
/// deliveries came between the two.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Over {
    /// Proofs that came back.
    back: u8,
    /// Another has been asked.
    asked: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Consumer {
    /// Its number on the connection, from 1.
    pub(super) no: u32,
    pub(super) consume: Consume,
    /// The queue, with an empty name resolved.
    pub(super) queue: Vec<u8>,
    /// The same for people.
    pub(super) name: Arc<str>,
    /// What the broker knows it by.
    pub(super) upstream: Vec<u8>,
    pub(super) role: Role,
    pub(super) leave: Leave,
    /// The basic.qos in force when the client asked; 0: no limit.
    pub(super) prefetch: u16,
    pub(super) state: State,
    /// It is to be kept from the broker: its worker is marked, or its queue paused.
    pub(super) stopped: bool,
    pub(super) cancels: VecDeque<By>,
    /// Where a stream was read to.
    pub(super) offset: Option<i64>,
    pub(super) place: Place,
    pub(super) renewal: Renewal,
    /// How often it was renewed since the last mark.
    pub(super) renewals: u32,
    /// Why it could not be resumed.
    pub(super) gone: Option<Gone>,
    pub(super) over: Option<Over>,
}

impl AmqpGate {
    /// Of all channels.
    pub(super) fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.channels.values().flat_map(|channel| channel.consumers.values())
    }

    /// Of the channels that can be spoken on.
    pub(super) fn open_consumers(&self) -> impl Iterator<Item = &Consumer> {
        let open = self.channels.values().filter(|channel| channel.is_open());
        open.flat_map(|channel| channel.consumers.values())
    }
}

impl Consumer {
    pub(super) fn new(no: u32, consume: Consume, queue: Vec<u8>, role: Role, prefetch: u16) -> Consumer {
        let upstream = consume.tag.clone();
        let name = String::from_utf8_lossy(&queue).into();
        Consumer {
            no,
            consume,
            queue,
            name,
            upstream,
            role,
            leave: Leave::Given,
            prefetch,
            state: State::Asked,
            stopped: false,
            cancels: VecDeque::new(),
            offset: None,
            place: Place::Own,
            renewal: Renewal::Needless,
            renewals: 0,
            gone: None,
            over: None,
        }
    }

    /// Takes jobs, as opposed to remote control, events and replies.
    pub(super) fn is_job(&self) -> bool {
        self.role == Role::Job
    }

    /// May be cancelled and resumed.
    pub(super) fn is_movable(&self) -> bool {
        self.is_job() && self.leave == Leave::Given
    }

    /// To be stopped, and not stopped yet, for no reason of its own.
    pub(super) fn is_being_stopped(&self) -> bool {
        let may = self.is_job() && !matches!(self.leave, Leave::Denied(_));
        self.stopped && may && self.is_at_broker()
    }

    /// To be cancelled now.
    pub(super) fn is_due(&self) -> bool {
        let wanted = self.stopped || self.renewal == Renewal::Due;
        self.is_movable() && self.state == State::Active && self.place != Place::Sought && wanted
    }

    /// To be cancelled, if that turns out to be harmless; or parked, and it may be a stream's that is at its end.
    pub(super) fn is_in_question(&self) -> bool {
        let matters = match self.state {
            State::Active => true,
            State::Parked => self.consume.speaks_of_the_end(),
            _ => false,
        };
        self.stopped && matters && self.is_job() && self.leave == Leave::Unasked
    }

    /// Its stream has nothing for it yet.
    pub(super) fn is_at_the_end(&self) -> bool {
        self.place != Place::Own && self.offset.is_none()
    }

    /// Waits to be resumed, now or later.
    pub(super) fn waits(&self) -> bool {
        self.state == State::Parked && self.gone.is_none()
    }

    /// Is to be resumed now.
    pub(super) fn resumes(&self) -> bool {
        self.waits() && !self.stopped
    }

    /// Is to be resumed as soon as its queue is back. A stream may be another then, with other places.
    pub(super) fn awaits_its_queue(&self) -> bool {
        let gone = matches!(self.gone, Some(Gone::Queue(_)));
        gone && self.state == State::Parked && self.offset.is_none() && self.place == Place::Own
    }

    /// What the worker's `blocked` says of it.
    pub(super) fn reason(&self) -> Option<String> {
        let queue = || String::from_utf8_lossy(&self.queue);
        match (&self.leave, self.gone) {
            _ if !self.is_job() || self.over.is_some() => None,
            (Leave::Denied(why), _) if self.is_at_broker() => {
                Some(format!("its consumer of {} cannot be stopped: it {why}", queue()))
            }
            (_, Some(Gone::Queue(why) | Gone::Turn(why))) => {
                Some(format!("its consumer of {} could not be resumed: the queue {why}", queue()))
            }
            _ => None,
        }
    }

    /// The broker may send it jobs.
    pub(super) fn is_at_broker(&self) -> bool {
        self.state != State::Parked
    }

    pub(super) fn is_private(&self) -> bool {
        self.upstream != self.consume.tag
    }

    /// What the client calls it, if the broker knows it by another tag.
    pub(super) fn other_tag(&self) -> Option<Vec<u8>> {
        self.is_private().then(|| self.consume.tag.clone())
    }

    /// A proof is being asked.
    pub(super) fn over_asked(&mut self) {
        self.over.iter_mut().for_each(|over| over.asked = true);
    }

    /// A proof has come back: its tag, if nothing can come for it any more.
    pub(super) fn proven_over(&mut self) -> Option<Vec<u8>> {
        let over = self.over.as_mut().filter(|over| over.asked)?;
        *over = Over { back: over.back + 1, asked: false };
        (over.back == 2).then(|| self.consume.tag.clone())
    }
}

/// A queue that expires sooner than this cannot be kept alive by asking for it.
const KEPT_ALIVE: Millis = 1_500;

/// Whether a job consumer may be cancelled by the gate, as far as is known.
pub(super) fn leave(consume: &Consume, known: Option<Known>) -> Leave {
    if consume.tag.is_empty() && consume.nowait() {
        return Leave::Denied("has no name that is known: neither it nor the broker told one");
    }
    if consume.exclusive() {
        return Leave::Denied("is an exclusive consumer: another could take its queue");
    }
    let Some(Known { attributes, expires, kind }) = known else { return Leave::Unasked };
    if attributes.single_active {
        return Leave::Denied("is a single active consumer: another would start while this one works");
    }
    if attributes.auto_delete {
        return Leave::Denied("reads an auto-delete queue, which would be deleted with its jobs");
    }
    if attributes.expires && expires.is_none_or(|after| after < KEPT_ALIVE) {
        return Leave::Denied("reads a queue with an x-expires that it could not be kept from");
    }
    match kind {
        // a virtual host may have a type of its own for whoever names none
        None if attributes.expires || consume.speaks_of_the_end() => Leave::Unasked,
        _ if !attributes.expires => Leave::Given,
        // measured on 3.10 and 4.0
        Some(Kind::Quorum) => Leave::Denied("reads a quorum queue with an x-expires, which only a consumer keeps"),
        _ => Leave::Given,
    }
}
