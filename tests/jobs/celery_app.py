"""The Celery application of the tests: one task that writes down when it starts and when it ends.

Each line goes into the job log with one write to a file opened for appending, so that lines of several workers never
mix. The log lies outside of any broker: it is the truth that the tests compare the gate's word with.

    push|start|end|ready ID TIME PID WORKER

The environment says how an owner might have set it up:

    ACKS_LATE=1     task_acks_late
    KEY_PREFIX=x    global_keyprefix, for the broker and the results
    QUEUE_TYPE=x    task_default_queue_type
    REMOTE=0        no remote control
    VISIBLE=n       visibility_timeout in seconds; it is looked after every second
    AFTER=n         a task's after_return takes n seconds and writes its end: the result is stored before; so does its
                    on_retry: its next attempt is published before
    BATCHES=1       jobs are run three at a time (celery-batches), each lot as long as the longest of them
    AUTHORITY=x     RabbitMQ is spoken to by TLS, and this file says who must have signed its certificate
    RETRIES=n       each task is retried n times; attempt 1 of job a is called a.1 in the job log
    RETRY_IN=n      after so many seconds (1)
"""

import os
import ssl
import time

from celery import Celery, Task, signals

LOG = os.open(os.environ["JOB_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
WORKER = os.environ.get("WORKER", "-")
PREFIX = os.environ.get("KEY_PREFIX")
TRANSPORT = {"global_keyprefix": PREFIX} if PREFIX else {}
if "VISIBLE" in os.environ:
    TRANSPORT |= {"visibility_timeout": int(os.environ["VISIBLE"])}
    TRANSPORT |= {"unacked_restore_interval": 1, "unacked_restore_throttle": 1}
AFTER = float(os.environ.get("AFTER", "0"))
RETRIES = int(os.environ.get("RETRIES", "0"))
RETRY_IN = float(os.environ.get("RETRY_IN", "1"))
WITH_TLS = "AUTHORITY" in os.environ and os.environ["BROKER_URL"].startswith("amqps")


def note(what, job_id):
    os.write(LOG, f"{what} {job_id} {time.time():.6f} {os.getpid()} {WORKER}\n".encode())


app = Celery("jobs", broker=os.environ["BROKER_URL"], backend=os.environ.get("RESULT_URL"))
app.conf.update(
    task_acks_late=os.environ.get("ACKS_LATE") == "1",
    task_default_queue_type=os.environ.get("QUEUE_TYPE", "classic"),
    broker_connection_retry_on_startup=True,
    broker_transport_options=TRANSPORT,
    result_backend_transport_options={"global_keyprefix": PREFIX} if PREFIX else {},
    worker_enable_remote_control=os.environ.get("REMOTE") != "0",
    worker_hijack_root_logger=False,
)
if WITH_TLS:
    app.conf.broker_use_ssl = {"ca_certs": os.environ["AUTHORITY"], "cert_reqs": ssl.CERT_REQUIRED}


@signals.worker_ready.connect
def ready(**_):
    note("ready", "-")


class Job(Task):
    def after_return(self, _status, _result, _id, args, _kwargs, _error):
        if AFTER:
            time.sleep(AFTER)
            note("end", name_of(self, args[0]))

    def on_retry(self, _error, _id, args, _kwargs, _trace):
        if AFTER:
            time.sleep(AFTER)
            note("end", name_of(self, args[0]))


def name_of(task, job_id):
    attempt = task.request.retries
    return f"{job_id}.{attempt}" if attempt else job_id


def run_one(self, job_id, seconds):
    note("start", name_of(self, job_id))
    time.sleep(seconds)
    again = self.request.retries < RETRIES
    if again:
        note("push", f"{job_id}.{self.request.retries + 1}")
    if not AFTER:
        note("end", name_of(self, job_id))
    if again:
        raise self.retry(countdown=RETRY_IN, max_retries=RETRIES)
    return job_id


if os.environ.get("BATCHES") == "1":
    from celery_batches import Batches

    @app.task(name="jobs.run", base=Batches, flush_every=3, flush_interval=1)
    def run(requests):
        for request in requests:
            note("start", request.args[0])
        time.sleep(max(request.args[1] for request in requests))
        for request in requests:
            note("end", request.args[0])
else:
    run = app.task(name="jobs.run", bind=True, base=Job)(run_one)
