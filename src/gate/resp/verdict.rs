//! How much of a command is wanted: decided by its name, the number of its arguments and the first of them.

use super::RespGate;
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
}

impl RespGate {
    /// How much of a command is wanted, by its name, the number of its arguments and the first of them.
    pub(super) fn verdict(&mut self, name: &[u8], argc: usize, first: Option<&[u8]>) -> Verdict {
        if is_pop(name) {
            return match first {
                Some(key) if argc == 2 && self.is_plain_pop(name, key) => Verdict::Stream,
                _ => Verdict::Whole,
            };
        }
        match name {
            b"multi" | b"exec" | b"discard" | b"hello" | b"auth" | b"reset" | b"quit" | b"client" | b"monitor"
            | b"sync" | b"psync" | b"xread" | b"wait" | b"waitaof" | b"replconf" => return Verdict::Whole,
            b"watch" if self.session.transaction.is_some() => return Verdict::Whole,
            b"lpush" if self.is_answer(argc, first) => return Verdict::Answer,
            b"subscribe" | b"psubscribe" | b"ssubscribe" | b"unsubscribe" | b"punsubscribe" | b"sunsubscribe" => {
                return Verdict::Pubsub;
            }
            _ => {}
        }
        if !self.memory.mixed && !matches!(name, b"ping" | b"select" | b"info" | b"command") {
            self.memory.mixed = true;
        }
        if is_script(name) {
            return Verdict::Whole;
        }
        // a command without arguments may be wanted, too
        if let Some(first) = first.or_else(|| (argc == 1).then_some(b"")) {
            return match dialect::interest(&self.memory, name, first) {
                Interest::None => Verdict::Stream,
                Interest::Tap => Verdict::Tap,
                Interest::Whole => Verdict::Whole,
            };
        }
        Verdict::Stream
    }
}

/// Scripts are judged by the shape of their arguments, however long their text is.
pub(super) fn is_script(name: &[u8]) -> bool {
    matches!(name, b"eval" | b"evalsha" | b"fcall")
}
