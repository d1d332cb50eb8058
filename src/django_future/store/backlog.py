"""How much waits in a queue: counted at the head of its index, and no further than anyone reads."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from django.db import transaction

from django_future import clock
from django_future.options import MAX_PRIORITY
from django_future.store.base import JOBS, Store
from django_future.store.selection import Selection

MAX_COUNTED = 10_000  # jobs of one queue
MAX_PRIORITIES = 50  # of one queue that are looked into for what is due
MAX_QUEUES = 100

INDEX = "future_job_queue"
ORDER = "priority DESC, scheduled_at, id"


class Backlog(NamedTuple):
    """What waits in one queue, and how much of it is due.

    The numbers are lower bounds unless `is_exact`. `oldest_at` is since when the first job is due.
    """

    queue_name: str
    waiting: int
    due: int
    oldest_at: datetime | None
    is_exact: bool


def backlogs(store: Store, selection: Selection, at: datetime) -> list[Backlog]:
    """Return what waits at the instant `at` in the queues of a selection, paused ones included.

    Queues in which nothing waits are left out, as are those beyond the first hundred names.
    """
    with one_plan(store):
        names = list(islice(_names(store, selection), MAX_QUEUES))
    found = (backlog_of(store, name, at) for name in names)
    return [backlog for backlog in found if backlog.waiting]


def backlog_of(store: Store, queue_name: str, at: datetime) -> Backlog:
    """Return what waits in one queue at the instant `at`.

    What has expired, and is not marked yet, still waits.
    """
    with one_plan(store):
        waiting = _count(store, queue_name, "", [], MAX_COUNTED + 1)
        due, oldest_at, is_all_seen = _due(store, queue_name, at)
    is_exact = is_all_seen and max(waiting, due) <= MAX_COUNTED
    return Backlog(
        queue_name, min(waiting, MAX_COUNTED), min(due, MAX_COUNTED), oldest_at, is_exact
    )


def _names(store: Store, selection: Selection) -> Iterator[str]:
    names = iter(selection.queues) if selection.queues else store.due_query.waiting_queues()
    return (name for name in names if name not in selection.excluded_queues)


def _due(store: Store, queue_name: str, at: datetime) -> tuple[int, datetime | None, bool]:
    """Return how many jobs are due, since when the first, and whether all priorities were seen.

    What is due stands at the head of each priority, so the jobs of the future are not read.
    """
    due, oldest_at = 0, None
    heads = list(islice(_heads(store, queue_name), MAX_PRIORITIES + 1))
    for priority, first_at in heads[:MAX_PRIORITIES]:
        if first_at > at:
            continue
        oldest_at = first_at if oldest_at is None else min(oldest_at, first_at)
        values = [priority, store.parameter(at)]
        most = MAX_COUNTED + 1 - due
        due += _count(store, queue_name, "AND priority = %s AND scheduled_at <= %s", values, most)
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


def _count(store: Store, queue_name: str, which: str, values: list[Any], most: int) -> int:
    if most <= 0:
        return 0
    with store.connection.cursor() as cursor:
        cursor.execute(
            f"SELECT COUNT(*) FROM (SELECT 1 AS one {_of_queue(store)} {which} "
            f"{_counting_order(store)} LIMIT %s) AS counted",
            [queue_name, *values, most],
        )
        return int(cursor.fetchone()[0])


def _of_queue(store: Store) -> str:
    # An array of one keeps PostgreSQL from dropping the queue from the order, and so from the index
    # without queues.
    name = "ANY(ARRAY[%s]::varchar[])" if _takes_index_by_order(store) else "%s"
    hint = store.index_hint.format(INDEX)
    return f"FROM {JOBS} {hint} WHERE status = 'scheduled' AND queue_name = {name}"


def _order(store: Store) -> str:
    return f"queue_name, {ORDER}" if _takes_index_by_order(store) else ORDER


def _counting_order(store: Store) -> str:
    # Where the index is named, an order may make the server sort all there is, before it counts.
    return f"ORDER BY {_order(store)}" if _takes_index_by_order(store) else ""


def _takes_index_by_order(store: Store) -> bool:
    return store.connection.vendor == "postgresql"


@contextmanager
def one_plan(store: Store) -> Iterator[None]:
    """Have the planner walk the index; but not in the caller's transaction, which it would keep."""
    if not store.plan_settings or store.connection.in_atomic_block:
        yield
        return
    with transaction.atomic(using=store.alias):
        with store.connection.cursor() as cursor:
            cursor.execute(store.plan_settings)
        yield
