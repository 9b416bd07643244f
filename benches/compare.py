#!/usr/bin/env python3
"""Compares the gate with HAProxy, nginx and no proxy at all, on the same work, in alternating rounds.

Everything is private, on 127.0.0.1, and ends by itself. What counts are ratios within a round: absolute figures depend on
the machine and on what else it does. benches/README.md says how each figure is got.
"""

import argparse
import json
import pathlib
import signal
import sys
import tempfile
import time

from harness import idle, report, threads
from harness.children import LOAD, ROOT, Children, raise_limits
from harness.rows import rows
from harness.stage import NAMES, Stage, check_programs


def options():
    names = [row.name for row in rows()] + ["idle", "threads"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", help=f"some of: {', '.join(names)} (separated by commas; a part of a name is enough)")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--scale", type=float, default=1.0, help="how much work per round, as a factor")
    parser.add_argument("--threads", type=int, default=1, help="threads of the gate")
    parser.add_argument("--connections", type=int, default=10_000, help="idle connections, as far as file limits allow")
    static = next(ROOT.glob("target/profiled/*/release/draingate"), ROOT / "target/profiled")
    parser.add_argument("--gate", type=pathlib.Path, default=static, help="the gate's binary")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "target/bench", help="where the report goes")
    args = parser.parse_args()
    parts = args.rows.split(",") if args.rows else [""]
    args.names = [name for name in names if name in parts or any(p in name for p in parts if p not in names)]
    if not args.names:
        parser.error(f"no such row; there are: {', '.join(names)}")
    return args


def capacity(stage, row, scale):
    """Half of what goes through HAProxy, the median of three: what all variants get per second."""
    rates = sorted(row.capacity(stage, "haproxy", scale, 0)["rate"] for _ in range(3))
    return max(100, int(rates[1] / 2))


def attempt(stage, row, variant, scale, rate):
    try:
        return row.measure(stage, variant, scale, rate)
    except BaseException:
        print(f"ended in row {row.name}, {variant}", file=sys.stderr)
        raise


def alternate(stage, some, args):
    """All rounds of all rows: {row: [{variant: measured}]}, and the rates of those that have one."""
    results = {row.name: [] for row in some}
    rates = {row.name: capacity(stage, row, args.scale) for row in some if row.latency}
    for number in range(args.rounds):
        began = time.monotonic()
        for row in some:
            # another order each round, so that no variant always runs after the same one
            order = NAMES[number % len(NAMES) :] + NAMES[: number % len(NAMES)]
            rate = rates.get(row.name, 0)
            results[row.name].append({name: attempt(stage, row, name, args.scale, rate) for name in order})
        seconds = time.monotonic() - began
        print(f"round {number + 1} of {args.rounds}: {seconds:.0f} s", file=sys.stderr, flush=True)
    return results, rates


def main():
    args = options()
    # whoever ends this ends what it started
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))
    check_programs()
    for program in (args.gate, LOAD):
        if not program.is_file():
            sys.exit(f"{program} is not built: use `make bench`")
    began, limit = time.monotonic(), raise_limits()
    some = [row for row in rows() if row.name in args.names]
    results, rates, found, scaled = {}, {}, None, None
    with tempfile.TemporaryDirectory(prefix="draingate-bench-") as folder:
        if some:
            with Children(folder) as children:
                brokers = list(dict.fromkeys(row.broker for row in some))
                stage = Stage.of_all(children, args.gate.resolve(), args.threads, brokers)
                results, rates = alternate(stage, some, args)
        if "idle" in args.names:
            # a proxy has two files open per connection
            connections = min(args.connections, (limit - 200) // 2)
            found = idle.measure(folder, args.gate.resolve(), args.threads, connections)
        if "threads" in args.names:
            # its brokers are others, and keep their files elsewhere
            apart = pathlib.Path(folder) / "threads"
            apart.mkdir()
            scaled = threads.measure(apart, args.gate.resolve(), rows(), args.rounds, args.scale)
    text = report.markdown(some, results, rates, found, scaled, report.machine(args.rounds, args.threads))
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "comparison.md").write_text(text)
    (args.out / "comparison.json").write_text(
        json.dumps({"rows": results, "rates": rates, "idle": found, "threads": scaled}, indent=1)
    )
    if some:
        (args.out / "comparison.svg").write_text(report.plot(some, results))
    print(f"\n{text}\nwritten to {args.out}, in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
