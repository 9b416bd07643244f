"""Writes the lines of the job log (see celery_app.py) for workers that are not Celery's."""

import os
import time

LOG = os.open(os.environ["JOB_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
WORKER = os.environ.get("WORKER", "producer")


def note(what, job_id):
    os.write(LOG, f"{what} {job_id} {time.time():.6f} {os.getpid()} {WORKER}\n".encode())
