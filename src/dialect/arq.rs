//! arq, measured with 0.28. A worker reads up to 100 ids of due jobs, `ZRANGEBYSCORE arq:queue -inf NOW LIMIT 0 100`, which
//! takes nothing, and claims one after the other as far as it has room: `WATCH arq:in-progress:ID`, `EXISTS` of that key
//! (`:1`: somebody else has it), `ZSCORE arq:queue ID`, `MULTI; PSETEX arq:in-progress:ID ..; EXEC`; `UNWATCH` if it leaves
//! the job alone. So `EXISTS` is the fetch: refused with `:1`, no id of a list that was read before the mark is started.
//!
//! From its `:0` on the job is in flight, until the claim fails or `DEL arq:in-progress:ID` is executed with the job's end
//! (of a cron job the key stays for a minute: `PEXPIRE`).
//!
//! Before it reads for the first time a worker asks for `INFO Server`, `INFO Memory`, `INFO Clients` and `DBSIZE` for its
//! log (0.25 as well): it has just begun.

use super::request::{Refusal, Reply, Request, Verb};
use super::{Dialect, Interest, Meaning, Memory, Note};
use crate::job::{Job, JobEvent, JobKey, Outcome, System};
use memchr::memmem;

/// Unless it is given another name.
const QUEUE: &str = "arq:queue";
const IN_PROGRESS: &[u8] = b"arq:in-progress:";
const DEFINITION: &[u8] = b"arq:job:";
const HEALTH: &[u8] = b":health-check";
/// "Another worker has it."
const EXISTS: &[u8] = b":1\r\n";
/// What a worker that has just begun asks for, and then for the number of keys.
const GREETING: [&[u8]; 3] = [b"Server", b"Memory", b"Clients"];

pub(super) struct Arq;

/// What one connection is about to claim.
#[derive(Debug, Default)]
pub(super) struct Claiming {
    /// The queue that was read last.
    queue: String,
    /// The id whose key is watched.
    watched: Option<Vec<u8>>,
    /// That job is free, and has been told of.
    told: bool,
    /// How many of the questions for its log have been asked, one after the other.
    greeting: usize,
}

impl Claiming {
    /// Before anything has been said.
    pub(super) const BLANK: Claiming = Claiming { queue: String::new(), watched: None, told: false, greeting: 0 };

    /// The worker does not take the job.
    fn give_up(&mut self, out: &mut Vec<JobEvent>) {
        if let Some(id) = self.watched.take().filter(|_| self.told) {
            out.push(JobEvent::Returned(JobKey::text(&id)));
        }
        self.told = false;
    }

    fn is(&self, id: &[u8]) -> bool {
        self.watched.as_deref() == Some(id)
    }
}

impl Dialect for Arq {
    fn system(&self) -> System {
        System::Arq
    }

    fn interest(&self, memory: &Memory, name: &[u8], first: &[u8]) -> Interest {
        let own = first.starts_with(IN_PROGRESS);
        match name {
            // a queue may have any name: then the worker has to be known by something else
            b"zrangebyscore" if first == QUEUE.as_bytes() || memory.system == System::Arq => Interest::Whole,
            b"info" if GREETING.contains(&first) => Interest::Tap,
            b"dbsize" if memory.few.arq.greeting == GREETING.len() => Interest::Tap,
            b"exists" if own && !memory.in_transaction => Interest::Whole,
            b"watch" if own => Interest::Tap,
            b"unwatch" if memory.few.arq.watched.is_some() => Interest::Tap,
            b"psetex" if own => Interest::Whole,
            b"psetex" if first.ends_with(HEALTH) => Interest::Tap,
            b"pexpire" if own => Interest::Tap,
            // the key stands somewhere among those of the job
            b"del" if first.starts_with(b"arq:") => Interest::Tap,
            _ => Interest::None,
        }
    }

    fn command(&self, memory: &mut Memory, args: &[&[u8]], out: &mut Vec<JobEvent>) -> Meaning {
        let id = args.get(1).and_then(|key| key.strip_prefix(IN_PROGRESS));
        match (args[0], args, id) {
            (b"zrangebyscore", [_, queue, b"-inf", now, limit, _, _], _) if is_now(now) && is_limit(limit) => {
                out.push(JobEvent::Recognised(System::Arq));
                if std::mem::take(&mut memory.begun) {
                    out.push(JobEvent::Begun);
                }
                memory.few.arq.queue = String::from_utf8_lossy(queue).into_owned();
                request(memory, Verb::Fetch, vec![], Refusal::Answer(b"*0\r\n"))
            }
            (b"info", [_, part], _) => {
                let next = GREETING.get(memory.few.arq.greeting) == Some(part);
                memory.few.arq.greeting = if next { memory.few.arq.greeting + 1 } else { 0 };
                Meaning::Nothing
            }
            (b"dbsize", ..) => {
                memory.few.arq.greeting = 0;
                memory.begun = memory.system == System::Unknown;
                Meaning::Nothing
            }
            (b"psetex", [_, _, _, health], None) if memmem::find(health, b"j_complete=").is_some() => {
                out.push(JobEvent::Recognised(System::Arq));
                Meaning::Nothing
            }
            (b"watch", [_, _], Some(id)) => {
                memory.few.arq.give_up(out);
                memory.few.arq.watched = Some(id.to_vec());
                out.push(JobEvent::Recognised(System::Arq));
                Meaning::Nothing
            }
            (b"unwatch", ..) => {
                memory.few.arq.give_up(out);
                Meaning::Nothing
            }
            (b"exists", [_, _], Some(id)) if memory.few.arq.is(id) => {
                request(memory, Verb::Fetch, vec![JobKey::text(id)], Refusal::Answer(EXISTS))
            }
            (b"psetex", _, Some(id)) if memory.few.arq.is(id) && memory.in_transaction => {
                request(memory, Verb::Claim, vec![JobKey::text(id)], Refusal::Needless)
            }
            (b"pexpire", _, Some(id)) => Meaning::Note(Note::Ended(vec![JobKey::text(id)], Outcome::Finished)),
            (b"del", [_, keys @ ..], _) => {
                let ended: Vec<JobKey> =
                    keys.iter().filter_map(|key| key.strip_prefix(IN_PROGRESS)).map(JobKey::text).collect();
                // without its definition it is to be run again
                let over = keys.iter().any(|key| key.starts_with(DEFINITION));
                let outcome = if over { Outcome::Finished } else { Outcome::Requeued };
                if ended.is_empty() { Meaning::Nothing } else { Meaning::Note(Note::Ended(ended, outcome)) }
            }
            _ => Meaning::Nothing,
        }
    }

    fn replied(&self, memory: &mut Memory, request: &Request, reply: Reply<'_>, out: &mut Vec<JobEvent>) {
        match (request.verb, request.jobs.as_slice(), reply.number()) {
            (Verb::Fetch, [key], Some(0)) => {
                memory.few.arq.told = true;
                let (key, id, queue) = (key.clone(), key.to_string(), request.queue.as_str().into());
                out.push(JobEvent::Delivered(Job { key, id, name: String::new(), queue, eta: None }));
            }
            // it is the worker's now
            (Verb::Claim, ..) => memory.few.arq.told = false,
            _ => {}
        }
    }

    fn failed(&self, memory: &mut Memory, request: &Request, error: &[u8], out: &mut Vec<JobEvent>) {
        if request.verb == Verb::Claim {
            memory.few.arq.give_up(out);
        }
        request.tell_refused(error, out);
    }

    /// A client that has not heard of its claim's success does not start the job.
    fn closed(&self, memory: &mut Memory, _by_client: bool, out: &mut Vec<JobEvent>) {
        if memory.few.arq.watched.is_some() {
            memory.few.arq.give_up(out);
        }
    }
}

fn request(memory: &Memory, verb: Verb, jobs: Vec<JobKey>, refusal: Refusal) -> Meaning {
    // its pool may have read the queue over another connection: then it has most likely the usual name
    let queue = if memory.few.arq.queue.is_empty() { QUEUE } else { &memory.few.arq.queue };
    Meaning::Request(Box::new(Request { jobs, refusal, ..Request::new(System::Arq, queue.as_bytes(), verb) }))
}

/// Milliseconds since 1970.
fn is_now(text: &[u8]) -> bool {
    text.len() >= 12 && text.iter().all(u8::is_ascii_digit)
}

fn is_limit(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"limit")
}
