"""The order of a list that no single index has: by time, or by id among the jobs of some names.

One query merges several arms. Each arm reads the first of the jobs that an index has in this order.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet
from django.db.models import F, Q, QuerySet

from django_future.status import Status
from django_future.store import store_for
from django_future.store.backlog import rows_by_index

# The time that the list shows, by status. For the other jobs it is scheduled_at.
_COLUMNS: dict[str, str] = {
    Status.RUNNING: "started_at",
    **dict.fromkeys(Status.final(), "finished_at"),
}


class Arm(NamedTuple):
    """Jobs that an index has in the order of `column`, the time that the list shows or the id.

    `status` is their status, or empty for any. `lead` is a column before `column` in the index. It
    has one value in all of these jobs.
    """

    status: str
    condition: Q
    column: str
    lead: str = ""


class MergedOrder(NamedTuple):
    """The arms that make up a list, and whether its earliest time or lowest id comes first."""

    arms: list[Arm]
    is_ascending: bool


def scheduled_arms(found: Iterable[int]) -> list[Arm]:
    """Return the arms of scheduled jobs: one for each priority, or one that the server sorts."""
    scheduled = Q(status=Status.SCHEDULED)
    conditions = [scheduled & Q(priority=priority) for priority in found] or [scheduled]
    return [Arm(Status.SCHEDULED, condition, "scheduled_at") for condition in conditions]


def all_arms(found: Iterable[int]) -> list[Arm]:
    """Return the arms of jobs in each status, each with the time that the list shows."""
    others = [
        Arm(status, Q(status=status), _COLUMNS.get(status, "scheduled_at"))
        for status in Status
        if status != Status.SCHEDULED
    ]
    return [*scheduled_arms(found), *others]


def page_of(
    jobs: QuerySet[Any], order: MergedOrder, start: int, length: int, *, max_count: int
) -> tuple[int, list[int]]:
    """Return the number of jobs, at most `max_count`, and the ids of `length` from `start` on.

    If the list ends before `start`, the number is 0.
    """
    union, parameters = _union(jobs, order, max_count)
    if not union:
        return 0, []
    direction = "ASC" if order.is_ascending else "DESC"
    by = f"ORDER BY shown_at {direction}, pk {direction}"
    # The server counts, because the driver needs longer to parse an id than the server to read it.
    sql = f"""
        SELECT pk, COUNT(*) OVER () FROM (
            SELECT shown_at, pk FROM ({union}) AS merged {by} LIMIT {int(max_count)}
        ) AS found {by} LIMIT {int(length)} OFFSET {int(start)}
    """  # noqa: S608 - of Django
    rows = rows_by_index(store_for(jobs.db), sql, parameters)
    return (rows[0][1] if rows else 0), [pk for pk, _number in rows]


def _union(jobs: QuerySet[Any], order: MergedOrder, count: int) -> tuple[str, list[Any]]:
    """Return a query for the times and ids of up to `count` jobs of each arm; "" without arms."""
    sign = "" if order.is_ascending else "-"
    statements: list[str] = []
    parameters: list[Any] = []
    for _status, condition, column, lead in order.arms:
        rows = jobs.filter(condition, **{f"{column}__isnull": False})
        columns = [name for name in (lead, column, "pk") if name]
        rows = rows.order_by(*(f"{sign}{name}" for name in columns)).annotate(shown_at=F(column))
        rows = rows.values_list("shown_at", "pk")
        try:
            sql, values = rows[:count].query.get_compiler(using=jobs.db).as_sql()
        except EmptyResultSet:
            continue
        # SQLite accepts a limit only in a subquery, and MySQL only in one that is not that of IN.
        statements.append(f"SELECT * FROM ({sql}) AS arm{len(statements)}")  # noqa: S608 - of Django
        parameters += values
    return " UNION ALL ".join(statements), parameters
