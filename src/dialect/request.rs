//! Commands that are no pops and yet fetch or end jobs, mostly scripts: recognised by the shape of their arguments, never
//! by their SHA, and understood by their reply.

use super::json::{Skim, Wanted};
use super::packed::Packed;
use crate::job::{JobEvent, JobKey, Outcome, System};

/// How a request is kept from bringing a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It brings none.
    Needless,
    /// The gate answers these bytes in the broker's place (the same in RESP2 and RESP3).
    Answer(&'static [u8]),
    /// The gate answers with a null.
    Nothing,
    /// The gate answers with a list of two nulls.
    Nulls,
    /// It has other business too, and goes to the broker with one argument changed.
    Rewrite {
        /// Which argument, the command's name being 0.
        arg: usize,
        /// Only if it reads so; `None`: always.
        from: Option<&'static [u8]>,
        /// What it becomes.
        to: &'static [u8],
    },
}

/// How a script answers that takes due jobs out of a sorted set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DueAnswer {
    /// With one of them or nil.
    One,
    /// With a list of them.
    Many,
    /// With one and its score, or an empty list. It stays in the set until it has been pushed on, with a later score.
    Claimed,
}

/// What a request is about, in the words of its dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// It asks for a job and nothing else.
    Fetch,
    /// A job is over (and the next one may be asked for).
    Finish,
    /// A job goes back to the queue, or to wait for its time or for others.
    Requeue,
    /// It makes a job the worker's own that it was told of before.
    Claim,
    /// It says that a job is still being worked on.
    Renew,
}

/// What wakes one worker that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The member of this sorted set.
    Member(Vec<u8>),
    /// An element of this list.
    Element(Vec<u8>),
}

impl Refusal {
    /// The gate answers in the broker's place.
    pub fn is_answer(&self) -> bool {
        matches!(self, Refusal::Answer(_) | Refusal::Nothing | Refusal::Nulls)
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Whose it is.
    pub system: System,
    /// The queue, for people.
    pub queue: String,
    /// What it does.
    pub verb: Verb,
    /// The jobs that it is about.
    pub jobs: Vec<JobKey>,
    /// How it is kept from bringing a job.
    pub refusal: Refusal,
    /// What is read of each text in the reply, beside its beginning.
    pub reads: Reads,
    /// What wakes another worker: the one that is refused now may just have eaten it.
    pub wakes: Option<Wake>,
}

impl Request {
    /// One that is about this queue, no job that is known, and brings none.
    pub fn new(system: System, queue: &[u8], verb: Verb) -> Request {
        Request {
            system,
            queue: String::from_utf8_lossy(queue).into_owned(),
            verb,
            jobs: Vec::new(),
            refusal: Refusal::Needless,
            reads: Reads::Nothing,
            wakes: None,
        }
    }

    /// How its jobs end, if it ends them.
    pub fn outcome(&self) -> Outcome {
        if self.verb == Verb::Finish { Outcome::Finished } else { Outcome::Requeued }
    }

    /// The broker has refused it with this error. (A script that it does not know is sent again.)
    pub fn tell_refused(&self, error: &[u8], out: &mut Vec<JobEvent>) {
        let ends = matches!(self.verb, Verb::Finish | Verb::Requeue) && !self.jobs.is_empty();
        if ends && !error.is_empty() && !error.starts_with(b"NOSCRIPT") {
            out.push(JobEvent::Refused(self.jobs.clone()));
        }
    }

    /// It has ended its jobs.
    pub fn tell_ended(&self, out: &mut Vec<JobEvent>) {
        let outcome = self.outcome();
        out.extend(self.jobs.iter().map(|key| JobEvent::Ended { key: key.clone(), outcome }));
    }
}

/// What is read of a text that may be long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Nothing.
    Nothing,
    /// These values, if it is JSON.
    Json(Wanted),
    /// The texts in these fields, if it is a packed message.
    Packed(&'static [u64]),
}

/// One text or number of a reply.
#[derive(Debug, Default)]
pub struct Word {
    /// In which element of the reply it stands, if that is an array.
    pub element: u32,
    /// In how many arrays it stands.
    pub depth: u8,
    /// The RESP type.
    pub kind: u8,
    /// Its beginning.
    pub text: Vec<u8>,
    /// What was found in it, if it is JSON,
    pub skim: Option<Skim>,
    /// or a packed message.
    pub packed: Option<Box<Packed>>,
}

impl Word {
    /// A string, and no null.
    pub fn is_text(&self) -> bool {
        matches!(self.kind, b'$' | b'=') && self.text != b"-1"
    }
}

/// A reply, its nesting left out.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// Its words in order.
    pub words: &'a [Word],
    /// Nothing was left out because there was too much of it.
    pub whole: bool,
}

impl Reply<'_> {
    /// The number that it consists of.
    pub fn number(&self) -> Option<i64> {
        match self.words {
            [word] if word.kind == b':' => std::str::from_utf8(&word.text).ok()?.parse().ok(),
            _ => None,
        }
    }
}
