//! Requests: scripts and the like that fetch jobs without being pops, or that end them. While the worker is marked one is
//! answered here, or goes to the broker with the one argument changed that makes it fetch; its reply says what it did.
//!
//! One that is too long to be waited for streams through and is stopped at that argument: it is decided when it passes.

use super::command::{encode, read_arg};
use super::owed::{Asked, Owed};
use super::reply::Reading;
use super::session::ReplyMode;
use super::{Mode, RespGate, Retained};
use crate::dialect::{self, Refusal, Reply, Request};
use crate::gate::{Action, Side};
use crate::job::{Fate, FetchEnd, JobEvent, JobKey, Place};
use bytes::Bytes;
use std::ops::Range;

/// An argument that a streaming command is stopped at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    /// How many arguments are still to come when it is next.
    pub(super) left: u32,
    from: Option<&'static [u8]>,
    to: &'static [u8],
}

/// What becomes of a watched argument.
pub(super) enum Judged {
    /// It is not all there.
    More,
    /// It goes on as it is.
    Passes,
    /// Another one was sent for these bytes.
    Replaced(usize),
}

/// A watched argument that is longer makes no request fetch.
const WATCHED_MAX: usize = 64;

impl RespGate {
    /// A request that was read whole. True if it is to be forwarded as it stands.
    pub(super) fn request(
        &mut self,
        name: &[u8],
        mut args: Vec<Bytes>,
        request: Box<Request>,
        out: &mut Vec<Action>,
    ) -> bool {
        if !self.may_refuse(name, &request, out) {
            return self.plain();
        }
        let queues = vec![request.queue.clone()];
        match request.refusal {
            Refusal::Needless => self.owe_request(*request, false),
            Refusal::Answer(bytes) if self.marked => {
                let (place, blocking) = (Place::Gate, false);
                out.push(Action::Event(JobEvent::FetchAsked { place, queues, blocking }));
                self.answered(place, FetchEnd::Empty, blocking, out);
                self.owed.push(Owed::Answer(Bytes::from_static(bytes)));
                self.settle_front(out);
                false
            }
            Refusal::Rewrite { arg, from, to } => {
                let Some(text) = args.get_mut(arg).filter(|text| fetches(text, from, to)) else {
                    return self.owe_request(*request, false);
                };
                if !self.marked {
                    return self.ask_request(*request, queues, out);
                }
                *text = Bytes::from_static(to);
                out.push(Action::Event(JobEvent::FetchRewritten { queues }));
                self.owe_request(*request, false);
                self.send(Side::Broker, Bytes::from(encode(&args)), out);
                false
            }
            Refusal::Answer(_) => self.ask_request(*request, queues, out),
        }
    }

    /// Inside MULTI, or with its replies switched off, a request cannot be refused.
    fn may_refuse(&mut self, name: &[u8], request: &Request, out: &mut Vec<Action>) -> bool {
        let plain_session = self.session.transaction.is_none() && self.session.replies == ReplyMode::On;
        if !plain_session && request.refusal != Refusal::Needless {
            self.blocked(name, "inside MULTI or with its replies switched off", out);
        }
        plain_session
    }

    fn ask_request(&mut self, request: Request, queues: Vec<String>, out: &mut Vec<Action>) -> bool {
        out.push(Action::Event(JobEvent::FetchAsked { place: Place::Broker, queues, blocking: false }));
        self.owe_request(request, true)
    }

    fn owe_request(&mut self, request: Request, fetches: bool) -> bool {
        self.owed.push(Owed::Request(Box::new(Asked { request, fetches })));
        true
    }

    /// A request of `argc` arguments of which only the beginning has been read: the argument to watch for, if any.
    pub(super) fn long_request(
        &mut self,
        name: &[u8],
        argc: u32,
        request: Box<Request>,
        out: &mut Vec<Action>,
    ) -> Option<Watch> {
        if !self.may_refuse(name, &request, out) {
            self.plain();
            return None;
        }
        let watch = match request.refusal {
            Refusal::Rewrite { arg, from, to } => {
                let left = u32::try_from(arg).ok().and_then(|arg| argc.checked_sub(arg)).filter(|left| *left > 0);
                left.map(|left| Watch { left, from, to })
            }
            // nobody sends so long a one
            Refusal::Answer(_) => {
                self.blocked(name, "with too many arguments", out);
                None
            }
            Refusal::Needless => None,
        };
        self.owe_request(*request, false);
        watch
    }

    /// The watched argument stands at the start of `buf`.
    pub(super) fn watched(
        &mut self,
        watch: Watch,
        buf: &[u8],
        run: &mut Range<usize>,
        out: &mut Vec<Action>,
    ) -> Judged {
        let (text, used) = match read_arg(buf, WATCHED_MAX) {
            Ok(Some(argument)) => argument,
            Ok(None) => return Judged::More,
            // the stream's reader will say so
            Err(_) => return Judged::Passes,
        };
        let fetches = fetches(text, watch.from, watch.to);
        let Some(Owed::Request(asked)) = self.owed.back_mut().filter(|_| fetches) else { return Judged::Passes };
        let queues = vec![asked.request.queue.clone()];
        Self::flush(run, out);
        if !self.marked {
            asked.fetches = true;
            out.push(Action::Event(JobEvent::FetchAsked { place: Place::Broker, queues, blocking: false }));
            return Judged::Passes;
        }
        out.push(Action::Event(JobEvent::FetchRewritten { queues }));
        let argument = [format!("${}\r\n", watch.to.len()).as_bytes(), watch.to, b"\r\n"].concat();
        self.send(Side::Broker, Bytes::from(argument), out);
        Judged::Replaced(used)
    }

    /// The reply to a request has ended; the last `pending` bytes of it are not yet counted in `sent`.
    pub(super) fn request_replied(&mut self, asked: Asked, reading: Reading, pending: u64, out: &mut Vec<Action>) {
        let mut events = Vec::new();
        if !reading.is_error() {
            let reply = Reply { words: reading.words(), whole: !reading.overflow };
            dialect::replied(&mut self.memory, &asked.request, reply, &mut events);
        }
        let key = |event: &JobEvent| if let JobEvent::Delivered(job) = event { Some(job.key.clone()) } else { None };
        let keys: Vec<JobKey> = events.iter().filter_map(key).collect();
        let gone = self.mode == Mode::Orphaned;
        if gone {
            events.retain(|event| !matches!(event, JobEvent::Delivered(_)));
            out.extend(keys.iter().map(|_| Action::Event(JobEvent::Orphan(Fate::Kept))));
        }
        Self::emit(events, out);
        if asked.fetches {
            let end = match keys.is_empty() {
                _ if gone => FetchEnd::Vanished,
                _ if reading.is_error() => FetchEnd::Error,
                true => FetchEnd::Empty,
                false => FetchEnd::Job,
            };
            self.answered(Place::Broker, end, false, out);
        }
        if !gone && !keys.is_empty() {
            let end = self.sent + pending;
            self.retained.push_back(Retained { end, pop: None, leaves: vec![], overflow: false, keys });
        }
    }
}

/// Whether the argument that decides makes the request fetch.
fn fetches(text: &[u8], from: Option<&'static [u8]>, to: &'static [u8]) -> bool {
    from.map_or(text != to, |from| text == from)
}
