//! Huey on Redis, measured with 3.5: each thread waits in `BRPOP huey.redis.NAME 1` (`BZPOPMIN` with priorities), works on
//! what comes, and asks again. No ack, no name: that all threads have come back is all that shows a consumer idle. A
//! thread that takes its jobs without waiting (`blocking=False`) does not even show that.
//!
//! Its scheduler takes all due tasks out of `huey.schedule.NAME` with a script, and pushes them itself.

use super::{Claim, Dialect, DueAnswer, Known, Meaning, Memory, Payload, PopShape, generic};
use crate::job::{Job, JobEvent, System};
use std::sync::Arc;

const QUEUE: &[u8] = b"huey.redis.";
const SCHEDULE: &[u8] = b"huey.schedule.";
/// Where a client waits for one result (`notify_result`).
const RESULT: &[u8] = b"huey.notify.";

pub(super) struct Huey;

impl Dialect for Huey {
    fn system(&self) -> System {
        System::Huey
    }

    fn claim(&self, known: Known, pop: PopShape<'_>) -> Claim {
        let queue = pop.keys.iter().all(|key| key.starts_with(QUEUE));
        match pop.name {
            b"brpop" | b"rpop" | b"bzpopmin" | b"zpopmin" if queue => Claim::Fetch,
            b"blpop" if pop.keys.iter().all(|key| key.starts_with(RESULT)) => Claim::Pass,
            _ if known.system == System::Huey => Claim::Pass,
            _ => Claim::NotMine,
        }
    }

    fn command(&self, _memory: &mut Memory, args: &[&[u8]], out: &mut Vec<JobEvent>) -> Meaning {
        let [_, _, b"1", key, _now] = args else { return Meaning::Nothing };
        if !key.starts_with(SCHEDULE) {
            return Meaning::Nothing;
        }
        out.push(JobEvent::Recognised(System::Huey));
        Meaning::TakesDue { key: 3, answer: DueAnswer::Many }
    }

    /// A pickled task: nothing to be read in it.
    fn job(&self, memory: &mut Memory, queue: &Arc<str>, _payload: Payload<'_>) -> Option<Job> {
        queue.as_bytes().starts_with(QUEUE).then(|| generic::job(memory, queue))
    }
}
