"""RabbitMQ's queues as the stories need them, with pika.

    rabbit_jobs.py worker N          N consumers of QUEUE, each in a process and on a connection of its own
    rabbit_jobs.py producer Q..      a job for each line `ID SECONDS` of its standard input, to these queues in turn
    rabbit_jobs.py declare Q JSON    declares a queue, as its owner might: nobody else here does
    rabbit_jobs.py hold Q            keeps a queue to itself, as its exclusive consumer, and takes nothing
    rabbit_jobs.py depth Q           says how many messages are ready in it, or `gone`

A consumer works in threads and acknowledges when a job is done, PREFETCH at a time. Consumer 7 of `w` calls itself `w-7`
(the only one of its kind: `w`). A job called `back..` is given back at its first delivery, of one called `told..` the id
is published when it is done. BROKER_USER, if given, is a user whose name is his password. Lines of the job log are those of celery_app.py, and `blocked` when the broker takes no more;
in COUNTS stands for each delivery `ID REDELIVERED COUNT`, the last being x-delivery-count.
"""

import functools
import json
import os
import sys
import threading
import time

import pika

WORKER = os.environ.get("WORKER", "producer")
QUEUE = os.environ.get("QUEUE", "jobs")


def append(path, line):
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(file, line.encode())
    os.close(file)


def note(what, job_id, label=WORKER):
    append(os.environ["JOB_LOG"], f"{what} {job_id} {time.time():.6f} {os.getpid()} {label}\n")


def connect(name):
    host, port = os.environ["BROKER"].split(":")
    properties = {"connection_name": name}
    user = os.environ.get("BROKER_USER", "guest")
    login = pika.PlainCredentials(user, user)
    return pika.BlockingConnection(
        pika.ConnectionParameters(host, int(port), credentials=login, client_properties=properties)
    )


def consume(name, label):
    connection = connect(name)
    connection.add_on_connection_blocked_callback(lambda *_: note("blocked", "-", label))
    channel = connection.channel()
    channel.basic_qos(prefetch_count=int(os.environ["PREFETCH"]))

    def run(tag, job_id, seconds):
        note("start", job_id, label)
        time.sleep(float(seconds))
        note("end", job_id, label)
        connection.add_callback_threadsafe(functools.partial(done, tag, job_id))

    def done(tag, job_id):
        if job_id.startswith("told"):
            channel.basic_publish("", "results", job_id.encode())
        channel.basic_ack(tag)

    def take(_channel, method, properties, body):
        job_id, seconds = body.decode().split()
        count = (properties.headers or {}).get("x-delivery-count", 0)
        append(os.environ["COUNTS"], f"{job_id} {int(method.redelivered)} {count}\n")
        if job_id.startswith("back") and not method.redelivered:
            return channel.basic_nack(method.delivery_tag, requeue=True)
        threading.Thread(target=run, args=(method.delivery_tag, job_id, seconds)).start()

    channel.basic_consume(QUEUE, take)
    note("ready", "-", label)
    channel.start_consuming()


def worker(number):
    name, count = os.environ["CONNECTION_NAME"], int(number)
    if count == 1:
        return consume(name, WORKER)
    for child in range(count):
        if os.fork() == 0:
            consume(f"{name}-{child}", f"{WORKER}-{child}")
    os.wait()


def producer(*queues):
    connection = connect("producer")
    channel = connection.channel()
    channel.confirm_delivery()
    for number, line in enumerate(sys.stdin):
        note("push", line.split()[0])
        properties = pika.BasicProperties(delivery_mode=2)
        channel.basic_publish("", queues[number % len(queues)], line.strip(), properties)
    connection.close()


def declare(queue, options):
    connection = connect("owner")
    connection.channel().queue_declare(queue, **json.loads(options))
    connection.close()


def hold(queue):
    channel = connect(WORKER).channel()
    channel.basic_qos(prefetch_count=1)
    channel.basic_consume(queue, lambda *_: None, exclusive=True)
    note("ready", "-")
    channel.start_consuming()


def depth(queue):
    connection = connect("owner")
    try:
        print(connection.channel().queue_declare(queue, passive=True).method.message_count)
    except pika.exceptions.ChannelClosedByBroker:
        print("gone")
    connection.close()


{"worker": worker, "producer": producer, "declare": declare, "hold": hold, "depth": depth}[sys.argv[1]](*sys.argv[2:])
