"""pyres workers of the tests (Resque's own shape: a child for each job) and their producer.

    python -c 'import pyres_jobs; pyres_jobs.worker()'
    python -c 'import pyres_jobs; pyres_jobs.producer()'    enqueues a job for each line `ID SECONDS COUNTDOWN`

Lines of the job log are those of celery_app.py.
"""

import os
import sys
import time

from joblog import note
from pyres import ResQ
from pyres.worker import Worker


class Run:
    queue = "jobs"

    @staticmethod
    def perform(job_id, seconds):
        note("start", job_id)
        time.sleep(seconds)
        note("end", job_id)


class Ready(Worker):
    def startup(self):
        super().startup()
        note("ready", "-")


def worker():
    Ready(["jobs", "more"], server=os.environ["BROKER"]).work(interval=1)


def producer():
    queue = ResQ(server=os.environ["BROKER"])
    for line in sys.stdin:
        job_id, seconds, _countdown = line.split()
        note("push", job_id)
        queue.enqueue_from_string("pyres_jobs.Run", "jobs", job_id, float(seconds))
