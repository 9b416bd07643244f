//! A running `draingate serve`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Longer than anything takes that is going to happen.
pub(crate) const SURELY: Duration = Duration::from_secs(20);

/// See the module. Killed when dropped.
pub(crate) struct Gate {
    child: Child,
    log: PathBuf,
    pub(crate) admin: SocketAddr,
    pub(crate) listener: SocketAddr,
}

/// `serve` with this configuration, its state and log in `dir`.
pub(crate) fn command(dir: &Path, config: &str, flags: &[&str]) -> Command {
    let file = dir.join("draingate.toml");
    std::fs::write(&file, config).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_draingate"));
    command.arg("serve").arg("--config").arg(file).arg("--state-dir").arg(dir.join("state")).args(flags);
    command.env("DRAINGATE_THREADS", "2").env("NO_COLOR", "1");
    command
}

/// Runs a `serve` that is to refuse to start: what it says. One that starts fails the test.
#[track_caller]
pub(crate) fn refusal(mut command: Command) -> String {
    let mut child = command.stderr(Stdio::piped()).spawn().expect("started");
    let begun = Instant::now();
    let status = loop {
        let status = child.try_wait().expect("a child");
        if status.is_some() || begun.elapsed() > SURELY {
            break status;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let _ = child.kill();
    let said = child.wait_with_output().expect("it has ended").stderr;
    let said = String::from_utf8(said).expect("text");
    match status {
        Some(status) => assert!(!status.success(), "it ended as if all were well:\n{said}"),
        None => panic!("it started, and was to refuse:\n{said}"),
    }
    said
}

/// A configuration with one listener in front of this broker.
pub(crate) fn config(broker: SocketAddr, more: &str) -> String {
    format!(
        "[[listener]]\nbind = \"127.0.0.1:0\"\nupstream = \"redis://{broker}\"\n\
         [admin]\nbind = \"127.0.0.1:0\"\n[gate]\nfetch = [\"jobs\"]\n{more}"
    )
}

impl Gate {
    pub(crate) fn start(dir: &Path, config: &str) -> Gate {
        Gate::start_with(dir, config, &[])
    }

    pub(crate) fn start_with(dir: &Path, config: &str, flags: &[&str]) -> Gate {
        let admin_file = dir.join("state/admin.json");
        let _ = std::fs::remove_file(&admin_file);
        let mut gate = Gate::spawn(dir, command(dir, config, flags));
        gate.admin = gate.eventually("it says where its admin API is", |_| {
            let text = std::fs::read_to_string(&admin_file).ok()?;
            serde_json::from_str::<serde_json::Value>(&text).ok()?["admin"].as_str()?.parse().ok()
        });
        let version = gate.get("/v1/version");
        let version: serde_json::Value = serde_json::from_str(&version).expect("JSON");
        gate.listener = version["listeners"][0]["address"].as_str().expect("an address").parse().expect("an address");
        gate
    }

    /// Runs a `serve` whose addresses do not matter.
    pub(crate) fn spawn(dir: &Path, mut serve: Command) -> Gate {
        let log = dir.join("log");
        let file = std::fs::File::create(&log).expect("made");
        let child = serve.stderr(Stdio::from(file)).spawn().expect("started");
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        Gate { child, log, admin: unknown, listener: unknown }
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().expect("kill is there").success());
    }

    /// Waits for the end.
    pub(crate) fn exit(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(begun.elapsed() < SURELY, "it does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Bytes of memory that the kernel has given it.
    pub(crate) fn memory(&self) -> usize {
        self.status("VmRSS:")
    }

    /// The most it ever had.
    pub(crate) fn most_memory(&self) -> usize {
        self.status("VmHWM:")
    }

    fn status(&self, what: &str) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(what)).expect("the kernel says so");
        1024 * line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("there")
    }

    /// Waits until `look` finds something.
    pub(crate) fn eventually<R>(&mut self, what: &str, look: impl Fn(&Gate) -> Option<R>) -> R {
        let begun = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(begun.elapsed() < SURELY && self.is_running(), "{what}: never\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn logs(&mut self, words: &str) {
        self.eventually(words, |gate| gate.log().contains(words).then_some(()));
    }

    /// The body of `GET path`.
    pub(crate) fn get(&self, path: &str) -> String {
        self.http("GET", path, "").1
    }

    /// Status and body of a call.
    pub(crate) fn http(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut socket = TcpStream::connect(self.admin).expect("connected");
        socket.set_read_timeout(Some(SURELY)).expect("set");
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.admin,
            body.len()
        );
        socket.write_all(request.as_bytes()).expect("written");
        answer(socket)
    }
}

/// Status and body of what is answered on a connection that is closed then.
pub(crate) fn answer(mut from: impl Read) -> (u16, String) {
    let mut answer = String::new();
    from.read_to_string(&mut answer).expect("read");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    (head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status"), body.to_owned())
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
