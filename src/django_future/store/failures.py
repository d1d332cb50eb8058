"""Failures in groups: failed jobs of the same callable with the same kind of error."""

from dataclasses import dataclass
from datetime import datetime

from django_future.models.fields import from_statement
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.status import Status
from django_future.store.backlog import rows_by_index
from django_future.store.base import JOBS, Store
from django_future.store.failure_scan import count_limit, newest_groups

MAX_COUNTED = 10_000  # failed jobs, of all groups that are found
MAX_GROUPS = 50
MAX_COMPLETE = 5000  # the newest complete jobs, in which those of a callable are counted


@dataclass(frozen=True)
class FailureGroup:
    """Failed jobs of one callable with one kind of error that are not dealt with.

    The count is a lower bound unless `is_exact`. The times are those at which the jobs with the
    lowest and the highest id failed, the earlier one first. `error_end` is the end of the error of
    the job with the highest id.
    """

    callable_name: str
    error_kind: str
    count: int
    is_exact: bool
    first_at: datetime | None
    last_at: datetime | None
    last_id: int
    error_end: str


def groups(
    store: Store, limit: int = MAX_GROUPS, max_counted: int = MAX_COUNTED
) -> list[FailureGroup]:
    """Return the groups of failures, the one with the newest failed job first.

    Counts up to the same number of jobs in each group, so that a large group hides no other. This
    is one statement, and one more on MySQL. Counting takes most of the time.
    """
    rows = newest_groups(store, limit, max_counted)
    most = count_limit(len(rows), max_counted)
    found = []
    for name, kind, count, _, last_id, *failed_at, error_end in rows:
        times = [from_statement(at, store.connection) for at in failed_at]
        # A job with a lower id may have failed later, for example after a retry.
        first_at, last_at = times if None in times else sorted(filter(None, times))
        number, is_exact = min(count, most), count <= most
        found.append(
            FailureGroup(name, kind, number, is_exact, first_at, last_at, last_id, error_end or "")
        )
    return found


def open_failures(jobs: ScheduledJobQuerySet) -> ScheduledJobQuerySet:
    """Return those of `jobs` that have failed and are not dealt with."""
    return jobs.filter(status=Status.FAILED, failure_note=None)


def jobs_of_all(store: Store) -> ScheduledJobQuerySet:
    """Return the jobs of all groups, in an order for which the database reads few other jobs."""
    # For the order of the ids, PostgreSQL may read all jobs. Other databases do not use the index:
    # SQLite because the status is a parameter, MySQL because there it contains all jobs.
    is_ordered = store.chooses_index_by_order
    index = ("failure_note_id", "error_kind", "callable_name") if is_ordered else ()
    return open_failures(store.jobs).order_by(*index, "pk")


def jobs_of(store: Store, callable_name: str, error_kind: str) -> ScheduledJobQuerySet:
    """Return the jobs of a group."""
    return jobs_of_all(store).filter(callable_name=callable_name, error_kind=error_kind)


def recently_complete(store: Store) -> dict[str, int]:
    """Return how many of the newest `MAX_COMPLETE` complete jobs each callable has."""
    found = rows_by_index(
        store,
        f"""
        SELECT callable_name, COUNT(*) FROM (
            SELECT callable_name FROM {JOBS} {store.index_hint.format("future_job_status")}
            WHERE status = 'complete' ORDER BY status, id DESC LIMIT {MAX_COMPLETE}
        ) AS newest GROUP BY callable_name
        """,
    )
    return dict(found)
