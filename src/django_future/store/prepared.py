"""Statements that PostgreSQL plans once in each session, and behind a pooler too."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

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
        self._call = f"EXECUTE {self._name} ({', '.join(f'%({name})s' for name in types)})"
        self._sessions: WeakSet[object] = WeakSet()

    def rows(
        self, connection: BaseDatabaseWrapper, values: Mapping[str, Any], *, is_durable: bool = True
    ) -> list[tuple[Any, ...]]:
        """Execute the statement in one round trip, and return what it returns.

        Unless `is_durable` its commit does not wait for the disk.
        """
        if connection.in_atomic_block:
            # Not to know the statement would be an error, and undo somebody's transaction.
            return _rows(connection, composed(connection, self._sql, values))
        self.prepare(connection)
        # Several statements at once are one transaction, and what is SET LOCAL ends with it: a
        # pooler may give the session to anybody next. A plan for the values at hand would be made
        # anew each time, which takes longer than the statement; and so would compiling it.
        settings = "SET LOCAL plan_cache_mode TO force_generic_plan; SET LOCAL jit TO off; "
        if not is_durable:
            settings += "SET LOCAL synchronous_commit TO off; "
        sql = settings + composed(connection, self._call, values)
        try:
            return _rows(connection, sql)
        except Error as error:
            if _sqlstate(error) != IS_NOT_PREPARED:
                raise
        self._sessions.discard(connection.connection)
        self.prepare(connection)
        return _rows(connection, sql)

    def prepare(self, connection: BaseDatabaseWrapper) -> None:
        """Let this session know the statement, outside of transactions."""
        connection.ensure_connection()
        if connection.connection in self._sessions:
            return
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
        self._sessions.add(connection.connection)

    def composed(self, connection: BaseDatabaseWrapper, values: Mapping[str, Any]) -> str:
        """Return the text of a call, as part of somebody's transaction."""
        is_known = connection.connection in self._sessions and _is_direct(connection)
        return composed(connection, self._call if is_known else self._sql, values)


def composed(
    connection: BaseDatabaseWrapper, sql: str, values: Mapping[str, Any] | Sequence[Any]
) -> str:
    """Return `sql` with the values in it: several statements at once take none beside it."""
    text: str = connection.ops.compose_sql(sql, values)  # type: ignore[attr-defined]
    return text


def _rows(connection: BaseDatabaseWrapper, sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        while cursor.nextset():
            pass
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _is_direct(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether the session is the server's own, and not lent by a pooler."""
    session = connection.connection
    if session not in _backends:
        with connection.cursor() as cursor:
            cursor.execute("SELECT PG_BACKEND_PID()")
            (_backends[session],) = cursor.fetchone()
    return bool(_backends[session] == session.info.backend_pid)


_backends: WeakKeyDictionary[Any, int] = WeakKeyDictionary()


def _sqlstate(error: Error) -> str | None:
    return getattr(error.__cause__, "sqlstate", None)
