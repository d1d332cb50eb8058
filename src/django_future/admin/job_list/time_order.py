"""The order of the list by time, which its filters by time and "next first" need.

No index has the times of all jobs in order. So each arm reads the beginning of a part that an index
has in order, and one query merges the arms.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet
from django.db.models import Q, QuerySet
from django.db.models.expressions import RawSQL

from django_future import clock
from django_future.status import Status
from django_future.store import store_for
from django_future.store.backlog import rows_by_index

# The time that the list shows of a job in this status. That of the other jobs is scheduled_at.
_COLUMNS: dict[str, str] = {
    Status.RUNNING: "started_at",
    **dict.fromkeys(Status.final(), "finished_at"),
}


class Arm(NamedTuple):
    """Jobs of a status that an index has in the order of `column`, the time that the list shows."""

    status: str
    condition: Q
    column: str


class TimeOrder(NamedTuple):
    """The arms that make up a list, and whether its earliest time comes first.

    With `has_range`, the arms also contain the condition of the filter by a past range.
    """

    arms: list[Arm]
    is_ascending: bool
    has_range: bool = False


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


def ids_of(jobs: QuerySet[Any], order: TimeOrder, first: int, count: int) -> RawSQL | None:
    """Return a query for the ids of `count` of `jobs` in this order, after the `first` ones.

    None means that it is known without a query that there are no jobs.
    """
    union, parameters = _union(jobs, order, first + count)
    if not union:
        return None
    direction = "ASC" if order.is_ascending else "DESC"
    union = f"{union} ORDER BY 1 {direction}, 2 {direction}"
    page = f"SELECT pk FROM ({union} LIMIT {int(count)} OFFSET {int(first)}) AS page"  # noqa: S608 - of Django
    return RawSQL(page, parameters)  # noqa: S611 - as above


def number_of(jobs: QuerySet[Any], order: TimeOrder, limit: int) -> int:
    """Return how many `jobs` the list has in this order, counted up to `limit`."""
    union, parameters = _union(jobs, order, limit)
    if not union:
        return 0
    counted = f"SELECT 1 AS one FROM ({union}) AS found LIMIT {int(limit)}"  # noqa: S608 - of Django
    sql = f"SELECT COUNT(*) FROM ({counted}) AS counted"  # noqa: S608 - as above
    [(number,)] = rows_by_index(store_for(jobs.db), sql, parameters)
    return int(number)


def _union(jobs: QuerySet[Any], order: TimeOrder, count: int) -> tuple[str, list[Any]]:
    """Return a query for the times and ids of up to `count` jobs of each arm; "" without arms."""
    sign = "" if order.is_ascending else "-"
    statements: list[str] = []
    parameters: list[Any] = []
    for _status, condition, column in order.arms:
        rows = jobs.filter(condition, **{f"{column}__isnull": False})
        rows = rows.order_by(f"{sign}{column}", f"{sign}pk").values_list(column, "pk")
        try:
            sql, values = rows[:count].query.get_compiler(using=jobs.db).as_sql()
        except EmptyResultSet:
            continue
        # SQLite accepts a limit only in a subquery, and MySQL only in one that is not that of IN.
        statements.append(f"SELECT * FROM ({sql}) AS arm{len(statements)}")  # noqa: S608 - of Django
        parameters += values
    return " UNION ALL ".join(statements), parameters


def in_order(jobs: Iterable[Any], order: TimeOrder) -> list[Any]:
    """Return the jobs of one page in this order."""

    def key(job: Any) -> Any:
        return clock.from_row(getattr(job, _COLUMNS.get(job.status, "scheduled_at"))), job.pk

    return sorted(jobs, key=key, reverse=not order.is_ascending)
