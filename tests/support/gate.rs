//! The gate as its users meet it: the binary, its HTTP interface and its command line.

use super::certificates::Certificates;
use super::process::{Proc, command};
use super::redis::free_port;
use super::{eventually, secs};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// The binary that is tested: cargo's, or the one `DRAINGATE` names (a static one, an older one).
fn binary() -> PathBuf {
    std::env::var_os("DRAINGATE").map_or_else(|| env!("CARGO_BIN_EXE_draingate").into(), PathBuf::from)
}

/// A running `draingate serve`.
pub(crate) struct Gate {
    dir: PathBuf,
    upstreams: Vec<String>,
    listeners: Vec<String>,
    admin: String,
    environment: Vec<(String, String)>,
    server: Option<Proc>,
}

impl Gate {
    /// A gate with one listener for each of the upstream addresses, on free ports; state and log below `dir`.
    pub(crate) fn start(dir: &Path, upstreams: &[&str]) -> Gate {
        // it is started again on the same ports: no outgoing connection must take them meanwhile
        let any = || format!("127.0.0.1:{}", free_port());
        let mut gate = Gate {
            dir: dir.to_owned(),
            upstreams: upstreams.iter().map(|&upstream| upstream.to_owned()).collect(),
            listeners: upstreams.iter().map(|_| any()).collect(),
            admin: any(),
            environment: Vec::new(),
            server: None,
        };
        gate.up();
        gate
    }

    /// A gate that clients and the broker (`rediss://localhost:PORT` or `amqps://localhost:PORT`) are spoken to by TLS.
    pub(crate) fn start_secure(dir: &Path, upstream: &str, files: &Certificates) -> Gate {
        let [ca, cert, key] = ["ca.crt", "server.crt", "server.key"].map(|file| files.path(file));
        Gate::start_with(dir, upstream, &[("UPSTREAM_TLS__CA", &ca), ("TLS__CERT", &cert), ("TLS__KEY", &key)])
    }

    /// A gate that is told by a header of the PROXY protocol whose connection each is.
    pub(crate) fn start_proxied(dir: &Path, upstream: &str) -> Gate {
        Gate::start_with(dir, upstream, &[("PROXY_PROTOCOL", "true")])
    }

    /// A gate whose only listener has further settings.
    fn start_with(dir: &Path, upstream: &str, further: &[(&str, &str)]) -> Gate {
        let listener = format!("127.0.0.1:{}", free_port());
        let protocol = if upstream.starts_with("amqp") { "amqp" } else { "redis" };
        let usual = [("PROTOCOL", protocol), ("BIND", listener.as_str()), ("UPSTREAM", upstream)];
        let settings = usual.iter().chain(further);
        let settings = settings.map(|(key, value)| (format!("DRAINGATE__LISTENER__0__{key}"), (*value).to_owned()));
        let mut gate = Gate {
            dir: dir.to_owned(),
            upstreams: Vec::new(),
            listeners: Vec::new(),
            admin: format!("127.0.0.1:{}", free_port()),
            environment: settings.collect(),
            server: None,
        };
        gate.up();
        gate
    }

    /// From its next start on, as `DRAINGATE__DRAINS__FORGET_AFTER`.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        self.environment.push((key.to_owned(), value.to_owned()));
    }

    /// Where a listener listens.
    pub(crate) fn listener(&self, number: usize) -> String {
        self.listeners[number].clone()
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        self.server = None;
    }

    /// SIGTERM: a safe stop.
    pub(crate) fn terminate(&mut self) {
        self.server.as_ref().expect("a running gate").signal(rustix::process::Signal::TERM);
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.server.as_mut().expect("a gate that was started").exit_status()
    }

    /// Starts it (again): on the same ports, with the same state.
    pub(crate) fn up(&mut self) {
        let state = self.dir.join("state");
        let admin_file = state.join("admin.json");
        let _ = std::fs::remove_file(&admin_file);
        let mut serve = command(binary());
        serve.args(["serve", "--admin", &self.admin]).arg("--state-dir").arg(&state).env("RUST_BACKTRACE", "1");
        serve.envs(self.environment.iter().cloned());
        for (listener, upstream) in self.listeners.iter().zip(&self.upstreams) {
            match upstream.split_once("://") {
                Some(("amqp", _)) => serve.arg("--amqp").arg(format!("{listener}={upstream}")),
                Some(_) => serve.arg("--redis").arg(format!("{listener}={upstream}")),
                None => serve.arg("--redis").arg(format!("{listener}=redis://{upstream}")),
            };
        }
        let server = self.server.insert(Proc::start(&mut serve, &self.dir.join("gate.log")));
        self.admin = eventually("the gate says where its admin interface is", secs(60), || {
            assert!(server.is_running(), "the gate ended at its start: see gate.log");
            find_address(&serde_json::from_slice(&std::fs::read(&admin_file).ok()?).ok()?)
        });
        let version = eventually("the gate is ready", secs(60), || {
            (self.http("GET", "/readyz", None)?.0 == 200).then(|| self.http("GET", "/v1/version", None))?
        });
        let listeners = version.1["listeners"].as_array().expect("listeners").iter();
        self.listeners = listeners.map(|listener| text(&listener["address"]).to_owned()).collect();
        assert_eq!(self.listeners.len(), self.upstreams.len().max(1), "one listener for each upstream");
    }

    /// Answer of `GET path`; anything but 200 fails the test.
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, body) = self.http("GET", path, None).unwrap_or_else(|| panic!("no answer to GET {path}"));
        assert_eq!(status, 200, "GET {path}: {body}");
        body
    }

    /// Status and answer of any call, `None` if there was none.
    pub(crate) fn http(&self, method: &str, path: &str, body: Option<&Value>) -> Option<(u16, Value)> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut stream = TcpStream::connect(&self.admin).ok()?;
        stream.set_read_timeout(Some(secs(90))).ok()?;
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.admin,
            body.len()
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()))))
    }

    /// The workers that the gate knows.
    pub(crate) fn workers(&self) -> Vec<Value> {
        self.get("/v1/workers")["workers"].as_array().expect("a list of workers").clone()
    }

    /// The workers with this name (`*` at either end means anything): several lives of one may be listed.
    fn lives(&self, name: &str) -> Vec<Value> {
        let matches = |found: &str| {
            let middle = name.trim_matches('*');
            match (name.starts_with('*'), name.ends_with('*')) {
                (true, true) => found.contains(middle),
                (true, false) => found.ends_with(middle),
                (false, true) => found.starts_with(middle),
                (false, false) => found == name,
            }
        };
        self.workers().into_iter().filter(|worker| matches(text(&worker["name"]))).collect()
    }

    /// The worker with this name: the life that is connected, else one that is listed.
    pub(crate) fn worker(&self, name: &str) -> Option<Value> {
        let lives = self.lives(name);
        lives.iter().find(|worker| worker["connections"].as_u64() > Some(0)).or(lives.first()).cloned()
    }

    /// Waits until the gate knows a worker by this name that is connected. A name comes with the worker's first heartbeat,
    /// some moments after the worker says that it is ready, and a dead life may still be listed under it.
    pub(crate) fn await_known(&self, name: &str) -> Value {
        eventually(&format!("the gate knows {name}"), secs(60), || {
            self.worker(name).filter(|worker| worker["connections"].as_u64() > Some(0))
        })
    }

    /// Waits until the worker is in this state.
    pub(crate) fn await_worker(&self, name: &str, state: &str, within: Duration) -> Value {
        eventually(&format!("{name} is {state}"), within, || {
            self.worker(name).filter(|worker| worker["state"] == state)
        })
    }

    /// The value of a metric, summed over its labels. One that does not exist fails the test: it is not zero.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let page = self.get("/metrics");
        let value = |line: &str| {
            let rest = line.strip_prefix(name)?;
            rest.starts_with(['{', ' ']).then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
        };
        let values: Vec<f64> = text(&page).lines().filter_map(value).collect();
        assert!(!values.is_empty(), "no metric {name} in\n{}", text(&page));
        values.iter().sum()
    }

    /// The command line, ready to be run against this gate.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut cli = command(binary());
        cli.args(arguments).env("DRAINGATE_ADMIN", format!("http://{}", self.admin));
        cli.stdout(Stdio::piped()).stderr(Stdio::piped());
        cli
    }

    /// Runs a command to its end.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Answer {
        Answer::of(self.command(arguments).output().expect("the command line runs"))
    }
}

/// What a command of the gate said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Answer {
    pub(crate) fn of(output: Output) -> Answer {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Answer { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Answer {
        assert_eq!(self.code, code, "exit code\n--- stdout\n{}\n--- stderr\n{}", self.out, self.err);
        self
    }
}

/// A JSON string.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The first `host:port` anywhere in the file.
fn find_address(value: &Value) -> Option<String> {
    match value {
        Value::String(found) => {
            let address = found.trim_start_matches("http://").trim_end_matches('/');
            address.parse::<std::net::SocketAddr>().ok().map(|address| address.to_string())
        }
        Value::Object(fields) => fields.values().find_map(find_address),
        Value::Array(elements) => elements.iter().find_map(find_address),
        _ => None,
    }
}
