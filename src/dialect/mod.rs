//! What a command *means*: one file per job system, its line in [`DIALECTS`], and a place in `told` by each command
//! that it wants to read along.
//!
//! A gate knows commands; a dialect knows what a job system wants with them. It names the few commands that it wants
//! to read along, says which pops ask for a job, what an acknowledgement looks like, and how a job's payload reads.
//! Rules are (command, key, argument), never a script's SHA; what no dialect claims passes.

pub mod amqp;
mod arq;
mod asynq;
mod bull;
mod celery;
mod claim;
mod dramatiq;
mod generic;
mod huey;
pub mod inspect;
pub mod json;
mod laravel;
pub mod lists;
pub mod packed;
mod request;
mod resque;
mod rq;
mod script;
mod sidekiq;
pub mod streams;
mod taskiq;
mod tidying;

use crate::job::{Job, JobEvent, JobKey, Outcome, Report, System};
use crate::rare::{Blank, Rare};
pub use claim::{Claim, Keys, Known, PopShape, claim};
pub use generic::are_of_queue;
use json::{Shape, Skim, Wanted};
pub use request::{DueAnswer, Reads, Refusal, Reply, Request, Verb, Wake, Word};
pub use script::number;
use std::borrow::Cow;
use std::sync::Arc;

/// How much of a command somebody wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Nothing: it streams through.
    None,
    /// The beginning of each argument, while it streams through.
    Tap,
    /// The whole command before it is forwarded, because it may be a fetch.
    Whole,
}

/// Who may be interested in commands of a name; most pass without a question.
#[rustfmt::skip]
fn told(name: &[u8]) -> &'static [&'static dyn Dialect] {
    match name {
        b"publish" | b"hdel" => &[&celery::Celery],
        b"set" => &[&celery::Celery, &taskiq::Taskiq, &resque::Resque],
        b"setex" => &[&celery::Celery],
        b"psetex" => &[&celery::Celery, &arq::Arq],
        b"sadd" => &[&celery::Celery, &sidekiq::Sidekiq, &resque::Resque],
        b"srem" => &[&sidekiq::Sidekiq, &resque::Resque],
        b"unlink" => &[&sidekiq::Sidekiq],
        b"del" => &[&sidekiq::Sidekiq, &arq::Arq, &resque::Resque],
        b"zrangebyscore" => &[&arq::Arq, &resque::Resque],
        b"exists" | b"watch" | b"unwatch" | b"pexpire" | b"info" | b"dbsize" => &[&arq::Arq],
        b"hset" | b"hmset" => &[&sidekiq::Sidekiq, &rq::Rq, &resque::Resque],
        b"rpush" | b"lpush" => &[&celery::Celery, &sidekiq::Sidekiq],
        b"xack" | b"xackdel" => &[&streams::Streams],
        b"lrem" => &[&lists::Lists],
        b"zrem" => &[&laravel::Laravel],
        b"evalsha" | b"eval" => DIALECTS,
        _ => &[],
    }
}

/// What a command means once the broker has confirmed it (in a transaction: its EXEC).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The worker acknowledged a job.
    Acked(JobKey),
    /// Together with an ack in one transaction: the job is over for this worker, and stands in its queue again.
    Rejected,
    /// The same, and whoever has it may still be at it.
    Restored,
    /// A terminal result of the job with this id was stored.
    Result(String),
    /// The jids of the jobs being run.
    Work(Vec<String>),
    /// Jobs were pushed on to a queue.
    PushedOn(Vec<JobKey>),
    /// A process has stopped in good order.
    Left(String),
    /// The process has nothing in hand.
    Idle,
    /// A worker that works one job at a time is done with this one.
    Done(JobKey),
    /// Jobs are over.
    Ended(Vec<JobKey>, Outcome),
    /// The reply to it tells.
    Request {
        /// Within a transaction.
        request: Box<Request>,
        /// It asked for a job.
        fetches: bool,
    },
}

/// What a command means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing to the gate.
    Nothing,
    /// It is known, and brings no job.
    Passes,
    /// Something, once confirmed.
    Note(Note),
    /// A script that takes due jobs out of the sorted set in this argument, for the client to push on.
    TakesDue {
        /// Where the set's key stands.
        key: usize,
        /// How it answers.
        answer: DueAnswer,
    },
    /// Something whose reply says what it came to.
    Request(Box<Request>),
}

/// What came out of a pop.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    /// The values found in it, if it is JSON.
    pub skim: &'a Skim,
    /// The text itself; empty if it was too long to be kept.
    pub text: &'a [u8],
}

/// What a dialect remembers of one connection.
#[derive(Debug, Default)]
pub struct Memory {
    /// The worker's job system, as far as known.
    pub system: System,
    /// A MULTI is open.
    pub in_transaction: bool,
    /// An ack stands in the open transaction.
    pub ack_in_transaction: bool,
    /// The connection has carried a command that is neither a blocking pop nor part of a handshake.
    pub mixed: bool,
    /// A job of Celery's has come out of a pop of this connection.
    pub envelope_seen: bool,
    /// Jids of the work hash being written.
    pub work: Option<Vec<String>>,
    /// The process that was taken off the list of processes by the last command that a dialect was told of.
    pub unlisted: Option<Box<str>>,
    /// The process that holds the connection has said on it that it is at work.
    pub busy: bool,
    /// The connection has carried what only a process says that has just begun, and has not asked for a job since.
    pub begun: bool,
    /// How long the locks of the worker's jobs last, as last told.
    pub lease: Option<u64>,
    /// Numbers the jobs that have no id.
    pub nameless: u64,
    /// Makes those numbers unique among the worker's connections.
    pub seed: u64,
    /// A due job was asked for, and no entry of a stream since.
    pub took_due: bool,
    /// What has woken the worker was taken from a list, and it has not asked for a job since.
    pub woken: bool,
    /// The shape of the jobs that came last.
    pub shape: Shape,
    /// What few job systems remember.
    pub few: Rare<Few>,
    /// The worker's private lists.
    pub lists: Rare<lists::Own>,
}

/// See [`Memory::few`]: a connection is of one of them.
#[derive(Debug, Default)]
pub struct Few {
    /// What arq is about to claim.
    arq: arq::Claiming,
    /// What is known of Resque's workers.
    resque: resque::Workers,
    /// Jobs of Laravel's.
    laravel: laravel::Hands,
    /// What asynq is gathering.
    asynq: asynq::Sets,
}

impl Blank for Few {
    const BLANK: &'static Few = &Few {
        arq: arq::Claiming::BLANK,
        resque: resque::Workers::BLANK,
        laravel: laravel::Hands::BLANK,
        asynq: asynq::Sets::BLANK,
    };
}

/// One job system.
pub trait Dialect: Sync {
    /// Which.
    fn system(&self) -> System;
    /// Whether the command with this name and first argument is wanted. Asked only for names that it has in `told`.
    /// Of a script the first argument says nothing (it is its text or SHA): only the shape of the rest can tell.
    fn interest(&self, _memory: &Memory, name: &[u8], _first: &[u8]) -> Interest {
        if matches!(name, b"eval" | b"evalsha") { Interest::Whole } else { Interest::None }
    }
    /// Whether a pop asks for a job. Of a system that has no fetches among them they pass.
    fn claim(&self, known: Known, _pop: PopShape<'_>) -> Claim {
        let own = known.system != System::Unknown && known.system == self.system();
        if own { Claim::Pass } else { Claim::NotMine }
    }
    /// Reads a command that it was interested in, its name in lower case. Arguments may be cut at 16 KiB.
    fn command(&self, memory: &mut Memory, args: &[&[u8]], out: &mut Vec<JobEvent>) -> Meaning;
    /// Reads the payload of a job that came out of a pop. `None`: not one of this system's.
    fn job(&self, _memory: &mut Memory, _queue: &Arc<str>, _payload: Payload<'_>) -> Option<Job> {
        None
    }
    /// What is to be told before a pop that it claimed as a fetch.
    fn asks(&self, _memory: &Memory, _out: &mut Vec<JobEvent>) {}
    /// Reads the reply to a request of its own that the broker has not answered with an error.
    fn replied(&self, _memory: &mut Memory, _request: &Request, _reply: Reply<'_>, _out: &mut Vec<JobEvent>) {}
    /// A request of its own has not been carried out: the broker's error, or nothing.
    fn failed(&self, _memory: &mut Memory, request: &Request, error: &[u8], out: &mut Vec<JobEvent>) {
        request.tell_refused(error, out);
    }
    /// The client or the broker has gone.
    fn closed(&self, _memory: &mut Memory, _by_client: bool, _out: &mut Vec<JobEvent>) {}
}

/// All of them; the first that claims something has it.
#[rustfmt::skip]
pub static DIALECTS: &[&dyn Dialect] = &[
    &celery::Celery,
    &sidekiq::Sidekiq,
    &rq::Rq,
    &asynq::Asynq,
    &bull::Bull(System::Bullmq),
    &bull::Bull(System::Bull),
    &dramatiq::Dramatiq,
    &laravel::Laravel,
    &huey::Huey,
    &arq::Arq,
    &resque::Resque,
    &taskiq::Taskiq,
    &streams::Streams,
    &lists::Lists,
    &tidying::Tidying,
];

/// The values that dialects read from a job's payload.
pub const PAYLOAD: Wanted = Wanted::of(&[
    "headers.id",
    "headers.task",
    "headers.eta",
    "properties.delivery_tag",
    "properties.correlation_id",
    "jid",
    "class",
    "wrapped",
    "task_id",
    "task_name",
]);

/// Whether any dialect may want to see commands of this (lower-case) name.
pub fn is_told(name: &[u8]) -> bool {
    !told(name).is_empty()
}

/// Whether a dialect wants to see a command, by its name in lower case and its first argument.
pub fn interest(memory: &Memory, name: &[u8], first: &[u8]) -> Interest {
    let mut all = told(name).iter().map(|dialect| dialect.interest(memory, name, first));
    all.find(|interest| *interest != Interest::None).unwrap_or(Interest::None)
}

/// The same of a SET, which passes more often than any other command of which one is wanted now and then.
pub fn interest_in_set(memory: &Memory, key: &[u8]) -> Interest {
    let wanted = celery::is_result(key) || taskiq::is_result(memory, key) || resque::is_of_worker(key);
    if wanted { Interest::Tap } else { Interest::None }
}

/// What a command means that a dialect was interested in. Its name is given in lower case.
pub fn command(memory: &mut Memory, args: &[&[u8]], out: &mut Vec<JobEvent>) -> Meaning {
    let (name, first) = (args[0], args.get(1).copied().unwrap_or_default());
    for dialect in told(name) {
        if dialect.interest(memory, name, first) != Interest::None {
            let meaning = dialect.command(memory, args, out);
            if meaning != Meaning::Nothing {
                return meaning;
            }
        }
    }
    Meaning::Nothing
}

/// The same of one of which it is known already that a dialect is interested in it.
pub fn wanted_command(memory: &mut Memory, args: &[&[u8]], out: &mut Vec<JobEvent>) -> Meaning {
    match told(args[0]) {
        [only] => only.command(memory, args, out),
        _ => command(memory, args, out),
    }
}

/// Whose job system it is.
fn dialect(system: System) -> Option<&'static dyn Dialect> {
    DIALECTS.iter().copied().find(|d| d.system() == system)
}

/// What the worker's job system has to tell before a fetch.
pub fn asks(memory: &Memory, out: &mut Vec<JobEvent>) {
    if let Some(dialect) = dialect(memory.system) {
        dialect.asks(memory, out);
    }
}

/// Reads the reply to a request.
pub fn replied(memory: &mut Memory, request: &Request, reply: Reply<'_>, out: &mut Vec<JobEvent>) {
    for dialect in DIALECTS.iter().filter(|dialect| dialect.system() == request.system) {
        dialect.replied(memory, request, reply, out);
    }
}

/// A request was not carried out: the broker refused it with this error, or its transaction was not executed.
pub fn failed(memory: &mut Memory, request: &Request, error: &[u8], out: &mut Vec<JobEvent>) {
    if let Some(dialect) = dialect(request.system) {
        dialect.failed(memory, request, error, out);
    }
}

/// The client or the broker has gone.
pub fn closed(memory: &mut Memory, by_client: bool, out: &mut Vec<JobEvent>) {
    for dialect in DIALECTS {
        dialect.closed(memory, by_client, out);
    }
}

/// The job in a payload; one without a name if no dialect can read it.
pub fn job(memory: &mut Memory, queue: &Arc<str>, payload: Option<Payload<'_>>) -> (System, Job) {
    if let Some(payload) = payload {
        for dialect in DIALECTS {
            if let Some(job) = dialect.job(memory, queue, payload) {
                return (dialect.system(), job);
            }
        }
    }
    (System::Unknown, generic::job(memory, queue))
}

/// The queue's name for people: Celery's priority suffix is cut off.
pub fn queue_name(key: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(celery::queue(key))
}

/// The queue that a pop of this (lower-case) name asks for with a key, for people, and whose it is if the shape says so.
pub fn asked_queue(name: &[u8], key: &[u8]) -> (String, System) {
    let laravel = || laravel::queue(name, key).map(|queue| (queue, System::Laravel));
    let (queue, system) = bull::queue(name, key).or_else(laravel).unwrap_or((key, System::Unknown));
    (queue_name(queue).into_owned(), system)
}

/// What it means that the broker refused commands with these notes.
pub fn refused(notes: Vec<(u32, Note)>, out: &mut Vec<JobEvent>) {
    for (_, note) in notes {
        let keys = match note {
            Note::PushedOn(keys) | Note::Ended(keys, _) => keys,
            Note::Acked(key) | Note::Done(key) => vec![key],
            // requests read their errors by themselves
            _ => continue,
        };
        out.extend((!keys.is_empty()).then_some(JobEvent::Refused(keys)));
    }
}

/// What the confirmed notes of one command or transaction amount to.
pub fn confirmed(notes: Vec<(u32, Note)>, mut tell: impl FnMut(JobEvent)) {
    let has = |wanted: Note| notes.iter().any(|(_, note)| *note == wanted);
    let (rejected, restored) = (has(Note::Rejected), has(Note::Restored));
    let mut work: Option<Vec<String>> = None;
    for (_, note) in notes {
        match note {
            Note::Acked(key) if restored => tell(JobEvent::GivenBack(key)),
            Note::Acked(key) if rejected => tell(JobEvent::Ended { key, outcome: Outcome::Requeued }),
            Note::Acked(key) => tell(JobEvent::Acked(key)),
            Note::Result(id) => tell(JobEvent::Result { id }),
            Note::Work(jids) => work.get_or_insert_default().extend(jids),
            Note::PushedOn(keys) => tell(JobEvent::PushedOn(keys)),
            Note::Left(name) => tell(JobEvent::Report(Report::SidekiqLeft { name })),
            Note::Rejected | Note::Restored | Note::Request { .. } => {}
            Note::Idle => tell(JobEvent::Report(Report::Idle)),
            Note::Done(key) => {
                tell(JobEvent::Ended { key, outcome: Outcome::Finished });
                tell(JobEvent::Report(Report::Idle));
            }
            Note::Ended(keys, outcome) => keys.into_iter().for_each(|key| tell(JobEvent::Ended { key, outcome })),
        }
    }
    if let Some(running) = work {
        tell(JobEvent::Report(Report::SidekiqWork { running }));
    }
}
