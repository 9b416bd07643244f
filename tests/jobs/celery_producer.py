"""Pushes jobs with Celery's own client, straight to the broker: one line `ID SECONDS COUNTDOWN` on the standard input
is one job. The time in the job log is the time before the push."""

import sys

import celery_app

for line in sys.stdin:
    job_id, seconds, countdown = line.split()
    celery_app.note("push", job_id)
    celery_app.run.apply_async((job_id, float(seconds)), countdown=float(countdown) or None)
