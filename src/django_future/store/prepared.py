"""Statements that PostgreSQL plans once in each session."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any
from weakref import WeakKeyDictionary

from django.db.backends.base.base import BaseDatabaseWrapper

# Several statements at once are one transaction, and what is SET LOCAL ends with it. A plan for the
# values at hand would be made anew each time, which takes longer than the statement; and so would
# compiling it.
SETTINGS = "SET LOCAL plan_cache_mode TO force_generic_plan; SET LOCAL jit TO off; "
NOT_DURABLE = "SET LOCAL synchronous_commit TO off; "


class Prepared:
    """A statement with a placeholder `%(name)s` for each of `types`, which are PostgreSQL's.

    A pooler such as PgBouncer may give each transaction to another of the server's sessions, which
    do not know the statement. There it is sent as it is.
    """

    def __init__(self, sql: str, **types: str) -> None:
        self._sql = sql
        self._types = types
        self._plain = sql % {name: f"%({name})s::{kind}" for name, kind in types.items()}
        self._name = f"django_future_{sha256(sql.encode()).hexdigest()[:16]}"
        self._call = f"EXECUTE {self._name} ({', '.join(f'%({name})s' for name in types)})"
        self._is_known: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()  # by driver's session

    def rows(
        self, connection: BaseDatabaseWrapper, values: Mapping[str, Any], *, is_durable: bool = True
    ) -> list[tuple[Any, ...]]:
        """Execute the statement in one round trip, and return what it returns.

        Unless `is_durable` its commit does not wait for the disk.
        """
        if connection.in_atomic_block:
            return _rows(connection, composed(connection, self._plain, values))
        self.prepare(connection)
        settings = SETTINGS + ("" if is_durable else NOT_DURABLE)
        return _rows(connection, settings + self.composed(connection, values))

    def prepare(self, connection: BaseDatabaseWrapper) -> None:
        """Let this session know the statement, outside of transactions."""
        connection.ensure_connection()
        if connection.connection in self._is_known:
            return
        is_direct = _is_direct(connection)
        if is_direct:
            places = {name: f"${number}" for number, name in enumerate(self._types, start=1)}
            with connection.cursor() as cursor:
                cursor.execute(
                    f"PREPARE {self._name} ({', '.join(self._types.values())}) AS "
                    f"{self._sql % places}"
                )
        self._is_known[connection.connection] = is_direct

    def composed(self, connection: BaseDatabaseWrapper, values: Mapping[str, Any]) -> str:
        """Return the text that has the statement executed in this session."""
        is_known = self._is_known.get(connection.connection, False)
        return composed(connection, self._call if is_known else self._plain, values)


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
    # A pooler tells its clients a number of its own.
    with connection.cursor() as cursor:
        cursor.execute("SELECT PG_BACKEND_PID()")
        (pid,) = cursor.fetchone()
    return bool(pid == connection.connection.info.backend_pid)
