//! taskiq-redis, measured with 1.2. Lists: `BRPOP taskiq 0`, no ack; a task's result, `SET TASK-ID ..`, is the last
//! that is seen of it. Streams: `XREADGROUP`, and `XAUTOCLAIM` in a transaction; `XACK` when a task is over. Both take
//! more into the worker's memory than it runs.

use super::{Claim, Dialect, Interest, Known, Meaning, Memory, Note, Payload, PopShape};
use crate::job::{Job, JobEvent, JobKey, System};
use std::sync::Arc;

/// So many hexadecimal digits make an id.
const ID: usize = 32;

pub(super) struct Taskiq;

impl Dialect for Taskiq {
    fn system(&self) -> System {
        System::Taskiq
    }

    fn interest(&self, memory: &Memory, name: &[u8], first: &[u8]) -> Interest {
        if name == b"set" && is_result(memory, first) { Interest::Tap } else { Interest::None }
    }

    fn claim(&self, known: Known, pop: PopShape<'_>) -> Claim {
        match pop.name {
            _ if known.system != System::Taskiq => Claim::NotMine,
            b"brpop" if pop.forever => Claim::Fetch,
            b"xreadgroup" | b"xautoclaim" | b"xclaim" => Claim::Fetch,
            _ => Claim::Pass,
        }
    }

    fn command(&self, _memory: &mut Memory, args: &[&[u8]], _out: &mut Vec<JobEvent>) -> Meaning {
        match args.get(1).and_then(|key| task_id(key)) {
            Some(id) => Meaning::Note(Note::Result(id)),
            None => Meaning::Nothing,
        }
    }

    fn job(&self, _memory: &mut Memory, queue: &Arc<str>, payload: Payload<'_>) -> Option<Job> {
        let id = payload.skim.get("task_id")?.to_owned();
        let name = payload.skim.get("task_name")?.to_owned();
        Some(Job { key: JobKey::Text(id.clone()), id, name, queue: queue.clone(), eta: None })
    }
}

/// Whether a result is stored under this key.
pub(super) fn is_result(memory: &Memory, key: &[u8]) -> bool {
    // results come on connections of their own, which may not have been looked up yet
    key.len() >= ID && matches!(memory.system, System::Taskiq | System::Unknown) && task_id(key).is_some()
}

/// The id in a result's key, behind a prefix or not.
fn task_id(key: &[u8]) -> Option<String> {
    let (before, id) = key.split_at(key.len().checked_sub(ID)?);
    let alone = before.last().is_none_or(|last| *last == b':');
    (alone && id.iter().all(u8::is_ascii_hexdigit)).then(|| String::from_utf8_lossy(id).into_owned())
}
