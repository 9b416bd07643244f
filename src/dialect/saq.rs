//! SAQ, measured with 0.26 and read in its source. Its jobs are moved to a list and removed from there when they are over
//! (`BLMOVE saq:q:queued saq:q:active`, `LREM saq:q:active 1 JOB`), which is known of [lists](super::lists) already. What is
//! SAQ's own are its scripts: they enqueue a job, push due jobs on to the queue, and look through the running ones for
//! dead ones. They answer with jobs' ids, and hand out no job.

use super::{Claim, Dialect, Interest, Known, Meaning, Memory, PopShape};
use crate::job::{JobEvent, System};

pub(super) struct Saq;

impl Dialect for Saq {
    fn system(&self) -> System {
        System::Unknown
    }

    fn interest(&self, _memory: &Memory, name: &[u8], _first: &[u8]) -> Interest {
        if matches!(name, b"eval" | b"evalsha") { Interest::Whole } else { Interest::None }
    }

    fn claim(&self, _known: Known, _pop: PopShape<'_>) -> Claim {
        Claim::NotMine
    }

    fn command(&self, _memory: &mut Memory, args: &[&[u8]], _out: &mut Vec<JobEvent>) -> Meaning {
        let queue = match args {
            [_, _, b"3", first, second, third, ..] => {
                of_one_queue(&[(first, b":schedule"), (second, b":incomplete"), (third, b":queued")])
            }
            [_, _, b"4", first, _, third, ..] => of_one_queue(&[(first, b":incomplete"), (third, b":queued")]),
            [_, _, b"2", first, second, ..] => of_one_queue(&[(first, b":sweep"), (second, b":active")]),
            _ => false,
        };
        if queue { Meaning::Passes } else { Meaning::Nothing }
    }
}

/// Whether keys are these parts of one queue of SAQ's.
fn of_one_queue(parts: &[(&[u8], &[u8])]) -> bool {
    let mut queues = parts.iter().map(|(key, part)| key.strip_suffix(*part).filter(|queue| queue.starts_with(b"saq:")));
    let first = queues.next().flatten();
    first.is_some() && queues.all(|queue| queue == first)
}
