"""Prepared statements, which PostgreSQL plans once in each session."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any
from weakref import WeakKeyDictionary

from django.db import DataError, ProgrammingError
from django.db.backends.base.base import BaseDatabaseWrapper

# Statements that are sent together are one transaction, and SET LOCAL ends with it. A custom plan
# for each execution takes longer than the statement itself, and so does JIT compilation. A generic
# plan remains in use when the table grows, and statistics may be old or missing. So only one kind
# of plan is allowed: a scan of an index that has the order of the query.
PLAN_SETTINGS = "SET LOCAL plan_cache_mode TO force_generic_plan; " + "".join(
    f"SET LOCAL {name} TO off; "
    for name in ("jit", "enable_seqscan", "enable_bitmapscan", "enable_sort")
)
# An incremental sort would let the planner use an index that has only the first columns of the
# order, and read all jobs of a queue.
PREPARED_SETTINGS = f"{PLAN_SETTINGS}SET LOCAL enable_incremental_sort TO off; "
# For a statement that finds the rows to write by their physical location, the ctid. A plan for an
# empty table remains in use when the table grows. Such a plan may find rows by their ids through
# another index that contains ids, and compare each id with all its entries. For the location, these
# settings leave only a TID scan. The other parts still have one plan, because each needs an order.
BY_LOCATION_SETTINGS = f"{PREPARED_SETTINGS}SET LOCAL enable_indexscan TO off; "
DUPLICATE_STATEMENT, UNKNOWN_STATEMENT = "42P05", "26000"
MILLISECOND = timedelta(milliseconds=1)
NOT_DURABLE = "SET LOCAL synchronous_commit TO off; "


class Prepared:
    """A statement with a placeholder `%(name)s` for each name in `types`.

    `types` are PostgreSQL's types. The server's log shows the `label` of a prepared statement.
    `settings` leave its planner one plan.

    A pooler such as PgBouncer may execute each transaction in another session, where the statement
    is not prepared. There the statement is sent as text.
    """

    def __init__(
        self, sql: str, /, label: str = "", settings: str = PREPARED_SETTINGS, **types: str
    ) -> None:
        self._sql = sql
        self._types = types
        self._settings = settings
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
        """Execute the statement in one round trip, and return its rows.

        Unless `is_durable`, the commit does not wait for the disk. A longer wait for a lock than
        `lock_timeout` raises an error. In a transaction of the caller the statement is sent as
        text, without these two and without the settings, which would apply to its other statements.
        """
        if connection.in_atomic_block:
            return _rows(connection, _composed(connection, self._plain, values))
        self.prepare(connection)
        settings = self._settings + ("" if is_durable else NOT_DURABLE)
        if lock_timeout:
            settings += f"SET LOCAL lock_timeout TO {lock_timeout // MILLISECOND}; "
        return _rows(connection, settings + self.composed(connection, values))

    def rows_as_is(
        self, connection: BaseDatabaseWrapper, values: Mapping[str, Any]
    ) -> list[tuple[Any, ...]]:
        """Execute the statement as text, without a prepared plan."""
        with connection.cursor() as cursor:
            return _last_rows(cursor, _composed(connection, self._plain, values))

    def rows_as_prepared(
        self, connection: BaseDatabaseWrapper, values: Mapping[str, Any]
    ) -> list[tuple[Any, ...]]:
        """Execute the prepared statement, outside of transactions."""
        self.prepare(connection)
        with connection.cursor() as cursor:
            return _last_rows(cursor, self.composed(connection, values))

    def prepare(self, connection: BaseDatabaseWrapper) -> None:
        """Prepare the statement in this session, outside of transactions."""
        connection.ensure_connection()
        prepared = _prepared.setdefault(connection.connection, {})
        if self._name not in prepared:
            prepared[self._name] = _is_direct(connection) and self._prepare_now(connection)

    def _prepare_now(self, connection: BaseDatabaseWrapper) -> bool:
        placeholders = {name: f"${number}" for number, name in enumerate(self._types, start=1)}
        types = ", ".join(self._types.values())
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"PREPARE {self._name} ({types}) AS {self._sql % placeholders}")
        except ProgrammingError as error:
            if getattr(error.__cause__, "sqlstate", None) != DUPLICATE_STATEMENT:
                raise
        return True

    def composed(self, connection: BaseDatabaseWrapper, values: Mapping[str, Any]) -> str:
        """Return the SQL text that executes the statement in this session."""
        is_prepared = _prepared.get(connection.connection, {}).get(self._name, False)
        return _composed(connection, self._call if is_prepared else self._plain, values)


def forget(session: Any) -> None:
    """Assume that a session has lost its prepared statements, for example by DISCARD ALL."""
    _prepared.pop(session, None)


# Whether a statement is prepared, by the driver's connection and the name of the statement.
_prepared: WeakKeyDictionary[Any, dict[str, bool]] = WeakKeyDictionary()


def _composed(connection: BaseDatabaseWrapper, sql: str, values: Mapping[str, Any]) -> str:
    # A query of several statements cannot have bind parameters, so the values are inlined.
    # psycopg's client-side binding could do that, but takes about as long as the claim itself.
    connection.ensure_connection()
    escape = _escaping()(connection.connection.pgconn).escape_literal
    return sql % {name: _literal(value, escape) for name, value in values.items()}


@cache
def _escaping() -> Any:
    from psycopg.pq import Escaping  # noqa: PLC0415 - psycopg is optional

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
    if "\0" in value:  # where the driver would truncate it
        raise DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    return bytes(escape(value.encode())).decode()


def _rows(connection: BaseDatabaseWrapper, sql: str) -> list[tuple[Any, ...]]:
    if connection.execute_wrappers or connection.queries_logged:
        with connection.cursor() as cursor:
            return _last_rows(cursor, sql)
    # Django's cursor takes as long as many statements, for each result. So it is used only if an
    # execute_wrapper or the query log needs it.
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
    # With a threshold, the driver prepares statements itself, and may deallocate all statements.
    if connection.connection.prepare_threshold is not None:
        return False
    # A pooler reports its own number to its clients.
    with connection.cursor() as cursor:
        cursor.execute("SELECT PG_BACKEND_PID()")
        (pid,) = cursor.fetchone()
    return bool(pid == connection.connection.info.backend_pid)
