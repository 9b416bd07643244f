//! What a queue is like. AMQP has no method to ask with, but the broker compares a declare with the queue that is there
//! and its refusal names the first thing that differs, and what it is.
//!
//! So a queue is declared of a type that does not exist: such a declare fits no queue and makes none. Measured on 3.10 and
//! 4.0: first it is compared whether the queue is durable, then whether it is auto-delete, then its arguments, in an order
//! that is not the same for each type, but in which `x-expires` and `x-single-active-consumer` always stand before
//! `x-queue-type`. What was learned is put into the next declare, until only the type differs: then nothing else is left.

use super::method;
use super::queues::{Kind, Known};
use crate::dialect::amqp::Attributes;
use amq_protocol::types::{AMQPValue, FieldTable, LongString};
use bytes::Bytes;

const EXPIRES: &str = "x-expires";
const SINGLE_ACTIVE: &str = "x-single-active-consumer";
const TYPE: &str = "x-queue-type";

/// What has been learned of a queue so far.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Guess {
    durable: bool,
    arguments: FieldTable,
}

/// What a refusal says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Likeness {
    /// To be asked again, with what was learned.
    Again(Guess),
    Known(Known),
    /// Refused for another reason, or in other words.
    Unreadable,
}

impl Default for Guess {
    fn default() -> Guess {
        Guess { durable: true, arguments: FieldTable::default() }
    }
}

impl Guess {
    /// The declare that is to be refused.
    pub(super) fn declare(&self, channel: u16, queue: &str) -> Bytes {
        let mut arguments = self.arguments.clone();
        arguments.insert(TYPE.into(), AMQPValue::LongString(LongString::from("?")));
        method::declare_like(channel, queue, self.durable, arguments)
    }

    /// `PRECONDITION_FAILED - inequivalent arg 'x-expires' for queue 'q' in vhost '/': received none but current is the
    /// value '600000' of type 'long'`
    pub(super) fn read(mut self, text: &[u8]) -> Likeness {
        const UNLIKE: &str = "PRECONDITION_FAILED - inequivalent arg '";
        // a long text is cut, maybe in the middle of a letter
        let text = String::from_utf8_lossy(text);
        if text.starts_with("PRECONDITION_FAILED - invalid arg 'x-queue-type'") {
            return Likeness::Known(Known::default()); // there is none: nothing can be lost
        }
        let Some((argument, rest)) = text.strip_prefix(UNLIKE).and_then(|rest| rest.split_once('\'')) else {
            return Likeness::Unreadable;
        };
        match argument {
            "durable" if self.durable => self.durable = false,
            "durable" => return Likeness::Unreadable,
            "auto_delete" => {
                let attributes = Attributes { auto_delete: true, ..Attributes::default() };
                return Likeness::Known(Known { attributes, ..Known::default() });
            }
            TYPE => return Likeness::Known(self.known(rest)),
            _ => match current(rest) {
                // the same twice: what was learned was not it
                Some(value) if !self.arguments.contains_key(argument) => {
                    self.arguments.insert(argument.into(), value);
                }
                _ => return Likeness::Unreadable,
            },
        }
        Likeness::Again(self)
    }

    /// Nothing but the type differs.
    fn known(&self, rest: &str) -> Known {
        let argument = |key: &str| self.arguments.inner().get(key);
        let expires = argument(EXPIRES);
        let attributes = Attributes {
            expires: expires.is_some(),
            single_active: matches!(argument(SINGLE_ACTIVE), Some(AMQPValue::Boolean(true))),
            ..Attributes::default()
        };
        let kind = match rest.rsplit_once("current is ").map(|(_, current)| current.trim_matches('\'')) {
            Some("none" | "classic") => Some(Kind::Classic), // 3.10 does not write the usual one down
            Some("quorum") => Some(Kind::Quorum),
            Some("stream") => Some(Kind::Stream),
            _ => None,
        };
        Known { attributes, expires: expires.and_then(method::unsigned), kind }
    }
}

/// An argument that the queue has and the declare had not.
fn current(rest: &str) -> Option<AMQPValue> {
    let (_, current) = rest.split_once("received none but current is the value '")?;
    let (value, kind) = current.strip_suffix('\'')?.rsplit_once("' of type '")?;
    Some(match kind {
        "longstr" => AMQPValue::LongString(LongString::from(value)),
        "bool" => AMQPValue::Boolean(value == "true"),
        // the broker does not tell the sizes of numbers apart
        _ => AMQPValue::LongLongInt(value.parse().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Word by word what RabbitMQ 3.10 and 4.0 said.
    fn refusal(argument: &str, rest: &str) -> String {
        format!("PRECONDITION_FAILED - inequivalent arg '{argument}' for queue 'q' in vhost '/': received {rest}")
    }

    fn again(guess: Guess, argument: &str, rest: &str) -> Guess {
        match guess.read(refusal(argument, rest).as_bytes()) {
            Likeness::Again(guess) => guess,
            other => panic!("{other:?}"),
        }
    }

    fn kind(rest: &str) -> Likeness {
        Guess::default().read(refusal(TYPE, rest).as_bytes())
    }

    #[test]
    fn the_type_alone_differs() {
        let plain = |kind| Likeness::Known(Known { kind, ..Known::default() });
        let (classic, stream) = (plain(Some(Kind::Classic)), plain(Some(Kind::Stream)));
        assert_eq!(kind("the value '?' of type 'longstr' but current is none"), classic, "3.10");
        assert_eq!(kind("'?' but current is 'classic'"), classic);
        assert_eq!(kind("'?' but current is 'stream'"), stream);
        assert_eq!(kind("the value '?' of type 'lon"), plain(None), "cut short: but only the type differs");
    }

    #[test]
    fn arguments_are_learned_one_by_one() {
        let guess = again(Guess::default(), "durable", "'true' but current is 'false'");
        let guess = again(guess, "x-dead-letter-exchange", "none but current is the value 'it's' of type 'longstr'");
        let guess = again(guess, EXPIRES, "none but current is the value '5000' of type 'signedint'");
        let guess = again(guess, SINGLE_ACTIVE, "none but current is the value 'true' of type 'bool'");
        let Likeness::Known(known) = guess.clone().read(refusal(TYPE, "'?' but current is 'quorum'").as_bytes()) else {
            panic!("not known");
        };
        let attributes = Attributes { expires: true, single_active: true, ..Attributes::default() };
        assert_eq!(known, Known { attributes, expires: Some(5_000), kind: Some(Kind::Quorum) });
        // what was learned goes into the next question
        let declare = guess.declare(7, "q");
        let has = |text: &[u8]| declare.windows(text.len()).any(|window| window == text);
        assert!(has(b"x-dead-letter-exchangeS\0\0\0\x04it's") && has(b"x-queue-typeS\0\0\0\x01?"));
        assert!(has(b"x-expiresl\0\0\0\0\0\0\x13\x88") && has(b"x-single-active-consumert\x01"));
    }

    #[test]
    fn what_cannot_be_read_is_not_guessed() {
        let read = |text: &str| Guess::default().read(text.as_bytes());
        for rest in ["none but current is the value 'cut off", "none but current is the value '1.5' of type 'float'"] {
            assert_eq!(read(&refusal("x-max-length", rest)), Likeness::Unreadable, "{rest}");
        }
        assert_eq!(read("PRECONDITION_FAILED - something else"), Likeness::Unreadable);
        let rest = "none but current is the value 'a' of type 'longstr'";
        let twice = again(Guess::default(), "x-overflow", rest).read(refusal("x-overflow", rest).as_bytes());
        assert_eq!(twice, Likeness::Unreadable, "it would be asked for ever");
        let absent = "PRECONDITION_FAILED - invalid arg 'x-queue-type' for queue 'q' in vhost '/': \"unsupported ..";
        assert_eq!(read(absent), Likeness::Known(Known::default()));
        let Likeness::Known(known) = read(&refusal("auto_delete", "'false' but current is 'true'")) else { panic!() };
        assert!(known.attributes.auto_delete);
    }
}
