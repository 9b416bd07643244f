//! Laravel's queues on Redis (`illuminate/queue`), measured with 8.83 and 13.31, over phpredis 5.3 and 6.2, predis 1.1
//! and 2.4. 10.48 and Horizon are known from their sources, which differ in arguments only. Everything about
//! `PREFIXqueues:NAME` is a script:
//!
//! ```text
//! migrate  NAME:delayed NAME NAME:notify | now          what is due goes to the queue; the same with NAME:reserved,
//!                                                       where it brings back what nobody has ended by its `retry_after`
//! pop      NAME NAME:reserved NAME:notify | until       [nil, nil] or [job, the same with one attempt more]
//! release  NAME:delayed NAME:reserved | job until       the worker gives a job back; ZREM NAME:reserved job ends it
//! ```
//! Only the pop brings a job. With `block_for` a worker that found none waits in `BLPOP NAME:notify` for the sign that each
//! push leaves there, and then pops: a sign that was eaten by one that is refused then is put back for another.
//!
//! A worker works one job at a time, and is not done with it when it has removed it: `failed()` runs later, and so do
//! listeners and what stores failed jobs (measured: the callback one second behind its `ZREM`). So a job is over when
//! it was removed *and* the worker looks for the next one, or leaves. What ran out of time and was given to somebody
//! else is another attempt, and another job here; whoever ran out of time has it in hand until it says so itself.

use super::json::{Skim, Wanted};
use super::request::{Reads, Refusal, Reply, Request, Verb, Wake, Word};
use super::script::keys_and_arguments;
use super::{Claim, Dialect, Interest, Known, Meaning, Memory, PopShape, generic};
use crate::job::{JobEvent, JobKey, Outcome, System};
use memchr::memmem;

const QUEUES: &[u8] = b"queues:";
const DELAYED: &[u8] = b":delayed";
const RESERVED: &[u8] = b":reserved";
const NOTIFY: &[u8] = b":notify";
/// What is read of a job.
const JOB: Wanted = Wanted::of(&["id", "uuid", "displayName", "attempts"]);
/// Nobody has so many jobs in hand on one connection.
const MANY: usize = 1_024;

pub(super) struct Laravel;

/// The jobs of one connection.
#[derive(Debug, Default)]
pub(super) struct Hands {
    /// They have come on it and have not been removed.
    jobs: Vec<JobKey>,
    /// They have been removed, and the worker has not looked for another one since.
    removed: Vec<(JobKey, Outcome)>,
    /// The client has gone.
    gone: bool,
}

impl Hands {
    /// Before anything has been said.
    pub(super) const BLANK: Hands = Hands { jobs: Vec::new(), removed: Vec::new(), gone: false };

    fn take(&mut self, key: JobKey) {
        if self.jobs.len() < MANY {
            self.jobs.push(key);
        }
    }

    /// The job in this text, of which perhaps only the beginning is there: then it is the only one in hand.
    fn find(&self, text: &[u8]) -> Option<JobKey> {
        let only = || Some(self.jobs.first().filter(|_| self.jobs.len() == 1)?.clone());
        key(&Skim::of(JOB, text)).or_else(only)
    }

    fn remove(&mut self, key: &JobKey, outcome: Outcome) {
        self.jobs.retain(|job| job != key);
        if self.removed.iter().all(|(job, _)| job != key) {
            self.removed.push((key.clone(), outcome));
        }
    }
}

/// What a script does.
enum Script<'a> {
    Pop {
        queue: &'a [u8],
        notify: Option<&'a [u8]>,
    },
    Migrate,
    Release {
        queue: &'a [u8],
        job: &'a [u8],
    },
    /// Counts, clears, pushes: known by what it is given.
    Other,
}

impl<'a> Script<'a> {
    /// `None`: not over the keys of one queue.
    fn read(args: &'a [&'a [u8]]) -> Option<Script<'a>> {
        let (keys, argv) = keys_and_arguments(args)?;
        let queue = base(keys.first()?)?;
        let is = |key: &[u8], part: &[u8]| key.strip_prefix(queue) == Some(part);
        let parts = |expected: &[&[u8]]| {
            keys.len() == expected.len() && keys.iter().zip(expected).all(|(key, part)| is(key, part))
        };
        let first = argv.first().copied().unwrap_or_default();
        let from = |from: &[u8]| parts(&[from, b""]) || parts(&[from, b"", NOTIFY]);
        Some(match keys.len() {
            2 | 3 if is_number(first) && (parts(&[b"", RESERVED]) || parts(&[b"", RESERVED, NOTIFY])) => {
                Script::Pop { queue, notify: keys.get(2).copied() }
            }
            2 | 3 if is_number(first) && (from(DELAYED) || from(RESERVED)) => Script::Migrate,
            2 if parts(&[DELAYED, RESERVED]) => Script::Release { queue, job: first },
            3 | 4 if argv.is_empty() && parts(&[b"", DELAYED, RESERVED, NOTIFY][..keys.len()]) => Script::Other,
            1 if is_number(first) && parts(&[DELAYED]) && argv[1..].iter().all(is_job) => Script::Other,
            2 if is_job(&first) && parts(&[b"", NOTIFY]) => Script::Other,
            _ => return None,
        })
    }
}

impl Dialect for Laravel {
    fn system(&self) -> System {
        System::Laravel
    }

    fn interest(&self, _memory: &Memory, name: &[u8], first: &[u8]) -> Interest {
        match name {
            b"eval" | b"evalsha" => Interest::Whole,
            b"zrem" if queue_of(first, RESERVED).is_some() => Interest::Tap,
            _ => Interest::None,
        }
    }

    fn claim(&self, known: Known, pop: PopShape<'_>) -> Claim {
        match known.system {
            // which it does after a pop script only: by then it is known
            System::Laravel if pop.keys.iter().all(|key| queue(pop.name, key).is_some()) => Claim::Wakeup,
            System::Laravel => Claim::Pass,
            _ => Claim::NotMine,
        }
    }

    fn command(&self, memory: &mut Memory, args: &[&[u8]], out: &mut Vec<JobEvent>) -> Meaning {
        if let [b"zrem", key, jobs @ ..] = args {
            let (Some(queue), [job]) = (queue_of(key, RESERVED), jobs) else { return Meaning::Nothing };
            return removal(memory, queue, Verb::Finish, job);
        }
        match Script::read(args) {
            None => Meaning::Nothing,
            Some(Script::Other) => Meaning::Passes,
            Some(Script::Release { queue, job }) => removal(memory, queue, Verb::Requeue, job),
            Some(Script::Migrate) => {
                is_back(memory, out);
                Meaning::Passes
            }
            Some(Script::Pop { queue, notify }) => {
                is_back(memory, out);
                let woken = std::mem::take(&mut memory.woken);
                let wakes = notify.filter(|_| woken).map(|key| Wake::Element(key.to_vec()));
                Meaning::Request(Box::new(Request { wakes, ..request(queue, Verb::Fetch, vec![], Refusal::Nulls) }))
            }
        }
    }

    fn replied(&self, memory: &mut Memory, request: &Request, reply: Reply<'_>, out: &mut Vec<JobEvent>) {
        match (request.verb, reply.words) {
            (Verb::Fetch, [job, reserved]) if [job, reserved].iter().all(|word| word.is_text() && word.depth == 1) => {
                let found = |path: &str| reserved.skim.as_ref()?.get(path).map(str::to_owned);
                let mut job = generic::job(memory, &request.queue.as_str().into());
                job.key = reserved.skim.as_ref().and_then(key).unwrap_or(job.key);
                job.id = found("uuid").or_else(|| found("id")).unwrap_or_default();
                job.name = found("displayName").unwrap_or_default();
                memory.few.laravel.take(job.key.clone());
                out.push(JobEvent::Delivered(job));
            }
            (Verb::Fetch, words) if !reply.whole || words.iter().any(Word::is_text) => {
                out.push(JobEvent::Blocked("its queue answers in a way that the gate does not know".to_owned()));
            }
            (Verb::Finish | Verb::Requeue, _) => {
                request.jobs.iter().for_each(|key| memory.few.laravel.remove(key, request.outcome()));
                if memory.few.laravel.gone {
                    tell_removed(memory, out);
                }
            }
            _ => {}
        }
    }

    /// A worker that has removed its job and leaves is done with it. When the broker leaves, the worker may be at its rest.
    fn closed(&self, memory: &mut Memory, by_client: bool, out: &mut Vec<JobEvent>) {
        if by_client && memory.few.is_there() {
            memory.few.laravel.gone = true;
            tell_removed(memory, out);
        }
    }
}

/// The worker looks for a job: it is done with those that it has removed.
fn is_back(memory: &mut Memory, out: &mut Vec<JobEvent>) {
    out.push(JobEvent::Recognised(System::Laravel));
    tell_removed(memory, out);
}

fn tell_removed(memory: &mut Memory, out: &mut Vec<JobEvent>) {
    if !memory.few.laravel.removed.is_empty() {
        out.extend(memory.few.laravel.removed.drain(..).map(|(key, outcome)| JobEvent::Ended { key, outcome }));
    }
}

/// A job leaves the reserved ones. One that cannot be told stays in flight.
fn removal(memory: &Memory, queue: &[u8], verb: Verb, job: &[u8]) -> Meaning {
    let jobs = memory.few.laravel.find(job).into_iter().collect();
    Meaning::Request(Box::new(request(queue, verb, jobs, Refusal::Needless)))
}

fn request(queue: &[u8], verb: Verb, jobs: Vec<JobKey>, refusal: Refusal) -> Request {
    Request { jobs, refusal, reads: Reads::Json(JOB), ..Request::new(System::Laravel, queue, verb) }
}

/// A job is named by its id and the attempt: the next one may begin while this one still runs.
fn key(skim: &Skim) -> Option<JobKey> {
    let id = skim.get("id").or_else(|| skim.get("uuid")).filter(|id| !id.is_empty())?;
    Some(JobKey::Text(format!("{id}:{}", skim.get("attempts")?)))
}

/// The queue that a key belongs to.
fn base(key: &[u8]) -> Option<&[u8]> {
    let parts = [DELAYED, RESERVED].into_iter();
    let queue = parts.filter_map(|part| key.strip_suffix(part)).next().unwrap_or(key);
    memmem::find(queue, QUEUES).map(|_| queue)
}

/// The queue whose sign a pop waits for.
pub(super) fn queue<'a>(name: &[u8], key: &'a [u8]) -> Option<&'a [u8]> {
    queue_of(key, NOTIFY).filter(|_| name == b"blpop")
}

/// The queue that has a key for this.
fn queue_of<'a>(key: &'a [u8], part: &[u8]) -> Option<&'a [u8]> {
    key.strip_suffix(part).filter(|queue| memmem::find(queue, QUEUES).is_some())
}

fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

/// A job's text.
fn is_job(text: &&[u8]) -> bool {
    text.starts_with(b"{")
}
