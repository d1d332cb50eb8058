"""Every line that is logged about jobs."""

import logging
import traceback
from collections.abc import Callable, Sequence
from datetime import datetime
from threading import Lock
from typing import Any

from django.dispatch import receiver
from django.utils import timezone

from django_future import clock, signals
from django_future.content_objects import known_label
from django_future.disclosure import disclosed
from django_future.log_stream import lines_written_together
from django_future.models import ScheduledJob
from django_future.resolution import options_if_known
from django_future.retries import Retry
from django_future.status import Status
from django_future.store import Expired

logger = logging.getLogger("django_future")
logger.addHandler(logging.NullHandler())  # a library is silent until the project configures it

_TIMES = "%s: queue %s, late %.3f s, took %.3f s"
_FINISHED = f"Job %s %s {_TIMES}"
_FINISHED_OF_OBJECT = f"Job %s %s (%s) {_TIMES}"


@receiver(signals.job_finished)
def log_finished(*, job: ScheduledJob, exception: Exception | None, **_: Any) -> None:
    """Log a job's end: ERROR with the traceback if it failed, else INFO."""
    level = logging.ERROR if exception else logging.INFO
    if not logger.isEnabledFor(level):
        return
    shown = exception and loggable(job, exception)
    text, facts = _end(job, str(job.status))
    logger.log(
        level,
        text,
        *facts.values(),
        exc_info=shown if shown and _can_be_formatted(shown) else None,
        extra={"facts": facts},
    )


def is_only_receiver() -> bool:
    """Tell whether the log is the only receiver of `job_finished`."""
    return {key[0] for key, *_ in signals.job_finished.receivers} == {id(log_finished)}


def log_completions(jobs: Sequence[ScheduledJob]) -> None:
    """Log the ends of jobs that are complete, as `log_finished` does, but for many at once."""
    if not logger.isEnabledFor(logging.INFO):
        return
    record = _record_maker()
    with lines_written_together():
        for job in jobs:
            logger.handle(record(*_end(job, Status.COMPLETE.value)))


def _record_maker() -> Callable[[str, dict[str, Any]], logging.LogRecord]:
    """Return what makes the records of lines that are logged at the same time and place.

    A record takes longer than a small job, for it looks up its thread and its process, and its
    caller. So what a project makes records with is called each time, but Python's own only once.
    """
    code, template = log_completions.__code__, dict[str, Any]()
    place = (code.co_filename, code.co_firstlineno)
    is_usual = logging.getLogRecordFactory() is logging.LogRecord

    def record(text: str, facts: dict[str, Any]) -> logging.LogRecord:
        args = tuple(facts.values())
        if not template:
            extra = {"facts": facts}
            made = logger.makeRecord(
                logger.name, logging.INFO, *place, text, args, None, code.co_name, extra
            )
            if is_usual:
                template.update(made.__dict__)  # before a filter or a handler adds to it
            return made
        made = logging.LogRecord.__new__(logging.LogRecord)
        made.__dict__.update(template, msg=text, args=args, facts=facts)
        return made

    return record


def _end(job: ScheduledJob, outcome: str) -> tuple[str, dict[str, Any]]:
    """Return the text of a line about a job's end, and the facts that it has places for."""
    facts = facts_about(job)
    text = _FINISHED_OF_OBJECT if "object" in facts else _FINISHED
    facts["outcome"] = outcome
    facts["queue"] = job.queue_name
    facts["late"] = _seconds_between(job.scheduled_at, job.started_at)
    facts["took"] = _seconds_between(job.started_at, job.finished_at)
    return text, facts


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
        logger.info("Job %s asked for it and %s", named(job), again, extra=log_extra(job, **facts))
        return
    facts["exception"] = _class_name(exception)
    shown = loggable(job, exception)
    is_shown = _can_be_formatted(shown)
    logger.warning(
        "Job %s failed in %s and %s: %s",
        named(job),
        _attempt(job),
        again,
        f"{facts['exception']}: {shown}" if is_shown else facts["exception"],
        exc_info=shown if is_shown else None,
        extra=log_extra(job, **facts),
    )


@receiver(signals.job_lost)
def log_lost(*, job: ScheduledJob, **_: Any) -> None:
    """Log that a job was taken from whoever ran it."""
    logger.warning(
        "Job %s was cancelled or claimed by another worker; nothing it wrote was kept",
        named(job),
        extra=log_extra(job),
    )


@receiver(signals.job_rescued)
def log_rescued(*, job: ScheduledJob, **_: Any) -> None:
    """Log a job that was taken from a lost worker."""
    logger.warning("Job %s lost its worker and will run again", named(job), extra=log_extra(job))


@receiver(signals.job_handler_unknown)
def log_handler_unknown(*, job: ScheduledJob, **_: Any) -> None:
    """Log that a worker leaves the jobs of a handler to others, once for each handler."""
    # A worker may have claimed hundreds, on several threads, before it finds out.
    with _saying:
        is_new = job.error not in _said
        _said.add(job.error)
    if is_new:
        logger.warning(job.error, extra=log_extra(job))


_said: set[str] = set()
_saying = Lock()


@receiver(signals.job_parked)
def log_parked(*, job: ScheduledJob, exception: Exception, **_: Any) -> None:
    """Log a job that does not run, because its signature does not hold."""
    # Its name is quoted: SQL wrote it, and it may hold the ends of lines.
    logger.warning(
        "Job %s %r is parked: %s", job.pk, job.callable_name, exception, extra=log_extra(job)
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


def log_extra(job: ScheduledJob, **more: Any) -> dict[str, Any]:
    """Return the `extra` of a line about a job, so that its JSON names `job` and `handler`."""
    return {"facts": facts_about(job) | more}


def facts_about(job: ScheduledJob) -> dict[str, Any]:
    """Return what a line in JSON says of a job: `job`, `handler`, and `object` if it has one."""
    facts = {"job": job.id, "handler": job.callable_name}
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


def loggable(job: ScheduledJob, exception: BaseException) -> BaseException:
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


def _seconds_between(earlier: Any, later: Any) -> float:
    if earlier.tzinfo is None or later.tzinfo is None:
        earlier, later = clock.from_row(earlier), clock.from_row(later)
    return float((later - earlier).total_seconds())
