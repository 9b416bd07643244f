"""What a second thread of the gate brings: the same rows through a gate with one thread and one with two, in turns."""

from .children import Children
from .stage import Stage, brokers
from .stats import ratio

# Connections enough to keep two threads busy, and every way in which their jobs meet in the fleet.
ROWS = ["p16-64", "pop-50", "celery-redis", "amqp-100", "canned-100"]


def measure(folder, program, rows, rounds, scale):
    """{row: {"rate" and "cpu": with two threads to with one, as (median, low, high)}}"""
    some = [row for row in rows if row.name in ROWS]
    measured = {row.name: {1: [], 2: []} for row in some}
    with Children(folder) as children:
        upstreams = brokers(children, list(dict.fromkeys(row.broker for row in some)))
        stages = {number: Stage.of_gate(children, program, number, upstreams) for number in (1, 2)}
        for turn in range(rounds):
            for row in some:
                for number in (1, 2) if turn % 2 else (2, 1):
                    measured[row.name][number].append(row.measure(stages[number], "draingate", scale, 0))

    def two_to_one(by_threads, key):
        return ratio([found[key] for found in by_threads[2]], [found[key] for found in by_threads[1]])

    return {name: {key: two_to_one(found, key) for key in ("rate", "cpu")} for name, found in measured.items()}
