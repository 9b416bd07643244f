"""A home-made worker on RabbitMQ with aio-pika: takes jobs `ID SECONDS` as many at a time as its prefetch allows, and
acknowledges each when it is done. The environment is that of pika_jobs.py."""

import asyncio
import os

import aio_pika
from joblog import note


async def take(message):
    job_id, seconds = message.body.decode().split()
    note("start", job_id)
    await asyncio.sleep(float(seconds))
    note("end", job_id)
    await message.ack()


async def main():
    broker, name = os.environ["BROKER"], os.environ["CONNECTION_NAME"]
    connection = await aio_pika.connect_robust(f"amqp://guest:guest@{broker}/?name={name}")
    channel = await connection.channel()
    await channel.set_qos(int(os.environ["PREFETCH"]))
    queue = await channel.declare_queue("jobs", durable=True)
    await queue.consume(take)
    note("ready", "-")
    await asyncio.Future()


asyncio.run(main())
