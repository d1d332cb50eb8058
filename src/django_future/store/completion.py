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


def completion(job: ScheduledJob) -> dict[str, Any]:
    """Return the values for `job` by name, in the order of `NAMES`; the times are aware."""
    row = job.__dict__
    return {
        "started_at": clock.from_row(row["started_at"]),
        "finished_at": clock.from_row(row["finished_at"]),
        "return_value": row["return_value"],
        "id": job.pk,
        "lease": job.lease,
        "worker": job.worker,
    }


def completion_parameters(job: ScheduledJob, connection: BaseDatabaseWrapper) -> list[Any]:
    """Return the values of `NAMES` for `job`, as the parameters of a statement."""
    started_at, finished_at, *others = completion(job).values()
    return [as_parameter(started_at, connection), as_parameter(finished_at, connection), *others]
