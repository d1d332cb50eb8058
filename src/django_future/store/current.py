"""The running jobs and the next ones, in one statement."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from django_future.models import JobProgress
from django_future.models.fields import as_parameter, from_statement
from django_future.status import Status
from django_future.store.backlog import rows_by_index
from django_future.store.base import JOBS, Store

MAX_RUNNING = 300
MAX_PARKED = 100
MAX_NEXT = 200  # of each priority
MAX_PRIORITIES = 20  # only the next jobs of the highest priorities are read

_COLUMNS = (
    "id", "callable_name", "status", "queue_name", "priority", "worker", "scheduled_at",
    "started_at",
)  # fmt: skip
_PROGRESS = JobProgress._meta.db_table


class CurrentJob(NamedTuple):
    """A job that runs or waits, with its progress. Its times are aware."""

    id: int
    callable_name: str
    status: str
    queue_name: str
    priority: int
    worker: str
    scheduled_at: datetime
    started_at: datetime | None
    progress: JobProgress | None


class CurrentJobs(NamedTuple):
    """The running jobs, the newest first, and the next ones, the earliest first.

    There may be more running jobs unless `is_complete`. `next` is complete up to the time
    `next_until`; if that is None, it is complete. With `is_cut`, the jobs of lower priorities are
    missing from it. `parked` is the number of parked jobs, up to one more than `MAX_PARKED`.
    """

    running: list[CurrentJob]
    next: list[CurrentJob]
    is_complete: bool
    next_until: datetime | None
    is_cut: bool
    parked: int


def current_jobs(store: Store, priorities: Collection[int], at: datetime) -> CurrentJobs:
    """Return the running jobs with their progress, and the jobs that are due after `at`.

    Also count the parked jobs. `priorities` are those of the waiting jobs.
    """
    shown = sorted(priorities, reverse=True)[:MAX_PRIORITIES]
    values: list[object] = [MAX_RUNNING + 1, MAX_PARKED + 1]
    for priority in shown:
        values += priority, as_parameter(at, store.connection), MAX_NEXT
    rows = rows_by_index(store, _sql(store, len(shown)), values)
    found = [_job(store, *row) for row in rows]
    running = [job for job in found if job.status == Status.RUNNING]
    waiting = [job for job in found if job.status == Status.SCHEDULED]
    waiting.sort(key=lambda job: job.scheduled_at)
    times = [[job.scheduled_at for job in waiting if job.priority == one] for one in shown]
    cut = [of_priority[-1] for of_priority in times if len(of_priority) == MAX_NEXT]
    is_complete = len(running) <= MAX_RUNNING
    return CurrentJobs(
        running[:MAX_RUNNING],
        waiting,
        is_complete,
        next_until=min(cut, default=None),
        is_cut=len(shown) < len(priorities),
        parked=sum(job.status == Status.PARKED for job in found),
    )


def _sql(store: Store, priorities: int) -> str:
    """Return the statement for a number of priorities."""
    columns = ", ".join(_COLUMNS)
    of_status = store.index_hint.format("future_job_status")
    of_priority = store.index_hint.format("future_job_due")
    running, parked = (
        f"""
        SELECT {columns} FROM {JOBS} {of_status} WHERE status = '{status}'
        ORDER BY status, id DESC LIMIT %s
        """
        for status in (Status.RUNNING, Status.PARKED)
    )
    following = f"""
        SELECT {columns} FROM {JOBS} {of_priority}
        WHERE status = 'scheduled' AND priority = %s AND scheduled_at > %s
        ORDER BY priority DESC, scheduled_at, id LIMIT %s
    """
    parts = [running, parked, *[following] * priorities]
    union = " UNION ALL ".join(
        f"SELECT * FROM ({part}) AS part_{number}" for number, part in enumerate(parts)
    )
    return f"""
        SELECT job.*, progress.done, progress.total, progress.message FROM ({union}) AS job
        LEFT JOIN {_PROGRESS} AS progress ON progress.job_id = job.id
        ORDER BY job.id DESC
    """


def _job(store: Store, *row: Any) -> CurrentJob:
    *values, scheduled_at, started_at, done, total, message = row
    due_at = from_statement(scheduled_at, store.connection)
    progress = None if message is None else JobProgress(done=done, total=total, message=message)
    started_at = from_statement(started_at, store.connection)
    return CurrentJob._make([*values, due_at, started_at, progress])
