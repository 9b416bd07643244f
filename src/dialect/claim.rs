//! Whose a pop is, and what it asks for.

use super::{DIALECTS, Memory, generic};
use crate::job::System;
use bytes::Bytes;

/// What a connection has shown so far of whose it is. The verdict on a pop depends on this and the pop, and on nothing
/// else: while both are the same, so is the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// See [`Memory::system`].
    pub system: System,
    /// See [`Memory::mixed`].
    pub mixed: bool,
    /// See [`Memory::envelope_seen`].
    pub envelope_seen: bool,
}

impl Memory {
    /// As of now.
    pub fn known(&self) -> Known {
        Known { system: self.system, mixed: self.mixed, envelope_seen: self.envelope_seen }
    }
}

/// A pop as a dialect sees it.
#[derive(Clone, Copy, Debug)]
pub struct PopShape<'a> {
    /// The command in lower case.
    pub name: &'a [u8],
    /// Its keys.
    pub keys: Keys<'a>,
    /// The list that a move puts the element into, unless it stays in its own.
    pub to: Option<&'a [u8]>,
    /// Whether it waits for an element.
    pub blocking: bool,
    /// Whether it waits without end.
    pub forever: bool,
}

/// The keys of a pop, read whole or not.
#[derive(Clone, Copy, Debug)]
pub enum Keys<'a> {
    /// There is only this one.
    One(&'a [u8]),
    /// All of them.
    Many(&'a [Bytes]),
}

impl<'a> Keys<'a> {
    /// In their order.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        let (one, many) = match self {
            Keys::One(key) => (Some(key), [].as_slice()),
            Keys::Many(keys) => (None, keys),
        };
        one.into_iter().chain(many.iter().map(|key| key.as_ref()))
    }
}

/// Whose a pop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It asks for a job.
    Fetch,
    /// It takes a due job for the client to push on.
    Due,
    /// It waits for a sign that there are jobs; what comes is none.
    Wakeup,
    /// It is this system's, and asks for something else.
    Pass,
    /// Not known to this dialect, or to any.
    NotMine,
}

impl Claim {
    /// It is not let through while the worker is marked.
    pub fn brings_something(self) -> bool {
        matches!(self, Claim::Fetch | Claim::Due | Claim::Wakeup)
    }
}

/// Whether a pop asks for a job on this connection. Dialects first; on a worker whose system is known every other pop
/// passes (a running job's own semaphore must work), on an unknown one every blocking pop is taken for a fetch, and of
/// the others nobody knows ([`Claim::NotMine`]).
pub fn claim(known: Known, pop: PopShape<'_>) -> Claim {
    let mut claim = Claim::NotMine;
    for dialect in DIALECTS {
        claim = dialect.claim(known, pop);
        if claim != Claim::NotMine {
            break;
        }
    }
    match claim {
        Claim::NotMine if known.system != System::Unknown => Claim::Pass,
        Claim::NotMine if generic::is_fetch(pop) => Claim::Fetch,
        claim => claim,
    }
}
