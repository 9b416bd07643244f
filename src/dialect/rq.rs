//! RQ 2 and 3, measured with 2.6 and 3.0.
//!
//! Fetch: `BLMOVE rq:queue:q rq:queue:q:intermediate LEFT RIGHT t`, with several queues `BLPOP rq:queue:a rq:queue:b t`,
//! with `--burst` the same without waiting. A worker runs one job at a time in a forked work-horse, whose own connection
//! comes and goes with it. `HSET rq:worker:NAME state idle` follows when the work-horse has gone: RQ 3 sends webhooks
//! after it has written the job's end, so nothing earlier proves it. `HSET rq:worker:NAME birth ..` begins a life.

use super::{Claim, Dialect, Interest, Known, Meaning, Memory, Note, Payload, PopShape};
use crate::job::{Job, JobEvent, JobKey, Report, System};
use std::sync::Arc;

const QUEUE: &[u8] = b"rq:queue:";
const WORKER: &[u8] = b"rq:worker:";

pub(super) struct Rq;

impl Dialect for Rq {
    fn system(&self) -> System {
        System::Rq
    }

    fn interest(&self, _memory: &Memory, name: &[u8], first: &[u8]) -> Interest {
        let own = matches!(name, b"hset" | b"hmset") && first.starts_with(WORKER);
        if own { Interest::Tap } else { Interest::None }
    }

    fn claim(&self, known: Known, pop: PopShape<'_>) -> Claim {
        let queues = pop.keys.iter().all(|k| k.starts_with(QUEUE) && !is_intermediate(k));
        match pop.name {
            b"blmove" | b"blpop" | b"lmove" | b"lpop" | b"brpop" | b"rpop" if queues => Claim::Fetch,
            _ if known.system == System::Rq => Claim::Pass,
            _ => Claim::NotMine,
        }
    }

    fn command(&self, memory: &mut Memory, args: &[&[u8]], out: &mut Vec<JobEvent>) -> Meaning {
        let [_, key, fields @ ..] = args else { return Meaning::Nothing };
        let Some(name) = key.strip_prefix(WORKER) else { return Meaning::Nothing };
        let (system, name) = (System::Rq, String::from_utf8_lossy(name).into_owned());
        let field = |wanted: &[u8]| fields.chunks_exact(2).find(|pair| pair[0] == wanted).map(|pair| pair[1]);
        out.push(JobEvent::Recognised(system));
        if field(b"birth").is_some() {
            out.push(JobEvent::Born { system, name });
            return Meaning::Nothing;
        }
        let Some(state) = field(b"state") else { return Meaning::Nothing };
        out.push(JobEvent::Named { system, name });
        memory.busy = state != b"idle";
        if memory.busy { Meaning::Nothing } else { Meaning::Note(Note::Idle) }
    }

    /// The reply is the job's id.
    fn job(&self, _memory: &mut Memory, queue: &Arc<str>, payload: Payload<'_>) -> Option<Job> {
        if !queue.as_bytes().starts_with(QUEUE) || payload.text.is_empty() {
            return None;
        }
        let id = String::from_utf8_lossy(payload.text).into_owned();
        Some(Job { key: JobKey::Text(id.clone()), id, name: String::new(), queue: queue.clone(), eta: None })
    }

    /// It works one job at a time: who fetches has none. (A job whose data is gone is dropped without a word.)
    fn asks(&self, memory: &Memory, out: &mut Vec<JobEvent>) {
        if !memory.busy {
            out.push(JobEvent::Report(Report::Idle));
        }
    }
}

/// The list beside a queue where a job stays until its work-horse has begun it.
pub(super) fn is_intermediate(list: &[u8]) -> bool {
    list.starts_with(QUEUE) && list.ends_with(b":intermediate")
}
