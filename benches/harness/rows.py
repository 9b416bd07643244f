"""The rows: what is sent, and how much of it. Each takes a stage, a variant and the rate that was found for it."""

import csv
import dataclasses
import io
import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from .children import cpu_seconds, load

NUMBERS = itertools.count()
TESTS = ["set", "get", "lpush", "rpop"]


@dataclasses.dataclass(frozen=True)
class Row:
    """One kind of work."""

    name: str
    title: str
    broker: str
    # (stage, variant, scale, rate) -> what was measured
    measure: Callable
    # what is measured is how late answers come at a fixed rate
    latency: bool = False
    # through which half of HAProxy's capacity is found
    capacity: Callable | None = None


def redis_benchmark(pipeline, size, requests):
    def measure(stage, variant, scale, _rate):
        pid, number = stage.pid(variant), max(1000, int(requests * scale))
        command = ["redis-benchmark", "-h", "127.0.0.1", "-p", stage.port(variant, "redis"), "-t", ",".join(TESTS)]
        command += ["-n", number, "-c", 50, "-P", pipeline, "-d", size, "-r", 1000, "--csv"]
        before, began = cpu_seconds(pid) if pid else 0.0, time.monotonic()
        out = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout
        used, seconds = cpu_seconds(pid) - before if pid else 0.0, time.monotonic() - began
        rows = [r for r in csv.reader(io.StringIO(out)) if r and r[0].split(" ")[0].lower() in TESTS]
        if len(rows) != len(TESTS):
            sys.exit(f"redis-benchmark gave {len(rows)} rows:\n{out}")
        cpu = used / (number * len(TESTS)) * 1e6
        rate = statistics.harmonic_mean([float(r[1]) for r in rows])
        return {"rate": rate, "cpu": cpu, "p50": statistics.mean(float(r[4]) for r in rows) * 1000, "seconds": seconds}

    return measure


def loader(mode, broker, jobs, **options):
    def measure(stage, variant, scale, rate):
        more = {"rate": rate} if rate else {}
        more["tagged"] = str(variant == "draingate").lower()
        if options.get("direct"):
            more["direct"] = f"127.0.0.1:{stage.port('direct', broker)}"
        if broker == "redis":
            # a list of its own: a pop of the run before may still be there, and take a job with it
            more["queue"] = f"jobs{next(NUMBERS)}"
        # at a fixed rate: for about a second
        number = max(500, int((rate if rate else jobs) * scale))
        fixed = {key: value for key, value in options.items() if key != "direct"}
        return load(stage.pid(variant), mode, stage.port(variant, broker), jobs=number, **fixed, **more)

    return measure


def rows():
    """All of them, in the order of the report."""
    every = []

    def add(name, title, broker, measure, capacity=None):
        every.append(Row(name, title, broker, measure, latency=capacity is not None, capacity=capacity))

    def job(mode, broker, jobs, **options):
        return loader(mode, broker, jobs, **options)

    # so many that making 50 connections, which redis-benchmark does for each command, weighs little
    add("p1-64", "SET GET LPUSH RPOP, 64 B", "redis", redis_benchmark(1, 64, 40_000))
    add("p16-64", "the same, 16 at a time", "redis", redis_benchmark(16, 64, 300_000))
    add("p1-4096", "SET GET LPUSH RPOP, 4 kB", "redis", redis_benchmark(1, 4096, 30_000))
    add("p16-4096", "the same, 16 at a time", "redis", redis_benchmark(16, 4096, 60_000))
    pops = {"size": 100, "direct": True}
    add(
        "pop-50",
        "blocking pops, 50 consumers",
        "redis",
        job("pops", "redis", 40_000, connections=50, window=50, **pops),
    )
    add(
        "pop-500",
        "blocking pops, 500 consumers",
        "redis",
        job("pops", "redis", 40_000, connections=500, window=400, **pops),
    )
    celery = {"connections": 20, "window": 40, "direct": True}
    add(
        "celery-redis",
        "Celery's jobs on Redis, 100 B",
        "redis",
        job("celery-redis", "redis", 24_000, size=100, **celery),
    )
    add(
        "celery-redis-10k",
        "Celery's jobs on Redis, 10 kB",
        "redis",
        job("celery-redis", "redis", 15_000, size=10_000, **celery),
    )
    amqp = {"connections": 4, "window": 1000}
    add(
        "amqp-100",
        "RabbitMQ: publish, deliver, ack, 100 B",
        "rabbitmq",
        job("amqp", "rabbitmq", 50_000, size=100, **amqp),
    )
    add(
        "amqp-10k",
        "RabbitMQ: publish, deliver, ack, 10 kB",
        "rabbitmq",
        job("amqp", "rabbitmq", 20_000, size=10_000, **amqp),
    )
    celery = {"connections": 8, "window": 200, "queue": "celery", "direct": True}
    add(
        "celery-amqp",
        "Celery's jobs on RabbitMQ, 100 B",
        "rabbitmq",
        job("celery-amqp", "rabbitmq", 36_000, size=100, **celery),
    )
    add(
        "celery-amqp-10k",
        "Celery's jobs on RabbitMQ, 10 kB",
        "rabbitmq",
        job("celery-amqp", "rabbitmq", 18_000, size=10_000, **celery),
    )
    add(
        "canned-100",
        "canned broker: deliver, ack, 100 B",
        "canned100",
        job("deliver", "canned100", 1_500_000, connections=4),
    )
    add(
        "canned-10k",
        "canned broker: deliver, ack, 10 kB",
        "canned10k",
        job("deliver", "canned10k", 150_000, connections=4),
    )
    add(
        "canned-publish-100",
        "canned broker: publish, 100 B",
        "canned100",
        job("publish", "canned100", 1_500_000, connections=4, size=100),
    )
    add(
        "canned-publish-10k",
        "canned broker: publish, 10 kB",
        "canned10k",
        job("publish", "canned10k", 150_000, connections=4, size=10_000),
    )
    requests = job("requests", "redis", 20_000, connections=50, size=64)
    add("late-requests", "SET and GET at a fixed rate", "redis", requests, capacity=requests)
    for number in (50, 500):
        pop = job("pops", "redis", 20_000, connections=number, window=number * 4 // 5, **pops)
        add(f"late-pop-{number}", f"blocking pops at a fixed rate, {number} consumers", "redis", pop, capacity=pop)
    late = job("amqp", "rabbitmq", 10_000, size=100, **amqp)
    add("late-amqp", "RabbitMQ at a fixed rate, 100 B", "rabbitmq", late, capacity=late)
    return every
