"""The life of a job as a list of events, from the day it was scheduled to its end."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from django.utils.translation import gettext as _

from django_future import clock
from django_future.admin import display, times
from django_future.admin.job_page import tracebacks
from django_future.diagnosis import last_line
from django_future.models import JobAttempt, ScheduledJob
from django_future.status import Status
from django_future.store.attempts import CANCELLED, RETRIED, WORKER_LOST

MAX_ATTEMPTS = 20
MAX_TRACE_LENGTH = 4000  # characters of the traceback of an attempt; its end contains the error


class Event(NamedTuple):
    """Something that happened to a job at `at`, or will."""

    at: datetime
    sign: str
    title: str
    details: list[str]
    trace: str = ""
    is_future: bool = False

    @property
    def when(self) -> str:
        """The time, with the date."""
        return display.instant(clock.to_row(self.at))

    @property
    def distance(self) -> str:
        """How far the event is from now, in words."""
        return times.words(self.at - clock.now())


def attempts_of(job: ScheduledJob) -> list[JobAttempt]:
    """Return the latest attempts that are kept, the oldest of them first."""
    if not job.attempts:
        return []
    rows = job.failed_attempts.order_by("-number", "-pk")[:MAX_ATTEMPTS]
    return list(rows)[::-1]


def events(job: ScheduledJob, attempts: Sequence[JobAttempt], at: datetime) -> list[Event]:
    """Return what happened to a job, and what will, in the order of time."""
    created = Event(_instant(job.created_at), "+", _("Created"), [])
    found = [*_due(job), *_attempts(job, attempts), *_current(job, attempts), *_end(job, attempts)]
    marked = [event._replace(is_future=event.at > at) for event in found]
    # A job that is scheduled for now is due a little before its row is created.
    return [created, *sorted(marked, key=lambda event: event.at)]


def outcome(attempt: JobAttempt) -> str:
    """Return how an attempt ended. For a task, not each attempt that is kept has failed."""
    words = {
        RETRIED: _("Attempt %(number)s: retried"),
        WORKER_LOST: _("Attempt %(number)s: worker lost"),
        CANCELLED: _("Attempt %(number)s: cancelled"),
    }
    text = words.get(attempt.exception, _("Attempt %(number)s failed"))
    return text % {"number": attempt.number}


def _due(job: ScheduledJob) -> Iterator[Event]:
    due_at = _instant(job.scheduled_at)
    if job.first_due_at is None:
        yield Event(due_at, "○", _("Due"), [])
    else:
        yield Event(_instant(job.first_due_at), "○", _("First due"), [])
        yield Event(due_at, "○", _("Due again"), [])
    if job.expires_at is not None and job.status == Status.SCHEDULED:
        yield Event(_instant(job.expires_at), "◌", _("Expires"), [])


def _attempts(job: ScheduledJob, attempts: Sequence[JobAttempt]) -> Iterator[Event]:
    previous: JobAttempt | None = None
    for attempt in attempts:
        started_at, finished_at = _instant(attempt.started_at), _instant(attempt.finished_at)
        details = [
            _("started %(time)s") % {"time": _clock_time(started_at)},
            *_wait(job, attempt, previous),
            _("took %(length)s") % {"length": times.length(finished_at - started_at)},
            _("by %(worker)s") % {"worker": attempt.worker},
        ]
        if attempt.exception not in {RETRIED, WORKER_LOST, CANCELLED}:
            details.append(display.cut(_headline(attempt), tracebacks.MAX_HEADLINE_LENGTH))
        # The page shows the traceback of the last attempt of a failed job above.
        is_shown = attempt.number == job.attempts and job.status == Status.FAILED
        trace = "" if is_shown else attempt.traceback[-MAX_TRACE_LENGTH:]
        yield Event(finished_at, "✗", outcome(attempt), details, trace)
        previous = attempt


def _wait(job: ScheduledJob, attempt: JobAttempt, previous: JobAttempt | None) -> Iterator[str]:
    started_at = _instant(attempt.started_at)
    if previous is not None:
        length = times.length(started_at - _instant(previous.finished_at))
        yield _("%(length)s after the attempt before") % {"length": length}
    elif attempt.number == 1:
        due_at = _instant(job.first_due_at or job.scheduled_at)
        yield _("waited %(length)s") % {"length": times.length(started_at - due_at)}


def _current(job: ScheduledJob, attempts: Sequence[JobAttempt]) -> Iterator[Event]:
    """Yield the start of the latest attempt, unless the attempt is a row of its own."""
    if job.started_at is None or (_is_kept(job, attempts) and job.status != Status.RUNNING):
        return
    # A worker claims a job shortly before it is due.
    due_at = _instant(job.scheduled_at)
    started_at = max(_instant(job.started_at), due_at)
    details = [_("waited %(length)s") % {"length": times.length(started_at - due_at)}]
    if job.worker:
        details.append(_("by %(worker)s") % {"worker": job.worker})
    title = _("Started")
    if job.attempts > 1:
        title = _("Attempt %(number)s started") % {"number": job.attempts}
    yield Event(started_at, "▸", title, details)


def _is_kept(job: ScheduledJob, attempts: Sequence[JobAttempt]) -> bool:
    return bool(attempts) and attempts[-1].number == job.attempts


def _end(job: ScheduledJob, attempts: Sequence[JobAttempt]) -> Iterator[Event]:
    if job.finished_at is None:
        return
    finished_at, details = _instant(job.finished_at), []
    if job.started_at is not None and not _is_kept(job, attempts):
        length = times.length(finished_at - _instant(job.started_at))
        details = [_("took %(length)s") % {"length": length}]
    sign = display.SYMBOLS.get(job.status, "?")
    yield Event(finished_at, sign, Status.label_of(job.status), details)


def _headline(attempt: JobAttempt) -> str:
    line = last_line(attempt.traceback)
    return line if attempt.exception in line else f"{attempt.exception}: {line}".removesuffix(": ")


def _instant(value: datetime) -> datetime:
    return clock.from_row(value)


def _clock_time(at: datetime) -> str:
    return f"{at.astimezone(clock.current_zone()):%H:%M:%S}"
