//! How much of a command is wanted: decided by its name, the number of its arguments and the first of them.

use super::RespGate;
use super::footing::Footing;
use super::pop::is_pop;
use crate::dialect::{self, Interest};

/// What to do with the command at the start of the input.
pub(super) enum Verdict {
    /// Forward it as it streams.
    Stream,
    /// The same, and keep the beginning of its arguments.
    Tap,
    /// Forward it as it streams; each of its arguments has a confirmation.
    Pubsub,
    /// Keep it: it answers a question of the gate's own.
    Answer,
    /// Wait for all of it.
    Whole,
    /// Not yet: it is judged when all replies before it have come.
    Wait,
}

/// A command's name in lower case.
#[derive(Clone, Copy)]
pub(super) struct Name<'a> {
    text: &'a [u8],
    /// The same as a number, the first letter lowest: a whole list of names is told apart by a few comparisons. 0 if it has
    /// more than eight letters.
    word: u64,
}

impl<'a> Name<'a> {
    pub(super) fn of(text: &'a [u8]) -> Name<'a> {
        let mut word = [0; 8];
        if let Some(room) = word.get_mut(..text.len()) {
            room.copy_from_slice(text);
        }
        Name::of_word(text, u64::from_le_bytes(word))
    }

    /// The same if eight letters are at hand with which the name begins, whatever follows it.
    #[inline(always)]
    pub(super) fn of_word(text: &'a [u8], word: u64) -> Name<'a> {
        let word = match text.len() {
            // a NUL at the end would be lost
            length @ 1..=8 if text[length - 1] != 0 => word & (u64::MAX >> (64 - 8 * length)),
            _ => 0,
        };
        Name { text, word }
    }
}

/// What is known of a command by its name alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// See [`is_pop`].
    Pop,
    /// It may change the session, or waits.
    Session,
    Watch,
    LPush,
    Pubsub,
    Script,
    /// It can take something out of a key without saying what, or whether it is for a job.
    Takes,
    /// It says nothing of what the connection is for.
    Quiet,
    /// One of the many of which no dialect wants to know.
    Plain,
    /// The dialects know, asked in a hurry.
    Set,
    /// The dialects know.
    Other,
}

const fn word(name: &str) -> u64 {
    let (name, mut word) = (name.as_bytes(), 0);
    assert!(name.len() <= 8, "it does not fit");
    let mut at = name.len();
    while at > 0 {
        at -= 1;
        word = word << 8 | name[at].to_ascii_lowercase() as u64;
    }
    word
}

macro_rules! words {
    ($($name:ident)*) => { $(const $name: u64 = word(stringify!($name));)* };
}

words! {
    BRPOP BLPOP BLMOVE BZPOPMIN BZPOPMAX BLMPOP BZMPOP LPOP RPOP LMOVE LMPOP ZPOPMIN ZPOPMAX ZMPOP SPOP XCLAIM
    MULTI EXEC DISCARD HELLO AUTH RESET CLIENT MONITOR SYNC PSYNC XREAD WAIT WAITAOF REPLCONF
    WATCH LPUSH EVAL EVALSHA FCALL RENAME RENAMENX ZREM PING SELECT INFO COMMAND QUIT
    GET SET MGET INCR INCRBY EXPIRE TTL STRLEN HGET HGETALL HMGET HINCRBY HLEN LLEN LRANGE LTRIM LINDEX
    SCARD SMEMBERS ZADD ZCARD ZSCORE ZRANGE ZCOUNT XADD XLEN
}

#[rustfmt::skip]
fn kind(name: Name<'_>) -> Kind {
    match name.word {
        0 => long_kind(name.text),
        BRPOP | BLPOP | BLMOVE | BZPOPMIN | BZPOPMAX | BLMPOP | BZMPOP | LPOP | RPOP | LMOVE | LMPOP | ZPOPMIN | ZPOPMAX
        | ZMPOP | SPOP | XCLAIM => Kind::Pop,
        MULTI | EXEC | DISCARD | HELLO | AUTH | RESET | CLIENT | MONITOR | SYNC | PSYNC | XREAD | WAIT | WAITAOF
        | REPLCONF => Kind::Session,
        WATCH => Kind::Watch,
        LPUSH => Kind::LPush,
        EVAL | EVALSHA | FCALL => Kind::Script,
        LTRIM | RENAME | RENAMENX | ZREM => Kind::Takes,
        PING | SELECT | INFO | COMMAND | QUIT => Kind::Quiet,
        GET | MGET | INCR | INCRBY | EXPIRE | TTL | STRLEN | HGET | HGETALL | HMGET | HINCRBY | HLEN | LLEN | LRANGE
        | LINDEX | SCARD | SMEMBERS | ZADD | ZCARD | ZSCORE | ZRANGE | ZCOUNT | XADD | XLEN => Kind::Plain,
        SET => Kind::Set,
        _ => Kind::Other,
    }
}

fn long_kind(name: &[u8]) -> Kind {
    match name {
        b"subscribe" | b"psubscribe" | b"ssubscribe" | b"unsubscribe" | b"punsubscribe" | b"sunsubscribe" => {
            Kind::Pubsub
        }
        b"zremrangebyscore" | b"zremrangebyrank" | b"zremrangebylex" => Kind::Takes,
        name if is_pop(name) => Kind::Pop,
        _ => Kind::Other,
    }
}

impl RespGate {
    /// How much of a command is wanted, by its name, the number of its arguments and the first of them.
    pub(super) fn verdict(&mut self, name: Name<'_>, argc: usize, first: Option<&[u8]>) -> Verdict {
        let kind = kind(name);
        match kind {
            Kind::Pop => {
                return match first {
                    Some(key) if argc == 2 && self.is_plain_pop(name.text, key) => Verdict::Stream,
                    _ => Verdict::Whole,
                };
            }
            Kind::Session | Kind::Pubsub => {
                return match self.footing(name.text) {
                    Footing::Unsure => Verdict::Wait,
                    Footing::Refused => Verdict::Stream,
                    Footing::Sure if kind == Kind::Pubsub => Verdict::Pubsub,
                    Footing::Sure => Verdict::Whole,
                };
            }
            Kind::Watch if self.session.transaction.is_some() => return Verdict::Whole,
            Kind::LPush if self.is_answer(argc, first) => return Verdict::Answer,
            // a part of it alone tells of a worker that has just begun
            Kind::Quiet if name.word == INFO && argc == 2 => {}
            Kind::Quiet => return Verdict::Stream,
            Kind::Takes if self.takes_declared(first) => return Verdict::Whole,
            _ => self.memory.mixed = true,
        }
        match kind {
            Kind::Script => return Verdict::Whole,
            Kind::Plain => return Verdict::Stream,
            _ => {}
        }
        // a command without arguments may be wanted, too
        let Some(first) = first.or_else(|| (argc == 1).then_some(b"")) else { return Verdict::Stream };
        let interest = match kind {
            Kind::Set => dialect::interest_in_set(&self.memory, first),
            _ => dialect::interest(&self.memory, name.text, first),
        };
        match interest {
            Interest::None => Verdict::Stream,
            Interest::Tap => Verdict::Tap,
            Interest::Whole => Verdict::Whole,
        }
    }
}

/// Whether a command can take something out of its first key without saying what, or whether it is for a job.
pub(super) fn is_taking(name: &[u8]) -> bool {
    kind(Name::of(name)) == Kind::Takes
}

/// Scripts are judged by the shape of their arguments, however long their text is.
pub(super) fn is_script(name: &[u8]) -> bool {
    matches!(name, b"eval" | b"evalsha" | b"fcall")
}

#[cfg(test)]
mod tests {
    use super::super::table::ROWS;
    use super::*;

    const PLAIN: &str = "get mget incr incrby expire ttl strlen hget hgetall hmget hincrby hlen llen lrange lindex \
                         scard smembers zadd zcard zscore zrange zcount xadd xlen";

    fn of(name: &str) -> Kind {
        kind(Name::of(name.as_bytes()))
    }

    #[test]
    fn each_name_is_of_the_kind_that_it_says() {
        for (kind, names) in [
            (
                Kind::Session,
                "multi exec discard hello auth reset client monitor sync psync xread wait waitaof replconf",
            ),
            (Kind::Watch, "watch"),
            (Kind::LPush, "lpush"),
            (Kind::Pubsub, "subscribe psubscribe ssubscribe unsubscribe punsubscribe sunsubscribe"),
            (Kind::Script, "eval evalsha fcall"),
            (Kind::Takes, "ltrim rename renamenx zrem"),
            (Kind::Quiet, "ping select info command quit"),
            (Kind::Plain, PLAIN),
            (Kind::Set, "set"),
            (Kind::Other, "setex hdel hset publish sadd rpush del gets ge eval_ro xreadgroups brpo brpopx"),
        ] {
            for name in names.split(' ') {
                assert_eq!(of(name), kind, "{name}");
                // what is nearly so is not so
                for other in [format!("{name}\0"), format!("\0{name}"), format!("{name} "), name.to_uppercase()] {
                    assert_eq!(of(&other), Kind::Other, "{other:?}");
                }
                assert_eq!(is_script(name.as_bytes()), kind == Kind::Script);
            }
        }
        assert!(ROWS.iter().all(|row| kind(Name::of(row.name)) == Kind::Pop && is_pop(row.name)));
        assert_eq!((of(""), of("\0\0")), (Kind::Other, Kind::Other));
    }

    #[test]
    fn what_follows_a_name_says_nothing_of_it() {
        for name in ["get", "zpopmin", "bzpopmin", "replconf", "xx", ""] {
            let mut word = *b"\xff\xff\xff\xff\xff\xff\xff\xff";
            word[..name.len()].copy_from_slice(name.as_bytes());
            let with_more = Name::of_word(name.as_bytes(), u64::from_le_bytes(word));
            assert_eq!(with_more.word, Name::of(name.as_bytes()).word, "{name}");
        }
    }

    #[test]
    fn no_dialect_wants_what_passes_unasked() {
        for name in PLAIN.split(' ').chain(["ping", "select", "command", "quit"]) {
            assert!(!dialect::is_told(name.as_bytes()), "{name}");
        }
    }
}
