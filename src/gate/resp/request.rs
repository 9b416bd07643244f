//! Requests: scripts and the like that fetch jobs without being pops, or that end them. While the worker is marked one is
//! answered here, or goes to the broker with the one argument changed that makes it fetch; its reply says what it did.
//!
//! One that is too long to be waited for streams through and is stopped at that argument: it is decided when it passes.

use super::command::read_arg;
use super::delivery::{Brought, Retained};
use super::empty::Empty;
use super::encode::{bulk, bulk_length, encode};
use super::leaves::Leaves;
use super::owed::{Asked, Owed};
use super::reply::Reading;
use super::session::ReplyMode;
use super::{Mode, RespGate};
use crate::dialect::{self, Note, Refusal, Reply, Request, Wake, Word};
use crate::gate::run::Run;
use crate::gate::{Action, Side};
use crate::job::{Fate, FetchEnd, JobEvent, JobKey, Millis, Place};
use bytes::Bytes;
use std::sync::Arc;

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

/// So long after the mark or the pause a worker that is refused may have eaten what would have woken another one:
/// longer than a slice.
const WAKES_FOR: Millis = 10_000;
/// A watched argument that is longer makes no request fetch.
const WATCHED_MAX: usize = 64;

impl RespGate {
    /// A request that was read whole. True if it is to be forwarded as it stands.
    pub(super) fn request(
        &mut self,
        now: Millis,
        name: &[u8],
        mut args: Vec<Bytes>,
        request: Request,
        out: &mut Vec<Action>,
    ) -> bool {
        if !self.may_refuse(name, &request, out) {
            return self.plain();
        }
        let queues = queues(&request);
        match request.refusal {
            Refusal::Needless => self.owe_request(request, false),
            Refusal::Rewrite { arg, from, to } => {
                let Some(text) = args.get_mut(arg).filter(|text| fetches(text, from, to)) else {
                    return self.owe_request(request, false);
                };
                if !self.refuses_request(&request) {
                    return self.ask_request(request, queues, out);
                }
                *text = Bytes::from_static(to);
                out.push(Action::Event(JobEvent::FetchRewritten { queues }));
                self.owe_request(request, false);
                self.send(Side::Broker, encode(&args), out);
                false
            }
            _ if self.refuses_request(&request) => self.answer_request(now, request, out),
            Refusal::Answer(_) | Refusal::Nothing | Refusal::Nulls => self.ask_request(request, queues, out),
        }
    }

    /// Answers in the broker's place.
    fn answer_request(&mut self, now: Millis, request: Request, out: &mut Vec<Action>) -> bool {
        let (place, blocking) = (Place::Gate, false);
        out.push(Action::Event(JobEvent::FetchAsked { place, queues: queues(&request), blocking }));
        self.answered(place, FetchEnd::Empty, blocking, out);
        if let Some(wake) = request.wakes.filter(|_| now < self.refused_since() + WAKES_FOR) {
            self.send(Side::Broker, waking(wake), out);
            self.owed.push(Owed::Skip);
        }
        self.owed.push(match request.refusal {
            Refusal::Answer(bytes) => Owed::Answer(Bytes::from_static(bytes)),
            Refusal::Nulls => Owed::Nothing(Empty::TwoNulls),
            _ => Owed::Nothing(Empty::NullBulk),
        });
        self.settle_front(out);
        false
    }

    /// With its replies switched off a request cannot be followed, and in a transaction it cannot be answered.
    fn may_refuse(&mut self, name: &[u8], request: &Request, out: &mut Vec<Action>) -> bool {
        let blocked = match self.session.replies {
            ReplyMode::On => self.session.transaction.is_some() && request.refusal.is_answer(),
            _ => request.refusal != Refusal::Needless,
        };
        if blocked {
            self.blocked(name, "inside MULTI or with its replies switched off", out);
        }
        !blocked && self.session.replies == ReplyMode::On
    }

    fn ask_request(&mut self, request: Request, queues: Arc<[String]>, out: &mut Vec<Action>) -> bool {
        out.push(Action::Event(JobEvent::FetchAsked { place: Place::Broker, queues, blocking: false }));
        self.owe_request(request, true)
    }

    pub(super) fn owe_request(&mut self, request: Request, fetches: bool) -> bool {
        if self.session.transaction.is_some() {
            return self.plain_noted(Note::Request { request: Box::new(request), fetches });
        }
        self.owed.push(Owed::Request(Box::new(Asked { request, fetches })));
        true
    }

    /// A request of `argc` arguments of which only the beginning has been read: the argument to watch for, if any.
    pub(super) fn long_request(
        &mut self,
        name: &[u8],
        argc: u32,
        request: Request,
        out: &mut Vec<Action>,
    ) -> Option<Watch> {
        if !self.may_refuse(name, &request, out) {
            self.plain();
            return None;
        }
        let watch = match request.refusal {
            Refusal::Rewrite { .. } if self.session.transaction.is_some() => {
                self.blocked(name, "inside MULTI, with arguments too long to be read", out);
                None
            }
            Refusal::Rewrite { arg, from, to } => {
                let left = u32::try_from(arg).ok().and_then(|arg| argc.checked_sub(arg)).filter(|left| *left > 0);
                left.map(|left| Watch { left, from, to })
            }
            // nobody sends so long a one
            Refusal::Answer(_) | Refusal::Nothing | Refusal::Nulls => {
                self.blocked(name, "with too many arguments", out);
                None
            }
            Refusal::Needless => None,
        };
        self.owe_request(request, false);
        watch
    }

    /// The watched argument stands at the start of `buf`.
    pub(super) fn watched(&mut self, watch: Watch, buf: &[u8], run: &mut Run, out: &mut Vec<Action>) -> Judged {
        let (text, used) = match read_arg(buf, WATCHED_MAX) {
            Ok(Some(argument)) => argument,
            Ok(None) => return Judged::More,
            // the stream's reader will say so
            Err(_) => return Judged::Passes,
        };
        let fetches = fetches(text, watch.from, watch.to);
        let asked = self.owed.back();
        let refused = matches!(asked, Some(Owed::Request(asked)) if self.refuses_request(&asked.request));
        let Some(Owed::Request(asked)) = self.owed.back_mut().filter(|_| fetches) else { return Judged::Passes };
        let queues = Arc::from([asked.request.queue.clone()]);
        run.flush(out);
        if !refused {
            asked.fetches = true;
            out.push(Action::Event(JobEvent::FetchAsked { place: Place::Broker, queues, blocking: false }));
            return Judged::Passes;
        }
        out.push(Action::Event(JobEvent::FetchRewritten { queues }));
        let mut argument = Vec::with_capacity(bulk_length(watch.to.len()));
        bulk(watch.to, &mut argument);
        self.send(Side::Broker, Bytes::from(argument), out);
        Judged::Replaced(used)
    }

    /// The reply to a request has ended; the last `pending` bytes of it are not yet counted in `sent`.
    pub(super) fn request_replied(&mut self, asked: Asked, reading: &Reading, pending: u64, out: &mut Vec<Action>) {
        let (words, whole) = reading.words();
        let reply = answer(reading.is_error(), words, whole);
        self.request_answered(&asked.request, asked.fetches, reply, pending, out);
    }

    /// A transaction with requests in it was executed.
    pub(super) fn requests_executed(&mut self, notes: &[(u32, Note)], reading: &Reading, out: &mut Vec<Action>) {
        let (words, whole) = reading.words();
        for (index, note) in notes {
            let Note::Request { request, fetches } = note else { continue };
            let from = words.partition_point(|word| word.element < *index);
            let to = words.partition_point(|word| word.element <= *index);
            let words = &words[from..to];
            let failed = matches!(words, [word] if matches!(word.kind, b'-' | b'!'));
            let reply = answer(failed, words, whole);
            self.request_answered(request, *fetches, reply, 0, out);
        }
    }

    /// A transaction with requests in it was not executed.
    pub(super) fn requests_failed(&mut self, notes: &[(u32, Note)], out: &mut Vec<Action>) {
        for (_, note) in notes {
            let Note::Request { request, fetches } = note else { continue };
            self.dialects(out, |memory, events| dialect::failed(memory, request, b"", events));
            if *fetches {
                self.answered(Place::Broker, FetchEnd::Error, false, out);
            }
        }
    }

    /// A process that starts takes up what is pending for it, one read after the other, and may be told of more by the
    /// next. It is through when nothing comes any more, or when it asks for what is new.
    pub(super) fn takes_up(&mut self, takes_up: bool, out: &mut Vec<Action>) {
        if self.told.takes_up != takes_up {
            self.told.takes_up = takes_up;
            let why = "it takes up what is pending for it in a stream, which is not held".to_owned();
            out.push(Action::Event(if takes_up { JobEvent::Bound(why) } else { JobEvent::Unbound(why) }));
        }
    }

    fn request_answered(
        &mut self,
        request: &Request,
        fetches: bool,
        reply: Result<Reply<'_>, &[u8]>,
        pending: u64,
        out: &mut Vec<Action>,
    ) {
        let mut events = Vec::new();
        let failed = reply.is_err();
        if let Ok(reply) = reply
            && dialect::streams::is_history(request)
        {
            self.takes_up(dialect::streams::has_entries(reply.words), out);
        }
        match reply {
            Ok(reply) => dialect::replied(&mut self.memory, request, reply, &mut events),
            Err(error) => dialect::failed(&mut self.memory, request, error, &mut events),
        }
        let key = |event: &JobEvent| match event {
            JobEvent::Delivered(job) | JobEvent::Taken(job) => Some(job.key.clone()),
            _ => None,
        };
        let keys: Vec<JobKey> = events.iter().filter_map(key).collect();
        let gone = self.mode == Mode::Orphaned;
        if gone {
            let brought = |event: &JobEvent| {
                matches!(event, JobEvent::Delivered(_) | JobEvent::Redelivered(_) | JobEvent::Taken(_))
            };
            events.retain(|event| !brought(event));
            out.extend(keys.iter().map(|_| Action::Event(JobEvent::Orphan(Fate::Kept))));
        }
        if !gone && !fetches && !keys.is_empty() {
            // its arguments mean something else than in the releases that are known
            events.push(JobEvent::Blocked(
                "a script has brought it a job that the gate would not have refused".to_owned(),
            ));
        }
        Self::emit(events, out);
        if fetches {
            let end = match keys.is_empty() {
                _ if gone => FetchEnd::Vanished,
                _ if failed => FetchEnd::Error,
                true => FetchEnd::Empty,
                false => FetchEnd::Job,
            };
            self.answered(Place::Broker, end, false, out);
        }
        if !gone && !keys.is_empty() {
            let end = self.sent + pending;
            let brought = Brought::Read(Leaves::default(), keys);
            self.retained.push_back(Retained { end, pop: None, brought, overflow: false });
        }
    }
}

/// A reply, or the text of an error.
fn answer(failed: bool, words: &[Word], whole: bool) -> Result<Reply<'_>, &[u8]> {
    if failed { Err(words.first().map_or(b"".as_slice(), |word| &word.text)) } else { Ok(Reply { words, whole }) }
}

/// The command that wakes another worker.
fn waking(wake: Wake) -> Bytes {
    let word = Bytes::from_static;
    match wake {
        Wake::Member(key) => encode(&[word(b"ZADD"), Bytes::from(key), word(b"NX"), word(b"0"), word(b"0")]),
        Wake::Element(key) => encode(&[word(b"RPUSH"), Bytes::from(key), word(b"1")]),
    }
}

/// The queues that a request asks, as far as known.
fn queues(request: &Request) -> Arc<[String]> {
    Some(&request.queue).filter(|queue| !queue.is_empty()).cloned().into_iter().collect()
}

/// Whether the argument that decides makes the request fetch.
fn fetches(text: &[u8], from: Option<&'static [u8]>, to: &'static [u8]) -> bool {
    from.map_or(text != to, |from| text == from)
}
