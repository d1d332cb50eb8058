"""PostgreSQL: a claim is one statement and one round trip."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from threading import Event

from django.db import DataError, OperationalError, transaction
from django.db.models.signals import post_save, pre_save

from django_future import clock
from django_future.models import ScheduledJob, Worker
from django_future.status import Status
from django_future.store.base import FINISH, Store, lease_lost
from django_future.store.contention import patient
from django_future.store.hints import CHANNEL, Hints, watch
from django_future.store.prepared import Prepared
from django_future.store.rows import FIELDS, columns
from django_future.store.selection import EVERYTHING, Selection
from django_future.store.server_clock import ServerClock

NEWEST = 2**63 - 1  # no id is greater
IDLE = 0  # the driver's TransactionStatus of a session in which nothing was begun

IS_LOST = "the lease of this job is lost"
FINISH_OR_ERROR = f"""
    WITH done AS ({FINISH} RETURNING id)
    SELECT (CASE WHEN EXISTS (SELECT FROM done) THEN '1' ELSE '{IS_LOST}' END)::integer
"""
FINISH_ALL_TYPES = {
    "started_at": "timestamptz[]",
    "finished_at": "timestamptz[]",
    "return_value": "text[]",
    "id": "bigint[]",
    "lease": "bigint[]",
    "worker": "text[]",
}
FINISH_ALL = Prepared(
    f"""
    UPDATE django_future_scheduledjob AS job
    SET status = 'complete', started_at = done.started_at, finished_at = done.finished_at,
        return_value = done.return_value
    FROM UNNEST({", ".join(f"%({name})s::{kind}" for name, kind in FINISH_ALL_TYPES.items())})
        AS done ({", ".join(FINISH_ALL_TYPES)})
    WHERE job.id = done.id AND job.lease = done.lease AND job.worker = done.worker
    AND job.status = 'running'
    RETURNING job.id
    """,
    **FINISH_ALL_TYPES,
)


class PostgreSQLStore(Store):
    """Claims with SKIP LOCKED and RETURNING."""

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self._clock = ServerClock(self._server_time)
        self._hints = Hints()

    def now(self) -> datetime:
        return self._clock.now()

    def synchronise(self) -> None:
        self._clock.synchronise()

    def is_contention(self, error: OperationalError) -> bool:
        return getattr(error.__cause__, "sqlstate", None) in {"40001", "40P01", "55P03"}

    def add(self, jobs: Sequence[ScheduledJob]) -> None:
        is_soon = any(self._hints.is_worth(clock.from_row(job.scheduled_at)) for job in jobs)
        if len(jobs) == 1 and not _is_saving_watched():
            self._insert(jobs[0], is_soon=is_soon)
            return
        super().add(jobs)
        if is_soon:
            transaction.on_commit(self.hint, using=self.alias, robust=True)

    def _insert(self, job: ScheduledJob, *, is_soon: bool) -> None:
        # One round trip, the hint included, unless it must wait for somebody's commit.
        connection = self.connection
        is_hinting = is_soon and not connection.in_atomic_block and self._hints.may_send()
        hint = f", PG_NOTIFY('{CHANNEL}', '')" if is_hinting else ""
        values = [
            field.get_db_prep_save(field.pre_save(job, add=True), connection)
            for field in FIELDS[1:]
        ]
        placeholders = ", ".join(["%s"] * len(values))
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                INSERT INTO django_future_scheduledjob ({columns(FIELDS[1:])})
                VALUES ({placeholders}) RETURNING id{hint}
                """,  # noqa: S608 - all of it is written in this package
                values,
            )
            job.pk = cursor.fetchone()[0]
        job._state.adding = False
        if is_soon and connection.in_atomic_block:
            transaction.on_commit(self.hint, using=self.alias, robust=True)

    def watch(self, wake: Callable[[], None], stopped: Event) -> None:
        watch(self.connection, wake, stopped)

    def hint(self) -> None:
        if self._hints.may_send():
            with self.connection.cursor() as cursor:
                cursor.execute(f"NOTIFY {CHANNEL}")

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

    def next_due(self, selection: Selection = EVERYTHING) -> datetime | None:
        queue_names = list(self.levels.queue_names(selection))
        values = {
            "queue_names": queue_names,
            "at": self.parameter(self.now()),
            "up_to_id": selection.up_to_id or NEWEST,
        }
        statement = _next_due(is_for_all=queue_names == [None])
        [(scheduled_at,)] = statement.rows(self.connection, values)
        return scheduled_at and clock.from_row(scheduled_at)

    @patient
    def claim(
        self, worker: Worker, selection: Selection = EVERYTHING, *, at: datetime, limit: int
    ) -> list[ScheduledJob]:
        queue_names = list(self.levels.queue_names(selection))
        values = {
            "queue_names": queue_names,
            "at": self.parameter(at),
            "up_to_id": selection.up_to_id or NEWEST,
            "most": limit,
            "worker": worker.name,
            "now": self.parameter(self.now()),
        }
        statement = _claim(is_for_all=queue_names == [None])
        # A claim that a crash of the server forgets leaves its job scheduled, with a lease that the
        # worker's transaction then fails to match. So a claim need not wait for the disk.
        rows = statement.rows(self.connection, values, is_durable=False)
        return self._reader.read(rows, self.connection)

    @contextmanager
    def transaction(self) -> Iterator[Callable[[], bool]]:
        connection = self.connection

        def is_touched() -> bool:
            # The driver begins a transaction with its first statement, whoever sends it.
            session = connection.connection
            return session is None or session.pgconn.transaction_status != IDLE

        with transaction.atomic(using=self.alias, durable=True):
            yield is_touched

    def finish(self, job: ScheduledJob) -> None:
        # The record and the commit in one round trip. Where no row is found the statement is an
        # error, so that the COMMIT after it is not executed. After it nothing is left to commit for
        # the block that began the transaction.
        connection = self.connection
        is_outermost = len(connection.atomic_blocks) == 1
        sql = f"{FINISH_OR_ERROR}; COMMIT" if is_outermost else FINISH_OR_ERROR
        try:
            with connection.cursor() as cursor:
                cursor.execute(connection.ops.compose_sql(sql, self._completion(job)))
        except DataError as error:
            if IS_LOST in str(error):
                raise lease_lost(job) from error
            raise
        job.status = Status.COMPLETE

    @patient
    def finish_all(self, jobs: Sequence[ScheduledJob]) -> list[ScheduledJob]:
        columns_of_values = map(list, zip(*map(self._completion, jobs), strict=True))
        values = dict(zip(FINISH_ALL_TYPES, columns_of_values, strict=True))
        rows = FINISH_ALL.rows(self.connection, values)
        return [] if len(rows) == len(jobs) else self._incomplete(jobs)

    def _server_time(self) -> datetime:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT CLOCK_TIMESTAMP()")
            (server_time,) = cursor.fetchone()
        return clock.from_row(server_time)


@cache
def _claim(*, is_for_all: bool) -> Prepared:
    # Locks the rows it takes, for the length of this one statement. A rival skips them and takes
    # the next ones. It visits one priority after the other, and stops once it has enough: what is
    # due stands at the head of each, and future jobs behind it cost nothing. `due` is materialized
    # lest the planner run it more than once, and claim more than the limit.
    return Prepared(
        f"""
        WITH RECURSIVE {_levels(is_for_all=is_for_all)}, due AS MATERIALIZED (
            SELECT job.id
            FROM (SELECT * FROM level ORDER BY priority DESC) AS level CROSS JOIN LATERAL (
                SELECT id FROM django_future_scheduledjob
                WHERE status = 'scheduled' AND priority = level.priority
                {_same(is_for_all=is_for_all)} AND scheduled_at <= %(at)s
                AND (expires_at IS NULL OR expires_at > %(at)s) AND id <= %(up_to_id)s
                ORDER BY scheduled_at, id LIMIT %(most)s
                FOR UPDATE SKIP LOCKED
            ) AS job LIMIT %(most)s
        )
        UPDATE django_future_scheduledjob AS job
        SET status = 'running', worker = %(worker)s, lease = lease + 1, attempts = attempts + 1,
            started_at = %(now)s
        FROM due WHERE job.id = due.id
        RETURNING {columns(prefix="job.")}
        """,  # noqa: S608 - all of it is written in this package
        queue_names="text[]",
        at="timestamptz",
        up_to_id="bigint",
        most="bigint",
        worker="text",
        now="timestamptz",
    )


@cache
def _next_due(*, is_for_all: bool) -> Prepared:
    return Prepared(
        f"""
        WITH RECURSIVE {_levels(is_for_all=is_for_all)}
        SELECT MIN(job.scheduled_at) FROM level CROSS JOIN LATERAL (
            SELECT scheduled_at FROM django_future_scheduledjob
            WHERE status = 'scheduled' AND priority = level.priority {_same(is_for_all=is_for_all)}
            AND (expires_at IS NULL OR expires_at > %(at)s) AND id <= %(up_to_id)s
            ORDER BY scheduled_at LIMIT 1
        ) AS job
        """,  # noqa: S608 - all of it is written in this package
        queue_names="text[]",
        at="timestamptz",
        up_to_id="bigint",
    )


def _levels(*, is_for_all: bool) -> str:
    """Return a query for each priority that waits, of the queues in an array, or of all."""
    first_below = f"""
        SELECT MAX(priority) FROM django_future_scheduledjob
        WHERE status = 'scheduled' {_same(is_for_all=is_for_all)}
    """  # noqa: S608 - all of it is written in this package
    return f"""
        level AS (
            SELECT queue_name, ({first_below}) AS priority
            FROM UNNEST(%(queue_names)s::text[]) AS level (queue_name)
            UNION ALL
            SELECT queue_name, ({first_below} AND priority < level.priority)
            FROM level WHERE level.priority IS NOT NULL
        )
    """  # noqa: S608 - all of it is written in this package


def _same(*, is_for_all: bool) -> str:
    return "" if is_for_all else "AND django_future_scheduledjob.queue_name = level.queue_name"


def _is_saving_watched() -> bool:
    return pre_save.has_listeners(ScheduledJob) or post_save.has_listeners(ScheduledJob)
