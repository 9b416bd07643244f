//! Workers whose job system is not known: loops around a blocking pop.

use super::{Memory, PopShape};
use crate::job::{Job, JobKey};

/// Every blocking pop of a list or sorted set asks for a job, and so do reads and claims of a stream's group; a plain
/// pop does not (locks, counters and caches use them), unless the operator names its keys.
pub(super) fn is_fetch(pop: PopShape<'_>) -> bool {
    pop.blocking || matches!(pop.name, b"xreadgroup" | b"xautoclaim" | b"xclaim")
}

/// A job of which nothing is known but its queue.
pub(super) fn job(memory: &mut Memory, queue: &str) -> Job {
    memory.nameless += 1;
    Job {
        key: JobKey::Text(format!("#{}-{}", memory.seed, memory.nameless)),
        id: String::new(),
        name: String::new(),
        queue: queue.into(),
        eta: None,
    }
}
