//! Sidekiq workers of three major versions. A job is a JSON text in a list, so the producer needs no Ruby.

use super::gate::text;
use super::process::{Proc, command};
use super::redis::Client;
use super::story::{Producer, System, Worker};
use super::{JobLog, World, installed};

/// Which Sidekiq, and how it is started.
#[derive(Clone)]
pub(crate) struct Sidekiq {
    /// 6: Debian's; 7 and 8: unpacked by `make setup`.
    pub(crate) version: u8,
    /// Threads of a worker.
    pub(crate) concurrency: usize,
    /// Run by a shell that keeps SIGTERM to itself, as `sh -c` does in the first process of a container.
    pub(crate) shell: bool,
    /// The queues with their weights, as `-q` takes them.
    pub(crate) queues: &'static [&'static str],
    /// From 7 on: a capsule with a thread of its own for the queue `single`.
    pub(crate) capsule: bool,
    /// From 7 on: with a fetcher that keeps each job in a list of the process's own until it is done.
    pub(crate) private_lists: bool,
    /// So many seconds jobs have after TERM; what is not done then goes back to its queue.
    pub(crate) timeout: usize,
}

impl Sidekiq {
    pub(crate) fn new(version: u8) -> Sidekiq {
        let (concurrency, queues, timeout) = (3, &["default"], 25);
        Sidekiq { version, concurrency, shell: false, queues, capsule: false, private_lists: false, timeout }
    }
}

impl System for Sidekiq {
    fn start(&self, world: &World, name: &str, life: usize) -> Worker {
        let label = format!("{name}.{life}");
        let ruby = match self.version {
            6 => "ruby".into(),
            version => installed(&format!(".cache/sidekiq{version}/ruby")),
        };
        let script = installed("tests/jobs/sidekiq_worker.rb");
        let concurrency = self.concurrency.to_string();
        let mut run = if self.shell {
            let mut shell = command("sh");
            shell.args(["-c", "trap '' TERM; \"$@\"; echo the worker ended with $?", "sh"]).arg(ruby);
            shell
        } else {
            command(ruby)
        };
        run.arg(script).args(["-c", &concurrency, "-t", &self.timeout.to_string()]);
        for queue in self.queues {
            run.args(["-q", queue]);
        }
        run.env("CAPSULE", if self.capsule { "1" } else { "0" });
        run.env("PRIVATE_LISTS", if self.private_lists { "1" } else { "0" });
        run.env("REDIS_URL", format!("redis://{}/0", world.worker_address()));
        run.env("JOB_LOG", world.log_path()).env("WORKER", &label);
        let mut process = Proc::start(&mut run, &world.path().join(format!("{label}.log")));
        let pid = world.log().await_ready(&label, &mut process).pid;
        // a Sidekiq calls itself host:pid:nonce, in its first heartbeat
        let name = match &world.gate {
            None => format!("*:{pid}:*"),
            Some(gate) => text(&gate.await_known(&format!("*:{pid}:*"))["name"]).to_owned(),
        };
        Worker { process, name, label }
    }

    fn producer(&self, world: &World) -> Box<dyn Producer> {
        let client = Client::connect(&world.redis.address()).expect("the broker");
        let mut queues: Vec<&str> = self.queues.iter().filter_map(|queue| queue.split(',').next()).collect();
        queues.extend(self.capsule.then_some("single"));
        Box::new(SidekiqProducer { client, log: JobLog::new(world.log_path()), queues, pushed: 0 })
    }
}

struct SidekiqProducer {
    client: Client,
    log: JobLog,
    queues: Vec<&'static str>,
    pushed: usize,
}

impl Producer for SidekiqProducer {
    fn push(&mut self, id: &str, seconds: f64, countdown: f64) {
        self.log.note_push(id);
        let now = super::now();
        let queue = self.queues[self.pushed % self.queues.len()];
        self.pushed += 1;
        // 24 hexadecimal digits, as Sidekiq makes them
        let jid: String = id.bytes().map(|byte| format!("{byte:02x}")).collect();
        let mut job = serde_json::json!({
            "class": "Job", "args": [id, seconds], "jid": format!("{jid:0>24}"), "queue": queue, "retry": false,
            "created_at": now,
        });
        if countdown > 0.0 {
            self.client.command(&["ZADD", "schedule", &format!("{:.6}", now + countdown), &job.to_string()])
        } else {
            job["enqueued_at"] = now.into();
            self.client.command(&["LPUSH", &format!("queue:{queue}"), &job.to_string()])
        }
        .expect("the broker takes the job");
    }
}
