"""The running jobs and the next ones, in one statement."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from django_future.models import JobProgress, ScheduledJob
from django_future.models.fields import as_parameter
from django_future.status import Status
from django_future.store.backlog import force_index_plan
from django_future.store.base import JOBS, Store

MAX_RUNNING = 300
MAX_NEXT = 200  # of each priority
MAX_PRIORITIES = 20  # the highest, whose next jobs are read

_COLUMNS = ", ".join(
    f"{JOBS}.{name}"
    for name in ("id", "callable_name", "content_type_id", "object_id", "status", "queue_name",
                 "priority", "scheduled_at", "started_at", "worker")
)  # fmt: skip
_PROGRESS = JobProgress._meta.db_table


class CurrentJobs(NamedTuple):
    """The running jobs, the newest first, and the next ones, the earliest first.

    There may be more running jobs unless `is_complete`. The next ones are complete up to the time
    `next_until`; without it they are all that wait for a later time.
    """

    running: list[ScheduledJob]
    next: list[ScheduledJob]
    is_complete: bool
    next_until: datetime | None


def current_jobs(store: Store, priorities: Collection[int], at: datetime) -> CurrentJobs:
    """Return the running jobs with their progress, and those that are due after `at`.

    `priorities` are those of the waiting jobs. Each job has the values `done`, `total` and
    `message` of its progress.
    """
    shown = sorted(priorities, reverse=True)[:MAX_PRIORITIES]
    values: list[object] = [MAX_RUNNING + 1]
    for priority in shown:
        values += priority, as_parameter(at, store.connection), MAX_NEXT
    with force_index_plan(store):
        found = list(store.jobs.raw(_sql(store, len(shown)), values))
    running = [job for job in found if job.status == Status.RUNNING]
    waiting = sorted(
        (job for job in found if job.status == Status.SCHEDULED), key=lambda job: job.scheduled_at
    )
    cut = [
        of_priority[-1].scheduled_at
        for priority in shown
        if len(of_priority := [job for job in waiting if job.priority == priority]) == MAX_NEXT
    ]
    is_complete = len(running) <= MAX_RUNNING
    return CurrentJobs(running[:MAX_RUNNING], waiting, is_complete, min(cut, default=None))


def _sql(store: Store, priorities: int) -> str:
    """Return the statement for a number of priorities."""
    of_status = store.index_hint.format("future_job_status")
    of_priority = store.index_hint.format("future_job_due")
    running = f"""
        SELECT {_COLUMNS} FROM {JOBS} {of_status} WHERE status = 'running'
        ORDER BY status, id DESC LIMIT %s
    """
    following = f"""
        SELECT {_COLUMNS} FROM {JOBS} {of_priority}
        WHERE status = 'scheduled' AND priority = %s AND scheduled_at > %s
        ORDER BY priority DESC, scheduled_at, id LIMIT %s
    """
    parts = [running, *[following] * priorities]
    union = " UNION ALL ".join(
        f"SELECT * FROM ({part}) AS part_{number}" for number, part in enumerate(parts)
    )
    return f"""
        SELECT job.*, progress.done, progress.total, progress.message FROM ({union}) AS job
        LEFT JOIN {_PROGRESS} AS progress ON progress.job_id = job.id
    """
