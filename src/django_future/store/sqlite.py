"""The store on SQLite, where one connection writes at a time and takes the write lock first."""

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

from django_future import clock
from django_future.exceptions import DatabaseReplaced
from django_future.models import ScheduledJob, Worker
from django_future.models.fields import as_parameter
from django_future.status import Status
from django_future.store.base import BATCH_SIZE, SET_CLAIMED, Expired, Store
from django_future.store.claimed import COLUMNS, jobs_from_rows
from django_future.store.completion import completion_parameters, finish
from django_future.store.contention import retry_on_contention, with_retries
from django_future.store.due import PriorityHead
from django_future.store.leases import lease_lost
from django_future.store.selection import EVERYTHING, Selection
from django_future.store.unreadable import escaped, fail_unreadable, is_unreadable

T = TypeVar("T")

logger = logging.getLogger("django_future")

FINISH = finish(lambda _: "?")
LOCK_RETRY_SECONDS = 0.05  # between two tries that each wait for the connection's timeout
LISTEN_INTERVAL_SECONDS = 0.1  # between two checks whether another connection has committed


class SQLiteStore(Store):
    """Claims under the write lock, and takes it before the first query of a handler."""

    notices_every_commit = True

    # With statistics of a smaller table, SQLite reads the whole table to find a thousand ids.
    deletes_singly = True

    # Otherwise SQLite collects and sorts all scheduled jobs.
    index_hint = "INDEXED BY {}"

    write_lock = "UPDATE django_future_worker SET pid = pid WHERE 0"

    def is_contention(self, error: OperationalError) -> bool:
        return "locked" in str(error)

    def next_due(self, selection: Selection = EVERYTHING) -> datetime | None:
        return self._without_unreadable(partial(super().next_due, selection))

    def _claim_until_full(
        self,
        claimed: list[ScheduledJob],
        worker: Worker,
        selection: Selection,
        *,
        at: datetime,
        limit: int,
    ) -> None:
        # Also around the queries for the priorities and the queues, which read texts, too.
        claim = super()._claim_until_full
        self._without_unreadable(partial(claim, claimed, worker, selection, at=at, limit=limit))

    def _without_unreadable(self, query: Callable[[], T]) -> T:
        """Return the result of `query`; if rows are unreadable, fail their jobs and repeat it."""
        try:
            return query()
        except OperationalError as error:
            if not is_unreadable(error) or not fail_unreadable(self):
                raise
        return query()

    def _claim_priority(
        self, worker: Worker, selection: Selection, head: PriorityHead, *, at: datetime, limit: int
    ) -> list[ScheduledJob]:
        return self._without_unreadable(
            lambda: self._claim_due(worker, selection, head, at=at, limit=limit)
        )

    def _claim_due(
        self, worker: Worker, selection: Selection, head: PriorityHead, *, at: datetime, limit: int
    ) -> list[ScheduledJob]:
        # Holds the database's write lock for this one statement. A rival waits for the lock, and
        # then no longer sees these rows as scheduled. The transaction rolls the statement back if
        # a returned row is unreadable.
        started_at = self.now()
        due, parameters = self.due_query.due(head, selection, at=at, limit=limit, columns="id")
        with transaction.atomic(using=self.alias), self.connection.cursor() as cursor:
            cursor.execute(
                f"""
                UPDATE django_future_scheduledjob
                SET {SET_CLAIMED}
                WHERE id IN ({due}) RETURNING {COLUMNS}
                """,
                [worker.name, as_parameter(started_at, self.connection), *parameters],
            )
            return jobs_from_rows(cursor.fetchall(), self, worker, started_at)

    def listen(self, on_notify: Callable[[], None], stopped: Event) -> None:
        """Call `on_notify` when another connection has committed.

        Raises `DatabaseReplaced` if another file is at the path of the open database.
        """
        seen_version = opened_file = None
        while not stopped.is_set():
            # data_version changes when another connection has committed. Reading it takes no lock
            # and no disk access.
            with suppress(DatabaseError), self.connection.wrap_database_errors:
                if self.connection.connection is None:
                    self.connection.ensure_connection()
                    opened_file = self._file()
                version = self.connection.connection.execute("PRAGMA data_version").fetchone()
                if version != seen_version:
                    seen_version = version
                    on_notify()
            if opened_file is not None and self._file() != opened_file:
                raise DatabaseReplaced(
                    f"The file of the database {self.alias!r} was deleted or replaced while this "
                    "process had it open. Its writes are lost. Restart the process."
                )
            stopped.wait(LISTEN_INTERVAL_SECONDS)
        self.connection.close()

    def _file(self) -> tuple[int, int] | None:
        """Return the identity of the file at the path of the database; None without a file."""
        try:
            found = os.stat(self.connection.settings_dict["NAME"])  # noqa: PTH116 - each 100 ms
        except (OSError, ValueError):
            return None  # also for a database in memory
        return found.st_dev, found.st_ino

    def is_idle(self, session: Any) -> bool:
        return not session.in_transaction

    def is_intact(self, session: Any) -> bool:
        # SQLite can roll back a transaction by itself, for example if a constraint says ROLLBACK or
        # the disk is full. Later statements would then commit without the earlier ones.
        return bool(session.in_transaction)

    def interrupt(self, session: Any) -> None:
        with self.connection.wrap_database_errors:
            session.interrupt()

    def kill_session(self, session: Any) -> None:
        with self.connection.wrap_database_errors:
            session.close()

    @retry_on_contention
    def expire(self, at: datetime) -> list[Expired]:
        # Holds the database's write lock for this one statement. A rival waits for the lock, and
        # then no longer sees these rows as scheduled. `index_hint` says why the index is named.
        now = self.now()
        parameters = [as_parameter(instant, self.connection) for instant in (now, at)]
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
                RETURNING id, CAST(callable_name AS BLOB), CAST(queue_name AS BLOB),
                    task_backend IS NOT NULL
                """,
                [*parameters, BATCH_SIZE],
            )
            # The names are read as bytes, because a name may not be UTF-8.
            return [
                Expired(pk, escaped(name), escaped(queue_name), bool(is_task), clock.to_row(now))
                for pk, name, queue_name, is_task in cursor.fetchall()
            ]

    @contextmanager
    def transaction(self) -> Iterator[Callable[[], bool]]:
        # SQLite refuses, without waiting, a write in a transaction that read before another
        # connection wrote. So the handler's first query waits for the write lock before it runs.
        # A handler without queries blocks no other connection.
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
            initial_changes = session.total_changes
            stack.enter_context(self.connection.execute_wrapper(lock_first))
            yield lambda: is_locked or session.total_changes != initial_changes

    @contextmanager
    def _beginning_deferred(self) -> Iterator[None]:
        """Begin transactions without a lock, even if the project's OPTIONS say IMMEDIATE."""
        connection: Any = self.connection
        mode, connection.transaction_mode = connection.transaction_mode, None
        try:
            yield
        finally:
            connection.transaction_mode = mode

    def _wait_for_write_lock(self) -> None:
        # Without a limit: the watchdog interrupts a handler that has a timeout, and while another
        # connection holds the lock, no other worker can rescue this worker's jobs.
        while True:
            try:
                self._request_write_lock()
            except OperationalError as error:
                if not self.is_contention(error):
                    raise
                logger.warning("A job waits until another connection releases the write lock")
                time.sleep(LOCK_RETRY_SECONDS)
            else:
                return

    def finish(self, job: ScheduledJob) -> None:
        # Without Django's cursor, which takes several times as long as the statement.
        connection = self.connection
        values = completion_parameters(job, connection)

        def write() -> int:
            with connection.wrap_database_errors:
                return int(connection.connection.execute(FINISH, values).rowcount)

        if not with_retries(self, write):
            raise lease_lost(job)
        job.status = Status.COMPLETE

    def take_write_lock(self) -> None:
        with_retries(self, self._request_write_lock)

    def _request_write_lock(self) -> None:
        with self.connection.wrap_database_errors:
            self.connection.connection.execute(self.write_lock)
