"""What handlers say of their own progress, written while their transactions are open."""

from collections.abc import Sequence
from itertools import groupby

from django.db import OperationalError

from django_future import clock
from django_future.models import JobProgress
from django_future.progress import MAX_LOG_BYTES, ProgressUpdate
from django_future.store.base import Store
from django_future.store.contention import write_transaction

BATCH = 500
WRITTEN = ["done", "total", "message", "log", "updated_at"]


def write(store: Store, said: Sequence[ProgressUpdate]) -> list[ProgressUpdate]:
    """Write what handlers have said, and return what to write later, since a rival was in the way.

    What is said of a job that is gone is forgotten. How far a job is, only its latest attempt says.
    """
    ordered = sorted(said, key=lambda one: (one.job_id, one.lease))
    left = []
    for start in range(0, len(ordered), BATCH):
        try:
            left += _write_batch(store, ordered[start : start + BATCH])
        except OperationalError as error:
            if not store.is_contention(error):
                raise
            # On SQLite the handler itself may be the rival, for hours.
            return left + ordered[start:]
    return left


def _write_batch(store: Store, said: Sequence[ProgressUpdate]) -> list[ProgressUpdate]:
    ids = {one.job_id for one in said}
    # Locks the jobs for the length of these statements, so that nobody deletes one meanwhile. A
    # rival that would finish or delete one waits; what a rival has locked is skipped, since it may
    # be a handler that wrote to its own job. On SQLite it is the database's write lock, for which
    # this waits once, as long as the connection does.
    with write_transaction(store):
        jobs = store.jobs.filter(pk__in=ids)
        known = set(jobs.values_list("pk", flat=True))
        has_weak_lock = store.connection.features.has_select_for_no_key_update
        free = jobs.select_for_update(skip_locked=True, no_key=has_weak_lock)
        leases = dict(free.values_list("pk", "lease"))
        _save(store, [one for one in said if one.job_id in leases], leases)
    return [one for one in said if one.job_id in known - leases.keys()]


def _save(store: Store, said: Sequence[ProgressUpdate], leases: dict[int, int]) -> None:
    all_reports = JobProgress.objects.using(store.alias)
    reports = all_reports.in_bulk(list(leases))
    now = clock.to_row(store.now())
    for job_id, attempts in groupby(said, key=lambda one: one.job_id):
        report = reports.setdefault(job_id, JobProgress(job_id=job_id))
        report.updated_at = now
        for attempt in attempts:
            report.log = _kept(report.log, *attempt.lines)
            if attempt.lease == leases[job_id]:
                vars(report).update(vars(attempt.progress))
    has_target = store.connection.features.supports_update_conflicts_with_target
    all_reports.bulk_create(
        reports.values(),
        update_conflicts=True,
        update_fields=WRITTEN,
        unique_fields=["job"] if has_target else None,
    )


def _kept(*lines: str) -> str:
    """Return the end of a log with these lines, each of them whole."""
    log = "\n".join(filter(None, lines)).encode()
    if len(log) > MAX_LOG_BYTES:
        log = log[-MAX_LOG_BYTES:].partition(b"\n")[2]
    return log.decode()
