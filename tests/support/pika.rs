//! Workers written with pika: a consumer that works in threads and acknowledges when a job is done.

use super::process::{Proc, command};
use super::story::{LineProducer, Producer, System, Worker};
use super::{World, installed};
use std::process::Command;

/// How the workers of a story are set up.
#[derive(Clone)]
pub(crate) struct Pika {
    /// `basic.qos`
    pub(crate) prefetch: usize,
    /// Arguments of the queue, `key=value` with a comma between them.
    pub(crate) queue: &'static str,
}

impl Pika {
    fn command(&self, world: &World, address: &str, role: &str) -> Command {
        let mut run = command(installed(".venvs/amqp/bin/python"));
        run.current_dir(installed("tests/jobs")).args(["pika_jobs.py", role]);
        run.env("JOB_LOG", world.log_path()).env("BROKER", address).env("QUEUE_ARGUMENTS", self.queue);
        run.env("PREFETCH", self.prefetch.to_string());
        run
    }
}

impl System for Pika {
    fn start(&self, world: &World, name: &str, life: usize) -> Worker {
        let label = format!("{name}.{life}");
        let mut run = self.command(world, &world.worker_address(), "worker");
        run.env("WORKER", &label).env("CONNECTION_NAME", name);
        let mut process = Proc::start(&mut run, &world.path().join(format!("{label}.log")));
        world.log().await_ready(&label, &mut process);
        if let Some(gate) = &world.gate {
            gate.await_known(name);
        }
        Worker { process, name: name.to_owned(), label }
    }

    fn producer(&self, world: &World) -> Box<dyn Producer> {
        LineProducer::start(world, self.command(world, &world.broker_address(), "producer"), false)
    }
}
