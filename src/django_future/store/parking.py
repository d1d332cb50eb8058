"""Jobs whose signature does not hold: they are parked, until an operator signs them."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import F

from django_future.models import ScheduledJob
from django_future.status import Status
from django_future.store.base import Store
from django_future.store.completion import lease_lost
from django_future.store.contention import retry_on_contention

# The key is given up, so that code can schedule the unique job that the row stands in for.
_PARKED: dict[str, Any] = {
    "status": Status.PARKED, "worker": "", "started_at": None, "unique_key": None,
}  # fmt: skip


@retry_on_contention
def park(store: Store, job: ScheduledJob, reason: str) -> None:
    """Park a claimed job as if it had never been claimed, and record why.

    Raises `LeaseLost` if the job is no longer this worker's.
    """
    if not store.held(job).update(**_PARKED, attempts=F("attempts") - 1, error=reason):
        raise lease_lost(job)
    job.status, job.error = Status.PARKED, reason


def park_locked(store: Store, job: ScheduledJob, reason: str) -> None:
    """Park a job that waits, whose row the open transaction has locked."""
    store.jobs.filter(pk=job.pk).update(**_PARKED, error=reason)


@retry_on_contention
def sign(store: Store, job: ScheduledJob, columns: Mapping[str, Any]) -> bool:
    """Write a signature, with what it is for, and put the job back if it is parked.

    Tells whether it did: not if the row has another state or signature than `job`.
    """
    rows = store.jobs.filter(pk=job.pk, status=job.status, signature=job.signature)
    if not rows.update(**columns, status=Status.SCHEDULED, error=""):
        return False
    transaction.on_commit(store.notify, using=store.alias, robust=True)
    return True


@retry_on_contention
def rename(store: Store, job: ScheduledJob, columns: Mapping[str, Any]) -> bool:
    """Write the new name of a job's callable as `sign` writes a signature, if the job waits."""
    with transaction.atomic(using=store.alias):
        row = store.jobs.scheduled().filter(pk=job.pk, signature=job.signature)
        is_renamed = bool(row.update(**columns, error=""))
    if is_renamed:
        transaction.on_commit(store.notify, using=store.alias, robust=True)
    return is_renamed
