"""PostgreSQL: a claim is one statement and one round trip."""

from datetime import datetime

from django.db import OperationalError

from django_future import clock
from django_future.models import ScheduledJob, Worker
from django_future.store.base import Store, in_order
from django_future.store.contention import patient
from django_future.store.selection import EVERYTHING, Selection
from django_future.store.server_clock import ServerClock


class PostgreSQLStore(Store):
    """Claims with SKIP LOCKED and RETURNING."""

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self._clock = ServerClock(self._server_time)

    def now(self) -> datetime:
        return self._clock.now()

    def synchronise(self) -> None:
        self._clock.synchronise()

    def is_contention(self, error: OperationalError) -> bool:
        return getattr(error.__cause__, "sqlstate", None) in {"40001", "40P01", "55P03"}

    def next_due(self, selection: Selection = EVERYTHING) -> datetime | None:
        waiting = f"""
            SELECT priority, scheduled_at FROM django_future_scheduledjob
            WHERE status = 'scheduled' AND (expires_at IS NULL OR expires_at > %s) {selection.sql}
        """  # noqa: S608 - all of it is written in this package
        parameters = [self.parameter(self.now()), *selection.parameters]
        first_of_each_level = f"""
            WITH RECURSIVE level AS (
                ({waiting} ORDER BY priority DESC, scheduled_at LIMIT 1)
                UNION ALL
                SELECT next.* FROM level CROSS JOIN LATERAL (
                    {waiting} AND priority < level.priority
                    ORDER BY priority DESC, scheduled_at LIMIT 1
                ) AS next
            )
            SELECT MIN(scheduled_at) FROM level
        """
        with self.connection.cursor() as cursor:
            cursor.execute(first_of_each_level, [*parameters, *parameters])
            (scheduled_at,) = cursor.fetchone()
        return scheduled_at and clock.from_row(scheduled_at)

    @patient
    def claim(
        self, worker: Worker, selection: Selection = EVERYTHING, *, at: datetime, limit: int
    ) -> list[ScheduledJob]:
        # Locks the rows it takes, for the length of this one statement. A rival skips them and
        # takes the next ones. It visits one priority after the other, and stops once it has enough:
        # what is due stands at the head of each, and future jobs behind it cost nothing. `due` is
        # materialized lest the planner run it more than once, and claim more than the limit.
        claimed = self.jobs.raw(
            f"""
            WITH RECURSIVE level AS (
                SELECT MAX(priority) AS priority FROM django_future_scheduledjob
                WHERE status = 'scheduled'
                UNION ALL
                SELECT (
                    SELECT MAX(priority) FROM django_future_scheduledjob
                    WHERE status = 'scheduled' AND priority < level.priority
                ) FROM level WHERE level.priority IS NOT NULL
            ), due AS MATERIALIZED (
                SELECT job.id FROM level CROSS JOIN LATERAL (
                    SELECT id FROM django_future_scheduledjob
                    WHERE status = 'scheduled' AND priority = level.priority AND scheduled_at <= %s
                    AND (expires_at IS NULL OR expires_at > %s) {selection.sql}
                    ORDER BY scheduled_at, id LIMIT %s
                    FOR UPDATE SKIP LOCKED
                ) AS job LIMIT %s
            )
            UPDATE django_future_scheduledjob AS job
            SET status = 'running', worker = %s, lease = lease + 1, attempts = attempts + 1,
                started_at = %s
            FROM due WHERE job.id = due.id
            RETURNING job.*
            """,  # noqa: S608 - all of it is written in this package
            [
                *[self.parameter(at)] * 2,
                *selection.parameters,
                limit,
                limit,
                worker.name,
                self.parameter(self.now()),
            ],
        )
        return in_order(claimed)

    def _server_time(self) -> datetime:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT CLOCK_TIMESTAMP()")
            (server_time,) = cursor.fetchone()
        return clock.from_row(server_time)
