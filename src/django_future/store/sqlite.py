"""SQLite: one writer at a time, so what matters is to ask for the write lock first."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from functools import partial
from threading import Event
from typing import Any, TypeVar

from django.db import DatabaseError, OperationalError, transaction

from django_future.exceptions import DatabaseReplaced
from django_future.models import ScheduledJob, Worker
from django_future.status import Status
from django_future.store.base import BATCH, Expired, Store
from django_future.store.claimed import CLAIM_COUNTERS, COLUMNS, jobs_from_rows
from django_future.store.completion import completion, finish
from django_future.store.contention import retry_on_contention, with_retries
from django_future.store.due import PriorityHead
from django_future.store.leases import lease_lost
from django_future.store.selection import EVERYTHING, Selection
from django_future.store.unreadable import escaped, fail_unreadable, is_unreadable

T = TypeVar("T")

logger = logging.getLogger("django_future")

FINISH = finish(lambda _: "?")
RETRY_INTERVAL_SECONDS = 0.05  # seconds, after the connection's own timeout
WATCH_INTERVAL_SECONDS = 0.1  # seconds between two looks at whether another process has written


class SQLiteStore(Store):
    """Claims under the write lock; locks before a handler's first query."""

    notices_every_commit = True

    # With statistics of a smaller table SQLite reads all of it to find a thousand ids.
    deletes_singly = True

    # SQLite would rather collect and sort all that is scheduled.
    index_hint = "INDEXED BY {}"

    write_lock = "UPDATE django_future_worker SET pid = pid WHERE 0"

    def is_contention(self, error: OperationalError) -> bool:
        return "locked" in str(error)

    def next_due(self, selection: Selection = EVERYTHING) -> datetime | None:
        return self._without_unreadable(partial(super().next_due, selection))

    def claim(
        self, worker: Worker, selection: Selection = EVERYTHING, *, at: datetime, limit: int
    ) -> list[ScheduledJob]:
        # The name of a queue may be what cannot be read; that is before anything is claimed.
        claim = partial(super().claim, worker, selection, at=at, limit=limit)
        return self._without_unreadable(claim)

    def _without_unreadable(self, ask: Callable[[], T]) -> T:
        """Return what `ask` returns, and fail first what it meets that cannot be read."""
        try:
            return ask()
        except OperationalError as error:
            if not is_unreadable(error) or not fail_unreadable(self):
                raise
        return ask()

    def _claim_level(
        self, worker: Worker, selection: Selection, level: PriorityHead, *, at: datetime, limit: int
    ) -> list[ScheduledJob]:
        return self._without_unreadable(
            lambda: self._claim_due(worker, selection, level, at=at, limit=limit)
        )

    def _claim_due(
        self, worker: Worker, selection: Selection, level: PriorityHead, *, at: datetime, limit: int
    ) -> list[ScheduledJob]:
        # Holds the database's write lock for the length of this one statement; a rival waits for
        # it, and then no longer sees these rows as scheduled. The transaction takes the statement
        # back if a row that it returns cannot be read.
        started_at = self.now()
        due, parameters = self.due_query.due(level, selection, at=at, limit=limit, what="id")
        with transaction.atomic(using=self.alias), self.connection.cursor() as cursor:
            cursor.execute(
                f"""
                UPDATE django_future_scheduledjob
                SET status = 'running', worker = %s, {CLAIM_COUNTERS},
                    started_at = CASE WHEN rescues = 0 AND is_rescuable THEN %s END
                WHERE id IN ({due}) RETURNING {COLUMNS}
                """,
                [worker.name, self.parameter(started_at), *parameters],
            )
            return jobs_from_rows(cursor.fetchall(), self, worker, started_at)

    def listen(self, on_notify: Callable[[], None], stopped: Event) -> None:
        """Call `on_notify` whenever another connection has committed.

        Raises `DatabaseReplaced` if the file that is open is no longer the one at its path.
        """
        seen = opened = None
        while not stopped.is_set():
            # Changes when another connection has committed, and costs no lock and no disk access.
            with suppress(DatabaseError), self.connection.wrap_database_errors:
                if self.connection.connection is None:
                    self.connection.ensure_connection()
                    opened = self._file()
                version = self.connection.connection.execute("PRAGMA data_version").fetchone()
                if version != seen:
                    seen = version
                    on_notify()
            if opened is not None and self._file() != opened:
                raise DatabaseReplaced(
                    f"The file of the database {self.alias!r} was deleted or replaced while this "
                    "process had it open. What it still writes is lost. Start it again."
                )
            stopped.wait(WATCH_INTERVAL_SECONDS)
        self.connection.close()

    def _file(self) -> tuple[int, int] | None:
        """Return which file is at the path of the database; None if there is none."""
        try:
            found = os.stat(self.connection.settings_dict["NAME"])  # noqa: PTH116 - each 100 ms
        except (OSError, ValueError):
            return None  # or the database is in memory, and has no file
        return found.st_dev, found.st_ino

    def is_idle(self, session: Any) -> bool:
        return not session.in_transaction

    def is_intact(self, session: Any) -> bool:
        # SQLite ends a transaction by itself, as when a constraint says ROLLBACK or the disk is
        # full. What follows would be committed without what came before.
        return bool(session.in_transaction)

    def interrupt(self, session: Any) -> None:
        with self.connection.wrap_database_errors:
            session.interrupt()

    def kill_session(self, session: Any) -> None:
        with self.connection.wrap_database_errors:
            session.close()

    @retry_on_contention
    def expire(self, at: datetime) -> list[Expired]:
        # The index is named for the same reason.
        with self.connection.cursor() as cursor:
            cursor.execute(
                """
                UPDATE django_future_scheduledjob
                SET status = 'expired', finished_at = %s, unique_key = NULL
                WHERE id IN (
                    SELECT id FROM django_future_scheduledjob INDEXED BY future_job_expires
                    WHERE status = 'scheduled' AND expires_at <= %s
                    LIMIT %s
                )
                RETURNING id, CAST(callable_name AS BLOB)
                """,
                [self.parameter(self.now()), self.parameter(at), BATCH],
            )
            # As bytes, for a name may not be UTF-8.
            return [Expired(pk, escaped(name)) for pk, name in cursor.fetchall()]

    @contextmanager
    def transaction(self) -> Iterator[Callable[[], bool]]:
        # SQLite refuses outright, without waiting, to let a transaction write that has read before
        # another one wrote. So the handler's first query takes the write lock first, and waits for
        # it. Until then a handler that asks the database nothing keeps nobody out.
        is_locked = False

        def lock_first(execute: Callable[..., Any], *query: Any) -> Any:
            nonlocal is_locked
            if not is_locked:
                self._wait_for_write_lock()
                is_locked = True
            return execute(*query)

        with ExitStack() as stack:
            with self._beginning_deferred():
                stack.enter_context(transaction.atomic(using=self.alias, durable=True))
            session = self.connection.connection
            before = session.total_changes
            stack.enter_context(self.connection.execute_wrapper(lock_first))
            yield lambda: is_locked or session.total_changes != before

    @contextmanager
    def _beginning_deferred(self) -> Iterator[None]:
        """Begin transactions without a lock, also where the project's OPTIONS say IMMEDIATE."""
        connection: Any = self.connection
        mode, connection.transaction_mode = connection.transaction_mode, None
        try:
            yield
        finally:
            connection.transaction_mode = mode

    def _wait_for_write_lock(self) -> None:
        # However long it takes: the watchdog interrupts a handler that has a timeout, and while
        # another holds the lock nobody can take this worker's jobs over.
        while True:
            try:
                self._write_nothing()
            except OperationalError as error:
                if not self.is_contention(error):
                    raise
                logger.warning("A job waits for another connection's write lock on the database")
                time.sleep(RETRY_INTERVAL_SECONDS)
            else:
                return

    def finish(self, job: ScheduledJob) -> None:
        # Past Django's cursor, which takes several times as long as the statement.
        connection = self.connection
        values = completion(job, connection)

        def write() -> int:
            with connection.wrap_database_errors:
                return int(connection.connection.execute(FINISH, values).rowcount)

        if not with_retries(self, write):
            raise lease_lost(job)
        job.status = Status.COMPLETE

    def take_write_lock(self) -> None:
        with_retries(self, self._write_nothing)

    def _write_nothing(self) -> None:
        with self.connection.wrap_database_errors:
            self.connection.connection.execute(self.write_lock)
