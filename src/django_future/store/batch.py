"""Completion batches: completions of jobs that wrote nothing, recorded together."""

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from django.db import DatabaseError, InterfaceError, OperationalError, transaction

from django_future.models import ScheduledJob
from django_future.store.base import Store
from django_future.store.contention import retry_on_contention
from django_future.store.leases import running_leases

MAX_BATCH_BYTES = 2**20  # of return values; a server limits the size of a statement
MAX_TRIES = 3  # for one job, before its completion counts as refused
RETRY_INTERVAL_SECONDS = 0.1


class Completions(NamedTuple):
    """The results of a completion batch."""

    complete: list[ScheduledJob]
    lost: list[ScheduledJob]
    locked: list[ScheduledJob]
    refused: list[tuple[ScheduledJob, Exception]]


def complete_batch(store: Store, jobs: Sequence[ScheduledJob]) -> Completions:
    """Record that `jobs` are complete.

    A job whose row another transaction has locked does not block the others. If the database
    refuses a batch, each completion is recorded by itself, so only the refused ones fail. Raises
    a database error only if the database cannot be reached.
    """
    completions = Completions([], [], [], [])
    for batch in _batches(jobs):
        try:
            _add_results(store, batch, store.finish_all(batch), completions)
        except (DatabaseError, InterfaceError) as error:
            if store.connection.in_atomic_block:
                raise
            if isinstance(error, OperationalError) and store.is_contention(error):
                _add_results(store, batch, _finish_unlocked(store, batch), completions)
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
    # Locks the rows that no other transaction has locked, until this one commits.
    with transaction.atomic(using=store.alias):
        rows = store.jobs.filter(pk__in=[job.pk for job in jobs])
        unlocked_ids = set(rows.select_for_update(skip_locked=True).values_list("pk", flat=True))
        unlocked = [job for job in jobs if job.pk in unlocked_ids]
        not_complete = store.finish_all(unlocked) if unlocked else []
    return [*not_complete, *(job for job in jobs if job.pk not in unlocked_ids)]


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
    """Record one completion; return the error if the database refuses it."""
    for number in range(1, MAX_TRIES + 1):
        # The server may have closed the connection because a statement was too large. If the
        # server cannot be reached, this raises an error.
        store.connection.close()
        store.connection.ensure_connection()
        try:
            _add_results(store, [job], store.finish_all([job]), completions)
        except (DatabaseError, InterfaceError) as error:
            if isinstance(error, OperationalError) and store.is_contention(error):
                completions.locked.append(job)
                return None
            if number == MAX_TRIES or store.is_usable(store.connection.connection):
                return error
        else:
            return None
        time.sleep(RETRY_INTERVAL_SECONDS)
    return None


def _add_results(
    store: Store,
    jobs: Sequence[ScheduledJob],
    rest: Sequence[ScheduledJob],
    completions: Completions,
) -> None:
    """Add `jobs` to the completions; `rest` has those that were not recorded."""
    if not rest:
        completions.complete.extend(jobs)
        return
    held = running_leases(store, rest)
    missing = {job.pk for job in rest}
    completions.complete.extend(job for job in jobs if job.pk not in missing)
    for job in rest:
        is_locked = (job.pk, job.lease, job.worker) in held
        (completions.locked if is_locked else completions.lost).append(job)
