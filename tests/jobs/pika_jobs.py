"""A home-made worker on RabbitMQ, and its producer, with pika.

    pika_jobs.py worker      takes jobs `ID SECONDS`, each in a thread, and acknowledges when the job is done
    pika_jobs.py producer    publishes a job for each line `ID SECONDS` of its standard input

JOB_LOG and WORKER are those of celery_app.py; BROKER is its address, CONNECTION_NAME what the worker calls itself,
PREFETCH how many jobs it takes at a time.
"""

import functools
import os
import sys
import threading
import time

import pika
from joblog import note

QUEUE = "jobs"


def connect():
    host, port = os.environ["BROKER"].split(":")
    properties = {"connection_name": os.environ.get("CONNECTION_NAME", "producer")}
    connection = pika.BlockingConnection(pika.ConnectionParameters(host, int(port), client_properties=properties))
    channel = connection.channel()
    pairs = [pair.split("=") for pair in os.environ.get("QUEUE_ARGUMENTS", "").split(",") if pair]
    channel.queue_declare(QUEUE, durable=True, arguments=dict(pairs))
    return connection, channel


def worker():
    connection, channel = connect()
    channel.basic_qos(prefetch_count=int(os.environ["PREFETCH"]))

    def run(tag, body):
        job_id, seconds = body.decode().split()
        note("start", job_id)
        time.sleep(float(seconds))
        note("end", job_id)
        connection.add_callback_threadsafe(functools.partial(channel.basic_ack, tag))

    def take(_channel, method, _properties, body):
        threading.Thread(target=run, args=(method.delivery_tag, body)).start()

    channel.basic_consume(QUEUE, take)
    note("ready", "-")
    channel.start_consuming()


def producer():
    connection, channel = connect()
    channel.confirm_delivery()
    for line in sys.stdin:
        job_id = line.split()[0]
        note("push", job_id)
        properties = pika.BasicProperties(delivery_mode=2, message_id=job_id, type="job")
        channel.basic_publish("", QUEUE, line.strip(), properties)
    connection.close()


{"worker": worker, "producer": producer}[sys.argv[1]]()
