//! The broker's side: replies are paired with what is owed, out-of-band items pass, and a fetch's reply is read along.

use super::client::ClientAt;
use super::owed::{Fetch, Owed, PubsubKind};
use super::reply::{DELIVERY_MAX, ORPHAN_MAX, Reading};
use super::scan::{NotResp, number};
use super::session::{Item, item};
use super::{Mode, RespGate};
use crate::dialect::{PAYLOAD, Reads, json::Skim};
use crate::gate::run::Run;
use crate::gate::{Action, Side};
use crate::job::{FetchEnd, Millis, Place};

/// What the value under the scanner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Current {
    /// Belongs to no command: a push, a message, a line of MONITOR, an error that nobody asked for.
    OutOfBand,
    /// A confirmation of a (un)subscribe command.
    Confirmation(PubsubKind),
    /// The reply to the front, forwarded unread.
    Plain,
    /// The reply to a question of the gate's own.
    Swallow,
    /// The reply to the front, read along and forwarded.
    Read,
    /// The same, a null that is all there: it needs no reading.
    Nothing,
    /// The end of a slice of the gate's own, or an error about it: swallowed.
    Slice,
}

/// A value that begins, and how it is read along, if it is.
type Begun = (Current, Option<Reading>);

/// Not enough bytes to tell what a value is.
struct More;

impl RespGate {
    pub(super) fn broker_input(&mut self, now: Millis, input: &[u8], out: &mut Vec<Action>) -> usize {
        let (mut at, mut run) = (0, Run::default());
        while at < input.len() && matches!(self.mode, Mode::Running | Mode::Orphaned) {
            // a value that is all there is read without ever being kept
            let mut begun = None;
            if self.is_between() {
                let used = self.whole_replies(now, &input[at..], at, &mut run, out);
                at += used;
                if used > 0 {
                    continue;
                }
                match self.begin(&input[at..], out) {
                    Err(More) => break,
                    Ok(Some((current, reading))) => {
                        self.current = Some(current);
                        begun = reading;
                    }
                    Ok(None) => {
                        run.flush(out);
                        self.lost(Side::Broker, "a reply that nobody waits for", out);
                        break;
                    }
                }
            }
            let advance = match begun.as_mut().or(self.reading.as_deref_mut()) {
                Some(reading) => self.scanner.advance(&input[at..], reading),
                None => self.scanner.advance(&input[at..], &mut ()),
            };
            let advance = match advance {
                Ok(advance) => advance,
                Err(NotResp(what)) => {
                    run.flush(out);
                    self.lost(Side::Broker, what, out);
                    break;
                }
            };
            let end = at + advance.used;
            if !advance.done && begun.is_some() {
                self.reading = begun.take().map(Box::new);
            }
            if advance.used == 0 && !advance.done {
                break;
            }
            let forward = self.forwards();
            if advance.done {
                let mut kept = self.reading.take();
                let reading = begun.as_mut().or(kept.as_deref_mut());
                self.complete(now, reading, if forward { advance.used as u64 } else { 0 }, out, &mut run);
            }
            if forward {
                self.extend(&mut run, at..end, out);
            }
            if advance.done {
                self.settle(now, &mut run, out);
            }
            at = end;
        }
        run.flush(out);
        self.pass_rest(at, input.len(), out)
    }

    /// What is done with the bytes from `at` on that nobody has looked at; returns how many are consumed in all.
    fn pass_rest(&mut self, at: usize, end: usize, out: &mut Vec<Action>) -> usize {
        match self.mode {
            Mode::Opaque if at < end => {
                out.push(Action::Forward(at..end));
                self.sent += (end - at) as u64;
                end
            }
            Mode::Closed => end,
            _ => at,
        }
    }

    /// Replies at the start of `rest` that are all there and as plain as most are; `rest` begins at `at`. Returns how many
    /// bytes they have.
    fn whole_replies(&mut self, now: Millis, rest: &[u8], at: usize, run: &mut Run, out: &mut Vec<Action>) -> usize {
        let used = match self.quick_replies(rest, out) {
            0 => self.quick_delivery(rest, out),
            used => used,
        };
        if used > 0 {
            self.extend(run, at..at + used, out);
            self.settle(now, run, out);
        }
        used
    }

    /// A value has ended, and has been added to `run`.
    fn settle(&mut self, now: Millis, run: &mut Run, out: &mut Vec<Action>) {
        if self.has_settling() {
            run.flush(out);
            self.settle_front(out);
            // what its time was over for in the middle of a push
            self.answer_overdue(now, out);
        }
    }

    /// Framing is lost on this side.
    pub(super) fn lost(&mut self, side: Side, what: &str, out: &mut Vec<Action>) {
        if self.owed.is_empty() && self.held.is_none() && !self.marked && self.mode == Mode::Running {
            self.go_opaque(out);
        } else {
            self.out_of_step(side, what, out);
        }
    }

    /// Whether something may be ready to leave or to close now.
    fn has_settling(&self) -> bool {
        if self.held.is_some() || self.mode != Mode::Running {
            return true;
        }
        match self.owed.front() {
            None => matches!(self.client, ClientAt::Broken),
            Some(front) => matches!(front, Owed::Answer(_) | Owed::Nothing(_)),
        }
    }

    /// The broker is in the middle of something that goes to the client (a push comes whenever it likes, and in pieces):
    /// nothing of the gate's own may come between.
    pub(super) fn is_broker_speaking(&self) -> bool {
        !self.is_between() && self.forwards()
    }

    /// No value has begun.
    fn is_between(&self) -> bool {
        self.current.is_none() && self.scanner.at_start()
    }

    /// Whether the bytes of the current value go to the client.
    fn forwards(&self) -> bool {
        match self.current {
            Some(Current::Swallow | Current::Slice) => false,
            Some(Current::Read | Current::Nothing) => {
                self.mode == Mode::Running || !matches!(self.owed.front(), Some(Owed::Fetch(_) | Owed::Request(_)))
            }
            _ => true,
        }
    }

    /// Decides what the value that begins here is. `Ok(None)`: nobody waits for it.
    fn begin(&mut self, buf: &[u8], out: &mut Vec<Action>) -> Result<Option<Begun>, More> {
        if self.is_sync(buf).ok_or(More)? {
            self.synced(out);
        }
        match buf[0] {
            b'>' => {
                // the reply to HELLO may be switched off
                self.session.proto = super::empty::Proto::Three;
                return self.begin_push(buf).map(Some);
            }
            b'+' if self.session.monitor => match buf.get(1) {
                None => return Err(More),
                Some(c) if c.is_ascii_digit() => return Ok(Some((Current::OutOfBand, None))),
                Some(_) => {}
            },
            b'|' => return Ok(Some((Current::OutOfBand, None))),
            b'*' if self.session.subscribed_resp2()
                || matches!(self.owed.front(), None | Some(Owed::Pubsub { .. })) =>
            {
                match first_word(buf)?.and_then(item) {
                    Some(Item::Message) => return Ok(Some((Current::OutOfBand, None))),
                    Some(Item::Confirmation(kind)) => return Ok(Some(Self::confirmation(kind))),
                    None => {}
                }
            }
            _ => {}
        }
        while matches!(self.owed.front(), Some(Owed::Pubsub { quiet: true, .. })) {
            // it failed, and its error was not sent
            self.owed.pop();
        }
        Ok(match self.owed.front() {
            None => (buf[0] == b'-').then_some((Current::OutOfBand, None)),
            Some(Owed::Plain(_) | Owed::Blocking) => Some((Current::Plain, None)),
            Some(Owed::Skip | Owed::Sync(_) | Owed::PutBack(_)) => Some((Current::Swallow, Some(Reading::of_note()))),
            Some(Owed::Request(asked)) => Some((Current::Read, Some(Reading::of_words(asked.request.reads)))),
            Some(Owed::Noted(noted)) if noted.has_requests() => {
                Some((Current::Read, Some(Reading::of_words(Reads::Nothing))))
            }
            Some(Owed::Noted(noted)) if noted.asks_more() => Some((Current::Read, Some(Reading::of_note()))),
            Some(Owed::Noted(_) | Owed::Multi(_)) => Some((Current::Read, Some(Reading::of_kind()))),
            Some(Owed::Fetch(fetch)) => Some(self.begin_fetch(fetch, buf)?),
            // a (un)subscribe command that failed has one error for all its confirmations
            Some(Owed::Pubsub { .. }) => matches!(buf[0], b'-' | b'!').then_some((Current::Plain, None)),
            // these leave as soon as they are at the front
            Some(Owed::Answer(_) | Owed::Nothing(_)) => None,
        })
    }

    fn begin_push(&self, buf: &[u8]) -> Result<Begun, More> {
        Ok(match first_word(buf)?.and_then(item) {
            Some(Item::Confirmation(kind)) => Self::confirmation(kind),
            _ => (Current::OutOfBand, None),
        })
    }

    fn confirmation(kind: PubsubKind) -> Begun {
        (Current::Confirmation(kind), Some(Reading::of_note()))
    }

    fn begin_fetch(&self, fetch: &Fetch, buf: &[u8]) -> Result<Begun, More> {
        if NOTHING.iter().any(|nothing| buf.starts_with(nothing)) {
            return Ok((if fetch.sliced { Current::Slice } else { Current::Nothing }, None));
        }
        let max = if self.mode == Mode::Orphaned { ORPHAN_MAX } else { DELIVERY_MAX };
        if fetch.sliced {
            let refused = first_line(buf)?.starts_with(b"-ERR timeout is not an integer");
            if refused && !self.whole_seconds {
                return Ok((Current::Slice, Some(Reading::of_kind())));
            }
        }
        if fetch.pop.reads_entries() {
            return Ok((Current::Read, Some(Reading::of_words(Reads::Json(PAYLOAD)))));
        }
        let skim = Skim::new(PAYLOAD);
        Ok((Current::Read, Some(Reading::new(max, Some((fetch.pop.payload_leaf(), skim))))))
    }

    /// A value has ended. `pending` bytes of it are about to be forwarded.
    fn complete(
        &mut self,
        now: Millis,
        reading: Option<&mut Reading>,
        pending: u64,
        out: &mut Vec<Action>,
        run: &mut Run,
    ) {
        let Some(current) = self.current.take() else { return };
        match (current, reading) {
            (Current::Plain, _) => {
                self.owed.pop();
            }
            (Current::Confirmation(kind), Some(reading)) => {
                self.confirm(kind, reading);
                self.note_mailbox(reading, out);
            }
            (Current::Swallow, Some(reading)) => {
                if let Some(Owed::PutBack(back)) = self.owed.pop() {
                    self.put_back_answered(*back, reading, out);
                }
            }
            (Current::Slice, reading) => {
                let Some(Owed::Fetch(fetch)) = self.owed.pop() else { return };
                run.flush(out);
                // the server does not know fractions of a second (before Redis 6): the same again in whole ones
                self.whole_seconds |= reading.is_some_and(|reading| reading.is_error());
                self.slice_over(now, fetch, out);
            }
            (Current::Nothing, _) => {
                if let Some(Owed::Fetch(fetch)) = self.owed.pop() {
                    self.fetch_ended(&fetch, FetchEnd::Empty, out);
                }
            }
            (Current::Read, Some(reading)) => self.replied(now, reading, pending, out),
            _ => {}
        }
    }

    /// A reply that was read along has ended.
    fn replied(&mut self, now: Millis, reading: &mut Reading, pending: u64, out: &mut Vec<Action>) {
        match self.owed.pop() {
            Some(Owed::Fetch(fetch)) => self.fetch_replied(now, fetch, reading, pending, out),
            Some(Owed::Request(asked)) => self.request_replied(*asked, reading, pending, out),
            Some(Owed::Noted(noted)) => self.noted(*noted, reading, out),
            Some(Owed::Multi(number)) => self.begun(number, reading.is_error()),
            _ => {}
        }
    }

    fn fetch_replied(&mut self, now: Millis, fetch: Fetch, reading: &mut Reading, pending: u64, out: &mut Vec<Action>) {
        let end = if reading.is_error() {
            FetchEnd::Error
        } else if reading.is_empty() || self.is_empty_claim(&fetch, reading) {
            FetchEnd::Empty
        } else {
            return self.delivered(now, fetch, reading, pending, out);
        };
        self.fetch_ended(&fetch, end, out);
    }

    fn fetch_ended(&mut self, fetch: &Fetch, end: FetchEnd, out: &mut Vec<Action>) {
        self.asked = false;
        let end = if self.mode == Mode::Orphaned { FetchEnd::Vanished } else { end };
        self.answered(Place::Broker, end, fetch.pop.is_blocking(), out);
    }

    /// XAUTOCLAIM says "nothing" with a cursor and two empty arrays.
    fn is_empty_claim(&self, fetch: &Fetch, reading: &Reading) -> bool {
        fetch.pop.name() == b"xautoclaim" && reading.leaves.iter().skip(1).all(|l| l.kind == b'*') && !reading.overflow
    }

    fn confirm(&mut self, kind: PubsubKind, reading: &Reading) {
        let expected = self.session.subscriptions(kind);
        self.session.confirmed(kind, reading);
        // the broker may unsubscribe on its own account (a slot has moved): then nothing is owed for it
        if let Some(Owed::Pubsub { kind: owed, left, .. }) = self.owed.front_mut()
            && *owed == kind
        {
            let now_left = left.unwrap_or(expected).saturating_sub(1);
            *left = Some(now_left);
            if now_left == 0 {
                self.owed.pop();
            }
        }
    }
}

/// What says that there is nothing, in either protocol.
const NOTHING: [&[u8]; 3] = [b"*-1\r\n", b"_\r\n", b"$-1\r\n"];

/// The first line without its CRLF.
fn first_line(buf: &[u8]) -> Result<&[u8], More> {
    match memchr::memchr(b'\n', buf) {
        Some(end) => Ok(buf[..end].strip_suffix(b"\r").unwrap_or(&buf[..end])),
        None if buf.len() > 256 => Ok(&buf[..256]),
        None => Err(More),
    }
}

/// The first element of an aggregate, if it is a short bulk or simple string.
fn first_word(buf: &[u8]) -> Result<Option<&[u8]>, More> {
    let Some(head) = short_line(buf)? else { return Ok(None) };
    if !number(&head[1..]).is_ok_and(|n| n > 0) {
        return Ok(None);
    }
    let rest = &buf[head.len() + 2..];
    let Some(first) = short_line(rest)? else { return Ok(None) };
    match first.split_first() {
        Some((b'+', word)) => Ok(Some(word)),
        Some((b'$', len)) => match number(len) {
            // no kind of pub/sub item is longer
            Ok(len @ 0..=16) => rest.get(first.len() + 2..first.len() + 2 + len as usize).map(Some).ok_or(More),
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

/// The first line without its CRLF; `None`: it is long, or no line.
fn short_line(buf: &[u8]) -> Result<Option<&[u8]>, More> {
    match memchr::memchr(b'\n', &buf[..buf.len().min(64)]) {
        Some(end) => Ok(buf[..end].strip_suffix(b"\r")),
        None if buf.len() >= 64 => Ok(None),
        None => Err(More),
    }
}
