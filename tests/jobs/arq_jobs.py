"""arq workers of the tests and their producer.

    python arq_jobs.py worker      MAX_JOBS at a time; with CRON=1 a cron job of its own at each even second, too
    python arq_jobs.py producer    enqueues a job for each line `ID SECONDS COUNTDOWN`

With RETRIES=1 each job fails once and is put off for a moment: attempt 2 of job a is called a.1 in the job log, whose lines
are those of celery_app.py.
"""

import asyncio
import os
import sys
from datetime import timedelta

from arq import Retry, create_pool, cron
from arq.connections import RedisSettings
from arq.worker import Worker
from joblog import note

HOST, PORT = os.environ["BROKER"].split(":")
SETTINGS = RedisSettings(host=HOST, port=int(PORT))
QUEUE = os.environ.get("QUEUE", "arq:queue")
RETRIES = os.environ.get("RETRIES") == "1"


async def run(ctx, job_id, seconds):
    first = ctx["job_try"] == 1
    name = job_id if first else f"{job_id}.{ctx['job_try'] - 1}"
    note("start", name)
    await asyncio.sleep(seconds)
    if RETRIES and first:
        note("push", f"{job_id}.1")
        note("end", name)
        raise Retry(defer=0.3)
    note("end", name)


async def tick(ctx):
    note("push", ctx["job_id"])
    note("start", ctx["job_id"])
    await asyncio.sleep(0.3)
    note("end", ctx["job_id"])


async def ready(_ctx):
    note("ready", "-")


def worker():
    ticks = [cron(tick, second=set(range(0, 60, 2)))] if os.environ.get("CRON") == "1" else None
    Worker(
        [run],
        cron_jobs=ticks,
        queue_name=QUEUE,
        redis_settings=SETTINGS,
        on_startup=ready,
        max_jobs=int(os.environ.get("MAX_JOBS", "3")),
        allow_abort_jobs=os.environ.get("ABORT") == "1",
    ).run()


async def producer():
    pool = await create_pool(SETTINGS, default_queue_name=QUEUE)
    for line in sys.stdin:
        job_id, seconds, countdown = line.split()
        note("push", job_id)
        put_off = timedelta(seconds=float(countdown)) if float(countdown) else None
        await pool.enqueue_job("run", job_id, float(seconds), _defer_by=put_off)


if sys.argv[1] == "worker":
    worker()
else:
    asyncio.run(producer())
