//! Dramatiq on Redis, measured with 2.2. One script does everything, and says what by its first argument:
//! `EVALSHA sha 1 namespace fetch|ack|nack|requeue|enqueue.. now queue worker-id timeout ttl maintenance unpack ARGS`.
//!
//! Each call is the worker's heartbeat as well: a fetch that was answered in the broker's place would have its running jobs
//! given to somebody else after a minute. So it goes to the broker and asks for no message: its last argument becomes 0.
//! Jobs that are not due are held in the worker's memory, delivered from the queue's twin `.DQ`.
//!
//! A result is waited for by `BRPOPLPUSH key key timeout`, which leaves it where it is.

use super::json::Wanted;
use super::request::{Reads, Refusal, Reply, Request, Verb};
use super::{Claim, Dialect, Known, Meaning, Memory, PopShape};
use crate::job::{Job, JobEvent, JobKey, System};

/// The script that a process runs once, before its first call: how much can be unpacked. The same from 1.8 to 2.2.
const MAX_STACK: &[u8] = b"63a257ff9edcee2888529b5d51c86f83444f91e4";

const MESSAGE: Wanted = Wanted::of(&["options.redis_message_id", "options.eta", "message_id", "actor_name"]);

/// What the key of a result begins with, if it is not an MD5 of all that.
const RESULT: &[u8] = b"dramatiq-results:";

pub(super) struct Dramatiq;

impl Dialect for Dramatiq {
    fn system(&self) -> System {
        System::Dramatiq
    }

    fn claim(&self, known: Known, pop: PopShape<'_>) -> Claim {
        // to no other list
        let in_place = matches!(pop.name, b"brpoplpush" | b"rpoplpush") && pop.to.is_none();
        if in_place && pop.keys.iter().all(is_result) {
            return Claim::Pass;
        }
        if known.system == System::Dramatiq { Claim::Pass } else { Claim::NotMine }
    }

    fn command(&self, memory: &mut Memory, args: &[&[u8]], out: &mut Vec<JobEvent>) -> Meaning {
        if matches!(args, [_, script, b"0"] if *script == MAX_STACK) {
            memory.begun = true;
            return Meaning::Passes;
        }
        let [_, _, b"1", _, command, now, queue, worker, timeout, ttl, maintenance, unpack, rest @ ..] = args else {
            return Meaning::Nothing;
        };
        let number = |text: &&&[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        if ![now, timeout, ttl, unpack].iter().all(number) || !matches!(*maintenance, b"0" | b"1") {
            return Meaning::Nothing;
        }
        let prefetch = Refusal::Rewrite { arg: args.len() - 1, from: None, to: b"0" };
        let (verb, refusal) = match *command {
            b"fetch" if rest.len() == 1 => (Verb::Fetch, prefetch),
            b"ack" | b"nack" => (Verb::Finish, Refusal::Needless),
            b"requeue" => (Verb::Requeue, Refusal::Needless),
            b"enqueue" | b"purge" | b"qsize" => return Meaning::Passes,
            _ => return Meaning::Nothing,
        };
        let (system, name) = (System::Dramatiq, String::from_utf8_lossy(worker).into_owned());
        out.push(JobEvent::Recognised(system));
        if verb == Verb::Fetch {
            out.push(JobEvent::Named { system, name });
            if std::mem::take(&mut memory.begun) {
                out.push(JobEvent::Begun);
            }
        }
        let jobs = if verb == Verb::Fetch { Vec::new() } else { rest.iter().map(|id| JobKey::text(id)).collect() };
        Meaning::Request(Box::new(Request {
            jobs,
            refusal,
            reads: Reads::Json(MESSAGE),
            ..Request::new(system, queue, verb)
        }))
    }

    fn replied(&self, _memory: &mut Memory, request: &Request, reply: Reply<'_>, out: &mut Vec<JobEvent>) {
        request.tell_ended(out);
        if request.verb != Verb::Fetch {
            return;
        }
        if !reply.whole {
            out.push(JobEvent::Blocked("it took more messages at once than can be followed".to_owned()));
        }
        for message in reply.words.iter().filter(|word| word.is_text()) {
            let found = |path: &str| message.skim.as_ref().and_then(|skim| skim.get(path)).map(str::to_owned);
            let id = found("message_id").unwrap_or_default();
            let key = JobKey::Text(found("options.redis_message_id").unwrap_or_else(|| id.clone()));
            let eta = found("options.eta").and_then(|at| at.parse().ok());
            let name = found("actor_name").unwrap_or_default();
            out.push(JobEvent::Delivered(Job { key, id, name, queue: request.queue.as_str().into(), eta }));
        }
    }
}

fn is_result(key: &[u8]) -> bool {
    key.starts_with(RESULT) || (key.len() == 32 && key.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}
