"""Programs that the comparison starts: their ports, their processor time, their memory, and their end."""

import contextlib
import json
import os
import pathlib
import resource
import select
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# Seconds without a word after which a loader is given up.
PATIENCE = 60
# Seconds in which a proxy that has nothing to do uses next to nothing.
QUIET = 0.05
LOAD = ROOT / "target/release/load"


def raise_limits():
    """As many open files as are allowed; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port, process, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            sys.exit(f"{process.args[0]} ended with {process.returncode} before it listened")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        time.sleep(0.05)
    sys.exit(f"{process.args[0]}: nothing listens on {port} after {seconds} s")


def cpu_seconds(pid):
    """Of all threads, those that have ended included: the process's own clock, see clock_getcpuclockid(3)."""
    return time.clock_gettime((~pid << 3) | 2)


def settled(pid):
    """The same, once it stands still: what a new connection is at the beginning has been dealt with."""
    used, end = cpu_seconds(pid), time.monotonic() + PATIENCE
    while time.monotonic() < end:
        time.sleep(QUIET)
        before, used = used, cpu_seconds(pid)
        if used - before < QUIET / 50:
            return used
    sys.exit(f"process {pid} does not come to rest")


def resident_kb(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Children:
    """All that was started; ended with this, in reverse order."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.processes = []

    def start(self, *args, name=None, **kwargs):
        name = name or pathlib.Path(args[0]).name
        with (self.folder / f"{name}.log").open("a") as log:
            kwargs.setdefault("stdout", log)
            # in a group of its own, with which it is ended: RabbitMQ is a script's child
            command = [str(a) for a in args]
            process = subprocess.Popen(command, stderr=log, cwd=self.folder, process_group=0, **kwargs)
        self.processes.append(process)
        return process

    def stop(self, *processes):
        for process in reversed(processes or self.processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.processes = [p for p in self.processes if p.poll() is None]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Loader:
    """A loader of our own, with its work between two readings of clocks."""

    def __init__(self, mode, to, **options):
        words = [str(word) for key, value in options.items() for word in (f"--{key}", value)]
        command = [str(LOAD), mode, "--to", f"127.0.0.1:{to}", *words]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.first = self.line()

    def line(self):
        """The next that it says; it never says two at once."""
        said, *_ = select.select([self.process.stdout], [], [], PATIENCE)
        line = self.process.stdout.readline().strip() if said else ""
        if not line:
            self.process.kill()
            sys.exit(f"{' '.join(self.process.args)}: says nothing, ended with {self.process.wait()}")
        return line

    def say(self, line):
        """One order, and its answer."""
        self.tell(line)
        return self.line()

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def load(pid, mode, to, **options):
    """Runs a loader; what it measured, with the seconds of processor time per million jobs that `pid` took."""
    loader = Loader(mode, to, **options)
    before = settled(pid) if pid else 0.0
    measured = json.loads(loader.say("go"))
    used = cpu_seconds(pid) - before if pid else 0.0
    loader.close()
    return {**measured, "rate": measured["jobs"] / measured["seconds"], "cpu": used / measured["jobs"] * 1e6}
