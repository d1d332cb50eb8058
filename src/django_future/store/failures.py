"""Failures in groups: failed jobs of the same callable with the same kind of error."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models.functions import Right

from django_future import clock
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.status import Status
from django_future.store.backlog import force_index_plan
from django_future.store.base import JOBS, Store

MAX_COUNTED = 50_000  # failed jobs of all groups
MAX_GROUPS = 100
MAX_COMPLETE = 5000  # the newest complete jobs, in which those of a callable are counted
MAX_ERROR_END = 1000  # characters; the last line of an error is in them

# On MySQL, the index of failures contains the jobs of each status, and only one of status excludes
# those that have not failed.
_ORDERS = {
    "mysql": ("future_job_status", "id DESC"),
    "sqlite": ("future_job_failures", "error_kind, callable_name, id"),
    "postgresql": ("future_job_failures", "failure_note_id, error_kind, callable_name, id"),
}


@dataclass(frozen=True)
class FailureGroup:
    """Failed jobs of one callable with one kind of error that are not dealt with.

    The count is a lower bound unless `is_exact`. The times are those at which the jobs with the
    lowest and the highest id failed. `error_end` is the end of the error of the latter.
    """

    callable_name: str
    error_kind: str
    count: int
    is_exact: bool
    first_at: datetime | None
    last_at: datetime | None
    last_id: int
    error_end: str


def groups(store: Store, limit: int = MAX_GROUPS) -> list[FailureGroup]:
    """Return the largest groups of failures, the largest first."""
    rows = _counted(store)
    is_exact = sum(row[2] for row in rows) <= MAX_COUNTED
    largest = sorted(rows, key=lambda row: (-row[2], -row[4]))[:limit]
    ids = {pk for row in largest for pk in row[3:5]}
    found = store.jobs.filter(pk__in=ids).annotate(error_end=Right("error", MAX_ERROR_END))
    jobs: dict[int, Any] = {
        row["pk"]: row for row in found.values("pk", "finished_at", "error_end")
    }
    return [
        FailureGroup(
            name,
            kind,
            count,
            is_exact,
            _failed_at(jobs.get(first_id)),
            _failed_at(jobs.get(last_id)),
            last_id,
            jobs[last_id]["error_end"] if last_id in jobs else "",
        )
        for name, kind, count, first_id, last_id in largest
    ]


def open_failures(jobs: ScheduledJobQuerySet) -> ScheduledJobQuerySet:
    """Return those of `jobs` that have failed and are not dealt with."""
    return jobs.filter(status=Status.FAILED, failure_note=None)


def jobs_of(store: Store, callable_name: str, error_kind: str) -> ScheduledJobQuerySet:
    """Return the jobs of a group, in an order that the index of failures has."""
    jobs = open_failures(store.jobs).filter(callable_name=callable_name, error_kind=error_kind)
    return jobs.order_by("pk")


def recently_complete(store: Store) -> dict[str, int]:
    """Return how many of the newest `MAX_COMPLETE` complete jobs each callable has."""
    with force_index_plan(store), store.connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT callable_name, COUNT(*) FROM (
                SELECT callable_name FROM {JOBS} {store.index_hint.format("future_job_status")}
                WHERE status = 'complete' ORDER BY status, id DESC LIMIT %s
            ) AS newest GROUP BY callable_name
            """,
            [MAX_COMPLETE],
        )
        return dict(cursor.fetchall())


def _counted(store: Store) -> list[tuple[str, str, int, int, int]]:
    index, order = _ORDERS[store.connection.vendor]
    with force_index_plan(store), store.connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT callable_name, error_kind, COUNT(*), MIN(id), MAX(id) FROM (
                SELECT callable_name, error_kind, id FROM {JOBS} {store.index_hint.format(index)}
                WHERE status = 'failed' AND failure_note_id IS NULL
                ORDER BY {order} LIMIT %s
            ) AS failures GROUP BY callable_name, error_kind
            """,
            [MAX_COUNTED + 1],
        )
        return [tuple(row) for row in cursor.fetchall()]


def _failed_at(row: dict[str, Any] | None) -> datetime | None:
    return clock.from_row(row["finished_at"]) if row and row["finished_at"] else None
