"""The store on PostgreSQL, where a claim is one statement and one round trip."""

import math
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from django_future.store.completion import completion
from django_future.store.contention import retry_on_contention
from django_future.store.leases import lease_lost, not_complete
from django_future.store.postgresql import statements
from django_future.store.postgresql.insert import copy, insert
from django_future.store.postgresql.notify import CHANNEL, NotifyLimiter, listen
from django_future.store.postgresql.prepared import MILLISECOND, PLAN_SETTINGS, Prepared, forget
from django_future.store.postgresql.statements import (
    MAX_SCAN,
    SCAN_FOR_OTHERS,
    SCAN_PER_QUEUE,
    Queues,
)
from django_future.store.selection import EVERYTHING, Selection
from django_future.store.server_clock import ServerClock
from django_future.store.server_sessions import SessionId

# The start of a session in microseconds. Together with the process id, it identifies the session.
ORIGIN = "((EXTRACT(EPOCH FROM backend_start) * 1000000)::bigint)::text"

MAX_ID = 2**63 - 1
BEFORE_ALL = ("-infinity", 0)  # a time and an id before those of all jobs
MAX_CLAIM_TRIES = 5  # while rivals change all the rows that a claim finds
MIN_RESUMABLE_CLAIM = 100  # jobs of a claim that may begin after the last claimed job
RESTART_INTERVAL_SECONDS = 1.0  # between two claims that begin with the first job
IDLE, IN_TRANSACTION = 0, 2  # of the driver's TransactionStatus

# For the rows of a completion batch, and those of runs that are materialised.
LOCK_TIMEOUT = timedelta(milliseconds=50)

EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


class PostgreSQLStore(Store):
    """Claims with SKIP LOCKED and RETURNING."""

    claim_round_trips = 1
    chooses_index_by_order = True
    plan_settings = PLAN_SETTINGS

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self._clock = ServerClock(self._server_time)
        self._notify_limiter = NotifyLimiter()
        # The priority, the time and the id of the last claimed job.
        self._expected_priority = MAX_PRIORITY
        self._last_claimed: tuple[datetime | str, int] = BEFORE_ALL
        self._restart_at = -math.inf

    def now(self) -> datetime:
        return self._clock.now()

    def synchronise(self) -> None:
        self._clock.synchronise()

    @property
    def round_trip(self) -> timedelta:
        return self._clock.round_trip

    def is_contention(self, error: OperationalError) -> bool:
        return getattr(error.__cause__, "sqlstate", None) in {"40001", "40P01", "55P03"}

    @contextmanager
    def short_lock_waits(self) -> Iterator[None]:
        with self.connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout TO {LOCK_TIMEOUT // MILLISECOND}")
        yield

    def is_idle(self, session: Any) -> bool:
        return bool(session.pgconn.transaction_status == IDLE)

    def is_intact(self, session: Any) -> bool:
        return session.pgconn.transaction_status in {IDLE, IN_TRANSACTION}

    def forget_session_state(self, session: Any) -> None:
        forget(session)

    def prepare_connection(self) -> None:
        if not self.connection.in_atomic_block:
            statements.FINISH.prepare(self.connection)

    def is_usable(self, session: Any) -> bool:
        return not session.closed

    def descriptor(self, session: Any) -> int:
        return int(session.fileno())

    def add(self, jobs: Sequence[ScheduledJob]) -> None:
        if not jobs:
            return
        soonest = min(job.scheduled_at for job in jobs)
        is_soon = self._notify_limiter.is_soon(clock.from_row(soonest))
        is_after_commit = self.connection.in_atomic_block  # no worker sees the jobs before
        if len(jobs) > 1:
            copy(jobs, self.connection)
        elif _has_save_receivers():
            super().add(jobs)
        else:
            self._insert(jobs[0], is_notifying=is_soon and not is_after_commit)
            is_soon = is_soon and is_after_commit
        if is_soon and (is_after_commit or self.connection.get_autocommit()):
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
            # Behind a pooler, the client sees the pooler's number, and the server's session may
            # serve other clients.
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
        # Shut down the socket instead of calling pg_terminate_backend(): behind a pooler, the known
        # process id may be that of another session. A session that waits for the next statement of
        # its client notices this at once.
        with self.connection.wrap_database_errors:
            number = os.dup(session.fileno())
        with suppress(OSError), socket.socket(fileno=number) as connection:
            # If its thread has closed it, the number may belong to another connection.
            if not session.closed:
                connection.shutdown(socket.SHUT_RDWR)

    def kill_sessions(self, sessions: Sequence[SessionId]) -> None:
        numbers = [session.number for session in sessions]
        origins = [session.origin for session in sessions]
        with self._as_session_user() as cursor:
            cursor.execute(
                f"""
                SELECT PG_TERMINATE_BACKEND(pid) FROM pg_stat_activity
                WHERE usename = SESSION_USER AND pid <> PG_BACKEND_PID()
                AND (pid, {ORIGIN}) IN (SELECT * FROM UNNEST(%s::bigint[], %s::text[]))
                """,
                [numbers, origins],
            )

    def server_age(self) -> timedelta:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT CLOCK_TIMESTAMP() - PG_POSTMASTER_START_TIME()")
            (age,) = cursor.fetchone()
        return cast("timedelta", age)

    def next_due(self, selection: Selection = EVERYTHING) -> datetime | None:
        queues, values = self._query_values(selection, self.now())
        [(scheduled_at,)] = statements.next_due(queues).rows(self.connection, values)
        return scheduled_at and clock.from_row(scheduled_at)

    @retry_on_contention
    def claim(
        self, worker: Worker, selection: Selection = EVERYTHING, *, at: datetime, limit: int
    ) -> list[ScheduledJob]:
        started_at = self.now()
        queues, values = self._query_values(selection, at)
        values |= {"limit": limit, "worker": worker.name, "now": started_at}
        if queues is Queues.ALL:
            values["last_scheduled_at"], values["last_id"] = self._position(limit)
        rows = self._claimed_rows(statements.claim(queues), values)
        jobs = jobs_from_rows(rows, self, worker, started_at)
        self._expected_priority, self._last_claimed = MAX_PRIORITY, BEFORE_ALL
        if jobs:
            last = jobs[-1]
            self._expected_priority = last.priority
            self._last_claimed = (clock.from_row(last.scheduled_at), last.pk)
        return jobs

    def _claimed_rows(self, claim: Prepared, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        # A claim need not wait for the disk. If a crash of the server loses the claim, the job is
        # scheduled as before, and the worker whose claim was lost cannot record its end.
        for _ in range(MAX_CLAIM_TRIES):
            rows = claim.rows(self.connection, values, is_durable=False)
            if rows != [statements.CHANGED_BY_RIVAL]:
                break
        if rows and rows[-1] == statements.CHANGED_BY_RIVAL:
            rows.pop()
        return rows

    def _position(self, limit: int) -> tuple[datetime | str, int]:
        """Return after which job of the expected priority a claim begins.

        A job may be added before that position. So small claims, and one claim a second, begin with
        the first job; each of them starts this second again.
        """
        now = time.monotonic()
        if limit < MIN_RESUMABLE_CLAIM or now >= self._restart_at:
            self._restart_at = now + RESTART_INTERVAL_SECONDS
            return BEFORE_ALL
        return self._last_claimed

    @retry_on_contention
    def expire(self, at: datetime) -> list[Expired]:
        now = self.now()
        rows = statements.EXPIRE.rows(self.connection, {"at": at, "now": now, "limit": BATCH_SIZE})
        return [
            Expired(pk, name, queue_name, is_task, clock.to_row(now))
            for pk, name, queue_name, is_task in rows
        ]

    def _query_values(self, selection: Selection, at: datetime) -> tuple[Queues, dict[str, Any]]:
        queues, names = _queues(selection)
        values = {
            "expected": self._expected_priority,
            "at": at,
            "up_to_id": selection.up_to_id or MAX_ID,
            "unknown_handlers": [*selection.unknown_handlers],
        }
        if queues is not Queues.ALL:
            scan = min(SCAN_PER_QUEUE * len(names), MAX_SCAN)
            scan = scan if queues is Queues.NAMED else SCAN_FOR_OTHERS
            values |= {"queue_names": names, "scan": scan}
        return queues, values

    def instant_reader(self) -> Callable[[int], datetime]:
        return lambda value: EPOCH + value * MICROSECOND

    @contextmanager
    def transaction(self) -> Iterator[Callable[[], bool]]:
        connection = self.connection

        def is_used() -> bool:
            # The driver begins a transaction with its first statement, also without Django.
            session = connection.connection
            return session is None or session.pgconn.transaction_status != IDLE

        with transaction.atomic(using=self.alias, durable=True):
            yield is_used

    def finish(self, job: ScheduledJob) -> None:
        # Records the completion and commits in one round trip. If no row is found, the statement
        # raises an error, so the COMMIT after it is not executed. After the COMMIT, the atomic
        # block has no transaction to commit.
        connection = self.connection
        is_outermost = len(connection.atomic_blocks) == 1
        sql = statements.FINISH.composed(connection, completion(job))
        sql += "; COMMIT" if is_outermost else ""
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
        except DataError as error:
            if statements.LEASE_LOST in str(error):
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
            # UNNEST fills the shorter array with NULL.
            "return_values": None if results.count(None) == len(jobs) else results,
            "worker": jobs[0].worker,
        }
        # Locks the rows for this one statement. If a rival keeps a row locked, the lock timeout
        # raises an error, so that the other completions need not wait. Without a timeout, in a
        # transaction, the caller has locked the rows.
        [(written,)] = statements.FINISH_ALL.rows(
            self.connection, values, lock_timeout=LOCK_TIMEOUT
        )
        return [] if written == len(jobs) else not_complete(self, jobs)

    @contextmanager
    def _as_session_user(self) -> Iterator[CursorWrapper]:
        """Yield a cursor with the rights of the user who logged in, without a SET ROLE."""
        # Only that user may see and terminate its own sessions.
        with transaction.atomic(using=self.alias), self.connection.cursor() as cursor:
            cursor.execute("SELECT CURRENT_SETTING('role')")
            (role,) = cursor.fetchone()
            if role == "none":
                yield cursor
                return
            cursor.execute("SET LOCAL ROLE NONE")
            yield cursor
            # The caller's transaction may continue.
            cursor.execute("SELECT SET_CONFIG('role', %s, true)", [role])

    def _insert(self, job: ScheduledJob, *, is_notifying: bool) -> None:
        if is_notifying and self._notify_limiter.should_send():
            # One round trip for the row and the notification.
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


def _has_save_receivers() -> bool:
    return pre_save.has_listeners(ScheduledJob) or post_save.has_listeners(ScheduledJob)


def _array(numbers: Sequence[int]) -> str:
    return f"{{{','.join(map(str, numbers))}}}"


def _microseconds(value: datetime) -> int:
    return (clock.from_row(value) - EPOCH) // MICROSECOND
