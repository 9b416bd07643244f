//! Messages as they stream through: method, content header, bodies. Of a job its header is read, before any of it goes
//! on; of workers' events, results and jobs that only their body names the body is read along.

use super::arrival::{TAP_MAX, Teller};
use super::ask::Answering;
use super::channel::{Content, Tap, What};
use super::frame::{At, END, HEAD, Head, Kind, WHOLE_MAX};
use super::table::{Properties, body_size};
use super::{AmqpGate, Step, method};
use crate::dialect::amqp as dialect;
use crate::dialect::inspect;
use crate::dialect::json::Skim;
use crate::gate::{Action, Side};
use crate::job::JobEvent;
use crate::question::{ANSWER_MAX, Answer};

/// What RabbitMQ answers to any other greeting.
pub(super) const GREETING: &[u8; 8] = b"AMQP\x00\x00\x09\x01";
/// The greetings of AMQP 0-9-1, and of 0-9, which RabbitMQ takes for it.
const GREETINGS: [&[u8; 8]; 2] = [GREETING, b"AMQP\x01\x01\x00\x09"];
/// Of a content header up to its body's size.
const UP_TO_SIZE: usize = HEAD + 12;

impl AmqpGate {
    /// The client's first eight bytes.
    pub(super) fn greeting(&mut self, input: &[u8]) -> Step {
        let n = input.len().min(8);
        if !GREETINGS.iter().any(|greeting| greeting[..n] == input[..n]) {
            return Step::Lost("something else than AMQP 0-9-1");
        }
        if n < 8 {
            return Step::Rest;
        }
        *self.at(Side::Client) = At::Boundary;
        Step::Pass(8)
    }

    /// Whether somebody reads a content header.
    pub(super) fn wants_header(&self, from: Side, head: Head) -> bool {
        let Some(channel) = self.channels.get(&head.channel).filter(|c| c.is_open()) else { return false };
        let read = matches!(
            channel.content[from as usize],
            Content::Header(What::Job(_) | What::Event | What::Reply | What::Answer { .. })
        );
        read && head.size <= WHOLE_MAX
    }

    /// The beginning of a frame that streams through.
    pub(super) fn stream(&mut self, from: Side, head: Head, input: &[u8], out: &mut Vec<Action>) -> Step {
        let (mut tap, kept) = (None, self.is_kept(from, head.channel));
        match head.kind {
            Kind::Heartbeat => {}
            Kind::Method if self.tuned.is_too_large(head.whole()) => {} // the broker closes the connection (501)
            Kind::Method => return Step::Lost("a method that is too large to be read"),
            Kind::Header | Kind::Body => {
                if head.kind == Kind::Header && input.len() < UP_TO_SIZE {
                    return Step::Rest;
                }
                match self.content_frame(from, head, input, out) {
                    Ok(tapped) => tap = tapped.then_some(head.channel),
                    Err(what) => return Step::Lost(what),
                }
            }
        }
        *self.at(from) = At::Passing { left: head.whole() - HEAD, tap };
        Step::pass(HEAD, kept && head.kind == Kind::Body)
    }

    /// What streams on this channel is for the gate alone.
    pub(super) fn is_kept(&self, from: Side, channel: u16) -> bool {
        self.channels.get(&channel).is_some_and(|channel| channel.content[from as usize].is_kept())
    }

    /// A header or body frame that nobody reads as a whole. True if its body is read along.
    fn content_frame(
        &mut self,
        from: Side,
        head: Head,
        input: &[u8],
        out: &mut Vec<Action>,
    ) -> Result<bool, &'static str> {
        let Some(channel) = self.channels.get_mut(&head.channel).filter(|c| c.is_open()) else { return Ok(false) };
        let content = channel.content(from);
        match (std::mem::replace(content, Content::None), head.kind) {
            (Content::Header(what), Kind::Header) => {
                let size = body_size(&input[HEAD..]).filter(|_| head.size >= 12).ok_or("a content header cut short")?;
                *content = if size > 0 { Content::Body { left: size, tap: None } } else { Content::None };
                if let What::Answer { kept: true, .. } = what {
                    return Err("an answer to the gate with a header that is too large to be read");
                }
                if let What::Job(arriving) = what {
                    // its header is too large to be read, and its body not worth it
                    let mut teller = Teller { seed: self.seed, number: head.channel, system: &mut self.system };
                    teller.arrives(channel, &arriving, &Properties::read(&[]), 0, out);
                }
                Ok(false)
            }
            (Content::Body { left, tap }, Kind::Body) => {
                let left = left.checked_sub(head.size as u64).ok_or("a body that is longer than was said")?;
                let tapped = tap.is_some();
                if left > 0 || tapped {
                    *content = Content::Body { left, tap };
                }
                Ok(tapped)
            }
            _ => Err("a part of a message where none is due"),
        }
    }

    /// More of a frame that streams through.
    pub(super) fn pass_on(
        &mut self,
        from: Side,
        input: &[u8],
        left: usize,
        tap: Option<u16>,
        out: &mut Vec<Action>,
    ) -> Step {
        let n = left.min(input.len());
        let kept = tap.is_some_and(|channel| self.is_kept(from, channel));
        if let Some(number) = tap {
            self.read_along(from, number, &input[..n.min(left - 1)], n == left, out);
        }
        if n < left {
            *self.at(from) = At::Passing { left: left - n, tap };
            return Step::pass(n, kept);
        }
        if input[n - 1] != END {
            return Step::Lost("a frame without its end octet");
        }
        *self.at(from) = At::Boundary;
        Step::pass(n, kept)
    }

    /// A whole content header.
    pub(super) fn header(&mut self, from: Side, number: u16, payload: &[u8], out: &mut Vec<Action>) {
        let Some(channel) = self.channels.get_mut(&number) else { return };
        let Content::Header(what) = std::mem::replace(channel.content(from), Content::None) else { return };
        let left = body_size(payload).unwrap_or(0);
        let properties = Properties::read(payload);
        let tap = match what {
            What::Plain => None,
            What::Event => Some(Tap::Event(Vec::new())),
            What::Reply => reply_tap(&properties),
            What::Answer { number, list, kept } => {
                Some(Tap::Answer(Answering { number, list, body: Vec::new(), kept }))
            }
            What::Job(arriving) => {
                let mut teller = Teller { seed: self.seed, number, system: &mut self.system };
                teller.arrives(channel, &arriving, &properties, left, out)
            }
        };
        if left > 0 {
            *channel.content(from) = Content::Body { left, tap: tap.map(Box::new) };
        }
    }

    /// Reads along with a body; `whole` if the frame ends here.
    fn read_along(&mut self, from: Side, number: u16, piece: &[u8], whole: bool, out: &mut Vec<Action>) {
        let Some(channel) = self.channels.get_mut(&number) else { return };
        let content = channel.content(from);
        let Content::Body { left, tap: Some(tap) } = content else { return };
        read_along(tap, piece);
        if !whole || *left > 0 {
            return;
        }
        let Content::Body { tap: Some(tap), .. } = std::mem::replace(content, Content::None) else { return };
        match *tap {
            Tap::Event(body) => {
                let mut events = Vec::new();
                dialect::worker_event(&body, &mut events);
                self.emit(events, out);
            }
            Tap::Answer(Answering { number, list, body, .. }) => {
                let tasks = inspect::answer(list, &body);
                out.push(Action::Event(JobEvent::Answered(Answer { number, list, tasks })));
            }
            tap @ Tap::Reply { .. } => out.extend(result(tap)),
            tap @ Tap::Job { .. } => {
                let mut teller = Teller { seed: self.seed, number, system: &mut self.system };
                teller.read(channel, tap, out);
            }
        }
    }

    /// Tells what a dialect found.
    pub(super) fn emit(&mut self, events: Vec<JobEvent>, out: &mut Vec<Action>) {
        for event in events {
            if let JobEvent::Recognised(system) = event {
                self.system = system;
            }
            out.push(Action::Event(event));
        }
    }

    /// What a message of the client's is: decided by its publish.
    pub(super) fn published(nonce: Option<u64>, payload: &[u8]) -> What {
        match method::publish(payload) {
            Some((b"", key)) => Self::answer_to(nonce, key).unwrap_or(What::Reply),
            Some((exchange, key)) if dialect::is_worker_event(exchange, key) => What::Event,
            _ => What::Plain,
        }
    }
}

/// More of a body.
pub(super) fn read_along(tap: &mut Tap, piece: &[u8]) {
    match tap {
        Tap::Event(kept) => keep(kept, piece, TAP_MAX),
        Tap::Answer(Answering { body: kept, .. }) => keep(kept, piece, ANSWER_MAX),
        Tap::Reply { skim, room, .. } | Tap::Job { skim, room, .. } => {
            let piece = &piece[..piece.len().min(*room)];
            *room -= piece.len();
            skim.feed(piece);
        }
    }
}

fn keep(kept: &mut Vec<u8>, piece: &[u8], room: usize) {
    kept.extend_from_slice(&piece[..piece.len().min(room - kept.len())]);
}

/// What a reply says that has been read.
pub(super) fn result(tap: Tap) -> Option<Action> {
    let Tap::Reply { id, skim, .. } = tap else { return None };
    skim.get("status").is_some_and(dialect::is_terminal).then(|| ended(id))
}

/// A result that says that its job is over.
pub(super) fn ended(id: String) -> Action {
    Action::Event(JobEvent::Result { id })
}

/// A reply to somebody who waits for it by an id. What has a `task` is a job, not a result.
pub(super) fn reply_tap(properties: &Properties<'_>) -> Option<Tap> {
    let id = std::str::from_utf8(properties.correlation_id?).ok()?;
    if id.is_empty() || properties.headers.get(b"task").is_some() {
        return None;
    }
    Some(Tap::Reply { id: id.to_owned(), skim: Skim::new(dialect::STATUS), room: TAP_MAX })
}
