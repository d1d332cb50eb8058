"""The queues of a database: how many jobs wait in each, and which are paused."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from django_future import clock
from django_future.models import PausedQueue
from django_future.models.fields import as_parameter, from_statement
from django_future.options import MAX_QUEUE_NAME_LENGTH
from django_future.store import backlog
from django_future.store.backlog import Backlog, backlogs, rows_by_index
from django_future.store.base import JOBS, Store
from django_future.store.selection import EVERYTHING

_PAUSES = PausedQueue._meta.db_table


class QueueState(NamedTuple):
    """The backlog of a queue, its pause if it is paused, and the priorities of waiting jobs."""

    backlog: Backlog
    paused: PausedQueue | None
    priorities: frozenset[int]


def queue_states(store: Store, at: datetime) -> list[QueueState]:
    """Return the queues that are paused or contain waiting jobs, in the order of their names.

    Reads only the first `MAX_QUEUES` names of queues with waiting jobs, and as many of paused ones.
    """
    if store.connection.vendor == "mysql":
        return _one_by_one(store, at)
    found: dict[str, list[_Head]] = defaultdict(list)
    for head in _heads(store, at):
        found[head.queue_name].append(head)
    return [_state(heads) for heads in found.values()]


class _Head(NamedTuple):
    """The counted jobs of one priority of a queue. A queue without jobs has no priority."""

    queue_name: str
    paused: PausedQueue | None
    priority: int | None
    due: int
    waiting: int
    first_at: datetime | None


def _one_by_one(store: Store, at: datetime) -> list[QueueState]:
    # MySQL and MariaDB refuse the outer query's columns in the subquery that counts up to a limit.
    found = {one.queue_name: one for one in backlogs(store, EVERYTHING, at)}
    pauses = PausedQueue.objects.using(store.alias)
    first = pauses.order_by("queue_name")[: backlog.MAX_QUEUES]
    paused = {row.queue_name: row for row in [*first, *pauses.filter(queue_name__in=found)]}
    return [
        QueueState(
            found.get(name) or Backlog(name, 0, 0, None, is_exact=True),
            paused.get(name),
            backlog.priorities_of(store, name) if name in found else frozenset(),
        )
        for name in sorted(found.keys() | paused.keys())
    ]


def _state(heads: list[_Head]) -> QueueState:
    """Return the state of a queue from its priorities."""
    used = [head for head in heads if head.priority is not None]
    due, waiting = sum(head.due for head in used), sum(head.waiting for head in used)
    is_exact = max(due, waiting) <= backlog.MAX_COUNTED and len(used) <= backlog.MAX_PRIORITIES
    counted = Backlog(
        heads[0].queue_name,
        min(waiting, backlog.MAX_COUNTED),
        min(due, backlog.MAX_COUNTED),
        min((head.first_at for head in used if head.due and head.first_at), default=None),
        is_exact,
    )
    priorities = frozenset(head.priority for head in used if head.priority is not None)
    return QueueState(counted, heads[0].paused, priorities)


def _heads(store: Store, at: datetime) -> Iterator[_Head]:
    """Yield the priorities of all queues with their counted jobs, and the pauses of the queues."""
    for row in rows_by_index(store, _sql(store), [as_parameter(at, store.connection)]):
        queue_name, reason, paused_at, paused_by, priority, due, waiting, first_at = row
        paused = None
        if (since := from_statement(paused_at, store.connection)) is not None:
            paused = PausedQueue(
                queue_name=queue_name,
                reason=reason,
                paused_at=clock.to_row(since),
                paused_by=paused_by,
            )
        first = from_statement(first_at, store.connection)
        yield _Head(queue_name, paused, priority, due, waiting, first)


def _sql(store: Store) -> str:
    """Return the statement, which skips from one queue and priority to the next."""
    of_head = f"{_waiting(store, 'head')} AND priority = head.priority"
    order = f"ORDER BY queue_name, {backlog.ORDER} LIMIT"
    return f"""
        WITH RECURSIVE name AS (
            SELECT CAST('' AS varchar({MAX_QUEUE_NAME_LENGTH})) AS queue_name, 0 AS number
            UNION ALL
            SELECT (
                SELECT queue_name FROM {JOBS} {store.index_hint.format(backlog.INDEX)}
                WHERE status = 'scheduled' AND queue_name > name.queue_name
                ORDER BY queue_name LIMIT 1
            ), number + 1
            FROM name WHERE name.queue_name IS NOT NULL AND number < {backlog.MAX_QUEUES}
        ), queue AS (
            SELECT queue_name FROM name WHERE queue_name <> ''
            UNION
            SELECT queue_name FROM (
                SELECT queue_name FROM {_PAUSES} ORDER BY queue_name LIMIT {backlog.MAX_QUEUES}
            ) AS paused
        ), head AS (
            SELECT queue_name, 1 AS number,
                (SELECT priority {_waiting(store, "queue")} {order} 1) AS priority
            FROM queue
            UNION ALL
            SELECT queue_name, number + 1, (
                SELECT priority {_waiting(store, "head")} AND priority < head.priority {order} 1
            )
            FROM head WHERE priority IS NOT NULL AND number <= {backlog.MAX_PRIORITIES}
        )
        SELECT head.queue_name, pause.reason, pause.paused_at, pause.paused_by, head.priority,
            (SELECT COUNT(*) FROM (SELECT 1 AS one {of_head} AND scheduled_at <= %s
                {order} {backlog.MAX_COUNTED + 1}) AS counted) AS due,
            (SELECT COUNT(*) FROM (SELECT 1 AS one {of_head}
                {order} {backlog.MAX_COUNTED + 1}) AS counted) AS waiting,
            (SELECT scheduled_at {of_head} {order} 1) AS first_at
        FROM head LEFT JOIN {_PAUSES} AS pause ON pause.queue_name = head.queue_name
        WHERE head.priority IS NOT NULL OR head.number = 1
        ORDER BY head.queue_name
    """


def _waiting(store: Store, row: str) -> str:
    """Return the waiting jobs of the queue of `row`, as the beginning of a query."""
    # With an array of one name, PostgreSQL keeps the queue in the order; see backlog.py.
    is_array = store.chooses_index_by_order
    name = f"ANY(ARRAY[{row}.queue_name])" if is_array else f"{row}.queue_name"
    hint = store.index_hint.format(backlog.INDEX)
    return f"FROM {JOBS} {hint} WHERE status = 'scheduled' AND queue_name = {name}"
