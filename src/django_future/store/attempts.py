"""The attempts of a job that have ended without success, one row for each.

The rows of a task are also those of attempts that did not fail: its result names the worker of each
attempt.
"""

from typing import Any, NamedTuple

from django.db.models import Count, OuterRef, Subquery, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce

from django_future.models import JobAttempt, ScheduledJob
from django_future.status import Status
from django_future.store.base import Store

MAX_CLASS_NAME_LENGTH = 255

# The exceptions of attempts that did not fail.
RETRIED, WORKER_LOST = "django_future.retries.Retry", "django_future.exceptions.WorkerLost"
CANCELLED = "django_future.exceptions.JobCancelled"
NOT_FAILED = (RETRIED, WORKER_LOST, CANCELLED)


class Failure(NamedTuple):
    """An exception as text that each database accepts: its class, its traceback and its kind."""

    exception: str
    traceback: str
    kind: str = ""


def record(store: Store, job: ScheduledJob, failure: Failure) -> None:
    """Record the attempt of a job that has ended, in the transaction that records its end."""
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


def record_if_cancelled(store: Store, job: ScheduledJob) -> None:
    """Record the attempt of a task that was cancelled while it ran, before a retry clears it."""
    is_attempt = job.started_at is not None and job.worker
    if job.task_backend is not None and job.status == Status.CANCELLED and is_attempt:
        record(store, job, Failure(CANCELLED, f"{CANCELLED}: a retry followed"))


def is_recorded(store: Store, job: ScheduledJob) -> bool:
    """Return whether the attempt of a job that ended at its `finished_at` is recorded."""
    finished_at: Any = job.finished_at
    attempts = JobAttempt.objects.using(store.alias).filter(job_id=job.pk, number=job.attempts)
    return attempts.filter(finished_at=finished_at).exists()


def failures(store: Store, job: ScheduledJob) -> int:
    """Return how many attempts of a job have failed."""
    attempts = JobAttempt.objects.using(store.alias).filter(job_id=job.pk)
    return attempts.exclude(exception__in=NOT_FAILED).count()


def failures_of_row() -> Combinable:
    """Return the expression for the number of failed attempts of each job of a queryset."""
    attempts = JobAttempt.objects.filter(job=OuterRef("pk")).exclude(exception__in=NOT_FAILED)
    failed = attempts.order_by().values("job")
    return Coalesce(Subquery(failed.values(count=Count("pk"))), Value(0))
