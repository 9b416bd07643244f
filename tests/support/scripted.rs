//! Workers and producers of the tests' own that are one script with two roles: for job systems whose library is started
//! from a program. The script is told by its environment where the broker is, and writes the job log.

use super::gate::text;
use super::process::{Proc, command};
use super::story::{Producer, System, Worker};
use super::{World, eventually, installed, secs};
use std::io::Write;
use std::process::{Command, Stdio};

/// What the gate calls a worker.
#[derive(Clone, Copy)]
pub(crate) enum Named {
    /// As the worker was told to call itself.
    Given,
    /// Whatever the worker chose, or the gate: the test looks for its process.
    ByProcess,
}

/// How the workers of a story are set up.
#[derive(Clone)]
pub(crate) struct Scripted {
    /// The interpreter: of the machine, or below the repository.
    pub(crate) program: &'static str,
    /// Its arguments for a worker and for a producer.
    pub(crate) worker: &'static [&'static str],
    pub(crate) producer: &'static [&'static str],
    /// More environment.
    pub(crate) environment: &'static [(&'static str, &'static str)],
    pub(crate) named: Named,
}

impl Scripted {
    fn command(&self, world: &World, address: &str, arguments: &[&str]) -> Command {
        let program = if self.program.contains('/') { installed(self.program) } else { self.program.into() };
        let mut run = command(program);
        run.current_dir(installed("tests/jobs")).args(arguments);
        run.env("JOB_LOG", world.log_path()).env("BROKER", address).envs(self.environment.iter().copied());
        run
    }
}

impl System for Scripted {
    fn start(&self, world: &World, name: &str, life: usize) -> Worker {
        let label = format!("{name}.{life}");
        let (address, from) = world.worker_way();
        let mut run = self.command(world, &address, self.worker);
        run.env("WORKER", &label).env("NAME", name);
        let mut process = Proc::start(&mut run, &world.path().join(format!("{label}.log")));
        let pid = world.log().await_ready(&label, &mut process).pid;
        let name = match (&world.gate, self.named) {
            (None, _) => name.to_owned(),
            (Some(gate), Named::Given) => {
                gate.await_known(name);
                name.to_owned()
            }
            (Some(gate), Named::ByProcess) => eventually(&format!("the gate knows {label}"), secs(60), || {
                let of_process = |worker: &serde_json::Value| {
                    let detail = gate.get(&format!("/v1/workers/{}", text(&worker["id"])));
                    let connections = detail["connections"].as_array().cloned().unwrap_or_default();
                    connections.iter().any(|connection| connection["pid"] == pid)
                };
                let is_it = |worker: &serde_json::Value| match from {
                    Some(from) => text(&worker["address"]) == from.to_string(),
                    None => of_process(worker),
                };
                gate.workers().into_iter().find(is_it).map(|worker| text(&worker["id"]).to_owned())
            }),
        };
        Worker { process, name, label }
    }

    fn producer(&self, world: &World) -> Box<dyn Producer> {
        let mut run = self.command(world, &world.broker_address(), self.producer);
        run.stdin(Stdio::piped());
        Box::new(ScriptedProducer { process: Proc::start(&mut run, &world.path().join("producer.log")) })
    }
}

struct ScriptedProducer {
    process: Proc,
}

impl Producer for ScriptedProducer {
    fn push(&mut self, id: &str, seconds: f64, countdown: f64) {
        let input = self.process.child.stdin.as_mut().expect("a pipe to the producer");
        writeln!(input, "{id} {seconds:.3} {countdown:.3}").expect("the producer listens");
    }
}

impl Drop for ScriptedProducer {
    /// What was handed to the producer is pushed before it ends.
    fn drop(&mut self) {
        self.process.finish();
    }
}
