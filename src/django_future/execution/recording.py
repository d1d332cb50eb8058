"""The ends of jobs that are not recorded by the thread that executed them."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from django.db import DatabaseError, InterfaceError

from django_future import clock, signals
from django_future.exceptions import LeaseLost
from django_future.execution.announcement import announce, announce_complete
from django_future.execution.failure import conclude_attempt
from django_future.execution.outcome import NotRecorded
from django_future.models import ScheduledJob
from django_future.resolution import options_if_known
from django_future.store import Store
from django_future.store.batch import complete_batch


def record_completions(
    jobs: Sequence[ScheduledJob],
    store: Store,
    add_unrecorded: Callable[[NotRecorded], object],
) -> list[ScheduledJob]:
    """Record a completion batch, and return the jobs whose rows other transactions have locked.

    If the database rejects the completion of one job, only this job fails. `add_unrecorded`
    receives a failure that cannot be recorded now. Raises a database error if the database is
    unreachable before any end is announced; the caller may then pass the same jobs again.
    """
    completions = complete_batch(store, jobs)
    for job in completions.lost:
        signals.job_lost.send_robust(ScheduledJob, job=job)
    announce_complete(completions.complete)
    for job, error in completions.refused:
        record = partial(_record_failure, job, error, store)
        try:
            record()
        except (DatabaseError, InterfaceError):
            add_unrecorded(NotRecorded(job, record))
    return completions.locked


def abandon(job: ScheduledJob, exception: Exception, store: Store) -> None:
    """Record the end of a job whose handler does not return, and uses another instance.

    Raises `NotRecorded` if the database is unreachable, or another transaction has locked the row.
    """
    job.finished_at = clock.to_row(store.now())
    record = partial(_record_failure, job, exception, store)
    try:
        record()
    except (DatabaseError, InterfaceError) as error:
        raise NotRecorded(job, record) from error


def _record_failure(job: ScheduledJob, exception: Exception, store: Store) -> None:
    with suppress(LeaseLost):
        conclude_attempt(job, exception, options_if_known(job), store)
        announce(job, exception)
