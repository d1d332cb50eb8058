"""The store for any database that supports SKIP LOCKED."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any, NamedTuple, cast

from django.db import OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from django_future import clock
from django_future.models import ScheduledJob, Worker
from django_future.models.fields import as_parameter
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.status import Status
from django_future.store.claimed import claim_assignments, count_claim, jobs_from_rows
from django_future.store.completion import completion_parameters, finish
from django_future.store.contention import retry_on_contention
from django_future.store.due import DueQuery, PriorityHead
from django_future.store.leases import lease_lost, not_complete
from django_future.store.selection import EVERYTHING, Selection
from django_future.store.server_sessions import SessionId

BATCH_SIZE = 1000  # rows
JOBS = "django_future_scheduledjob"
SET_CLAIMED = claim_assignments("%s", "%s")
FINISH = finish(lambda _: "%s")
# A job that is due later than this needs no notification, because each worker polls in time.
NOTIFY_HORIZON = timedelta(minutes=1)


class Expired(NamedTuple):
    """What is reported and counted of a job that has expired, without another query."""

    id: int
    callable_name: str
    queue_name: str
    is_task: bool
    finished_at: datetime  # as its row has it


class Store:
    """Reads and writes the jobs and workers of the database `alias`.

    A method is here if the databases differ in it. Functions of this package do the rest.
    """

    # The longest sleep of a worker that receives no notification.
    poll_interval = timedelta(seconds=5)

    # Whether `listen` calls back after every commit, so that one claim after it is enough.
    notices_every_commit = False

    # The minimal number of statements that a claim sends one after the other.
    claim_round_trips = 6

    # Whether rows are deleted with one statement for each id.
    deletes_singly = False

    # The syntax that names the index through which a table is read. Without it, a query chooses an
    # index by an order that no other index has.
    index_hint = ""
    chooses_index_by_order = False

    # Settings for the transaction that leave the planner one plan, where no index can be named.
    plan_settings = ""

    # The statement that takes the database's write lock, where it has one.
    write_lock = ""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.due_query = DueQuery(alias, self.index_hint)

    @property
    def connection(self) -> BaseDatabaseWrapper:
        """This thread's connection to the database."""
        return connections[self.alias]

    @property
    def jobs(self) -> ScheduledJobQuerySet:
        """All jobs of the database."""
        return ScheduledJob.objects.using(self.alias)

    def now(self) -> datetime:
        """Return the current time by the database's clock, which all hosts share."""
        return clock.now()

    @property
    def round_trip(self) -> timedelta:
        """The time that a trivial statement takes, including the network."""
        return timedelta()

    def is_idle(self, session: Any) -> bool:  # noqa: ARG002
        """Return whether a driver's connection has no open transaction, if its driver knows."""
        return True

    def is_intact(self, session: Any) -> bool:  # noqa: ARG002
        """Return whether the open transaction of a driver's connection can still commit."""
        return True

    def forget_session_state(self, session: Any) -> None:
        """Forget what is known about a driver's connection, because a handler may change it."""

    def prepare_connection(self) -> None:
        """Prepare this thread's connection, which is open, for the completions of jobs."""

    def is_usable(self, session: Any) -> bool:  # noqa: ARG002
        """Return whether a driver's connection still works."""
        return True

    def descriptor(self, session: Any) -> int | None:  # noqa: ARG002
        """Return the file descriptor of a driver's connection, if it has one."""
        return None

    def synchronise(self) -> None:
        """Read the clock of the database again, if it is not the clock of this host."""

    def is_contention(self, error: OperationalError) -> bool:  # noqa: ARG002
        """Return whether `error` is a deadlock, a lock timeout or a similar conflict."""
        return False

    def take_write_lock(self) -> None:
        """Wait for the database's write lock, where it has one."""

    @contextmanager
    def short_lock_waits(self) -> Iterator[None]:
        """Let the statements of the open transaction wait only briefly for the lock of a row.

        The limit ends with the block or with the transaction.
        """
        yield

    def add(self, jobs: Sequence[ScheduledJob]) -> None:
        """Insert new jobs."""
        if len(jobs) == 1:
            jobs[0].save(force_insert=True, using=self.alias)
        else:
            self.jobs.bulk_create(jobs, batch_size=BATCH_SIZE)

    def notify(self) -> None:
        """Wake the workers that `listen`, if the database does not do so by itself."""

    def listen(self, on_notify: Callable[[], None], stopped: Event) -> None:  # noqa: ARG002
        """Call `on_notify` when jobs may have been scheduled, until `stopped`.

        Some calls may be missing, and some may be unnecessary. So the caller polls as well.
        """
        stopped.wait()

    def next_due(self, selection: Selection = EVERYTHING) -> datetime | None:
        """Return when the next waiting job is due, which may be in the past."""
        heads = self.due_query.heads(self.now(), selection)
        return min((head.first_at for head in heads), default=None)

    def claim(
        self, worker: Worker, selection: Selection = EVERYTHING, *, at: datetime, limit: int
    ) -> list[ScheduledJob]:
        """Claim for `worker` up to `limit` jobs that are due at `at`.

        The claim raises the lease of each job and counts its attempt.
        """
        claimed: list[ScheduledJob] = []
        self._claim_until_full(claimed, worker, selection, at=at, limit=limit)
        return claimed

    @retry_on_contention
    def _claim_until_full(
        self,
        claimed: list[ScheduledJob],
        worker: Worker,
        selection: Selection,
        *,
        at: datetime,
        limit: int,
    ) -> None:
        # One priority after the other. Due jobs come first in each priority, so the future jobs
        # after them cost nothing. Each priority has its own transaction. If a rival blocks one, the
        # repetition goes on with the list, because the claims in it are committed.
        for head in self.due_query.heads(at, selection):
            if head.first_at <= at:
                remaining = limit - len(claimed)
                claimed += self._claim_priority(worker, selection, head, at=at, limit=remaining)
            if len(claimed) == limit:
                break

    def _claim_priority(
        self, worker: Worker, selection: Selection, head: PriorityHead, *, at: datetime, limit: int
    ) -> list[ScheduledJob]:
        started_at = self.now()
        # Locks the returned rows until the UPDATE below commits. A rival skips them and claims the
        # next ones. The UPDATE finds its rows by primary key. Through a secondary index, MySQL
        # would take locks in another order, and two claims could deadlock.
        with transaction.atomic(using=self.alias), self.connection.cursor() as cursor:
            sql, parameters = self.due_query.due(head, selection, at=at, limit=limit)
            cursor.execute(f"{sql} FOR UPDATE SKIP LOCKED", parameters)
            jobs = jobs_from_rows(cursor.fetchall(), self, worker, started_at)
            if jobs:
                ids = ", ".join(str(job.pk) for job in jobs)
                cursor.execute(
                    f"""
                    UPDATE django_future_scheduledjob
                    SET {SET_CLAIMED}
                    WHERE id IN ({ids})
                    """,
                    [worker.name, as_parameter(started_at, self.connection)],
                )
        for job in jobs:
            count_claim(job)
        return jobs

    @contextmanager
    def transaction(self) -> Iterator[Callable[[], bool]]:
        """Begin the transaction of a handler's effects and the record of its completion.

        Yields a function that returns whether the handler has used the database.
        """
        is_used = False

        def track_query(execute: Callable[..., Any], *query: Any) -> Any:
            nonlocal is_used
            is_used = True
            return execute(*query)

        block = transaction.atomic(using=self.alias, durable=True)
        with block, self.connection.execute_wrapper(track_query):
            yield lambda: is_used

    def finish(self, job: ScheduledJob) -> None:
        """Record that a job is complete, as the last statement of its transaction.

        The job already has its `finished_at` and `return_value`. Raises `LeaseLost` if its lease
        is lost; then the transaction must roll back.
        """
        connection = self.connection
        with connection.cursor() as cursor:
            cursor.execute(FINISH, completion_parameters(job, connection))
            if not cursor.rowcount:
                raise lease_lost(job)
        job.status = Status.COMPLETE

    @retry_on_contention
    def finish_all(self, jobs: Sequence[ScheduledJob]) -> list[ScheduledJob]:
        """Record the completions of jobs that had no transaction of their own.

        Returns the jobs whose completion is not recorded, because their lease is lost or another
        transaction has locked their row.
        """
        # Locks the rows until all completions commit. A rival waits for them.
        connection = self.connection
        with transaction.atomic(using=self.alias), connection.cursor() as cursor:
            cursor.executemany(FINISH, [completion_parameters(job, connection) for job in jobs])
            are_all_written = cursor.rowcount == len(jobs)
        return [] if are_all_written else not_complete(self, jobs)

    @retry_on_contention
    def expire(self, at: datetime) -> list[Expired]:
        """Expire up to a thousand jobs whose `expires_at` is `at` or before, and return them."""
        now = clock.to_row(self.now())
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"""
                SELECT id, callable_name, queue_name, task_backend IS NOT NULL
                FROM {JOBS} {self.index_hint.format("future_job_expires")}
                WHERE status = 'scheduled' AND expires_at <= %s ORDER BY expires_at LIMIT %s
                """,
                [as_parameter(at, self.connection), BATCH_SIZE],
            )
            found = [
                Expired(pk, name, queue_name, bool(is_task), now)
                for pk, name, queue_name, is_task in cursor.fetchall()
            ]
        if not found:
            return []
        # Locks the rows until the transaction commits, by primary key for the reason given in
        # `_claim_priority`. A rival waits for them, and then no longer sees them as scheduled. If
        # the query after it fails, nothing has expired, so no job is left out of the result.
        jobs = self.jobs.filter(pk__in=[job.id for job in found])
        changes = {"status": Status.EXPIRED, "finished_at": now}
        with transaction.atomic(using=self.alias):
            if jobs.scheduled().update(**changes, unique_key=None) == len(found):
                return found
            # A rival has changed some of them first. The others have the time of this update.
            own = set(jobs.filter(**changes).values_list("pk", flat=True))
        return [job for job in found if job.id in own]

    def session_id(self) -> SessionId | None:
        """Return the server's identification of this thread's connection; None if unknown."""
        return None

    def interrupt(self, session: Any) -> None:
        """Abort with an error the statement that another thread's connection executes."""

    def kill_session(self, session: Any) -> None:
        """Close another thread's connection, which rolls back its transaction."""

    def kill_sessions(self, sessions: Sequence[SessionId]) -> None:
        """Close those of `sessions` that are still open, which releases their locks."""

    def server_age(self) -> timedelta | None:
        """Return how long ago the server started; None without a server."""
        return None

    def instant_reader(self) -> Callable[[Any], datetime]:
        """Return the function that converts the driver's value of a time column to aware UTC."""
        return lambda value: cast("datetime", value.replace(tzinfo=UTC))
