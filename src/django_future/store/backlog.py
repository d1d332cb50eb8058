"""How many jobs wait in a queue, counted in its index up to a limit."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from django.db import transaction

from django_future import clock
from django_future.models import ScheduledJob
from django_future.models.fields import as_parameter
from django_future.options import MAX_PRIORITY
from django_future.store.base import JOBS, Store
from django_future.store.selection import Selection

MAX_COUNTED = 10_000  # jobs of a queue
MAX_PRIORITIES = 50  # of a queue, in which due jobs are counted
MAX_QUEUES = 100

INDEX = "future_job_queue"
ORDER = "priority DESC, scheduled_at, id"


class Backlog(NamedTuple):
    """How many jobs of one queue wait, and how many of them are due.

    The numbers are lower bounds unless `is_exact`. `oldest_at` is the time of the first due job.
    """

    queue_name: str
    waiting: int
    due: int
    oldest_at: datetime | None
    is_exact: bool


class Before(NamedTuple):
    """How many due jobs start before a job. The number is a lower bound unless `is_exact`."""

    number: int
    is_exact: bool


def jobs_before(store: Store, job: ScheduledJob, at: datetime) -> Before:
    """Return how many jobs of the queue of a due `job` are due at `at` and start before it.

    This is one statement, which reads up to `MAX_COUNTED` jobs of its priority, and as many of
    higher priorities.
    """
    table, order = _of_queue(store), _counting_order(store)
    # Not "OR", which would keep a server from reading just the beginning of the priority.
    same = "AND priority = %s AND scheduled_at <= %s AND NOT (scheduled_at = %s AND id >= %s)"
    due_at = as_parameter(clock.from_row(job.scheduled_at), store.connection)
    now = as_parameter(at, store.connection)
    with store.connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT same.number, higher.due, higher.number FROM
            (SELECT COUNT(*) AS number FROM
                (SELECT 1 AS one {table} {same} {order} LIMIT %s) AS counted) AS same
            CROSS JOIN
            (SELECT COUNT(*) AS number, COUNT(CASE WHEN scheduled_at <= %s THEN 1 END) AS due FROM
                (SELECT scheduled_at {table} AND priority > %s {order} LIMIT %s) AS counted)
                AS higher
            """,
            [
                job.queue_name, job.priority, due_at, due_at, job.pk, MAX_COUNTED + 1,
                now, job.queue_name, job.priority, MAX_COUNTED + 1,
            ],
        )  # fmt: skip
        same_number, due, higher_number = map(int, cursor.fetchone())
    is_exact = max(same_number, higher_number) <= MAX_COUNTED
    return Before(min(same_number, MAX_COUNTED) + min(due, MAX_COUNTED), is_exact)


def backlogs(store: Store, selection: Selection, at: datetime) -> list[Backlog]:
    """Return the backlogs at `at` of the queues of a selection, including paused queues.

    Leaves out empty queues, and all queues after the first hundred names.
    """
    with force_index_plan(store):
        names = list(islice(_names(store, selection), MAX_QUEUES))
    found = (backlog_of(store, name, at) for name in names)
    return [backlog for backlog in found if backlog.waiting]


def backlog_of(store: Store, queue_name: str, at: datetime) -> Backlog:
    """Return the backlog of one queue at `at`.

    Expired jobs count as waiting until their status is `expired`.
    """
    with force_index_plan(store):
        waiting = _count(store, queue_name, "", [], MAX_COUNTED + 1)
        due, oldest_at, is_complete = _due(store, queue_name, at)
    is_exact = is_complete and max(waiting, due) <= MAX_COUNTED
    return Backlog(
        queue_name, min(waiting, MAX_COUNTED), min(due, MAX_COUNTED), oldest_at, is_exact
    )


def priorities_of(store: Store, queue_name: str) -> frozenset[int]:
    """Return the highest priorities of the waiting jobs of a queue, at most `MAX_PRIORITIES`."""
    return frozenset(priority for priority, _ in islice(_heads(store, queue_name), MAX_PRIORITIES))


def _names(store: Store, selection: Selection) -> Iterator[str]:
    names = iter(selection.queues) if selection.queues else store.due_query.waiting_queues()
    return (name for name in names if name not in selection.excluded_queues)


def _due(store: Store, queue_name: str, at: datetime) -> tuple[int, datetime | None, bool]:
    """Return how many jobs are due, the time of the first, and whether no priority was skipped.

    Due jobs come first in each priority, so future jobs are not read.
    """
    due, oldest_at = 0, None
    heads = list(islice(_heads(store, queue_name), MAX_PRIORITIES + 1))
    for priority, first_at in heads[:MAX_PRIORITIES]:
        if first_at > at:
            continue
        oldest_at = first_at if oldest_at is None else min(oldest_at, first_at)
        condition = "AND priority = %s AND scheduled_at <= %s"
        values = [priority, as_parameter(at, store.connection)]
        due += _count(store, queue_name, condition, values, MAX_COUNTED + 1 - due)
        if due > MAX_COUNTED:
            break
    return due, oldest_at, len(heads) <= MAX_PRIORITIES


def _heads(store: Store, queue_name: str) -> Iterator[tuple[int, datetime]]:
    below = MAX_PRIORITY + 1
    while True:
        [*first] = store.jobs.raw(
            f"SELECT id, priority, scheduled_at {_of_queue(store)} AND priority < %s "
            f"ORDER BY {_order(store)} LIMIT 1",
            [queue_name, below],
        )
        if not first:
            return
        below = first[0].priority
        yield below, clock.from_row(first[0].scheduled_at)


def _count(store: Store, queue_name: str, condition: str, values: list[Any], limit: int) -> int:
    if limit <= 0:
        return 0
    with store.connection.cursor() as cursor:
        cursor.execute(
            f"SELECT COUNT(*) FROM (SELECT 1 AS one {_of_queue(store)} {condition} "
            f"{_counting_order(store)} LIMIT %s) AS counted",
            [queue_name, *values, limit],
        )
        return int(cursor.fetchone()[0])


def _of_queue(store: Store) -> str:
    # With an array of one name, PostgreSQL keeps the queue in the order. Otherwise it drops the
    # queue from the order, and may choose the index without queues.
    name = "ANY(ARRAY[%s]::varchar[])" if store.chooses_index_by_order else "%s"
    hint = store.index_hint.format(INDEX)
    return f"FROM {JOBS} {hint} WHERE status = 'scheduled' AND queue_name = {name}"


def _order(store: Store) -> str:
    return f"queue_name, {ORDER}" if store.chooses_index_by_order else ORDER


def _counting_order(store: Store) -> str:
    # Where the index is named, an order may make the server sort all jobs before it counts them.
    return f"ORDER BY {_order(store)}" if store.chooses_index_by_order else ""


@contextmanager
def force_index_plan(store: Store) -> Iterator[None]:
    """Make the planner use the index, except in a transaction of the caller.

    Such a transaction would keep the settings until its end.
    """
    if not store.plan_settings or store.connection.in_atomic_block:
        yield
        return
    with transaction.atomic(using=store.alias):
        with store.connection.cursor() as cursor:
            cursor.execute(store.plan_settings)
        yield


def rows_by_index(store: Store, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Return the rows of one query that uses the index, in one round trip.

    In a transaction of the caller, the planner decides, as in `force_index_plan`.
    """
    connection: Any = store.connection
    is_outside = connection.get_autocommit() and not connection.in_atomic_block
    with connection.cursor() as cursor:
        if store.plan_settings and is_outside:
            # Statements that are sent together are one transaction, and cannot have parameters.
            cursor.execute(store.plan_settings + connection.ops.compose_sql(sql, parameters))
            while cursor.nextset():
                pass
        else:
            cursor.execute(sql, parameters)
        return [tuple(row) for row in cursor.fetchall()]
