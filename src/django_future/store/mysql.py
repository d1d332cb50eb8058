"""MariaDB and MySQL: the portable claim, their clock, and the signs of a lost deadlock."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

from django.db import OperationalError, transaction
from django.db.backends.utils import CursorWrapper

from django_future.models import ScheduledJob
from django_future.store.base import Store
from django_future.store.completion import NAMES, completion
from django_future.store.contention import retry_on_contention
from django_future.store.due import DueQuery
from django_future.store.leases import not_complete
from django_future.store.server_clock import ServerClock
from django_future.store.server_sessions import SessionId

LOCK_WAIT_TIMEOUT, DEADLOCK = 1205, 1213
STATUS_IN_TRANSACTION = 1  # a bit of the status that the server sends with each answer

# || is OR; and as text, names that differ in nothing but their case would be equal.
HANDLER = "CAST(CONCAT(callable_name, ' ', COALESCE(content_type_id, 0)) AS BINARY)"


class MySQLStore(Store):
    """Claims with SKIP LOCKED, then writes by primary key."""

    # Nothing tells that a job was scheduled, so a worker looks just often enough to know of each
    # that is scheduled a second ahead. More often would be sooner for those that are due at once,
    # but most of what an idle worker costs is these looks.
    poll_interval = timedelta(seconds=0.95)

    # A guess at how many rows are due must not lead to another index, and to locks on its rows.
    index_hint = "FORCE INDEX ({})"

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self.due_query = DueQuery(alias, self.index_hint, HANDLER)
        self._clock = ServerClock(self._server_time)
        self._origins: WeakKeyDictionary[Any, str] = WeakKeyDictionary()  # by driver's session

    def now(self) -> datetime:
        return self._clock.now()

    def synchronise(self) -> None:
        self._clock.synchronise()

    @property
    def round_trip(self) -> timedelta:
        return self._clock.round_trip

    def is_contention(self, error: OperationalError) -> bool:
        return error.args[:1] in {(LOCK_WAIT_TIMEOUT,), (DEADLOCK,)}

    def is_idle(self, session: Any) -> bool:
        return not _is_in_transaction(session)

    def is_usable(self, session: Any) -> bool:
        # Not ping(), which opens another connection with some drivers, and so hides the loss.
        try:
            with closing(session.cursor()) as cursor:
                cursor.execute("SELECT 1")
        except Exception:  # noqa: BLE001 - there are several drivers, each with errors of its own
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

        def note(execute: Callable[..., Any], *query: Any) -> Any:
            nonlocal is_used
            is_used = True
            try:
                return execute(*query)
            except OperationalError as error:
                # The server has rolled back the whole transaction. A handler that caught this
                # would go on in another one, which lacks what it wrote before.
                if error.args[:1] == (DEADLOCK,):
                    connection.needs_rollback = True
                raise

        block = transaction.atomic(using=self.alias, durable=True)
        with block, connection.execute_wrapper(note):
            session = connection.connection
            count = _queries_of(session)
            # The driver tells of procedures, and of statements that do not pass through Django.
            yield lambda: is_used or _is_in_transaction(session) or _queries_of(session) != count

    def session_id(self) -> SessionId | None:
        self.connection.ensure_connection()
        session = self.connection.connection
        number = int(session.thread_id())
        with self.connection.cursor() as cursor:
            # A proxy tells a number of its own. The server's session is not this connection's.
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
                [[each.number for each in sessions if each.origin == origin] or [0]],
            )
            for (number,) in cursor.fetchall():
                with suppress(OperationalError):  # it has just ended by itself
                    cursor.execute("KILL %s", [number])

    def server_age(self) -> timedelta:
        with self.connection.cursor() as cursor:
            cursor.execute("SHOW GLOBAL STATUS LIKE 'Uptime'")
            ((_, seconds),) = cursor.fetchall()
        return timedelta(seconds=int(seconds))

    @retry_on_contention
    def finish_all(self, jobs: Sequence[ScheduledJob]) -> list[ScheduledJob]:
        # Locks, until it commits, those of the rows that no rival has locked. One that is locked
        # would keep all from being recorded for as long as a rival likes, or a minute.
        with transaction.atomic(using=self.alias), self.connection.cursor() as cursor:
            rows = self.jobs.filter(pk__in=[job.pk for job in jobs])
            free = set(rows.select_for_update(skip_locked=True).values_list("pk", flat=True))
            ended = [job for job in jobs if job.pk in free]
            written = self._finish_rows(cursor, ended) if ended else 0
        return [] if written == len(jobs) else not_complete(self, jobs)

    def _finish_rows(self, cursor: CursorWrapper, jobs: Sequence[ScheduledJob]) -> int:
        # One statement, where executemany() would send one for each job.
        ends = " UNION ALL ".join([f"SELECT {', '.join(['%s'] * len(NAMES))}"] * len(jobs))
        cursor.execute(
            f"""
            UPDATE django_future_scheduledjob AS job
            JOIN (WITH ended ({", ".join(NAMES)}) AS ({ends}) SELECT * FROM ended) AS finished
            USING (id, lease, worker)
            SET job.status = 'complete', job.started_at = finished.started_at,
                job.finished_at = finished.finished_at,
                job.return_value = finished.return_value, job.error = '',
                job.unique_key = NULL
            WHERE job.status = 'running'
            """,
            [value for job in jobs for value in completion(job, self.connection)],
        )
        return int(cursor.rowcount)

    def _send_to_server(self, sql: str, session: Any) -> None:
        with self.connection.wrap_database_errors:
            number = session.thread_id()
        origin = self._origins.get(session)
        with self.connection.cursor() as cursor:
            # A server that was started again has given the number to another session.
            if origin is None or origin == self._origin(cursor):
                cursor.execute(sql, [number])

    def _origin(self, cursor: CursorWrapper) -> str:
        """Return which life of which server numbers its sessions now: its start, and its host."""
        # Both instants are that of the statement's start, in whole seconds, so the difference is
        # the same for as long as the server lives.
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
            # The session's time zone may be any, so not NOW().
            cursor.execute("SELECT UTC_TIMESTAMP(6)")
            server_time: datetime = cursor.fetchone()[0]
        return server_time.replace(tzinfo=UTC)


def _is_in_transaction(session: Any) -> bool:
    # PyMySQL passes on the status that comes with each answer of the server.
    return bool(getattr(session, "server_status", 0) & STATUS_IN_TRANSACTION)


def _queries_of(session: Any) -> int:
    """Return how many queries a connection of mysqlclient, which tells no status, has sent."""
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
