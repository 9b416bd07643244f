//! Scripts that hand out no job, of job systems whose jobs lie in [lists](super::lists) of their workers' own and are
//! known by that: SAQ, measured with 0.26, and bee-queue, measured with 2.0. They enqueue a job, push due jobs on to
//! the queue, and give dead ones back; they answer with ids, with nothing, or with the time of the next job.

use super::script::keys_and_arguments;
use super::{Dialect, Meaning, Memory};
use crate::job::{JobEvent, System};

/// What the keys of such a script begin with, and what they end in. Empty: a job's own key.
const SCRIPTS: [(&[u8], &[&[u8]]); 5] = [
    (b"saq:", &[b":schedule", b":incomplete", b":queued"]),
    (b"saq:", &[b":incomplete", b"", b":queued", b""]),
    (b"saq:", &[b":sweep", b":active"]),
    (b"bq:", &[b":delayed", b":waiting"]),
    (b"bq:", &[b":stallBlock", b":stalling", b":waiting", b":active"]),
];

pub(super) struct Tidying;

impl Dialect for Tidying {
    fn system(&self) -> System {
        System::Unknown
    }

    fn command(&self, _memory: &mut Memory, args: &[&[u8]], _out: &mut Vec<JobEvent>) -> Meaning {
        let keys = keys_and_arguments(args).unwrap_or_default().0;
        let known = SCRIPTS.iter().any(|(start, ends)| ends.len() == keys.len() && are_of_one_queue(keys, start, ends));
        if known { Meaning::Passes } else { Meaning::Nothing }
    }
}

/// Whether keys are these parts of one queue.
fn are_of_one_queue(keys: &[&[u8]], start: &[u8], ends: &[&[u8]]) -> bool {
    let own = keys.iter().zip(ends).filter(|(_, end)| !end.is_empty());
    let mut queues = own.map(|(key, end)| key.strip_suffix(*end).filter(|queue| queue.starts_with(start)));
    let first = queues.next().flatten();
    first.is_some() && queues.all(|queue| queue == first)
}
