"""Pushes jobs with Celery's own client, straight to the broker: one line `ID SECONDS COUNTDOWN` on the standard input
is one job. The time in the job log is the time before the push.

    QUEUES=a,b      to these queues in turn
    PRIORITIES=1    with priorities 0 to 9 in turn
"""

import os
import sys

import celery_app

QUEUES = os.environ.get("QUEUES", "celery").split(",")
PRIORITIES = os.environ.get("PRIORITIES") == "1"

for number, line in enumerate(sys.stdin):
    job_id, seconds, countdown = line.split()
    celery_app.note("push", job_id)
    celery_app.run.apply_async(
        (job_id, float(seconds)),
        countdown=float(countdown) or None,
        queue=QUEUES[number % len(QUEUES)],
        priority=number % 10 if PRIORITIES else None,
    )
