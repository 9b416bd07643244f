//! Whose a pop is: the operator's patterns come first, then the dialects.

use super::again::Last;
use super::pop::{Pop, Wait};
use super::{RespGate, RespSettings};
use crate::dialect::{self, Claim, Keys, PopShape};
use crate::job::System;
use bytes::Bytes;

impl RespSettings {
    /// Whether the operator says that a key never holds jobs.
    pub(super) fn passes(&self, key: &[u8]) -> bool {
        !self.pass.is_empty() && self.pass.is_match(String::from_utf8_lossy(key).as_ref())
    }

    /// Whether the operator says that a key holds jobs.
    pub(super) fn fetches(&self, key: &[u8]) -> bool {
        !self.fetch.is_empty() && self.fetch.is_match(String::from_utf8_lossy(key).as_ref())
    }
}

impl RespGate {
    /// Whether a well-formed pop asks for a job.
    pub(super) fn is_fetch(&self, pop: &Pop) -> bool {
        self.claim(pop).brings_something()
    }

    /// What a well-formed pop asks for. The operator's patterns come first.
    pub(super) fn claim(&self, pop: &Pop) -> Claim {
        let shape = shape(pop);
        if shape.name == b"xclaim" && self.declared(shape.keys).is_none() && self.claims_only_own(pop) {
            return Claim::Pass;
        }
        let claim = self.found(pop).map_or_else(|| self.claim_of(shape), Last::claim);
        match claim {
            // who pauses a key says that it holds jobs
            Claim::NotMine if self.asks_paused(pop) => Claim::Fetch,
            claim => claim,
        }
    }

    /// The list of the worker's own that a pop puts its job into, if it does. One that jobs are popped from is a queue.
    pub(super) fn private_list(&self, pop: &Pop) -> Option<Bytes> {
        let list = pop.destination()?;
        if let Some(last) = self.found(pop) {
            return last.list().cloned();
        }
        let out = PopShape { name: b"lpop", keys: Keys::One(list), to: None, blocking: false, forever: false };
        let is_queue = self.claim_of(out).brings_something();
        (!is_queue && dialect::lists::keeps(self.memory.known(), shape(pop))).then(|| list.clone())
    }

    /// The same of one of which only the shape has been read.
    pub(super) fn claim_of(&self, shape: PopShape<'_>) -> Claim {
        self.declared(shape.keys).unwrap_or_else(|| dialect::claim(self.memory.known(), shape))
    }

    /// What the operator's patterns say.
    fn declared(&self, keys: Keys<'_>) -> Option<Claim> {
        match () {
            _ if keys.iter().all(|key| self.settings.passes(key)) => Some(Claim::Pass),
            _ if keys.iter().any(|key| self.settings.fetches(key)) => Some(Claim::Fetch),
            _ => None,
        }
    }

    /// Whether the key that a command takes something out of holds jobs, as the operator says, and no job system is known
    /// that would say what for.
    pub(super) fn takes_declared(&self, key: Option<&[u8]>) -> bool {
        let settings = &self.settings;
        let declared = key.is_some_and(|key| settings.fetches(key) && !settings.passes(key));
        declared && self.memory.system == System::Unknown
    }

    /// XCLAIM of entries that this connection has read itself renews a lease.
    fn claims_only_own(&self, pop: &Pop) -> bool {
        let ids = pop.args()[5..].iter().take_while(|a| dialect::streams::is_entry_id(a));
        let own = |id: &Bytes| {
            let key = dialect::streams::key(&pop.keys()[0], id);
            self.told.read_entries.contains(&key)
        };
        ids.clone().next().is_some() && ids.clone().all(own)
    }
}

/// What decides about a pop.
pub(super) fn shape(pop: &Pop) -> PopShape<'_> {
    let (name, keys, blocking) = (pop.name(), Keys::Many(pop.keys()), pop.is_blocking());
    let to = pop.destination().map(|to| to.as_ref());
    PopShape { name, keys, to, blocking, forever: pop.wait() == Some(Wait::Forever) }
}
