//! Resque: node-resque 9.7, and pyres 1.5, which forks a child for each job as Ruby's does.

use crate::support::World;
use crate::support::redis::Server;
use crate::support::rounds;
use crate::support::scripted::{Named, Scripted};
use crate::support::story::{Load, drain_and_kill};

const EXACT: Load = Load { longest: 1.5, countdown: 0.0, open: 12, require: "exact" };

macro_rules! node {
    ($($name:literal = $value:literal),*) => {
        Scripted {
            program: "node",
            worker: &["resque_jobs.js", "worker"],
            producer: &["resque_jobs.js", "producer"],
            environment: &[
                ("MODULES", concat!(env!("CARGO_MANIFEST_DIR"), "/.cache/resque")),
                $(($name, $value),)*
            ],
            named: Named::ByProcess,
        }
    };
}

/// Three workers in one process on one connection: one of them has nothing to say about the others' jobs.
#[test]
fn workers_on_one_connection() {
    drain_and_kill(&World::on(Server::Redis8), &node!("WORKERS" = "3"), EXACT, rounds());
}

/// A scheduler beside the worker takes due jobs and pushes them one by one: a kill must not lose one.
#[test]
fn with_a_scheduler() {
    drain_and_kill(&World::new(), &node!("SCHEDULER" = "1"), Load { countdown: 3.0, open: 8, ..EXACT }, rounds());
}

#[test]
fn pyres() {
    let pyres = Scripted {
        program: ".venvs/pyres/bin/python",
        worker: &["-c", "import pyres_jobs; pyres_jobs.worker()"],
        producer: &["-c", "import pyres_jobs; pyres_jobs.producer()"],
        environment: &[],
        named: Named::ByProcess,
    };
    drain_and_kill(&World::new(), &pyres, Load { open: 8, ..EXACT }, rounds());
}
