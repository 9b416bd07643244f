//! A Sentinel says which Redis is the master. When that one dies workers come back to the next by the same gate, with the
//! same marks.

use crate::support::celery::{Celery, await_acknowledged};
use crate::support::gate::Gate;
use crate::support::process::{Proc, command};
use crate::support::redis::{Client, Redis, free_port};
use crate::support::story::{System, await_job_on, drain_then_kill};
use crate::support::{World, eventually, secs};
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
        let (port, file) = (free_port(), dir.join("sentinel.conf"));
        let master = master.address().replace(':', " ");
        let lines = [
            format!("port {port}"),
            format!("requirepass \"{PASSWORD}\""),
            format!("sentinel monitor jobs {master} 1"),
            "sentinel down-after-milliseconds jobs 500".to_owned(),
        ];
        std::fs::write(&file, lines.join("\n")).expect("written");
        let mut run = command("redis-server");
        run.arg(&file).args(["--sentinel", "--bind", "127.0.0.1"]);
        let sentinel = Sentinel {
            address: format!("127.0.0.1:{port}"),
            _server: Proc::start(&mut run, &dir.join("sentinel.log")),
        };
        eventually("the Sentinel answers", secs(20), || sentinel.master());
        sentinel
    }

    /// Where the master is.
    fn master(&self) -> Option<String> {
        let mut client = Client::connect(&self.address).ok()?;
        client.command(&["AUTH", PASSWORD]).ok()?;
        let told = client.command(&["SENTINEL", "get-master-addr-by-name", "jobs"]).ok()?;
        told.contains('\n').then(|| told.replace('\n', ":"))
    }
}

/// A gate that asks two of them, of whom the first is down.
fn guarded(world: &mut World) -> Sentinel {
    let sentinel = Sentinel::start(world.path(), &world.redis);
    let of = |address: &str| format!("redis-sentinel://:{}@{address}/jobs", PASSWORD.replace(' ', "%20"));
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
