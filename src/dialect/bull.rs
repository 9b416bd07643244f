//! BullMQ 5 and 6, measured with 5.81 and 6.7 and read in their sources back to 5.0, and Bull 4.16.
//!
//! Everything is a Lua script over keys `PREFIX:QUEUE:wait`, `..:active` and so on. `moveToActive` fetches;
//! `moveToFinished` and `moveToDelayed` end a job *and* fetch the next one if one argument says `1`: with `0` they do
//! what a worker does that is being closed. Scripts are told by their keys, for numbers of keys and SHAs change with
//! each release. BullMQ waits in a `BZPOPMIN` for a marker, which is no job; Bull takes its jobs with `BRPOPLPUSH wait
//! active`. BullMQ before 5 does both: its scripts bring jobs by arguments that differ from release to release, so its
//! workers cannot be sealed.

use super::request::{Refusal, Reply, Request, Verb, Wake};
use super::script::{keys_and_arguments, number};
use super::{Claim, Dialect, Known, Meaning, Memory, Payload, PopShape};
use crate::job::{Job, JobEvent, JobKey, Millis, Report, System};
use memchr::memmem;
use std::sync::Arc;

/// "No job, and none will come due": BullMQ's own answer.
const NO_JOB: &[u8] = b"*4\r\n:0\r\n:0\r\n:0\r\n:0\r\n";
/// What the keys of a queue end in. A script over such keys that is none of those below brings no job.
const PARTS: [&str; 16] = [
    "wait",
    "active",
    "prioritized",
    "priority",
    "events",
    "stalled",
    "limiter",
    "delayed",
    "paused",
    "meta",
    "pc",
    "marker",
    "completed",
    "failed",
    "waiting-children",
    "repeat",
];

/// What the keys of a job's children end in.
const CHILDREN: [&[u8]; 2] = [b":processed", b":dependencies"];
/// And that of a queue's metrics.
const METRICS: [&[u8]; 2] = [b":metrics:completed", b":metrics:failed"];

/// What the key of a job's lock ends in.
const LOCK: &[u8] = b":lock";

/// Why a worker of BullMQ 1 to 4 is never sealed.
const OLD: &str = "its release of BullMQ fetches in ways that the gate cannot refuse: 5 and newer are known";

/// Both: they differ in a few keys and arguments.
pub(super) struct Bull(pub(super) System);

/// A script's arguments.
struct Script<'a> {
    /// What the keys begin with: `bull:queue:`.
    prefix: &'a [u8],
    keys: &'a [&'a [u8]],
    /// What stands behind the keys, and where it begins among all arguments.
    argv: &'a [&'a [u8]],
    at: usize,
}

impl<'a> Script<'a> {
    /// `None`: not over keys of a queue.
    fn read(args: &'a [&'a [u8]]) -> Option<Script<'a>> {
        let (keys, argv) = keys_and_arguments(args)?;
        // a job's lock, which stands first in some, has an id in its name
        let (index, named) = keys.iter().enumerate().find(|(_, key)| !key.ends_with(LOCK))?;
        let last = named.iter().rposition(|b| *b == b':')? + 1;
        let (prefix, part) = named.split_at(last);
        let known = |part: &[u8]| PARTS.iter().any(|known| known.as_bytes() == part);
        let all = keys.iter().all(|key| key.starts_with(prefix));
        // one such key alone may be anybody's
        let queue = all && known(part) && keys[index + 1..].iter().any(|key| known(&key[last..]));
        queue.then(|| Script { prefix, keys, argv, at: args.len() - argv.len() })
    }

    /// What a key ends in.
    fn part(&self, index: usize) -> &'a [u8] {
        self.keys.get(index).map_or(b"", |key| &key[self.prefix.len()..])
    }

    fn starts_with(&self, parts: &[&str]) -> bool {
        self.keys.len() >= parts.len() && parts.iter().enumerate().all(|(i, part)| self.part(i) == part.as_bytes())
    }

    fn has(&self, part: &str) -> bool {
        (0..self.keys.len()).any(|i| self.part(i) == part.as_bytes())
    }

    /// The job with this id.
    fn job(&self, id: &[u8]) -> Option<JobKey> {
        (!id.is_empty()).then(|| JobKey::text(&[self.prefix, id].concat()))
    }

    fn request(&self, system: System, verb: Verb, job: Option<JobKey>, refusal: Refusal) -> Request {
        let queue = &self.prefix[..self.prefix.len() - 1];
        let wakes =
            (verb == Verb::Fetch && self.has("marker")).then(|| Wake::Member([self.prefix, b"marker"].concat()));
        Request { jobs: job.into_iter().collect(), refusal, wakes, ..Request::new(system, queue, verb) }
    }

    /// The argument behind the keys that makes a script fetch the next job, too.
    fn fetch_next(&self, index: usize) -> Refusal {
        Refusal::Rewrite { arg: self.at + index, from: Some(b"1"), to: b"0" }
    }
}

/// A script of BullMQ's clients over a single key, or over those of one job or of a queue's metrics: it looks something up,
/// or releases or drops jobs of a flow, and brings no job to anybody. (Measured with 5.81 and 6.7.)
fn is_of_client(args: &[&[u8]]) -> bool {
    let Some((keys, argv)) = keys_and_arguments(args) else { return false };
    let is_number = |arg: &&[u8]| number::<i64>(arg).is_some();
    let is = |key: &[u8], parts: &[&[u8]]| key == parts.concat();
    match (keys, argv) {
        // jobs by their states: from, to, order (6: and how far to look), then the states
        ([queue], [_, _, _, ..]) if queue.ends_with(b":") => {
            let states = argv.iter().position(|arg| !is_number(arg)).unwrap_or(argv.len());
            let known = |arg: &&[u8]| PARTS.iter().any(|part| part.as_bytes() == *arg);
            matches!(states, 3 | 4) && states < argv.len() && argv[states..].iter().all(known)
        }
        ([children], [_, _, _, _, _, ..]) => {
            CHILDREN.iter().any(|end| children.ends_with(end)) && argv.iter().all(is_number)
        }
        ([metrics, data], [_, _]) if METRICS.iter().any(|end| metrics.ends_with(end)) => is(data, &[metrics, b":data"]),
        // the jobs of a flow: a parent without children, children that are not wanted any more
        ([job, children], [queue, id, _]) => is(job, &[queue, b":", id]) && is(children, &[job, b":dependencies"]),
        ([job, meta], [queue, id]) => is(job, &[queue, id]) && is(meta, &[queue, b"meta"]),
        _ => false,
    }
}

/// The queue whose part a pop takes from: BullMQ's marker, Bull's list of waiting jobs.
pub(super) fn queue<'a>(name: &[u8], key: &'a [u8]) -> Option<(&'a [u8], System)> {
    match name {
        b"bzpopmin" => Some((key.strip_suffix(b":marker")?, System::Bullmq)),
        b"brpoplpush" | b"blmove" => Some((key.strip_suffix(b":wait")?, System::Bull)),
        _ => None,
    }
}

impl Bull {
    fn bullmq(script: &Script<'_>) -> Option<Request> {
        let system = System::Bullmq;
        let argument = |i: usize| script.argv.get(i).and_then(|id| script.job(id));
        if script.starts_with(&["wait", "active", "prioritized", "events", "stalled"]) && script.has("marker") {
            if script.has("completed") || script.has("failed") {
                return Some(script.request(system, Verb::Finish, argument(0), script.fetch_next(5)));
            }
            return Some(script.request(system, Verb::Fetch, None, Refusal::Answer(NO_JOB)));
        }
        if script.starts_with(&["marker", "active", "prioritized", "delayed"]) {
            let job = script.job(script.part(4));
            return Some(script.request(system, Verb::Requeue, job, script.fetch_next(7)));
        }
        let job = if script.starts_with(&["active", "wait", "paused"]) && script.has("marker") {
            script.job(script.part(3))
        } else if script.starts_with(&["active", "wait", "stalled"])
            && (script.has("marker") || script.part(3).ends_with(LOCK))
        {
            argument(0)
        } else if script.starts_with(&["active", "waiting-children"]) {
            script.job(script.part(2))
        } else if script.part(0).ends_with(LOCK) && script.part(1) == b"active" && script.part(2) == b"waiting-children"
        {
            script.job(script.part(3))
        } else {
            return None;
        };
        Some(script.request(system, Verb::Requeue, job, Refusal::Needless))
    }

    fn bull(script: &Script<'_>) -> Option<Request> {
        let system = System::Bull;
        let argument = |i: usize| script.argv.get(i).and_then(|id| script.job(id));
        if script.starts_with(&["wait", "active", "priority"]) && script.part(3).starts_with(b"active@") {
            let job = argument(4);
            let refusal = if job.is_none() { Refusal::Nothing } else { Refusal::Needless };
            return Some(script.request(system, Verb::Fetch, job, refusal));
        }
        if script.part(0) == b"active"
            && matches!(script.part(1), b"completed" | b"failed")
            && script.part(3) == b"wait"
        {
            return Some(script.request(system, Verb::Finish, argument(0), script.fetch_next(7)));
        }
        if script.starts_with(&["active", "delayed"]) && script.part(3) == b"stalled" {
            return Some(script.request(system, Verb::Requeue, argument(1), Refusal::Needless));
        }
        if script.starts_with(&["active", "wait"]) && script.part(3) == b"meta-paused" {
            return Some(script.request(system, Verb::Requeue, argument(1), Refusal::Needless));
        }
        None
    }

    /// How long the locks of a worker's jobs last.
    fn lease(&self, script: &Script<'_>) -> Option<Millis> {
        match self.0 {
            System::Bull => number(script.argv.get(2)?),
            _ => msgpack_number(script.argv.get(2)?, b"lockDuration"),
        }
    }
}

impl Dialect for Bull {
    fn system(&self) -> System {
        self.0
    }

    fn claim(&self, known: Known, pop: PopShape<'_>) -> Claim {
        let ends = |part: &[u8]| pop.keys.iter().all(|key| key.ends_with(part));
        match (self.0, pop.name) {
            (System::Bullmq, b"bzpopmin") if ends(b":marker") => Claim::Wakeup,
            (System::Bull, b"brpoplpush" | b"blmove") if ends(b":wait") => Claim::Fetch,
            _ if known.system == self.0 => Claim::Pass,
            _ => Claim::NotMine,
        }
    }

    fn command(&self, memory: &mut Memory, args: &[&[u8]], out: &mut Vec<JobEvent>) -> Meaning {
        if let [_, _, b"1", stalled, base, _, _, duration] | [_, _, b"2", _, stalled, base, duration, _] = args
            && stalled.ends_with(b":stalled")
            && !base.is_empty()
            && memory.system == self.0
            && let Some(lasts) = number(duration)
        {
            out.push(JobEvent::Report(Report::Lease { lasts, renewed: true }));
            return Meaning::Passes;
        }
        let Some(script) = Script::read(args) else {
            let passes = self.0 == System::Bullmq && is_of_client(args);
            return if passes { Meaning::Passes } else { Meaning::Nothing };
        };
        let request = if self.0 == System::Bull { Bull::bull(&script) } else { Bull::bullmq(&script) };
        let Some(request) = request else {
            if self.0 != System::Bull {
                return Meaning::Nothing;
            }
            // what neither of the two knows brings no job, unless it begins like those that fetch
            if script.starts_with(&["wait", "active"]) {
                out.push(JobEvent::Blocked(OLD.to_owned()));
            }
            return Meaning::Passes;
        };
        out.push(JobEvent::Recognised(self.0));
        if request.verb == Verb::Fetch
            && let Some(lasts) = self.lease(&script).filter(|lasts| memory.lease != Some(*lasts))
        {
            memory.lease = Some(lasts);
            out.push(JobEvent::Report(Report::Lease { lasts, renewed: false }));
        }
        Meaning::Request(Box::new(request))
    }

    /// Bull's `BRPOPLPUSH` answers with the job's id.
    fn job(&self, _memory: &mut Memory, queue: &Arc<str>, payload: Payload<'_>) -> Option<Job> {
        let prefix = queue.strip_suffix("wait").filter(|_| self.0 == System::Bull && queue.ends_with(":wait"))?;
        let id = std::str::from_utf8(payload.text).ok().filter(|id| !id.is_empty())?;
        Some(job(prefix, id, ""))
    }

    fn replied(&self, _memory: &mut Memory, request: &Request, reply: Reply<'_>, out: &mut Vec<JobEvent>) {
        let number = reply.number();
        // no such job, no lock, not active, another's lock: it is not this worker's any more
        let gone = number.is_none_or(|n| n >= 0 || matches!(n, -1 | -2 | -3 | -6));
        let over = match (self.0, request.verb, number) {
            (_, Verb::Finish, _) => gone,
            // 1: its children are done already, and it goes on
            (_, Verb::Requeue, number) => gone && number != Some(1),
            // the limiter has put the popped job off
            (System::Bull, Verb::Fetch, None) => reply.words.len() < 2,
            _ => false,
        };
        if over {
            if number.is_some_and(|n| n < 0) {
                out.extend(request.jobs.iter().map(|key| JobEvent::Report(Report::LockLost(key.clone()))));
            }
            request.tell_ended(out);
        }
        if !request.jobs.is_empty() && request.verb == Verb::Fetch {
            return;
        }
        let behind = if self.0 == System::Bull { 1 } else { 3 };
        let Some((fields, rest)) = reply.words.len().checked_sub(behind).map(|at| reply.words.split_at(at)) else {
            return;
        };
        let Some(id) =
            rest.first().filter(|id| matches!(id.kind, b'$') && fields.first().is_some_and(|f| f.kind == b'$'))
        else {
            return;
        };
        let name = fields.chunks_exact(2).find(|pair| pair[0].text == b"name").map(|pair| pair[1].text.as_slice());
        let (id, name) = (String::from_utf8_lossy(&id.text), String::from_utf8_lossy(name.unwrap_or_default()));
        out.push(JobEvent::Delivered(job(&format!("{}:", request.queue), &id, &name)));
    }
}

fn job(prefix: &str, id: &str, name: &str) -> Job {
    let queue = prefix.strip_suffix(':').unwrap_or(prefix).into();
    Job { key: JobKey::Text(format!("{prefix}{id}")), id: id.to_owned(), name: name.to_owned(), queue, eta: None }
}

/// The number behind a key in a packed map.
fn msgpack_number(text: &[u8], key: &[u8]) -> Option<u64> {
    let (kind, rest) = text[memmem::find(text, key)? + key.len()..].split_first()?;
    let bytes = |n: usize| rest.get(..n).map(|bytes| bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)));
    match kind {
        0..=0x7f => Some(u64::from(*kind)),
        0xcc => bytes(1),
        0xcd => bytes(2),
        0xce => bytes(4),
        0xcf => bytes(8),
        0xcb => bytes(8).map(|bits| f64::from_bits(bits) as u64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_duration_is_found() {
        assert_eq!(msgpack_number(b"\x82\xaclockDuration\xcd\x75\x30\xa1x\xc0", b"lockDuration"), Some(30_000));
        assert_eq!(msgpack_number(b"\x82\xaclockDuration\xce\x00\x01\x11\x70", b"lockDuration"), Some(70_000));
        assert_eq!(msgpack_number(b"\x80", b"lockDuration"), None);
    }
}
