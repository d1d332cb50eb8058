"""Every line that is logged about jobs."""

import json
import logging
import traceback
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import IO, Any, cast

from django.dispatch import receiver

from django_future import clock, signals
from django_future.models import ScheduledJob
from django_future.retries import Retry

logger = logging.getLogger("django_future")
logger.addHandler(logging.NullHandler())  # a library is silent until the project configures it


def to_stream(stream: Any, log_format: str, verbosity: int) -> None:
    """Show the log on `stream`, unless the project's LOGGING already says where it goes.

    A level that the project has set for the logger is kept.
    """
    if _is_handled():
        return
    handler = logging.StreamHandler(cast("IO[str]", stream))
    handler.setFormatter(_JSONFormatter() if log_format == "json" else _TEXT)
    logger.addHandler(handler)
    if logger.level == logging.NOTSET:
        logger.setLevel({0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG))


def _is_handled() -> bool:
    """Tell whether a handler of the logger, or of one that it passes its lines to, shows them."""
    current: logging.Logger | None = logger
    while current is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in current.handlers):
            return True
        current = current.parent if current.propagate else None
    return False


@receiver(signals.job_finished)
def log_finished(*, job: ScheduledJob, exception: Exception | None, **_: Any) -> None:
    """Log a job's end: ERROR with the traceback if it failed, else INFO."""
    level = logging.ERROR if exception else logging.INFO
    if not logger.isEnabledFor(level):
        return
    late = _between(job, "scheduled_at", "started_at")
    took = _between(job, "started_at", "finished_at")
    facts = {
        "job": job.pk,
        "handler": job.callable_name,
        "outcome": str(job.status),
        "queue": job.queue_name,
        "late": late.total_seconds(),
        "took": took.total_seconds(),
    }
    logger.log(
        level,
        "Job %(job)s %(handler)s %(outcome)s: "
        "queue %(queue)s, late %(late).3f s, took %(took).3f s",
        facts,
        exc_info=exception if exception and _can_be_formatted(exception) else None,
        extra={"facts": facts},
    )


@receiver(signals.job_retried)
def log_retried(*, job: ScheduledJob, exception: Exception, **_: Any) -> None:
    """Log that another attempt follows: WARNING if one failed, INFO if it was asked for."""
    asked = isinstance(exception, Retry)
    logger.log(
        logging.INFO if asked else logging.WARNING,
        "Job %s %s will be tried again at %s, after attempt %s: %s",
        job.pk,
        job.callable_name,
        job.scheduled_at,
        job.attempts,
        exception if _can_be_formatted(exception) else type(exception).__name__,
    )


@receiver(signals.job_lost)
def log_lost(*, job: ScheduledJob, **_: Any) -> None:
    """Log that a job was taken from whoever ran it."""
    logger.warning(
        "Job %s %s was cancelled or claimed by another worker; nothing it wrote was kept",
        job.pk,
        job.callable_name,
    )


@receiver(signals.job_rescued)
def log_rescued(*, job: ScheduledJob, **_: Any) -> None:
    """Log a job that was taken from a lost worker."""
    logger.warning("Job %s %s lost its worker and will run again", job.pk, job.callable_name)


@receiver(signals.job_left)
def log_left(*, job: ScheduledJob, **_: Any) -> None:
    """Log that a worker leaves the jobs of a handler to others, once for each handler."""
    # A worker may have claimed hundreds, on several threads, before it finds out.
    with _saying:
        is_new = job.error not in _said
        _said.add(job.error)
    if is_new:
        logger.warning(job.error)


_said: set[str] = set()
_saying = Lock()


@receiver(signals.jobs_expired)
def log_expired(*, count: int, **_: Any) -> None:
    """Log how many jobs expired."""
    logger.warning("%s jobs expired before they could run", count)


@receiver(signals.jobs_pruned)
def log_pruned(*, status: str, count: int, **_: Any) -> None:
    """Log how many jobs were deleted that had been kept long enough."""
    logger.info("%s %s jobs were deleted that had been kept long enough", count, status)


def _can_be_formatted(exception: Exception) -> bool:
    # The exceptions of others may raise as soon as they are shown, and not every handler of a log
    # survives that. The job's row says then what failed.
    try:
        traceback.format_exception(exception)
    except Exception:  # noqa: BLE001
        return False
    return True


def _between(job: ScheduledJob, earlier: str, later: str) -> timedelta:
    return clock.from_row(getattr(job, later)) - clock.from_row(getattr(job, earlier))


_TEXT = logging.Formatter("%(asctime)s %(levelname)s %(message)s")


class _JSONFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)
