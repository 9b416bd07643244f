//! The drains in Redis: they outlive the gate's container. One hash has them, and a second key says which gate they belong
//! to; it runs out unless that gate renews it, so that what a dead gate leaves can be taken over.
//!
//! ```text
//! open ──claimed──▶ ours ──renewed, saved: as long as nobody else has claimed them since──▶ ours
//!  │ └─ another has them: waits until its claim has run out; one that is renewed is a gate that runs: refused
//!  └─ cannot be claimed, and --ignore-state ──▶ due ──claimed later, what is there set aside──▶ ours
//! ```
//!
//! Every write asks in the same step whether the drains are still ours. Who has claimed last has them: a gate that comes
//! back from a long absence finds its successor's name and writes nothing any more. A Redis that has come back with less
//! than it was given (or with nothing) has no later claim in it, and is given all of it again.

use super::StoreError;
use crate::config::StateInRedis;
use crate::redis_server::{Connection, late};
use redis::{Cmd, FromRedisValue, Value};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a claim lasts that is not renewed: a gate elsewhere waits that long for what a killed one has left.
const CLAIM: Duration = Duration::from_secs(10);
/// Between two renewals.
pub(super) const RENEWAL: Duration = Duration::from_secs(3);
/// A Redis that has not answered is not asked again for so long: who was waiting behind that need not wait as well.
const SILENCE: Duration = Duration::from_secs(1);
/// Between two looks at another gate's claim.
const LOOK: Duration = Duration::from_millis(200);

/// KEYS: the drains, their owner, where to set aside. ARGV: the token, milliseconds, a token of the same gate's that died,
/// `1` to set aside. Returns since when they are ours (later than any claim before, whatever the clock does), who had them
/// last, and the drains; or for how long another has them.
const TAKE: &str = "
local owner = redis.call('GET', KEYS[2])
if owner and owner ~= ARGV[1] and owner ~= ARGV[3] then return redis.call('PTTL', KEYS[2]) end
if ARGV[4] == '1' and owner ~= ARGV[1] and redis.call('EXISTS', KEYS[1]) == 1 then redis.call('RENAME', KEYS[1], KEYS[3]) end
local found = redis.call('HMGET', KEYS[1], 'gate', 'drains', 'since')
local time = redis.call('TIME')
local since = math.max(time[1] * 1000000 + time[2], (tonumber(found[3] or 0) or 0) + 1)
since = string.format('%.0f', since)
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
redis.call('HSET', KEYS[1], 'gate', ARGV[1], 'since', since, 'saved', 0)
return {since, found[1], found[2]}";

/// Puts a script behind the question whether the drains are ours, and renews the claim. KEYS: the drains, their owner.
/// ARGV: the token, milliseconds, since when they are ours, the number of what was saved last or is saved.
macro_rules! as_owner {
    ($then:literal) => {
        concat!(
            "
local owner = redis.call('GET', KEYS[2])
local gate, since = unpack(redis.call('HMGET', KEYS[1], 'gate', 'since'))
local later = gate and gate ~= ARGV[1] and (tonumber(since or 0) or 0) >= tonumber(ARGV[3])
if later or (owner and owner ~= ARGV[1]) then return 'other' end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
if gate ~= ARGV[1] then redis.call('HSET', KEYS[1], 'gate', ARGV[1], 'since', ARGV[3], 'saved', -1) end
local saved = redis.call('HGET', KEYS[1], 'saved')
",
            $then
        )
    };
}

const KEEP: &str = as_owner!("return saved == ARGV[4] and 'kept' or 'forgotten'");
/// What arrives late, behind something newer, changes nothing.
const SAVE: &str = as_owner!(
    "if tonumber(saved or -1) < tonumber(ARGV[4]) then
  redis.call('HSET', KEYS[1], 'saved', ARGV[4], 'drains', ARGV[5])
end
return 'kept'"
);
/// KEYS: the owner. ARGV: the token.
const LEAVE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end return 'kept'";

/// See the module.
pub(super) struct DrainsInRedis {
    place: StateInRedis,
    /// Of this life of the gate.
    token: String,
    inner: Mutex<Inner>,
}

struct Inner {
    connection: Option<Connection>,
    /// When Redis has not answered, if that was the last time.
    silent: Option<Instant>,
    claim: Claim,
    /// Counts what was to be saved since the claim. One that was not confirmed may still arrive, behind the next.
    sent: u64,
    /// Of these, the last that was confirmed.
    saved: u64,
}

/// Whether the drains are this gate's.
enum Claim {
    /// Not yet. What is there will be set aside.
    Due,
    /// Since this time by the clock of Redis, in microseconds.
    Since(String),
    /// Not any more: the gate is leaving.
    Left,
}

/// What was there when the drains were claimed.
#[derive(Default)]
pub(super) struct Found {
    /// The token of who had them before.
    pub(super) gate: Option<String>,
    /// The drains themselves.
    pub(super) drains: Option<String>,
}

/// How a claim went.
enum Taken {
    Ours(Found),
    /// Another has them, and this is left of its claim.
    Others(Duration),
}

/// What a renewal has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// What was saved last.
    Whole,
    /// Something older, or nothing: it has to be saved again.
    Less,
}

impl DrainsInRedis {
    /// Claims the drains. `former`: the token of a gate that is known to be dead. With `ignore_state` what is there is set
    /// aside, now or when it can be reached: then nothing is found.
    pub(super) fn open(
        place: &StateInRedis,
        former: Option<&str>,
        ignore_state: bool,
    ) -> Result<(DrainsInRedis, Found), StoreError> {
        let inner = Inner { connection: None, silent: None, claim: Claim::Due, sent: 0, saved: 0 };
        let drains = DrainsInRedis { place: place.clone(), token: token(), inner: Mutex::new(inner) };
        let mut inner = drains.lock();
        let taken = drains.take_in_time(&mut inner, former, ignore_state);
        drop(inner);
        match taken {
            Ok(Taken::Ours(found)) => Ok((drains, found)),
            Ok(Taken::Others(_)) => Err(StoreError::Taken {
                place: place.to_string(),
                instead: "a key of its own (?key= behind state.url)",
            }),
            Err(error) if ignore_state => {
                let place = place.to_string();
                tracing::error!(place, %error, "the saved drains are ignored, and none can be made until Redis can be used");
                Ok((drains, Found::default()))
            }
            Err(error) => Err(StoreError::Corrupt { place: place.to_string(), what: format!("drains: {error}") }),
        }
    }

    /// Where they are, without a password.
    pub(super) fn place(&self) -> String {
        self.place.to_string()
    }

    /// The token of this life of the gate, if the drains are its.
    pub(super) fn claimed(&self) -> Option<&str> {
        matches!(self.lock().claim, Claim::Since(_)).then_some(&self.token)
    }

    /// Replaces the drains: Redis has confirmed it when this returns. If it fails Redis may have them all the same; then they
    /// are there until the next time.
    pub(super) fn save(&self, text: &str) -> io::Result<()> {
        let mut inner = self.lock();
        inner.sent += 1;
        let number = inner.sent;
        self.as_owner(&mut inner, SAVE, number, Some(text))?;
        inner.saved = number;
        Ok(())
    }

    /// Renews the claim, and looks whether Redis still has what was saved.
    pub(super) fn renew(&self) -> io::Result<Kept> {
        let mut inner = self.lock();
        let number = inner.saved;
        self.as_owner(&mut inner, KEEP, number, None)
    }

    /// Lets another gate have the drains at once.
    pub(super) fn leave(&self) {
        let mut inner = self.lock();
        if let Claim::Since(_) = std::mem::replace(&mut inner.claim, Claim::Left) {
            let mut leave = redis::cmd("EVAL");
            leave.arg(LEAVE).arg(1).arg(self.owner_key()).arg(&self.token);
            // a claim that stays runs out by itself
            let _ = self.ask::<Value>(&mut inner, &leave);
        }
    }

    /// Tries until another's claim has run out, or has been renewed.
    fn take_in_time(&self, inner: &mut Inner, former: Option<&str>, aside: bool) -> io::Result<Taken> {
        let end = Instant::now() + CLAIM;
        let mut before: Option<Duration> = None;
        loop {
            let taken = self.take(inner, former, aside)?;
            let Taken::Others(left) = taken else { return Ok(taken) };
            if left > before.unwrap_or(CLAIM) || Instant::now() > end {
                return Ok(taken);
            }
            if before.replace(left).is_none() {
                let place = self.place();
                tracing::info!(place, ?left, "another gate has the drains, or had them when it was killed: waiting");
            }
            sleep(LOOK);
        }
    }

    fn take(&self, inner: &mut Inner, former: Option<&str>, aside: bool) -> io::Result<Taken> {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let aside_key = format!("{{{}}}:ignored-{seconds}", self.place.key);
        let mut take = redis::cmd("EVAL");
        take.arg(TAKE).arg(3).arg(&self.place.key).arg(self.owner_key()).arg(aside_key);
        take.arg(&self.token).arg(millis(CLAIM)).arg(former.unwrap_or_default()).arg(u8::from(aside));
        match self.ask::<Value>(inner, &take)? {
            // without an end: not of a gate's making
            Value::Int(-1) => Ok(Taken::Others(Duration::MAX)),
            Value::Int(left) => Ok(Taken::Others(Duration::from_millis(u64::try_from(left).unwrap_or(0)))),
            reply => {
                let (since, gate, drains) = FromRedisValue::from_redis_value(reply).map_err(io::Error::other)?;
                inner.claim = Claim::Since(since);
                Ok(Taken::Ours(Found { gate, drains }))
            }
        }
    }

    /// Runs a script that asks whether the drains are ours.
    fn as_owner(&self, inner: &mut Inner, script: &str, number: u64, text: Option<&str>) -> io::Result<Kept> {
        let was_due = matches!(inner.claim, Claim::Due);
        if was_due && let Taken::Others(_) = self.take(inner, None, true)? {
            return Err(io::Error::other("they belong to another gate"));
        }
        let Claim::Since(since) = &inner.claim else { return Err(io::Error::other("the gate is leaving")) };
        let mut ask = redis::cmd("EVAL");
        ask.arg(script).arg(2).arg(&self.place.key).arg(self.owner_key());
        ask.arg(&self.token).arg(millis(CLAIM)).arg(since).arg(number).arg(text);
        match self.ask::<String>(inner, &ask)?.as_str() {
            "kept" if !was_due || text.is_some() => Ok(Kept::Whole),
            "kept" | "forgotten" => Ok(Kept::Less),
            _ => {
                Err(io::Error::other("another gate has taken them over: this one has to be started anew to have them"))
            }
        }
    }

    fn ask<T: FromRedisValue>(&self, inner: &mut Inner, command: &Cmd) -> io::Result<T> {
        if inner.silent.is_some_and(|at| at.elapsed() < SILENCE) {
            return Err(late());
        }
        let reply = self.ask_now(inner, command);
        let silent = matches!(&reply, Err(error) if error.kind() == io::ErrorKind::TimedOut);
        inner.silent = silent.then(Instant::now);
        reply
    }

    /// A connection that was there may have ended meanwhile: then another one is made.
    fn ask_now<T: FromRedisValue>(&self, inner: &mut Inner, command: &Cmd) -> io::Result<T> {
        if let Some(mut connection) = inner.connection.take() {
            match connection.ask(command) {
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(error),
                Err(_) => (),
                Ok(reply) => {
                    inner.connection = Some(connection);
                    return Ok(reply);
                }
            }
        }
        let mut connection = Connection::open(&self.place.server, self.place.database)?;
        let reply = connection.ask(command)?;
        inner.connection = Some(connection);
        Ok(reply)
    }

    /// In the slot of the drains, should Redis be a cluster of one.
    fn owner_key(&self) -> String {
        format!("{{{}}}:owner", self.place.key)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A gate that could not start, or has not said that it leaves, must not make the next one wait.
impl Drop for DrainsInRedis {
    fn drop(&mut self) {
        self.leave();
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Nobody else's, ever.
fn token() -> String {
    let random = || RandomState::new().hash_one(SystemTime::now());
    format!("{:016x}{:016x}", random(), random())
}
