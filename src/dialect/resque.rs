//! Resque, as Ruby's Resque 3 sends it (from its source), node-resque 9.7 and pyres 1.5 (measured). A worker works one
//! job at a time and says what it does in a key of its own, `resque:worker:HOST:PID:QUEUES`: `SET` with the job, `DEL`
//! when it is over.
//!
//! Fetch: `LPOP resque:queue:q` for each queue (pyres: `BLPOP`); node-resque has a script over the queue and the
//! worker's key that pops and sets in one. A worker that takes itself off the list (`SREM resque:workers ID`) deletes
//! its key, too; that ends no job. The worker's key names nobody: a forked child writes it, too.
//!
//! When a worker begins it puts itself on the list and writes the time into `resque:worker:ID:started`; it does not do so
//! again when it reconnects. (pyres does it before each poll.) Either way it has no job then.
//!
//! A scheduler looks into `resque:delayed_queue_schedule`, takes due jobs with `LPOP resque:delayed:TIME` one by one and
//! pushes each of them before it takes the next.

use super::json::Wanted;
use super::request::{Reads, Refusal, Reply, Request, Verb};
use super::{Claim, Dialect, Interest, Known, Meaning, Memory, Note, Payload, PopShape, generic};
use crate::job::{Job, JobEvent, JobKey, Outcome, Report, System};
use memchr::memmem;
use std::sync::Arc;

const QUEUE: &[u8] = b":queue:";
const WORKER: &[u8; 8] = b":worker:";
const WORKERS: &[u8] = b":workers";
const HEARTBEATS: &[u8] = b":workers:heartbeat";
const STARTED: &[u8] = b":started";
const DELAYED: &[u8] = b":delayed:";
const SCHEDULE: &[u8] = b":delayed_queue_schedule";
/// No connection has so many workers.
const MANY: usize = 1_024;

/// What is read of a job that a script has popped.
const CLASS: Wanted = Wanted::of(&["class"]);

pub(super) struct Resque;

/// What one connection has said of its workers.
#[derive(Debug, Default)]
pub(super) struct Workers {
    /// The key of the only one that was named on it.
    key: Option<Vec<u8>>,
    /// There are several.
    several: bool,
    /// The key of the one that was taken off the list last.
    unlisted: Option<Vec<u8>>,
    /// Jobs that were popped before it was known for whom, and for whom it was, once that is known.
    popped: Vec<(Option<Vec<u8>>, JobKey)>,
    /// Jobs that a script has brought, each named by its worker's key, until that worker asks again.
    brought: Vec<JobKey>,
}

impl Workers {
    /// Before anything has been said.
    pub(super) const BLANK: Workers =
        Workers { key: None, several: false, unlisted: None, popped: Vec::new(), brought: Vec::new() };

    fn named(&mut self, key: &[u8]) {
        self.several |= self.key.as_deref().is_some_and(|other| other != key);
        self.key = Some(key.to_vec());
    }

    /// What the job is called that has just been popped.
    fn pop(&mut self, fallback: JobKey) -> JobKey {
        match &self.key {
            Some(key) if !self.several => JobKey::text(key),
            _ => {
                if self.popped.len() < MANY {
                    self.popped.push((None, fallback.clone()));
                }
                fallback
            }
        }
    }

    /// A worker says that it has a job.
    fn working(&mut self, key: &[u8]) {
        if let Some(popped) = self.popped.iter_mut().find(|(of, _)| of.is_none()) {
            popped.0 = Some(key.to_vec());
        }
    }

    /// A worker says that it has none.
    fn done(&mut self, key: &[u8]) -> JobKey {
        match self.popped.iter().position(|(of, _)| of.as_deref() == Some(key)) {
            Some(at) => self.popped.remove(at).1,
            None => JobKey::text(key),
        }
    }
}

impl Dialect for Resque {
    fn system(&self) -> System {
        System::Resque
    }

    fn interest(&self, memory: &Memory, name: &[u8], first: &[u8]) -> Interest {
        match name {
            b"sadd" | b"srem" if first.ends_with(WORKERS) => Interest::Tap,
            b"hset" if first.ends_with(HEARTBEATS) => Interest::Tap,
            b"set" | b"del" if is_of_worker(first) => Interest::Tap,
            b"zrangebyscore" if first.ends_with(SCHEDULE) => Interest::Whole,
            b"eval" | b"evalsha" if matches!(memory.system, System::Resque | System::Unknown) => Interest::Whole,
            _ => Interest::None,
        }
    }

    fn claim(&self, known: Known, pop: PopShape<'_>) -> Claim {
        let known = known.system == System::Resque;
        let all = |of: &dyn Fn(&[u8]) -> bool| pop.keys.iter().all(of);
        match pop.name {
            b"lpop" | b"blpop" | b"rpop" | b"brpop" if all(&|key| is_queue(key, known)) => Claim::Fetch,
            b"lpop" if all(&|key| is_delayed(key, known)) => Claim::Due,
            _ if known => Claim::Pass,
            _ => Claim::NotMine,
        }
    }

    fn command(&self, memory: &mut Memory, args: &[&[u8]], out: &mut Vec<JobEvent>) -> Meaning {
        match (args[0], args) {
            (b"sadd", [_, list, id]) if is_worker(list, id) => {
                let key = worker_key(list.strip_suffix(WORKERS), id);
                memory.few.resque.unlisted.take_if(|unlisted| *unlisted == key);
                named(memory, &key, out);
            }
            (b"hset", [_, list, id, ..]) if is_worker(list, id) => {
                named(memory, &worker_key(list.strip_suffix(HEARTBEATS), id), out);
            }
            (b"srem", [_, list, id]) if is_worker(list, id) => {
                memory.few.resque.unlisted = Some(worker_key(list.strip_suffix(WORKERS), id));
            }
            (b"set", [_, key, ..]) if is_own(memory, key) && key.ends_with(STARTED) => {
                named(memory, &key[..key.len() - STARTED.len()], out);
                out.push(JobEvent::Begun);
            }
            (b"set", [_, key, value, ..]) if is_own(memory, key) && value.starts_with(b"{") => {
                if let Some(name) = key_of(key).strip_prefix(b"ping:") {
                    said(memory, name, out);
                } else {
                    memory.few.resque.working(key);
                    memory.few.resque.named(key);
                }
            }
            (b"del", [_, key]) if is_own(memory, key) && !key.ends_with(STARTED) => {
                if key_of(key).starts_with(b"ping:") || memory.few.resque.unlisted.as_deref() == Some(key) {
                    return Meaning::Nothing;
                }
                let job = memory.few.resque.done(key);
                return Meaning::Note(match memory.few.resque.several {
                    true => Note::Ended(vec![job], Outcome::Finished),
                    false => Note::Done(job),
                });
            }
            (b"zrangebyscore", [_, schedule, _, _, ..]) => {
                out.push(JobEvent::Recognised(System::Resque));
                return request(schedule, None, Refusal::Answer(b"*0\r\n"));
            }
            (b"eval" | b"evalsha", [_, _, b"2", queue, worker, _, name, _])
                if queue.ends_with(name) && is_queue(queue, true) && memmem::find(worker, WORKER).is_some() =>
            {
                named(memory, worker, out);
                let key = JobKey::text(worker);
                // it works one job at a time. If what it writes at the end was refused, it says no more of it than this
                let brought = &mut memory.few.resque.brought;
                if let Some(at) = brought.iter().position(|job| *job == key) {
                    let key = brought.swap_remove(at);
                    out.push(JobEvent::Ended { key, outcome: Outcome::Finished });
                }
                return request(queue, Some(key), Refusal::Nothing);
            }
            _ => {}
        }
        Meaning::Nothing
    }

    fn job(&self, memory: &mut Memory, queue: &Arc<str>, payload: Payload<'_>) -> Option<Job> {
        let known = memory.system == System::Resque;
        let due = is_delayed(queue.as_bytes(), known);
        if !due && !is_queue(queue.as_bytes(), known) {
            return None;
        }
        let mut job = generic::job(memory, queue);
        job.name = payload.skim.get("class")?.to_owned();
        if !due {
            job.key = memory.few.resque.pop(job.key);
        }
        Some(job)
    }

    /// It works one job at a time: who asks on a connection of its own has none.
    fn asks(&self, memory: &Memory, out: &mut Vec<JobEvent>) {
        if memory.few.resque.key.is_some() && !memory.few.resque.several {
            out.push(JobEvent::Report(Report::Idle));
        }
    }

    fn replied(&self, memory: &mut Memory, request: &Request, reply: Reply<'_>, out: &mut Vec<JobEvent>) {
        let ([key], [word]) = (request.jobs.as_slice(), reply.words) else { return };
        if !word.is_text() {
            return;
        }
        let name = word.skim.as_ref().and_then(|skim| skim.get("class")).unwrap_or_default().to_owned();
        let (key, queue) = (key.clone(), request.queue.as_str().into());
        if memory.few.resque.brought.len() < MANY {
            memory.few.resque.brought.push(key.clone());
        }
        out.push(JobEvent::Delivered(Job { key, id: String::new(), name, queue, eta: None }));
    }
}

/// Whether a key says what one of the workers does. Asked of every SET that passes: a search for a byte or a string costs
/// more than a look at each place.
#[inline]
pub(super) fn is_of_worker(key: &[u8]) -> bool {
    key.array_windows().any(|part| u64::from_le_bytes(*part) == u64::from_le_bytes(*WORKER))
}

fn request(queue: &[u8], job: Option<JobKey>, refusal: Refusal) -> Meaning {
    let jobs = job.into_iter().collect();
    Meaning::Request(Box::new(Request {
        jobs,
        refusal,
        reads: Reads::Json(CLASS),
        ..Request::new(System::Resque, queue, Verb::Fetch)
    }))
}

/// A worker of this key has spoken.
fn named(memory: &mut Memory, key: &[u8], out: &mut Vec<JobEvent>) {
    memory.few.resque.named(key);
    let id = key_of(key);
    // what follows the name are its queues
    let end = memchr::memrchr(b':', id).unwrap_or(id.len());
    said(memory, &id[..end], out);
}

fn said(memory: &mut Memory, name: &[u8], out: &mut Vec<JobEvent>) {
    let (system, name) = (System::Resque, String::from_utf8_lossy(name).into_owned());
    if memory.system != system {
        out.push(JobEvent::Recognised(system));
    }
    out.push(JobEvent::Named { system, name });
}

/// `resque:workers` with the id of a worker: in another namespace that must look like one.
fn is_worker(list: &[u8], id: &[u8]) -> bool {
    let mut parts = id.splitn(3, |b| *b == b':').skip(1);
    let pid = parts.next().is_some_and(|pid| pid.first().is_some_and(u8::is_ascii_digit));
    list.starts_with(b"resque:") || (pid && parts.next().is_some())
}

/// A worker's key: of a worker of Resque's, if the namespace is another.
fn is_own(memory: &Memory, key: &[u8]) -> bool {
    memory.system == System::Resque || key.starts_with(b"resque:worker:")
}

fn worker_key(namespace: Option<&[u8]>, id: &[u8]) -> Vec<u8> {
    [namespace.unwrap_or_default(), WORKER, id].concat()
}

/// What stands behind `..:worker:`.
fn key_of(key: &[u8]) -> &[u8] {
    memmem::find(key, WORKER).map_or(b"", |at| &key[at + WORKER.len()..])
}

fn is_queue(key: &[u8], known: bool) -> bool {
    if known { memmem::find(key, QUEUE).is_some() } else { key.starts_with(b"resque:queue:") }
}

fn is_delayed(key: &[u8], known: bool) -> bool {
    if !known && !key.starts_with(b"resque:") {
        return false;
    }
    let Some(at) = memmem::find(key, DELAYED) else { return false };
    let time = &key[at + DELAYED.len()..];
    !time.is_empty() && time.iter().all(u8::is_ascii_digit)
}
