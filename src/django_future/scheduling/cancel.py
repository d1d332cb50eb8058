"""Cancels jobs."""

from django_future.databases import database_of_jobs, jobs_database
from django_future.exceptions import NotCancellable
from django_future.models import ScheduledJob
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.store import store_for, transitions


def cancel_job(job: ScheduledJob, *, running: bool = False, reason: str = "") -> None:
    """Cancel `job`. With `running`, also interrupt its handler if the job is running.

    The `reason` becomes its `error`.

    Raises `NotCancellable` if the job has ended, or is running and `running` is false.
    """
    alias = jobs_database(instance=job)
    jobs = ScheduledJob.objects.using(alias).filter(pk=job.pk)
    cancelled = transitions.cancel(store_for(alias), jobs, running=running, reason=reason)
    job.refresh_from_db(using=alias, fields=["status", "finished_at", "error"])
    if not cancelled:
        remedy = "" if running else " To cancel a running job, call cancel(running=True)."
        raise NotCancellable(f"Job {job.pk} is {job.status}, not scheduled.{remedy}")


def cancel_jobs(queryset: ScheduledJobQuerySet, *, running: bool = False, reason: str = "") -> int:
    """Cancel the scheduled and parked jobs of `queryset`, and return their number.

    With `running`, also cancel the running ones: their handlers are interrupted, and what they
    wrote is rolled back. The `reason` becomes the `error` of each job. Other jobs do not change.

    Raises `InvalidJobs`.
    """
    alias = database_of_jobs(queryset)
    return transitions.cancel(
        store_for(alias), queryset.using(alias), running=running, reason=reason
    )
