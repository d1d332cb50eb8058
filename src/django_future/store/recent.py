"""The jobs that run, ended recently, are overdue or are parked, counted up to a limit."""

from collections import Counter
from datetime import datetime
from typing import Any, NamedTuple

from django.db import DatabaseError, connections, transaction

from django_future.models import ScheduledJob
from django_future.models.fields import as_parameter
from django_future.status import Status
from django_future.store.backlog import MAX_COUNTED, force_index_plan
from django_future.store.base import JOBS, Store

MAX_LISTED = 10
SHOWN = ("callable_name", "content_type_id", "object_id", "attempts", "max_attempts", "error",
         "finished_at", "started_at", "status", "worker")  # fmt: skip


class Recent(NamedTuple):
    """How many jobs there are, and the latest of them, without failures that are dealt with.

    The numbers are lower bounds unless `is_exact`.
    """

    number: int
    is_exact: bool
    latest: list[ScheduledJob]
    dealt_with: int = 0


def ended_since(store: Store, status: Status, since: datetime) -> Recent:
    """Return the jobs that ended in `status` at `since` or later."""
    condition = "status = %s AND finished_at >= %s"
    values = [str(status), as_parameter(since, store.connection)]
    return _recent(store, "future_job_finished", condition, values, "finished_at DESC")


def failed_since(store: Store, since: datetime) -> Recent:
    """Return the jobs that failed at `since` or later, and how many of these are dealt with."""
    # One condition, so that only jobs that are counted are read, however many are dealt with.
    hint = store.index_hint.format("future_job_finished")
    newest = (
        f"SELECT id, failure_note_id, finished_at FROM {JOBS} {hint} "
        "WHERE status = 'failed' AND finished_at >= %s ORDER BY finished_at DESC LIMIT %s"
    )
    values = [as_parameter(since, store.connection), MAX_COUNTED + 1]
    with force_index_plan(store), store.connection.cursor() as cursor:
        counted = f"SELECT COUNT(*), COUNT(failure_note_id) FROM ({newest}) AS counted"
        cursor.execute(counted, values)
        count, dealt_with = cursor.fetchone()
        is_open = "failure_note_id IS NULL ORDER BY finished_at DESC LIMIT %s"
        cursor.execute(
            f"SELECT id FROM ({newest}) AS newest WHERE {is_open}", [*values, MAX_LISTED]
        )
        ids = [pk for (pk,) in cursor.fetchall()]
    number = min(count - dealt_with, MAX_COUNTED)
    return Recent(number, count <= MAX_COUNTED, load_jobs(store, ids), min(dealt_with, MAX_COUNTED))


def overdue(store: Store, at: datetime) -> Recent:
    """Return the jobs that still wait although they expired at `at` or before."""
    condition = "status = 'scheduled' AND expires_at <= %s"
    values = [as_parameter(at, store.connection)]
    return _recent(store, "future_job_expires", condition, values, "expires_at")


def parked(store: Store) -> Recent:
    """Return the parked jobs."""
    return _recent(store, "future_job_status", "status = %s", [str(Status.PARKED)], "id DESC")


def running(store: Store) -> Recent:
    """Return the running jobs, also those that a worker has claimed and not started."""
    return _recent(store, "future_job_status", "status = %s", [str(Status.RUNNING)], "id DESC")


def running_by_worker(store: Store) -> Counter[str]:
    """Return how many of the running jobs each worker has claimed."""
    hint = store.index_hint.format("future_job_status")
    rows = f"SELECT worker FROM {JOBS} {hint} WHERE status = %s LIMIT %s"
    with force_index_plan(store), store.connection.cursor() as cursor:
        counted = f"SELECT worker, COUNT(*) FROM ({rows}) AS counted GROUP BY worker"
        cursor.execute(counted, [str(Status.RUNNING), MAX_COUNTED])
        return Counter(dict(cursor.fetchall()))


def _recent(store: Store, index: str, condition: str, values: list[Any], order: str) -> Recent:
    table = f"FROM {JOBS} {store.index_hint.format(index)} WHERE {condition}"
    table = f"{table} ORDER BY {order} LIMIT %s"
    with force_index_plan(store), store.connection.cursor() as cursor:
        counted = f"SELECT COUNT(*) FROM (SELECT 1 AS one {table}) AS counted"
        cursor.execute(counted, [*values, MAX_COUNTED + 1])
        count = cursor.fetchone()[0]
        cursor.execute(f"SELECT id {table}", [*values, MAX_LISTED])
        ids = [pk for (pk,) in cursor.fetchall()]
    return Recent(min(count, MAX_COUNTED), count <= MAX_COUNTED, load_jobs(store, ids))


def load_jobs(store: Store, ids: list[int]) -> list[ScheduledJob]:
    """Return jobs by their ids, without deleted jobs and jobs that the driver cannot read."""
    found: list[ScheduledJob] = []
    for pk in ids:
        try:
            with transaction.atomic(using=store.alias):
                found += store.jobs.filter(pk=pk).only(*SHOWN)
        except (DatabaseError, ValueError):
            connections[store.alias].close_if_unusable_or_obsolete()
    return found
