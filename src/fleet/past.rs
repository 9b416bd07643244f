//! What has happened to a worker so far, as far as it says something of now: counts, and what was seen once and stays.

use super::evidence::acks::Lease;
use super::fetches::Nils;
use crate::job::{Found, Millis};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// Jobs that have reached it.
    pub(super) deliveries: u64,
    /// Some of them are not acknowledged when they are over.
    pub(super) unkept: bool,
    /// How many came from queues that nobody declared to hold jobs (systems that say nothing of a job's end).
    pub(super) undeclared: u64,
    /// How many it took without waiting (unknown systems).
    pub(super) polled: u64,
    /// Ends and acknowledgements that the broker has confirmed, but for what was given back: that need not have begun.
    pub(super) acks: u64,
    /// Jobs forgotten because there were too many to keep.
    pub(super) untracked: u64,
    /// A job was acknowledged at its start: from then on only reports can say that it is idle.
    pub(super) ever_started: bool,
    /// The broker has taken jobs back from it. Celery's pool may begin them all the same, which raises `processed`, and no
    /// ack tells of it.
    pub(super) runs_ahead: bool,
    /// See [`crate::job::Report::GaveUp`].
    pub(super) gave_up: bool,
    /// A job whose lock had run out came to it once more: which of the two runs an end is of does not show.
    pub(super) runs_twice: bool,
    /// An ack was taken for an end because the operator declared it.
    pub(super) declared: bool,
    /// Something came to it, or may come, in a way that is no fetch to the gate: says something only while its job
    /// system is unknown.
    pub(super) took: Option<Found>,
    /// Some of its fetches bring jobs that it acknowledges.
    pub(super) acknowledges: bool,
    pub(super) lease: Lease,
    pub(super) nils: Nils,
    /// When one of its connections waited for a job for the first time, the last time that one did.
    pub(super) newest_waiter: Option<Millis>,
    /// The most threads that have been seen at once (unknown systems).
    pub(super) peak: usize,
}

impl Past {
    /// Another worker has turned out to be the same. (Taken apart, so that nothing is forgotten here that is added above.)
    pub(super) fn join(&mut self, other: Past) {
        self.join_doubts(&other);
        let Past {
            deliveries,
            unkept,
            undeclared,
            polled,
            acks,
            untracked,
            ever_started: _,
            runs_ahead: _,
            gave_up: _,
            runs_twice: _,
            declared,
            took,
            acknowledges,
            lease,
            mut nils,
            newest_waiter,
            peak,
        } = other;
        self.deliveries += deliveries;
        self.unkept |= unkept;
        self.undeclared += undeclared;
        self.polled += polled;
        self.acks += acks;
        self.untracked += untracked;
        self.declared |= declared;
        self.took = self.took.max(took);
        self.acknowledges |= acknowledges;
        self.lease.join(lease);
        self.nils.join(&mut nils);
        self.newest_waiter = self.newest_waiter.max(newest_waiter);
        self.peak = self.peak.max(peak);
    }

    /// What is doubtful about the jobs of a worker is doubtful where they go, too.
    pub(super) fn join_doubts(&mut self, other: &Past) {
        self.ever_started |= other.ever_started;
        self.runs_ahead |= other.runs_ahead;
        self.gave_up |= other.gave_up;
        self.runs_twice |= other.runs_twice;
    }
}
