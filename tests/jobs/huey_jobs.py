"""Huey consumers of the tests and their producer.

    python huey_jobs.py worker      THREADS (3); PRIORITY=1: a queue with priorities; POLLING=1: without waiting
    python huey_jobs.py producer    a task for each line `ID SECONDS COUNTDOWN`

Lines of the job log are those of celery_app.py.
"""

import os
import sys
import time

from huey import PriorityRedisHuey, RedisHuey

LOG = os.open(os.environ["JOB_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
WORKER = os.environ.get("WORKER", "producer")
CLASS = PriorityRedisHuey if os.environ.get("PRIORITY") == "1" else RedisHuey
host, port = os.environ["BROKER"].split(":")
huey = CLASS("jobs", host=host, port=int(port), blocking=os.environ.get("POLLING") != "1")


def note(what, job_id):
    os.write(LOG, f"{what} {job_id} {time.time():.6f} {os.getpid()} {WORKER}\n".encode())


@huey.task()
def run(job_id, seconds):
    note("start", job_id)
    time.sleep(seconds)
    note("end", job_id)


def worker():
    note("ready", "-")
    huey.create_consumer(workers=int(os.environ.get("THREADS", "3")), periodic=False).run()


def producer():
    for number, line in enumerate(sys.stdin):
        job_id, seconds, countdown = line.split()
        note("push", job_id)
        priority = number % 5 if CLASS is PriorityRedisHuey else None
        options = {"delay": float(countdown)} if float(countdown) else {}
        huey.enqueue(run.s(job_id, float(seconds), priority=priority, **options))


{"worker": worker, "producer": producer}[sys.argv[1]]()
