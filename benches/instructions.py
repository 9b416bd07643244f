#!/usr/bin/env python3
"""Counts the instructions that the gates need per command or frame, and compares them with benches/instructions.json.

Each scenario of benches/traffic runs twice under valgrind, for different numbers of cycles; the difference is what the
cycles cost, without start-up. Counts do not depend on the machine's speed or load, so a growth of 5 % is a fact.

  benches/instructions.py            fails if a scenario needs more than 5 % more instructions than the baseline says
  benches/instructions.py --accept   makes what is counted now the baseline (`make instructions-accept`)
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import platform
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BASELINE = ROOT / "benches" / "instructions.json"
PROGRAM = ROOT / "target" / "instructions" / "instructions"
# a growth that is not accepted by itself
LIMIT = 0.05
# large enough that what happens once (a buffer that grows) weighs nothing, small enough to be quick
BYTES = 1_000_000


def build():
    cargo = os.environ.get("CARGO", "cargo")
    command = [
        cargo,
        "build",
        "--locked",
        "--quiet",
        "--profile",
        "instructions",
        "-p",
        "traffic",
        "--bin",
        "instructions",
    ]
    # counts of another target directory or with other flags would not be those of the baseline
    environment = {k: v for k, v in os.environ.items() if k not in ("CARGO_TARGET_DIR", "RUSTFLAGS")}
    subprocess.run(command, check=True, cwd=ROOT, env=environment)


def instructions(name, cycles):
    command = [
        "valgrind",
        "--tool=cachegrind",
        "--cache-sim=no",
        "--cachegrind-out-file=/dev/null",
        PROGRAM,
        name,
        str(cycles),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    counted = re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)
    if done.returncode or not counted:
        sys.exit(f"{name}: valgrind ended with {done.returncode}:\n{done.stderr}")
    return int(counted[1].replace(",", ""))


def count(scenario):
    """Instructions per command or frame."""
    name, units, size = scenario
    few = 100
    cycles = max(20, min(500, BYTES // size))
    more = instructions(name, few + cycles) - instructions(name, few)
    return name, round(more / cycles / units, 1)


def counts():
    listed = subprocess.run([PROGRAM], check=True, capture_output=True, text=True).stdout
    scenarios = [
        (name, int(units), int(size)) for name, units, size in (row.split("\t") for row in listed.splitlines())
    ]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(pool.map(count, scenarios))


def toolchain():
    return subprocess.run(["rustc", "-V"], check=True, capture_output=True, text=True).stdout.strip()


def accept(baselines, counted):
    baselines[platform.machine()] = {"rustc": toolchain(), "instructions": counted}
    BASELINE.write_text(json.dumps(baselines, indent=2, sort_keys=True) + "\n")
    print(f"instructions: wrote {BASELINE.relative_to(ROOT)}")


def compare(baseline, counted):
    """True if nothing has grown beyond the limit."""
    before = baseline["instructions"]
    grown, shrunk = [], []
    for name, now in counted.items():
        if name not in before:
            grown.append(f"  {name}: {now:.1f} per unit, and the baseline does not know it")
            continue
        change = now / before[name] - 1
        line = f"  {name}: {before[name]:.1f} -> {now:.1f} per command or frame ({change:+.1%})"
        if change > LIMIT:
            grown.append(line)
        elif change < -LIMIT:
            shrunk.append(line)
    grown += [f"  {name}: is gone" for name in before.keys() - counted.keys()]
    if shrunk:
        print(
            "instructions: fewer than the baseline says (`make instructions-accept` keeps them so):\n"
            + "\n".join(shrunk)
        )
    if grown:
        print(f"instructions: more than {LIMIT:.0%} above the baseline:\n" + "\n".join(grown))
        if toolchain() != baseline["rustc"]:
            print(f"  (the baseline was counted with {baseline['rustc']}, this is {toolchain()})")
        print("If that is what the change is worth: `make instructions-accept`, and commit benches/instructions.json.")
    return not grown


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accept", action="store_true", help="make what is counted now the baseline")
    parser.add_argument("--print", action="store_true", help="print all counts")
    args = parser.parse_args()
    build()
    counted = counts()
    if args.print:
        print("\n".join(f"{number:10.1f}  {name}" for name, number in counted.items()))
    baselines = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    if args.accept:
        accept(baselines, counted)
    elif platform.machine() not in baselines:
        print(f"instructions: there is no baseline for {platform.machine()}; `make instructions-accept` adds one")
    elif not compare(baselines[platform.machine()], counted):
        sys.exit(1)


if __name__ == "__main__":
    main()
