//! What is in flight, as the gate has it and as RabbitMQ has it: the same after acknowledgements of all kinds, and in
//! transactions.

use crate::support::process::{Proc, command};
use crate::support::rabbit::Release;
use crate::support::{World, eventually, installed, secs};
use std::io::Write;
use std::process::Stdio;

/// What each scenario of `rabbit_accounts.py` leaves in its worker's hands.
const SCENARIOS: [(&str, u64); 11] = [
    ("consumed", 4),
    ("acked_up_to", 4),
    ("acked_all", 2),
    ("given_back", 4),
    ("rejected", 4),
    ("got", 2),
    ("recovered", 4),
    ("in_a_transaction", 4),
    ("committed", 4),
    ("rolled_back", 4),
    ("recovered_in_a_transaction", 4),
];

fn start(world: &World, scenarios: &[&str]) -> Proc {
    let mut run = command(installed(".venvs/amqp/bin/python"));
    run.current_dir(installed("tests/jobs")).arg("rabbit_accounts.py").args(scenarios).stdin(Stdio::piped());
    run.env("JOB_LOG", world.log_path());
    run.env("BROKER", world.worker_address()).env("DIRECT", world.broker_address());
    let mut process = Proc::start(&mut run, &world.path().join("accounts.log"));
    world.log().await_ready("accounts", &mut process);
    process
}

/// Both agree on what is unacknowledged. Sealed, whatever was acknowledged before has been confirmed.
fn agree(world: &World, process: &mut Proc, name: &str, unacked: u64) {
    world.log().await_line("taken", name, secs(20));
    world.gate().cli(&["drain", "worker=accounts", "--name", name]).expect(0);
    world.gate().cli(&["wait", name, "--for", "sealed", "--timeout", "20s"]).expect(0);
    eventually(&format!("{name}: {unacked} are in flight"), secs(10), || {
        world.gate().worker("accounts").filter(|worker| worker["in_flight"]["running"] == unacked)
    });
    world.gate().cli(&["undrain", name]).expect(0);
    writeln!(process.child.stdin.as_mut().expect("a pipe"), "go on").expect("it listens");
    let back = world.log().await_line("back", name, secs(20));
    assert_eq!(back.worker, unacked.to_string(), "{name}: what RabbitMQ took back");
}

fn accounts(release: Release) {
    let world = World::with(release);
    let names = SCENARIOS.map(|(name, _)| name);
    let mut process = start(&world, &names);
    for (name, unacked) in SCENARIOS {
        agree(&world, &mut process, name, unacked);
    }
    process.finish();
    drains_between_commits(&world);
    time_out(&world);
}

/// Whatever is said while a commit is not answered costs the whole connection: it has to be the same one at the end.
fn drains_between_commits(world: &World) {
    let mut process = start(world, &["commits"]);
    for round in 0..5 {
        world.log().await_line("committed", "-", secs(20));
        let name = format!("commits-{round}");
        world.gate().cli(&["drain", "worker=accounts", "--name", &name]).expect(0);
        world.gate().cli(&["wait", &name, "--for", "sealed", "--timeout", "20s"]).expect(0);
        world.gate().cli(&["undrain", &name]).expect(0);
    }
    writeln!(process.child.stdin.as_mut().expect("a pipe"), "stop").expect("it listens");
    let end = eventually("it has closed its connection", secs(20), || process.exit_status());
    assert!(end.success(), "its connection was closed");
}

/// A job that is not acknowledged in time goes back to its queue, also of a worker that is drained: that is no end of it.
fn time_out(world: &World) {
    let rabbit = world.rabbit.as_ref().expect("it is there");
    let set = |key: &str, to: &str| format!("application:set_env(rabbit, {key}, {to})");
    rabbit.ctl(&["eval", &format!("{}, {}.", set("consumer_timeout", "2000"), set("channel_tick_interval", "500"))]);
    let mut process = start(world, &["timed_out"]);
    eventually("its jobs are in flight", secs(20), || {
        world.gate().worker("accounts").filter(|worker| worker["in_flight"]["running"] == 4)
    });
    world.gate().cli(&["drain", "worker=accounts", "--name", "late"]).expect(0);
    agree(world, &mut process, "timed_out", 0);
}

#[test]
fn accounts_on_3() {
    accounts(Release::Three);
}

#[test]
fn accounts_on_4() {
    accounts(Release::Four);
}
