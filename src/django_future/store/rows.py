"""Rows of jobs, as a statement of our own returns them, turned into instances."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from django_future.models import ScheduledJob

FIELDS = ScheduledJob._meta.concrete_fields
NAMES = [field.attname for field in FIELDS]


def columns(fields: Sequence[Any] = FIELDS, prefix: str = "") -> str:
    """Return the names of columns, by default those that `Reader` reads."""
    return ", ".join(f"{prefix}{field.column}" for field in fields)


class Reader:
    """Reads rows as Django's own queries do, having found out once what each column needs."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._alias = connection.alias
        self._converters: list[tuple[int, Callable[..., Any], Any]] = []
        for index, field in enumerate(FIELDS):
            column: Any = field.get_col(ScheduledJob._meta.db_table)
            for convert in (
                *connection.ops.get_db_converters(column),
                *column.get_db_converters(connection),
            ):
                self._converters.append((index, convert, column))

    def read(
        self, rows: Iterable[Sequence[Any]], connection: BaseDatabaseWrapper
    ) -> list[ScheduledJob]:
        """Return the jobs of `rows`, in the order in which they start."""
        jobs = [self._read(list(row), connection) for row in rows]
        return sorted(jobs, key=lambda job: (-job.priority, job.scheduled_at, job.pk))

    def _read(self, values: list[Any], connection: BaseDatabaseWrapper) -> ScheduledJob:
        for index, convert, column in self._converters:
            values[index] = convert(values[index], column, connection)
        return ScheduledJob.from_db(self._alias, NAMES, values)
