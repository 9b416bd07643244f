#!/usr/bin/env python3
"""Builds the gate twice: what the first build does under load guides the compiler in the second.

The first one counts which functions are called and which branches are taken while rows of the comparison run through it.
With these counts the second one lies together where it runs, and does at one go what nearly always happens. Nothing else
changes: benches/README.md says what it brings. RUSTFLAGS and CARGO_PROFILE_* hold for both builds.

  benches/profiled.py TREE TARGET    the binary is target/profiled/TARGET/release/draingate; what says how it went is stderr

Needs what `tests/setup bench` installs, a release build of the loader, and the compiler's own llvm-profdata, which rustup
adds (component llvm-tools); without it the gate is built once and without counts, and that is said.
"""

import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from harness.children import LOAD, ROOT, Children, raise_limits
from harness.rows import rows
from harness.stage import Stage, brokers, gate

# How much of each row, as a factor: all kinds of traffic that have a price, none of them so much that the others count as rare.
TRAINING = {
    "p1-64": 0.3,
    "p16-64": 0.1,
    "p16-4096": 0.1,
    "pop-50": 1.0,
    "celery-redis": 0.33,
    "celery-redis-10k": 0.1,
    "amqp-100": 0.5,
    "celery-amqp": 0.33,
    "canned-100": 0.02,
    "canned-publish-100": 0.03,
}
# Seconds until a gate that was told to stop has written its counts.
PATIENCE = 60


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tree", type=pathlib.Path, help="the directory with the Cargo.toml to build from")
    parser.add_argument("target", help="whose triple: `rustc -vV` names the host's")
    return parser.parse_args()


def said(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def profdata():
    """The program that merges counts, if there is one: each release of the compiler needs its own."""
    rustc = os.environ.get("RUSTC", "rustc")
    folder = pathlib.Path(said(rustc, "--print", "target-libdir")).parent / "bin"
    if not (folder / "llvm-profdata").exists() and shutil.which("rustup"):
        name = pathlib.Path(said(rustc, "--print", "sysroot")).name
        subprocess.run(["rustup", "--quiet", "component", "add", "llvm-tools", "--toolchain", name], check=False)
    return shutil.which("llvm-profdata", path=folder)


def build(args, folder, flag):
    """The gate's binary, compiled into `folder` with one more flag."""
    environment = {
        **os.environ,
        "RUSTFLAGS": f"{os.environ.get('RUSTFLAGS', '')} {flag}",
        "CARGO_TARGET_DIR": str(folder),
    }
    # with an explicit target the flags stay away from build scripts and procedural macros
    command = [os.environ.get("CARGO", "cargo"), "build", "--release", "--locked", "--target", args.target]
    subprocess.run(command, check=True, cwd=args.tree, env=environment)
    return folder / args.target / "release/draingate"


def train(program):
    """Runs the rows; the program writes its counts when it ends."""
    known = {row.name: row for row in rows()}
    for name, scale in TRAINING.items():
        row = known[name]
        with tempfile.TemporaryDirectory() as folder, Children(folder) as children:
            upstreams = brokers(children, [row.broker])
            ports, process, _ = gate(children, program, upstreams)
            measured = row.measure(Stage(upstreams, {"draingate": (ports, process)}), "draingate", scale, 0)
            print(f"{name}: {measured['rate']:.0f} per second", file=sys.stderr, flush=True)
            process.send_signal(signal.SIGTERM)
            if process.wait(PATIENCE):
                sys.exit(f"the counting gate ended with {process.returncode} in row {name}")


def main():
    args = options()
    if not LOAD.exists():
        sys.exit(f"{LOAD} is not built: use `make static`")
    done, merge = ROOT / "target/profiled", profdata()
    if merge is None:
        print(
            "BUILT WITHOUT COUNTS: the compiler's llvm-tools are missing, and rustup cannot add them", file=sys.stderr
        )
        print(build(args, done, ""))
        return
    raise_limits()
    counts = ROOT / "target/counts"
    shutil.rmtree(counts, ignore_errors=True)
    train(build(args, ROOT / "target/counting", f"-Cprofile-generate={counts}"))
    # Cargo builds anew when a flag is another one, not when a file has changed that a flag names
    merged = counts / f"{time.time_ns()}.profdata"
    subprocess.run([merge, "merge", "-o", merged, *counts.glob("*.profraw")], check=True)
    print(build(args, done, f"-Cprofile-use={merged}"))


if __name__ == "__main__":
    main()
