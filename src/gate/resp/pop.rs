//! A command that takes something out of a key: which arguments are keys, where the time-out stands, what "nothing"
//! looks like.
//!
//! Only a well-formed command of the table becomes a [`Pop`]; the others go to the broker for its own error.

use super::empty::Empty;
use super::leaves::{Leaf, Leaves};
use super::table::{Form, ROWS, Row, SCRIPT, SCRIPT_CLAIMED, SCRIPT_MANY, Undo};
use crate::dialect::DueAnswer;
use bytes::Bytes;
use std::ops::Range;

/// Why a command whose name stands in the table is no [`Pop`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It reads what had been taken before.
    TakesNothing,
    /// Malformed, or of a form that the gate does not know: the broker decides.
    Unknown,
}

/// The client's own time-out of a blocking fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// 0: for ever.
    Forever,
    /// Milliseconds, at least 1.
    Ms(u64),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Timeout {
    pub(super) arg: usize,
    wait: Wait,
    /// Milliseconds on the wire (XREADGROUP) or seconds.
    pub(super) in_ms: bool,
}

/// A well-formed command that takes something out of a key.
#[derive(Clone, Debug)]
pub(crate) struct Pop {
    pub(super) row: &'static Row,
    /// The command as it came; empty if not as an array.
    pub(super) text: Bytes,
    pub(super) args: Vec<Bytes>,
    pub(super) keys: Range<usize>,
    pub(super) timeout: Option<Timeout>,
    counted: bool,
    /// XREADGROUP NOACK: what was read is pending nowhere.
    noack: bool,
}

/// Whether a command of this (lower-case) name can be a [`Pop`]: the names of [`ROWS`], as the compiler tells them apart
/// quickest.
pub(super) fn is_pop(name: &[u8]) -> bool {
    matches!(
        name,
        b"brpop"
            | b"blpop"
            | b"brpoplpush"
            | b"blmove"
            | b"bzpopmin"
            | b"bzpopmax"
            | b"blmpop"
            | b"bzmpop"
            | b"lpop"
            | b"rpop"
            | b"rpoplpush"
            | b"lmove"
            | b"lmpop"
            | b"zpopmin"
            | b"zpopmax"
            | b"zmpop"
            | b"spop"
            | b"xreadgroup"
            | b"xautoclaim"
            | b"xclaim"
    )
}

impl Pop {
    /// Reads a command, its name in lower case given.
    pub(super) fn read(name: &[u8], args: Vec<Bytes>, text: Bytes) -> Result<Pop, Unread> {
        let row = ROWS.iter().find(|r| r.name == name).ok_or(Unread::Unknown)?;
        if matches!(row.form, Form::ReadGroup) && !args.iter().any(|a| a.as_ref() == b">") {
            return Err(Unread::TakesNothing);
        }
        Pop::read_row(row, args, text).ok_or(Unread::Unknown)
    }

    fn read_row(row: &'static Row, args: Vec<Bytes>, text: Bytes) -> Option<Pop> {
        let n = args.len();
        let mut pop = Pop { row, text, args, keys: 1..2, timeout: None, counted: false, noack: false };
        match row.form {
            Form::KeysTimeout if n >= 3 => {
                pop.keys = 1..n - 1;
                pop.timeout = Some(pop.seconds(n - 1)?);
            }
            Form::PairTimeout if n == 4 => pop.timeout = Some(pop.seconds(3)?),
            Form::MoveTimeout if n == 6 && pop.is_side(3) && pop.is_side(4) => pop.timeout = Some(pop.seconds(5)?),
            Form::TimeoutCounted if n >= 5 => {
                pop.timeout = Some(pop.seconds(1)?);
                pop.read_counted(2)?;
            }
            Form::Counted if n >= 4 => pop.read_counted(1)?,
            Form::KeyCount if n == 2 => {}
            Form::KeyCount if n == 3 => {
                pop.integer(2).filter(|c| *c >= 0)?;
                pop.counted = true;
            }
            Form::Pair if n == 3 => {}
            Form::Move if n == 5 && pop.is_side(3) && pop.is_side(4) => {}
            Form::ReadGroup => pop.read_group()?,
            Form::Claim if n >= 6 => {}
            _ => return None,
        }
        Some(pop)
    }

    /// A script that takes due members out of a sorted set.
    pub(super) fn script(args: Vec<Bytes>, key: usize, answer: DueAnswer) -> Pop {
        Pop {
            row: match answer {
                DueAnswer::One => &SCRIPT,
                DueAnswer::Many => &SCRIPT_MANY,
                DueAnswer::Claimed => &SCRIPT_CLAIMED,
            },
            text: Bytes::new(),
            args,
            keys: key..key + 1,
            timeout: None,
            counted: false,
            noack: false,
        }
    }

    pub(crate) fn name(&self) -> &'static [u8] {
        self.row.name
    }

    pub(crate) fn keys(&self) -> &[Bytes] {
        &self.args[self.keys.clone()]
    }

    /// Where a move puts the element, if that is another list.
    pub(crate) fn destination(&self) -> Option<&Bytes> {
        self.args.get(2).filter(|to| self.row.undo == Undo::Move && Some(*to) != self.args.get(1))
    }

    /// All arguments, the name first.
    pub(crate) fn args(&self) -> &[Bytes] {
        &self.args
    }

    /// The client's own time-out; `None` for a command that answers at once.
    pub(super) fn wait(&self) -> Option<Wait> {
        self.timeout.map(|t| t.wait)
    }

    pub(crate) fn is_blocking(&self) -> bool {
        self.timeout.is_some()
    }

    /// Whether the time-out is in milliseconds on the wire, rather than in seconds.
    pub(super) fn waits_in_ms(&self) -> bool {
        self.timeout.is_some_and(|t| t.in_ms)
    }

    /// What "nothing" looks like.
    pub(super) fn empty(&self) -> Empty {
        if self.counted { self.row.empty_counted } else { self.row.empty }
    }

    /// Which leaf of the reply holds the first job's payload.
    pub(super) fn payload_leaf(&self) -> u32 {
        match self.row.form {
            Form::KeysTimeout | Form::TimeoutCounted | Form::Counted => 1,
            _ => 0,
        }
    }

    /// Whether the reply names the key that the element came from (as its first leaf).
    pub(super) fn reply_names_key(&self) -> bool {
        self.payload_leaf() == 1
    }

    /// Whether it takes entries of streams.
    pub(super) fn reads_entries(&self) -> bool {
        self.row.undo == Undo::Stays
    }

    /// Whether what was read stays with the broker for the group to claim.
    pub(super) fn stays_pending(&self) -> bool {
        self.row.undo == Undo::Stays && !self.noack
    }

    /// The leaves of a reply with several elements that hold payloads, after the first.
    pub(super) fn further_payloads<'a>(&self, leaves: &'a Leaves) -> Vec<Leaf<'a>> {
        let from = self.payload_leaf() as usize + 1;
        match (self.row.form, self.row.undo) {
            (Form::KeysTimeout, _) | (_, Undo::Stays) => vec![],
            // members and scores in turn
            (_, Undo::Scored | Undo::Claimed) => leaves.iter().skip(from + 1).step_by(2).collect(),
            _ => leaves.iter().skip(from).collect(),
        }
    }

    pub(super) fn undo(&self) -> Undo {
        self.row.undo
    }

    /// The argument behind the counted keys: `LEFT`, `RIGHT`, `MIN` or `MAX`.
    pub(super) fn side_word(&self) -> Option<&Bytes> {
        self.args.get(self.keys.end)
    }

    /// Whether a move takes from the left end, and whether it puts at the left end.
    pub(super) fn move_sides(&self) -> (bool, bool) {
        match self.row.form {
            Form::MoveTimeout | Form::Move => {
                (self.args[3].eq_ignore_ascii_case(b"left"), self.args[4].eq_ignore_ascii_case(b"left"))
            }
            // RPOPLPUSH and BRPOPLPUSH
            _ => (false, true),
        }
    }

    fn seconds(&self, arg: usize) -> Option<Timeout> {
        let text = std::str::from_utf8(&self.args[arg]).ok()?;
        let seconds: f64 = text.parse().ok()?;
        if !(0.0..=9e15).contains(&seconds) || text.starts_with(char::is_whitespace) {
            return None;
        }
        // Redis rounds up to whole milliseconds, so that a small time-out is not "for ever"
        let ms = (seconds * 1000.0).ceil() as u64;
        Some(Timeout { arg, wait: if ms == 0 { Wait::Forever } else { Wait::Ms(ms) }, in_ms: false })
    }

    fn integer(&self, arg: usize) -> Option<i64> {
        std::str::from_utf8(self.args.get(arg)?).ok()?.parse().ok()
    }

    fn is_side(&self, arg: usize) -> bool {
        let side = &self.args[arg];
        side.eq_ignore_ascii_case(b"left") || side.eq_ignore_ascii_case(b"right")
    }

    /// `numkeys key.. side [COUNT n]` from argument `at` on.
    fn read_counted(&mut self, at: usize) -> Option<()> {
        let keys = usize::try_from(self.integer(at)?).ok().filter(|n| *n > 0)?;
        let side = at.checked_add(1)?.checked_add(keys)?;
        let word = self.args.get(side)?;
        let sides: [&[u8]; 2] = if self.row.undo == Undo::Scored { [b"min", b"max"] } else { [b"left", b"right"] };
        if !sides.iter().any(|s| word.eq_ignore_ascii_case(s)) {
            return None;
        }
        self.keys = at + 1..side;
        match self.args.len() - side {
            1 => Some(()),
            3 if self.args[side + 1].eq_ignore_ascii_case(b"count") => {
                self.integer(side + 2).filter(|n| *n > 0).map(drop)
            }
            _ => None,
        }
    }

    /// XREADGROUP. Only a read of new entries (`>` for all streams) takes something.
    fn read_group(&mut self) -> Option<()> {
        let mut at = 1;
        loop {
            let word = self.args.get(at)?;
            if word.eq_ignore_ascii_case(b"group") {
                at += 3;
            } else if word.eq_ignore_ascii_case(b"count") || word.eq_ignore_ascii_case(b"claim") {
                self.integer(at + 1)?;
                at += 2;
            } else if word.eq_ignore_ascii_case(b"block") {
                let ms = u64::try_from(self.integer(at + 1)?).ok()?;
                let wait = if ms == 0 { Wait::Forever } else { Wait::Ms(ms) };
                self.timeout = Some(Timeout { arg: at + 1, wait, in_ms: true });
                at += 2;
            } else if word.eq_ignore_ascii_case(b"noack") {
                self.noack = true;
                at += 1;
            } else if word.eq_ignore_ascii_case(b"streams") {
                break;
            } else {
                return None;
            }
        }
        let rest = self.args.len() - at - 1;
        if rest == 0 || !rest.is_multiple_of(2) {
            return None;
        }
        self.keys = at + 1..at + 1 + rest / 2;
        self.args[self.keys.end..].iter().all(|id| id.as_ref() == b">").then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pop(line: &str) -> Result<Pop, Unread> {
        let args: Vec<Bytes> = line.split(' ').map(|a| Bytes::copy_from_slice(a.as_bytes())).collect();
        Pop::read(&args[0].to_ascii_lowercase(), args, Bytes::new())
    }

    #[test]
    fn well_formed_pops_are_read() {
        let brpop = pop("BRPOP a b 0.0001").expect("well-formed");
        assert_eq!((brpop.keys().len(), brpop.wait()), (2, Some(Wait::Ms(1))));
        assert_eq!(pop("blmove a b LEFT right 0").expect("well-formed").wait(), Some(Wait::Forever));
        assert_eq!(pop("blmpop 2.5 2 a b left COUNT 3").expect("well-formed").wait(), Some(Wait::Ms(2500)));
        let read = pop("xreadgroup GROUP g c COUNT 5 BLOCK 2000 NOACK STREAMS s t > >").expect("well-formed");
        assert_eq!((read.keys().len(), read.wait()), (2, Some(Wait::Ms(2000))));
        assert!(pop("xreadgroup BLOCK 0 GROUP g c STREAMS s >").is_ok());
        // Redis 8.4: entries that have been idle for too long come first
        assert!(pop("xreadgroup GROUP g c CLAIM 60000 STREAMS s >").is_ok());
        assert!(!pop("zmpop 1 z MIN").expect("well-formed").is_blocking());
        assert_eq!(pop("spop s 3").expect("well-formed").empty(), Empty::Set);
    }

    #[test]
    fn malformed_ones_are_left_to_the_broker() {
        for bad in [
            "brpop a",
            "brpop a x",
            "brpop a -1",
            "brpop a nan",
            "blmove a b up left 1",
            "blmpop 1 0 a left",
            "blmpop 1 2 a left",
            "lpop",
            "lpop a b",
            "lpop a -1",
            "lpop a 1 2",
            "zmpop 1 z LEFT",
            "xclaim a b c 1",
            "xreadgroup GROUP g c BLOCK x STREAMS s >",
            "lmpop 1 a left count 0",
            "xreadgroup GROUP g c STREAMS s t >",
            "xreadgroup GROUP g c STREAMS s t > 0",
            "rpoplpush a",
        ] {
            assert_eq!(pop(bad).expect_err(bad), Unread::Unknown);
        }
        assert_eq!(pop("xreadgroup GROUP g c STREAMS s 0").expect_err("a history"), Unread::TakesNothing);
    }
}
