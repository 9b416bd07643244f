"""A loop of nobody's own around redis-py, and its producer.

    python redis_loop.py worker      takes jobs by KIND: `list` (BRPOP), `private` (BLMOVE, LREM), `poll` (LMOVE, LREM),
                                     `stream` (XREADGROUP, XACK), `script` (a script of its own)
    python redis_loop.py producer    pushes a job for each line `ID SECONDS COUNTDOWN`

PROTOCOL is 2 or 3. With FRESH the LREM goes over a connection of its own, closed with the answer. Lines of the job log are those of celery_app.py.
"""

import json
import os
import socket
import sys
import time

import redis
from joblog import note

HOST, PORT = os.environ["BROKER"].split(":")
KIND = os.environ["KIND"]
OWN = f"mine:{os.environ.get('WORKER')}"
CLIENT = redis.Redis(HOST, int(PORT), protocol=int(os.environ.get("PROTOCOL", "2")), client_name=os.environ.get("NAME"))
TAKE = CLIENT.register_script("return redis.call('rpop', KEYS[1])")


def take():
    """The next job, and how to say that it is done."""
    if KIND == "list":
        found = CLIENT.brpop("jobs", timeout=1)
        return found and (found[1], lambda: None)
    if KIND == "script":
        found = TAKE(keys=["jobs"])
        if not found:
            time.sleep(0.1)
        return found and (found, lambda: None)
    if KIND in ("private", "poll"):
        found = CLIENT.blmove("jobs", OWN, 1, "RIGHT", "LEFT") if KIND == "private" else CLIENT.lmove("jobs", OWN)
        if not found and KIND == "poll":
            time.sleep(0.1)
        return found and (found, lambda: done(found))
    found = CLIENT.xreadgroup("workers", OWN, {"jobs": ">"}, count=2, block=1000)
    if not found:
        return None
    entries = found[b"jobs"][0] if isinstance(found, dict) else found[0][1]
    for entry, fields in entries[:-1]:
        run(json.loads(fields[b"job"]))
        CLIENT.xack("jobs", "workers", entry)
    entry, fields = entries[-1]
    return fields[b"job"], lambda: CLIENT.xack("jobs", "workers", entry)


def done(job):
    if "FRESH" not in os.environ:
        return CLIENT.lrem(OWN, 1, job)
    with socket.create_connection((HOST, int(PORT))) as fresh:
        fresh.sendall(b"".join(redis.Connection().pack_command("LREM", OWN, 1, job)))
        assert fresh.recv(64) == b":1\r\n"


def run(job):
    note("start", job[0])
    time.sleep(job[1])
    note("end", job[0])


def worker():
    if KIND == "stream":
        try:
            CLIENT.xgroup_create("jobs", "workers", "0", mkstream=True)
        except redis.ResponseError:
            pass  # the other one was here first
    note("ready", "-")
    while True:
        taken = take()
        if taken:
            run(json.loads(taken[0]))
            taken[1]()


def producer():
    for line in sys.stdin:
        job_id, seconds, _countdown = line.split()
        note("push", job_id)
        job = json.dumps([job_id, float(seconds)])
        CLIENT.xadd("jobs", {"job": job}) if KIND == "stream" else CLIENT.lpush("jobs", job)


{"worker": worker, "producer": producer}[sys.argv[1]]()
