//! Celery as owners set it up: pools, prefetching, retries, queues, priorities, key prefixes, an older release.

use crate::support::World;
use crate::support::celery::Celery;
use crate::support::rounds_or;
use crate::support::story::{Load, drain_and_kill};

fn lives_through_drains(celery: &Celery, load: Load) {
    drain_and_kill(&World::new(), celery, load, rounds_or(1));
}

/// Four processes and sixteen jobs in the worker's memory when the drain comes: it runs them all first.
#[test]
fn prefetched_jobs() {
    let load = Load { longest: 1.2, open: 60, ..Load::default() };
    lives_through_drains(&Celery { concurrency: 4, ..Celery::default() }, load);
}

#[test]
fn prefetched_jobs_with_late_ack() {
    let load = Load { longest: 1.2, open: 60, ..Load::default() };
    lives_through_drains(&Celery { concurrency: 4, late: true, ..Celery::default() }, load);
}

#[test]
fn pool_of_threads() {
    lives_through_drains(&Celery { options: &["--pool=threads"], ..Celery::default() }, Load::default());
}

/// The task runs in the worker's only thread: it sends no heartbeat and does not read its socket meanwhile.
#[test]
fn pool_of_one() {
    lives_through_drains(&Celery { options: &["--pool=solo"], ..Celery::default() }, Load::default());
}

/// A running job that is retried publishes its next attempt with a countdown, and any worker may get that at once.
#[test]
fn retries() {
    lives_through_drains(&Celery { retries: 2, ..Celery::default() }, Load { longest: 1.5, ..Load::default() });
}

#[test]
fn several_queues_with_priorities() {
    let celery = Celery { queues: "high,default,low", priorities: true, ..Celery::default() };
    lives_through_drains(&celery, Load::default());
}

#[test]
fn key_prefix() {
    let celery = Celery { prefix: "shop:", queues: "orders,celery", ..Celery::default() };
    lives_through_drains(&celery, Load::default());
}

/// redis-py 5 speaks RESP2.
#[test]
fn release_5_3() {
    let celery = Celery { release: "celery53", ..Celery::default() };
    lives_through_drains(&celery, Load { countdown: 4.0, ..Load::default() });
}

#[test]
fn release_5_3_late_ack_with_a_key_prefix() {
    let celery = Celery { release: "celery53", late: true, prefix: "shop:", ..Celery::default() };
    lives_through_drains(&celery, Load::default());
}
