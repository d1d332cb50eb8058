"""Cancels jobs."""

from django_future.databases import database_of_jobs, jobs_database
from django_future.exceptions import NotCancellable
from django_future.models import ScheduledJob
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.scheduling.own_row import own_row, refresh
from django_future.store import store_for, transitions
from django_future.task_signals import send_all_finished


def cancel_job(job: ScheduledJob, *, running: bool = False, reason: str = "") -> None:
    """Cancel `job`. With `running`, also interrupt its handler if the job is running.

    The `reason` becomes its `error`.

    Raises `NotCancellable` if the job has ended, or is running and `running` is false, and
    `ScheduledJob.DoesNotExist` if it has no row.
    """
    alias = jobs_database(instance=job)
    row = own_row(job, alias)
    cancelled = _cancel(row, alias, running=running, reason=reason)
    refresh(job, row, ["status", "finished_at", "error"])
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
    return _cancel(queryset.using(alias), alias, running=running, reason=reason)


def _cancel(jobs: ScheduledJobQuerySet, alias: str, *, running: bool, reason: str) -> int:
    store = store_for(alias)
    return transitions.cancel(
        store, jobs, running=running, reason=reason, on_tasks=send_all_finished
    )
