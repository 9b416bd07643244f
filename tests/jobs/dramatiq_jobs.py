"""The Dramatiq application of the tests on RabbitMQ, and its producer.

Started by the command `dramatiq` it is the worker; its environment is that of pika_jobs.py. Started by itself it pushes
a job for each line `ID SECONDS COUNTDOWN` of its standard input.
"""

import os
import sys
import time
import urllib.parse

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from joblog import note

URL = f"amqp://guest:guest@{os.environ['BROKER']}/"
if "DRAMATIQ_NAME" in os.environ:
    properties = {"connection_name": os.environ["DRAMATIQ_NAME"]}
    URL += "?" + urllib.parse.urlencode({"client_properties": properties})
dramatiq.set_broker(RabbitmqBroker(url=URL))


class Ready(dramatiq.Middleware):
    def after_worker_boot(self, _broker, _worker):
        note("ready", "-")


dramatiq.get_broker().add_middleware(Ready())


@dramatiq.actor(queue_name="jobs")
def run(job_id, seconds):
    note("start", job_id)
    time.sleep(seconds)
    note("end", job_id)


if __name__ == "__main__":
    for line in sys.stdin:
        job_id, seconds, countdown = line.split()
        note("push", job_id)
        delay = int(float(countdown) * 1000) or None
        run.send_with_options(args=(job_id, float(seconds)), delay=delay)
