//! What a gate has told of its connection and has to remember: of most connections nothing.

use crate::job::JobKey;
use crate::rare::Blank;
use std::collections::{BTreeSet, VecDeque};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Commands that may bring a job and are not refused.
    pub(super) unrefused: Vec<(Vec<u8>, &'static str)>,
    /// The queues of them that have been told.
    pub(super) passed: BTreeSet<String>,
    /// Entries of streams that this connection has read: it may renew its claim on them.
    pub(super) read_entries: VecDeque<JobKey>,
    /// It is taking up what is pending for it.
    pub(super) takes_up: bool,
}

impl Blank for Told {
    const BLANK: &'static Told =
        &Told { unrefused: Vec::new(), passed: BTreeSet::new(), read_entries: VecDeque::new(), takes_up: false };
}
