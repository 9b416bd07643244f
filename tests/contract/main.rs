//! The contract as a stranger meets it: the binary, a Redis, sockets and HTTP. No job system is needed here; what the
//! real ones do stands in `stories`.

#[path = "../support/mod.rs"]
#[allow(dead_code, unused_imports)]
mod support;

mod errors;
mod held;
mod names;
mod unknown;
mod vanishing;

use std::fs::File;
use support::World;
use support::process::{Proc, command};

/// A worker of a home-made system, as a process of its own: `redis-cli` with a name and a list of commands. It ends
/// with the last of them.
struct Worker {
    process: Proc,
    log: std::path::PathBuf,
}

impl Worker {
    fn start(world: &World, name: &str, commands: &[&str]) -> Worker {
        let script = world.path().join(format!("{name}.in"));
        std::fs::write(&script, format!("CLIENT SETNAME {name}\n{}\n", commands.join("\n"))).expect("written");
        let address = world.worker_address();
        let port = address.rsplit(':').next().expect("a port");
        let log = world.path().join(format!("{name}.log"));
        let _ = std::fs::remove_file(&log);
        let mut cli = command("redis-cli");
        cli.args(["-p", port]).stdin(File::open(&script).expect("just written"));
        let process = Proc::start(&mut cli, &log);
        world.gate().await_known(name);
        Worker { process, log }
    }

    /// What it has been answered so far, but for the name's.
    fn answers(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.strip_prefix("OK\n").unwrap_or_default().to_owned()
    }
}
