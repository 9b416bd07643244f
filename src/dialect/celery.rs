//! Celery on Redis (kombu's virtual transport), measured with 5.3 to 5.7.
//!
//! Fetch: `BRPOP queue queue\x06\x163 .. 1`. Ack: `MULTI; ZREM unacked_index TAG; HDEL unacked TAG; EXEC`, by default
//! when the pool *accepts* the task. Result: `SETEX celery-task-meta-ID` on a child's own connection. Heartbeat:
//! `PUBLISH /0.celeryev/worker.heartbeat` every two seconds. A message goes back with its ack and a push in one
//! transaction: `LPUSH` if its task was rejected, `RPUSH` at the worker's stop and when the visibility time-out is over,
//! which says nothing of whether the task still runs (any worker looks after all of them, its own included). The same
//! `BRPOP` on a `.reply.celery.pidbox` list is remote control and passes; so does that on a list of results.

use super::json::{Skim, Wanted, early};
use super::{Claim, Dialect, Interest, Known, Meaning, Memory, Note, Payload, PopShape};
use crate::job::{Job, JobEvent, JobKey, Millis, Report, System};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::{memchr_iter, memmem};
use std::sync::Arc;

/// What kombu puts between a queue's name and the priority.
pub(super) const PRIORITY_SEPARATOR: &[u8] = b"\x06\x16";
const REPLY_QUEUE: &[u8] = b".reply.celery.pidbox";
/// The bindings of the workers' own queues for remote control, written at every start (kombu 5.7: by a script). They name
/// a worker that sends no events; who asks for answers binds `reply.celery.pidbox`.
const BINDINGS: &[u8] = b"_kombu.binding.celery.pidbox";
/// A longer separator is none, a priority behind it included.
const SEPARATOR_MAX: usize = 8;
const RESULT_KEY: &[u8] = b"celery-task-meta-";
const EVENTS: &[u8] = b"celeryev";
/// A longer name is no delivery tag (those are UUIDs).
const TAG_MAX: usize = 255;
/// States of a result after which the task does not run again by itself. RETRY is none: the same id comes back.
pub(super) const TERMINAL: [&str; 3] = ["SUCCESS", "FAILURE", "REVOKED"];
const EVENT: Wanted = Wanted::of(&["hostname", "type", "pid", "active", "processed", "timestamp", "freq"]);
/// What is read of a result.
pub(super) const STATUS: Wanted = Wanted::of(&["status"]);

pub(super) struct Celery;

impl Dialect for Celery {
    fn system(&self) -> System {
        System::Celery
    }

    fn interest(&self, memory: &Memory, name: &[u8], first: &[u8]) -> Interest {
        let wanted = match name {
            b"publish" => after(first, EVENTS).is_some(),
            b"hdel" => first.ends_with(b"unacked"),
            b"set" | b"setex" | b"psetex" => is_result(first),
            b"rpush" | b"lpush" => memory.ack_in_transaction,
            b"sadd" => first.ends_with(BINDINGS),
            // only the arguments behind the SHA or the text can tell
            b"evalsha" | b"eval" => return Interest::Whole,
            _ => false,
        };
        if wanted { Interest::Tap } else { Interest::None }
    }

    fn claim(&self, known: Known, pop: PopShape<'_>) -> Claim {
        if pop.keys.iter().all(|k| queue(k).ends_with(REPLY_QUEUE) || (pop.name == b"brpop" && is_reply_queue(k))) {
            return Claim::Pass;
        }
        let kombu = pop.name == b"brpop" && pop.keys.iter().any(|k| queue(k).len() < k.len());
        if (kombu || known.system == System::Celery) && pop.keys.iter().all(|k| is_result_queue(queue(k))) {
            return Claim::Pass;
        }
        if kombu {
            return Claim::Fetch;
        }
        if known.system != System::Celery {
            return Claim::NotMine;
        }
        // with `priority_steps = [0]` there is no suffix to know a queue by; kombu's consumer connection carries
        // nothing but its pops, a task's own connection is mixed
        if pop.name == b"brpop" && (known.envelope_seen || !known.mixed) { Claim::Fetch } else { Claim::Pass }
    }

    fn command(&self, memory: &mut Memory, args: &[&[u8]], out: &mut Vec<JobEvent>) -> Meaning {
        match (args[0], args) {
            (b"publish", [_, _, message]) => {
                event(message, out);
                Meaning::Nothing
            }
            (b"hdel", [_, _, tag]) if tag.len() <= TAG_MAX => {
                memory.ack_in_transaction = memory.in_transaction;
                Meaning::Note(Note::Acked(JobKey::Text(text(tag))))
            }
            // what is rejected comes again last, what is restored next
            (b"lpush", _) => Meaning::Note(Note::Rejected),
            (b"rpush", _) => Meaning::Note(Note::Restored),
            (b"sadd", [_, key, member]) | (b"evalsha" | b"eval", [_, _, b"2", key, _, member, ..]) => {
                bound(key, member, out);
                Meaning::Nothing
            }
            (b"set", [_, key, value, ..]) | (b"setex" | b"psetex", [_, key, _, value]) => result(key, value),
            _ => Meaning::Nothing,
        }
    }

    fn job(&self, memory: &mut Memory, queue: &Arc<str>, payload: Payload<'_>) -> Option<Job> {
        let payload = payload.skim;
        let tag = payload.get("properties.delivery_tag")?;
        memory.envelope_seen = true;
        Some(Job {
            key: JobKey::Text(tag.to_owned()),
            id: payload
                .get("headers.id")
                .or_else(|| payload.get("properties.correlation_id"))
                .unwrap_or(tag)
                .to_owned(),
            name: payload.get("headers.task").unwrap_or_default().to_owned(),
            queue: queue.clone(),
            eta: payload.get("headers.eta").and_then(instant),
        })
    }
}

fn text(bytes: &[u8]) -> String {
    // the check costs less than looking for what is to be replaced
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes).into_owned(), str::to_owned)
}

/// A list's key without the priority.
pub(super) fn queue(key: &[u8]) -> &[u8] {
    let separator = memchr_iter(PRIORITY_SEPARATOR[0], key).find(|at| key[*at..].starts_with(PRIORITY_SEPARATOR));
    &key[..separator.unwrap_or(key.len())]
}

/// Whether a result is stored under this key.
pub(super) fn is_result(key: &[u8]) -> bool {
    after(key, RESULT_KEY).is_some()
}

/// What stands behind the first `mark` of a key: one of those that begin with `celery`. Asked of every SET and PUBLISH that
/// passes: looking for its rarest byte costs a third of looking for all of it.
fn after<'a>(key: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    const RAREST: usize = 5;
    if key.len() < mark.len() {
        return None;
    }
    let ends = memchr_iter(mark[RAREST], key).filter_map(|at| key.get(at.checked_sub(RAREST)?..)?.strip_prefix(mark));
    { ends }.next()
}

/// The same where another separator is configured (Celery's guide: `sep` = `:`).
fn is_reply_queue(key: &[u8]) -> bool {
    let separator = memmem::find(key, REPLY_QUEUE).map(|at| key.len() - at - REPLY_QUEUE.len());
    separator.is_some_and(|rest| rest <= SEPARATOR_MAX)
}

/// Where a client, or a task, waits for results with the backend `rpc://`: kombu names its queue by a UUID of version 3.
/// Nothing else is called so, while an owner who names queues by UUIDs takes them from another version.
fn is_result_queue(queue: &[u8]) -> bool {
    let is_right = |(at, byte): (usize, &u8)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        14 => *byte == b'3',
        _ => byte.is_ascii_hexdigit(),
    };
    queue.len() == 36 && queue.iter().enumerate().all(is_right)
}

/// How long the separator is that stands twice at the beginning.
fn separator(member: &[u8]) -> usize {
    let twice = |len: &usize| member.get(..*len) == member.get(*len..2 * len);
    (1..=SEPARATOR_MAX.min(member.len() / 2)).rev().find(twice).unwrap_or(0)
}

/// `routing key SEP pattern SEP w1@host.celery.pidbox` among the bindings. Of a worker both are empty.
fn bound(key: &[u8], member: &[u8], out: &mut Vec<JobEvent>) {
    let Some(name) = member.strip_suffix(b".celery.pidbox").filter(|_| key.ends_with(BINDINGS)) else { return };
    let at = memmem::rfind(name, PRIORITY_SEPARATOR).map_or(2 * separator(name), |at| at + PRIORITY_SEPARATOR.len());
    if let Ok(name) = std::str::from_utf8(&name[at..]) {
        out.push(JobEvent::Recognised(System::Celery));
        out.push(JobEvent::Named { system: System::Celery, name: name.to_owned() });
    }
}

/// A stored result: `{"status": "SUCCESS", ...}`.
fn result(key: &[u8], value: &[u8]) -> Meaning {
    let Some(id) = after(key, RESULT_KEY) else { return Meaning::Nothing };
    if is_terminal(value) { Meaning::Note(Note::Result(text(id))) } else { Meaning::Nothing }
}

/// Whether a result is the last one of its task. Celery writes its state once, first or behind the task's id.
fn is_terminal(result: &[u8]) -> bool {
    says_terminal(result) || Skim::of(STATUS, result).get("status").is_some_and(|state| TERMINAL.contains(&state))
}

/// Whether the beginning of a result says so.
pub(super) fn says_terminal(result: &[u8]) -> bool {
    early(result, b"status").is_some_and(|state| TERMINAL.iter().any(|terminal| terminal.as_bytes() == state))
}

/// A worker event: an envelope whose `body` is base64 of the event's JSON.
fn event(message: &[u8], out: &mut Vec<JobEvent>) {
    // the body is longer than what a skimmer keeps of a value
    let Some(body) = text_member(message, b"\"body\"") else { return };
    let Ok(body) = STANDARD.decode(body) else { return };
    event_body(&body, out);
}

/// The JSON of a worker event, as it travels on AMQP.
pub(super) fn event_body(body: &[u8], out: &mut Vec<JobEvent>) {
    let event = Skim::of(EVENT, body);
    if !matches!(event.get("type"), Some("worker-heartbeat" | "worker-online" | "worker-offline")) {
        return;
    }
    let seconds = |path| event.get(path)?.parse::<f64>().ok().filter(|s| (0.0..1e11).contains(s)).map(to_millis);
    let number = |path| event.get(path)?.parse::<u64>().ok();
    out.push(JobEvent::Recognised(System::Celery));
    if let Some(name) = event.get("hostname") {
        out.push(JobEvent::Named { system: System::Celery, name: name.to_owned() });
    }
    out.push(JobEvent::Report(Report::Celery {
        pid: number("pid").and_then(|n| u32::try_from(n).ok()),
        active: number("active").and_then(|n| u32::try_from(n).ok()),
        processed: number("processed"),
        timestamp: seconds("timestamp"),
        period: seconds("freq"),
    }));
}

fn to_millis(seconds: f64) -> Millis {
    (seconds * 1000.0).round() as Millis
}

/// The text after the first `key` of an envelope, up to its closing quote. kombu writes the body first, and base64
/// holds no quote.
pub(super) fn text_member<'a>(message: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let rest = &message[memmem::find(message, key)? + key.len()..];
    let start = memchr::memchr(b'"', rest)? + 1;
    let end = memchr::memchr(b'"', &rest[start..])? + start;
    Some(&rest[start..end])
}

/// An ETA as kombu writes it: ISO 8601, with an offset or in UTC. One that cannot be read counts as due.
pub(super) fn instant(text: &str) -> Option<Millis> {
    let at = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let civil = text.parse::<jiff::civil::DateTime>().ok()?;
        civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|z| z.timestamp())
    })?;
    Millis::try_from(at.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_wherever_they_stand_in_a_key() {
        for (key, behind) in [
            ("celery-task-meta-id", Some("id")),
            ("prefix-yy-celery-task-meta-", Some("")),
            ("celery-celery-task-meta-celery-task-meta-id", Some("celery-task-meta-id")),
            ("celery-task-meta", None),
            ("y", None),
            ("", None),
            ("elery-task-meta-id", None),
        ] {
            assert_eq!(after(key.as_bytes(), RESULT_KEY), behind.map(str::as_bytes), "{key}");
        }
        assert!(after(b"/0.celeryev/worker.heartbeat", EVENTS).is_some());
        let queues =
            [("q", "q"), ("q\x06\x163", "q"), ("q\x06q\x06\x16", "q\x06q"), ("\x06", "\x06"), ("\x06\x16", "")];
        assert!(queues.iter().all(|(key, name)| queue(key.as_bytes()) == name.as_bytes()));
    }

    #[test]
    fn an_eta_is_read_with_and_without_an_offset() {
        let expected = Some(1_795_277_316_395);
        assert_eq!(instant("2026-11-21T16:08:36.395461+00:00"), expected);
        assert_eq!(instant("2026-11-21T17:08:36.395461+01:00"), expected);
        assert_eq!(instant("2026-11-21T16:08:36.395461"), expected);
        assert_eq!(instant("soon"), None);
    }

    #[test]
    fn a_heartbeat_is_read() {
        let body = STANDARD.encode(
            br#"{"hostname": "w1@vm", "utcoffset": 0, "pid": 7, "clock": 3, "freq": 2.0, "active": 2, "processed": 5,
                "loadavg": [0.1, 0.2, 0.3], "sw_ident": "py-celery", "timestamp": 1795277316.5, "type": "worker-heartbeat"}"#,
        );
        let message =
            format!(r#"{{"body": "{body}", "content-encoding": "utf-8", "headers": {{"hostname": "w1@vm"}}}}"#);
        let mut out = vec![];
        event(message.as_bytes(), &mut out);
        assert_eq!(out[1], JobEvent::Named { system: System::Celery, name: "w1@vm".into() });
        assert_eq!(
            out[2],
            JobEvent::Report(Report::Celery {
                pid: Some(7),
                active: Some(2),
                processed: Some(5),
                timestamp: Some(1_795_277_316_500),
                period: Some(2000),
            })
        );
    }
}
