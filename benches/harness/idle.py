"""Ten thousand connections that do nothing: their memory, and how long it takes to seal their workers."""

import json
import time
import urllib.request

from . import stage
from .children import Children, Loader, cpu_seconds, load, open_files, resident_kb

# Requests per second of the traffic beside the sealing, and for how many seconds.
BESIDE, SECONDS = 2_000, 6


def settled(pid):
    """Resident memory once it stays the same for a second."""
    last, since = resident_kb(pid), time.monotonic()
    end = since + 20
    while time.monotonic() < min(since + 1, end):
        time.sleep(0.1)
        now = resident_kb(pid)
        if abs(now - last) > 64:
            last, since = now, time.monotonic()
    return resident_kb(pid)


def until_closed(pid, before):
    end = time.monotonic() + 40
    while open_files(pid) > before and time.monotonic() < end:
        time.sleep(0.1)


def memory(port, pid, connections):
    """Against a process that has seen some traffic, and as many connections at a time as redis-benchmark makes."""
    load(pid, "requests", port, jobs=20_000)
    before, files = settled(pid), open_files(pid)
    loader = Loader("idle", port, connections=connections)
    loader.say("send PING")
    ping = settled(pid)
    loader.say("block BRPOP idle 30")
    brpop = settled(pid)
    loader.say("close")
    loader.close()
    until_closed(pid, files)
    left = settled(pid) - before
    return {"ping": (ping - before) / connections, "brpop": (brpop - before) / connections, "left": left}


def call(url, body=None):
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=70) as answer:
        return json.load(answer)


def beside(port):
    """Traffic of another worker, running now; its end is awaited with the function returned."""
    loader = Loader("requests", port, rate=BESIDE, jobs=BESIDE * SECONDS, size=64)
    loader.tell("go")

    def end():
        measured = json.loads(loader.line())
        loader.close()
        return measured

    return end


def seal(children, program, threads, workers):
    broker, process = stage.redis(children)
    upstreams = {"redis": broker, "redis-many": broker}
    ports, gate, url = stage.gate(children, program, upstreams, threads)
    load(gate.pid, "requests", ports["redis"], jobs=20_000)
    quiet = load(gate.pid, "requests", ports["redis"], rate=BESIDE, jobs=BESIDE * SECONDS, size=64)
    before = settled(gate.pid)
    loader = Loader("idle", ports["redis-many"], connections=workers, tagged="true")
    loader.say("block BRPOP q 0")
    resident = settled(gate.pid)
    used, began = (cpu_seconds(gate.pid), cpu_seconds(process.pid)), time.monotonic()
    time.sleep(4)
    seconds = time.monotonic() - began
    used = (cpu_seconds(gate.pid) - used[0]) / seconds, (cpu_seconds(process.pid) - used[1]) / seconds
    others = beside(ports["redis"])
    time.sleep(1)
    began = time.monotonic()
    drain = call(f"{url}/v1/drains", {"selector": "listener=redis-many", "reason": "a measurement"})
    answered = time.monotonic() - began
    told = call(f"{url}/v1/drains/{drain['name']}?wait=sealed&timeout=60s")
    seconds = time.monotonic() - began
    during = others()
    marked = len(told["workers"])
    if told["state"] not in ("sealed", "drained") or marked != workers:
        print(f"idle: {marked} of {workers} workers marked, state {told['state']}")
    loader.close()
    children.stop(gate, process)
    return {
        "workers": marked,
        "state": told["state"],
        "answered": answered,
        "seconds": seconds,
        "p99_before": quiet["p99"],
        "p99": during["p99"],
        "kb": (resident - before) / workers,
        "cpu_gate": used[0],
        "cpu_redis": used[1],
    }


def measure(folder, program, threads, connections):
    found = {"connections": connections, "memory": {}}
    with Children(folder) as children:
        for name in stage.NAMES[1:]:
            broker, process = stage.redis(children)
            start = {
                "haproxy": lambda up: stage.haproxy(children, up),
                "nginx": lambda up: stage.nginx(children, up),
                "draingate": lambda up: stage.gate(children, program, up, threads),
            }[name]
            ports, proxy, *_ = start({"redis": broker})
            found["memory"][name] = memory(ports["redis"], proxy.pid, connections)
            children.stop(process, proxy)
        found["seal"] = seal(children, program, threads, connections - 100)
    return found
