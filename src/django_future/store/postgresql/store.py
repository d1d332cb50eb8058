"""PostgreSQL: a claim is one statement and one round trip."""

import math
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any, cast

from django.db import DataError, OperationalError, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models.signals import post_save, pre_save

from django_future import clock
from django_future.models import ScheduledJob, Worker
from django_future.options import MAX_PRIORITY
from django_future.status import Status
from django_future.store.base import BATCH_SIZE, Expired, Store
from django_future.store.claimed import jobs_from_rows
from django_future.store.completion import NAMES, completion
from django_future.store.contention import retry_on_contention
from django_future.store.leases import lease_lost, not_complete
from django_future.store.postgresql import statements
from django_future.store.postgresql.insert import copy, insert
from django_future.store.postgresql.notify import CHANNEL, NotifyLimiter, listen
from django_future.store.postgresql.prepared import SETTINGS, forget
from django_future.store.postgresql.statements import (
    MAX_SCAN,
    SCAN_FOR_OTHERS,
    SCAN_PER_QUEUE,
    Queues,
)
from django_future.store.selection import EVERYTHING, Selection
from django_future.store.server_clock import ServerClock
from django_future.store.server_sessions import SessionId

# Of a session: when it began, in microseconds. No other has both this and its process id.
ORIGIN = "((EXTRACT(EPOCH FROM backend_start) * 1000000)::bigint)::text"

MAX_ID = 2**63 - 1  # no id is greater
FIRST = ("-infinity", 0)  # no job is before it
LARGE = 100  # jobs of a claim that need not begin with the first
LOOK_BACK_INTERVAL_SECONDS = 1.0  # seconds
IDLE, IN_TRANSACTION = 0, 2  # of the driver's TransactionStatus

LOCK_TIMEOUT = timedelta(milliseconds=50)  # for the rows of many completions

EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


class PostgreSQLStore(Store):
    """Claims with SKIP LOCKED and RETURNING."""

    claim_round_trips = 1
    plan_settings = SETTINGS

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self._clock = ServerClock(self._server_time)
        self._notify_limiter = NotifyLimiter()
        self._expected = MAX_PRIORITY  # of the next claim, as the latest one was
        self._last: tuple[datetime | str, int] = FIRST  # of the jobs that it claimed
        self._looks_back_at = -math.inf

    def now(self) -> datetime:
        return self._clock.now()

    def synchronise(self) -> None:
        self._clock.synchronise()

    @property
    def round_trip(self) -> timedelta:
        return self._clock.round_trip

    def is_contention(self, error: OperationalError) -> bool:
        return getattr(error.__cause__, "sqlstate", None) in {"40001", "40P01", "55P03"}

    def is_idle(self, session: Any) -> bool:
        return bool(session.pgconn.transaction_status == IDLE)

    def is_intact(self, session: Any) -> bool:
        return session.pgconn.transaction_status in {IDLE, IN_TRANSACTION}

    def forget_session_state(self, session: Any) -> None:
        forget(session)

    def is_usable(self, session: Any) -> bool:
        return not session.closed

    def descriptor(self, session: Any) -> int:
        return int(session.fileno())

    def add(self, jobs: Sequence[ScheduledJob]) -> None:
        if not jobs:
            return
        soonest = min(job.scheduled_at for job in jobs)
        is_soon = self._notify_limiter.is_soon(clock.from_row(soonest))
        is_later = self.connection.in_atomic_block  # a hint before the commit is of no use
        if len(jobs) > 1:
            copy(jobs, self.connection)
        elif _is_saving_watched():
            super().add(jobs)
        else:
            self._insert(jobs[0], is_hinting=is_soon and not is_later)
            is_soon = is_soon and is_later
        if is_soon and (is_later or self.connection.get_autocommit()):
            transaction.on_commit(self.notify, using=self.alias, robust=True)
        elif is_soon:
            self.notify()

    def listen(self, on_notify: Callable[[], None], stopped: Event) -> None:
        listen(self.connection, on_notify, stopped)

    def notify(self) -> None:
        if self._notify_limiter.should_send():
            with self._notify_limiter.sending(self.connection), self.connection.cursor() as cursor:
                cursor.execute(f"NOTIFY {CHANNEL}")

    def session_id(self) -> SessionId | None:
        self.connection.ensure_connection()
        number = int(self.connection.connection.info.backend_pid)
        with self._as_session_user() as cursor:
            # A pooler tells a number of its own. The server's session is not this connection's.
            cursor.execute(
                f"SELECT {ORIGIN} FROM PG_STAT_GET_ACTIVITY(PG_BACKEND_PID()) WHERE pid = %s",
                [number],
            )
            row = cursor.fetchone()
        return SessionId(number, row[0]) if row and row[0] else None

    def interrupt(self, session: Any) -> None:
        with self.connection.wrap_database_errors:
            session.cancel()

    def kill_session(self, session: Any) -> None:
        # To hang up, rather than to name a session to the server, of which a pooler says another.
        # Who waits for its client's next statement hears of it at once.
        with self.connection.wrap_database_errors:
            number = os.dup(session.fileno())
        with suppress(OSError), socket.socket(fileno=number) as connection:
            # Had its thread closed it meanwhile, the number could be that of another connection.
            if not session.closed:
                connection.shutdown(socket.SHUT_RDWR)

    def kill_sessions(self, sessions: Sequence[SessionId]) -> None:
        with self._as_session_user() as cursor:
            cursor.execute(
                f"""
                SELECT PG_TERMINATE_BACKEND(pid) FROM pg_stat_activity
                WHERE usename = SESSION_USER AND pid <> PG_BACKEND_PID()
                AND (pid, {ORIGIN}) IN (SELECT * FROM UNNEST(%s::bigint[], %s::text[]))
                """,
                [[each.number for each in sessions], [each.origin for each in sessions]],
            )

    def server_age(self) -> timedelta:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT CLOCK_TIMESTAMP() - PG_POSTMASTER_START_TIME()")
            (age,) = cursor.fetchone()
        return cast("timedelta", age)

    def next_due(self, selection: Selection = EVERYTHING) -> datetime | None:
        queues, values = self._asked(selection, self.now())
        [(scheduled_at,)] = statements.next_due(queues).rows(self.connection, values)
        return scheduled_at and clock.from_row(scheduled_at)

    @retry_on_contention
    def claim(
        self, worker: Worker, selection: Selection = EVERYTHING, *, at: datetime, limit: int
    ) -> list[ScheduledJob]:
        started_at = self.now()
        queues, values = self._asked(selection, at)
        values |= {"most": limit, "worker": worker.name, "now": started_at}
        if queues is Queues.ALL:
            values["last_scheduled_at"], values["last_id"] = self._last_claimed(limit)
        # A claim that a crash of the server forgets leaves its job scheduled, with a lease that the
        # worker's transaction then fails to match. So a claim need not wait for the disk.
        rows = statements.claim(queues).rows(self.connection, values, is_durable=False)
        jobs = jobs_from_rows(rows, self, worker, started_at)
        self._expected = jobs[-1].priority if jobs else MAX_PRIORITY
        self._last = (clock.from_row(jobs[-1].scheduled_at), jobs[-1].pk) if jobs else FIRST
        return jobs

    def _last_claimed(self, limit: int) -> tuple[datetime | str, int]:
        """Return after which job of the expected priority a claim begins.

        Only a large claim passes those before it, and for a second: one may have been added there.
        """
        now = time.monotonic()
        if limit < LARGE or now >= self._looks_back_at:
            self._looks_back_at = now + LOOK_BACK_INTERVAL_SECONDS
            return FIRST
        return self._last

    @retry_on_contention
    def expire(self, at: datetime) -> list[Expired]:
        values = {"at": at, "now": self.now(), "most": BATCH_SIZE}
        return [Expired(*row) for row in statements.EXPIRE.rows(self.connection, values)]

    def _asked(self, selection: Selection, at: datetime) -> tuple[Queues, dict[str, Any]]:
        queues, names = _queues(selection)
        values = {
            "expected": self._expected,
            "at": at,
            "up_to_id": selection.up_to_id or MAX_ID,
            "unknown_handlers": [*selection.unknown_handlers],
        }
        if queues is not Queues.ALL:
            glance = min(SCAN_PER_QUEUE * len(names), MAX_SCAN)
            glance = glance if queues is Queues.NAMED else SCAN_FOR_OTHERS
            values |= {"queue_names": names, "glance": glance}
        return queues, values

    def instant_reader(self) -> Callable[[int], datetime]:
        return lambda value: EPOCH + value * MICROSECOND

    @contextmanager
    def transaction(self) -> Iterator[Callable[[], bool]]:
        connection = self.connection

        def is_touched() -> bool:
            # The driver begins a transaction with its first statement, whoever sends it.
            session = connection.connection
            return session is None or session.pgconn.transaction_status != IDLE

        if not connection.in_atomic_block:
            statements.FINISH.prepare(connection)
        with transaction.atomic(using=self.alias, durable=True):
            yield is_touched

    def finish(self, job: ScheduledJob) -> None:
        # The record and the commit in one round trip. Where no row is found the statement is an
        # error, so that the COMMIT after it is not executed. After it nothing is left to commit for
        # the block that began the transaction.
        connection = self.connection
        is_outermost = len(connection.atomic_blocks) == 1
        values = dict(zip(NAMES, completion(job, connection), strict=True))
        sql = statements.FINISH.composed(connection, values) + ("; COMMIT" if is_outermost else "")
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
        except DataError as error:
            if statements.IS_LOST in str(error):
                raise lease_lost(job) from error
            raise
        job.status = Status.COMPLETE

    def finish_all(self, jobs: Sequence[ScheduledJob]) -> list[ScheduledJob]:
        results = [job.__dict__["return_value"] for job in jobs]
        values = {
            "ids": _array([job.id for job in jobs]),
            "leases": _array([job.lease for job in jobs]),
            "started_at": _array([_microseconds(job.__dict__["started_at"]) for job in jobs]),
            "finished_at": _array([_microseconds(job.__dict__["finished_at"]) for job in jobs]),
            # A shorter array is continued by NULL.
            "return_values": None if results.count(None) == len(jobs) else results,
            "worker": jobs[0].worker,
        }
        # Locks the rows for the length of this statement. One that a rival has locked for longer
        # is an error, so that the others need not wait for it.
        [(written,)] = statements.FINISH_ALL.rows(
            self.connection, values, lock_timeout=LOCK_TIMEOUT
        )
        return [] if written == len(jobs) else not_complete(self, jobs)

    @contextmanager
    def _as_session_user(self) -> Iterator[CursorWrapper]:
        """Yield a cursor with the rights of the user who logged in, whatever role is assumed."""
        # Only they include to see, and to end, the sessions of that user.
        with transaction.atomic(using=self.alias), self.connection.cursor() as cursor:
            cursor.execute("SELECT CURRENT_SETTING('role')")
            (role,) = cursor.fetchone()
            if role == "none":
                yield cursor
                return
            cursor.execute("SET LOCAL ROLE NONE")
            yield cursor
            # The transaction may be a part of another, which goes on.
            cursor.execute("SELECT SET_CONFIG('role', %s, true)", [role])

    def _insert(self, job: ScheduledJob, *, is_hinting: bool) -> None:
        if is_hinting and self._notify_limiter.should_send():
            # One round trip, the hint included.
            with self._notify_limiter.sending(self.connection):
                insert(job, self.connection, notify=CHANNEL)
        else:
            insert(job, self.connection, notify=None)

    def _server_time(self) -> datetime:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT CLOCK_TIMESTAMP()")
            (server_time,) = cursor.fetchone()
        return clock.from_row(server_time)


def _queues(selection: Selection) -> tuple[Queues, list[str]]:
    if selection.queues:
        names = [name for name in selection.queues if name not in selection.excluded_queues]
        return Queues.NAMED, names
    excluded = [*selection.excluded_queues]
    return (Queues.OTHERS if excluded else Queues.ALL), excluded


def _is_saving_watched() -> bool:
    return pre_save.has_listeners(ScheduledJob) or post_save.has_listeners(ScheduledJob)


def _array(numbers: Sequence[int]) -> str:
    return f"{{{','.join(map(str, numbers))}}}"


def _microseconds(value: datetime) -> int:
    return (clock.from_row(value) - EPOCH) // MICROSECOND
