"""The order of the list by time, which its filters by time and "next first" need.

No index has the times of all jobs in order. So each arm reads the beginning of a part that an index
has in order, and one query merges the arms.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import Q, QuerySet

from django_future.status import Status


class Arm(NamedTuple):
    """Jobs that an index has in the order of `column`, the time that the list shows."""

    condition: Q
    column: str


class TimeOrder(NamedTuple):
    """The arms that make up a list, and whether its earliest time comes first."""

    arms: list[Arm]
    is_ascending: bool


def scheduled_arms(found: Iterable[int]) -> list[Arm]:
    """Return the arms of scheduled jobs: one for each priority, or one that the server sorts."""
    scheduled = Q(status=Status.SCHEDULED)
    arms = [Arm(scheduled & Q(priority=priority), "scheduled_at") for priority in found]
    return arms or [Arm(scheduled, "scheduled_at")]


def all_arms(found: Iterable[int]) -> list[Arm]:
    """Return the arms of jobs in each status, each with the time that the list shows."""
    ended = [Arm(Q(status=status), "finished_at") for status in Status.final()]
    others = [(Status.RUNNING, "started_at"), (Status.PARKED, "scheduled_at")]
    waiting = [Arm(Q(status=status), column) for status, column in others]
    return [*scheduled_arms(found), *waiting, *ended]


def page_of(jobs: QuerySet[Any], order: TimeOrder, first: int, count: int) -> list[Any]:
    """Return `count` of `jobs` in this order, without the `first` ones before them."""
    ids = _ids(jobs, order, first, count)
    found = {job.pk: job for job in jobs.filter(pk__in=ids).order_by()} if ids else {}
    return [found[pk] for pk in ids if pk in found]


def _ids(jobs: QuerySet[Any], order: TimeOrder, first: int, count: int) -> list[int]:
    sign, direction = ("", "ASC") if order.is_ascending else ("-", "DESC")
    statements: list[str] = []
    parameters: list[Any] = []
    for condition, column in order.arms:
        rows = jobs.filter(condition, **{f"{column}__isnull": False})
        rows = rows.order_by(f"{sign}{column}", f"{sign}pk").values_list(column, "pk")
        compiler = rows[: first + count].query.get_compiler(using=jobs.db)
        try:
            sql, values = compiler.as_sql()
        except EmptyResultSet:
            continue
        # SQLite accepts a limit only in a subquery.
        statements.append(f"SELECT * FROM ({sql}) AS arm{len(statements)}")  # noqa: S608 - of Django
        parameters += values
    if not statements:
        return []
    with connections[jobs.db].cursor() as cursor:
        cursor.execute(
            f"{' UNION ALL '.join(statements)} ORDER BY 1 {direction}, 2 {direction} "
            f"LIMIT {int(count)} OFFSET {int(first)}",
            parameters,
        )
        return [row[1] for row in cursor.fetchall()]
