//! Jobs that come and go, counted until the effects are taken: in a busy fleet there are thousands between two events
//! worth a line.

use super::boundary::{Effect, JobCount};
use super::view::JobEnd;
use crate::job::System;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally(Vec<JobCount>);

impl Tally {
    /// One more; `None`: it has reached a worker.
    pub(super) fn add(&mut self, system: System, end: Option<JobEnd>) {
        match self.0.iter_mut().find(|count| count.system == system && count.end == end) {
            Some(count) => count.jobs += 1,
            None => self.0.push(JobCount { system, end, jobs: 1 }),
        }
    }

    /// Begins anew, and tells what was counted.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Effect> {
        self.0.drain(..).map(Effect::Jobs)
    }
}
