"""The statement that records the completion of a job, and its values."""

from collections.abc import Callable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from django_future import clock
from django_future.models import ScheduledJob
from django_future.models.fields import as_parameter

NAMES = ("started_at", "finished_at", "return_value", "id", "lease", "worker")

_FINISH = """
    UPDATE django_future_scheduledjob
    SET status = 'complete', started_at = {}, finished_at = {}, return_value = {}, error = '',
        unique_key = NULL
    WHERE id = {} AND lease = {} AND worker = {} AND status = 'running'
"""


def finish(placeholder: Callable[[str], str]) -> str:
    """Return the statement that completes a job, with a placeholder for each of `NAMES`."""
    return _FINISH.format(*map(placeholder, NAMES))


def completion(job: ScheduledJob, connection: BaseDatabaseWrapper) -> list[Any]:
    """Return the values of `NAMES` for `job`."""
    return [
        as_parameter(clock.from_row(job.__dict__["started_at"]), connection),
        as_parameter(clock.from_row(job.__dict__["finished_at"]), connection),
        job.__dict__["return_value"],
        job.pk,
        job.lease,
        job.worker,
    ]
