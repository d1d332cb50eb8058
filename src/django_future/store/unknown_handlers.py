"""The handlers of due jobs that a worker did not know, counted up to a limit."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from django_future.models import ScheduledJob
from django_future.models.fields import as_parameter
from django_future.store.backlog import MAX_COUNTED, ORDER, rows_by_index
from django_future.store.base import JOBS, Store
from django_future.store.recent import MAX_LISTED, load_jobs
from django_future.store.transitions import HANDLER_UNKNOWN
from django_future.store.unreadable import escaped_texts


class UnknownHandler(NamedTuple):
    """A handler with the number of its due jobs, and one of them, whose error says why.

    The number is a lower bound unless `is_exact`.
    """

    due: int
    is_exact: bool
    job: ScheduledJob


class UnknownHandlers(NamedTuple):
    """How many handlers are unknown, and those with the most due jobs.

    The number is a lower bound unless `is_exact`.
    """

    number: int
    is_exact: bool
    first: list[UnknownHandler]


class _Group(NamedTuple):
    """The due jobs of one priority with the same handler; `last_id` is of one with the error."""

    priority: int
    callable_name: str
    content_type_id: int | None
    due: int
    last_id: int | None

    @property
    def key(self) -> tuple[str, int | None]:
        """What identifies the handler. A method belongs to the model of its object."""
        return self.callable_name, None if "." in self.callable_name else self.content_type_id


def unknown_handlers(store: Store, priorities: Collection[int], at: datetime) -> UnknownHandlers:
    """Return the handlers of jobs that a worker has released at `at` or before.

    `priorities` are those of the waiting jobs. One statement reads up to `MAX_COUNTED` due jobs,
    the same number of each priority, those first that are due first.
    """
    if not priorities:
        return UnknownHandlers(0, is_exact=True, first=[])
    limit = max(MAX_COUNTED // len(priorities), 1)
    groups = _groups(store, priorities, at, limit)
    of_priority = dict.fromkeys(priorities, 0)
    for group in groups:
        of_priority[group.priority] += group.due
    is_exact = max(of_priority.values()) < limit
    handlers = _by_handler(groups)
    first = sorted(handlers, key=lambda pair: pair[0], reverse=True)[:MAX_LISTED]
    jobs = {job.pk: job for job in load_jobs(store, [pk for _, pk in first])}
    found = [UnknownHandler(due, is_exact, jobs[pk]) for due, pk in first if pk in jobs]
    return UnknownHandlers(len(handlers), is_exact, found)


def _by_handler(groups: Iterable[_Group]) -> list[tuple[int, int]]:
    """Return the number of due jobs of each unknown handler, and the id of the last job."""
    due: dict[Any, int] = {}
    last: dict[Any, int] = {}
    for group in groups:
        due[group.key] = due.get(group.key, 0) + group.due
        if group.last_id is not None:
            last[group.key] = max(last.get(group.key, 0), group.last_id)
    return [(due[key], pk) for key, pk in last.items()]


def _groups(store: Store, priorities: Collection[int], at: datetime, limit: int) -> list[_Group]:
    hint = store.index_hint.format("future_job_due")
    due = f"""
        SELECT id, priority, callable_name, content_type_id, error FROM {JOBS} {hint}
        WHERE status = 'scheduled' AND priority = %s AND scheduled_at <= %s
        ORDER BY {ORDER} LIMIT {limit}
    """
    union = " UNION ALL ".join(
        f"SELECT * FROM ({due}) AS part_{number}" for number in range(len(priorities))
    )
    sql = f"""
        SELECT priority, callable_name, content_type_id, COUNT(*),
            MAX(CASE WHEN error LIKE %s THEN id END)
        FROM ({union}) AS due GROUP BY priority, callable_name, content_type_id
    """
    values: list[object] = [f"%{HANDLER_UNKNOWN}"]
    for priority in priorities:
        values += priority, as_parameter(at, store.connection)
    with escaped_texts(store.alias):
        return [_Group._make(row) for row in rows_by_index(store, sql, values)]
