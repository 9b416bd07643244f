#!/usr/bin/env python3
"""Makes docs/evidence.md of what the stories measured: tests/evidence.py ROWS."""

import datetime
import gzip
import json
import pathlib
import re
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEAD = """# Evidence

Each row is a story of the test suite: two real workers, jobs of random lengths that never stop coming, one worker drained
at a random moment and killed with SIGKILL (its whole process group) in the instant that `drain --wait` returns, over and
over under the same name. A job log beside the gate is the truth. *Lost*: pushed and not run to the end. *Doubled*: begun
or ended more than once. *Breaches*: begun on the drained worker although it was pushed after `sealed`, begun after
`drained`, or still running then. *Settled*: seconds from the end of the worker's last job (or the seal, if that came
later) to `drained`, the median and the longest.

At the end of each story the worker that is left is drained while it has nothing to do, and looked at for a minute with jobs
waiting that it must not get; then the drain is lifted and they run. *Reconnects*: connections that the gate accepted in
that minute in place of others. *CPU held*: what its processes used in that minute, in per
cent of one core, beside what they used in ten seconds before the mark. `make evidence ROUNDS=n` makes this page.

"""


def versions():
    """What is pinned for the tests, and what Debian has."""
    found = []
    for file in sorted((ROOT / "tests/requirements").glob("*.txt")):
        if file.stem != "lint":
            found += re.findall(r"^([\w-]+)(?:\[\w+\])?==([\w.]+)", file.read_text(), re.MULTILINE)
    for file in sorted((ROOT / "tests/requirements/npm").glob("*.json")):
        found += json.loads(file.read_text())["dependencies"].items()
    for spec in [pathlib.Path("/usr/share"), *sorted((ROOT / ".cache").glob("sidekiq*/usr/share"))]:
        for gem in spec.glob("rubygems-integration/all/specifications/sidekiq-*.gemspec"):
            found.append(("sidekiq", gem.stem.removeprefix("sidekiq-")))
    for root in [pathlib.Path("/"), ROOT / ".cache/php"]:
        changes = root / "usr/share/doc/php-illuminate-queue/changelog.Debian.gz"
        if changes.exists():
            first = gzip.decompress(changes.read_bytes()).decode().splitlines()[0]
            found += [("laravel", version) for version in re.findall(r"\(([\d.]+)", first)]
    return ", ".join(sorted({f"{name} {version}" for name, version in found}))


def row(line):
    settled = line["settled"] or [0.0]
    cells = [
        line["story"].replace("::", " · ").replace("_", " "),
        line["broker"],
        ", ".join(line["evidence"]),
        line["rounds"],
        line["jobs"],
        line["lost"],
        line["doubled"],
        line["breaches"],
        f"{statistics.median(settled):.1f} / {max(settled):.1f}",
        f"{line['reconnects']:.0f}",
        f"{line['held_cpu']:.1f} / {line['idle_cpu']:.1f}",
    ]
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def main():
    rows = [json.loads(line) for line in pathlib.Path(sys.argv[1]).read_text().splitlines()]
    rows.sort(key=lambda line: (line["story"], line["broker"]))
    if not rows:
        sys.exit("evidence: no story has written a row")
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    today = datetime.datetime.now(datetime.UTC).date()
    text = HEAD + f"Measured on {today}, commit {commit.stdout.strip()}, with {versions()}.\n\n"
    heads = ["story", "broker", "evidence", "rounds", "jobs", "lost", "doubled", "breaches", "settled, s"]
    heads += ["reconnects", "CPU held / idle, %"]
    text += "| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|\n"
    text += "\n".join(row(line) for line in rows) + "\n"
    (ROOT / "docs/evidence.md").write_text(text)
    print(f"evidence: {len(rows)} rows in docs/evidence.md")


main()
