//! A child process that leads a process group of its own, writes into a log file and does not outlive the test.

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// See the module.
pub(crate) struct Proc {
    pub(crate) child: Child,
    ended: bool,
}

impl Proc {
    /// Starts `command`, its output going to `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Proc {
        let file = File::options().create(true).append(true).open(log).expect("a log file");
        let child = command
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Proc { child, ended: false }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL to the whole group; returns when all of it is gone.
    pub(crate) fn kill(&mut self) {
        if self.ended {
            return;
        }
        self.ended = true;
        let _ = rustix::process::kill_process_group(self.group(), Signal::KILL);
        while !self.members().is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        // last: until then the group's number is nobody else's
        let _ = self.child.wait();
    }

    /// How it ended, if it has; what is left of its group is killed then.
    pub(crate) fn exit_status(&mut self) -> Option<ExitStatus> {
        if !self.ended && self.is_running() {
            return None;
        }
        self.kill();
        self.child.wait().ok()
    }

    /// Waits for its end, that of its input being its reason; one that does not come in time is killed.
    pub(crate) fn finish(&mut self) {
        drop(self.child.stdin.take());
        let begun = std::time::Instant::now();
        while self.is_running() && begun.elapsed() < super::secs(60) {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        self.kill();
    }

    /// A signal to the leader alone.
    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.group(), signal).expect("the process is there");
    }

    /// One that has ended is not waited for before [`Proc::kill`]: its number would be free for another test's process,
    /// which would then be killed in its place.
    pub(crate) fn is_running(&mut self) -> bool {
        if self.ended {
            return false;
        }
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        matches!(waitid(WaitId::Pid(self.group()), ended), Ok(None))
    }

    /// Whether a process is one of the group.
    pub(crate) fn is_of_group(&self, pid: u32) -> bool {
        self.members().iter().any(|(member, _)| *member == pid)
    }

    /// CPU time of the group so far, in seconds, that of children which have ended included.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let ticks: u64 = self.members().iter().map(|(_, ticks)| ticks).sum();
        ticks as f64 / rustix::param::clock_ticks_per_second() as f64
    }

    fn group(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn members(&self) -> Vec<(u32, u64)> {
        let stat = |entry: std::fs::DirEntry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let text = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            // pid (name) state parent group ...; the name may contain anything, so count from its closing bracket
            let fields: Vec<&str> = text[text.rfind(')')? + 2..].split(' ').collect();
            let group: u32 = fields.get(2)?.parse().ok()?;
            // its own time as user and in the kernel, then that of the children it has waited for
            let ticks = fields.get(11..15)?.iter().map(|field| field.parse::<u64>().ok()).sum::<Option<u64>>()?;
            (group == self.pid() && fields[0] != "Z").then_some((pid, ticks))
        };
        std::fs::read_dir("/proc").expect("a /proc").flatten().filter_map(stat).collect()
    }
}

impl Drop for Proc {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A command with an environment that no user's settings leak into.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if ["DRAINGATE", "CELERY", "REDIS", "SIDEKIQ", "RABBITMQ", "PYTHON", "RUBY"]
            .iter()
            .any(|known| name_text.starts_with(known))
        {
            command.env_remove(&name);
        }
    }
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUNBUFFERED", "1").stdin(Stdio::null());
    command
}
