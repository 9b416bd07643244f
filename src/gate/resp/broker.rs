//! The broker's side: replies are paired with what is owed, out-of-band items pass, and a fetch's reply is read along.

use super::owed::{Change, Doubted, Fetch, Noted, Owed, PubsubKind};
use super::reply::{DELIVERY_MAX, Leaf, NOTE_MAX, ORPHAN_MAX, Reading};
use super::scan::{NotResp, number};
use super::session::{Item, item};
use super::{Mode, RespGate};
use crate::dialect::{self, Note, PAYLOAD, json::Skim};
use crate::gate::{Action, Side};
use crate::job::{FetchEnd, JobEvent, Millis, Place};
use std::ops::Range;

/// What the value under the scanner is.
#[derive(Debug)]
pub(super) enum Current {
    /// Between values.
    None,
    /// Belongs to no command: a push, a message, a line of MONITOR, an error that nobody asked for.
    OutOfBand,
    /// A confirmation of a (un)subscribe command.
    Confirmation(PubsubKind, Box<Reading>),
    /// The reply to the front, forwarded unread.
    Plain,
    /// The reply to a question of the gate's own.
    Swallow(Box<Reading>),
    /// The reply to the front, read along and forwarded.
    Read(Box<Reading>),
    /// The end of a slice of the gate's own, or an error about it: swallowed.
    Slice(Box<Reading>),
}

/// Not enough bytes to tell what a value is.
struct More;

impl RespGate {
    pub(super) fn broker_input(&mut self, now: Millis, input: &[u8], out: &mut Vec<Action>) -> usize {
        let mut at = 0;
        let mut run = 0..0;
        while at < input.len() && matches!(self.mode, Mode::Running | Mode::Orphaned) {
            if self.scanner.at_start() && matches!(self.current, Current::None) {
                let used = self.quick_replies(&input[at..]);
                if used > 0 {
                    self.extend(&mut run, at..at + used, out);
                    at += used;
                    if self.has_settling() {
                        Self::flush(&mut run, out);
                        self.settle_front(out);
                    }
                    continue;
                }
                match self.begin(&input[at..], out) {
                    Err(More) => break,
                    Ok(Some(current)) => self.current = current,
                    Ok(None) => {
                        Self::flush(&mut run, out);
                        self.lost(Side::Broker, "a reply that nobody waits for", out);
                        break;
                    }
                }
            }
            let advance = match &mut self.current {
                Current::Read(r) | Current::Swallow(r) | Current::Slice(r) | Current::Confirmation(_, r) => {
                    self.scanner.advance(&input[at..], r.as_mut())
                }
                _ => self.scanner.advance(&input[at..], &mut ()),
            };
            let advance = match advance {
                Ok(advance) => advance,
                Err(NotResp(what)) => {
                    Self::flush(&mut run, out);
                    self.lost(Side::Broker, what, out);
                    break;
                }
            };
            let end = at + advance.used;
            if advance.used == 0 && !advance.done {
                break;
            }
            let forward = self.forwards();
            if advance.done {
                self.complete(now, if forward { advance.used as u64 } else { 0 }, out, &mut run);
            }
            if forward {
                self.extend(&mut run, at..end, out);
            }
            if advance.done && self.has_settling() {
                Self::flush(&mut run, out);
                self.settle_front(out);
                // what its time was over for in the middle of a push
                self.answer_overdue(now, out);
            }
            at = end;
        }
        Self::flush(&mut run, out);
        if self.mode == Mode::Opaque && at < input.len() {
            out.push(Action::Forward(at..input.len()));
            self.sent += (input.len() - at) as u64;
            return input.len();
        }
        if self.mode == Mode::Closed { input.len() } else { at }
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
        match self.owed.front() {
            None => true,
            Some(front) => {
                matches!(front, Owed::Answer(_) | Owed::Nothing(_) | Owed::Blocking | Owed::Skip | Owed::Sync(_))
            }
        }
    }

    /// The broker is in the middle of something that goes to the client (a push comes whenever it likes, and in pieces):
    /// nothing of the gate's own may come between.
    pub(super) fn is_broker_speaking(&self) -> bool {
        !(self.scanner.at_start() && matches!(self.current, Current::None)) && self.forwards()
    }

    /// Whether the bytes of the current value go to the client.
    fn forwards(&self) -> bool {
        match &self.current {
            Current::Swallow(_) | Current::Slice(_) => false,
            Current::Read(_) => {
                self.mode == Mode::Running || !matches!(self.owed.front(), Some(Owed::Fetch(_) | Owed::Request(_)))
            }
            _ => true,
        }
    }

    /// Decides what the value that begins here is. `Ok(None)`: nobody waits for it.
    fn begin(&mut self, buf: &[u8], out: &mut Vec<Action>) -> Result<Option<Current>, More> {
        if self.is_sync(buf).ok_or(More)? {
            self.synced(out);
        }
        match buf[0] {
            b'>' => return self.begin_push(buf).map(Some),
            b'+' if self.session.monitor => match buf.get(1) {
                None => return Err(More),
                Some(c) if c.is_ascii_digit() => return Ok(Some(Current::OutOfBand)),
                Some(_) => {}
            },
            b'|' => return Ok(Some(Current::OutOfBand)),
            b'*' if self.session.subscribed_resp2()
                || matches!(self.owed.front(), None | Some(Owed::Pubsub { .. })) =>
            {
                match first_word(buf)?.and_then(item) {
                    Some(Item::Message) => return Ok(Some(Current::OutOfBand)),
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
            None => (buf[0] == b'-').then_some(Current::OutOfBand),
            Some(Owed::Plain(_) | Owed::Blocking) => Some(Current::Plain),
            Some(Owed::Skip | Owed::Sync(_) | Owed::PutBack(_)) => {
                Some(Current::Swallow(Box::new(Reading::new(NOTE_MAX, None))))
            }
            Some(Owed::Request(asked)) => Some(Current::Read(Box::new(Reading::of_words(asked.request.skim)))),
            Some(Owed::Noted(noted)) if noted.has_requests() => Some(Current::Read(Box::new(Reading::of_words(&[])))),
            Some(Owed::Noted(_)) => Some(Current::Read(Box::new(Reading::new(NOTE_MAX, None)))),
            Some(Owed::Fetch(fetch)) => Some(self.begin_fetch(fetch, buf)?),
            // a (un)subscribe command that failed has one error for all its confirmations
            Some(Owed::Pubsub { .. }) => matches!(buf[0], b'-' | b'!').then_some(Current::Plain),
            // these leave as soon as they are at the front
            Some(Owed::Answer(_) | Owed::Nothing(_)) => None,
        })
    }

    fn begin_push(&self, buf: &[u8]) -> Result<Current, More> {
        Ok(match first_word(buf)?.and_then(item) {
            Some(Item::Confirmation(kind)) => Self::confirmation(kind),
            _ => Current::OutOfBand,
        })
    }

    fn confirmation(kind: PubsubKind) -> Current {
        Current::Confirmation(kind, Box::new(Reading::new(NOTE_MAX, None)))
    }

    fn begin_fetch(&self, fetch: &Fetch, buf: &[u8]) -> Result<Current, More> {
        let max = if self.mode == Mode::Orphaned { ORPHAN_MAX } else { DELIVERY_MAX };
        if fetch.sliced {
            let line = first_line(buf)?;
            let nothing = matches!(line, b"*-1" | b"_" | b"$-1");
            let refused = line.starts_with(b"-ERR timeout is not an integer") && !self.whole_seconds;
            if nothing || refused {
                return Ok(Current::Slice(Box::new(Reading::new(NOTE_MAX, None))));
            }
        }
        if fetch.pop.reads_entries() {
            return Ok(Current::Read(Box::new(Reading::of_words(PAYLOAD))));
        }
        let skim = Skim::new(PAYLOAD);
        Ok(Current::Read(Box::new(Reading::new(max, Some((fetch.pop.payload_leaf(), skim))))))
    }

    /// A value has ended. `pending` bytes of it are about to be forwarded.
    fn complete(&mut self, now: Millis, pending: u64, out: &mut Vec<Action>, run: &mut Range<usize>) {
        match std::mem::replace(&mut self.current, Current::None) {
            Current::None | Current::OutOfBand => {}
            Current::Plain => {
                self.owed.pop();
            }
            Current::Confirmation(kind, reading) => {
                self.confirm(kind, &reading);
                self.note_mailbox(&reading, out);
            }
            Current::Swallow(reading) => {
                if let Some(Owed::PutBack(back)) = self.owed.pop() {
                    self.put_back_answered(*back, &reading, out);
                }
            }
            Current::Slice(reading) => {
                let Some(Owed::Fetch(fetch)) = self.owed.pop() else { return };
                Self::flush(run, out);
                match reading.is_error() {
                    true => self.slice_refused(now, fetch, out),
                    false => self.slice_over(now, fetch, out),
                }
            }
            Current::Read(reading) => match self.owed.pop() {
                Some(Owed::Fetch(fetch)) => self.fetch_replied(now, fetch, *reading, pending, out),
                Some(Owed::Request(asked)) => self.request_replied(*asked, &reading, pending, out),
                Some(Owed::Noted(noted)) => self.noted(*noted, &reading, out),
                _ => {}
            },
        }
    }

    fn fetch_replied(&mut self, now: Millis, fetch: Fetch, reading: Reading, pending: u64, out: &mut Vec<Action>) {
        let end = if reading.is_error() {
            FetchEnd::Error
        } else if reading.is_empty() || self.is_empty_claim(&fetch, &reading) {
            FetchEnd::Empty
        } else {
            return self.delivered(now, fetch, reading, pending, out);
        };
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

    /// A reply that changes the session or confirms notes has ended.
    fn noted(&mut self, noted: Noted, reading: &Reading, out: &mut Vec<Action>) {
        let failed = reading.is_error();
        let in_exec = matches!(noted.change, Change::Exec { .. });
        match noted.change {
            Change::Multi { number } if failed => {
                // by now the client may be in another one
                let open = self.session.transaction.take_if(|t| t.number == number).is_some();
                self.memory.in_transaction &= !open;
            }
            Change::Unrefused(doubted) if !failed && (reading.overflow || reading.leaves.iter().any(is_string)) => {
                self.brought(&doubted, out);
            }
            Change::Exec { doubted } if !failed => self.doubted_in_exec(&doubted, reading, out),
            Change::Hello { three, user, name } if !failed => {
                if let Some(three) = three {
                    self.session.proto = if three { super::empty::Proto::Three } else { super::empty::Proto::Two };
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
        let (done, refused): (Vec<_>, Vec<_>) = noted.notes.into_iter().partition(held);
        let notes = |noted: Vec<(u32, Note)>| noted.into_iter().map(|(_, note)| note).collect();
        let mut events = Vec::new();
        dialect::confirmed(notes(done), &mut events);
        dialect::refused(notes(refused), &mut events);
        Self::emit(events, out);
    }
}

impl RespGate {
    /// An EXEC has been answered: which of its commands have brought something? If the elements cannot be told apart,
    /// any string may be theirs.
    fn doubted_in_exec(&mut self, doubted: &[(u32, Doubted)], reading: &Reading, out: &mut Vec<Action>) {
        let flat = reading.is_flat();
        for (index, doubted) in doubted {
            let brought = match reading.leaves.get(*index as usize).filter(|_| flat) {
                Some(leaf) => is_string(leaf),
                None => reading.overflow || reading.leaves.iter().any(is_string),
            };
            if brought {
                self.brought(doubted, out);
            }
        }
    }
}

/// A string that is there.
fn is_string(leaf: &Leaf) -> bool {
    matches!(leaf.kind, b'$' | b'=') && leaf.content != b"-1"
}

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
