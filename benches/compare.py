#!/usr/bin/env python3
"""Compares the gate with HAProxy and with no proxy at all, in alternating rounds on the same private Redis.

Per round and variant it runs redis-benchmark (SET, GET, LPUSH, RPOP; with and without pipelining) and takes the
requests per second and the CPU seconds that the proxy's process used. What counts is the ratio within one run: absolute
figures depend on the machine and on what else it does. Everything stays on 127.0.0.1 and ends by itself.
"""

import argparse
import csv
import datetime
import io
import json
import os
import pathlib
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
TESTS = ["set", "get", "lpush", "rpop"]
TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port, process, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            sys.exit(f"{process.args[0]} ended with {process.returncode} before it listened")
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"nothing listens on {port} after {seconds} s")


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def start_all(folder, children, gate_threads):
    """Starts Redis and the proxies; returns {variant: (port, pid of the proxy or None)}."""

    def child(*args, **kwargs):
        log = open(folder / f"{pathlib.Path(args[0]).name}.log", "w")  # noqa: SIM115 (as long as the child lives)
        process = subprocess.Popen([str(a) for a in args], stdout=log, stderr=log, **kwargs)
        children.append(process)
        return process

    redis = free_port()
    wait_for(redis, child("redis-server", "--port", redis, "--bind", "127.0.0.1", "--save", "", "--dir", folder))
    haproxy = free_port()
    (folder / "haproxy.cfg").write_text(
        f"global\n  nbthread 1\n  maxconn 8000\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n"
        f"  timeout server 1h\nfrontend f\n  bind 127.0.0.1:{haproxy}\n  default_backend b\n"
        f"backend b\n  server s 127.0.0.1:{redis}\n"
    )
    ha = child("haproxy", "-db", "-f", folder / "haproxy.cfg")
    wait_for(haproxy, ha)
    state = folder / "state"
    gate = child(
        ROOT / "target/release/draingate",
        "serve",
        "--redis",
        f"127.0.0.1:0=redis://127.0.0.1:{redis}",
        "--admin",
        "127.0.0.1:0",
        "--state-dir",
        state,
        env={**os.environ, "DRAINGATE_THREADS": str(gate_threads)},
    )
    end = time.monotonic() + 10
    while not (state / "admin.json").exists() and time.monotonic() < end and gate.poll() is None:
        time.sleep(0.05)
    admin = json.loads((state / "admin.json").read_text())
    url = admin.get("url") or "http://" + (admin.get("admin") or admin["address"])
    version = json.load(urllib.request.urlopen(f"{url}/v1/version", timeout=5))
    port = int(version["listeners"][0]["address"].rsplit(":", 1)[1])
    return {"direct": (redis, None), "haproxy": (haproxy, ha.pid), "draingate": (port, gate.pid)}


def measure(port, pid, pipeline, size, requests, clients):
    before = cpu_seconds(pid) if pid else 0.0
    out = subprocess.run(
        [
            "redis-benchmark",
            "-h",
            "127.0.0.1",
            "-p",
            str(port),
            "-t",
            ",".join(TESTS),
            "-n",
            str(requests),
            "-c",
            str(clients),
            "-P",
            str(pipeline),
            "-d",
            str(size),
            "-r",
            "1000",
            "--csv",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    used = cpu_seconds(pid) - before if pid else 0.0
    rows = [r for r in csv.reader(io.StringIO(out)) if r and r[0].split(" ")[0].lower() in TESTS]
    if len(rows) != len(TESTS):
        sys.exit(f"redis-benchmark gave {len(rows)} rows:\n{out}")
    return {
        "rps": statistics.mean(float(r[1]) for r in rows),
        "p50": statistics.mean(float(r[4]) for r in rows),
        "cpu": used / (requests * len(TESTS)) * 1e6,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=100_000, help="per command and round without pipelining")
    parser.add_argument("--threads", type=int, default=1, help="threads of the gate")
    args = parser.parse_args()
    for program in ("redis-server", "redis-benchmark", "haproxy"):
        if not shutil.which(program):
            sys.exit(f"{program} is not installed: run `make setup` first")
    rows = [(1, 64), (16, 64), (1, 4096), (16, 4096)]
    results, children = {}, []
    with tempfile.TemporaryDirectory(prefix="draingate-bench-") as tmp:
        try:
            variants = start_all(pathlib.Path(tmp), children, args.threads)
            names = list(variants)
            for number in range(args.rounds):
                for pipeline, size in rows:
                    # another order each round, so that no variant always runs after the same one
                    for name in names[number % 3 :] + names[: number % 3]:
                        port, pid = variants[name]
                        requests = args.requests * (8 if pipeline > 1 and size < 1000 else 1)
                        result = measure(port, pid, pipeline, size, requests, 50)
                        results.setdefault((pipeline, size, name), []).append(result)
                print(f"round {number + 1} of {args.rounds} done", file=sys.stderr)
        finally:
            for process in children:
                process.send_signal(signal.SIGKILL)
                process.wait()
    report(results, rows, args)


def report(results, rows, args):
    mid = lambda key, what: statistics.median(r[what] for r in results[key])
    spread = lambda key, what: f"{min(r[what] for r in results[key]):.2f}-{max(r[what] for r in results[key]):.2f}"
    print(
        f"\n{datetime.date.today()}, {os.cpu_count()} cores, Linux {platform.release()}, {args.rounds} alternating "
        f"rounds, gate with {args.threads} thread(s), HAProxy with 1\n"
    )
    print(
        "| row | throughput to direct: HAProxy | draingate | CPU s per million: HAProxy | draingate | draingate / HAProxy |"
    )
    print("|---|---|---|---|---|---|")
    for pipeline, size in rows:
        direct, ha, gate = ((pipeline, size, n) for n in ("direct", "haproxy", "draingate"))
        base = mid(direct, "rps")
        print(
            f"| P{pipeline} {size} B | {mid(ha, 'rps') / base:.2f} | {mid(gate, 'rps') / base:.2f} "
            f"| {mid(ha, 'cpu'):.2f} ({spread(ha, 'cpu')}) | {mid(gate, 'cpu'):.2f} ({spread(gate, 'cpu')}) "
            f"| {mid(gate, 'cpu') / mid(ha, 'cpu'):.2f} |"
        )


if __name__ == "__main__":
    main()
