//! The tests of the tests: the same workers without a gate. The job log sees what a kill costs there, so its silence in
//! the other stories means something.

use crate::support::celery::Celery;
use crate::support::sidekiq::Sidekiq;
use crate::support::story::{Load, System, with_jobs};
use crate::support::{World, eventually, secs};

#[test]
fn celery_runs_each_job_once() {
    each_job_runs_once(&Celery::default(), 3.0);
}

#[test]
fn sidekiq_runs_each_job_once() {
    for version in [6, 7, 8] {
        each_job_runs_once(&Sidekiq::new(version), 0.5);
    }
}

#[test]
fn a_kill_in_the_middle_of_a_job_is_seen_as_a_loss() {
    let systems: [&dyn System; 2] = [&Celery::default(), &Sidekiq::new(6)];
    for system in systems {
        let world = World::without_gate();
        let mut worker = system.start(&world, "w1", 1);
        system.producer(&world).push("long", 30.0, 0.0);
        world.log().await_line("start", "long", secs(60));
        worker.process.kill();
        assert_eq!(world.log().verdict().lost, ["long"]);
    }
}

fn each_job_runs_once(system: &dyn System, countdown: f64) {
    let world = World::without_gate();
    let _workers = [system.start(&world, "w1", 1), system.start(&world, "w2", 1)];
    with_jobs(&world, system, Load { longest: 0.5, countdown, ..Load::default() }, || {
        eventually("thirty jobs", secs(60), || (world.log().verdict().pushed >= 30).then_some(()));
    });
    world.log().await_all_ended(secs(60));
    world.log().assert_exactly_once(&[]);
}
