//! Consumer groups of streams, whoever uses them: what was read is pending until `XACK`, so each entry is a job with an end
//! that the broker confirms (unless it was read with NOACK).
//!
//! Symfony's Messenger, measured with 5.4 and 7.4, is one of them. Its messages with a delay, retries among them, wait in the
//! sorted set `STREAM__queue`, and before each read a worker adds those that are due to the stream itself. It takes one at a
//! time, with `ZPOPMIN` (up to 7.3) or with a script that gives it a later score until it is added and removed (7.4).

use super::request::{Reads, Refusal, Reply, Request, Verb, Word};
use super::{Claim, Dialect, DueAnswer, Interest, Known, Meaning, Memory, Note, PAYLOAD, Payload, PopShape, number};
use crate::job::{Job, JobEvent, JobKey, Outcome, System};
use std::sync::Arc;

/// Idle for so long is no entry: a claim with it claims nothing.
const NEVER: &[u8] = b"9000000000000000";

pub(super) struct Streams;

impl Dialect for Streams {
    fn system(&self) -> System {
        System::Unknown
    }

    fn interest(&self, memory: &Memory, name: &[u8], _first: &[u8]) -> Interest {
        if matches!(name, b"eval" | b"evalsha") {
            return Interest::Whole;
        }
        let told = matches!(memory.system, System::Unknown | System::Taskiq);
        if told && matches!(name, b"xack" | b"xackdel") { Interest::Tap } else { Interest::None }
    }

    fn claim(&self, known: Known, pop: PopShape<'_>) -> Claim {
        let due = known.system == System::Unknown && pop.name == b"zpopmin" && pop.keys.iter().all(is_delayed);
        if due { Claim::Due } else { Claim::NotMine }
    }

    fn command(&self, memory: &mut Memory, args: &[&[u8]], _out: &mut Vec<JobEvent>) -> Meaning {
        if let [b"eval" | b"evalsha", _, b"1", key, now, until] = args {
            let claims = memory.system == System::Unknown && is_delayed(key) && is_time(now) && is_time(until);
            return if claims { Meaning::TakesDue { key: 3, answer: DueAnswer::Claimed } } else { Meaning::Nothing };
        }
        let [b"xack" | b"xackdel", ..] = args else { return Meaning::Nothing };
        let [name, stream, _group, ids @ ..] = args else { return Meaning::Nothing };
        let ids = if *name == b"xackdel" { counted(ids) } else { ids };
        let keys = ids.iter().map(|id| key(stream, id)).collect();
        Meaning::Note(Note::Ended(keys, Outcome::Finished))
    }

    fn replied(&self, memory: &mut Memory, request: &Request, reply: Reply<'_>, out: &mut Vec<JobEvent>) {
        let (name, deliver): (&[u8], fn(Job) -> JobEvent) = match request.verb {
            Verb::Fetch => (b"xautoclaim", JobEvent::Delivered),
            Verb::Claim => (b"xreadgroup", JobEvent::Redelivered),
            _ => return,
        };
        for (system, job) in entries(memory, name, request.queue.as_bytes(), reply.words) {
            if system != System::Unknown && system != memory.system {
                out.push(JobEvent::Recognised(system));
            }
            out.push(deliver(job));
        }
    }
}

/// The ids in `[KEEPREF|DELREF|ACKED] IDS number id..`, as XACKDEL has them (Redis 8.2).
fn counted<'a>(words: &'a [&'a [u8]]) -> &'a [&'a [u8]] {
    let ids = words.iter().position(|word| word.eq_ignore_ascii_case(b"ids"));
    ids.and_then(|at| words.get(at + 2..)).unwrap_or_default()
}

/// XREADGROUP of what is pending for this consumer already: a process that starts takes up so what it had before.
pub fn history() -> Request {
    Request { reads: Reads::Json(PAYLOAD), ..Request::new(System::Unknown, b"", Verb::Claim) }
}

/// Whether a request is a [`history`].
pub fn is_history(request: &Request) -> bool {
    request.system == System::Unknown && request.verb == Verb::Claim
}

/// Whether there are entries in a reply to XREADGROUP, deleted ones included.
pub fn has_entries(words: &[Word]) -> bool {
    let depth = words.first().map_or(0, |first| first.depth);
    words.iter().any(|word| word.depth > depth && is_entry_id(&word.text))
}

/// XAUTOCLAIM in a transaction, where it cannot be answered: it can be made to claim nothing.
pub fn claim_in_transaction(stream: &[u8]) -> Request {
    let refusal = Refusal::Rewrite { arg: 4, from: None, to: NEVER };
    Request { refusal, reads: Reads::Json(PAYLOAD), ..Request::new(System::Unknown, stream, Verb::Fetch) }
}

/// The entries in the reply to a command of this name, whose system's they are, and as jobs. `stream` is the
/// command's, where the reply does not name it.
pub fn entries(memory: &mut Memory, name: &[u8], stream: &[u8], words: &[Word]) -> Vec<(System, Job)> {
    let Some(first) = words.first() else { return Vec::new() };
    let depth = first.depth + if name == b"xclaim" { 0 } else { 2 };
    // XAUTOCLAIM .. JUSTID: the ids stand alone, right behind the cursor (elsewhere those of deleted entries do)
    let bare = |word: &Word| name == b"xautoclaim" && word.depth == first.depth + 1 && is_entry_id(&word.text);
    let depth = if words.get(1).is_some_and(bare) { first.depth + 1 } else { depth };
    let starts: Vec<usize> = words
        .iter()
        .enumerate()
        .filter(|(_, word)| word.depth == depth && is_entry_id(&word.text))
        .map(|(i, _)| i)
        .collect();
    let mut entries = Vec::with_capacity(starts.len());
    for (i, start) in starts.iter().enumerate() {
        let end = starts.get(i + 1).copied().unwrap_or(words.len());
        // of one that was deleted meanwhile there is only the id
        let null = |word: &Word| word.depth == depth && (word.kind == b'_' || word.text == b"-1");
        if words.get(start + 1).is_some_and(null) {
            continue;
        }
        let id = &words[*start].text;
        let named =
            words[..*start].iter().rev().find(|word| word.depth == first.depth).filter(|_| name == b"xreadgroup");
        let stream = named.map_or(stream, |word| &word.text);
        let queue = Arc::from(String::from_utf8_lossy(stream));
        let values = words[start + 1..end].iter().filter(|word| word.depth > depth);
        let payloads = values.filter_map(|word| Some(Payload { skim: word.skim.as_ref()?, text: &[] }));
        let known = payloads
            .map(|payload| super::job(memory, &queue, Some(payload)))
            .find(|(system, _)| *system != System::Unknown);
        let (system, mut job) = known.unwrap_or_else(|| super::job(memory, &queue, None));
        job.key = key(stream, id);
        entries.push((system, job));
    }
    entries
}

/// What the job of an entry is called.
pub fn key(stream: &[u8], id: &[u8]) -> JobKey {
    JobKey::Text(format!("{}@{}", String::from_utf8_lossy(id), String::from_utf8_lossy(stream)))
}

/// Symfony's set of messages with a delay.
fn is_delayed(key: &[u8]) -> bool {
    key.ends_with(b"__queue")
}

/// Milliseconds since the epoch.
fn is_time(text: &[u8]) -> bool {
    number(text).is_some_and(|time: u64| (1_000_000_000_000..100_000_000_000_000).contains(&time))
}

/// `1526919030474-55`
pub fn is_entry_id(text: &[u8]) -> bool {
    let mut parts = text.splitn(2, |b| *b == b'-');
    let digits =
        |p: Option<&[u8]>| p.is_some_and(|p| !p.is_empty() && p.len() <= 20 && p.iter().all(u8::is_ascii_digit));
    digits(parts.next()) && digits(parts.next())
}
