//! A private Redis server and a client of ten lines for it.

use super::certificates::Certificates;
use super::process::{Proc, command};
use super::{eventually, installed, secs};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The servers that the stories are told on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// Redis 7.0, of Debian 12.
    Redis7,
    /// Redis 8, of Debian 13.
    Redis8,
    /// Valkey 8, of Debian 13.
    Valkey8,
    /// Valkey 9, of Debian's testing.
    Valkey9,
}

impl Server {
    fn command(self) -> Command {
        match self {
            Server::Redis7 => command("redis-server"),
            Server::Redis8 => command(installed(".cache/redis8/server")),
            Server::Valkey8 => command(installed(".cache/valkey8/server")),
            Server::Valkey9 => command(installed(".cache/valkey9/server")),
        }
    }
}

/// A server on a free port. It keeps its data over a [`Redis::restart`].
pub(crate) struct Redis {
    program: Server,
    port: u16,
    dir: PathBuf,
    /// Of its own, in addition to what every server gets.
    options: Vec<String>,
    server: Option<Proc>,
}

impl Redis {
    pub(crate) fn start(program: Server, dir: &Path) -> Redis {
        Redis::start_with(program, dir, Vec::new())
    }

    /// One that speaks TLS as well, on this port.
    pub(crate) fn start_secure(program: Server, dir: &Path, files: &Certificates, port: u16) -> Redis {
        let options = [
            ("--tls-port", port.to_string()),
            ("--tls-cert-file", files.path("server.crt")),
            ("--tls-key-file", files.path("server.key")),
            ("--tls-ca-cert-file", files.path("ca.crt")),
            ("--tls-auth-clients", "no".to_owned()),
        ];
        let options = options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
        Redis::start_with(program, dir, options)
    }

    /// One that listens on a Unix socket as well: [`socket`] in its directory.
    pub(crate) fn start_with_socket(program: Server, dir: &Path) -> Redis {
        Redis::start_with(program, dir, vec!["--unixsocket".to_owned(), socket(dir).display().to_string()])
    }

    /// One that has what this one has.
    pub(crate) fn start_replica(&self, dir: &Path) -> Redis {
        Redis::start_with(self.program, dir, vec!["--replicaof".to_owned(), format!("127.0.0.1 {}", self.port)])
    }

    fn start_with(program: Server, dir: &Path, options: Vec<String>) -> Redis {
        // the port is free now, and with bad luck taken a moment later
        for _ in 0..5 {
            let (port, dir, options) = (free_port(), dir.to_owned(), options.clone());
            let mut redis = Redis { program, port, dir, options, server: None };
            if redis.up() {
                return redis;
            }
        }
        panic!("redis-server does not start: see redis.log (is it installed? `make setup` does that)");
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// As it says itself.
    pub(crate) fn version(&self) -> String {
        let info = self.command(&["INFO", "server"]);
        let told = |key: &str| info.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        match (told("valkey_version:"), told("redis_version:")) {
            (Some(valkey), _) => format!("Valkey {valkey}"),
            (None, redis) => format!("Redis {}", redis.unwrap_or("?")),
        }
    }

    /// Stops the server; the data stays in its append-only file.
    pub(crate) fn down(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.signal(rustix::process::Signal::TERM);
            eventually("redis-server ends", secs(10), || (!server.is_running()).then_some(()));
        }
    }

    /// Starts it again; false if it did not come up.
    pub(crate) fn up(&mut self) -> bool {
        let port = self.port.to_string();
        let mut run = self.program.command();
        run.current_dir(&self.dir).args(["--port", &port, "--bind", "127.0.0.1"]).args(&self.options);
        run.args(["--save", "", "--appendonly", "yes", "--appendfsync", "no"]);
        let server = Proc::start(&mut run, &self.dir.join("redis.log"));
        let address = self.address();
        let server = self.server.insert(server);
        let own = format!("process_id:{}", server.pid());
        for _ in 0..500 {
            if !server.is_running() {
                break;
            }
            // somebody else's server on this port would have another process id; one that is still reading its file answers
            // nearly everything with an error
            let ready = |info: String| info.contains(&own) && info.contains("\nloading:0");
            if ask(&address, &["INFO"]).is_ok_and(ready) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.server = None;
        false
    }

    /// The reply to one command, as text: bulk and simple strings and numbers as they are, arrays one element a line.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        ask(&self.address(), words).unwrap_or_else(|error| panic!("no reply from Redis to {words:?}: {error}"))
    }

    /// One number of `INFO`.
    pub(crate) fn info(&self, field: &str) -> u64 {
        let info = self.command(&["INFO"]);
        let value = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        value.and_then(|value| value.trim().parse().ok()).unwrap_or_else(|| panic!("INFO has no {field}"))
    }
}

/// Where the Unix socket is of a server that has its directory there.
pub(crate) fn socket(dir: &Path) -> PathBuf {
    dir.join("redis.sock")
}

fn ask(address: &str, words: &[&str]) -> std::io::Result<String> {
    Client::connect(address)?.command(words)
}

/// A connection that speaks RESP2, enough for the tests.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(address: &str) -> std::io::Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(secs(10)))?;
        stream.set_nodelay(true)?;
        Ok(Client { stream: BufReader::new(stream) })
    }

    pub(crate) fn command(&mut self, words: &[&str]) -> std::io::Result<String> {
        self.send(words)?;
        self.reply()
    }

    /// A command whose reply is not waited for.
    pub(crate) fn send(&mut self, words: &[&str]) -> std::io::Result<()> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.stream.get_mut().write_all(request.as_bytes())
    }

    /// Goes at once. (Merely dropped it would live on in a child that another test is just forking, until its exec.)
    pub(crate) fn leave(mut self) {
        let _ = self.stream.get_mut().shutdown(std::net::Shutdown::Both);
    }

    /// Says that nothing more will be sent; what comes can still be read.
    pub(crate) fn half_close(&mut self) -> std::io::Result<()> {
        self.stream.get_mut().shutdown(std::net::Shutdown::Write)
    }

    /// The next reply.
    pub(crate) fn reply(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let (kind, rest) = line.trim_end().split_at(1);
        Ok(match kind {
            "$" if rest != "-1" => {
                let mut body = vec![0; rest.parse::<usize>().map_err(std::io::Error::other)? + 2];
                self.stream.read_exact(&mut body)?;
                String::from_utf8_lossy(&body[..body.len() - 2]).into_owned()
            }
            "*" | "%" if rest != "-1" => {
                let count = rest.parse::<usize>().map_err(std::io::Error::other)? * if kind == "%" { 2 } else { 1 };
                (0..count).map(|_| self.reply()).collect::<std::io::Result<Vec<_>>>()?.join("\n")
            }
            "$" | "*" | "_" => "nil".to_owned(),
            _ => rest.to_owned(),
        })
    }
}

/// A port that nobody listens on at this moment. Not one of those that the system gives to outgoing connections: a broker
/// takes seconds until it listens, and any client on the machine could have it by then.
pub(crate) fn free_port() -> u16 {
    // a broker may take seconds until it listens: meanwhile its port looks free to others
    static HANDED_OUT: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut handed_out = HANDED_OUT.lock().unwrap_or_else(PoisonError::into_inner);
    let any = std::iter::repeat_with(|| fastrand::u16(10_000..32_000)).take(1_000);
    let mut new = any.filter(|port| handed_out.insert(*port));
    new.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}
