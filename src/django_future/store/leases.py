"""Whether a running job is still held by the worker that claimed it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.db import transaction

from django_future.exceptions import LeaseLost
from django_future.models import ScheduledJob, Worker
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.status import Status

if TYPE_CHECKING:
    from django_future.store.base import Store


def held(store: "Store", job: ScheduledJob) -> ScheduledJobQuerySet:
    """Return the row of a running job, or no row if its lease is lost."""
    # The lease alone is not enough: a server that crashes may lose a claim that was not durable,
    # and then the next claim has the same lease.
    return store.jobs.running().filter(pk=job.pk, lease=job.lease, worker=job.worker)


def hold(store: "Store", job: ScheduledJob) -> None:
    """Lock the row of a running job until the open transaction ends.

    Raises an `OperationalError` at once if another transaction has locked it.
    """
    if _has_row_locks(store):
        no_key = store.connection.features.has_select_for_no_key_update
        list(held(store, job).select_for_update(nowait=True, no_key=no_key).values_list("pk"))


def hold_unlocked(store: "Store", jobs: Sequence[ScheduledJob]) -> set[int]:
    """Lock the rows of `jobs` until the open transaction ends.

    Returns the ids of those that another transaction has locked.
    """
    if not _has_row_locks(store):
        return set()
    rows = store.jobs.filter(pk__in=[job.pk for job in jobs])
    existing = set(rows.values_list("pk", flat=True))
    no_key = store.connection.features.has_select_for_no_key_update
    unlocked = rows.select_for_update(skip_locked=True, no_key=no_key).order_by("pk")
    return existing - set(unlocked.values_list("pk", flat=True))


def locked(store: "Store", jobs: Sequence[ScheduledJob]) -> set[int]:
    """Return the ids of those of `jobs` whose rows another transaction has locked now."""
    if not _has_row_locks(store):
        return set()
    with transaction.atomic(using=store.alias):
        return hold_unlocked(store, jobs)


def _has_row_locks(store: "Store") -> bool:
    return bool(store.connection.features.has_select_for_update)


def confirm(store: "Store", job: ScheduledJob) -> None:
    """Raise `LeaseLost` if a claimed job is no longer held by its worker."""
    if not held(store, job).exists():
        raise lease_lost(job)


def running_leases(store: "Store", jobs: Sequence[ScheduledJob]) -> set[tuple[int, int, str]]:
    """Return the id, the lease and the worker of each of `jobs` that is running."""
    # A handler may have changed the id of its instance.
    ids = ", ".join([str(job.id) for job in jobs if type(job.id) is int])
    if not ids:
        return set()
    # By primary key only: with the status as a condition, a planner without statistics may read
    # all running jobs. The ids are part of the text, because a parameter for each takes ten times
    # as long as the server takes to find the row.
    with store.connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, lease, worker, status FROM django_future_scheduledjob WHERE id IN ({ids})"
        )
        return {row[:3] for row in cursor.fetchall() if row[3] == Status.RUNNING}


def held_by(store: "Store", worker: Worker) -> list[ScheduledJob]:
    """Return the running jobs that `worker` has claimed."""
    return list(store.jobs.running().filter(worker=worker.name))


def not_complete(store: "Store", jobs: Sequence[ScheduledJob]) -> list[ScheduledJob]:
    """Return those of `jobs` that are not complete under their lease."""
    # An earlier attempt to record a completion may have committed though its answer was lost.
    complete = store.jobs.filter(status=Status.COMPLETE, pk__in=[job.pk for job in jobs])
    leases = set(complete.values_list("pk", "lease", "worker"))
    return [job for job in jobs if (job.pk, job.lease, job.worker) not in leases]


def lease_lost(job: ScheduledJob) -> LeaseLost:
    """Return the error for a job whose lease is lost."""
    return LeaseLost(
        f"Job {job.pk} is no longer held by {job.worker} under lease {job.lease}: the worker "
        "seemed lost, or the job was cancelled or deleted."
    )
