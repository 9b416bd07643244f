//! Celery workers and a producer that uses Celery's own client.

use super::process::{Proc, command};
use super::story::{LineProducer, Producer, System, Worker};
use super::{World, eventually, installed, secs};
use std::process::Command;

/// How the workers of a story are set up.
#[derive(Clone)]
pub(crate) struct Celery {
    /// `task_acks_late`
    pub(crate) late: bool,
    /// Processes of a worker.
    pub(crate) concurrency: usize,
    /// Whether tasks store results: in database 1 of the same Redis, or by rpc:// over the same RabbitMQ.
    pub(crate) results: bool,
    /// On RabbitMQ: they go to a Redis beside it, without a gate.
    pub(crate) results_in_redis: bool,
    /// On RabbitMQ: the queue is a quorum queue.
    pub(crate) quorum: bool,
    /// Whether a worker listens to `celery inspect` and `celery control`.
    pub(crate) remote: bool,
    /// Further options of `celery worker`.
    pub(crate) options: &'static [&'static str],
    /// `visibility_timeout` in seconds, if it is not the usual hour.
    pub(crate) visible: Option<u32>,
    /// How often each task is retried, and after how many seconds.
    pub(crate) retries: usize,
    pub(crate) retry_in: u32,
    /// Seconds that each task goes on for behind its result, or behind the publish of its next attempt.
    pub(crate) after: u32,
    /// Whether jobs are run three at a time (celery-batches).
    pub(crate) batches: bool,
    /// The queues, with a comma between them.
    pub(crate) queues: &'static str,
    /// Whether jobs have priorities.
    pub(crate) priorities: bool,
    /// `global_keyprefix`
    pub(crate) prefix: &'static str,
    /// The virtual environment: `celery`, or `celery53` for Celery 5.3 with redis-py 5 (RESP2).
    pub(crate) release: &'static str,
}

impl Default for Celery {
    fn default() -> Celery {
        Celery {
            late: false,
            concurrency: 2,
            results: true,
            results_in_redis: false,
            quorum: false,
            remote: true,
            options: &[],
            visible: None,
            retries: 0,
            retry_in: 1,
            after: 0,
            batches: false,
            queues: "celery",
            priorities: false,
            prefix: "",
            release: "celery",
        }
    }
}

impl Celery {
    fn environment(&self, world: &World, address: &str, run: &mut Command) {
        run.current_dir(installed("tests/jobs"))
            .env("JOB_LOG", world.log_path())
            .env("ACKS_LATE", if self.late { "1" } else { "0" })
            .env("KEY_PREFIX", self.prefix)
            .env("REMOTE", if self.remote { "1" } else { "0" })
            .env("QUEUE_TYPE", if self.quorum { "quorum" } else { "classic" })
            .env("RETRIES", self.retries.to_string())
            .env("RETRY_IN", self.retry_in.to_string())
            .env("AFTER", self.after.to_string())
            .env("BATCHES", if self.batches { "1" } else { "0" })
            .env("QUEUES", self.queues)
            .env("PRIORITIES", if self.priorities { "1" } else { "0" });
        // the producer speaks to the broker itself, and without TLS
        let files = world.certificates.as_ref().filter(|_| address == world.worker_address());
        let authority = files.map(|files| files.path("ca.crt"));
        let (s, query) = match &authority {
            Some(ca) => ("s", format!("?ssl_cert_reqs=CERT_REQUIRED&ssl_ca_certs={ca}")),
            None => ("", String::new()),
        };
        run.envs(authority.iter().map(|ca| ("AUTHORITY", ca)));
        let (broker, results) = match &world.rabbit {
            Some(_) if self.results_in_redis => {
                (format!("amqp://guest:guest@{address}//"), format!("redis://{}/1", world.redis.address()))
            }
            Some(_) => (format!("amqp{s}://guest:guest@{address}//"), "rpc://".to_owned()),
            None => (format!("redis{s}://{address}/0{query}"), format!("redis{s}://{address}/1{query}")),
        };
        run.env("BROKER_URL", broker);
        run.envs(self.visible.map(|seconds| ("VISIBLE", seconds.to_string())));
        if self.results {
            run.env("RESULT_URL", results);
        }
    }

    /// A command of Celery's own tool, such as `inspect ping`, that asks through `address`.
    pub(crate) fn tool(&self, world: &World, address: &str, arguments: &[&str]) -> Command {
        let mut run = command(installed(&format!(".venvs/{}/bin/celery", self.release)));
        run.args(["-A", "celery_app"]).args(arguments);
        self.environment(world, address, &mut run);
        run
    }
}

impl System for Celery {
    fn start(&self, world: &World, name: &str, life: usize) -> Worker {
        let label = format!("{name}.{life}");
        let node = format!("celery@{name}");
        let concurrency = self.concurrency.to_string();
        let mut run = self.tool(world, &world.worker_address(), &["worker", "-n", &node, "-c", &concurrency]);
        run.args(["--loglevel", "INFO", "-Q", self.queues]).args(self.options).env("WORKER", &label);
        let mut process = Proc::start(&mut run, &world.path().join(format!("{label}.log")));
        world.log().await_ready(&label, &mut process);
        let named = self.remote || !self.options.contains(&"--without-heartbeat");
        if let Some(gate) = world.gate.as_ref().filter(|_| named) {
            gate.await_known(&node);
        }
        Worker { process, name: node, label }
    }

    fn producer(&self, world: &World) -> Box<dyn Producer> {
        let mut run = command(installed(&format!(".venvs/{}/bin/python", self.release)));
        run.arg("celery_producer.py");
        // a job that is to store its result must be known to do so where it is pushed; it goes to the broker directly
        self.environment(world, &world.broker_address(), &mut run);
        LineProducer::start(world, run, true)
    }
}

/// Celery acknowledges a moment after the job has written its first line. Cut before that, it has a job that was never
/// acknowledged, and Celery 5.7 may end by itself then, with a gate or without.
pub(crate) fn await_acknowledged(world: &World, worker: &Worker) {
    eventually("the job is acknowledged", secs(20), || {
        world.gate().worker(&worker.name).filter(|worker| worker["in_flight"]["running"] == 1)
    });
}
