"""The taskiq application of the tests on RabbitMQ, and its producer.

Started by the command `taskiq worker` it is the worker; its environment is that of pika_jobs.py. Started by itself it
pushes a job for each line `ID SECONDS` of its standard input.
"""

import asyncio
import os
import sys

from joblog import note
from taskiq_aio_pika import AioPikaBroker


class Broker(AioPikaBroker):
    """Says when its queue is there and bound: what is published before goes nowhere."""

    async def listen(self):
        note("ready", "-")
        async for message in super().listen():
            yield message


NAME = os.environ.get("CONNECTION_NAME", "producer")
broker = Broker(f"amqp://guest:guest@{os.environ['BROKER']}/?name={NAME}", qos=int(os.environ["PREFETCH"]))


@broker.task(task_name="jobs:run")
async def run(job_id, seconds):
    note("start", job_id)
    await asyncio.sleep(seconds)
    note("end", job_id)


async def main():
    await broker.startup()
    for line in iter(sys.stdin.readline, ""):
        job_id, seconds = line.split()
        note("push", job_id)
        await run.kiq(job_id, float(seconds))
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
