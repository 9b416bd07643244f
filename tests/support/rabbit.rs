//! A private RabbitMQ node: own ports, own Erlang port mapper, own database. Debian's service is not touched. RabbitMQ
//! 3.10 is the machine's, RabbitMQ 4 the one that `make setup` unpacks, with an Erlang of its own.

use super::certificates::Certificates;
use super::process::{Proc, command};
use super::redis::free_port;
use super::{eventually, installed, secs};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The releases that the stories are told on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// 3.10, of Debian 12.
    Three,
    /// 4.0, of Debian 13.
    Four,
}

impl Release {
    fn program(self, name: &str) -> Command {
        let program = Path::new("lib/rabbitmq/bin").join(name);
        match self {
            Release::Three => {
                let program = Path::new("/usr").join(program);
                assert!(program.exists(), "{} is missing: run `make setup`", program.display());
                command(program)
            }
            Release::Four => {
                let mut run = command(installed(".cache/rabbitmq4/usr").join(program));
                let path = std::env::var("PATH").unwrap_or_default();
                run.env("PATH", format!("{}:{path}", installed(".cache/rabbitmq4/bin").display()));
                run
            }
        }
    }
}

/// See the module.
pub(crate) struct Rabbit {
    release: Release,
    dir: PathBuf,
    port: u16,
    distribution: u16,
    mapper_port: u16,
    // in this order: the mapper outlives its node
    node: Option<Proc>,
    _mapper: Proc,
}

impl Rabbit {
    /// A node below `dir`.
    pub(crate) fn start(release: Release, dir: &Path) -> Rabbit {
        Rabbit::start_with(release, dir, "")
    }

    /// One that speaks TLS as well, on this port.
    pub(crate) fn start_secure(release: Release, dir: &Path, files: &Certificates, port: u16) -> Rabbit {
        let [ca, cert, key] = ["ca.crt", "server.crt", "server.key"].map(|file| files.path(file));
        let configuration = format!(
            "listeners.ssl.1 = 127.0.0.1:{port}\nssl_options.cacertfile = {ca}\nssl_options.certfile = {cert}\n\
             ssl_options.keyfile = {key}\nssl_options.verify = verify_none\n"
        );
        Rabbit::start_with(release, dir, &configuration)
    }

    fn start_with(release: Release, dir: &Path, configuration: &str) -> Rabbit {
        let home = dir.join("rabbitmq");
        std::fs::create_dir_all(&home).expect("a directory");
        std::fs::write(home.join("enabled_plugins"), "[].").expect("a file");
        std::fs::write(home.join("rabbitmq.conf"), configuration).expect("a file");
        let (port, mapper_port, distribution) = (free_port(), free_port(), free_port());
        let mut epmd = command("epmd");
        epmd.args(["-port", &mapper_port.to_string(), "-address", "127.0.0.1"]);
        let _mapper = Proc::start(&mut epmd, &dir.join("epmd.log"));
        let dir = dir.to_owned();
        let mut rabbit = Rabbit { release, dir, port, distribution, mapper_port, node: None, _mapper };
        rabbit.up();
        rabbit
    }

    /// Starts it (again): on the same port, with the same queues.
    pub(crate) fn up(&mut self) {
        let mut server = self.command("rabbitmq-server");
        server.env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 1:1 +sbwt none");
        server.env("RABBITMQ_DIST_PORT", self.distribution.to_string());
        server.env("RABBITMQ_NODE_PORT", self.port.to_string());
        let mut node = Proc::start(&mut server, &self.dir.join("rabbitmq.log"));
        eventually("RabbitMQ answers", Duration::from_secs(120), || {
            assert!(node.is_running(), "rabbitmq-server ended at its start: see rabbitmq.log");
            greets(self.port).ok()
        });
        self.node = Some(node);
    }

    /// A program of RabbitMQ's with what all of them need to know of this node.
    fn command(&self, program: &str) -> Command {
        let mut run = self.release.program(program);
        settings(&mut run, &self.dir.join("rabbitmq"));
        run.env("ERL_EPMD_PORT", self.mapper_port.to_string()).env("ERL_EPMD_ADDRESS", "127.0.0.1");
        run.env("RABBITMQ_NODENAME", format!("draingate{}@localhost", self.port));
        run
    }

    /// Tells the node something.
    pub(crate) fn ctl(&self, arguments: &[&str]) {
        let done = self.command("rabbitmqctl").arg("-q").args(arguments).output().expect("rabbitmqctl runs");
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// As its folder says.
    pub(crate) fn version(&self) -> String {
        let lib = match self.release {
            Release::Three => PathBuf::from("/usr/lib/rabbitmq/lib"),
            Release::Four => installed(".cache/rabbitmq4/usr/lib/rabbitmq/lib"),
        };
        let names = std::fs::read_dir(lib).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
        names.iter().find_map(|name| name.strip_prefix("rabbitmq_server-")).unwrap_or("?").to_owned()
    }

    /// Ends it in an orderly way.
    pub(crate) fn down(&mut self) {
        let Some(mut node) = self.node.take() else { return };
        node.signal(rustix::process::Signal::TERM);
        eventually("RabbitMQ has ended", secs(60), || (!node.is_running()).then_some(()));
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
        .env("RABBITMQ_CONFIG_FILE", home.join("rabbitmq.conf"))
        .env("RABBITMQ_CONF_ENV_FILE", "/dev/null");
}

/// Says the protocol's first word and waits for the answer.
fn greets(port: u16) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"AMQP\x00\x00\x09\x01")?;
    stream.read_exact(&mut [0; 7])
}
