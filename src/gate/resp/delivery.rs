//! A fetch is answered with jobs: they are told, and the answer is kept until it has been handed to the client's socket,
//! so that it can be put back.

use super::leaves::Leaves;
use super::owed::{Fetch, Owed};
use super::pop::Pop;
use super::quick::length;
use super::reply::Reading;
use super::scan::Scanner;
use super::{Mode, RespGate};
use crate::dialect::json::Skim;
use crate::dialect::{self, Claim, PAYLOAD, Payload};
use crate::gate::Action;
use crate::job::{FetchEnd, JobEvent, JobKey, Millis, Place, System};
use bytes::Bytes;
use std::sync::Arc;

/// A longer delivery is left to the scanner, which knows what to do with one that is too long to be kept.
const ELEMENT_MAX: usize = 64 * 1024;
/// How many entries of streams are remembered for renewing claims.
const ENTRIES_MAX: usize = 1_024;

/// A delivery that has not yet been handed to the client's socket.
#[derive(Debug)]
pub(super) struct Retained {
    /// The number of bytes sent to the client after which it is.
    pub(super) end: u64,
    /// `None`: the broker knows by itself that it has not been worked on.
    pub(super) pop: Option<Arc<Pop>>,
    pub(super) brought: Brought,
    pub(super) overflow: bool,
}

/// What a delivery consists of, and what its jobs are called.
#[derive(Debug)]
pub(super) enum Brought {
    Read(Leaves, Vec<JobKey>),
    /// All of it as it came, with one job or with none. Hardly any is asked for again.
    One(Box<[u8]>, Option<JobKey>),
}

impl Brought {
    pub(super) fn into_parts(self) -> (Leaves, Vec<JobKey>) {
        match self {
            Brought::Read(leaves, keys) => (leaves, keys),
            Brought::One(bytes, key) => {
                let mut reading = Reading::new(usize::MAX, None);
                // it was read once
                let _ = Scanner::new().advance(&bytes, &mut reading);
                (reading.leaves, key.into_iter().collect())
            }
        }
    }
}

impl RespGate {
    /// The delivery at the start of `buf` that answers a fetch, if it is one element, not too long and all there: it is
    /// told, and to be forwarded. Returns its length, or 0.
    pub(super) fn quick_delivery(&mut self, buf: &[u8], out: &mut Vec<Action>) -> usize {
        let Some(Owed::Fetch(fetch)) = self.owed.front() else { return 0 };
        let odd = self.session.monitor || self.session.subscribed_resp2() || self.owed.sync().is_some();
        if odd || self.mode != Mode::Running || fetch.pop.reads_entries() {
            return 0;
        }
        let Some(Element { key, text, used }) = element(buf, fetch.pop.reply_names_key()) else { return 0 };
        let Some(Owed::Fetch(fetch)) = self.owed.pop() else { return 0 };
        let mut job = None;
        let wakeup = self.claim(&fetch.pop) == Claim::Wakeup;
        if !wakeup {
            let (queue, list) = self.origin(&fetch.pop, key);
            let payload = Payload { skim: &self.memory.shape.read(PAYLOAD, text), text };
            job = Some(self.job(&fetch, &queue, list.as_ref(), Some(payload), out));
        }
        let brought = Brought::One(buf[..used].into(), job);
        self.handed_out(fetch, wakeup, (brought, false), used as u64, out);
        used
    }

    /// The broker answered a fetch with an element; its bytes are about to be forwarded, the last `pending` of them
    /// not yet counted in `sent`.
    pub(super) fn delivered(
        &mut self,
        now: Millis,
        fetch: Fetch,
        reading: &mut Reading,
        pending: u64,
        out: &mut Vec<Action>,
    ) {
        if self.mode == Mode::Orphaned {
            self.asked = false;
            self.answered(Place::Broker, FetchEnd::Vanished, fetch.pop.is_blocking(), out);
            return self.put_back(now, &fetch.pop, &reading.leaves, reading.overflow, vec![], out);
        }
        let wakeup = self.claim(&fetch.pop) == Claim::Wakeup;
        let keys = if wakeup { Vec::new() } else { self.jobs(&fetch, reading, out) };
        let brought = Brought::Read(std::mem::take(&mut reading.leaves), keys);
        self.handed_out(fetch, wakeup, (brought, reading.overflow), pending, out);
    }

    /// The jobs have been told.
    fn handed_out(
        &mut self,
        fetch: Fetch,
        wakeup: bool,
        (brought, overflow): (Brought, bool),
        pending: u64,
        out: &mut Vec<Action>,
    ) {
        self.asked = false;
        self.memory.woken |= wakeup;
        let end = if wakeup { FetchEnd::Empty } else { FetchEnd::Job };
        self.answered(Place::Broker, end, fetch.pop.is_blocking(), out);
        let end = self.sent + pending;
        self.retained.push_back(Retained { end, pop: Some(fetch.pop), brought, overflow });
    }

    /// Tells of the jobs in a reply; returns their keys.
    fn jobs(&mut self, fetch: &Fetch, reading: &Reading, out: &mut Vec<Action>) -> Vec<JobKey> {
        if fetch.pop.reads_entries() {
            return self.entries(&fetch.pop, reading, out);
        }
        let named = fetch.pop.reply_names_key().then(|| reading.leaves.first()).flatten();
        let (queue, list) = self.origin(&fetch.pop, named.map(|leaf| leaf.content));
        let first = reading.leaves.get(fetch.pop.payload_leaf() as usize).filter(|_| !reading.overflow);
        let text = first.map_or(b"".as_slice(), |leaf| leaf.content);
        let payload = reading.payload().map(|skim| Payload { skim, text });
        let mut keys = vec![self.job(fetch, &queue, list.as_ref(), payload, out)];
        for leaf in fetch.pop.further_payloads(&reading.leaves) {
            let payload = Payload { skim: &Skim::of(PAYLOAD, leaf.content), text: leaf.content };
            keys.push(self.job(fetch, &queue, list.as_ref(), Some(payload), out));
        }
        keys
    }

    /// What the queue is called that a job came from, and the list of the worker's own that it has been put into.
    fn origin(&mut self, pop: &Pop, named: Option<&[u8]>) -> (Arc<str>, Option<Bytes>) {
        let asked = || pop.keys().first().map_or(b"".as_slice(), |key| key.as_ref());
        (self.queue_of(pop, named.unwrap_or_else(asked)), self.private_list(pop))
    }

    /// Tells of one job; returns its key.
    fn job(
        &mut self,
        fetch: &Fetch,
        queue: &Arc<str>,
        list: Option<&Bytes>,
        payload: Option<Payload<'_>>,
        out: &mut Vec<Action>,
    ) -> JobKey {
        let (system, mut job) = dialect::job(&mut self.memory, queue, payload);
        if let (Some(list), Some(payload)) = (list, payload) {
            job.key = dialect::lists::key(list, payload.skim, payload.text);
        }
        if system != self.memory.system && system != System::Unknown && !fetch.takes_due {
            out.push(Action::Event(JobEvent::Recognised(system)));
        }
        let key = job.key.clone();
        out.push(Action::Event(if fetch.takes_due { JobEvent::Taken(job) } else { JobEvent::Delivered(job) }));
        key
    }

    /// The same for entries of streams.
    fn entries(&mut self, pop: &Pop, reading: &Reading, out: &mut Vec<Action>) -> Vec<JobKey> {
        let (words, whole) = reading.words();
        let stream = pop.keys().first().cloned().unwrap_or_default();
        let mut keys = Vec::new();
        let entries = dialect::streams::entries(&mut self.memory, pop.name(), &stream, words);
        if !whole || (entries.is_empty() && pop.name() == b"xreadgroup") {
            let why = "it read entries of a stream that could not be followed".to_owned();
            out.push(Action::Event(JobEvent::Blocked(why)));
        }
        for (system, job) in entries {
            if pop.name() == b"xreadgroup" {
                if self.told.read_entries.len() == ENTRIES_MAX {
                    self.told.read_entries.pop_front();
                }
                self.told.read_entries.push_back(job.key.clone());
            }
            if system != self.memory.system && system != System::Unknown {
                out.push(Action::Event(JobEvent::Recognised(system)));
            }
            keys.push(job.key.clone());
            out.push(Action::Event(JobEvent::Delivered(job)));
        }
        keys
    }
}

/// A reply that is one element, behind the name of its key or not.
struct Element<'a> {
    key: Option<&'a [u8]>,
    text: &'a [u8],
    /// How long all of it is.
    used: usize,
}

/// The one at the start of `buf`, if it is all there.
fn element(buf: &[u8], names_key: bool) -> Option<Element<'_>> {
    let bulk = |at: usize| {
        let (len, start) = length(buf, at, b'$')?;
        let text = buf.get(start..start.checked_add(len)?)?;
        let end = start + len + 2;
        (end <= buf.len().min(ELEMENT_MAX)).then_some((text, end))
    };
    match length(buf, 0, b'*') {
        Some((2, at)) if names_key => {
            let (key, at) = bulk(at)?;
            let (text, used) = bulk(at)?;
            Some(Element { key: Some(key), text, used })
        }
        None if !names_key => {
            let (text, used) = bulk(0)?;
            Some(Element { key: None, text, used })
        }
        _ => None,
    }
}
