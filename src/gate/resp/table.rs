//! The table of commands that can take something out of a key. A new command is a row in [`ROWS`].

use super::empty::Empty;

/// Where the keys are, and with them the form of the rest.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// `BRPOP key.. timeout`
    KeysTimeout,
    /// `BRPOPLPUSH source destination timeout`
    PairTimeout,
    /// `BLMOVE source destination from to timeout`
    MoveTimeout,
    /// `BLMPOP timeout numkeys key.. side [COUNT n]`
    TimeoutCounted,
    /// `LMPOP numkeys key.. side [COUNT n]`
    Counted,
    /// `LPOP key [count]`
    KeyCount,
    /// `RPOPLPUSH source destination`
    Pair,
    /// `LMOVE source destination from to`
    Move,
    /// `XREADGROUP GROUP g c [COUNT n] [BLOCK ms] [NOACK] STREAMS key.. id..`
    ReadGroup,
    /// `XAUTOCLAIM key group consumer min-idle start ..`, `XCLAIM key group consumer min-idle id ..`
    Claim,
}

/// How an element goes back to where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Undo {
    /// Push at the left end (it was popped there).
    Left,
    /// Push at the right end.
    Right,
    /// Out of the destination again, and back to the side given by the command.
    Move,
    /// Members with their scores.
    Scored,
    /// Set members.
    Members,
    /// The side is an argument of the command.
    Side,
    /// A stream's group keeps what was read: it is pending there and can be claimed.
    Stays,
    /// A member that a script took out of the sorted set of due jobs: back in, due now.
    Due,
    /// Members that are still there, with a later score: they get back the one that they had.
    Claimed,
}

pub(super) struct Row {
    pub(super) name: &'static [u8],
    pub(super) form: Form,
    pub(super) undo: Undo,
    pub(super) empty: Empty,
    /// The shape of "nothing" when a count was given.
    pub(super) empty_counted: Empty,
}

const fn row(name: &'static [u8], form: Form, undo: Undo, empty: Empty, empty_counted: Empty) -> Row {
    Row { name, form, undo, empty, empty_counted }
}

#[rustfmt::skip]
pub(super) static ROWS: &[Row] = &[
    row(b"brpop",      Form::KeysTimeout,    Undo::Right,   Empty::NullArray, Empty::NullArray),
    row(b"blpop",      Form::KeysTimeout,    Undo::Left,    Empty::NullArray, Empty::NullArray),
    row(b"brpoplpush", Form::PairTimeout,    Undo::Move,    Empty::NullArray, Empty::NullArray),
    row(b"blmove",     Form::MoveTimeout,    Undo::Move,    Empty::NullArray, Empty::NullArray),
    row(b"bzpopmin",   Form::KeysTimeout,    Undo::Scored,  Empty::NullArray, Empty::NullArray),
    row(b"bzpopmax",   Form::KeysTimeout,    Undo::Scored,  Empty::NullArray, Empty::NullArray),
    row(b"blmpop",     Form::TimeoutCounted, Undo::Side,    Empty::NullArray, Empty::NullArray),
    row(b"bzmpop",     Form::TimeoutCounted, Undo::Scored,  Empty::NullArray, Empty::NullArray),
    row(b"lpop",       Form::KeyCount,       Undo::Left,    Empty::NullBulk,  Empty::NullArray),
    row(b"rpop",       Form::KeyCount,       Undo::Right,   Empty::NullBulk,  Empty::NullArray),
    row(b"rpoplpush",  Form::Pair,           Undo::Move,    Empty::NullBulk,  Empty::NullBulk),
    row(b"lmove",      Form::Move,           Undo::Move,    Empty::NullBulk,  Empty::NullBulk),
    row(b"lmpop",      Form::Counted,        Undo::Side,    Empty::NullArray, Empty::NullArray),
    row(b"zpopmin",    Form::KeyCount,       Undo::Scored,  Empty::Array,     Empty::Array),
    row(b"zpopmax",    Form::KeyCount,       Undo::Scored,  Empty::Array,     Empty::Array),
    row(b"zmpop",      Form::Counted,        Undo::Scored,  Empty::NullArray, Empty::NullArray),
    row(b"spop",       Form::KeyCount,       Undo::Members, Empty::NullBulk,  Empty::Set),
    row(b"xreadgroup", Form::ReadGroup,      Undo::Stays,   Empty::NullArray, Empty::NullArray),
    row(b"xautoclaim", Form::Claim,          Undo::Stays,   Empty::Autoclaim, Empty::Autoclaim),
    row(b"xclaim",     Form::Claim,          Undo::Stays,   Empty::Array,     Empty::Array),
];

/// Scripts stand in no table: a dialect recognised one.
pub(super) static SCRIPT: Row = row(b"", Form::KeyCount, Undo::Due, Empty::NullBulk, Empty::NullBulk);

/// The same with a list for a reply.
pub(super) static SCRIPT_MANY: Row = row(b"", Form::KeyCount, Undo::Due, Empty::Array, Empty::Array);

/// The same with a member and its score, where it stays in the set.
pub(super) static SCRIPT_CLAIMED: Row = row(b"", Form::KeyCount, Undo::Claimed, Empty::Array, Empty::Array);

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.name))
    }
}
