"""Moves scheduled jobs to another time."""

from datetime import datetime

from django_future import clock
from django_future.databases import database_of_jobs, jobs_database
from django_future.exceptions import NotMovable
from django_future.models import ScheduledJob
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.scheduling.own_row import own_row, refresh
from django_future.status import Status
from django_future.store import store_for
from django_future.store.transitions import move
from django_future.when import When, parse_when

_TIMES = ["status", "scheduled_at", "first_due_at", "expires_at"]


def move_job(job: ScheduledJob, when: When) -> None:
    """Schedule `job` for another time, with as much time until it expires as before.

    A time that has passed means now, and a job that is due already keeps its place then.

    Raises `InvalidTime`, `NotMovable` if the job is not scheduled, and `ScheduledJob.DoesNotExist`
    if it has no row.
    """
    _move(job, parse_when(when, now=clock.now(), zone=clock.current_zone()))


def run_job_now(job: ScheduledJob) -> None:
    """Make `job` due now.

    Raises `NotMovable` if the job is not scheduled, and `ScheduledJob.DoesNotExist` if it has no
    row.
    """
    _move(job, store_for(jobs_database(instance=job)).now())


def run_jobs_now(queryset: ScheduledJobQuerySet) -> int:
    """Make the scheduled jobs of `queryset` due now, and return their number.

    Each has as much time until it expires as before. Those that are due already keep their place.
    Other jobs do not change.

    Raises `InvalidJobs`.
    """
    alias = database_of_jobs(queryset)
    store = store_for(alias)
    return move(store, queryset.using(alias), store.now())


def _move(job: ScheduledJob, at: datetime) -> None:
    alias = jobs_database(instance=job)
    row = own_row(job, alias)
    is_moved = move(store_for(alias), row, at)
    refresh(job, row, _TIMES)
    if not is_moved and job.status == Status.PARKED:
        raise NotMovable(
            f"Job {job.pk} is parked: its signature was not valid, so it does not run. If you "
            "trust what it calls, sign it with future_sign."
        )
    if not is_moved:
        raise NotMovable(
            f"Job {job.pk} is {job.status}. Only a scheduled job can be moved to another time. To "
            "run a copy of it, call reschedule()."
        )
