//! The gate's own question to a worker: which tasks have you in your hands? And where the answer is addressed to.
//!
//! It is put on one connection of the worker, as if its broker had delivered it there, and the answer goes to a key that
//! nobody else has: a nonce of this gate's life, the question's number and the list asked for. What comes there answers
//! this question and no other, and comes from the process that was asked.

/// What Celery's remote control tells, each by its command of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Waiting for their time.
    Scheduled,
    /// In the worker's memory, not started.
    Reserved,
    /// Being executed.
    Active,
    /// No tasks in hand, but the names of those that it knows and begins in a way of their own, which stand in none of the
    /// other lists and are acknowledged at their start (celery-batches). They are the same for as long as it lives.
    Registered,
}

impl List {
    /// What is to be asked: what runs, or `all` that is in its hands; and what it knows (`registered`). Tasks go from one
    /// list to the next: asked in this order, none slips through.
    pub fn of(all: bool, registered: bool) -> &'static [List] {
        use List::{Active, Registered, Reserved, Scheduled};
        match (all, registered) {
            (false, false) => &[Active],
            (false, true) => &[Registered, Active],
            (true, false) => &[Scheduled, Reserved, Active],
            (true, true) => &[Registered, Scheduled, Reserved, Active],
        }
    }

    /// The command of remote control.
    pub fn command(self) -> &'static str {
        match self {
            List::Scheduled => "scheduled",
            List::Reserved => "reserved",
            List::Active => "active",
            List::Registered => "registered",
        }
    }

    fn letter(self) -> u8 {
        match self {
            List::Scheduled => b's',
            List::Reserved => b'r',
            List::Active => b'a',
            List::Registered => b't',
        }
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The gate's, see [`Question::address`].
    pub nonce: u64,
    /// No other question of this gate has it.
    pub number: u64,
    /// What is asked for, in this order.
    pub lists: &'static [List],
}

/// A part of the answer to a [`Question`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The question's.
    pub number: u64,
    /// Which list it is.
    pub list: List,
    /// The ids (of [`List::Registered`] the names) of the tasks in it; `None` if it was too long to be read, or is
    /// something else.
    pub tasks: Option<Vec<String>>,
}

/// So much of an answer is read, in bytes.
pub const ANSWER_MAX: usize = 256 * 1024;

/// What every address begins with.
const BEGINNING: &str = "draingate.answer.";
/// The length of every address: the beginning, two numbers of 16 digits with a dot behind each, and a letter.
const LENGTH: usize = BEGINNING.len() + 2 * 17 + 1;

impl Question {
    /// Where the answer about a list goes to: a key in Redis, a routing key in RabbitMQ.
    pub fn address(&self, list: List) -> String {
        format!("{BEGINNING}{:016x}.{:016x}.{}", self.nonce, self.number, char::from(list.letter()))
    }
}

/// The question's number and the list, if something goes to an address of this gate's. A client may put a prefix before
/// its keys.
#[inline]
pub fn addressed(nonce: u64, key: &[u8]) -> Option<(u64, List)> {
    let address = key.get(key.len().checked_sub(LENGTH)?..)?;
    let numbers = address.strip_prefix(BEGINNING.as_bytes())?;
    let number = |digits: &[u8]| u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    let list = List::of(true, true).iter().find(|list| list.letter() == numbers[34])?;
    let own = number(&numbers[..16])? == nonce && numbers[16] == b'.' && numbers[33] == b'.';
    own.then_some((number(&numbers[17..33])?, *list))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_known_by_this_gate_and_by_no_other() {
        for list in List::of(true, true).iter().copied() {
            let address = Question { nonce: u64::MAX - 1, number: 7, lists: &[] }.address(list);
            assert_eq!(addressed(u64::MAX - 1, address.as_bytes()), Some((7, list)), "{address}");
            assert_eq!(addressed(u64::MAX - 1, format!("{{p}}:{address}").as_bytes()), Some((7, list)));
            assert_eq!(addressed(1, address.as_bytes()), None, "another gate's");
            assert_eq!(addressed(u64::MAX - 1, &address.as_bytes()[1..]), None);
            assert_eq!(addressed(u64::MAX - 1, format!("{address}\x06\x163").as_bytes()), None);
        }
        assert_eq!(addressed(0, b"celery"), None);
        assert_eq!(addressed(0, b""), None);
    }
}
