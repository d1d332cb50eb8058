"""What an exception makes of a job: another attempt, a failure, or a job that is cancelled."""

import logging
import traceback
from datetime import timedelta

from django_future import clock
from django_future.calling import options_if_known
from django_future.exceptions import ObjectGone
from django_future.models import ScheduledJob
from django_future.options import JobOptions
from django_future.retries import Cancel, Exponential, Retry, delay_after
from django_future.store import Store
from django_future.store.ends import Failure, fail, failures, give_up, retry
from django_future.text import storable

logger = logging.getLogger("django_future")


def settle(job: ScheduledJob, exception: Exception, store: Store) -> None:
    """Record what becomes of a running job whose handler raised.

    Raises `LeaseLost` if the job is no longer this worker's.
    """
    if isinstance(exception, Cancel):
        give_up(store, job, storable(exception.reason))
        return
    options = options_if_known(job)
    if isinstance(exception, ObjectGone) and options.on_delete == "cancel":
        give_up(store, job, storable(str(exception)))
        return
    delay = _delay(job, exception, options, store)
    at = None if delay is None else store.now() + delay
    if at and job.expires_at and at >= clock.from_row(job.expires_at):
        exception.add_note(f"There is no time for another attempt: it expires at {job.expires_at}.")
        at = None
    if at is None:
        fail(store, job, _failure(exception))
        return
    retry(store, job, at, None if isinstance(exception, Retry) else _failure(exception))


def _delay(
    job: ScheduledJob, exception: Exception, options: JobOptions, store: Store
) -> timedelta | None:
    """Return how long to wait before another attempt; None if there is none."""
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
        logger.exception("The backoff of %s is unusable; waiting as usual", job.callable_name)
        exception.add_note(f"Its backoff is unusable, so the job waits as usual: {error!r}")
        return Exponential()(number, exception)


def _failure(exception: Exception) -> Failure:
    kind = type(exception)
    text = "".join(traceback.format_exception(exception))
    return Failure(f"{kind.__module__}.{kind.__qualname__}", storable(text))
