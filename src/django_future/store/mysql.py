"""MariaDB and MySQL: the portable claim, their clock, and the signs of a lost deadlock."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import OperationalError

from django_future.models import ScheduledJob, Worker
from django_future.store.base import Store
from django_future.store.completion import NAMES, completion
from django_future.store.contention import patient
from django_future.store.levels import Levels
from django_future.store.server_clock import ServerClock

LOCK_WAIT_TIMEOUT, DEADLOCK = 1205, 1213

# || is OR; and as text, names that differ in nothing but their case would be equal.
HANDLER = "CAST(CONCAT(callable_name, ' ', COALESCE(content_type_id, 0)) AS BINARY)"


class MySQLStore(Store):
    """Claims with SKIP LOCKED, then writes by primary key."""

    # Nothing tells that a job was scheduled, so a worker looks often enough to know of each that is
    # scheduled a second ahead.
    poll_interval = timedelta(seconds=0.75)

    # A guess at how many rows are due must not lead to another index, and to locks on its rows.
    index_hint = "FORCE INDEX ({})"

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self.levels = Levels(alias, self.index_hint, HANDLER)
        self._clock = ServerClock(self._server_time)

    def now(self) -> datetime:
        return self._clock.now()

    def synchronise(self) -> None:
        self._clock.synchronise()

    def is_contention(self, error: OperationalError) -> bool:
        return error.args[:1] in {(LOCK_WAIT_TIMEOUT,), (DEADLOCK,)}

    def session_id(self) -> int:
        self.connection.ensure_connection()
        return int(self.connection.connection.thread_id())

    def interrupt(self, session: Any) -> None:
        self._tell_server("KILL QUERY %s", session)

    def cut(self, session: Any) -> None:
        self._tell_server("KILL %s", session)

    def end_sessions(self, worker: Worker) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT id FROM information_schema.processlist
                WHERE id IN %s AND user = SUBSTRING_INDEX(CURRENT_USER(), '@', 1)
                """,
                [worker.sessions or [0]],
            )
            for (session_id,) in cursor.fetchall():
                with suppress(OperationalError):  # it has just ended by itself
                    cursor.execute("KILL %s", [session_id])

    @patient
    def finish_all(self, jobs: Sequence[ScheduledJob]) -> list[ScheduledJob]:
        # One statement, where executemany() would send one for each job.
        ends = " UNION ALL ".join([f"SELECT {', '.join(['%s'] * len(NAMES))}"] * len(jobs))
        connection = self.connection
        with connection.cursor() as cursor:
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
                """,  # noqa: S608 - all of it is written in this package
                [value for job in jobs for value in completion(job, connection)],
            )
            is_each_written = cursor.rowcount == len(jobs)
        return [] if is_each_written else self.not_complete(jobs)

    def _tell_server(self, sql: str, session: Any) -> None:
        with self.connection.wrap_database_errors:
            number = session.thread_id()
        with self.connection.cursor() as cursor:
            cursor.execute(sql, [number])

    def _server_time(self) -> datetime:
        with self.connection.cursor() as cursor:
            # The session's time zone may be any, so not NOW().
            cursor.execute("SELECT UTC_TIMESTAMP(6)")
            server_time: datetime = cursor.fetchone()[0]
        return server_time.replace(tzinfo=UTC)
