"""Take jobs off the calendar."""

from django_future.databases import database_of_jobs, jobs_database
from django_future.exceptions import NotCancellable
from django_future.models import ScheduledJob
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.store import store_for, transitions


def cancel_job(job: ScheduledJob, *, running: bool = False, reason: str = "") -> None:
    """Cancel `job`, which then never runs; one that is `running` is interrupted, if that is asked.

    The `reason` is kept with it.

    Raises `NotCancellable` if it has ended, or is running and that is not asked.
    """
    alias = jobs_database(instance=job)
    jobs = ScheduledJob.objects.using(alias).filter(pk=job.pk)
    cancelled = transitions.cancel(store_for(alias), jobs, running=running, reason=reason)
    job.refresh_from_db(using=alias, fields=["status", "finished_at", "error"])
    if not cancelled:
        remedy = "" if running else " A job that runs is cancelled by cancel(running=True)."
        raise NotCancellable(f"Job {job.pk} is {job.status}, not scheduled.{remedy}")


def cancel_jobs(queryset: ScheduledJobQuerySet, *, running: bool = False, reason: str = "") -> int:
    """Cancel the jobs of `queryset` that are scheduled, and return how many those were.

    With `running` also those that run, whose handlers are interrupted and their effects rolled
    back. Others stay as they are, and are not counted.
    """
    alias = database_of_jobs(queryset)
    return transitions.cancel(
        store_for(alias), queryset.using(alias), running=running, reason=reason
    )
