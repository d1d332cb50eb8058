"""The log lines about jobs."""

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
from django_future.plural import agreeing, counted
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
    """Log the end of a job: ERROR with the traceback if it failed, else INFO."""
    level = logging.ERROR if exception else logging.INFO
    if not logger.isEnabledFor(level):
        return
    error = exception and loggable(job, exception)
    text, facts = _text_and_facts(job, str(job.status))
    logger.log(
        level,
        text,
        *facts.values(),
        exc_info=error if error and _can_be_formatted(error) else None,
        extra={"facts": facts},
    )


def is_only_receiver() -> bool:
    """Return whether the log is the only receiver of `job_finished`."""
    return {key[0] for key, *_ in signals.job_finished.receivers} == {id(log_finished)}


def log_completions(jobs: Sequence[ScheduledJob]) -> None:
    """Log the completion of many jobs, in the same lines as `log_finished`."""
    if not logger.isEnabledFor(logging.INFO):
        return
    make_record = _record_maker()
    with lines_written_together():
        for job in jobs:
            logger.handle(make_record(*_text_and_facts(job, Status.COMPLETE.value)))


def _record_maker() -> Callable[[str, dict[str, Any]], logging.LogRecord]:
    """Return a function that makes records with the same time, thread and caller.

    Python looks up the thread, the process and the caller for each record, which takes longer than
    a small job. Here it does so once, and the other records copy the result. A record factory of
    the project is called for each record.
    """
    code, template = log_completions.__code__, dict[str, Any]()
    place = (code.co_filename, code.co_firstlineno)
    is_default_factory = logging.getLogRecordFactory() is logging.LogRecord

    def make_record(text: str, facts: dict[str, Any]) -> logging.LogRecord:
        args = tuple(facts.values())
        if not template:
            extra = {"facts": facts}
            record = logger.makeRecord(
                logger.name, logging.INFO, *place, text, args, None, code.co_name, extra
            )
            if is_default_factory:
                template.update(record.__dict__)  # before a filter or a handler adds to it
            return record
        record = logging.LogRecord.__new__(logging.LogRecord)
        record.__dict__.update(template, msg=text, args=args, facts=facts)
        return record

    return make_record


def _text_and_facts(job: ScheduledJob, outcome: str) -> tuple[str, dict[str, Any]]:
    """Return the text of the line about the end of a job, and the facts that fill its places."""
    facts = facts_about(job)
    text = _FINISHED_OF_OBJECT if "object" in facts else _FINISHED
    facts["outcome"] = outcome
    facts["queue"] = job.queue_name
    facts["late"] = _seconds_between(job.scheduled_at, job.started_at)
    facts["took"] = _seconds_between(job.started_at, job.finished_at)
    return text, facts


@receiver(signals.job_retried)
def log_retried(*, job: ScheduledJob, exception: Exception, **_: Any) -> None:
    """Log that another attempt follows: INFO if the handler raised `Retry`, else WARNING."""
    next_at = clock.from_row(job.scheduled_at)
    facts = {
        "outcome": "retried",
        "attempt": job.attempts,
        "max_attempts": job.max_attempts,
        "next_at": next_at.isoformat(),
    }
    again = f"will be tried again at {_in_project_zone(next_at)}"
    if isinstance(exception, Retry):
        logger.info(
            "Job %s raised Retry and %s", job_label(job), again, extra=log_extra(job, **facts)
        )
        return
    facts["exception"] = _class_name(exception)
    error = loggable(job, exception)
    is_shown = _can_be_formatted(error)
    logger.warning(
        "Job %s failed in %s and %s: %s",
        job_label(job),
        _attempt(job),
        again,
        f"{facts['exception']}: {error}" if is_shown else facts["exception"],
        exc_info=error if is_shown else None,
        extra=log_extra(job, **facts),
    )


@receiver(signals.job_lost)
def log_lost(*, job: ScheduledJob, **_: Any) -> None:
    """Log that the lease of a running job was lost."""
    logger.warning(
        "Job %s was cancelled or claimed by another worker; its writes were rolled back",
        job_label(job),
        extra=log_extra(job),
    )


@receiver(signals.job_rescued)
def log_rescued(*, job: ScheduledJob, **_: Any) -> None:
    """Log that a job was rescued."""
    logger.warning(
        "Job %s lost its worker and will run again", job_label(job), extra=log_extra(job)
    )


@receiver(signals.job_handler_unknown)
def log_handler_unknown(*, job: ScheduledJob, **_: Any) -> None:
    """Log that a handler is unknown to a worker, once for each handler."""
    # Several threads may have claimed hundreds of its jobs before the first of them is released.
    with _reasons_lock:
        is_new = job.error not in _logged_reasons
        _logged_reasons.add(job.error)
    if is_new:
        logger.warning(job.error, extra=log_extra(job))


_logged_reasons: set[str] = set()
_reasons_lock = Lock()


@receiver(signals.job_parked)
def log_parked(*, job: ScheduledJob, exception: Exception, **_: Any) -> None:
    """Log a job that does not run because its signature is not valid."""
    # The name is quoted, because it may come from SQL and contain line breaks.
    logger.warning(
        "Job %s %r is parked: %s", job.pk, job.callable_name, exception, extra=log_extra(job)
    )


@receiver(signals.jobs_expired)
def log_expired(*, count: int, jobs: Sequence[Expired], **_: Any) -> None:
    """Log how many jobs expired, and the first of them."""
    logger.warning(
        "%s expired before %s could run: %s%s",
        counted(count, "job"),
        agreeing(count, "it", "they"),
        ", ".join(f"{job.id} {job.callable_name}" for job in jobs),
        f", and {count - len(jobs):,} more" if count > len(jobs) else "",
        extra={
            "facts": {
                "count": count,
                "jobs": [{"id": job.id, "callable_name": job.callable_name} for job in jobs],
            }
        },
    )


@receiver(signals.jobs_pruned)
def log_pruned(*, status: str, count: int, **_: Any) -> None:
    """Log how many jobs were deleted after their retention."""
    were = agreeing(count, "was deleted after its", "were deleted after their")
    logger.info("%s %s retention", counted(count, f"{status} job"), were)


def job_label(job: ScheduledJob) -> str:
    """Return the id, the callable and the object of a job for a log line, without a query."""
    label = known_label(job)
    return f"{job.pk} {job.callable_name} ({label})" if label else f"{job.pk} {job.callable_name}"


def log_extra(job: ScheduledJob, **more: Any) -> dict[str, Any]:
    """Return the `extra` of a log line about a job, for the fields of its JSON."""
    return {"facts": facts_about(job) | more}


def facts_about(job: ScheduledJob) -> dict[str, Any]:
    """Return the JSON fields of a job: `job`, `handler`, and `object` if it has one."""
    facts = {"job": job.id, "handler": job.callable_name}
    if job.__dict__.get("object_id") is not None:
        facts["object"] = known_label(job)
    return facts


def _attempt(job: ScheduledJob) -> str:
    # Attempts that raised Retry or lost their worker count in `attempts`, but not as failures. So
    # the number can exceed `max_attempts`.
    limit = f" of {job.max_attempts}" if job.attempts < job.max_attempts else ""
    return f"attempt {job.attempts}{limit}"


def _class_name(exception: Exception) -> str:
    kind = type(exception)
    is_builtin = kind.__module__ == "builtins"
    return kind.__qualname__ if is_builtin else f"{kind.__module__}.{kind.__qualname__}"


def _in_project_zone(instant: datetime) -> str:
    # Like the other times of the log, and not in a time zone that the handler has activated.
    return f"{instant.astimezone(timezone.get_default_timezone()):%Y-%m-%d %H:%M:%S}"


def loggable(job: ScheduledJob, exception: BaseException) -> BaseException:
    """Return an exception that may be logged: without its text if the arguments are sensitive."""
    is_sensitive = bool(options_if_known(job).sensitive_arguments)
    return disclosed(exception, is_sensitive=is_sensitive)


def _can_be_formatted(exception: BaseException) -> bool:
    # The exception of a handler may itself raise while it is formatted, and not every logging
    # handler catches that. The row of the job then shows what failed.
    try:
        traceback.format_exception(exception)
    except Exception:  # noqa: BLE001
        return False
    return True


def _seconds_between(earlier: Any, later: Any) -> float:
    if earlier.tzinfo is None or later.tzinfo is None:
        earlier, later = clock.from_row(earlier), clock.from_row(later)
    return float((later - earlier).total_seconds())
