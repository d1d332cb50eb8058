"""Statements that PostgreSQL plans once in each session."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any
from weakref import WeakKeyDictionary

from django.db import DataError, ProgrammingError
from django.db.backends.base.base import BaseDatabaseWrapper

# Several statements at once are one transaction, and what is SET LOCAL ends with it. A plan for the
# values at hand would be made anew each time, which takes longer than the statement; and so would
# compiling it. A plan is kept when the table has grown, and statistics may be old or missing, so
# a statement is left one way only: it follows an index that holds the rows in the order it names.
SETTINGS = "SET LOCAL plan_cache_mode TO force_generic_plan; " + "".join(
    f"SET LOCAL {name} TO off; "
    for name in ("jit", "enable_seqscan", "enable_bitmapscan", "enable_sort")
)
DUPLICATE_STATEMENT, UNKNOWN_STATEMENT = "42P05", "26000"
MILLISECOND = timedelta(milliseconds=1)
NOT_DURABLE = "SET LOCAL synchronous_commit TO off; "


class Prepared:
    """A statement with a placeholder `%(name)s` for each of `types`, which are PostgreSQL's.

    The server's log shows the `label` once it is prepared.

    A pooler such as PgBouncer may give each transaction to another of the server's sessions, which
    do not know the statement. There it is sent as it is.
    """

    def __init__(self, sql: str, /, label: str = "", **types: str) -> None:
        self._sql = sql
        self._types = types
        self._plain = sql % {name: f"%({name})s::{kind}" for name, kind in types.items()}
        self._name = f"django_future_{label}{sha256(sql.encode()).hexdigest()[:16]}"
        self._call = f"EXECUTE {self._name} ({', '.join(f'%({name})s' for name in types)})"

    def rows(
        self,
        connection: BaseDatabaseWrapper,
        values: Mapping[str, Any],
        *,
        is_durable: bool = True,
        lock_timeout: timedelta = timedelta(),
    ) -> list[tuple[Any, ...]]:
        """Execute the statement in one round trip, and return what it returns.

        Unless `is_durable` its commit does not wait for the disk. With a `lock_timeout`, a lock
        that it waits longer for is an error.
        """
        if connection.in_atomic_block:
            return _rows(connection, _composed(connection, self._plain, values))
        self.prepare(connection)
        settings = SETTINGS + ("" if is_durable else NOT_DURABLE)
        if lock_timeout:
            settings += f"SET LOCAL lock_timeout TO {lock_timeout // MILLISECOND}; "
        return _rows(connection, settings + self.composed(connection, values))

    def rows_as_is(
        self, connection: BaseDatabaseWrapper, values: Mapping[str, Any]
    ) -> list[tuple[Any, ...]]:
        """Execute the statement without a plan that is kept, as one of the project's own."""
        with connection.cursor() as cursor:
            return _last_rows(cursor, _composed(connection, self._plain, values))

    def rows_as_prepared(
        self, connection: BaseDatabaseWrapper, values: Mapping[str, Any]
    ) -> list[tuple[Any, ...]]:
        """Execute the statement by its name, outside of transactions."""
        self.prepare(connection)
        with connection.cursor() as cursor:
            return _last_rows(cursor, self.composed(connection, values))

    def prepare(self, connection: BaseDatabaseWrapper) -> None:
        """Let this session know the statement, outside of transactions."""
        connection.ensure_connection()
        known = _known.setdefault(connection.connection, {})
        if self._name not in known:
            known[self._name] = _is_direct(connection) and self._is_prepared(connection)

    def _is_prepared(self, connection: BaseDatabaseWrapper) -> bool:
        places = {name: f"${number}" for number, name in enumerate(self._types, start=1)}
        types = ", ".join(self._types.values())
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"PREPARE {self._name} ({types}) AS {self._sql % places}")
        except ProgrammingError as error:
            if getattr(error.__cause__, "sqlstate", None) != DUPLICATE_STATEMENT:
                raise
        return True

    def composed(self, connection: BaseDatabaseWrapper, values: Mapping[str, Any]) -> str:
        """Return the text that has the statement executed in this session."""
        is_known = _known.get(connection.connection, {}).get(self._name, False)
        return _composed(connection, self._call if is_known else self._plain, values)


def forget(session: Any) -> None:
    """Doubt that a driver's connection still has its statements, as after a DISCARD ALL."""
    _known.pop(session, None)


# Which statements the session of a driver's connection knows, by their names.
_known: WeakKeyDictionary[Any, dict[str, bool]] = WeakKeyDictionary()


def _composed(connection: BaseDatabaseWrapper, sql: str, values: Mapping[str, Any]) -> str:
    # Several statements at once take no values beside their text. The driver would put them in,
    # but takes as long for it as the server for a claim.
    connection.ensure_connection()
    escape = _escaping()(connection.connection.pgconn).escape_literal
    return sql % {name: _literal(value, escape) for name, value in values.items()}


@cache
def _escaping() -> Any:
    from psycopg.pq import Escaping  # noqa: PLC0415 - there need be no driver for PostgreSQL

    return Escaping


def _literal(value: Any, escape: Callable[[bytes], Any]) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):
        return f"'{value.isoformat()}'"
    if isinstance(value, list):
        return f"ARRAY[{', '.join(_literal(item, escape) for item in value)}]::text[]"
    if "\0" in value:  # where the driver would cut it off
        raise DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    return bytes(escape(value.encode())).decode()


def _rows(connection: BaseDatabaseWrapper, sql: str) -> list[tuple[Any, ...]]:
    if connection.execute_wrappers or connection.queries_logged:
        with connection.cursor() as cursor:
            return _last_rows(cursor, sql)
    # A cursor of Django's takes as long as many a statement, for each result of it. It is there for
    # those who watch statements.
    connection.validate_no_broken_transaction()
    with connection.wrap_database_errors, connection.connection.cursor() as cursor:
        return _last_rows(cursor, sql)


def _last_rows(cursor: Any, sql: str) -> list[tuple[Any, ...]]:
    cursor.execute(sql)
    while cursor.nextset():
        pass
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _is_direct(connection: BaseDatabaseWrapper) -> bool:
    # With a threshold, the driver prepares statements itself, and may deallocate all there are.
    if connection.connection.prepare_threshold is not None:
        return False
    # A pooler tells its clients a number of its own.
    with connection.cursor() as cursor:
        cursor.execute("SELECT PG_BACKEND_PID()")
        (pid,) = cursor.fetchone()
    return bool(pid == connection.connection.info.backend_pid)
