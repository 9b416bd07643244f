"""What RabbitMQ counts as unacknowledged, to be compared with the gate's account.

    rabbit_accounts.py SCENARIO..    takes some of six messages, each time on a channel of its own
    rabbit_accounts.py commits       consumes, and commits transactions of messages, until its standard input ends

BROKER is the gate's address, DIRECT the broker's. A scenario notes `taken NAME` in the job log and waits for a line of its
standard input. Then it closes its channel, and notes `back NAME` with what went back to the queue by that, in the place of
a worker: so many were unacknowledged.
"""

import os
import select
import sys
import time

import pika

QUEUE = "accounts"
MESSAGES, PREFETCH = 6, 4


def note(what, name, worker="accounts"):
    with open(os.environ["JOB_LOG"], "a", buffering=1) as log:
        log.write(f"{what} {name} {time.time():.6f} {os.getpid()} {worker}\n")


def connect(address):
    host, port = address.split(":")
    properties = {"connection_name": "accounts"}
    return pika.BlockingConnection(pika.ConnectionParameters(host, int(port), client_properties=properties))


class Taker:
    """A consumer that sees to it how many messages have come."""

    def __init__(self, connection):
        self.connection, self.channel, self.came = connection, connection.channel(), 0
        self.channel.basic_qos(prefetch_count=PREFETCH)

    def consume(self):
        def count(*_):
            self.came += 1

        self.channel.basic_consume(QUEUE, count)
        self.wait(PREFETCH)

    def wait(self, came):
        while self.came < came and self.channel.is_open:
            self.connection.process_data_events(time_limit=0.1)

    def transact(self):
        self.consume()
        self.channel.tx_select()
        self.channel.basic_ack(2, multiple=True)


def consumed(taker):
    taker.consume()


def acked_up_to(taker):
    taker.consume()
    taker.channel.basic_ack(2, multiple=True)
    taker.wait(6)


def acked_all(taker):
    taker.consume()
    taker.channel.basic_ack(0, multiple=True)
    taker.wait(6)


def given_back(taker):
    taker.consume()
    taker.channel.basic_nack(3, multiple=True, requeue=True)
    taker.wait(7)


def rejected(taker):
    taker.consume()
    taker.channel.basic_reject(1, requeue=False)
    taker.wait(5)


def got(taker):
    for _ in range(3):
        taker.channel.basic_get(QUEUE)
    taker.channel.basic_ack(2)


def recovered(taker):
    taker.consume()
    taker.channel.basic_recover(requeue=True)
    taker.wait(8)


def in_a_transaction(taker):
    taker.transact()


def committed(taker):
    taker.transact()
    taker.channel.tx_commit()
    taker.wait(6)


def rolled_back(taker):
    taker.transact()
    taker.channel.tx_rollback()


def recovered_in_a_transaction(taker):
    taker.transact()
    taker.channel.basic_recover(requeue=True)
    taker.wait(6)


def timed_out(taker):
    taker.consume()
    taker.wait(100)
    assert not taker.channel.is_open


def commits(connection):
    channel = connection.channel()
    channel.basic_qos(prefetch_count=PREFETCH)
    channel.tx_select()
    for method, _, _ in channel.consume(QUEUE, inactivity_timeout=0.001):
        # several disk blocks: the answer takes its time
        for _ in range(50):
            channel.basic_publish("", "others", b"x" * 20_000, pika.BasicProperties(delivery_mode=2))
        if method:
            channel.basic_ack(method.delivery_tag)
        channel.tx_commit()
        note("committed", "-")
        if select.select([sys.stdin], [], [], 0)[0]:
            break
    connection.close()


def ready(channel):
    return channel.queue_declare(QUEUE, passive=True).method.message_count


def main(scenarios):
    direct, through = connect(os.environ["DIRECT"]), connect(os.environ["BROKER"])
    owner = direct.channel()
    owner.confirm_delivery()
    for queue in (QUEUE, "others"):
        owner.queue_declare(queue, durable=True)
    note("ready", "-")
    if scenarios == ["commits"]:
        return commits(through)
    for name in scenarios:
        owner.queue_purge(QUEUE)
        for number in range(MESSAGES):
            owner.basic_publish("", QUEUE, str(number).encode())
        taker = Taker(through)
        globals()[name](taker)
        note("taken", name)
        sys.stdin.readline()
        before = after = ready(owner)
        if taker.channel.is_open:
            taker.channel.close()
            # the queue hears of it a moment later
            while after == before:
                after = ready(owner)
        note("back", name, after - before)


main(sys.argv[1:])
