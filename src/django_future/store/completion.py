"""The record that a job is complete, as statements take it."""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from django_future import clock
from django_future.fields import as_parameter
from django_future.models import ScheduledJob

NAMES = ("started_at", "finished_at", "return_value", "id", "lease", "worker")

FINISH = """
    UPDATE django_future_scheduledjob
    SET status = 'complete', started_at = %s, finished_at = %s, return_value = %s
    WHERE id = %s AND lease = %s AND worker = %s AND status = 'running'
"""


def completion(job: ScheduledJob, connection: BaseDatabaseWrapper) -> list[Any]:
    """Return the values of `NAMES`, which stand in `FINISH` in this order."""
    return [
        as_parameter(clock.from_row(job.started_at), connection),
        as_parameter(clock.from_row(job.finished_at), connection),
        job.__dict__["return_value"],
        job.pk,
        job.lease,
        job.worker,
    ]
