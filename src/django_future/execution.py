"""One claimed job to its outcome: call and finish in one transaction, or settle in the next."""

import logging
from asyncio import CancelledError
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from typing import Any

from django.db import OperationalError

from django_future import clock, maintenance, signals
from django_future.arguments import Stored, encode
from django_future.calling import call, options_for, unbound_handler
from django_future.exceptions import HandlerExited, HandlerUnknown, JobTimeout, LeaseLost
from django_future.models import ScheduledJob
from django_future.outcomes import settle
from django_future.status import Status
from django_future.store import Session, Store
from django_future.store.leaving import leave
from django_future.text import storable
from django_future.watchdog import Watchdog

logger = logging.getLogger("django_future")

Finish = Callable[[ScheduledJob], None]


@dataclass(frozen=True)
class Outcome:
    """What became of one execution: `exception` is what its handler raised.

    `is_lost` says that the job was no longer this worker's, so its end is for another to tell;
    `is_left` that its handler is unknown here, so it is scheduled again for who knows it.
    """

    job: ScheduledJob
    exception: Exception | None = None
    is_lost: bool = False
    is_left: bool = False

    @property
    def failure(self) -> Exception | None:
        """What the job failed with, if it did; not what is followed by another attempt."""
        has_failed = self.job.status == Status.FAILED and not self.is_lost
        return self.exception if has_failed else None


def execute(
    job: ScheduledJob,
    session: Session,
    watchdog: Watchdog,
    *,
    keep: bool = True,
    gather: Finish | None = None,
) -> Outcome:
    """Run a claimed job and record what became of it; `keep=False` deletes it once complete.

    With `gather`, a job is handed to it that is complete and asked its database nothing. Its end
    is recorded by `finish_together`.
    """
    store = session.store
    finish = store.finish if keep else store.discard
    try:
        _start(job, session)
        exception = _attempt(job, session, watchdog, finish, gather)
        if exception is not None:
            if outcome := _put_back(job, session, exception):
                return outcome
            settle(job, exception, store)
    except LeaseLost as error:
        session.renew()
        signals.job_lost.send_robust(ScheduledJob, job=job)
        return Outcome(job, error, is_lost=True)
    except BaseException:
        # Ctrl-C, or the database is out of reach: the job was interrupted, it has not failed.
        store.release(job)
        raise
    if gather is not None and job.status == Status.RUNNING:
        gather(job)
    else:
        _tell(job, exception)
    return Outcome(job, exception)


def abandon(job: ScheduledJob, exception: Exception, store: Store) -> None:
    """Record what becomes of a job whose handler does not end."""
    job = copy(job)  # the handler may still look at it
    with suppress(LeaseLost):
        settle(job, exception, store)
        _tell(job, exception)


def finish_together(jobs: Sequence[ScheduledJob], store: Store) -> None:
    """Record the end of gathered jobs."""
    lost = store.finish_all(jobs)
    for job in lost:
        signals.job_lost.send_robust(ScheduledJob, job=job)
    for job in jobs:
        if job not in lost:
            job.status = Status.COMPLETE
            signals.job_finished.send_robust(ScheduledJob, job=job, exception=None)


def stored(result: Any) -> Stored | None:
    """Return what is kept of what a handler returned."""
    if result is None:
        return None
    try:
        return encode(result)
    except Exception:  # noqa: BLE001 - whatever it is, a result is no reason to undo the work
        return encode(repr(result))


def _start(job: ScheduledJob, session: Session) -> None:
    job.started_at = clock.to_row(session.store.now())
    if signals.job_started.receivers:
        session.rest()
        signals.job_started.send_robust(ScheduledJob, job=job)
    if job.rescues or not job.is_rescuable:
        session.rest()
        session.store.note_start(job)


def _attempt(
    job: ScheduledJob,
    session: Session,
    watchdog: Watchdog,
    finish: Finish,
    gather: Finish | None,
) -> Exception | None:
    try:
        handler = unbound_handler(job)
        options = options_for(job, handler)
        with session if options.atomic else session.autocommit():
            with watchdog.watch(job, session, options.timeout) as watched, watched:
                result = call(job, handler, watched.awaited)
            job.return_value = stored(result)
            job.finished_at = clock.to_row(session.store.now())
            # Where nothing was written there is nothing to commit with: to write many such ends
            # at once is as good, and takes a fraction of the time.
            if gather is None or not options.atomic or session.was_asked():
                session.finish(job, finish)
    except LeaseLost:
        raise
    except (SystemExit, CancelledError) as error:
        exited = HandlerExited(f"The handler raised {error!r}, which would have ended its worker.")
        exited.__cause__ = error
        return exited
    except Exception as error:
        if not session.is_committed:
            return error
        logger.exception("Job %s is complete, but a hook of its on_commit raised", job.pk)
    return None


def _put_back(job: ScheduledJob, session: Session, exception: Exception) -> Outcome | None:
    """Put back a job that has not failed though there is an exception."""
    store = session.store
    if isinstance(exception, JobTimeout):
        session.renew()
    elif session.is_lost():
        # Whether the commit was reached nobody knows. If so, there is nothing to rescue.
        maintenance.rescue_job(job, store, "The connection to the database broke")
        return Outcome(job, exception, is_lost=True)
    elif isinstance(exception, HandlerUnknown) and exception.job is job:
        text = f"Worker {job.worker} does not know {job.callable_name!r}: {exception}"
        leave(store, job, storable(f"{text} It is left for a worker that does."))
        signals.job_left.send_robust(ScheduledJob, job=job, exception=exception)
        return Outcome(job, exception, is_left=True)
    elif _has_collided(job, exception, store) and store.release(job):
        return Outcome(job, exception, is_lost=True)
    return None


def _has_collided(job: ScheduledJob, exception: Exception, store: Store) -> bool:
    """Tell whether the record of a handler's end lost a deadlock, and with it what it wrote."""
    has_ended = job.finished_at is not None
    return has_ended and isinstance(exception, OperationalError) and store.is_contention(exception)


def _tell(job: ScheduledJob, exception: Exception | None) -> None:
    if exception is not None and job.status == Status.SCHEDULED:
        signals.job_retried.send_robust(ScheduledJob, job=job, exception=exception)
        return
    error = exception if job.status == Status.FAILED else None
    signals.job_finished.send_robust(ScheduledJob, job=job, exception=error)
