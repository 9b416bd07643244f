//! The counters that every job moves. They are looked up once: the registry's own way takes longer than the fleet's.

use crate::job::System;
use metrics::{Counter, counter};
use std::sync::LazyLock;

/// How a delivery can end.
const OUTCOMES: [&str; 3] = ["finished", "requeued", "returned"];

/// Those of one job system.
struct Jobs {
    delivered: Counter,
    /// In the order of [`OUTCOMES`].
    ended: [Counter; OUTCOMES.len()],
}

/// In the order of [`System::ALL`].
static JOBS: LazyLock<Vec<Jobs>> = LazyLock::new(|| {
    let jobs = |system: &'static str| Jobs {
        delivered: counter!("draingate_jobs_delivered_total", "system" => system),
        ended: OUTCOMES
            .map(|outcome| counter!("draingate_jobs_finished_total", "system" => system, "outcome" => outcome)),
    };
    System::ALL.map(System::as_str).map(jobs).into()
});

/// Makes them exist. To be called when the registry does.
pub(super) fn begin() {
    LazyLock::force(&JOBS);
}

/// Jobs have been delivered.
pub(super) fn delivered(system: System, jobs: u64) {
    JOBS[system as usize].delivered.increment(jobs);
}

/// They are no longer in flight.
pub(super) fn ended(system: System, outcome: &str, jobs: u64) {
    if let Some(at) = OUTCOMES.iter().position(|known| *known == outcome) {
        JOBS[system as usize].ended[at].increment(jobs);
    }
}
