//! RabbitMQ's other clients: each takes jobs in its own way, and the story is the same for all.

use crate::support::clients::Client;
use crate::support::story::{Load, drain_and_kill};
use crate::support::{World, rounds};

fn story(client: Client) {
    let load = Load { longest: 1.5, ..Load::default() };
    drain_and_kill(&World::with_rabbit(), &client, load, rounds().div_ceil(2));
}

/// Half of the jobs wait for their time in the workers' hands, unacknowledged.
#[test]
fn dramatiq() {
    let load = Load { countdown: 5.0, open: 24, ..Load::default() };
    drain_and_kill(&World::with_rabbit(), &Client::Dramatiq, load, rounds());
}

#[test]
fn taskiq() {
    story(Client::Taskiq);
}

#[test]
fn aio_pika() {
    story(Client::AioPika);
}

#[test]
fn amqplib() {
    story(Client::Amqplib);
}

#[test]
fn bunny() {
    story(Client::Bunny);
}
