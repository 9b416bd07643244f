//! asynq: its server's side of the wire, over go-redis (see `tests/jobs/go_redis/asynq.go`).

use crate::support::scripted::{Named, Scripted};
use crate::support::story::{Load, drain_and_kill};
use crate::support::{World, rounds};

/// Due tasks are looked for each second.
const EXACT: Load = Load { longest: 1.5, countdown: 1.9, open: 10, require: "exact" };

fn asynq(environment: &'static [(&'static str, &'static str)]) -> Scripted {
    Scripted {
        program: ".cache/go/go_redis",
        worker: &["worker"],
        producer: &["producer"],
        environment,
        named: Named::ByProcess,
    }
}

#[test]
fn one_queue() {
    drain_and_kill(&World::new(), &asynq(&[("KIND", "asynq"), ("QUEUES", "default")]), EXACT, rounds());
}

/// Two queues, the one before the other; each task fails once; and its id stands behind a payload that is not kept.
#[test]
fn retries_on_two_queues() {
    let environment = &[("KIND", "asynq"), ("QUEUES", "high,low"), ("RETRIES", "1"), ("PADDING", "20000")];
    drain_and_kill(&World::new(), &asynq(environment), Load { longest: 0.8, ..EXACT }, rounds());
}
