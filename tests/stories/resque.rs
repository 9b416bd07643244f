//! Resque: node-resque 9.7, and pyres 1.5, which forks a child for each job as Ruby's does.

use crate::support::gate::text;
use crate::support::redis::Server;
use crate::support::scripted::{Named, Scripted};
use crate::support::slow::Slowness;
use crate::support::story::{Load, System, await_job_on, drain_and_kill, drain_then_kill_by, with_jobs};
use crate::support::{World, rounds, secs};

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

const PYRES: Scripted = Scripted {
    program: ".venvs/pyres/bin/python",
    worker: &["-c", "import pyres_jobs; pyres_jobs.worker()"],
    producer: &["-c", "import pyres_jobs; pyres_jobs.producer()"],
    environment: &[],
    named: Named::ByProcess,
};

#[test]
fn pyres() {
    drain_and_kill(&World::new(), &PYRES, Load { open: 8, ..EXACT }, rounds());
}

/// Behind addresses that may have been in use before the gate began: a worker that has begun there is unknown at first, and
/// known when all others have had the time to speak.
#[test]
fn at_addresses_of_their_own() {
    for resque in [node!(), PYRES] {
        let mut world = World::behind(Slowness { longest: 0.3, every: 2.0 });
        world.gate_mut().kill();
        world.gate_mut().set("DRAINGATE__DRAINS__FORGET_AFTER", "8s");
        world.gate_mut().up();
        let early = resque.start(&world, "w0", 1);
        assert_eq!(text(&world.gate().get(&format!("/v1/workers/{}", early.name))["evidence"]), "unknown");
        let _other = resque.start(&world, "w2", 1);
        let mut drained = Vec::new();
        with_jobs(&world, &resque, EXACT, || {
            await_job_on(&world, &early);
            drained.push(drain_then_kill_by(&world, early, "d", "exact"));
        });
        world.log().await_all_ended(secs(120));
        world.log().assert_exactly_once(&drained);
    }
}
