//! When a wait for a drain is over. The long poll and the command line judge by the same functions.

use crate::api::model::{Drain, DrainWorker};
use crate::fleet::view::{DrainState, WorkerState};

/// For how long the evidence may be too weak before it is said that the gate cannot tell, in seconds.
pub const UNKNOWN_AFTER: f64 = 30.0;

/// What is being waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// No worker can get a job any more.
    Sealed,
    /// And nothing is in flight.
    Drained,
}

impl Goal {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Goal::Sealed => "sealed",
            Goal::Drained => "drained",
        }
    }

    /// The reverse of [`Goal::as_str`].
    pub fn from_name(name: &str) -> Option<Goal> {
        [Goal::Sealed, Goal::Drained].into_iter().find(|goal| goal.as_str() == name)
    }

    /// All of the drain's workers are there. `drained` counts as `sealed`; a lost worker never counts.
    pub fn reached(self, drain: &Drain) -> bool {
        let state = drain.state.0;
        let by_state = state == DrainState::Drained || (self == Goal::Sealed && state == DrainState::Sealed);
        by_state && drain.workers.iter().all(|worker| self.reached_by(worker))
    }

    /// A worker was lost with jobs in flight, and there is nothing left to hope for from the others.
    pub fn lost_for_good(self, drain: &Drain) -> bool {
        let some_lost = drain.state.0 == DrainState::Lost || drain.workers.iter().any(is_lost);
        let over = |worker: &DrainWorker| is_lost(worker) || self.reached_by(worker) || self.cannot_tell(worker);
        some_lost && drain.workers.iter().all(over)
    }

    /// Waiting longer can change nothing.
    pub fn over(self, drain: &Drain) -> bool {
        ended_otherwise(drain) || self.reached(drain) || self.lost_for_good(drain)
    }

    /// Nothing in flight known, and for [`UNKNOWN_AFTER`] nothing that says more: the evidence is weaker than required,
    /// or the worker has a way to get jobs that is not refused. (What is in the way of a seal may go.)
    pub fn cannot_tell(self, worker: &DrainWorker) -> bool {
        let long = worker.unknown_seconds.is_some_and(|seconds| seconds >= UNKNOWN_AFTER);
        let state = worker.state.0;
        long && (state == WorkerState::Sealed || (state == WorkerState::Draining && self == Goal::Drained))
    }

    /// One worker is there.
    pub fn reached_by(self, worker: &DrainWorker) -> bool {
        match worker.state.0 {
            WorkerState::Drained | WorkerState::Gone => true,
            WorkerState::Sealed => self == Goal::Sealed,
            WorkerState::Active | WorkerState::Draining | WorkerState::Lost => false,
        }
    }
}

/// Somebody lifted it, or its TTL is over.
pub fn ended_otherwise(drain: &Drain) -> bool {
    matches!(drain.state.0, DrainState::Lifted | DrainState::Expired)
}

/// The worker went away with jobs in flight.
pub fn is_lost(worker: &DrainWorker) -> bool {
    worker.state.0 == WorkerState::Lost
}
