"""SQLite: one writer at a time, so what matters is to ask for the write lock first."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import OperationalError

from django_future import clock
from django_future.fields import InstantField
from django_future.models import ScheduledJob, Worker
from django_future.store.base import BATCH, Store, in_order
from django_future.store.contention import patient, repeat


class SQLiteStore(Store):
    """Claims under the write lock; locks before a handler's first query."""

    def is_contention(self, error: OperationalError) -> bool:
        return "locked" in str(error)

    @patient
    def claim(
        self, worker: Worker, *, at: datetime, limit: int, up_to_id: int | None = None
    ) -> list[ScheduledJob]:
        # Holds the database's write lock for the length of this one statement; a rival waits for
        # it, and then no longer sees these rows as scheduled. The index is named because SQLite
        # would rather collect and sort all that is scheduled.
        claimed = self.jobs.raw(
            """
            UPDATE django_future_scheduledjob
            SET status = 'running', worker = %(worker)s, lease = lease + 1,
                attempts = attempts + 1, started_at = %(now)s
            WHERE id IN (
                SELECT id FROM django_future_scheduledjob INDEXED BY future_job_due
                WHERE status = 'scheduled' AND scheduled_at <= %(at)s
                AND (expires_at IS NULL OR expires_at > %(at)s)
                AND (%(up_to_id)s IS NULL OR id <= %(up_to_id)s)
                ORDER BY priority DESC, scheduled_at, id
                LIMIT %(limit)s
            )
            RETURNING *
            """,
            {
                "at": self._column_text(at),
                "now": self._column_text(self.now()),
                "up_to_id": up_to_id,
                "limit": limit,
                "worker": worker.name,
            },
        )
        return in_order(claimed)

    @patient
    def expire(self, at: datetime) -> int:
        # The index is named for the reason given above.
        with self.connection.cursor() as cursor:
            cursor.execute(
                """
                UPDATE django_future_scheduledjob SET status = 'expired', finished_at = %s
                WHERE id IN (
                    SELECT id FROM django_future_scheduledjob INDEXED BY future_job_expires
                    WHERE status = 'scheduled' AND expires_at <= %s
                    LIMIT %s
                )
                """,
                [self._column_text(self.now()), self._column_text(at), BATCH],
            )
            return int(cursor.rowcount)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        # SQLite refuses outright, without waiting, to let a transaction write that has read before
        # another one wrote. So the handler's first query takes the write lock first, and waits for
        # it. Until then a handler that asks the database nothing keeps nobody out.
        is_locked = False

        def lock_first(execute: Callable[..., Any], *query: Any) -> Any:
            nonlocal is_locked
            if not is_locked:
                self.take_write_lock()
                is_locked = True
            return execute(*query)

        with super().transaction(), self.connection.execute_wrapper(lock_first):
            yield

    def take_write_lock(self) -> None:
        """Become the open transaction that writes, having waited for the one that does."""
        repeat(self, self._write_nothing)

    def _write_nothing(self) -> None:
        with self.connection.wrap_database_errors:
            self.connection.connection.execute("UPDATE django_future_worker SET pid = pid WHERE 0")

    def _column_text(self, instant: datetime) -> Any:
        return InstantField().get_db_prep_value(clock.to_row(instant), self.connection)
