//! The counters that every job moves. They are looked up once: the registry's own way takes longer than the fleet's.

use crate::fleet::JobCount;
use crate::fleet::view::JobEnd;
use crate::job::System;
use metrics::{Counter, counter};
use std::sync::LazyLock;

/// Those of one job system.
struct Jobs {
    delivered: Counter,
    /// In the order of [`JobEnd::ALL`].
    ended: [Counter; JobEnd::ALL.len()],
}

/// In the order of [`System::ALL`].
static JOBS: LazyLock<Vec<Jobs>> = LazyLock::new(|| {
    let jobs = |system: &'static str| Jobs {
        delivered: counter!("draingate_jobs_delivered_total", "system" => system),
        ended: JobEnd::ALL
            .map(JobEnd::as_str)
            .map(|end| counter!("draingate_jobs_finished_total", "system" => system, "outcome" => end)),
    };
    System::ALL.map(System::as_str).map(jobs).into()
});

/// Makes them exist. To be called when the registry does.
pub(super) fn begin() {
    LazyLock::force(&JOBS);
}

/// Jobs have been delivered, or are no longer in flight.
pub fn jobs(count: &JobCount) {
    let jobs = &JOBS[count.system as usize];
    let counter = count.end.map_or(&jobs.delivered, |end| &jobs.ended[end as usize]);
    counter.increment(count.jobs);
}
