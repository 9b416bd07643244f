//! Private lists: a worker moves each job from a queue to a list of its own (`LMOVE`, `BLMOVE`, `RPOPLPUSH`, `BRPOPLPUSH`)
//! and takes it out of there when it is done, so that somebody can give it back if the worker dies. Sidekiq Pro does so,
//! fetchers of others for Sidekiq, and loops of people's own. An element is in flight until its worker has answered
//! for it with `LREM`, or popped it from there; a move out of it gives it back.

use super::json::{Skim, Wanted};
use super::request::{Reads, Reply, Request, Verb};
use super::{Claim, DIALECTS, Dialect, Interest, Known, Meaning, Memory, PopShape, rq, sidekiq};
use crate::job::{JobEvent, JobKey, Outcome, System};
use crate::rare::Blank;
use std::collections::BTreeSet;

/// So much of an element tells it from others; of two that begin alike one is as good as the other.
const TELLING: usize = 256;
/// So many lists of its own are remembered of a connection.
const OWN_MAX: usize = 64;
/// What names Sidekiq's jobs.
const NAMES: Wanted = Wanted::of(&["jid", "class", "wrapped"]);

pub(super) struct Lists;

/// Lists that jobs have been moved to on a connection.
#[derive(Debug, Default)]
pub struct Own(BTreeSet<Vec<u8>>);

impl Blank for Own {
    const BLANK: &'static Own = &Own(BTreeSet::new());
}

impl Own {
    /// Jobs are moved to this one.
    pub fn add(&mut self, list: &[u8]) {
        if self.0.len() < OWN_MAX && !self.0.contains(list) {
            self.0.insert(list.to_vec());
        }
    }

    /// Whether it is one of them.
    pub fn has(&self, list: &[u8]) -> bool {
        self.0.contains(list)
    }
}

impl Dialect for Lists {
    fn system(&self) -> System {
        System::Unknown
    }

    fn interest(&self, memory: &Memory, name: &[u8], first: &[u8]) -> Interest {
        let told = match memory.system {
            // a connection of RQ's work-horse that nobody has told yet whose it is
            System::Unknown => !rq::is_intermediate(first),
            // its jobs may have lists, too
            System::Sidekiq => sidekiq::is_private(first),
            _ => false,
        };
        if told && name == b"lrem" { Interest::Whole } else { Interest::None }
    }

    fn command(&self, _memory: &mut Memory, args: &[&[u8]], _out: &mut Vec<JobEvent>) -> Meaning {
        match args {
            [b"lrem", list, _, element] => {
                let jobs = vec![key(list, &Skim::of(NAMES, element), element)];
                Meaning::Request(Box::new(request(list, Verb::Finish, jobs)))
            }
            _ => Meaning::Nothing,
        }
    }

    fn replied(&self, _memory: &mut Memory, request: &Request, reply: Reply<'_>, out: &mut Vec<JobEvent>) {
        if !matches!(request.verb, Verb::Finish | Verb::Requeue) {
            return;
        }
        if let [job] = request.jobs.as_slice() {
            // who is done is done with one job, whatever equal ones it has removed from under other threads' hands, and
            // also if somebody else (who gave it up, or took it for stale) has removed it before
            if reply.number().is_some_and(|removed| removed >= 0) {
                out.push(JobEvent::Ended { key: job.clone(), outcome: Outcome::Finished });
            }
            return;
        }
        for word in reply.words.iter().filter(|word| word.is_text()) {
            let Some(skim) = &word.skim else { continue };
            let key = key(request.queue.as_bytes(), skim, &word.text);
            out.push(match request.verb {
                Verb::Requeue => JobEvent::Ended { key, outcome: Outcome::Requeued },
                _ => JobEvent::Popped(key),
            });
        }
    }
}

/// Whether a move puts jobs into a list of the worker's own: no job system that is known by its queues' names, or
/// Sidekiq's fetchers.
pub fn keeps(known: Known, pop: PopShape<'_>) -> bool {
    let mut claims = DIALECTS.iter().filter(|dialect| dialect.claim(known, pop) == Claim::Fetch);
    matches!(known.system, System::Unknown | System::Sidekiq)
        && claims.next().is_none_or(|dialect| dialect.system() == System::Sidekiq)
}

/// A pop or a move that takes jobs out of a list of the worker's own again.
pub fn taken_out(list: &[u8], moved: bool) -> Request {
    request(list, if moved { Verb::Requeue } else { Verb::Finish }, Vec::new())
}

fn request(list: &[u8], verb: Verb, jobs: Vec<JobKey>) -> Request {
    Request { jobs, reads: Reads::Json(NAMES), ..Request::new(System::Unknown, list, verb) }
}

/// What the job of an element is called while it is in that list: by its id, if it is one of Sidekiq's.
pub fn key(list: &[u8], skim: &Skim, element: &[u8]) -> JobKey {
    if let Some(jid) = skim.get("jid").filter(|_| skim.get("class").or(skim.get("wrapped")).is_some()) {
        return JobKey::Text(jid.to_owned());
    }
    let hash = element
        .iter()
        .take(TELLING)
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    JobKey::Text(format!("{hash:016x}@{}", String::from_utf8_lossy(list)))
}
