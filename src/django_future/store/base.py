"""The store as every database that knows SKIP LOCKED can do it."""

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
from django_future.store.claimed import CLAIM_COUNTERS, count_claim, jobs_from_rows
from django_future.store.completion import completion, finish
from django_future.store.contention import retry_on_contention
from django_future.store.due import DueQuery, PriorityHead
from django_future.store.leases import lease_lost, not_complete
from django_future.store.selection import EVERYTHING, Selection
from django_future.store.server_sessions import SessionId

BATCH = 1000
JOBS = "django_future_scheduledjob"
FINISH = finish(lambda _: "%s")


class Expired(NamedTuple):
    """A job that has expired, by its id and the name of its callable."""

    id: int
    callable_name: str


class Store:
    """The one writer of jobs and workers in the database `alias`."""

    # How long a worker sleeps at most, if the database tells it nothing.
    poll_interval = timedelta(seconds=5)

    # Whether `watch` tells of every commit, so that one look after it is enough.
    notices_every_commit = False

    # How many statements a claim sends one after the other, at the least.
    claim_round_trips = 6

    # Whether rows that are named by their ids are deleted one by one.
    deletes_singly = False

    # How to say through which index a table is read.
    index_hint = ""

    # What leaves a statement of this transaction one plan, where an index cannot be named.
    plan_settings = ""

    # What makes a transaction the database's one writer, where there is only one.
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
        """All jobs."""
        return ScheduledJob.objects.using(self.alias)

    def now(self) -> datetime:
        """Return the present instant by the database's clock, on which all hosts agree."""
        return clock.now()

    @property
    def round_trip(self) -> timedelta:
        """How long the database takes to answer a statement that costs it nothing."""
        return timedelta()

    def is_idle(self, session: Any) -> bool:  # noqa: ARG002
        """Tell whether no transaction is open in a driver's connection, as far as it tells."""
        return True

    def is_intact(self, session: Any) -> bool:  # noqa: ARG002
        """Tell whether the transaction that is open in a driver's connection can still commit."""
        return True

    def forget_session_state(self, session: Any) -> None:
        """Take nothing for granted of a driver's connection that a handler has had for itself."""

    def is_usable(self, session: Any) -> bool:  # noqa: ARG002
        """Tell whether a driver's connection still works, whatever Django makes of it."""
        return True

    def descriptor(self, session: Any) -> int | None:  # noqa: ARG002
        """Return the file descriptor of a driver's connection, if it has one."""
        return None

    def synchronise(self) -> None:
        """Read the database's clock again, if it is not this host's."""

    def is_contention(self, error: OperationalError) -> bool:  # noqa: ARG002
        """Tell whether `error` says that another transaction was in the way."""
        return False

    def take_write_lock(self) -> None:
        """Wait to be the one transaction that writes, where there is one at a time."""

    def add(self, jobs: Sequence[ScheduledJob]) -> None:
        """Insert new jobs."""
        if len(jobs) == 1:
            jobs[0].save(force_insert=True, using=self.alias)
        else:
            self.jobs.bulk_create(jobs, batch_size=BATCH)

    def notify(self) -> None:
        """Wake those who `watch`, if the database does not do so by itself."""

    def listen(self, on_notify: Callable[[], None], stopped: Event) -> None:  # noqa: ARG002
        """Call `on_notify` whenever jobs may have been scheduled, until `stopped`.

        It is a hint: calls may be missing, and may be too many.
        """
        stopped.wait()

    def next_due(self, selection: Selection = EVERYTHING) -> datetime | None:
        """Return when the next waiting job is due, an instant that may have passed."""
        due_query = self.due_query.heads(self.now(), selection)
        return min((level.first_at for level in due_query), default=None)

    @retry_on_contention
    def claim(
        self, worker: Worker, selection: Selection = EVERYTHING, *, at: datetime, limit: int
    ) -> list[ScheduledJob]:
        """Claim for `worker` up to `limit` of the jobs that are due at the instant `at`.

        The lease of each grows, and its attempt is counted.
        """
        # One priority after the other: what is due stands at the head of each, and the future jobs
        # behind it cost nothing, however many they are.
        claimed: list[ScheduledJob] = []
        for level in self.due_query.heads(at, selection):
            if level.first_at <= at:
                rest = limit - len(claimed)
                claimed += self._claim_level(worker, selection, level, at=at, limit=rest)
            if len(claimed) == limit:
                break
        return claimed

    def _claim_level(
        self, worker: Worker, selection: Selection, level: PriorityHead, *, at: datetime, limit: int
    ) -> list[ScheduledJob]:
        started_at = self.now()
        # Locks the rows it returns until the UPDATE below commits; a rival skips them and claims
        # the next ones. Written by primary key, so that no secondary index is locked in a second
        # order, which is what makes two claims deadlock on MySQL.
        with transaction.atomic(using=self.alias), self.connection.cursor() as cursor:
            sql, parameters = self.due_query.due(level, selection, at=at, limit=limit)
            cursor.execute(f"{sql} FOR UPDATE SKIP LOCKED", parameters)
            jobs = jobs_from_rows(cursor.fetchall(), self, worker, started_at)
            if jobs:
                ids = ", ".join(str(job.pk) for job in jobs)
                cursor.execute(
                    f"""
                    UPDATE django_future_scheduledjob
                    SET status = 'running', worker = %s, {CLAIM_COUNTERS},
                        started_at = CASE WHEN rescues = 0 AND is_rescuable THEN %s END
                    WHERE id IN ({ids})
                    """,
                    [worker.name, self.parameter(started_at)],
                )
        for job in jobs:
            count_claim(job)
        return jobs

    @contextmanager
    def transaction(self) -> Iterator[Callable[[], bool]]:
        """Hold together a handler's effects and the record of its completion.

        Yields what tells whether the handler has asked the database anything.
        """
        is_used = False

        def note(execute: Callable[..., Any], *query: Any) -> Any:
            nonlocal is_used
            is_used = True
            return execute(*query)

        block = transaction.atomic(using=self.alias, durable=True)
        with block, self.connection.execute_wrapper(note):
            yield lambda: is_used

    def finish(self, job: ScheduledJob) -> None:
        """Record that a job is complete, as the last statement of its transaction.

        The job has its `finished_at` and `return_value` already. Raises `LeaseLost` if it is no
        longer this worker's; its transaction must roll back.
        """
        connection = self.connection
        with connection.cursor() as cursor:
            cursor.execute(FINISH, completion(job, connection))
            if not cursor.rowcount:
                raise lease_lost(job)
        job.status = Status.COMPLETE

    @retry_on_contention
    def finish_all(self, jobs: Sequence[ScheduledJob]) -> list[ScheduledJob]:
        """Record as `finish` does that jobs are complete which had no transaction.

        Returns those for which it is not recorded: they are no longer this worker's, or another
        transaction has locked them.
        """
        connection = self.connection
        with transaction.atomic(using=self.alias), connection.cursor() as cursor:
            cursor.executemany(FINISH, [completion(job, connection) for job in jobs])
            are_all_written = cursor.rowcount == len(jobs)
        return [] if are_all_written else not_complete(self, jobs)

    @retry_on_contention
    def expire(self, at: datetime) -> list[Expired]:
        """Mark up to a thousand jobs that expired at or before `at`, and return which."""
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"""
                SELECT id, callable_name FROM {JOBS} {self.index_hint.format("future_job_expires")}
                WHERE status = 'scheduled' AND expires_at <= %s ORDER BY expires_at LIMIT %s
                """,
                [self.parameter(at), BATCH],
            )
            found = [Expired(*row) for row in cursor.fetchall()]
        # By primary key, for the reason given at `claim`; and only if no rival was faster.
        jobs = self.jobs.filter(pk__in=[job.id for job in found])
        changes = {"status": Status.EXPIRED, "finished_at": clock.to_row(self.now())}
        if jobs.scheduled().update(**changes, unique_key=None) == len(found):
            return found
        own = set(jobs.filter(**changes).values_list("pk", flat=True))
        return [job for job in found if job.id in own]

    def session_id(self) -> SessionId | None:
        """Return by what the server knows this thread's connection, if it does."""
        return None

    def interrupt(self, session: Any) -> None:
        """Have what a driver's connection of another thread is executing end with an error."""

    def kill_session(self, session: Any) -> None:
        """End a driver's connection of another thread, and with it its transaction."""

    def kill_sessions(self, sessions: Sequence[SessionId]) -> None:
        """End those of `sessions` that are still open, whose locks would hold up others."""

    def server_age(self) -> timedelta | None:
        """Return how long ago the server started; None if there is none."""
        return None

    def parameter(self, instant: datetime) -> Any:
        """Return what a column of instants is compared with in a statement of our own."""
        return as_parameter(instant, self.connection)

    def instant_reader(self) -> Callable[[Any], datetime]:
        """Return what makes an instant of what the driver reads from a column of instants."""
        return lambda value: cast("datetime", value.replace(tzinfo=UTC))
