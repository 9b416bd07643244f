//! Sidekiq 6, 7 and 8 (6.4 measured, 7 and 8 from their sources). Connections come from a pool: any of them carries
//! anything, so nothing here is bound to a connection but what one transaction says.
//!
//! Fetch: `brpop queue:a queue:b 2`. No ack. Heartbeat (5 or 10 s): `sadd processes ID`, `hset ID info {json} busy N
//! beat T quiet B`, and the work hash `ID:workers` (6) or `ID:work` (7, 8). The poller takes due jobs with a script over
//! `schedule` and `retry` and pushes them itself with `lpush`. `rpop ID-signals` in the heartbeat's transaction must pass.
//!
//! An orderly stop ends the poller, waits for the threads, gives back what is too long (`rpush queue:a job job`) and then
//! says goodbye: `srem processes ID` and, directly behind it, `unlink ID:work` outside of a transaction. (Pruning the list
//! of the dead a process can take itself off it too, when its heartbeats were late; but then its work hash stays.)

use super::json::{Skim, Wanted};
use super::script::number;
use super::{Claim, Dialect, DueAnswer, Interest, Known, Meaning, Memory, Note, Payload, PopShape};
use crate::job::{Job, JobEvent, JobKey, Report, System};
use memchr::memmem;
use std::sync::Arc;

/// No process has more threads.
const WORK_MAX: usize = 4_096;
const JID: Wanted = Wanted::of(&["jid"]);
const CONCURRENCY: Wanted = Wanted::of(&["concurrency"]);

pub(super) struct Sidekiq;

impl Dialect for Sidekiq {
    fn system(&self) -> System {
        System::Sidekiq
    }

    fn interest(&self, memory: &Memory, name: &[u8], first: &[u8]) -> Interest {
        match name {
            b"sadd" if last_segment(first) == b"processes" => Interest::Tap,
            b"hset" | b"hmset" if is_identity(first) || is_work(first) => Interest::Tap,
            b"unlink" | b"del" if is_work(first) => Interest::Tap,
            b"srem" if last_segment(first) == b"processes" => Interest::Tap,
            // gitlab's semi-reliable fetcher keeps what it has popped in a list of its process: that passes nothing on
            b"rpush" | b"lpush" if memory.system == System::Sidekiq && is_queue(first) => {
                if is_private(first) {
                    Interest::None
                } else {
                    Interest::Tap
                }
            }
            // the first argument is the SHA or the script: only the shape of the rest can tell
            b"evalsha" | b"eval" => Interest::Whole,
            _ => Interest::None,
        }
    }

    fn claim(&self, known: Known, pop: PopShape<'_>) -> Claim {
        // what the web page has to say to a process comes with its heartbeat
        if pop.keys.iter().all(|k| k.strip_suffix(b"-signals").is_some_and(is_identity)) {
            return Claim::Pass;
        }
        let known = known.system == System::Sidekiq;
        // other fetchers than the built-in one move jobs from their queues, or pop without waiting; which list they move them
        // to tells whose they are before the process has said its name
        let own = known || pop.name == b"brpop" || pop.to.is_some_and(is_private);
        if own && pop.keys.iter().all(|k| is_queue(k) && !is_private(k)) {
            return Claim::Fetch;
        }
        // what a dead process has left is given back
        let gives_back = pop.to.is_some_and(|to| is_queue(to) && !is_private(to)) && pop.keys.iter().all(is_private);
        if known || gives_back { Claim::Pass } else { Claim::NotMine }
    }

    fn command(&self, memory: &mut Memory, args: &[&[u8]], out: &mut Vec<JobEvent>) -> Meaning {
        let unlisted = memory.unlisted.take().filter(|_| !memory.in_transaction);
        match (args[0], args) {
            (b"sadd", [_, _, identity]) if is_identity(identity) => {
                out.push(JobEvent::Recognised(System::Sidekiq));
                let name = String::from_utf8_lossy(identity).into_owned();
                out.push(JobEvent::Named { system: System::Sidekiq, name });
            }
            (b"srem", [_, _, identity]) if is_identity(identity) && !memory.in_transaction => {
                memory.unlisted = Some(String::from_utf8_lossy(identity).into());
            }
            (b"unlink", [_, key]) if unlisted.as_ref().is_some_and(|name| is_work_of(key, name)) => {
                return Meaning::Note(Note::Left(unlisted.unwrap_or_default().into()));
            }
            (b"rpush" | b"lpush", [_, _, jobs @ ..]) => {
                let jid = |job: &&[u8]| Some(JobKey::Text(Skim::of(JID, job).get("jid")?.to_owned()));
                return Meaning::Note(Note::PushedOn(jobs.iter().filter_map(jid).collect()));
            }
            (b"unlink" | b"del", _) => {
                memory.work = Some(Vec::new());
                if memory.in_transaction {
                    // told at EXEC, with what the transaction adds
                    return Meaning::Note(Note::Work(Vec::new()));
                }
            }
            (b"hset" | b"hmset", [_, key, rest @ ..]) if is_work(key) => {
                let jids: Vec<String> = rest.chunks_exact(2).map(|pair| jid(pair[1]).unwrap_or_default()).collect();
                if memory.in_transaction {
                    return Meaning::Note(Note::Work(jids));
                }
                let work = memory.work.get_or_insert_default();
                work.extend(jids);
                work.truncate(WORK_MAX);
            }
            (b"hset" | b"hmset", [_, _, rest @ ..]) => {
                if let Some(running) = memory.work.take().filter(|_| !memory.in_transaction) {
                    out.push(JobEvent::Report(Report::SidekiqWork { running }));
                }
                heartbeat(rest, out);
            }
            (b"evalsha" | b"eval", [_, _, b"1", key, now]) if is_due_set(key) && is_unix_time(now) => {
                return Meaning::TakesDue { key: 3, answer: DueAnswer::One };
            }
            _ => {}
        }
        Meaning::Nothing
    }

    fn job(&self, _memory: &mut Memory, queue: &Arc<str>, payload: Payload<'_>) -> Option<Job> {
        let payload = payload.skim;
        let jid = payload.get("jid")?;
        let name = payload.get("wrapped").or_else(|| payload.get("class"))?;
        Some(Job {
            key: JobKey::Text(jid.to_owned()),
            id: jid.to_owned(),
            name: name.to_owned(),
            queue: queue.clone(),
            eta: None,
        })
    }
}

fn heartbeat(fields: &[&[u8]], out: &mut Vec<JobEvent>) {
    let field = |name: &[u8]| fields.chunks_exact(2).find(|pair| pair[0] == name).map(|pair| pair[1]);
    let text = |name: &[u8]| field(name).and_then(|v| std::str::from_utf8(v).ok());
    let Some(info) = field(b"info") else { return };
    let beat = text(b"beat").and_then(|t| t.parse::<f64>().ok()).filter(|s| (0.0..1e11).contains(s));
    out.push(JobEvent::Report(Report::Sidekiq {
        // a member of the info text up to 7, a field of its own from 8 on
        concurrency: text(b"concurrency")
            .or(Skim::of(CONCURRENCY, info).get("concurrency"))
            .and_then(|n| n.parse().ok()),
        busy: text(b"busy").and_then(|n| n.parse().ok()),
        beat: beat.map(|s| (s * 1000.0) as u64),
    }));
}

/// `host:pid:nonce`, the nonce being 12 hexadecimal digits.
fn is_identity(key: &[u8]) -> bool {
    let mut parts = key.rsplit(|b| *b == b':');
    let nonce = parts.next().is_some_and(|n| n.len() == 12 && n.iter().all(u8::is_ascii_hexdigit));
    nonce
        && parts.next().is_some_and(|pid| !pid.is_empty() && pid.iter().all(u8::is_ascii_digit))
        && parts.next().is_some()
}

fn is_work(key: &[u8]) -> bool {
    worker_of(key).is_some_and(is_identity)
}

fn is_work_of(key: &[u8], name: &str) -> bool {
    worker_of(key).is_some_and(|of| of.ends_with(name.as_bytes()))
}

/// Whose work hash it is.
fn worker_of(key: &[u8]) -> Option<&[u8]> {
    key.strip_suffix(b":workers").or_else(|| key.strip_suffix(b":work"))
}

/// `queue:x`, with a namespace in front or not. RQ's `rq:queue:x` has the same look, but another command.
fn is_queue(key: &[u8]) -> bool {
    key.starts_with(b"queue:") || memmem::find(key, b":queue:").is_some()
}

/// A list that a fetcher keeps the jobs of one process in: Sidekiq Pro's `queue:sq|PROCESS|default`, others'
/// `working:queue:default:PROCESS`.
pub(super) fn is_private(key: &[u8]) -> bool {
    key.contains(&b'|') || memmem::find(key, b"working:").is_some()
}

fn is_due_set(key: &[u8]) -> bool {
    matches!(last_segment(key), b"schedule" | b"retry")
}

fn last_segment(key: &[u8]) -> &[u8] {
    key.rsplit(|b| *b == b':').next().unwrap_or(key)
}

fn is_unix_time(text: &[u8]) -> bool {
    number(text).is_some_and(|time: f64| (1e9..1e11).contains(&time))
}

/// The jid in an entry of the work hash. Its payload is an object (6.x) or a JSON text within the JSON (7, 8), so the
/// quotes around may be escaped: a jid is the 24 hexadecimal digits after the word.
fn jid(entry: &[u8]) -> Option<String> {
    let mut rest = entry;
    loop {
        rest = &rest[memmem::find(rest, b"jid")? + 3..];
        let start = rest.iter().position(|b| !matches!(b, b'"' | b'\\' | b':' | b' '))?;
        let digits: Vec<u8> = rest[start..].iter().copied().take_while(u8::is_ascii_hexdigit).collect();
        if digits.len() == 24 {
            return String::from_utf8(digits).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_told_from_other_keys() {
        assert!(is_identity(b"vm:21709:44a5a0652e61"));
        assert!(is_work(b"vm:21709:44a5a0652e61:workers") && is_work(b"a:1:44a5a0652e61:work"));
        for other in [b"queue:default".as_slice(), b"vm:x:44a5a0652e61", b"44a5a0652e61", b"1:44a5a0652e61", b""] {
            assert!(!is_identity(other), "{}", String::from_utf8_lossy(other));
        }
    }

    #[test]
    fn a_jid_is_found_whether_escaped_or_not() {
        let expected = Some("0123456789abcdef01234567".to_owned());
        assert_eq!(jid(br#"{"queue":"q","payload":{"class":"A","jid":"0123456789abcdef01234567"}}"#), expected);
        assert_eq!(jid(br#"{"payload":"{\"class\":\"A\",\"jid\":\"0123456789abcdef01234567\"}"}"#), expected);
        assert_eq!(jid(br#"{"payload":"none"}"#), None);
    }
}
