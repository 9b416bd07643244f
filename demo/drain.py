#!/usr/bin/env python3
"""The whole idea in one minute: a real Celery worker with a 15-second job is drained, killed with -9, and every job has
run exactly once.

Starts a private broker, a gate and two Celery workers on free ports in a temporary directory and removes all of it in
the end. The exit code is 0 only if the job log proves the claim.

    drain.py [redis|rabbitmq]
"""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
GATE = pathlib.Path(os.environ.get("DRAINGATE", ROOT / "target/release/draingate")).resolve()
CELERY = ROOT / ".venvs/celery/bin/celery"
LONG_JOB = 15
BOLD, DIM, OK, OFF = ("\033[1m", "\033[2m", "\033[32m", "\033[0m") if sys.stdout.isatty() else ("",) * 4


def main():
    name = sys.argv[1] if len(sys.argv) > 1 else "redis"
    if name not in BROKERS:
        raise SystemExit(f"there is no demo with {name}; there is one with {' and '.join(BROKERS)}")
    subprocess.run([ROOT / "tests/setup", "demo", name], check=True)
    if "DRAINGATE" not in os.environ:
        subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=ROOT, check=True)
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="draingate-demo-")))
        Demo(stack, directory, BROKERS[name]()).run()


class Broker:
    """A private one: its scheme, what follows the port in a worker's URL, and how it is started."""

    def __init__(self):
        self.port = free_port()

    def url(self, port):
        return f"{self.scheme}://127.0.0.1:{port}{self.path}"

    def answers(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5):
            return True


class Redis(Broker):
    title, scheme, path = "Redis", "redis", "/0"

    def start(self, demo):
        demo.start("redis", ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""])


class RabbitMQ(Broker):
    title, scheme, path = "RabbitMQ", "amqp", "//"

    def start(self, demo):
        """A node with its own port mapper, database and log."""
        home, mapper = demo.directory / "rabbitmq", free_port()
        home.mkdir()
        (home / "enabled_plugins").write_text("[].")
        settings = {
            "HOME": home,
            "ERL_EPMD_PORT": mapper,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"demo{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": self.port,
            "RABBITMQ_DIST_PORT": free_port(),
            "RABBITMQ_MNESIA_BASE": home / "mnesia",
            "RABBITMQ_LOG_BASE": home,
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": home / "none",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": home / "enabled_plugins",
        }
        demo.start("epmd", ["epmd", "-port", mapper, "-address", "127.0.0.1"])
        demo.start("rabbitmq", ["/usr/lib/rabbitmq/bin/rabbitmq-server"], settings=settings)


BROKERS = {"redis": Redis, "rabbitmq": RabbitMQ}


class Demo:
    def __init__(self, stack, directory, broker):
        self.stack, self.directory, self.broker = stack, directory, broker
        self.log = directory / "job.log"
        self.gate, self.admin = free_port(), free_port()

    def run(self):
        title("1", "A broker, a gate in front of it, a worker behind it")
        self.broker.start(self)
        wait_for(self.broker.title, self.broker.answers)
        scheme, port = self.broker.scheme, self.broker.port
        self.start(
            "gate",
            [GATE, "serve", f"--{scheme}", f"127.0.0.1:{self.gate}={scheme}://127.0.0.1:{port}"]
            + ["--admin", f"127.0.0.1:{self.admin}", "--state-dir", self.directory / "state"],
        )
        wait_for("the gate", lambda: self.draingate("healthcheck", quiet=True) == 0)
        print(f"  {self.broker.title} at 127.0.0.1:{port}, the gate at 127.0.0.1:{self.gate}.")
        print("  All that changes for a worker is its broker's URL:\n")
        print(f"  {BOLD}$ BROKER_URL={self.broker.url(self.gate)} celery worker -n celery@w1{OFF}")
        first = self.worker("celery@w1")
        producer = self.start("producer", [CELERY.parent / "python", "celery_producer.py"], port=port)

        title("2", f"It begins a job of {LONG_JOB} seconds; a second worker comes up")
        self.push(producer, "long", LONG_JOB)
        self.await_line("start", "long")
        self.worker("celery@w2")
        self.draingate("workers")

        title("3", "A deploy wants to stop celery@w1: drain it first")
        started = time.monotonic()
        pusher = threading.Thread(target=self.push_meanwhile, args=(producer,), daemon=True)
        pusher.start()
        code = self.draingate(
            "drain", "celery@w1", "--name", "deploy", "--reason", "demo", "--wait", "--timeout", "60s"
        )
        if code != 0:
            raise SystemExit(f"the drain ended with exit code {code}")
        drained_at = time.time()

        title("4", f"Drained after {time.monotonic() - started:.1f} s: kill -9, the rudest stop there is")
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
        print(f"  killed process group {first.pid} (celery@w1 and its children)")
        pusher.join()
        self.draingate("workers")

        title("5", "The proof: the job log, written by the jobs themselves")
        self.prove(drained_at)

    def start(self, name, arguments, port=None, worker="-", settings=None):
        """A process group of its own, which ends with the demo."""
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith(("DRAINGATE", "CELERY", "RABBITMQ"))
        }
        environment |= {"JOB_LOG": str(self.log), "WORKER": worker, "PYTHONDONTWRITEBYTECODE": "1"}
        environment |= {key: str(value) for key, value in (settings or {}).items()}
        if port:
            environment |= {"BROKER_URL": self.broker.url(port)}
        output = self.stack.enter_context(open(self.directory / f"{name}.log", "w"))  # noqa: SIM115
        process = subprocess.Popen(
            [str(argument) for argument in arguments],
            cwd=self.directory if not port else ROOT / "tests/jobs",
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.stack.callback(end, process)
        return process

    def worker(self, name):
        process = self.start(
            name,
            [CELERY, "-A", "celery_app", "worker", "-n", name, "-c", "2", "--prefetch-multiplier", "1"],
            port=self.gate,
            worker=name,
        )
        wait_for(name, lambda: any(line[0] == "ready" and line[4] == name for line in self.lines()), process)
        wait_for(f"the gate to know {name}", lambda: name in self.names())
        print(f"  {DIM}{name} is ready (process {process.pid}){OFF}")
        return process

    def draingate(self, *arguments, quiet=False):
        if not quiet:
            print(f"\n  {BOLD}$ draingate {' '.join(arguments)}{OFF}")
        answer = subprocess.Popen(
            [GATE, *arguments],
            env=os.environ | {"DRAINGATE_ADMIN": f"http://127.0.0.1:{self.admin}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for line in answer.stdout:
            if not quiet:
                print("  " + line.rstrip(), flush=True)
        return answer.wait()

    def names(self):
        """What the gate calls the workers: their names come with their first heartbeats."""
        return subprocess.run(
            [GATE, "workers", "-o", "name"],
            env=os.environ | {"DRAINGATE_ADMIN": f"http://127.0.0.1:{self.admin}"},
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        ).stdout.split()

    def push(self, producer, job, seconds):
        producer.stdin.write(f"{job} {seconds} 0\n".encode())
        producer.stdin.flush()

    def push_meanwhile(self, producer):
        """New jobs while the drain is going on: the other worker gets them."""
        for number in range(1, 9):
            time.sleep(1.5)
            job = f"new-{number}"
            self.push(producer, job, 0.5)
            line = self.await_line("start", job)
            print(f"  {DIM}{time.strftime('%H:%M:%S')}  {job} went to {line[4]}{OFF}", flush=True)

    def lines(self):
        text = self.log.read_text() if self.log.exists() else ""
        return [line.split() for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def await_line(self, what, job):
        return wait_for(
            f"{what} of {job}", lambda: next((line for line in self.lines() if line[:2] == [what, job]), None)
        )

    def prove(self, drained_at):
        pushed = [line[1] for line in self.lines() if line[0] == "push"]
        wait_for("the last job", lambda: {line[1] for line in self.lines() if line[0] == "end"} >= set(pushed))
        wrong = 0
        print(f"\n  {BOLD}{'job':8} {'worker':10} {'started':>12} {'ended':>12}{OFF}")
        for job in pushed:
            starts = [line for line in self.lines() if line[:2] == ["start", job]]
            ends = [line for line in self.lines() if line[:2] == ["end", job]]
            once = len(starts) == len(ends) == 1
            new_on_drained = job.startswith("new") and any(line[4] == "celery@w1" for line in starts)
            cut = any(line[4] == "celery@w1" and float(line[2]) > drained_at for line in starts + ends)
            wrong += not once or new_on_drained or cut
            for start, stop in zip(starts, ends):
                print(f"  {job:8} {start[4]:10} {clock(start[2]):>12} {clock(stop[2]):>12}")
        if wrong:
            raise SystemExit(f"\n  {wrong} of {len(pushed)} jobs did not run exactly once")
        print(f"\n  {OK}{len(pushed)} jobs, each started once and ended once: none lost, none doubled.{OFF}")


def end(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(what, ask, process=None, within=60):
    deadline = time.monotonic() + within
    while not (answer := ask()):
        if time.monotonic() > deadline or process and process.poll() is not None:
            raise SystemExit(f"{what}: not within {within} s, or ended")
        time.sleep(0.05)
    return answer


def clock(seconds):
    return time.strftime("%H:%M:%S", time.localtime(float(seconds))) + f".{int(float(seconds) * 10 % 10)}"


def title(number, text):
    print(f"\n{BOLD}── {number}. {text} {'─' * max(1, 90 - len(text))}{OFF}", flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main()
