//! A private RabbitMQ node: own ports, own Erlang port mapper, own database. Debian's service is not touched.

use super::eventually;
use super::process::{Proc, command};
use super::redis::free_port;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// See the module.
pub(crate) struct Rabbit {
    port: u16,
    // in this order: the mapper outlives its node
    _node: Proc,
    _mapper: Proc,
}

impl Rabbit {
    /// A node below `dir`.
    pub(crate) fn start(dir: &Path) -> Rabbit {
        assert!(Path::new(SERVER).exists(), "{SERVER} is missing: run `make setup`");
        let home = dir.join("rabbitmq");
        std::fs::create_dir_all(&home).expect("a directory");
        std::fs::write(home.join("enabled_plugins"), "[].").expect("a file");
        let (port, mapper, distribution) = (free_port(), free_port().to_string(), free_port().to_string());
        let mut epmd = command("epmd");
        epmd.args(["-port", &mapper, "-address", "127.0.0.1"]);
        let _mapper = Proc::start(&mut epmd, &dir.join("epmd.log"));
        let mut server = command(SERVER);
        settings(&mut server, &home);
        server.env("ERL_EPMD_PORT", &mapper).env("ERL_EPMD_ADDRESS", "127.0.0.1");
        server.env("RABBITMQ_NODENAME", format!("draingate{port}@localhost"));
        server.env("RABBITMQ_DIST_PORT", &distribution).env("RABBITMQ_NODE_PORT", port.to_string());
        let mut node = Proc::start(&mut server, &dir.join("rabbitmq.log"));
        eventually("RabbitMQ answers", Duration::from_secs(120), || {
            assert!(node.is_running(), "rabbitmq-server ended at its start: see rabbitmq.log");
            greets(port).ok()
        });
        Rabbit { port, _node: node, _mapper }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

fn settings(server: &mut Command, home: &Path) {
    server
        .current_dir(home)
        .env("HOME", home)
        .env("RABBITMQ_MNESIA_BASE", home.join("mnesia"))
        .env("RABBITMQ_LOG_BASE", home)
        .env("RABBITMQ_LOGS", "-")
        .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", home.join("enabled_plugins"))
        .env("RABBITMQ_CONFIG_FILE", home.join("none"))
        .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
        .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 1:1 +sbwt none");
}

/// Says the protocol's first word and waits for the answer.
fn greets(port: u16) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"AMQP\x00\x00\x09\x01")?;
    stream.read_exact(&mut [0; 7])
}
