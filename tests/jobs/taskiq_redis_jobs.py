"""taskiq workers of the tests on Redis, and their producer.

    taskiq worker taskiq_redis_jobs:broker      a worker
    python taskiq_redis_jobs.py                 sends a task for each line `ID SECONDS COUNTDOWN`

BROKER_KIND is `list` or `stream`; RESULTS=1: with a result backend. Lines of the job log are those of celery_app.py.
"""

import asyncio
import os
import sys
import time

from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend, RedisStreamBroker

LOG = os.open(os.environ["JOB_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
WORKER = os.environ.get("WORKER", "producer")
CLASS = {"list": ListQueueBroker, "stream": RedisStreamBroker}[os.environ["BROKER_KIND"]]
URL = f"redis://{os.environ['BROKER']}/0"


class Broker(CLASS):
    """Says when it can be sent tasks: what is added to a stream before its group is there reaches nobody."""

    async def listen(self):
        note("ready", "-")
        async for message in super().listen():
            yield message


broker = Broker(URL)
if os.environ.get("RESULTS") == "1":
    broker = broker.with_result_backend(RedisAsyncResultBackend(URL))


def note(what, job_id):
    os.write(LOG, f"{what} {job_id} {time.time():.6f} {os.getpid()} {WORKER}\n".encode())


@broker.task
async def run(job_id, seconds):
    note("start", job_id)
    await asyncio.sleep(seconds)
    note("end", job_id)


async def producer():
    await broker.startup()
    for line in sys.stdin:
        job_id, seconds, _countdown = line.split()
        note("push", job_id)
        await run.kiq(job_id, float(seconds))
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(producer())
