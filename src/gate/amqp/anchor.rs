//! Where a stream's consumer goes on that has got nothing before it is parked. By its own words it would begin at what is
//! the stream's end *then* (`next`, `last`, `1h` ago), and skip what was published meanwhile. So before it is cancelled a
//! consumer of the gate's own with the same words begins beside it, on a channel of its own and for one message: a stream
//! hands everything to everybody, nothing is taken away. The first message that comes is the one to go on with; as long
//! as none comes there is nothing to go on with, and the consumer stays parked.
//!
//! ```text
//! Opening ──open-ok──▶ Asking ──consume-ok──▶ Set ──message──▶ Closing ──close-ok──▶ (gone)
//!                                              └──its consumer has gone, or goes on──▲
//! ```

use super::consumer::{Consumer, Gone, Leave, Place, State};
use super::frame::{AROUND, Head, WHOLE_MAX};
use super::inquiry::Question;
use super::likeness::Guess;
use super::method::{self, Id};
use super::queues::Kind;
use super::table::{Properties, Value};
use super::{AmqpGate, Step, Wait};
use crate::gate::Side;
use bytes::BytesMut;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Opening,
    Asking,
    Set,
    Closing,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Anchor {
    /// The gate's own channel.
    pub(super) number: u16,
    /// Whose place it keeps: the client's channel and the consumer's number.
    of: (u16, u32),
    stage: Stage,
}

impl AmqpGate {
    /// Keeps the places of streams' consumers that are, or will be, parked.
    pub(super) fn keep_places(&mut self) {
        if self.closing {
            return;
        }
        self.drop_anchors();
        if !self.stops_any() || self.ending {
            return;
        }
        let open = self.channels.iter().filter(|(_, channel)| channel.is_open());
        let consumers = open.flat_map(|(number, channel)| channel.consumers.values().map(|c| (*number, c)));
        let adrift = consumers.filter(|(_, c)| self.is_adrift(c)).map(|(number, c)| (number, c.no));
        for of in adrift.collect::<Vec<_>>() {
            let Some(number) = self.free_number() else {
                self.lost_place(of);
                continue;
            };
            self.anchors.push(Anchor { number, of, stage: Stage::Opening });
            self.enqueue(Side::Broker, number, method::channel_open(number));
            self.at_place(of, Place::Sought);
        }
    }

    /// Nothing says where it would go on.
    fn is_adrift(&self, consumer: &Consumer) -> bool {
        self.kind_of(&consumer.queue) == Some(Kind::Stream)
            && consumer.stopped
            && consumer.place == Place::Own
            && consumer.is_movable()
            && matches!(consumer.state, State::Active | State::Parked)
            && consumer.offset.is_none()
            && consumer.gone.is_none()
            && consumer.over.is_none()
            && consumer.consume.begins_at_the_end()
    }

    /// Where it goes on, if it reads a stream. A message that was in a stream before it came into another queue may still
    /// say where: then nothing is to be said of it, for no other kind of queue takes that (406).
    pub(super) fn goes_on_at(&self, consumer: &Consumer) -> Option<i64> {
        let stream = self.kind_of(&consumer.queue).map_or(consumer.consume.says_where(), |kind| kind == Kind::Stream);
        consumer.offset.filter(|_| stream).map(|offset| offset.saturating_add(1))
    }

    /// Looks whether a consumer that has been parked reads a stream, if that will matter and nobody has said it.
    pub(super) fn ask_kind(&mut self, queue: &[u8]) {
        if self.kind_of(queue).is_none() {
            self.inquire(queue, Question::IsLike(Guess::default()));
        }
    }

    fn kind_of(&self, queue: &[u8]) -> Option<Kind> {
        self.queues.known(queue)?.kind
    }

    /// Ends the anchors that nobody needs any more.
    fn drop_anchors(&mut self) {
        let mut close = Vec::new();
        for anchor in self.anchors.iter_mut().filter(|anchor| matches!(anchor.stage, Stage::Asking | Stage::Set)) {
            let (channel, no) = anchor.of;
            let consumers = self.channels.get_mut(&channel).into_iter().flat_map(|c| c.consumers.values_mut());
            let consumer = consumers.into_iter().find(|consumer| consumer.no == no && consumer.over.is_none());
            let stays = |c: &Consumer| !c.stopped && c.state == State::Active;
            if consumer.as_ref().is_none_or(|c| c.offset.is_some() || stays(c)) {
                consumer.into_iter().for_each(|c| c.place = Place::Own);
                anchor.stage = Stage::Closing;
                close.push(anchor.number);
            }
        }
        for number in close {
            self.enqueue(Side::Broker, number, method::channel_close(number));
        }
    }

    fn consumer_of(&mut self, (channel, no): (u16, u32)) -> Option<&mut Consumer> {
        self.channels.get_mut(&channel)?.consumers.values_mut().find(|consumer| consumer.no == no)
    }

    fn at_place(&mut self, of: (u16, u32), place: Place) {
        self.consumer_of(of).into_iter().for_each(|consumer| consumer.place = place);
    }

    /// It cannot be kept: who is at the broker stays there, and who is parked stays parked.
    fn lost_place(&mut self, of: (u16, u32)) {
        self.reasons_changed = true;
        let Some(consumer) = self.consumer_of(of) else { return };
        consumer.place = Place::Own;
        if consumer.state == State::Parked {
            consumer.gone = Some(Gone::Turn("is a stream, and where it stood there is not known"));
        } else {
            consumer.leave = Leave::Denied("reads a stream, and where it stands there cannot be told");
        }
    }

    /// The broker speaks on an anchor's channel.
    pub(super) fn anchor_answer(&mut self, at: usize, id: Id) {
        let Some(anchor) = self.anchors.get_mut(at).filter(|_| !self.closing) else { return };
        let (number, of) = (anchor.number, anchor.of);
        match (anchor.stage, id) {
            (Stage::Opening, method::CHANNEL_OPEN_OK) => {
                anchor.stage = Stage::Asking;
                let Some(consume) = self.consumer_of(of).and_then(|c| c.consume.beside(number)) else { return };
                let mut bytes = BytesMut::from(&method::qos(number, 1, false)[..]);
                bytes.extend_from_slice(&consume);
                self.enqueue(Side::Broker, number, bytes.freeze());
            }
            (Stage::Asking, method::BASIC_CONSUME_OK) => {
                anchor.stage = Stage::Set;
                if self.wait == Some(Wait::Number(number)) {
                    return self.give_up(at);
                }
                self.at_place(of, Place::Kept);
                self.mark_may_be_due();
            }
            // the stream has been deleted, or its node has gone
            (Stage::Set, method::BASIC_CANCEL) => self.give_up(at),
            (Stage::Closing, method::CHANNEL_CLOSE_OK) => self.anchor_gone(at),
            // the stream has been deleted, or it is refused
            (stage, method::CHANNEL_CLOSE) => {
                self.enqueue(Side::Broker, number, method::channel_close_ok(number));
                self.anchor_gone(at);
                if stage != Stage::Closing {
                    self.lost_place(of);
                }
            }
            _ => {}
        }
    }

    fn anchor_gone(&mut self, at: usize) {
        self.anchors.remove(at);
        self.attention = true;
    }

    /// The client opens the channel that an anchor lies in.
    pub(super) fn give_way(&mut self, number: u16) {
        if let Some(at) = self.anchors.iter().position(|a| a.number == number && a.stage == Stage::Set) {
            self.give_up(at);
        }
    }

    /// It is closed, and the place lost.
    fn give_up(&mut self, at: usize) {
        let Some(anchor) = self.anchors.get_mut(at) else { return };
        anchor.stage = Stage::Closing;
        let (number, of) = (anchor.number, anchor.of);
        self.enqueue(Side::Broker, number, method::channel_close(number));
        self.lost_place(of);
    }

    /// A message on a channel of the gate's own begins. Of the first on an anchor's channel it is read where it stands;
    /// `Some` while more bytes are needed for that.
    pub(super) fn anchored(&mut self, head: Head, input: &[u8]) -> Option<Step> {
        let set = |anchor: &&Anchor| anchor.number == head.channel && anchor.stage == Stage::Set;
        let of = self.anchors.iter().find(set)?.of;
        if head.size > WHOLE_MAX {
            self.lost_place(of);
            return None;
        }
        let Some(frame) = input.get(..head.whole()) else { return Some(Step::Rest) };
        let properties = Properties::read(&frame[AROUND - 1..head.whole() - 1]);
        let offset = properties.headers.get(b"x-stream-offset");
        match (offset, self.consumer_of(of)) {
            (Some(Value::Integer(offset)), Some(consumer)) => {
                // what has reached the client itself meanwhile counts
                consumer.offset.get_or_insert(offset - 1);
                self.attention = true;
            }
            _ => self.lost_place(of),
        }
        None
    }
}
