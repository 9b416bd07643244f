//! Workers on RabbitMQ written with other clients than Celery and pika. Each is set up as its own guide says.

use super::pika::Pika;
use super::process::{Proc, command};
use super::story::{LineProducer, Producer, System, Worker};
use super::{World, eventually, gate, installed, secs};
use std::process::Command;

/// See the module. All work up to four jobs at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    Dramatiq,
    /// With a `connection_name` in its URL.
    NamedDramatiq,
    Taskiq,
    AioPika,
    Amqplib,
    Bunny,
    Java,
    Php,
    Go,
    Lapin,
}

/// Jobs at a time, and in the hands of those that do not keep more than they work at.
const JOBS: &str = "4";

impl Client {
    fn program(self) -> Command {
        let plain = |program: &str, arguments: &[&str]| {
            let mut run = command(program);
            run.args(arguments);
            run
        };
        let python = |arguments: &[&str]| {
            let mut run = command(installed(".venvs/amqp/bin/python"));
            run.args(arguments);
            run
        };
        match self {
            Client::Dramatiq | Client::NamedDramatiq => {
                python(&["-m", "dramatiq", "dramatiq_jobs", "-p", "1", "-t", JOBS])
            }
            Client::Taskiq => {
                let options = ["--workers", "1", "--max-async-tasks", JOBS];
                python(&[&["-m", "taskiq", "worker", "taskiq_jobs:broker"][..], &options].concat())
            }
            Client::AioPika => python(&["aio_pika_jobs.py"]),
            Client::Amqplib => {
                let mut run = plain("node", &["amqplib_jobs.js"]);
                run.env("NODE_PATH", installed(".cache/amqplib/node_modules"));
                run
            }
            Client::Bunny => plain("ruby", &["bunny_jobs.rb"]),
            Client::Java => {
                let jars = "/usr/share/java/amqp-client.jar:/usr/share/java/slf4j-api.jar";
                plain("java", &["-XX:TieredStopAtLevel=1", "-cp", jars, "JavaJobs.java"])
            }
            Client::Php => plain("php", &["php_jobs.php"]),
            Client::Go => command(installed(".cache/go/go_jobs")),
            Client::Lapin => command(installed(".cache/lapin/debug/lapin_jobs")),
        }
    }

    fn environment(self, world: &World, address: &str, run: &mut Command) {
        run.current_dir(installed("tests/jobs")).env("JOB_LOG", world.log_path()).env("PREFETCH", JOBS);
        run.env("BROKER", address);
    }

    /// What the gate calls a worker that was started with a name.
    fn await_known(self, world: &World, name: &str, process: &Proc) -> String {
        let Some(gate) = &world.gate else { return name.to_owned() };
        if self != Client::Dramatiq {
            gate.await_known(name);
            return name.to_owned();
        }
        // it has no name of its own: its process is what it is known by
        eventually("the gate knows the process", secs(60), || {
            let mine = |worker: &serde_json::Value| {
                let detail = gate.get(&format!("/v1/workers/{}", gate::text(&worker["id"])));
                let pid = detail["connections"][0]["pid"].as_u64().unwrap_or(0);
                process.is_of_group(u32::try_from(pid).expect("a pid")) && detail["queues"][1] == "jobs.DQ"
            };
            let found = gate.workers().into_iter().find(mine)?;
            Some(gate::text(&found["name"]).to_owned())
        })
    }
}

impl System for Client {
    fn start(&self, world: &World, name: &str, life: usize) -> Worker {
        let label = format!("{name}.{life}");
        let mut run = self.program();
        self.environment(world, &world.worker_address(), &mut run);
        run.env("WORKER", &label).env("CONNECTION_NAME", name);
        if *self == Client::NamedDramatiq {
            run.env("DRAMATIQ_NAME", name);
        }
        let mut process = Proc::start(&mut run, &world.path().join(format!("{label}.log")));
        world.log().await_ready(&label, &mut process);
        let name = self.await_known(world, name, &process);
        Worker { process, name, label }
    }

    fn producer(&self, world: &World) -> Box<dyn Producer> {
        let script = match self {
            Client::Dramatiq | Client::NamedDramatiq => "dramatiq_jobs.py",
            Client::Taskiq => "taskiq_jobs.py",
            Client::AioPika
            | Client::Amqplib
            | Client::Bunny
            | Client::Java
            | Client::Php
            | Client::Go
            | Client::Lapin => {
                return Pika { prefetch: 1, queue: "" }.producer(world);
            }
        };
        let mut run = command(installed(".venvs/amqp/bin/python"));
        run.arg(script);
        self.environment(world, &world.broker_address(), &mut run);
        LineProducer::start(world, run, *self != Client::Taskiq)
    }
}
