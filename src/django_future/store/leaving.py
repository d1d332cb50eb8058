"""What is claimed and cannot be run here, because its handler is unknown, is left for others."""

from datetime import datetime, timedelta

from django.db.models import F

from django_future import clock
from django_future.models import ScheduledJob
from django_future.status import Status
from django_future.store.base import Store
from django_future.store.completion import lease_lost
from django_future.store.contention import retry_on_contention

MIN_DELAY, MAX_DELAY = timedelta(seconds=1), timedelta(minutes=10)


LEFT = "It is left for a worker that does."  # the end of what is recorded of such a job


def is_left(error: str) -> bool:
    """Tell whether what is recorded of a job says that it was left."""
    return error.endswith(LEFT)


@retry_on_contention
def leave(store: Store, job: ScheduledJob, error: str) -> None:
    """Put a claimed job back as `release` does, and record why.

    Raises `LeaseLost` if the job is no longer this worker's.
    """
    if not store.held(job).update(
        status=Status.SCHEDULED, worker="", started_at=None, attempts=F("attempts") - 1, error=error
    ):
        raise lease_lost(job)
    job.status, job.error = Status.SCHEDULED, error
    store.notify()


@retry_on_contention
def postpone(store: Store, job: ScheduledJob, at: datetime) -> None:
    """Move a job that was left to after `at`, by as long as it has been due.

    So a job that no worker knows comes up ever less often, and keeps no other job waiting.
    """
    # Nothing is moved that another worker has claimed meanwhile.
    left = store.jobs.scheduled().filter(pk=job.pk, lease=job.lease)
    for row in left.only("scheduled_at", "first_due_at"):
        first_due_at = row.first_due_at or row.scheduled_at
        age = store.now() - clock.from_row(first_due_at)
        later_at = clock.to_row(at + min(max(age, MIN_DELAY), MAX_DELAY))
        left.update(scheduled_at=later_at, first_due_at=first_due_at)
