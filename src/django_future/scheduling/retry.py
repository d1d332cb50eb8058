"""Retries jobs by hand that failed, expired or were cancelled."""

from django_future.databases import database_of_jobs, jobs_database
from django_future.exceptions import NotRetryable
from django_future.models import ScheduledJob
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.scheduling.own_row import own_row, refresh
from django_future.status import Status
from django_future.store import store_for
from django_future.store.transitions import retry


def retry_job(job: ScheduledJob) -> None:
    """Schedule `job` again, due now.

    Raises `NotRetryable` unless it failed, expired or was cancelled, and
    `ScheduledJob.DoesNotExist` if it has no row.
    """
    alias = jobs_database(instance=job)
    row = own_row(job, alias)
    retried = retry_jobs(row)
    refresh(job, row, None)
    if not retried and job.status == Status.PARKED:
        raise NotRetryable(
            f"Job {job.pk} is parked: its signature was not valid, so it did not run. If you "
            "trust what it calls, sign it with future_sign."
        )
    if not retried:
        raise NotRetryable(
            f"Job {job.pk} is {job.status}. Only a job that failed, expired or was cancelled can "
            "be retried. To run a copy of it, call reschedule()."
        )


def retry_jobs(queryset: ScheduledJobQuerySet) -> int:
    """Retry the jobs of `queryset` that failed, expired or were cancelled; return their number.

    They become scheduled, due now. Each has as much time until it expires as before, and at least
    one more attempt. Other jobs do not change.

    Raises `InvalidJobs`.
    """
    alias = database_of_jobs(queryset)
    return retry(store_for(alias), queryset.using(alias))
