//! Symfony's Messenger: 5.4 with Debian's own PHP, and the newest that Debian has with its PHP; streams of Redis by phpredis,
//! and RabbitMQ by php-amqp.

use crate::support::rabbit::Release;
use crate::support::scripted::{Named, Scripted};
use crate::support::story::{Load, System, drain_and_kill};
use crate::support::{World, rounds, secs};

/// Messages with a delay are moved by the workers, which look for them each 0.2 seconds.
const EXACT: Load = Load { longest: 1.5, countdown: 1.9, open: 10, require: "exact" };
const REDIS: &[(&str, &str)] = &[("DSN", "redis://BROKER/messages")];
const RABBITMQ: &[(&str, &str)] = &[("DSN", "amqp://guest:guest@BROKER/%2f/messages")];
const OLD: &str = "php";
const NEW: &str = ".cache/php/php";

fn symfony(program: &'static str, environment: &'static [(&'static str, &'static str)]) -> Scripted {
    Scripted {
        program,
        worker: &["symfony_jobs.php", "worker"],
        producer: &["symfony_jobs.php", "producer"],
        environment,
        named: Named::ByProcess,
    }
}

#[test]
fn streams() {
    drain_and_kill(&World::new(), &symfony(OLD, REDIS), EXACT, rounds());
}

#[test]
fn streams_of_the_newest() {
    drain_and_kill(&World::new(), &symfony(NEW, REDIS), EXACT, rounds());
}

#[test]
fn rabbitmq() {
    drain_and_kill(&World::with(Release::Three), &symfony(OLD, RABBITMQ), EXACT, rounds());
}

#[test]
fn rabbitmq_of_the_newest() {
    drain_and_kill(&World::with(Release::Four), &symfony(NEW, RABBITMQ), EXACT, rounds());
}

/// Idle, drained and lifted. Messages whose delay is over wait meanwhile: nobody else is there to move them.
#[test]
fn lifted() {
    let world = World::new();
    for (number, program) in (1..).zip([OLD, NEW]) {
        let symfony = symfony(program, REDIS);
        let worker = symfony.start(&world, &format!("w{number}"), 1);
        let mut producer = symfony.producer(&world);
        let [first, late, drain] = ["first", "late", "d"].map(|name| format!("{name}{number}"));
        producer.push(&first, 0.1, 0.2);
        world.log().await_line("end", &first, secs(10));
        world.gate().cli(&["drain", &worker.name, "--name", &drain, "--wait", "--timeout", "20s"]).expect(0);
        producer.push(&late, 0.1, 0.2);
        world.log().assert_held(&late, secs(2));
        world.gate().cli(&["undrain", &drain]).expect(0);
        world.log().await_line("end", &late, secs(5));
    }
    assert_eq!(world.log().assert_exactly_once(&[]), 4);
}
