"""Statements that PostgreSQL plans once in each session, and behind a pooler too."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any
from weakref import WeakSet

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

IS_NOT_PREPARED, IS_PREPARED = "26000", "42P05"


class Prepared:
    """A statement with a placeholder `%(name)s` for each of `types`, which are PostgreSQL's.

    Its name is made from its text. So behind a pooler, where a session may have been another
    client's before, whatever the session knows by that name is this statement.
    """

    def __init__(self, sql: str, **types: str) -> None:
        self._sql = sql
        self._types = types
        self._name = f"django_future_{sha256(sql.encode()).hexdigest()[:16]}"
        self._sessions: WeakSet[object] = WeakSet()

    def rows(
        self, connection: BaseDatabaseWrapper, values: Mapping[str, Any], *, is_durable: bool = True
    ) -> list[tuple[Any, ...]]:
        """Execute the statement in one round trip, and return what it returns.

        Unless `is_durable` its commit does not wait for the disk.
        """
        if connection.in_atomic_block:
            # Not knowing the statement would be an error, and undo somebody's transaction.
            return _rows(connection, self._sql, values)
        connection.ensure_connection()
        session = connection.connection
        if session not in self._sessions:
            self._prepare(connection)
            self._sessions.add(session)
        call = self._call(is_durable=is_durable)
        try:
            return _rows(connection, call, values)
        except Error as error:
            if _sqlstate(error) != IS_NOT_PREPARED:
                raise
        self._prepare(connection)
        return _rows(connection, call, values)

    def _prepare(self, connection: BaseDatabaseWrapper) -> None:
        places = {name: f"${number}" for number, name in enumerate(self._types, start=1)}
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    f"PREPARE {self._name} ({', '.join(self._types.values())}) AS "
                    f"{self._sql % places}"
                )
        except Error as error:
            if _sqlstate(error) != IS_PREPARED:
                raise

    def _call(self, *, is_durable: bool) -> str:
        # Several statements at once are one transaction, and what is SET LOCAL ends with it: a
        # pooler may give the session to anybody next. A plan for the values at hand would be made
        # anew each time, which takes longer than the statement; and so would compiling it.
        values = ", ".join(f"%({name})s" for name in self._types)
        return (
            "SET LOCAL plan_cache_mode TO force_generic_plan; SET LOCAL jit TO off; "
            + ("" if is_durable else "SET LOCAL synchronous_commit TO off; ")
            + f"EXECUTE {self._name} ({values})"
        )


def composed(
    connection: BaseDatabaseWrapper, sql: str, values: Mapping[str, Any] | Sequence[Any]
) -> str:
    """Return `sql` with the values in it: several statements at once take none beside it."""
    text: str = connection.ops.compose_sql(sql, values)  # type: ignore[attr-defined]
    return text


def _rows(
    connection: BaseDatabaseWrapper, sql: str, values: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(composed(connection, sql, values))
        while cursor.nextset():
            pass
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _sqlstate(error: Error) -> str | None:
    return getattr(error.__cause__, "sqlstate", None)
