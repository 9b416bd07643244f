//! One channel: what is half-way on it in either direction, the replies owed in order, its consumers, its deliveries.

use super::ask::Answering;
use super::consumer::{By, Consumer, State};
use super::proof::Pace;
use super::queues::Known;
use super::unacked::Unacked;
use crate::dialect::json::Skim;
use crate::gate::Side;
use crate::job::{Job, Millis};
use crate::question::List;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// ```text
/// Open ──client's channel.close──▶ ClosedByClient ──close-ok──▶ (gone)
///   └──broker's channel.close────▶ ClosedByBroker ──close-ok──▶ (gone)
/// ```
/// A channel counts as open from the client's channel.open on: clients may pipeline behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Open,
    ClosedByClient,
    ClosedByBroker,
}

/// A message that is under way: method, header, bodies. Nothing of the gate's own may come between.
///
/// ```text
/// None ──deliver, get-ok, return, publish──▶ Header ──header──▶ Body ──last byte──▶ None
/// ```
#[derive(Debug)]
pub(super) enum Content {
    None,
    Header(What),
    Body { left: u64, tap: Option<Box<Tap>> },
}

impl Content {
    pub(super) fn is_none(&self) -> bool {
        matches!(self, Content::None)
    }

    /// It is for the gate alone.
    pub(super) fn is_kept(&self) -> bool {
        match self {
            Content::Header(What::Answer { kept, .. }) => *kept,
            Content::Body { tap: Some(tap), .. } => matches!(**tap, Tap::Answer(Answering { kept: true, .. })),
            _ => false,
        }
    }

    /// The answer to a basic.get, of whose job nothing has been told.
    pub(super) fn is_untold_get(&self) -> bool {
        match self {
            Content::Header(What::Job(arriving)) => arriving.consumer == 0,
            Content::Body { tap: Some(tap), .. } => matches!(**tap, Tap::Job { consumer: 0, .. }),
            _ => false,
        }
    }
}

/// What a message is to the gate.
#[derive(Debug)]
pub(super) enum What {
    /// Nothing.
    Plain,
    /// A job for the worker.
    Job(Arriving),
    /// A worker's event.
    Event,
    /// It may be the result of a job.
    Reply,
    /// It answers a question of the gate's own; whether the broker is not to hear of it.
    Answer { number: u64, list: List, kept: bool },
}

/// A delivery whose content has not come yet.
#[derive(Debug)]
pub(super) struct Arriving {
    pub(super) tag: u64,
    /// The number of the consumer it comes by; 0 for basic.get.
    pub(super) consumer: u32,
    pub(super) queue: Arc<str>,
    /// It was handed out before.
    pub(super) again: bool,
}

/// Reads along with a body that streams through.
#[derive(Debug)]
pub(super) enum Tap {
    /// A worker's event, kept whole.
    Event(Vec<u8>),
    /// An answer to a question of the gate's own, kept whole.
    Answer(Answering),
    /// A result: the job's id, and what is looked for in the beginning of the body.
    Reply { id: String, skim: Skim, room: usize },
    /// A job that only its body names. It is told before its last byte goes on.
    Job { tag: u64, consumer: u32, again: bool, job: Job, skim: Skim, room: usize },
}

/// What is owed to the client in the order of its requests; see [`super::method::has_ordered_reply`].
#[derive(Debug)]
pub(super) enum Owed {
    /// The broker's reply, forwarded.
    Plain,
    /// The same, to a queue.declare: of this name, and what it is like unless it is passive.
    Declare { queue: Vec<u8>, is: Option<Known> },
    /// The same, to a basic.get.
    Get { queue: Vec<u8>, job: bool, no_ack: bool },
    /// The same, to a basic.recover.
    Recover,
    /// The reply to a question of the gate's own.
    Swallow,
    /// Made up here; leaves when it is at the front.
    Answer(Bytes),
}

/// How the order of settlements is proven: a cancel of a tag that never existed comes back behind them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Proof {
    /// Asked, for so many settlements, and when.
    pub(super) asked: Option<(usize, Millis)>,
    /// When to ask.
    pub(super) due: Option<Millis>,
    /// How fast they come.
    pub(super) pace: Pace,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) life: Life,
    /// By the side that sends it.
    pub(super) content: [Content; 2],
    pub(super) owed: VecDeque<Owed>,
    /// By the client's tag; one whose tag the broker is to choose stands under the empty tag until it has.
    pub(super) consumers: BTreeMap<Vec<u8>, Consumer>,
    /// Private tags at the broker, and the client's that they stand for.
    pub(super) private: BTreeMap<Vec<u8>, Vec<u8>>,
    next_private: usize,
    /// Cancels that are unanswered although their consumer is gone, or never was: by the tag at the broker, in the order in
    /// which they were said, and what the client calls it. Another consumer may have that tag by now.
    stale_cancels: BTreeMap<Vec<u8>, VecDeque<(By, Vec<u8>)>>,
    pub(super) unacked: Unacked,
    /// When the client last settled a delivery, and so made room for another.
    pub(super) freed: Option<Millis>,
    /// basic.qos of consumers to come.
    pub(super) prefetch: u16,
    /// basic.qos of the channel as a whole; 0: none is in force.
    pub(super) limit: u16,
    pub(super) tx: bool,
    /// The broker confirms what is published, by its number.
    pub(super) confirms: bool,
    /// tx.commits that are unanswered. RabbitMQ closes the connection (504) for anything that comes meanwhile.
    pub(super) committing: usize,
    /// What an empty queue name means.
    pub(super) last_queue: Option<Vec<u8>>,
    pub(super) proof: Proof,
}

impl Channel {
    pub(super) fn new() -> Channel {
        Channel {
            life: Life::Open,
            content: [Content::None, Content::None],
            owed: VecDeque::new(),
            consumers: BTreeMap::new(),
            private: BTreeMap::new(),
            next_private: 0,
            stale_cancels: BTreeMap::new(),
            unacked: Unacked::default(),
            freed: None,
            prefetch: 0,
            limit: 0,
            tx: false,
            confirms: false,
            committing: 0,
            last_queue: None,
            proof: Proof::default(),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.life == Life::Open
    }

    pub(super) fn content(&mut self, from: Side) -> &mut Content {
        &mut self.content[from as usize]
    }

    /// No message is half-way from that side.
    pub(super) fn is_clear(&self, from: Side) -> bool {
        self.content[from as usize].is_none()
    }

    /// A frame of the gate's own may follow what that side has sent.
    pub(super) fn may_follow(&self, from: Side) -> bool {
        self.is_clear(from) && (from == Side::Broker || self.committing == 0)
    }

    /// The consumer that the broker knows by this tag.
    pub(super) fn by_upstream(&mut self, tag: &[u8]) -> Option<&mut Consumer> {
        let tag = match self.private.get(tag) {
            Some(own) => own.as_slice(),
            None => tag,
        };
        self.consumers.get_mut(tag)
    }

    /// A consumer of a stream has got what stands there.
    pub(super) fn read_to(&mut self, consumer: u32, offset: i64) {
        let of = self.consumers.values_mut().find(|c| c.no == consumer);
        of.into_iter().for_each(|c| c.offset = Some(offset));
    }

    /// Takes a consumer out; cancels of it that are still to be answered are remembered.
    pub(super) fn remove(&mut self, tag: &[u8]) -> Option<Consumer> {
        let mut consumer = self.consumers.remove(tag)?;
        self.private.remove(&consumer.upstream);
        let cancels = std::mem::take(&mut consumer.cancels);
        if !cancels.is_empty() {
            let stale = self.stale_cancels.entry(consumer.upstream.clone()).or_default();
            stale.extend(cancels.into_iter().map(|by| (by, consumer.consume.tag.clone())));
        }
        Some(consumer)
    }

    /// The client cancels what is not there any more. It is answered all the same, behind what was said before.
    pub(super) fn cancels_nobody(&mut self, tag: &[u8]) {
        match self.consumers.get_mut(tag).filter(|c| !c.cancels.is_empty() && !c.is_private()) {
            Some(consumer) => consumer.cancels.push_back(By::Client),
            None => self.stale_cancels.entry(tag.to_vec()).or_default().push_back((By::Client, tag.to_vec())),
        }
    }

    /// The answer to a cancel whose consumer is gone: whose it was, and what the client calls it.
    pub(super) fn took_stale(&mut self, tag: &[u8]) -> Option<(By, Vec<u8>)> {
        let stale = self.stale_cancels.get_mut(tag)?;
        let first = stale.pop_front();
        if stale.is_empty() {
            self.stale_cancels.remove(tag);
        }
        first
    }

    /// Something may still be on its way to a consumer that the client has cancelled without waiting.
    pub(super) fn has_unproven_ends(&self) -> bool {
        self.consumers.values().any(|consumer| consumer.over.is_some())
    }

    /// What a declare that is under way says.
    pub(super) fn declaring(&self, queue: &[u8]) -> Option<Known> {
        self.owed.iter().rev().find_map(|owed| match owed {
            Owed::Declare { queue: name, is } if name == queue => *is,
            _ => None,
        })
    }

    /// The queue that a client means.
    pub(super) fn queue_meant<'a>(&'a self, queue: &'a [u8]) -> &'a [u8] {
        if queue.is_empty() { self.last_queue.as_deref().unwrap_or_default() } else { queue }
    }

    /// A tag as long as `like` that nobody uses on this channel, and that nobody has used: deliveries under an old one may
    /// be unsettled, which RabbitMQ 3.x does not survive on a quorum queue. (Those of one letter run out.)
    pub(super) fn private_tag(&mut self, like: &[u8]) -> Vec<u8> {
        let taken = |tag: &[u8]| self.consumers.contains_key(tag) || self.private.contains_key(tag);
        let digits = b"~!0123456789abcdefghijklmnopqrstuvwxyz";
        let mut tag = like.to_vec();
        for number in self.next_private..self.next_private + 100_000 {
            let mut rest = number;
            for place in tag.iter_mut().rev().take(4) {
                *place = digits[rest % digits.len()];
                rest /= digits.len();
            }
            if let Some(first) = tag.first_mut().filter(|_| like.len() > 4) {
                *first = if number < 10_000 { b'~' } else { *first };
            }
            if tag != like && !taken(&tag) {
                self.next_private = number + 1;
                break;
            }
        }
        tag
    }

    /// Whether anything of the gate's own is under way, or anything of the client's kept back.
    pub(super) fn is_plain(&self) -> bool {
        let ours = |owed: &Owed| matches!(owed, Owed::Swallow | Owed::Answer(_));
        let kept = |c: &Consumer| !matches!(c.state, State::Asked | State::Active | State::Ending) || c.is_private();
        !self.stale_cancels.values().flatten().any(|(by, _)| *by == By::Gate)
            && self.proof.asked.is_none()
            && !self.owed.iter().any(ours)
            && !self.consumers.values().any(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_tag_has_the_same_length_and_is_free() {
        for like in ["1", "ab", "None4", "ctag1.0123456789abcdef0123456789abcdef"] {
            let mut channel = Channel::new();
            let tags: Vec<Vec<u8>> = (0..20).map(|_| channel.private_tag(like.as_bytes())).collect();
            assert!(tags.iter().all(|tag| tag.len() == like.len() && tag != like.as_bytes()));
            let different: std::collections::BTreeSet<&Vec<u8>> = tags.iter().collect();
            assert_eq!(different.len(), tags.len(), "none twice");
        }
    }
}
