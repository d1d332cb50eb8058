"""The ends of a claimed job that are no completion, and what is kept of an attempt that failed."""

from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce

from django_future import clock
from django_future.models import JobAttempt, ScheduledJob
from django_future.status import Status
from django_future.store.base import Store
from django_future.store.completion import lease_lost
from django_future.store.contention import retry_on_contention

MAX_CLASS_NAME_LENGTH = 255


class Failure(NamedTuple):
    """An exception in words that every database takes: the name of its class, and its traceback."""

    exception: str
    traceback: str


@retry_on_contention
def fail(store: Store, job: ScheduledJob, failure: Failure) -> None:
    """Record that a job failed, and why.

    Raises `LeaseLost` if the job is no longer this worker's, as do the others here.
    """
    with transaction.atomic(using=store.alias):
        _end(store, job, Status.FAILED, failure.traceback)
        _keep(store, job, failure)


@retry_on_contention
def cancel_running(store: Store, job: ScheduledJob, reason: str) -> None:
    """Record that a running job is no longer wanted, and why."""
    _end(store, job, Status.CANCELLED, reason)


@retry_on_contention
def retry(store: Store, job: ScheduledJob, at: datetime, failure: Failure | None) -> None:
    """Schedule a running job again for the instant `at`; what failed, if it did, is kept."""
    changes: dict[str, Any] = {"status": Status.SCHEDULED, "scheduled_at": clock.to_row(at)}
    if failure is not None:
        changes["error"] = failure.traceback
    with transaction.atomic(using=store.alias):
        # Before the new time: MySQL assigns from left to right, and would read that.
        first_due_at = Coalesce(F("first_due_at"), F("scheduled_at"))
        _write(store, job, started_at=None, worker="", first_due_at=first_due_at, **changes)
        if failure is not None:
            job.finished_at = clock.to_row(store.now())
            _keep(store, job, failure)
    vars(job).pop("first_due_at", None)  # to be loaded again if somebody asks for it
    _show(job, finished_at=None, return_value=None, **changes)
    store.notify()


def has_deleted_itself(store: Store, job: ScheduledJob) -> bool:
    """Tell whether the open transaction has deleted the row of a job, which is held until then.

    To commit that transaction is then to record, with what it wrote, that the job has ended.
    """
    if store.jobs.filter(pk=job.pk).exists():
        return False
    if len(store.connection.atomic_blocks) > 1:
        return True  # in the transaction of a test, which others do not see
    # Another connection still sees the row as it was. It stays so until this transaction ends,
    # which has it locked; so the answer cannot be out of date.
    observer = store.connection.copy()
    try:
        with observer.cursor() as cursor:
            cursor.execute(
                """
                SELECT 1 FROM django_future_scheduledjob
                WHERE id = %s AND lease = %s AND worker = %s AND status = 'running'
                """,
                [job.pk, job.lease, job.worker],
            )
            return cursor.fetchone() is not None
    finally:
        observer.close()


def failures(store: Store, job: ScheduledJob) -> int:
    """Return how many attempts of a job have failed."""
    return JobAttempt.objects.using(store.alias).filter(job_id=job.pk).count()


def _end(store: Store, job: ScheduledJob, status: Status, error: str) -> None:
    changes = {"status": status, "finished_at": clock.to_row(store.now()), "error": error}
    _write(store, job, started_at=job.started_at, unique_key=None, **changes)
    _show(job, return_value=None, **changes)


def _write(store: Store, job: ScheduledJob, **changes: Any) -> None:
    if not store.held(job).update(**changes):
        raise lease_lost(job)


def _show(job: ScheduledJob, **changes: Any) -> None:
    for name, value in changes.items():
        setattr(job, name, value)


def _keep(store: Store, job: ScheduledJob, failure: Failure) -> None:
    finished_at: Any = job.finished_at
    JobAttempt.objects.using(store.alias).create(
        job_id=job.pk,
        number=job.attempts,
        worker=job.worker,
        started_at=job.started_at or finished_at,
        finished_at=finished_at,
        exception=failure.exception[:MAX_CLASS_NAME_LENGTH],
        traceback=failure.traceback,
    )
