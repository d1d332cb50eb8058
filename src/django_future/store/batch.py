"""Completions of jobs that wrote nothing, recorded together."""

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from django.db import DatabaseError, InterfaceError, OperationalError, transaction

from django_future.models import ScheduledJob
from django_future.store.base import Store
from django_future.store.contention import retry_on_contention
from django_future.store.leases import running_leases

MAX_BATCH_BYTES = 2**20  # of return values; a server limits what it takes at once
MAX_TRIES = 3  # for one job, before the database is said to refuse it
PAUSE = 0.1  # seconds between two tries


class Completions(NamedTuple):
    """What became of the completions of some jobs."""

    complete: list[ScheduledJob]
    lost: list[ScheduledJob]
    locked: list[ScheduledJob]
    refused: list[tuple[ScheduledJob, Exception]]


def complete_batch(store: Store, jobs: Sequence[ScheduledJob]) -> Completions:
    """Record that `jobs` are complete.

    One whose row another transaction has locked does not hold up the others. If the database
    refuses a batch, each of its jobs is recorded by itself, so that only those fail for which that
    is refused as well. Raises a database error only if the database is out of reach.
    """
    completions = Completions([], [], [], [])
    for batch in _batches(jobs):
        try:
            _sort(store, batch, store.finish_all(batch), completions)
        except (DatabaseError, InterfaceError) as error:
            if store.connection.in_atomic_block:
                raise
            if isinstance(error, OperationalError) and store.is_contention(error):
                _sort(store, batch, _finish_unlocked(store, batch), completions)
            else:
                _finish_one_by_one(store, batch, completions)
    return completions


def _batches(jobs: Sequence[ScheduledJob]) -> Iterator[Sequence[ScheduledJob]]:
    start = size = 0
    for end, job in enumerate(jobs):
        result = job.__dict__["return_value"]
        if result is None:
            continue
        if size and size + len(result) > MAX_BATCH_BYTES:
            yield jobs[start:end]
            start, size = end, 0
        size += len(result)
    yield jobs[start:]


@retry_on_contention
def _finish_unlocked(store: Store, jobs: Sequence[ScheduledJob]) -> list[ScheduledJob]:
    # Locks the rows that no other transaction has locked, until it commits, a moment later.
    with transaction.atomic(using=store.alias):
        rows = store.jobs.filter(pk__in=[job.pk for job in jobs])
        free = set(rows.select_for_update(skip_locked=True).values_list("pk", flat=True))
        unlocked = [job for job in jobs if job.pk in free]
        not_complete = store.finish_all(unlocked) if unlocked else []
    return [*not_complete, *(job for job in jobs if job.pk not in free)]


def _finish_one_by_one(
    store: Store, jobs: Sequence[ScheduledJob], completions: Completions
) -> None:
    for job in jobs:
        error = _finish_single(store, job, completions)
        if error is not None:
            completions.refused.append((job, error))


def _finish_single(
    store: Store, job: ScheduledJob, completions: Completions
) -> DatabaseError | InterfaceError | None:
    """Record one completion, or return why the database refuses it."""
    for number in range(1, MAX_TRIES + 1):
        # The server may have dropped the connection for the size of what it was sent. If it is
        # away altogether, this raises.
        store.connection.close()
        store.connection.ensure_connection()
        try:
            _sort(store, [job], store.finish_all([job]), completions)
        except (DatabaseError, InterfaceError) as error:
            if number == MAX_TRIES or store.is_usable(store.connection.connection):
                return error
        else:
            return None
        time.sleep(PAUSE)
    return None


def _sort(
    store: Store,
    jobs: Sequence[ScheduledJob],
    not_complete: Sequence[ScheduledJob],
    completions: Completions,
) -> None:
    if not not_complete:
        completions.complete.extend(jobs)
        return
    held = running_leases(store, not_complete)
    missing = {job.pk for job in not_complete}
    completions.complete.extend(job for job in jobs if job.pk not in missing)
    for job in not_complete:
        is_locked = (job.pk, job.lease, job.worker) in held
        (completions.locked if is_locked else completions.lost).append(job)
