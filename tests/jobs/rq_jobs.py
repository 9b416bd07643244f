"""RQ workers of the tests and their producer.

    python -c 'import rq_jobs; rq_jobs.worker()'      a worker called NAME on QUEUES, with the scheduler if SCHEDULER=1
    python -c 'import rq_jobs; rq_jobs.producer()'    enqueues a job for each line `ID SECONDS COUNTDOWN`

Lines of the job log are those of celery_app.py.
"""

import os
import sys
import time
from datetime import timedelta

import redis
import rq

LOG = os.open(os.environ["JOB_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
WORKER = os.environ.get("WORKER", "producer")
QUEUES = os.environ.get("QUEUES", "default").split(",")
CLASS = {"fork": rq.Worker, "simple": rq.SimpleWorker}[os.environ.get("CLASS", "fork")]


def note(what, job_id):
    os.write(LOG, f"{what} {job_id} {time.time():.6f} {os.getpid()} {WORKER}\n".encode())


def run(job_id, seconds):
    note("start", job_id)
    time.sleep(seconds)
    note("end", job_id)


def connect():
    host, port = os.environ["BROKER"].split(":")
    return redis.Redis(host, int(port))


class Worker(CLASS):
    def register_birth(self):
        super().register_birth()
        note("ready", "-")


def worker():
    # what a worker that was killed leaves behind forbids its name for minutes; an operator's first cure is this, too
    connection = connect()
    connection.delete(f"rq:worker:{os.environ['NAME']}")
    one = Worker(QUEUES, name=os.environ["NAME"], connection=connection)
    one.work(with_scheduler=os.environ.get("SCHEDULER") == "1", burst=os.environ.get("BURST") == "1")


def producer():
    queues = [rq.Queue(name, connection=connect()) for name in QUEUES]
    for number, line in enumerate(sys.stdin):
        job_id, seconds, countdown = line.split()
        note("push", job_id)
        queue = queues[number % len(queues)]
        if float(countdown):
            queue.enqueue_in(timedelta(seconds=float(countdown)), run, job_id, float(seconds))
        else:
            queue.enqueue(run, job_id, float(seconds))
