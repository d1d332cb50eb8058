"""Where what is due stands: at the head of each priority, of each queue or of all together.

To look there costs as much as there are priorities in use, however many jobs wait behind.
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
    """The waiting jobs of one priority, of one queue or of all, and when the first is due."""

    priority: int
    first_at: datetime
    queue_name: str | None


class DueQuery:
    """Asks the database `alias` for its due_query.

    `index_hint` says how to name an index to it, `handler` how to ask it for a row's `handler_of`.
    """

    def __init__(self, alias: str, index_hint: str, handler: str = HANDLER) -> None:
        self._alias = alias
        self._index_hint = index_hint
        self._handler = handler

    @property
    def _connection(self) -> BaseDatabaseWrapper:
        return connections[self._alias]

    def heads(self, at: datetime, selection: Selection) -> Iterator[PriorityHead]:
        """Yield each priority that waits, of each queue that is asked for, the highest first.

        Of several queues at one priority, that comes first whose first job does: a queue with much
        to do keeps no other waiting.
        """
        queues = [self._levels_of(name, at, selection) for name in self.queue_names(selection)]
        return merge(*queues, key=lambda level: (-level.priority, level.first_at))

    def queue_names(self, selection: Selection) -> Iterable[str | None]:
        """Return the queues to look into one by one; None for all of them together."""
        if selection.excluded_queues:
            names = selection.queues or self.waiting_queues()
            return [name for name in names if name not in selection.excluded_queues]
        return selection.queues or [None]

    def waiting_queues(self) -> Iterator[str]:
        """Yield the names of the queues in which jobs wait."""
        # From one name to the next in an index that begins with them, past all the jobs of each.
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

    def _levels_of(
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

    def due(
        self,
        level: PriorityHead,
        selection: Selection,
        *,
        at: datetime,
        limit: int,
        what: str = COLUMNS,
    ) -> tuple[str, list[Any]]:
        """Return the query for what is due of one level, and its parameters."""
        of_queue, parameters = _of_queue(level.queue_name)
        sql = f"""
            SELECT {what} FROM {self._table(_index_for(level.queue_name))}
            WHERE status = 'scheduled' {of_queue} AND priority = %s AND scheduled_at <= %s
            AND (expires_at IS NULL OR expires_at > %s) {selection.sql(self._handler)}
            ORDER BY scheduled_at, id LIMIT %s
        """
        instant = as_parameter(at, self._connection)
        return sql, [
            *parameters, level.priority, instant, instant, *selection.parameters, limit
        ]  # fmt: skip

    def _table(self, index: str) -> str:
        """Return the table of jobs, to be read through `index` whatever the planner thinks."""
        return f"django_future_scheduledjob {self._index_hint.format(index)}"


def newest_id(store: "Store") -> int:
    """Return the id of the job that was added last, 0 if there is none."""
    return store.jobs.aggregate(newest=Max("pk"))["newest"] or 0


def _index_for(queue_name: str | None) -> str:
    return "future_job_due" if queue_name is None else "future_job_queue"


def _of_queue(queue_name: str | None) -> tuple[str, list[Any]]:
    return ("", []) if queue_name is None else ("AND queue_name = %s", [queue_name])
