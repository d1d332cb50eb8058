"""PostgreSQL: a claim is one statement and one round trip."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from threading import Event
from weakref import WeakSet

from django.db import DatabaseError, InterfaceError, OperationalError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.signals import post_save, pre_save

from django_future import clock
from django_future.models import ScheduledJob, Worker
from django_future.store.base import Store
from django_future.store.contention import patient
from django_future.store.rows import FIELDS, columns
from django_future.store.selection import EVERYTHING, Selection
from django_future.store.server_clock import ServerClock

logger = logging.getLogger("django_future")

CHANNEL = "django_future"
BETWEEN_HINTS = 0.01  # seconds
BETWEEN_ATTEMPTS = 5  # seconds
WORTH_A_HINT = timedelta(minutes=1)  # what is due later, every poll finds in time


class PostgreSQLStore(Store):
    """Claims with SKIP LOCKED and RETURNING."""

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self._clock = ServerClock(self._server_time)
        self._hinted_at = -math.inf
        self._claiming: WeakSet[object] = WeakSet()

    def now(self) -> datetime:
        return self._clock.now()

    def synchronise(self) -> None:
        self._clock.synchronise()

    def is_contention(self, error: OperationalError) -> bool:
        return getattr(error.__cause__, "sqlstate", None) in {"40001", "40P01", "55P03"}

    def add(self, jobs: Sequence[ScheduledJob]) -> None:
        soonest = min((clock.from_row(job.scheduled_at) for job in jobs), default=None)
        is_soon = soonest is not None and soonest - clock.now() < WORTH_A_HINT
        if len(jobs) == 1 and not _is_saving_watched():
            self._insert(jobs[0], is_soon=is_soon)
            return
        super().add(jobs)
        if is_soon:
            transaction.on_commit(self.hint, using=self.alias, robust=True)

    def _insert(self, job: ScheduledJob, *, is_soon: bool) -> None:
        # One round trip, the hint included, unless it must wait for somebody's commit.
        is_hinting = is_soon and not self.connection.in_atomic_block and self._may_hint()
        hint = f", PG_NOTIFY('{CHANNEL}', '')" if is_hinting else ""
        values = [
            field.get_db_prep_save(field.pre_save(job, add=True), self.connection)
            for field in FIELDS[1:]
        ]
        placeholders = ", ".join(["%s"] * len(values))
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"""
                INSERT INTO django_future_scheduledjob ({columns(FIELDS[1:])})
                VALUES ({placeholders}) RETURNING id{hint}
                """,  # noqa: S608 - all of it is written in this package
                values,
            )
            job.pk = cursor.fetchone()[0]
        job._state.adding = False
        if is_soon and self.connection.in_atomic_block:
            transaction.on_commit(self.hint, using=self.alias, robust=True)

    def watch(self, wake: Callable[[], None], stopped: Event) -> None:
        while not stopped.is_set():
            # A connection that does nothing else. Behind PgBouncer it may hear nothing, and where
            # it breaks the worker polls meanwhile.
            listener = self.connection.copy()
            try:
                _listen(listener, wake, stopped)
            except (DatabaseError, InterfaceError) as error:
                logger.warning("Hints are interrupted, polling meanwhile: %s", error)
                stopped.wait(BETWEEN_ATTEMPTS)
            finally:
                listener.close()

    def session_id(self) -> int:
        self.connection.ensure_connection()
        return int(self.connection.connection.info.backend_pid)

    def end_sessions(self, worker: Worker) -> None:
        with self.connection.cursor() as cursor:
            # Those that began after the worker was last seen are somebody else's, with a number
            # that was used before.
            cursor.execute(
                """
                SELECT PG_TERMINATE_BACKEND(pid) FROM pg_stat_activity
                WHERE pid = ANY(%s) AND usename = CURRENT_USER AND backend_start <= %s
                """,
                [worker.sessions, self.parameter(clock.from_row(worker.seen_at))],
            )

    def hint(self) -> None:
        if self._may_hint():
            with self.connection.cursor() as cursor:
                cursor.execute(f"NOTIFY {CHANNEL}")

    def _may_hint(self) -> bool:
        # At most one in a while: at its commit a NOTIFY takes a lock that all others wait for.
        # A worker that was told looks again a little later, and so finds those that were left out.
        now = time.monotonic()
        if now - self._hinted_at < BETWEEN_HINTS:
            return False
        self._hinted_at = now
        return True

    def next_due(self, selection: Selection = EVERYTHING) -> datetime | None:
        queue_names = list(self.levels.queue_names(selection))
        sql = f"""
            WITH RECURSIVE {_levels(queue_names)}
            SELECT MIN(job.scheduled_at) FROM level CROSS JOIN LATERAL (
                SELECT scheduled_at FROM django_future_scheduledjob
                WHERE status = 'scheduled' AND priority = level.priority {_same(queue_names)}
                AND (expires_at IS NULL OR expires_at > %s) {selection.sql}
                ORDER BY scheduled_at LIMIT 1
            ) AS job
        """  # noqa: S608 - all of it is written in this package
        with self.connection.cursor() as cursor:
            cursor.execute(sql, [queue_names, self.parameter(self.now()), *selection.parameters])
            (scheduled_at,) = cursor.fetchone()
        return scheduled_at and clock.from_row(scheduled_at)

    def prepare_to_claim(self) -> None:
        # A claim that a crash of the server forgets leaves its job scheduled, with a lease that the
        # worker's transaction then fails to match. So a claim need not wait for the disk.
        session = self.open_session()
        if session not in self._claiming:
            with self.connection.cursor() as cursor:
                cursor.execute("SET synchronous_commit TO off")
            self._claiming.add(session)

    @patient
    def claim(
        self, worker: Worker, selection: Selection = EVERYTHING, *, at: datetime, limit: int
    ) -> list[ScheduledJob]:
        # Locks the rows it takes, for the length of this one statement. A rival skips them and
        # takes the next ones. It visits one priority after the other, and stops once it has enough:
        # what is due stands at the head of each, and future jobs behind it cost nothing. `due` is
        # materialized lest the planner run it more than once, and claim more than the limit.
        queue_names = list(self.levels.queue_names(selection))
        instant = self.parameter(at)
        return self._read_jobs(
            f"""
            WITH RECURSIVE {_levels(queue_names)}, due AS MATERIALIZED (
                SELECT job.id
                FROM (SELECT * FROM level ORDER BY priority DESC) AS level CROSS JOIN LATERAL (
                    SELECT id FROM django_future_scheduledjob
                    WHERE status = 'scheduled' AND priority = level.priority {_same(queue_names)}
                    AND scheduled_at <= %s AND (expires_at IS NULL OR expires_at > %s)
                    {selection.sql} ORDER BY scheduled_at, id LIMIT %s
                    FOR UPDATE SKIP LOCKED
                ) AS job LIMIT %s
            )
            UPDATE django_future_scheduledjob AS job
            SET status = 'running', worker = %s, lease = lease + 1, attempts = attempts + 1,
                started_at = %s
            FROM due WHERE job.id = due.id
            RETURNING {columns(prefix="job.")}
            """,  # noqa: S608 - all of it is written in this package
            [
                queue_names,
                instant,
                instant,
                *selection.parameters,
                limit,
                limit,
                worker.name,
                self.parameter(self.now()),
            ],
        )

    def _server_time(self) -> datetime:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT CLOCK_TIMESTAMP()")
            (server_time,) = cursor.fetchone()
        return clock.from_row(server_time)


def _levels(queue_names: list[str | None]) -> str:
    """Return a query for each priority that waits, of the queues in an array, or of all."""
    first_below = f"""
        SELECT MAX(priority) FROM django_future_scheduledjob
        WHERE status = 'scheduled' {_same(queue_names)}
    """  # noqa: S608 - all of it is written in this package
    return f"""
        level AS (
            SELECT queue_name, ({first_below}) AS priority
            FROM UNNEST(%s::text[]) AS level (queue_name)
            UNION ALL
            SELECT queue_name, ({first_below} AND priority < level.priority)
            FROM level WHERE level.priority IS NOT NULL
        )
    """  # noqa: S608 - all of it is written in this package


def _same(queue_names: list[str | None]) -> str:
    is_all = queue_names == [None]
    return "" if is_all else "AND django_future_scheduledjob.queue_name = level.queue_name"


def _is_saving_watched() -> bool:
    return pre_save.has_listeners(ScheduledJob) or post_save.has_listeners(ScheduledJob)


def _listen(listener: BaseDatabaseWrapper, wake: Callable[[], None], stopped: Event) -> None:
    listener.ensure_connection()
    with listener.wrap_database_errors:
        listener.connection.execute(f"LISTEN {CHANNEL}")
        wake()
        while not stopped.is_set():
            for _ in listener.connection.notifies(timeout=0.5, stop_after=1):
                wake()
