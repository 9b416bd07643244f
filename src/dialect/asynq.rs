//! asynq, measured with 0.26 over go-redis 9.17 and read in its sources back to 0.23. Everything about a queue is a script
//! over keys `asynq:{NAME}:PART`, and each answers at once:
//!
//! ```text
//! dequeue     pending paused active lease | until t:        nil, or the task: a packed message, its id behind its payload
//! done ..     active lease ..             | id ..           it is over; with `pending` it is given back
//! retry ..    t:ID active lease retry ..  | id message ..   it waits for its next attempt; `archived`: there is none
//! gather      g:GROUP g:GROUP:SET aggregation_sets groups   1: tasks of a group were set aside, to be pushed on as one
//! gathered    g:GROUP:SET aggregation_sets                  they have been
//! beat        asynq:servers:{PROCESS} asynq:workers:{PROCESS} | ttl info [id task]..     every 5 s
//! ```
//! A worker that finds all its queues empty rests a second. The script is the last thing that it does for a task, whose
//! handlers, middlewares and error handlers have returned by then: its answer is the end, and so is `NOT FOUND`, which says
//! that the task has been taken away (or ended by the same script, whose answer was lost). Only when a task runs into its
//! time-out, is cancelled, or given back by a process that stops, its handler is not waited for.
//!
//! A task that nobody has said to be at work on for 30 s is put off like a failed one, by whichever process finds it. That
//! says nothing of the process that had it: what it has in hand it has until it says so itself, which it may never do.

use super::packed::{Packed, TEXT_MAX};
use super::request::{Reads, Refusal, Reply, Request, Verb};
use super::script::{keys_and_arguments, number};
use super::{Dialect, Meaning, Memory, Note};
use crate::job::{Job, JobEvent, JobKey, Millis, Report, System};
use memchr::memmem;

const SERVER: &[u8] = b"asynq:servers:{";
/// The fields of a task.
const TYPE: u64 = 1;
const ID: u64 = 3;
const ERROR: u64 = 7;
/// The error of a task whose process has not been heard of,
const EXPIRED: &[u8] = b"asynq: task lease expired";
/// and those of one whose handler was told to stop, and was not waited for.
const GIVEN_UP: [&[u8]; 2] = [b"context deadline exceeded", b"context canceled"];
/// Of a longer task the error is not read: perhaps only its beginning is there.
const TASK_MAX: usize = 96 * 1_024;
/// "There is no need to gather this group."
const NO_NEED: &[u8] = b":0\r\n";
/// A process names what it works on in every beat. Two of them in which it names nothing take so long.
const BEATS: Millis = 10_000;
/// What was set aside and not pushed on goes back to its group after so many seconds.
const SET_ASIDE: u64 = 120;
/// Nobody gathers so many groups at once.
const MANY: usize = 1_024;

pub(super) struct Asynq;

/// Sets that were set aside on one connection. What fails to be pushed on is not mentioned again.
#[derive(Debug, Default)]
pub(super) struct Sets(Vec<(JobKey, Option<u64>)>);

impl Sets {
    /// Before anything has been said.
    pub(super) const BLANK: Sets = Sets(Vec::new());

    /// It is so late, in seconds: those that have gone back by now.
    fn gone_back(&mut self, now: u64) -> Vec<JobKey> {
        for (_, until) in &mut self.0 {
            until.get_or_insert(now.saturating_add(SET_ASIDE));
        }
        let back = self.0.extract_if(.., |(_, until)| until.is_some_and(|until| until < now));
        back.map(|(key, _)| key).collect()
    }
}

/// What a script does.
enum Script<'a> {
    Dequeue,
    /// The task with this id leaves the worker.
    End {
        verb: Verb,
        id: &'a [u8],
        given_up: bool,
    },
    Gather {
        set: &'a [u8],
        now: u64,
    },
    Gathered {
        set: &'a [u8],
    },
    /// A process says that it is there, and whether it works on anything.
    Beat {
        name: &'a [u8],
        busy: bool,
    },
    /// It enqueues, looks, tidies up.
    Other,
}

impl<'a> Script<'a> {
    /// With the queue's key. `None`: not asynq's, or one that may bring a task in a way of its own.
    fn read(args: &'a [&'a [u8]]) -> Option<(&'a [u8], Script<'a>)> {
        let (keys, argv) = keys_and_arguments(args)?;
        let first = *keys.first()?;
        if let Some(name) = first.strip_prefix(SERVER).and_then(|name| name.strip_suffix(b"}")) {
            let busy = argv.len() > 2;
            return Some((first, if argv.len() < 2 { Script::Other } else { Script::Beat { name, busy } }));
        }
        if first.starts_with(b"asynq:scheduler") {
            return Some((first, Script::Other));
        }
        let queue = first.starts_with(b"asynq:{").then(|| Some(&first[..memmem::find(first, b"}:")? + 1])).flatten()?;
        let part = |key: &&'a [u8]| key.strip_prefix(queue)?.strip_prefix(b":");
        let parts: Vec<&[u8]> = keys.iter().map(part).collect::<Option<_>>()?;
        Some((queue, Script::of(keys, &parts, argv)?))
    }

    fn of(keys: &'a [&'a [u8]], parts: &[&[u8]], argv: &'a [&'a [u8]]) -> Option<Script<'a>> {
        let id = argv.first().copied().unwrap_or_default();
        Some(match parts {
            [b"pending", b"paused", b"active", b"lease"] if argv.len() == 2 => Script::Dequeue,
            // its handler was not waited for: the process stops
            [b"active", b"lease", b"pending", _] => Script::End { verb: Verb::Requeue, id, given_up: true },
            [b"active", b"lease", _, _, ..] => Script::End { verb: Verb::Finish, id, given_up: false },
            [_, b"active", b"lease", b"retry", ..] => Script::failed(Verb::Requeue, id, argv),
            [_, b"active", b"lease", b"archived", ..] => Script::failed(Verb::Finish, id, argv),
            [_, _, b"aggregation_sets", b"groups"] => {
                let now = argv.get(4).and_then(|now| number(now))?;
                Script::Gather { set: keys[1], now }
            }
            [_, b"aggregation_sets"] => Script::Gathered { set: keys[0] },
            // the inspector's look at all of them
            _ if parts.contains(&b"scheduled".as_slice()) => Script::Other,
            _ if parts.contains(&b"pending".as_slice()) && parts.contains(&b"active".as_slice()) => return None,
            _ => Script::Other,
        })
    }

    /// What is said of a task that is too long to be read is that it was given up.
    fn failed(verb: Verb, id: &'a [u8], argv: &[&[u8]]) -> Script<'a> {
        let task = argv.get(1).filter(|task| task.len() <= TASK_MAX).map(|task| Packed::of(&[ERROR], task));
        let error = task.as_ref().map(|task| task.get(ERROR).unwrap_or_default());
        match error {
            Some(EXPIRED) => Script::Other,
            error => Script::End { verb, id, given_up: error.is_none_or(|error| GIVEN_UP.contains(&error)) },
        }
    }
}

impl Dialect for Asynq {
    fn system(&self) -> System {
        System::Asynq
    }

    fn command(&self, memory: &mut Memory, args: &[&[u8]], out: &mut Vec<JobEvent>) -> Meaning {
        let Some((queue, script)) = Script::read(args) else { return Meaning::Nothing };
        let system = System::Asynq;
        let (verb, jobs, refusal) = match script {
            Script::Other => return Meaning::Passes,
            Script::Beat { name, busy } => {
                out.push(JobEvent::Report(Report::Lease { lasts: BEATS, renewed: busy }));
                out.push(JobEvent::Named { system, name: String::from_utf8_lossy(name).into_owned() });
                return Meaning::Passes;
            }
            Script::Gathered { set } => return Meaning::Note(Note::PushedOn(vec![JobKey::text(set)])),
            Script::Gather { set, now } => {
                if memory.few.is_there() {
                    let back = memory.few.asynq.gone_back(now);
                    out.extend((!back.is_empty()).then_some(JobEvent::PushedOn(back)));
                }
                out.push(JobEvent::Recognised(system));
                (Verb::Fetch, vec![JobKey::text(set)], Refusal::Answer(NO_NEED))
            }
            Script::Dequeue => {
                out.push(JobEvent::Recognised(system));
                (Verb::Fetch, vec![], Refusal::Nothing)
            }
            Script::End { verb, id, given_up } => {
                out.extend(given_up.then_some(JobEvent::Report(Report::GaveUp)));
                (verb, vec![key(queue, id)], Refusal::Needless)
            }
        };
        let reads = Reads::Packed(&[TYPE, ID]);
        Meaning::Request(Box::new(Request { jobs, refusal, reads, ..Request::new(system, queue, verb) }))
    }

    fn replied(&self, memory: &mut Memory, request: &Request, reply: Reply<'_>, out: &mut Vec<JobEvent>) {
        match request.verb {
            Verb::Fetch if request.jobs.is_empty() => out.extend(brought(request, reply)),
            Verb::Fetch => {
                let sets = request.jobs.iter().filter(|_| reply.number() == Some(1));
                for key in sets {
                    let sets = &mut memory.few.asynq.0;
                    if sets.len() < MANY {
                        sets.push((key.clone(), None));
                    }
                    out.push(JobEvent::Taken(job(request, key.clone(), b"", b"")));
                }
            }
            _ => request.tell_ended(out),
        }
    }

    fn failed(&self, _memory: &mut Memory, request: &Request, error: &[u8], out: &mut Vec<JobEvent>) {
        if request.verb != Verb::Fetch && error.starts_with(b"NOT FOUND") {
            return out.push(JobEvent::PushedOn(request.jobs.clone()));
        }
        request.tell_refused(error, out);
    }
}

/// What a dequeue has brought.
fn brought(request: &Request, reply: Reply<'_>) -> Option<JobEvent> {
    let task = reply.words.iter().find(|word| !matches!(word.kind, b'_') && word.text != b"-1")?;
    let found = |field| task.packed.as_ref().filter(|_| task.depth == 0)?.get(field);
    let Some(id) = found(ID) else {
        return Some(JobEvent::Blocked("its queue answers in a way that the gate does not know".to_owned()));
    };
    let key = key(request.queue.as_bytes(), id);
    Some(JobEvent::Delivered(job(request, key, id, found(TYPE).unwrap_or_default())))
}

fn job(request: &Request, key: JobKey, id: &[u8], name: &[u8]) -> Job {
    let text = |text| String::from_utf8_lossy(text).into_owned();
    Job { key, id: text(id), name: text(name), queue: request.queue.as_str().into(), eta: None }
}

/// An id is a task's within its queue.
fn key(queue: &[u8], id: &[u8]) -> JobKey {
    JobKey::text(&[queue, b":t:", &id[..id.len().min(TEXT_MAX)]].concat())
}
