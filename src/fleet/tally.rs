//! Jobs that come and go, counted until the effects are taken: in a busy fleet there are thousands between two events
//! worth a line.

use super::boundary::{Effect, Notice};
use crate::job::System;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally(Vec<Count>);

#[derive(Clone, Debug)]
struct Count {
    system: System,
    /// How they left the worker; `None`: they have reached it.
    outcome: Option<&'static str>,
    jobs: u64,
}

impl Tally {
    pub(super) fn add(&mut self, system: System, outcome: Option<&'static str>) {
        match self.0.iter_mut().find(|count| count.system == system && count.outcome == outcome) {
            Some(count) => count.jobs += 1,
            None => self.0.push(Count { system, outcome, jobs: 1 }),
        }
    }

    /// Begins anew, and tells what was counted.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Effect> {
        self.0.drain(..).map(|Count { system, outcome, jobs }| {
            Effect::Notice(match outcome {
                None => Notice::Delivered { system, jobs },
                Some(outcome) => Notice::Finished { system, outcome, jobs },
            })
        })
    }
}
