"""Run what is due, once, and stop: for cron, for tests, and for the shell."""

from collections.abc import Iterator
from dataclasses import replace

from django.db import router

from django_future import clock, maintenance
from django_future.exceptions import RunInsideTransaction
from django_future.execution import Outcome, execute
from django_future.models import ScheduledJob
from django_future.store import Selection, Session, Store, handler_of, store_for
from django_future.store.pauses import paused_queues
from django_future.when import When, parse_when
from django_future.worker.heartbeat import heartbeat, new_worker


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

    Raises `RunInsideTransaction` if a transaction is open.
    """
    for outcome in one_pass(delete_completed=delete_completed, now=now, using=using):
        if outcome.exception and not (outcome.is_lost or outcome.is_left or ignore_errors):
            raise outcome.exception


def one_pass(
    *, delete_completed: bool = False, now: When | None = None, using: str | None = None
) -> Iterator[Outcome]:
    """Run the jobs that are due, and yield what became of each before the next is claimed."""
    store = store_for(using or router.db_for_write(ScheduledJob))
    _check_outside_transaction(store)
    store.synchronise()
    at = now and parse_when(now, now=clock.now(), zone=clock.current_zone())
    with heartbeat(store, new_worker()) as worker:
        maintenance.rescue(store)
        maintenance.expire(store, at or store.now())
        # Bounded, so that a job that schedules itself again does not keep this pass going for ever.
        selection = Selection(up_to_id=store.newest_id(), excluded_queues=paused_queues(store))
        while jobs := store.claim(worker, selection, at=at or store.now(), limit=1):
            outcome = execute(jobs[0], Session(store), keep=not delete_completed)
            if outcome.is_left:
                unknown = selection.unknown_handlers | {handler_of(outcome.job)}
                selection = replace(selection, unknown_handlers=unknown)
            yield outcome


def _check_outside_transaction(store: Store) -> None:
    blocks = store.connection.atomic_blocks
    # A TestCase wraps each test in blocks that stand for no transaction of the project's.
    if blocks and not getattr(blocks[-1], "_from_testcase", False):
        raise RunInsideTransaction(
            f"A transaction is open on the database {store.alias!r}, and jobs commit in their own. "
            "Run them outside of atomic()."
        )
