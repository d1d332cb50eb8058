"""Every line that is logged about jobs."""

import json
import logging
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import IO, Any, cast

from django.dispatch import receiver
from django.utils import timezone

from django_future import clock, signals
from django_future.calling import options_if_known
from django_future.content_objects import known_label
from django_future.disclosure import disclosed
from django_future.models import ScheduledJob
from django_future.retries import Retry
from django_future.store import Expired

logger = logging.getLogger("django_future")
logger.addHandler(logging.NullHandler())  # a library is silent until the project configures it

_TIMES = "%(outcome)s: queue %(queue)s, late %(late).3f s, took %(took).3f s"
_FINISHED = f"Job %(job)s %(handler)s {_TIMES}"
_FINISHED_OF_OBJECT = f"Job %(job)s %(handler)s (%(object)s) {_TIMES}"


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
    shown = exception and told(job, exception)
    late = _between(job, "scheduled_at", "started_at")
    took = _between(job, "started_at", "finished_at")
    facts = facts_about(job)
    text = _FINISHED_OF_OBJECT if "object" in facts else _FINISHED
    facts |= {
        "outcome": str(job.status),
        "queue": job.queue_name,
        "late": late.total_seconds(),
        "took": took.total_seconds(),
    }
    logger.log(
        level,
        text,
        facts,
        exc_info=shown if shown and _can_be_formatted(shown) else None,
        extra={"facts": facts},
    )


@receiver(signals.job_retried)
def log_retried(*, job: ScheduledJob, exception: Exception, **_: Any) -> None:
    """Log that another attempt follows: WARNING if one failed, INFO if it was asked for."""
    next_at = clock.from_row(job.scheduled_at)
    facts = {
        "outcome": "retried",
        "attempt": job.attempts,
        "max_attempts": job.max_attempts,
        "next_at": next_at.isoformat(),
    }
    again = f"will be tried again at {_in_project_zone(next_at)}"
    if isinstance(exception, Retry):
        logger.info("Job %s asked for it and %s", named(job), again, extra=about(job, **facts))
        return
    facts["exception"] = _class_name(exception)
    shown = told(job, exception)
    is_shown = _can_be_formatted(shown)
    logger.warning(
        "Job %s failed in %s and %s: %s",
        named(job),
        _attempt(job),
        again,
        f"{facts['exception']}: {shown}" if is_shown else facts["exception"],
        exc_info=shown if is_shown else None,
        extra=about(job, **facts),
    )


@receiver(signals.job_lost)
def log_lost(*, job: ScheduledJob, **_: Any) -> None:
    """Log that a job was taken from whoever ran it."""
    logger.warning(
        "Job %s was cancelled or claimed by another worker; nothing it wrote was kept",
        named(job),
        extra=about(job),
    )


@receiver(signals.job_rescued)
def log_rescued(*, job: ScheduledJob, **_: Any) -> None:
    """Log a job that was taken from a lost worker."""
    logger.warning("Job %s lost its worker and will run again", named(job), extra=about(job))


@receiver(signals.job_left)
def log_left(*, job: ScheduledJob, **_: Any) -> None:
    """Log that a worker leaves the jobs of a handler to others, once for each handler."""
    # A worker may have claimed hundreds, on several threads, before it finds out.
    with _saying:
        is_new = job.error not in _said
        _said.add(job.error)
    if is_new:
        logger.warning(job.error, extra=about(job))


_said: set[str] = set()
_saying = Lock()


@receiver(signals.job_parked)
def log_parked(*, job: ScheduledJob, exception: Exception, **_: Any) -> None:
    """Log a job that does not run, because its signature does not hold."""
    # Its name is quoted: SQL wrote it, and it may hold the ends of lines.
    logger.warning(
        "Job %s %r is parked: %s", job.pk, job.callable_name, exception, extra=about(job)
    )


@receiver(signals.jobs_expired)
def log_expired(*, count: int, jobs: Sequence[Expired], **_: Any) -> None:
    """Log how many jobs expired, and the first of them."""
    logger.warning(
        "%s expired before %s could run: %s%s",
        "1 job" if count == 1 else f"{count} jobs",
        "it" if count == 1 else "they",
        ", ".join(f"{job.id} {job.callable_name}" for job in jobs),
        f", and {count - len(jobs)} more" if count > len(jobs) else "",
        extra={"facts": {"count": count, "jobs": [job._asdict() for job in jobs]}},
    )


@receiver(signals.jobs_pruned)
def log_pruned(*, status: str, count: int, **_: Any) -> None:
    """Log how many jobs were deleted that had been kept long enough."""
    logger.info("%s %s jobs were deleted that had been kept long enough", count, status)


def named(job: ScheduledJob) -> str:
    """Return how a line names a job: by its id, its callable and its object, without a query."""
    label = known_label(job)
    return f"{job.pk} {job.callable_name} ({label})" if label else f"{job.pk} {job.callable_name}"


def about(job: ScheduledJob, **more: Any) -> dict[str, Any]:
    """Return the `extra` of a line about a job, so that its JSON names `job` and `handler`."""
    return {"facts": facts_about(job) | more}


def facts_about(job: ScheduledJob) -> dict[str, Any]:
    """Return what a line in JSON says of a job: `job`, `handler`, and `object` if it has one."""
    facts = {"job": job.pk, "handler": job.callable_name}
    if job.__dict__.get("object_id") is not None:
        facts["object"] = known_label(job)
    return facts


def _attempt(job: ScheduledJob) -> str:
    # Attempts that asked for another, or that lost their worker, count, too, but not as failures.
    most = f" of {job.max_attempts}" if job.attempts < job.max_attempts else ""
    return f"attempt {job.attempts}{most}"


def _class_name(exception: Exception) -> str:
    kind = type(exception)
    is_builtin = kind.__module__ == "builtins"
    return kind.__qualname__ if is_builtin else f"{kind.__module__}.{kind.__qualname__}"


def _in_project_zone(instant: datetime) -> str:
    # As the other times of the log are, and not in a zone that the handler has activated.
    return f"{instant.astimezone(timezone.get_default_timezone()):%Y-%m-%d %H:%M:%S}"


def told(job: ScheduledJob, exception: BaseException) -> BaseException:
    """Return what may be logged of an exception, which may quote the arguments of its job."""
    is_sensitive = bool(options_if_known(job).sensitive_arguments)
    return disclosed(exception, is_sensitive=is_sensitive)


def _can_be_formatted(exception: BaseException) -> bool:
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
