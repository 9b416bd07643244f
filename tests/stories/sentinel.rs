//! A Sentinel says which Redis is the master. When that one dies workers come back to the next by the same gate, with the
//! same marks.

use crate::support::celery::{Celery, await_acknowledged};
use crate::support::certificates::Certificates;
use crate::support::gate::Gate;
use crate::support::process::{Proc, command};
use crate::support::redis::{Client, Redis, Server, free_port};
use crate::support::story::{Load, System, await_job_on, drain_and_kill, drain_then_kill};
use crate::support::{World, eventually, rounds, secs};
use std::path::Path;

const PASSWORD: &str = "of the Sentinel";

/// One Sentinel is enough to decide that a master is dead.
struct Sentinel {
    address: String,
    _server: Proc,
}

impl Sentinel {
    /// Watches over a master, which it calls `jobs`.
    fn start(dir: &Path, master: &Redis) -> Sentinel {
        let sentinel = Sentinel::start_with(dir, &master.address(), &[]);
        eventually("the Sentinel answers", secs(20), || sentinel.master());
        sentinel
    }

    /// One that speaks TLS, with a master that does so at this address.
    fn start_secure(dir: &Path, master: &str, files: &Certificates) -> Sentinel {
        let port = free_port();
        let secure = [
            format!("tls-port {port}"),
            format!("tls-cert-file {}", files.path("server.crt")),
            format!("tls-key-file {}", files.path("server.key")),
            format!("tls-ca-cert-file {}", files.path("ca.crt")),
            "tls-auth-clients no".to_owned(),
            "tls-replication yes".to_owned(),
        ];
        Sentinel { address: format!("localhost:{port}"), ..Sentinel::start_with(dir, master, &secure) }
    }

    fn start_with(dir: &Path, master: &str, more: &[String]) -> Sentinel {
        let (port, file) = (free_port(), dir.join("sentinel.conf"));
        let lines = [
            format!("port {port}"),
            format!("requirepass \"{PASSWORD}\""),
            // hosts keep the names that certificates are for
            "sentinel resolve-hostnames yes".to_owned(),
            "sentinel announce-hostnames yes".to_owned(),
            format!("sentinel monitor jobs {} 1", master.replace(':', " ")),
            "sentinel down-after-milliseconds jobs 500".to_owned(),
        ];
        std::fs::write(&file, [&lines[..], more].concat().join("\n")).expect("written");
        let mut run = command("redis-server");
        run.arg(&file).args(["--sentinel", "--bind", "127.0.0.1"]);
        let server = Proc::start(&mut run, &dir.join("sentinel.log"));
        Sentinel { address: format!("127.0.0.1:{port}"), _server: server }
    }

    /// Where the master is.
    fn master(&self) -> Option<String> {
        let mut client = Client::connect(&self.address).ok()?;
        client.command(&["AUTH", PASSWORD]).ok()?;
        let told = client.command(&["SENTINEL", "get-master-addr-by-name", "jobs"]).ok()?;
        told.contains('\n').then(|| told.replace('\n', ":"))
    }
}

fn url(scheme: &str, address: &str) -> String {
    format!("{scheme}://:{}@{address}/jobs", PASSWORD.replace(' ', "%20"))
}

/// A gate that asks two of them, of whom the first is down.
fn guarded(world: &mut World) -> Sentinel {
    let sentinel = Sentinel::start(world.path(), &world.redis);
    let of = |address: &str| url("redis-sentinel", address);
    let upstream = format!("{},{}", of(&format!("127.0.0.1:{}", free_port())), of(&sentinel.address));
    world.gate = Some(Gate::start(world.path(), &[&upstream]));
    sentinel
}

#[test]
fn the_master_dies() {
    let mut world = World::without_gate();
    let place = tempfile::tempdir().expect("a temporary directory");
    let replica = world.redis.start_replica(place.path());
    let sentinel = guarded(&mut world);
    eventually("there is a replica to go on with", secs(30), || {
        world.redis.command(&["INFO", "replication"]).contains("state=online").then_some(())
    });
    let celery = Celery::default();
    let [drained, worker] = ["w0", "w1"].map(|name| celery.start(&world, name, 1));
    let waits = ["--wait", "--timeout", "90s"];
    world.gate().cli(&[&["drain", &drained.name, "--name", "w0"][..], &waits].concat()).expect(0);
    let mut producer = celery.producer(&world);
    producer.push("before", 8.0, 0.0);
    world.log().await_line("start", "before", secs(60));
    await_acknowledged(&world, &worker);
    drop(producer);

    let mut former = std::mem::replace(&mut world.redis, replica);
    former.down();
    eventually("the replica is the master", secs(60), || {
        sentinel.master().filter(|master| *master == world.redis.address())
    });
    let mut producer = celery.producer(&world);
    world.log().await_line("end", "before", secs(60));
    for number in 0..16 {
        producer.push(&format!("job{number}"), 0.5, 0.0);
    }
    world.log().await_line("start", "job0", secs(60));
    let killed = drain_then_kill(&world, worker, "w1");
    let other = celery.start(&world, "w2", 1);
    await_job_on(&world, &other);
    world.log().await_all_ended(secs(60));
    assert!(world.log().first(|line| line.worker == drained.label && line.what == "start").is_none(), "it is drained");
    assert_eq!(world.log().assert_exactly_once(&[killed]), 17);
}

#[test]
fn with_tls_everywhere() {
    let (mut world, port) = (World::without_gate(), free_port());
    let files = Certificates::make(world.path());
    world.redis = Redis::start_secure(Server::Redis7, world.path(), &files, port);
    let sentinel = Sentinel::start_secure(world.path(), &format!("localhost:{port}"), &files);
    let upstream = url("rediss-sentinel", &sentinel.address);
    world.gate = Some(Gate::start_secure(world.path(), &upstream, &files));
    world.certificates = Some(files);
    drain_and_kill(&world, &Celery::default(), Load::default(), rounds());
}

/// What nobody knows is said, and the connection is closed rather than left hanging.
#[test]
fn nobody_knows_the_master() {
    let mut world = World::without_gate();
    let sentinel = Sentinel::start(world.path(), &world.redis);
    world.gate = Some(Gate::start(world.path(), &[&format!("redis-sentinel://{}/jobs", sentinel.address)]));
    let mut client = Client::connect(&world.worker_address()).expect("the gate accepts");
    assert!(client.command(&["PING"]).is_err(), "closed");
    eventually("the log says why", secs(10), || {
        let log = std::fs::read_to_string(world.path().join("gate.log")).expect("a log");
        (log.contains(&sentinel.address) && log.contains("Sentinel: NOAUTH")).then_some(())
    });
}
