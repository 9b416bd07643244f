"""A Celery application to try the compose file with:

docker compose exec worker-1 python -c "import tasks; tasks.work.delay(60)"
"""

import os
import time

from celery import Celery

app = Celery("tasks", broker=os.environ["BROKER_URL"])
app.conf.broker_connection_retry_on_startup = True


@app.task
def work(seconds):
    time.sleep(seconds)
