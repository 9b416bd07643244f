//! A real Redis that keeps drains, and gates that keep them there.

use crate::broker::{Broker, Client};
use crate::gate::{Gate, SURELY, config};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// See the module. Its options are words of its command line; without any it keeps nothing over a restart.
pub(crate) struct Keeper {
    pub(crate) address: SocketAddr,
    options: Vec<String>,
    dir: TempDir,
    server: Option<Child>,
}

impl Keeper {
    pub(crate) fn start(options: &[&str]) -> Keeper {
        let dir = tempfile::tempdir().expect("a directory");
        let options = options.iter().map(|option| option.replace("<dir>", &dir.path().display().to_string())).collect();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut keeper = Keeper { address, options, dir, server: None };
        keeper.up();
        keeper
    }

    /// Starts it (again), at the same address.
    pub(crate) fn up(&mut self) {
        let port = self.address.port().to_string();
        let mut server = Command::new("redis-server");
        server.args(["--bind", "127.0.0.1", "--port", &port, "--save", ""]).args(&self.options);
        server.current_dir(&self.dir).stdout(Stdio::null());
        self.server = Some(server.spawn().expect("redis-server"));
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            assert!(begun.elapsed() < SURELY, "redis-server does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// kill -9.
    pub(crate) fn down(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    /// It stands still, or goes on.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.server.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().expect("kill is there").success());
    }

    /// As the configuration has it.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}/1?key=blue", self.address)
    }

    /// The first line of the answer, in database 1.
    pub(crate) fn call(&self, words: &[&str]) -> String {
        let mut client = Client::connect(self.address);
        assert_eq!(client.call(&["SELECT", "1"]), "+OK");
        client.call(words)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.down();
    }
}

/// A port that nobody listens on. Not one of those that the system gives to outgoing connections: a Redis that is restarted
/// wants its own again.
pub(crate) fn free_port() -> u16 {
    let mut any = std::iter::repeat_with(|| fastrand::u16(10_000..32_000)).take(1_000);
    any.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}

/// A configuration of a gate in front of this broker that keeps its drains there.
pub(crate) fn kept(broker: &Broker, url: &str) -> String {
    config(broker.address, &format!("[state]\nurl = {url:?}\n"))
}

/// Directories for gates.
pub(crate) struct Dirs(TempDir);

impl Dirs {
    pub(crate) fn new() -> Dirs {
        Dirs(tempfile::tempdir().expect("a directory"))
    }

    /// One of them, empty at first.
    pub(crate) fn of(&self, name: &str) -> PathBuf {
        let dir = self.0.path().join(name);
        std::fs::create_dir_all(&dir).expect("made");
        dir
    }
}

/// A worker behind the gate that waits for a job.
pub(crate) fn worker(gate: &mut Gate) -> Client {
    let mut worker = Client::connect(gate.listener);
    worker.send(&["BRPOP", "jobs", "0"]);
    gate.eventually("the worker is known", |gate| gate.get("/v1/workers").contains("jobs").then_some(()));
    worker
}

/// Asks for a drain of everybody: status and answer.
pub(crate) fn drain(gate: &Gate) -> (u16, String) {
    gate.http("POST", "/v1/drains", r#"{"selector":"all","name":"d"}"#)
}

/// What is pushed now stays where it is, although the worker asks for it.
#[track_caller]
pub(crate) fn assert_held(broker: &Broker, gate: &Gate, worker: &mut Client) {
    let mut producer = Client::connect(broker.address);
    let before = producer.call(&["LLEN", "jobs"]);
    producer.call(&["LPUSH", "jobs", "one"]);
    assert!(worker.is_silent(Duration::from_millis(1_500)), "it gets a job\n{}", gate.log());
    assert_ne!(producer.call(&["LLEN", "jobs"]), before);
}

/// The journal in a gate's directory.
pub(crate) fn journal(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("state/journal")).expect("there")
}
