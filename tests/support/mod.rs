//! A small world for one test: a private Redis, a gate in front of it, real workers behind it and the job log beside
//! it. Everything lives in a temporary directory, listens on ports of its own, and ends with the test. A failing test
//! shows the end of every log; `DRAINGATE_KEEP=1` keeps the directory.

pub(crate) mod celery;
pub(crate) mod certificates;
pub(crate) mod clients;
pub(crate) mod evidence;
pub(crate) mod gate;
pub(crate) mod held;
pub(crate) mod joblog;
pub(crate) mod pika;
pub(crate) mod process;
pub(crate) mod queues;
pub(crate) mod rabbit;
pub(crate) mod redis;
pub(crate) mod scripted;
pub(crate) mod sidekiq;
pub(crate) mod slow;
pub(crate) mod story;

use certificates::Certificates;
use gate::Gate;
pub(crate) use joblog::JobLog;
use rabbit::{Rabbit, Release};
use redis::{Redis, Server, free_port};
use slow::{SlowNetwork, Slowness};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What stands around the workers of one test.
pub(crate) struct World {
    pub(crate) redis: Redis,
    /// In the place of Redis, where a story is about RabbitMQ.
    pub(crate) rabbit: Option<Rabbit>,
    pub(crate) gate: Option<Gate>,
    /// Where workers, gate and broker speak TLS to each other.
    pub(crate) certificates: Option<Certificates>,
    /// Where the network between workers and gate is slow.
    pub(crate) network: Option<SlowNetwork>,
    log: JobLog,
    dir: tempfile::TempDir,
}

impl World {
    /// Redis with the gate before it.
    pub(crate) fn new() -> World {
        World::on(Server::Redis7)
    }

    /// Redis alone, for the tests of the tests.
    pub(crate) fn without_gate() -> World {
        World::of(Server::Redis7)
    }

    /// Another Redis, or Valkey, with the gate before it.
    pub(crate) fn on(server: Server) -> World {
        let mut world = World::of(server);
        world.gate = Some(Gate::start(world.path(), &[&world.redis.address()]));
        world
    }

    fn of(server: Server) -> World {
        World::around(|dir| Redis::start(server, dir))
    }

    fn around(redis: impl FnOnce(&Path) -> Redis) -> World {
        let dir = tempfile::Builder::new().prefix("draingate-").tempdir().expect("a temporary directory");
        let log = JobLog::new(dir.path().join("job.log"));
        World { redis: redis(dir.path()), rabbit: None, gate: None, certificates: None, network: None, log, dir }
    }

    /// Redis with the gate before it, which connects to it over a Unix socket.
    pub(crate) fn over_unix_socket() -> World {
        let mut world = World::around(|dir| Redis::start_with_socket(Server::Redis7, dir));
        let upstream = format!("unix://{}", redis::socket(world.path()).display());
        world.gate = Some(Gate::start(world.path(), &[&upstream]));
        world
    }

    /// Redis with the gate before it, and TLS on both sides of the gate.
    pub(crate) fn secure() -> World {
        let port = free_port();
        let mut world = World::around(|dir| Redis::start_secure(Server::Redis7, dir, &Certificates::make(dir), port));
        world.secure_gate(&format!("rediss://localhost:{port}"));
        world
    }

    /// The same with RabbitMQ of this release.
    pub(crate) fn secure_with(release: Release) -> World {
        let (port, mut world) = (free_port(), World::without_gate());
        world.rabbit = Some(Rabbit::start_secure(release, world.path(), &Certificates::make(world.path()), port));
        world.secure_gate(&format!("amqps://localhost:{port}"));
        world
    }

    fn secure_gate(&mut self, upstream: &str) {
        let files = Certificates::of(self.path());
        self.gate = Some(Gate::start_secure(self.path(), upstream, &files));
        self.certificates = Some(files);
    }

    /// RabbitMQ of this release with the gate before it.
    pub(crate) fn with(release: Release) -> World {
        let mut world = World::without_gate();
        let rabbit = Rabbit::start(release, world.path());
        world.gate = Some(Gate::start(world.path(), &[&format!("amqp://{}", rabbit.address())]));
        world.rabbit = Some(rabbit);
        world
    }

    /// Redis with the gate before it, and a slow network before the gate.
    pub(crate) fn behind(slowness: Slowness) -> World {
        let mut world = World::without_gate();
        let gate = Gate::start_proxied(world.path(), &format!("redis://{}", world.redis.address()));
        world.network = Some(SlowNetwork::before(&gate.listener(0), slowness));
        world.gate = Some(gate);
        world
    }

    /// The same with RabbitMQ of this release.
    pub(crate) fn with_behind(release: Release, slowness: Slowness) -> World {
        let mut world = World::without_gate();
        let rabbit = Rabbit::start(release, world.path());
        let gate = Gate::start_proxied(world.path(), &format!("amqp://{}", rabbit.address()));
        world.network = Some(SlowNetwork::before(&gate.listener(0), slowness));
        (world.gate, world.rabbit) = (Some(gate), Some(rabbit));
        world
    }

    /// The broker itself.
    pub(crate) fn broker_address(&self) -> String {
        self.rabbit.as_ref().map_or_else(|| self.redis.address(), Rabbit::address)
    }

    /// `Redis 7.0.15`, `RabbitMQ 4.0.5`.
    pub(crate) fn broker_version(&self) -> String {
        match &self.rabbit {
            Some(rabbit) => format!("RabbitMQ {}", rabbit.version()),
            None => self.redis.version(),
        }
    }

    pub(crate) fn gate(&self) -> &Gate {
        self.gate.as_ref().expect("this world has a gate")
    }

    pub(crate) fn gate_mut(&mut self) -> &mut Gate {
        self.gate.as_mut().expect("this world has a gate")
    }

    /// The broker as one worker sees it: through the gate where there is one.
    pub(crate) fn worker_address(&self) -> String {
        self.worker_way().0
    }

    /// The same, and where the worker seems to come from, if the network hides it.
    pub(crate) fn worker_way(&self) -> (String, Option<Ipv4Addr>) {
        if let Some(network) = &self.network {
            let (address, from) = network.enter();
            return (address, Some(from));
        }
        (self.gate.as_ref().map_or_else(|| self.broker_address(), |gate| gate.listener(0)), None)
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn log(&self) -> &JobLog {
        &self.log
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.log.path()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::env::var_os("DRAINGATE_KEEP").is_some() {
            self.dir.disable_cleanup(true);
            eprintln!("kept: {}", self.path().display());
        }
        if !std::thread::panicking() {
            return;
        }
        let mut logs: Vec<PathBuf> = std::fs::read_dir(self.path())
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
        logs.sort();
        for path in logs {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()).into_owned();
            let lines: Vec<&str> = text.lines().collect();
            eprintln!("──── {} (the last of {} lines)", path.display(), lines.len());
            for line in &lines[lines.len().saturating_sub(80)..] {
                eprintln!("{line}");
            }
        }
    }
}

/// Asks again and again until there is an answer; what has not happened in time fails the test.
pub(crate) fn eventually<T>(what: &str, within: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < within, "not within {within:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Unix time in seconds: the clock of the job log.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs_f64()
}

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// How often each story is told: twice, if nobody wants it otherwise.
pub(crate) fn rounds() -> usize {
    rounds_or(2)
}

/// The same for a story that is one of many of its kind.
pub(crate) fn rounds_or(usual: usize) -> usize {
    std::env::var("DRAINGATE_ROUNDS").map_or(usual, |rounds| rounds.parse().expect("DRAINGATE_ROUNDS is a number"))
}

/// What `make setup` has put below the repository.
pub(crate) fn installed(path: &str) -> PathBuf {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    assert!(full.exists(), "{} is missing: run `make setup`", full.display());
    full
}
