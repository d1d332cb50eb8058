"""Put jobs that have ended without success back on the calendar."""

from django_future.databases import database_of_jobs, jobs_database
from django_future.exceptions import NotRetryable
from django_future.models import ScheduledJob
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.status import Status
from django_future.store import store_for
from django_future.store.transitions import retry


def retry_job(job: ScheduledJob) -> None:
    """Put `job`, which failed, expired or was cancelled, back on the calendar, due now.

    Raises `NotRetryable` if it is scheduled, running or complete.
    """
    alias = jobs_database(instance=job)
    retried = retry_jobs(ScheduledJob.objects.using(alias).filter(pk=job.pk))
    job.refresh_from_db(using=alias)
    if not retried and job.status == Status.PARKED:
        raise NotRetryable(
            f"Job {job.pk} is parked: its signature does not hold, so it would not run. If you "
            "vouch for what it calls, sign it with future_sign."
        )
    if not retried:
        raise NotRetryable(
            f"Job {job.pk} is {job.status}. Only a job that failed, expired or was cancelled can "
            "be retried. To run one like it, reschedule it."
        )


def retry_jobs(queryset: ScheduledJobQuerySet) -> int:
    """Put the jobs of `queryset` that failed, expired or were cancelled back, due now.

    Each has as long until it expires as it had before, and at least one more attempt. Returns how
    many those were; the others stay as they are.
    """
    alias = database_of_jobs(queryset)
    return retry(store_for(alias), queryset.using(alias))
