"""What becomes of a job that did not complete: another attempt, a failure or a cancelled job."""

import logging
import traceback
from datetime import timedelta

from django.db import InterfaceError, OperationalError

from django_future import clock, signals
from django_future.disclosure import disclosed
from django_future.exceptions import LeaseLost, ObjectGone, WorkerLost
from django_future.log import job_label, log_extra
from django_future.models import ScheduledJob
from django_future.options import JobOptions
from django_future.retries import Cancel, Exponential, Retry, delay_after
from django_future.store import Store, transitions
from django_future.store.transitions import Failure, cancel_running, fail, failures, schedule_retry
from django_future.text import shortened, storable

logger = logging.getLogger("django_future")

MAX_RESCUES = 3
MAX_FRAMES = 50  # of a traceback that Python cannot format
MAX_TRIES = 3  # to record a failure, where the connection breaks meanwhile


def record_failure(
    job: ScheduledJob, exception: Exception, options: JobOptions, store: Store
) -> None:
    """Record what becomes of a running job whose handler raised.

    If that cannot be told, as with an exception that cannot be formatted or a delay that leads
    past the end of time, the job fails, and its error says so.

    Raises `LeaseLost` if the job is no longer this worker's, and a database error only if the
    database is out of reach.
    """
    for tries_left in reversed(range(MAX_TRIES)):
        try:
            _settle(job, exception, options, store)
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the job must not run again for it
            is_cut = isinstance(error, OperationalError | InterfaceError) and _renew(store)
            if is_cut and tries_left:
                continue  # the connection broke, which says nothing of what is to be recorded
            _fail_without_words(job, exception, error, store)
        return


def rescue_job(job: ScheduledJob, store: Store, reason: str) -> None:
    """Put a job back that was interrupted; fail it if that has happened too often."""
    # A worker holds many jobs, of which it runs a few. A job that was rescued before, or must not
    # be, tells by its start whether it ran, so that those beside one that takes down its workers
    # do not fail with it.
    tells = job.rescues > 0 or not job.is_rescuable
    may_have_run = not tells or job.started_at is not None
    most = MAX_RESCUES if job.is_rescuable else 0
    if job.rescues < most or not may_have_run:
        if transitions.rescue(store, job, is_counted=may_have_run):
            signals.job_rescued.send_robust(ScheduledJob, job=job)
        return
    error = WorkerLost(f"{reason} while it ran this job{_why_not_again(job)}")
    name = f"{WorkerLost.__module__}.{WorkerLost.__qualname__}"
    try:
        fail(store, job, Failure(name, f"{name}: {error}"))
    except LeaseLost:
        return
    signals.job_finished.send_robust(ScheduledJob, job=job, exception=error)


def _renew(store: Store) -> bool:
    """Open another connection, and tell whether there is one; a transaction keeps its own.

    Raises a database error if the database is out of reach.
    """
    connection = store.connection
    if connection.in_atomic_block:
        return False
    connection.close()
    connection.ensure_connection()
    return True


def _fail_without_words(
    job: ScheduledJob, exception: Exception, error: Exception, store: Store
) -> None:
    """Record that a job failed with what could not be recorded because of `error`."""
    logger.error(
        "What becomes of job %s could not be recorded, so it fails: %s",
        job_label(job),
        type(error).__name__,
        extra=log_extra(job),
    )
    name = type(exception).__name__
    text = f"{name}, and that could not be recorded: {type(error).__name__}"
    fail(store, job, Failure(storable(name), storable(text)))


def _settle(job: ScheduledJob, exception: Exception, options: JobOptions, store: Store) -> None:
    if isinstance(exception, Cancel):
        cancel_running(store, job, _bounded(exception.reason))
        return
    told = disclosed(exception, is_sensitive=bool(options.sensitive_arguments))
    if isinstance(exception, ObjectGone) and options.on_delete == "cancel":
        cancel_running(store, job, _bounded(told))
        return
    delay = _delay(job, exception, options, store, told)
    at = None if delay is None else store.now() + delay
    if at and job.expires_at and at >= clock.from_row(job.expires_at):
        told.add_note(f"There is no time for another attempt: it expires at {job.expires_at}.")
        at = None
    if at is None:
        fail(store, job, _failure(told))
        return
    schedule_retry(store, job, at, None if isinstance(exception, Retry) else _failure(told))


def _delay(
    job: ScheduledJob,
    exception: Exception,
    options: JobOptions,
    store: Store,
    told: BaseException,
) -> timedelta | None:
    """Return how long to wait before another attempt; None if there is none.

    What is wrong with the backoff is noted in `told`.
    """
    if isinstance(exception, Retry):
        if exception.after is not None:
            return exception.after
        number = job.attempts
    else:
        number = 1 if job.attempts == 1 else failures(store, job) + 1
        if number >= job.max_attempts:
            return None
    try:
        return delay_after(number, exception, options.backoff)
    except Exception as error:
        shown = disclosed(error, is_sensitive=bool(options.sensitive_arguments))
        logger.exception(
            "The backoff of job %s is unusable; waiting as usual",
            job_label(job),
            exc_info=shown,
            extra=log_extra(job),
        )
        told.add_note(f"Its backoff is unusable, so the job waits as usual: {shown!r}")
        return Exponential()(number, exception)


def _failure(exception: BaseException) -> Failure:
    kind = type(exception)
    return Failure(_bounded(f"{kind.__module__}.{kind.__qualname__}"), _bounded(_trace(exception)))


def _trace(exception: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(exception))
    except Exception as error:  # noqa: BLE001 - str() and attributes of the exceptions of others
        frames = "".join(traceback.format_tb(exception.__traceback__, MAX_FRAMES))
        name = type(exception).__name__
        return f"{frames}{name}, which cannot be formatted: {type(error).__name__}\n"


def _bounded(value: object) -> str:
    return shortened(storable(str(value)))


def _why_not_again(job: ScheduledJob) -> str:
    if not job.is_rescuable:
        return ". How far it came nobody knows, and with rescue=False it is not run again."
    return (
        f", as did {job.rescues} before it. The job may be what ends them, so it is not run again."
    )
