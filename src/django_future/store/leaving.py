"""What is claimed and cannot be run here, because its handler is unknown, is left for others."""

from django.db.models import F

from django_future.models import ScheduledJob
from django_future.status import Status
from django_future.store.base import Store
from django_future.store.completion import lease_lost
from django_future.store.contention import patient


@patient
def leave(store: Store, job: ScheduledJob, error: str) -> None:
    """Put a claimed job back as `release` does, and record why.

    Raises `LeaseLost` if the job is no longer this worker's.
    """
    if not store.held(job).update(
        status=Status.SCHEDULED, worker="", started_at=None, attempts=F("attempts") - 1, error=error
    ):
        raise lease_lost(job)
    job.status, job.error = Status.SCHEDULED, error
    store.hint()
