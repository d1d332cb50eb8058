"""The queries that find due jobs, one priority after the other.

Within a priority the index orders jobs by time, so the due jobs come first. The cost grows with the
number of priorities in use, not with the number of waiting jobs.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from heapq import merge
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Max

from django_future import clock
from django_future.models import ScheduledJob
from django_future.models.fields import as_parameter
from django_future.options import MAX_PRIORITY
from django_future.store.claimed import COLUMNS
from django_future.store.selection import HANDLER, Selection

if TYPE_CHECKING:
    from django_future.store.base import Store


class PriorityHead(NamedTuple):
    """A priority with waiting jobs, in one queue or in all, and when the first job is due."""

    priority: int
    first_at: datetime
    queue_name: str | None


class DueQuery:
    """Finds the due jobs of the database `alias`.

    `index_hint` is the syntax that names an index, `handler` the SQL expression of `handler_of`.
    """

    def __init__(self, alias: str, index_hint: str, handler: str = HANDLER) -> None:
        self._alias = alias
        self._index_hint = index_hint
        self._handler = handler

    @property
    def _connection(self) -> BaseDatabaseWrapper:
        return connections[self._alias]

    def heads(self, at: datetime, selection: Selection) -> Iterator[PriorityHead]:
        """Yield the head of each priority in each selected queue, the highest priority first.

        Within a priority, the queue with the earliest job comes first. So a busy queue does not
        block the others.
        """
        queues = [self._heads_of(name, at, selection) for name in self.queue_names(selection)]
        return merge(*queues, key=lambda head: (-head.priority, head.first_at))

    def queue_names(self, selection: Selection) -> Iterable[str | None]:
        """Return the queues to query one by one; None stands for all queues together."""
        if selection.excluded_queues:
            names = selection.queues or self.waiting_queues()
            return [name for name in names if name not in selection.excluded_queues]
        return selection.queues or [None]

    def waiting_queues(self) -> Iterator[str]:
        """Yield the names of the queues in which jobs wait."""
        # A loose index scan: each query skips the jobs of one name, and reads the next name.
        name = ""
        while True:
            with self._connection.cursor() as cursor:
                cursor.execute(
                    f"""
                    SELECT queue_name FROM {self._table("future_job_queue")}
                    WHERE status = 'scheduled' AND queue_name > %s ORDER BY queue_name LIMIT 1
                    """,
                    [name],
                )
                row = cursor.fetchone()
            if row is None:
                return
            (name,) = row
            yield name

    def waiting_priorities(self, limit: int) -> list[int]:
        """Return the highest priorities in which jobs wait, at most `limit` of them."""
        # A loose index scan in one query: each step skips the jobs of one priority.
        jobs = self._table("future_job_due")
        with self._connection.cursor() as cursor:
            cursor.execute(
                f"""
                WITH RECURSIVE found(priority) AS (
                    SELECT MAX(priority) FROM {jobs} WHERE status = 'scheduled'
                    UNION ALL
                    SELECT (
                        SELECT MAX(priority) FROM {jobs}
                        WHERE status = 'scheduled' AND priority < found.priority
                    ) FROM found WHERE found.priority IS NOT NULL
                )
                SELECT priority FROM found WHERE priority IS NOT NULL LIMIT %s
                """,
                [limit],
            )
            return [row[0] for row in cursor.fetchall()]

    def due(
        self,
        head: PriorityHead,
        selection: Selection,
        *,
        at: datetime,
        limit: int,
        columns: str = COLUMNS,
    ) -> tuple[str, list[Any]]:
        """Return the query for the due jobs of one priority, and its parameters."""
        of_queue, parameters = _of_queue(head.queue_name)
        sql = f"""
            SELECT {columns} FROM {self._table(_index_for(head.queue_name))}
            WHERE status = 'scheduled' {of_queue} AND priority = %s AND scheduled_at <= %s
            AND (expires_at IS NULL OR expires_at > %s) {selection.sql(self._handler)}
            ORDER BY scheduled_at, id LIMIT %s
        """
        instant = as_parameter(at, self._connection)
        return sql, [
            *parameters, head.priority, instant, instant, *selection.parameters, limit
        ]  # fmt: skip

    def _heads_of(
        self, queue_name: str | None, at: datetime, selection: Selection
    ) -> Iterator[PriorityHead]:
        below = MAX_PRIORITY + 1
        of_queue, parameters = _of_queue(queue_name)
        while True:
            [*first] = ScheduledJob.objects.using(self._alias).raw(
                f"""
                SELECT id, priority, scheduled_at FROM {self._table(_index_for(queue_name))}
                WHERE status = 'scheduled' {of_queue} AND priority < %s
                AND (expires_at IS NULL OR expires_at > %s) {selection.sql(self._handler)}
                ORDER BY priority DESC, scheduled_at, id LIMIT 1
                """,
                [*parameters, below, as_parameter(at, self._connection), *selection.parameters],
            )
            if not first:
                return
            below = first[0].priority
            yield PriorityHead(below, clock.from_row(first[0].scheduled_at), queue_name)

    def _table(self, index: str) -> str:
        """Return the table of jobs, with the hint to read it through `index`."""
        return f"django_future_scheduledjob {self._index_hint.format(index)}"


def newest_id(store: "Store") -> int:
    """Return the id of the newest job; 0 without jobs."""
    return store.jobs.aggregate(newest=Max("pk"))["newest"] or 0


def _index_for(queue_name: str | None) -> str:
    return "future_job_due" if queue_name is None else "future_job_queue"


def _of_queue(queue_name: str | None) -> tuple[str, list[Any]]:
    return ("", []) if queue_name is None else ("AND queue_name = %s", [queue_name])
