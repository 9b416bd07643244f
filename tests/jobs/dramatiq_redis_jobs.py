"""Dramatiq workers of the tests on Redis, and their producer.

    python -m dramatiq dramatiq_redis_jobs      a worker
    python dramatiq_redis_jobs.py               sends a message for each line `ID SECONDS COUNTDOWN`

HEARTBEAT is how long a worker may be silent, in milliseconds, before it is taken for dead; then everybody looks all the
time. Lines of the job log are those of celery_app.py.
"""

import os
import sys
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker

LOG = os.open(os.environ["JOB_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
WORKER = os.environ.get("WORKER", "producer")
HEARTBEAT = os.environ.get("HEARTBEAT")


def note(what, job_id):
    os.write(LOG, f"{what} {job_id} {time.time():.6f} {os.getpid()} {WORKER}\n".encode())


class Ready(dramatiq.Middleware):
    def after_worker_boot(self, broker, worker):
        note("ready", "-")


options = {"heartbeat_timeout": int(HEARTBEAT), "maintenance_chance": 1_000_000} if HEARTBEAT else {}
broker = RedisBroker(url=f"redis://{os.environ['BROKER']}/0", **options)
broker.add_middleware(Ready())
dramatiq.set_broker(broker)


@dramatiq.actor
def run(job_id, seconds):
    note("start", job_id)
    time.sleep(seconds)
    note("end", job_id)


if __name__ == "__main__":
    for line in sys.stdin:
        job_id, seconds, countdown = line.split()
        note("push", job_id)
        delay = int(float(countdown) * 1000)
        run.send_with_options(args=(job_id, float(seconds)), delay=delay or None)
