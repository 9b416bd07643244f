"""The Celery application of the tests: one task that writes down when it starts and when it ends.

Each line goes into the job log with one write to a file opened for appending, so that lines of several workers never
mix. The log lies outside of any broker: it is the truth that the tests compare the gate's word with.

    push|start|end|ready ID TIME PID WORKER
"""

import os
import time

from celery import Celery, signals

LOG = os.open(os.environ["JOB_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
WORKER = os.environ.get("WORKER", "-")


def note(what, job_id):
    os.write(LOG, f"{what} {job_id} {time.time():.6f} {os.getpid()} {WORKER}\n".encode())


app = Celery("jobs", broker=os.environ["BROKER_URL"], backend=os.environ.get("RESULT_URL"))
app.conf.update(
    task_acks_late=os.environ.get("ACKS_LATE") == "1",
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)


@signals.worker_ready.connect
def ready(**_):
    note("ready", "-")


@app.task(name="jobs.run")
def run(job_id, seconds):
    note("start", job_id)
    time.sleep(seconds)
    note("end", job_id)
    return job_id
