"""The end of an attempt that did not complete: a retry, a failure, a cancelled job or a rescue."""

import logging
import traceback
from datetime import timedelta
from typing import cast

from django.db import InterfaceError, OperationalError

from django_future import clock, signals
from django_future.disclosure import disclosed
from django_future.exceptions import HandlerExited, LeaseLost, ObjectGone, WorkerLost
from django_future.execution.announcement import announce
from django_future.execution.error_kind import class_name, error_kind
from django_future.log import job_label, log_extra
from django_future.models import ScheduledJob
from django_future.options import JobOptions
from django_future.plural import counted
from django_future.retries import Cancel, Exponential, Retry, delay_after
from django_future.store import Store, transitions
from django_future.store.attempts import Failure, failures
from django_future.store.transitions import fail, record_cancelled, schedule_retry
from django_future.text import shortened, storable

logger = logging.getLogger("django_future")

MAX_RESCUES = 3
MAX_FRAMES = 50  # of a traceback that Python cannot format
MAX_TRIES = 3  # to record a failure while the connection breaks each time


def conclude_attempt(
    job: ScheduledJob, exception: Exception, options: JobOptions, store: Store
) -> None:
    """Record the failed attempt of a running job, and schedule a retry if its options allow one.

    The job already has its `finished_at`. If the end cannot be recorded, for example because the
    time of the retry is out of range, the job fails with an error that says so.

    Raises `LeaseLost` if the lease is lost, and a database error only if the database is
    unreachable, or another transaction keeps the row locked.
    """
    for tries_remaining in reversed(range(MAX_TRIES)):
        try:
            _handle_failure(job, exception, options, store)
        except LeaseLost:
            is_retry = isinstance(exception, Retry)
            if not transitions.apply_recorded_end(store, job, is_retry=is_retry):
                raise
        except Exception as error:  # no error must make the job run again
            if isinstance(error, OperationalError) and store.is_contention(error):
                raise  # another attempt may follow, once the rival has ended
            is_database_error = isinstance(error, OperationalError | InterfaceError)
            if is_database_error and _reconnect(store) and tries_remaining:
                continue  # the connection broke, so the values to record may be valid
            _fail_without_details(job, exception, error, store)
        return


def rescue_job(job: ScheduledJob, store: Store, reason: str) -> None:
    """Rescue a job; if it was rescued too often, fail it. `reason` has no final full stop.

    If the lease is lost, this changes nothing.
    """
    # A worker holds many claimed jobs, but runs only a few. For a job that was rescued
    # before, or is not rescuable, `started_at` is written at the start. If it is empty, the job
    # only waited in a process that another job may have ended, so this rescue does not count.
    is_start_recorded = job.rescues > 0 or not job.is_rescuable
    may_have_run = not is_start_recorded or job.started_at is not None
    max_rescues = MAX_RESCUES if job.is_rescuable else 0
    if job.rescues < max_rescues or not may_have_run:
        if transitions.rescue(store, job, is_counted=may_have_run):
            signals.job_rescued.send_robust(ScheduledJob, job=job)
        return
    error = WorkerLost(f"{reason}. {_why_not_again(job)}")
    name = f"{WorkerLost.__module__}.{WorkerLost.__qualname__}"
    job.finished_at = clock.to_row(store.now())
    try:
        fail(store, job, Failure(name, f"{name}: {error}", WorkerLost.__name__))
    except LeaseLost:
        return
    announce(job, error)


def _reconnect(store: Store) -> bool:
    """Open another connection, and return True; in a transaction do nothing, and return False.

    Raises a database error if the database is unreachable.
    """
    connection = store.connection
    if connection.in_atomic_block:
        return False
    connection.close()
    connection.ensure_connection()
    return True


def _fail_without_details(
    job: ScheduledJob, exception: Exception, error: Exception, store: Store
) -> None:
    """Fail a job with the class of its exception only, because `error` prevented the rest."""
    logger.error(
        "Job %s fails, because the result of its attempt could not be recorded: %s",
        job_label(job),
        class_name(error),
        extra=log_extra(job),
    )
    text = f"{class_name(exception)}. Its details could not be recorded: {class_name(error)}"
    fail(store, job, Failure(_path_of(exception), storable(text), error_kind(exception)))


def _handle_failure(
    job: ScheduledJob, exception: Exception, options: JobOptions, store: Store
) -> None:
    if isinstance(exception, Cancel):
        record_cancelled(store, job, _bounded(exception.reason))
        return
    if job.task_backend is not None and isinstance(exception, HandlerExited):
        exception = cast("Exception", exception.__cause__)  # the result of a task names its class
    reported = disclosed(exception, is_sensitive=bool(options.sensitive_arguments))
    if isinstance(exception, ObjectGone) and options.on_delete == "cancel":
        record_cancelled(store, job, _bounded(reported))
        return
    delay = _retry_delay(job, exception, options, store, reported)
    at = None if delay is None else store.now() + delay
    if at and job.expires_at and at >= clock.from_row(job.expires_at):
        reported.add_note(
            f"There is no time for another attempt: the job expires at {job.expires_at}."
        )
        at = None
    if at is None:
        fail(store, job, _failure(reported))
        return
    schedule_retry(store, job, at, None if isinstance(exception, Retry) else _failure(reported))


def _retry_delay(
    job: ScheduledJob,
    exception: Exception,
    options: JobOptions,
    store: Store,
    reported: BaseException,
) -> timedelta | None:
    """Return how long to wait before the retry; None if there is none.

    If the backoff fails, a note on `reported` describes its error.
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
        backoff_error = disclosed(error, is_sensitive=bool(options.sensitive_arguments))
        logger.exception(
            "The backoff of job %s failed, so the default backoff applies",
            job_label(job),
            exc_info=backoff_error,
            extra=log_extra(job),
        )
        reported.add_note(f"Its backoff failed, so the default backoff applies: {backoff_error!r}")
        return Exponential()(number, exception)


def _failure(exception: BaseException) -> Failure:
    return Failure(_path_of(exception), _bounded(_trace(exception)), error_kind(exception))


def _path_of(exception: BaseException) -> str:
    kind = type(exception)
    return _bounded(f"{kind.__module__}.{kind.__qualname__}")


def _trace(exception: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(exception))
    except Exception as error:  # noqa: BLE001 - from str() or attributes of the exception
        frames = "".join(traceback.format_tb(exception.__traceback__, MAX_FRAMES))
        name = type(exception).__name__
        return f"{frames}{name}, which cannot be formatted: {type(error).__name__}\n"


def _bounded(value: object) -> str:
    return shortened(storable(str(value)))


def _why_not_again(job: ScheduledJob) -> str:
    if not job.is_rescuable:
        return "It may have had effects, and with rescue=False it does not run again."
    times = counted(job.rescues, "time")
    return f"It was rescued {times} before. It may be the cause, so it does not run again."
