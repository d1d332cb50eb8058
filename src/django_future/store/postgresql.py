"""PostgreSQL: a claim is one statement and one round trip."""

from datetime import datetime

from django.db import OperationalError

from django_future import clock
from django_future.models import ScheduledJob, Worker
from django_future.store.base import Store, in_order
from django_future.store.contention import patient
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

    @patient
    def claim(
        self, worker: Worker, *, at: datetime, limit: int, up_to_id: int | None = None
    ) -> list[ScheduledJob]:
        # Locks the rows it takes, for the length of this one statement. A rival skips them and
        # takes the next ones. The CTE is there because a plain subquery with LIMIT may be run more
        # than once by the planner, and then claims more than the limit.
        claimed = self.jobs.raw(
            """
            WITH due AS MATERIALIZED (
                SELECT id FROM django_future_scheduledjob
                WHERE status = 'scheduled' AND scheduled_at <= %(at)s
                AND (expires_at IS NULL OR expires_at > %(at)s)
                AND (%(up_to_id)s::bigint IS NULL OR id <= %(up_to_id)s)
                ORDER BY priority DESC, scheduled_at, id
                LIMIT %(limit)s
                FOR UPDATE SKIP LOCKED
            )
            UPDATE django_future_scheduledjob AS job
            SET status = 'running', worker = %(worker)s, lease = lease + 1,
                attempts = attempts + 1, started_at = %(now)s
            FROM due WHERE job.id = due.id
            RETURNING job.*
            """,
            {
                "at": at,
                "now": self.now(),
                "up_to_id": up_to_id,
                "limit": limit,
                "worker": worker.name,
            },
        )
        return in_order(claimed)

    def _server_time(self) -> datetime:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT CLOCK_TIMESTAMP()")
            (server_time,) = cursor.fetchone()
        return clock.from_row(server_time)
