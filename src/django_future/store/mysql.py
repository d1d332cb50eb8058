"""The store on MariaDB and MySQL."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

from django.db import OperationalError, transaction
from django.db.backends.utils import CursorWrapper

from django_future.models import ScheduledJob
from django_future.store.base import Store
from django_future.store.completion import NAMES, completion_parameters
from django_future.store.contention import retry_on_contention
from django_future.store.due import DueQuery
from django_future.store.leases import not_complete
from django_future.store.server_clock import ServerClock
from django_future.store.server_sessions import SessionId

LOCK_WAIT_TIMEOUT, DEADLOCK, LOCKED_NOWAIT = 1205, 1213, 3572
SHORT_LOCK_WAIT_SECONDS = 1  # the least that the server accepts, unless it does not wait at all
STATUS_IN_TRANSACTION = 1  # a bit of the status that the server sends with each answer

# Not ||, which means OR. Not as text, because names that differ only in case would be equal.
HANDLER = "CAST(CONCAT(callable_name, ' ', COALESCE(content_type_id, 0)) AS BINARY)"


class MySQLStore(Store):
    """Claims with SKIP LOCKED, then writes by primary key."""

    # The database sends no notification. With this interval, a worker notices in time each job that
    # is scheduled a second ahead. Shorter intervals start urgent jobs sooner, but polls are most of
    # the cost of an idle worker.
    poll_interval = timedelta(seconds=0.95)

    # Otherwise an estimate of the due rows may make the planner use, and lock, another index.
    index_hint = "FORCE INDEX ({})"

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self.due_query = DueQuery(alias, self.index_hint, HANDLER)
        self._clock = ServerClock(self._server_time)
        # By the driver's connection.
        self._origins: WeakKeyDictionary[Any, str] = WeakKeyDictionary()

    def now(self) -> datetime:
        return self._clock.now()

    def synchronise(self) -> None:
        self._clock.synchronise()

    @property
    def round_trip(self) -> timedelta:
        return self._clock.round_trip

    def is_contention(self, error: OperationalError) -> bool:
        return error.args[:1] in {(LOCK_WAIT_TIMEOUT,), (DEADLOCK,), (LOCKED_NOWAIT,)}

    @contextmanager
    def short_lock_waits(self) -> Iterator[None]:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SET @django_future_lock_wait = @@SESSION.innodb_lock_wait_timeout, "
                f"SESSION innodb_lock_wait_timeout = {SHORT_LOCK_WAIT_SECONDS}"
            )
        try:
            yield
        finally:
            # Past Django, which refuses statements after an error. The connection may be closed.
            with suppress(Exception), closing(self.connection.connection.cursor()) as cursor:
                cursor.execute("SET SESSION innodb_lock_wait_timeout = @django_future_lock_wait")

    def is_idle(self, session: Any) -> bool:
        return not _is_in_transaction(session)

    def is_usable(self, session: Any) -> bool:
        # Not ping(), because some drivers then open another connection and hide the loss.
        try:
            with closing(session.cursor()) as cursor:
                cursor.execute("SELECT 1")
        except Exception:  # noqa: BLE001 - each driver has its own errors
            return False
        return True

    def descriptor(self, session: Any) -> int | None:
        # PyMySQL's socket, or mysqlclient's method.
        source = getattr(session, "_sock", session)
        return int(source.fileno()) if hasattr(source, "fileno") else None

    @contextmanager
    def transaction(self) -> Iterator[Callable[[], bool]]:
        is_used = False
        connection = self.connection

        def track_query(execute: Callable[..., Any], *query: Any) -> Any:
            nonlocal is_used
            is_used = True
            try:
                return execute(*query)
            except OperationalError as error:
                # The server has rolled back the whole transaction. A handler that catches the error
                # would continue in a new one, without its earlier writes.
                if error.args[:1] == (DEADLOCK,):
                    connection.needs_rollback = True
                raise

        block = transaction.atomic(using=self.alias, durable=True)
        with block, connection.execute_wrapper(track_query):
            session = connection.connection
            count = _query_count(session)
            # The driver notices procedures and statements that Django does not send.
            yield lambda: is_used or _is_in_transaction(session) or _query_count(session) != count

    def session_id(self) -> SessionId | None:
        self.connection.ensure_connection()
        session = self.connection.connection
        number = int(session.thread_id())
        with self.connection.cursor() as cursor:
            # Behind a proxy, the client sees the proxy's number, and the server's session may serve
            # other clients.
            cursor.execute("SELECT CONNECTION_ID() + 0")
            if cursor.fetchone() != (number,):
                return None
            self._origins[session] = self._origin(cursor)
        return SessionId(number, self._origins[session])

    def interrupt(self, session: Any) -> None:
        self._send_to_server("KILL QUERY %s", session)

    def kill_session(self, session: Any) -> None:
        self._send_to_server("KILL %s", session)

    def kill_sessions(self, sessions: Sequence[SessionId]) -> None:
        with self.connection.cursor() as cursor:
            origin = self._origin(cursor)
            cursor.execute(
                """
                SELECT id FROM information_schema.processlist
                WHERE id IN %s AND id <> CONNECTION_ID()
                AND user = SUBSTRING_INDEX(USER(), '@', 1)
                """,
                [[session.number for session in sessions if session.origin == origin] or [0]],
            )
            for (number,) in cursor.fetchall():
                with suppress(OperationalError):  # the session may have ended since
                    cursor.execute("KILL %s", [number])

    def server_age(self) -> timedelta:
        with self.connection.cursor() as cursor:
            cursor.execute("SHOW GLOBAL STATUS LIKE 'Uptime'")
            ((_, seconds),) = cursor.fetchall()
        return timedelta(seconds=int(seconds))

    @retry_on_contention
    def finish_all(self, jobs: Sequence[ScheduledJob]) -> list[ScheduledJob]:
        # Locks the rows that no rival has locked, until the transaction commits. Waiting for a row
        # that is locked could delay all completions for up to a minute.
        with transaction.atomic(using=self.alias), self.connection.cursor() as cursor:
            rows = self.jobs.filter(pk__in=[job.pk for job in jobs])
            unlocked_rows = rows.select_for_update(skip_locked=True)
            unlocked_ids = set(unlocked_rows.values_list("pk", flat=True))
            unlocked = [job for job in jobs if job.pk in unlocked_ids]
            written = self._finish_rows(cursor, unlocked) if unlocked else 0
        return [] if written == len(jobs) else not_complete(self, jobs)

    def _finish_rows(self, cursor: CursorWrapper, jobs: Sequence[ScheduledJob]) -> int:
        # One statement, because executemany() would send one for each job.
        rows = " UNION ALL ".join([f"SELECT {', '.join(['%s'] * len(NAMES))}"] * len(jobs))
        cursor.execute(
            f"""
            UPDATE django_future_scheduledjob AS job
            JOIN (WITH ended ({", ".join(NAMES)}) AS ({rows}) SELECT * FROM ended) AS finished
            USING (id, lease, worker)
            SET job.status = 'complete', job.started_at = finished.started_at,
                job.finished_at = finished.finished_at,
                job.return_value = finished.return_value, job.error = '',
                job.unique_key = NULL
            WHERE job.status = 'running'
            """,
            [value for job in jobs for value in completion_parameters(job, self.connection)],
        )
        return int(cursor.rowcount)

    def _send_to_server(self, sql: str, session: Any) -> None:
        with self.connection.wrap_database_errors:
            number = session.thread_id()
        origin = self._origins.get(session)
        with self.connection.cursor() as cursor:
            # After a restart, the server may have given the number to another session.
            if origin is None or origin == self._origin(cursor):
                cursor.execute(sql, [number])

    def _origin(self, cursor: CursorWrapper) -> str:
        """Return the start time and the host of the server, which number its sessions together."""
        # Both times refer to the start of the statement, in whole seconds, so their difference is
        # constant until the server restarts.
        schema = "information_schema" if self._is_mariadb else "performance_schema"
        cursor.execute(
            f"""
            SELECT CONCAT(UNIX_TIMESTAMP() - CAST(VARIABLE_VALUE AS SIGNED), ' ', @@hostname)
            FROM {schema}.global_status WHERE VARIABLE_NAME = 'Uptime'
            """
        )
        (origin,) = cursor.fetchone()
        return str(origin)

    @property
    def _is_mariadb(self) -> bool:
        return bool(getattr(self.connection, "mysql_is_mariadb", False))

    def _server_time(self) -> datetime:
        with self.connection.cursor() as cursor:
            # Not NOW(), because the session may have any time zone.
            cursor.execute("SELECT UTC_TIMESTAMP(6)")
            server_time: datetime = cursor.fetchone()[0]
        return server_time.replace(tzinfo=UTC)


def _is_in_transaction(session: Any) -> bool:
    # PyMySQL stores the status that comes with each answer of the server.
    return bool(getattr(session, "server_status", 0) & STATUS_IN_TRANSACTION)


def _query_count(session: Any) -> int:
    """Return how many queries a connection of mysqlclient, which has no status, has sent."""
    if hasattr(session, "server_status"):
        return 0
    counts = vars(session)
    if "queries_sent" not in counts:
        send = session.query

        def count_and_send(query: Any) -> Any:
            session.queries_sent += 1
            return send(query)

        session.queries_sent, session.query = 0, count_and_send
    return int(session.queries_sent)
