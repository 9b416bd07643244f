//! Scenarios of Redis.

use crate::celery;
use crate::resp::{bulk, command, words};
use crate::scenario::{Scenario, Turn};
use draingate::job::{Protocol, System};

/// What is read at once.
const READ: usize = 32 * 1024;

/// All of them.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let value = vec![b'x'; 64];
    let set = command(&[b"SET", b"key:000000000042", &value]);
    let get = words("GET key:000000000042");
    let push = command(&[b"LPUSH", b"mylist", &value]);
    let pop = words("RPOP mylist");
    let pipeline = |bytes: &[u8]| bytes.repeat(16);
    vec![
        passing("redis set p1", 1, &set, b"+OK\r\n"),
        passing("redis set p16", 16, &pipeline(&set), &pipeline(b"+OK\r\n")),
        passing("redis get p1", 1, &get, &bulk(&value)),
        passing("redis get p16", 16, &pipeline(&get), &pipeline(&bulk(&value))),
        passing(
            "redis lpush rpop p16",
            32,
            &pipeline(&[push, pop].concat()),
            &pipeline(&[&b":1\r\n"[..], &bulk(&value)].concat()),
        ),
        large("redis set 1 MB", true),
        large("redis get 1 MB", false),
        Scenario {
            system: System::Sidekiq,
            ..passing("redis brpop empty", 1, &words("brpop queue:default 2"), b"*-1\r\n")
        },
        celery_worker(),
        celery_child(),
        popper(),
    ]
}

fn plain(name: &'static str, units: u64, cycle: Vec<Turn>) -> Scenario {
    Scenario {
        name,
        protocol: Protocol::Redis,
        system: System::Unknown,
        before: Vec::new(),
        cycle,
        units,
        tags: 0,
        whole: false,
    }
}

/// One read of commands, one of their replies.
fn passing(name: &'static str, units: u64, commands: &[u8], replies: &[u8]) -> Scenario {
    plain(name, units, vec![Turn::client(commands), Turn::broker(replies)])
}

/// A value that comes in many reads.
fn large(name: &'static str, set: bool) -> Scenario {
    let value = vec![b'x'; 1 << 20];
    let cycle = match set {
        true => {
            let bytes = command(&[b"SET", b"large", &value]);
            bytes.chunks(READ).map(Turn::client).chain([Turn::broker(b"+OK\r\n")]).collect()
        }
        false => {
            [Turn::client(words("GET large"))].into_iter().chain(bulk(&value).chunks(READ).map(Turn::broker)).collect()
        }
    };
    plain(name, 1, cycle)
}

/// A fetch of Celery's from a queue and its priorities.
pub fn celery_fetch(queue: &str) -> Vec<u8> {
    let key = |priority: &str| format!("{queue}{priority}").into_bytes();
    let keys = ["", "\x06\x163", "\x06\x166", "\x06\x169"].map(key);
    command(&[b"BRPOP", &keys[0], &keys[1], &keys[2], &keys[3], b"1"])
}

/// The transaction that enters a delivery into `unacked`.
pub fn celery_kept(envelope: &str) -> Vec<u8> {
    let tag = celery::TAG.as_bytes();
    let kept = [
        words("MULTI"),
        command(&[b"ZADD", b"unacked_index", b"1795000000.25", tag]),
        command(&[b"HSET", b"unacked", tag, envelope.as_bytes()]),
        words("EXEC"),
    ];
    kept.concat()
}

/// The transaction that acknowledges it.
pub fn celery_acked() -> Vec<u8> {
    let tag = celery::TAG.as_bytes();
    let acked = [words("MULTI"), command(&[b"ZREM", b"unacked_index", tag]), command(&[b"HDEL", b"unacked", tag])];
    [acked.concat(), words("EXEC")].concat()
}

/// A child's look for a result, and the transaction that stores one.
pub fn celery_result() -> Vec<u8> {
    let key = format!("celery-task-meta-{}", celery::ID);
    let result = celery::result();
    let stored = [
        command(&[b"GET", key.as_bytes()]),
        words("MULTI"),
        command(&[b"SETEX", key.as_bytes(), b"86400", result.as_bytes()]),
        command(&[b"PUBLISH", key.as_bytes(), result.as_bytes()]),
        words("EXEC"),
    ];
    stored.concat()
}

/// A consumer of whom nobody knows the job system: each fetch says that the job before is over.
fn popper() -> Scenario {
    let cycle = vec![Turn::client(words("BRPOP jobs 1")), Turn::broker(command(&[b"jobs", &[b'x'; 100]]))];
    Scenario { whole: true, tags: 1, ..plain("redis job path brpop", 1, cycle) }
}

/// A fetch, the job, its entry into `unacked`, and its early ack: all on one connection.
fn celery_worker() -> Scenario {
    let envelope = celery::envelope("W1s1LCA1XSwge30sIHsiY2FsbGJhY2tzIjogbnVsbH1d", 84);
    let done = b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:1\r\n";
    let cycle = vec![
        Turn::client(celery_fetch("celery")),
        Turn::broker(command(&[b"celery", envelope.as_bytes()])),
        Turn::client(celery_kept(&envelope)),
        Turn::broker(&done[..]),
        Turn::client(celery_acked()),
        Turn::broker(&done[..]),
    ];
    Scenario { system: System::Celery, ..plain("redis celery brpop ack", 9, cycle) }
}

/// A result, and a heartbeat.
fn celery_child() -> Scenario {
    let cycle = vec![
        Turn::client(celery_result()),
        Turn::broker(&b"$-1\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:0\r\n"[..]),
        Turn::client(command(&[b"PUBLISH", b"/0.celeryev/worker.heartbeat", celery::beat(0, 1, 5).as_bytes()])),
        Turn::broker(&b":1\r\n"[..]),
    ];
    Scenario { system: System::Celery, ..plain("redis celery result heartbeat", 6, cycle) }
}
