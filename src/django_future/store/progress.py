"""Writes the progress and the logs of jobs while the transactions of their handlers are open."""

from collections.abc import Sequence
from itertools import groupby

from django.db import OperationalError

from django_future import clock
from django_future.models import JobProgress
from django_future.progress import MAX_LOG_BYTES, ProgressUpdate
from django_future.store.base import Store
from django_future.store.contention import write_transaction

BATCH_SIZE = 500  # updates
UPDATE_FIELDS = ["done", "total", "message", "log", "updated_at"]


def write(store: Store, updates: list[ProgressUpdate]) -> None:
    """Write `updates`, and remove them from the list, except those whose job a rival has locked.

    After an error, the list has what is not written. Drops the updates of deleted jobs. Only the
    latest attempt of a job changes its progress; each attempt adds to its log.
    """
    updates.sort(key=lambda update: (update.job_id, update.lease))
    locked: list[ProgressUpdate] = []
    try:
        while updates:
            locked += _write_batch(store, updates[:BATCH_SIZE])
            del updates[:BATCH_SIZE]
    except OperationalError as error:
        # On SQLite, the rival may be the handler itself, for hours.
        if not store.is_contention(error):
            raise
    finally:
        updates[:0] = locked


def _write_batch(store: Store, updates: Sequence[ProgressUpdate]) -> list[ProgressUpdate]:
    ids = {update.job_id for update in updates}
    # Locks the jobs until the transaction commits, so that no rival deletes one of them. A rival
    # that finishes or deletes one of these jobs waits. Rows that a rival has locked are skipped,
    # because the rival may be a handler that wrote to its own job. On SQLite this is the database's
    # write lock, and the wait ends with the connection's timeout.
    with write_transaction(store):
        jobs = store.jobs.filter(pk__in=ids)
        existing = set(jobs.values_list("pk", flat=True))
        has_weak_lock = store.connection.features.has_select_for_no_key_update
        unlocked = jobs.select_for_update(skip_locked=True, no_key=has_weak_lock)
        leases = dict(unlocked.values_list("pk", "lease"))
        _save(store, [update for update in updates if update.job_id in leases], leases)
    return [update for update in updates if update.job_id in existing - leases.keys()]


def _save(store: Store, updates: Sequence[ProgressUpdate], leases: dict[int, int]) -> None:
    manager = JobProgress.objects.using(store.alias)
    rows = manager.in_bulk(list(leases))
    now = clock.to_row(store.now())
    for job_id, attempts in groupby(updates, key=lambda update: update.job_id):
        row = rows.setdefault(job_id, JobProgress(job_id=job_id))
        written_at, row.updated_at = vars(row).get("updated_at"), now
        for attempt in attempts:
            # The last try may have committed though its answer was lost.
            attempt.begin_try(now, written_at)
            row.log = _joined(row.log, *attempt.lines)
            if attempt.lease == leases[job_id]:
                vars(row).update(vars(attempt.progress))
    has_target = store.connection.features.supports_update_conflicts_with_target
    manager.bulk_create(
        rows.values(),
        update_conflicts=True,
        update_fields=UPDATE_FIELDS,
        unique_fields=["job"] if has_target else None,
    )


def _joined(*lines: str) -> str:
    """Return a log of these lines; if it is too long, without its first lines."""
    log = "\n".join(filter(None, lines)).encode()
    if len(log) > MAX_LOG_BYTES:
        log = log[-MAX_LOG_BYTES:].partition(b"\n")[2]
    return log.decode()
