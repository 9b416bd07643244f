//! Workers written with pika: a consumer that works in threads and acknowledges when a job is done.

use super::process::{Proc, command};
use super::story::{Producer, System, Worker};
use super::{World, installed};
use std::io::Write;
use std::process::{Command, Stdio};

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
        let mut run = command(installed(".venvs/pika/bin/python"));
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
        let mut run = self.command(world, &world.broker_address(), "producer");
        run.stdin(Stdio::piped());
        Box::new(PikaProducer { process: Proc::start(&mut run, &world.path().join("producer.log")) })
    }
}

struct PikaProducer {
    process: Proc,
}

impl Producer for PikaProducer {
    fn push(&mut self, id: &str, seconds: f64, _countdown: f64) {
        let input = self.process.child.stdin.as_mut().expect("a pipe to the producer");
        writeln!(input, "{id} {seconds:.3}").expect("the producer listens");
    }
}

impl Drop for PikaProducer {
    /// What was handed to the producer is pushed before it ends.
    fn drop(&mut self) {
        drop(self.process.child.stdin.take());
        let _ = self.process.child.wait();
    }
}
