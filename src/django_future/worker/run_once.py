"""One-off runs, which execute the due jobs once: for cron, for tests, and for the shell."""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from threading import current_thread, main_thread

from django.db import DatabaseError, InterfaceError, OperationalError

from django_future import clock
from django_future.databases import jobs_database
from django_future.exceptions import InvalidOption, RunInsideTransaction
from django_future.execution.executor import execute
from django_future.execution.failure import MAX_RESCUES
from django_future.execution.outcome import Ending, Interrupted, NotRecorded, NotStarted, Outcome
from django_future.execution.recording import abandon
from django_future.execution.watchdog import Watchdog
from django_future.models import ScheduledJob, Worker
from django_future.remedies import kind_of
from django_future.scheduling.runs import Materialiser
from django_future.store import Selection, Session, Store, store_for, transitions
from django_future.store.due import newest_id
from django_future.store.queues import paused_queues
from django_future.when import When, is_time, parse_when
from django_future.worker import maintenance
from django_future.worker.heartbeat import heartbeat, new_worker
from django_future.worker.sessions import sessions_recorded
from django_future.worker.unknown_handlers import UnknownHandlers

# How often one call of `run_due` executes a job that loses its lease each time. The rescues allow
# one execution before the first of them and one after each; this is once more.
MAX_EXECUTIONS = 1 + MAX_RESCUES + 1
LOCK_RETRY_SECONDS = 0.1  # between two tries to record the end of a job whose row is locked


def run_jobs(
    delete_completed: bool = False,  # noqa: FBT001, FBT002
    ignore_errors: bool = False,  # noqa: FBT001, FBT002
    now: When | None = None,
    *,
    using: str | None = None,
) -> None:
    """Execute the due jobs, by priority and then by time, each in its own transaction.

    An exception of a handler is stored with its job and ends the one-off run, unless
    `ignore_errors` is true; the jobs after it stay scheduled. Jobs of paused queues and of unknown
    handlers also stay scheduled, and jobs that are scheduled during the run. `now` replaces the
    current time. Any number of one-off runs and workers may run at the same time.

    Raises `RunInsideTransaction` if a transaction is open, and `InvalidOption`.
    """
    _check_is_bool("delete_completed", delete_completed)
    _check_is_bool("ignore_errors", ignore_errors)
    for outcome in one_pass(delete_completed=delete_completed, now=now, using=using):
        if outcome.failure and not ignore_errors:
            raise outcome.failure


def _check_is_bool(name: str, value: object) -> None:
    if not isinstance(value, bool):
        remedy = " Give a time as now." if is_time(value) else ""
        raise InvalidOption(f"{name} is of type {kind_of(value)}. Give True or False.{remedy}")


def one_pass(
    *, delete_completed: bool = False, now: When | None = None, using: str | None = None
) -> Iterator[Outcome]:
    """Execute the due jobs, and yield the outcome of each before the next is claimed."""
    replaced_now = now and parse_when(now, now=clock.now(), zone=clock.current_zone())
    with registered(using) as (store, worker, watchdog):
        # One time for all claims, so that a job that is retried immediately does not run again.
        at = replaced_now or store.now()
        yield from run_due(store, worker, watchdog, at, keep=not delete_completed)


@contextmanager
def registered(using: str | None) -> Iterator[tuple[Store, Worker, Watchdog]]:
    """Register this one-off run like a worker, and rescue the jobs of lost workers.

    Raises `RunInsideTransaction` if a transaction is open.
    """
    store = store_for(jobs_database(using))
    _check_outside_transaction(store)
    store.synchronise()
    watchdog = Watchdog(store, partial(abandon, store=store))
    with (
        heartbeat(store, new_worker()) as worker,
        sessions_recorded(store, worker, only=current_thread()),
        watchdog,
    ):
        maintenance.rescue_once(store)
        try:
            yield store, worker, watchdog
        finally:
            maintenance.write_statistics(store)


def run_due(
    store: Store, worker: Worker, watchdog: Watchdog, at: datetime, *, keep: bool = True
) -> Iterator[Outcome]:
    """Expire jobs, materialise due runs, and execute the jobs that are due at `at` one by one.

    Each job is executed once, or a few times if it loses its lease. The next call executes retries.
    """
    maintenance.expire(store, at)
    Materialiser(store).work(at, timedelta())
    # `up_to_id` excludes later jobs, because a job that schedules itself would never let this end.
    selection = Selection(up_to_id=newest_id(store), excluded_queues=paused_queues(store))
    unknown = UnknownHandlers(store)
    session, executions = Session(store), Counter[int]()
    with _released_at_end(store) as to_release:
        while jobs := store.claim(worker, selection, at=at, limit=1):
            job = jobs[0]
            if executions[job.pk] >= MAX_EXECUTIONS:
                to_release.append(job)
                continue
            pk = job.pk  # a handler may change its instance
            outcome = _execute(job, session, watchdog, keep=keep)
            # Any other end counts as the maximum, so that this call executes no retry.
            executions[pk] += 1 if outcome.ending is Ending.LEASE_LOST else MAX_EXECUTIONS
            if outcome.ending is Ending.HANDLER_UNKNOWN:
                unknown.add(outcome.job)
                unknown.postpone(at)
                selection = replace(selection, unknown_handlers=unknown.names)
            yield outcome


@contextmanager
def _released_at_end(store: Store) -> Iterator[list[ScheduledJob]]:
    """Release the jobs of the list at the end of the block, so that no claim finds them before."""
    to_release: list[ScheduledJob] = []
    try:
        yield to_release
    finally:
        if to_release:
            transitions.release_unlocked(store, to_release)  # the others will be rescued


def _execute(job: ScheduledJob, session: Session, watchdog: Watchdog, *, keep: bool) -> Outcome:
    try:
        with _interrupted_by_ctrl_c():
            return execute(job, session, watchdog, keep=keep)
    except NotStarted as error:
        # The one-off run ends. If its job cannot be released, it will be rescued.
        with suppress(DatabaseError, InterfaceError):
            transitions.release(session.store, job)
        raise error.__cause__ or error from None
    except NotRecorded as error:
        return _record(error, session.store)
    finally:
        session.tidy()


def _record(error: NotRecorded, store: Store) -> Outcome:
    """Record the end of a job once no other transaction keeps its row locked.

    Raises a database error if the database is unreachable. Then the job will be rescued.
    """
    refusal: BaseException = error.__cause__ or error
    while isinstance(refusal, OperationalError) and store.is_contention(refusal):
        time.sleep(LOCK_RETRY_SECONDS)
        try:
            outcome: Outcome = error.record()
        except OperationalError as again:
            refusal = again
        else:
            return outcome
    raise refusal from None


@contextmanager
def _interrupted_by_ctrl_c() -> Iterator[None]:
    """Make Ctrl-C end the one-off run; a KeyboardInterrupt of a handler ends only its job."""
    is_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not is_default or current_thread() is not main_thread():
        yield
        return
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupt(*_: object) -> None:
    raise Interrupted


def _check_outside_transaction(store: Store) -> None:
    blocks = store.connection.atomic_blocks
    # The blocks of a TestCase are no transaction of the project.
    if blocks and not getattr(blocks[-1], "_from_testcase", False):
        raise RunInsideTransaction(
            f"A transaction is open on the database {store.alias!r}, but each job needs its own. "
            "Run jobs outside of atomic()."
        )
