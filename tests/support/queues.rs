//! Queues of RabbitMQ with consumers on them (`tests/jobs/rabbit_jobs.py`). The queues are declared by somebody else than
//! their consumers.

use super::process::{Proc, command};
use super::story::{Producer, System, Worker};
use super::{World, installed};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

/// Consumers of a queue, and a producer to it and others.
pub(crate) struct Consumers {
    pub(crate) queue: &'static str,
    /// `basic.qos`
    pub(crate) prefetch: usize,
    /// Consumers of one worker of the stories: more than one are workers of their own to the gate.
    pub(crate) number: usize,
    /// The queues that the producer feeds, in turn.
    pub(crate) fed: &'static [&'static str],
}

/// What a delivery carried.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) id: String,
    pub(crate) redelivered: bool,
    /// `x-delivery-count`, 0 if there is none.
    pub(crate) count: usize,
}

/// The script with what it needs to know.
pub(crate) fn run(world: &World, address: &str, arguments: &[&str]) -> Command {
    let mut run = command(installed(".venvs/amqp/bin/python"));
    run.current_dir(installed("tests/jobs")).arg("rabbit_jobs.py").args(arguments).env("BROKER", address);
    run.env("JOB_LOG", world.log_path()).env("COUNTS", world.path().join("counts"));
    run
}

/// Declares a queue, with the keyword arguments of pika's `queue_declare` as JSON.
pub(crate) fn declare(world: &World, queue: &str, options: &str) {
    let done = run(world, &world.broker_address(), &["declare", queue, options]).status().expect("python runs");
    assert!(done.success(), "{queue} cannot be declared: {options}");
}

/// An exclusive consumer of a queue, until it is dropped.
pub(crate) fn hold(world: &World, queue: &str) -> Proc {
    let mut run = run(world, &world.broker_address(), &["hold", queue]);
    let mut process = Proc::start(run.env("WORKER", "holder"), &world.path().join("holder.log"));
    world.log().await_ready("holder", &mut process);
    process
}

/// How many messages are ready in a queue, or `gone`.
pub(crate) fn depth(world: &World, queue: &str) -> String {
    let done = run(world, &world.broker_address(), &["depth", queue]).output().expect("python runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

/// All deliveries so far.
pub(crate) fn deliveries(world: &World) -> Vec<Delivery> {
    let text = std::fs::read_to_string(world.path().join("counts")).unwrap_or_default();
    let delivery = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let [id, redelivered, count] = words[..] else { panic!("a torn line: {line:?}") };
        Delivery { id: id.to_owned(), redelivered: redelivered == "1", count: count.parse().expect("a number") }
    };
    text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(delivery).collect()
}

/// The most jobs that each worker of the job log has had in hand at a time, since the time `after`.
pub(crate) fn most_in_hand(world: &World, after: f64) -> BTreeMap<String, usize> {
    let (mut now, mut most): (BTreeMap<String, usize>, BTreeMap<String, usize>) = Default::default();
    for line in world.log().lines() {
        let count = now.entry(line.worker.clone()).or_default();
        match line.what.as_str() {
            "start" => *count += 1,
            "end" => *count -= 1,
            _ => continue,
        }
        if line.time >= after {
            let most = most.entry(line.worker).or_default();
            *most = (*most).max(*count);
        }
    }
    most
}

impl System for Consumers {
    fn start(&self, world: &World, name: &str, life: usize) -> Worker {
        let label = format!("{name}.{life}");
        let mut run = run(world, &world.worker_address(), &["worker", &self.number.to_string()]);
        run.env("WORKER", &label).env("CONNECTION_NAME", name).env("QUEUE", self.queue);
        run.env("PREFETCH", self.prefetch.to_string());
        let mut process = Proc::start(&mut run, &world.path().join(format!("{label}.log")));
        for child in 0..self.number {
            let own = |of: &str| if self.number == 1 { of.to_owned() } else { format!("{of}-{child}") };
            world.log().await_ready(&own(&label), &mut process);
            if let Some(gate) = &world.gate {
                gate.await_known(&own(name));
            }
        }
        Worker { process, name: name.to_owned(), label }
    }

    fn producer(&self, world: &World) -> Box<dyn Producer> {
        let mut run = run(world, &world.broker_address(), &["producer"]);
        run.args(self.fed).stdin(Stdio::piped());
        Box::new(Pusher { process: Proc::start(&mut run, &world.path().join("producer.log")) })
    }
}

struct Pusher {
    process: Proc,
}

impl Producer for Pusher {
    fn push(&mut self, id: &str, seconds: f64, _countdown: f64) {
        let input = self.process.child.stdin.as_mut().expect("a pipe to the producer");
        writeln!(input, "{id} {seconds:.3}").expect("the producer listens");
    }
}

impl Drop for Pusher {
    /// What was handed to the producer is pushed before it ends.
    fn drop(&mut self) {
        self.process.finish();
    }
}
