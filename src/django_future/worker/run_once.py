"""Run what is due, once, and stop: for cron, for tests, and for the shell."""

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from threading import current_thread, main_thread

from django.db import DatabaseError, InterfaceError

from django_future import clock
from django_future.databases import jobs_database
from django_future.exceptions import InvalidOption, RunInsideTransaction
from django_future.execution.executor import execute
from django_future.execution.outcome import Interrupted, NotRecorded, NotStarted, Outcome, Result
from django_future.execution.recording import abandon
from django_future.execution.watchdog import Watchdog
from django_future.models import ScheduledJob, Worker
from django_future.remedies import kind_of
from django_future.store import Selection, Session, Store, store_for, transitions
from django_future.store.due import newest_id
from django_future.store.queues import paused_queues
from django_future.when import When, parse_when
from django_future.worker import maintenance
from django_future.worker.heartbeat import heartbeat, new_worker
from django_future.worker.sessions import sessions_known
from django_future.worker.unknown_handlers import UnknownHandlers

MAX_RUNS = 5  # of one job in one pass, if it is interrupted each time: one more than it is rescued


def run_jobs(
    delete_completed: bool = False,  # noqa: FBT001, FBT002
    ignore_errors: bool = False,  # noqa: FBT001, FBT002
    now: When | None = None,
    *,
    using: str | None = None,
) -> None:
    """Run the jobs that are due, by priority and then by time, each in a transaction of its own.

    What a handler raises is stored with its job and ends the run, unless errors are ignored; the
    jobs after it stay scheduled. So do those of paused queues, and of handlers that are unknown
    here. `now` stands in for the present. Jobs that are scheduled during the run wait for the next
    one. Any number of runs may go on at once, in any number of processes.

    Raises `RunInsideTransaction` if a transaction is open, and `InvalidOption`.
    """
    for name, value in (
        ("delete_completed", delete_completed),
        ("ignore_errors", ignore_errors),
    ):
        if not isinstance(value, bool):
            raise InvalidOption(f"{name} is of type {kind_of(value)}. Give True or False.")
    for outcome in one_pass(delete_completed=delete_completed, now=now, using=using):
        if outcome.failure and not ignore_errors:
            raise outcome.failure


def one_pass(
    *, delete_completed: bool = False, now: When | None = None, using: str | None = None
) -> Iterator[Outcome]:
    """Run the jobs that are due, and yield what became of each before the next is claimed."""
    given = now and parse_when(now, now=clock.now(), zone=clock.current_zone())
    with registered(using) as (store, worker, watchdog):
        # Once for all, so that a job which is put back for now does not keep this pass going.
        at = given or store.now()
        yield from run_due(store, worker, watchdog, at, keep=not delete_completed)


@contextmanager
def registered(using: str | None) -> Iterator[tuple[Store, Worker, Watchdog]]:
    """Register what runs jobs here, having rescued those of others that were lost.

    Raises `RunInsideTransaction` if a transaction is open.
    """
    store = store_for(jobs_database(using))
    _check_outside_transaction(store)
    store.synchronise()
    watchdog = Watchdog(store, partial(abandon, store=store))
    with (
        heartbeat(store, new_worker()) as worker,
        sessions_known(store, worker, only=current_thread()),
        watchdog,
    ):
        maintenance.rescue_unwatched(store)
        yield store, worker, watchdog


def run_due(
    store: Store, worker: Worker, watchdog: Watchdog, at: datetime, *, keep: bool = True
) -> Iterator[Outcome]:
    """Expire what is overdue at the instant `at`, and run what is due then, one by one.

    Each job runs once, or a few times if it is interrupted; what is put back is for the next pass.
    """
    maintenance.expire(store, at)
    # Bounded, so that a job that schedules itself again does not keep this pass going for ever.
    selection = Selection(up_to_id=newest_id(store), excluded_queues=paused_queues(store))
    unknown = UnknownHandlers(store)
    session, runs = Session(store), Counter[int]()
    with _held_back(store) as held_back:
        while jobs := store.claim(worker, selection, at=at, limit=1):
            if runs[jobs[0].pk] >= MAX_RUNS:
                held_back.append(jobs[0])
                continue
            outcome = _execute(jobs[0], session, watchdog, keep=keep)
            runs[jobs[0].pk] += 1 if outcome.result is Result.LEASE_LOST else MAX_RUNS
            if outcome.result is Result.HANDLER_UNKNOWN:
                unknown.note(outcome.job)
                unknown.postpone(at)
                selection = replace(selection, unknown_handlers=unknown.names)
            yield outcome


@contextmanager
def _held_back(store: Store) -> Iterator[list[ScheduledJob]]:
    """Release at the end the jobs of a list, which no claim finds meanwhile."""
    held_back: list[ScheduledJob] = []
    try:
        yield held_back
    finally:
        for job in held_back:
            transitions.release(store, job)


def _execute(job: ScheduledJob, session: Session, watchdog: Watchdog, *, keep: bool) -> Outcome:
    try:
        with _interrupted_by_ctrl_c():
            return execute(job, session, watchdog, keep=keep)
    except (NotStarted, NotRecorded) as error:
        # The run ends. If its job cannot be released either, it is rescued.
        if isinstance(error, NotStarted):
            with suppress(DatabaseError, InterfaceError):
                transitions.release(session.store, job)
        raise error.__cause__ or error from None
    finally:
        session.tidy()


@contextmanager
def _interrupted_by_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C end the run, and a KeyboardInterrupt that a handler raises only its job."""
    is_usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not is_usual or current_thread() is not main_thread():
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
    # A TestCase wraps each test in blocks that stand for no transaction of the project's.
    if blocks and not getattr(blocks[-1], "_from_testcase", False):
        raise RunInsideTransaction(
            f"A transaction is open on the database {store.alias!r}, and jobs commit in their own. "
            "Run them outside of atomic()."
        )
