"""The reasons why a job is not running, as sentences."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import ngettext, ngettext_lazy

from django_future import clock
from django_future.models import PausedQueue, ScheduledJob, Worker
from django_future.models.job import SIGNED_COLUMNS
from django_future.status import Status
from django_future.store import Store
from django_future.store.backlog import jobs_before
from django_future.store.transitions import is_handler_unknown
from django_future.store.workers import is_alive

MAX_WORKERS = 1000  # workers that a diagnosis reads, those that were seen last
MAX_NAMED = 3  # workers in one sentence
MAX_LINE_LENGTH = 300  # characters of an error

_UNITS: list[tuple[Any, int]] = [
    (ngettext_lazy("%(count)s day", "%(count)s days"), 86_400),
    (ngettext_lazy("%(count)s hour", "%(count)s hours"), 3_600),
    (ngettext_lazy("%(count)s minute", "%(count)s minutes"), 60),
    (ngettext_lazy("%(count)s second", "%(count)s seconds"), 1),
]


class Reason(NamedTuple):
    """One reason why a job is not running: a code for programs, and a sentence for people."""

    code: str
    text: str


def diagnose(job: ScheduledJob, store: Store) -> list[Reason]:
    """Return why a job is not running, or that it is running, or how it ended.

    Each of the reasons alone prevents the job from running.
    """
    explain = _EXPLANATIONS.get(job.status, _unknown)
    return list(explain(job, store, store.now()))


def workers_of(store: Store) -> list[Worker]:
    """Return the workers in the order of their names, also lost ones, but at most `MAX_WORKERS`."""
    workers = Worker.objects.using(store.alias).defer("sessions").order_by("-seen_at", "name")
    return sorted(workers[:MAX_WORKERS], key=lambda worker: worker.name)


def why_queue_waits(
    queue_name: str, paused: PausedQueue | None, alive: Sequence[Worker], alias: str, at: datetime
) -> Iterator[Reason]:
    """Yield the reasons why no job of the queue can run."""
    if paused is not None:
        yield Reason("paused", _pause(queue_name, paused, at))
    if not alive:
        text = _(
            "No worker runs for the database %(database)s. The job waits for the next `manage.py "
            "runscheduledjobs`, or for a worker: `manage.py future_worker`."
        )
        yield Reason("no_worker", text % {"database": repr(alias)})
    elif not any(worker.serves(queue_name) for worker in alive):
        text = _(
            "No worker serves its queue %(queue)s: %(workers)s. Start one with `manage.py "
            "future_worker --queue %(name)s`, or for all queues."
        )
        others = (
            _("%(worker)s serves %(queues)s")
            % {"worker": worker.name, "queues": worker.describe_queues()}
            for worker in alive[:MAX_NAMED]
        )
        details = {"queue": repr(queue_name), "name": queue_name, "workers": ", ".join(others)}
        yield Reason("not_served", text % details)


def moment(instant: datetime, at: datetime) -> str:
    """Return a time in the current time zone, without the date if it is the date of `at`."""
    zone = clock.current_zone()
    local, today = instant.astimezone(zone), at.astimezone(zone).date()
    return f"{local:%H:%M:%S}" if local.date() == today else f"{local:%Y-%m-%d %H:%M:%S}"


def length(duration: timedelta) -> str:
    """Return a duration in its largest unit, such as '3 hours'."""
    seconds = max(round(duration.total_seconds()), 0)
    unit, size = next((pair for pair in _UNITS if seconds >= pair[1]), _UNITS[-1])
    return str(unit % (seconds // size)) % {"count": f"{seconds // size:,}"}


def last_line(error: str) -> str:
    """Return the last line of a traceback, cut after `MAX_LINE_LENGTH` characters."""
    # The lines of an exception group are in a frame of these characters.
    texts = (line.strip("+-| \t") for line in reversed(error.splitlines()))
    line = next(filter(None, texts), "")
    return line if len(line) <= MAX_LINE_LENGTH else f"{line[:MAX_LINE_LENGTH]}…"


def _pause(queue_name: str, paused: PausedQueue, at: datetime) -> str:
    if paused.paused_by and paused.reason:
        text = _("Its queue %(queue)s has been paused by %(author)s since %(since)s: %(reason)s.")
    elif paused.paused_by:
        text = _("Its queue %(queue)s has been paused by %(author)s since %(since)s.")
    elif paused.reason:
        text = _("Its queue %(queue)s has been paused since %(since)s: %(reason)s.")
    else:
        text = _("Its queue %(queue)s has been paused since %(since)s.")
    since = moment(clock.from_row(paused.paused_at), at)
    details = {"queue": repr(queue_name), "since": since}
    return text % {**details, "author": paused.paused_by, "reason": paused.reason}


def _scheduled(job: ScheduledJob, store: Store, at: datetime) -> Iterator[Reason]:
    reasons = [*_why_not_yet(job, at)]
    if is_handler_unknown(job.error):
        reasons.append(Reason("unknown_handler", job.error))
    # The admin annotates `is_paused`, and saves a query.
    rows = PausedQueue.objects.using(store.alias).filter(queue_name=job.queue_name)
    paused = next(iter(rows), None) if getattr(job, "is_paused", True) else None
    alive = [worker for worker in workers_of(store) if is_alive(worker, at)]
    reasons += why_queue_waits(job.queue_name, paused, alive, store.alias, at)
    yield from reasons
    if not reasons:
        yield _in_turn(job, store, alive, at)


def _why_not_yet(job: ScheduledJob, at: datetime) -> Iterator[Reason]:
    due_at = clock.from_row(job.scheduled_at)
    if job.expires_at is not None and clock.from_row(job.expires_at) <= at:
        text = _(
            "It expired at %(time)s, before a worker ran it. The next worker marks it as expired."
        )
        yield Reason("overdue", text % {"time": moment(clock.from_row(job.expires_at), at)})
    elif due_at > at:
        due = {"length": length(due_at - at), "time": moment(due_at, at)}
        if job.attempts and job.error and not is_handler_unknown(job.error):
            text = _(
                "Another attempt is due in %(length)s, at %(time)s. Attempt %(number)s of %(most)s "
                "failed: %(error)s"
            )
            yield Reason("retry", text % (due | _failure(job)))
        else:
            yield Reason("not_due", _("It is due in %(length)s, at %(time)s.") % due)


def _in_turn(job: ScheduledJob, store: Store, alive: Sequence[Worker], at: datetime) -> Reason:
    serving = [worker.name for worker in alive if worker.serves(job.queue_name)]
    before = jobs_before(store, job, at)
    text = ngettext(
        "It has been due for %(length)s, and waits for a thread of %(workers)s; %(count)s job is "
        "before it in its queue %(queue)s.",
        "It has been due for %(length)s, and waits for a thread of %(workers)s; %(count)s jobs are "
        "before it in its queue %(queue)s.",
        before.number,
    )
    if not before.is_exact:
        text = _(
            "It has been due for %(length)s, and waits for a thread of %(workers)s; at least "
            "%(count)s jobs are before it in its queue %(queue)s."
        )
    elif not before.number:
        text = _(
            "It has been due for %(length)s, and waits for a thread of %(workers)s; it is the next "
            "in its queue %(queue)s."
        )
    details = {
        "length": length(at - clock.from_row(job.scheduled_at)),
        "workers": ", ".join(serving[:MAX_NAMED]),
        "count": f"{before.number:,}",
        "queue": repr(job.queue_name),
    }
    return Reason("in_turn", text % details)


def _running(job: ScheduledJob, store: Store, at: datetime) -> Iterator[Reason]:
    workers = Worker.objects.using(store.alias).defer("sessions")
    worker = next(iter(workers.filter(name=job.worker)), None)
    if worker is None or not is_alive(worker, at):
        yield _lost(job, worker, at)
    elif job.started_at is None:
        text = _("It is claimed by %(worker)s, and has not started.")
        yield Reason("claimed", text % {"worker": job.worker})
    else:
        text = _("It has been running since %(since)s on %(host)s, by %(worker)s.")
        since = moment(clock.from_row(job.started_at), at)
        details = {"since": since, "host": worker.host, "worker": job.worker}
        yield Reason("running", text % details)


def _lost(job: ScheduledJob, worker: Worker | None, at: datetime) -> Reason:
    details = {"worker": job.worker}
    if worker is None:
        text = _(
            "Its worker %(worker)s is gone. Another worker, or the next one-off run, rescues the "
            "job."
        )
    else:
        text = _(
            "Its worker %(worker)s was last seen at %(time)s. Another worker, or the next one-off "
            "run, rescues the job."
        )
        details["time"] = moment(clock.from_row(worker.seen_at), at)
    return Reason("lost", text % details)


def _complete(job: ScheduledJob, __: Store, at: datetime) -> Iterator[Reason]:
    yield Reason("complete", _("It completed at %(time)s.") % {"time": _finished(job, at)})


def _failed(job: ScheduledJob, __: Store, at: datetime) -> Iterator[Reason]:
    text = _(
        "It failed at %(time)s, in attempt %(number)s of %(most)s: %(error)s Fix the cause, and "
        "retry the job."
    )
    details = _failure(job) | {"time": _finished(job, at), "error": _sentence(last_line(job.error))}
    yield Reason("failed", text % details)


def _expired(job: ScheduledJob, __: Store, at: datetime) -> Iterator[Reason]:
    details = {"due": moment(clock.from_row(job.scheduled_at), at)}
    if job.expires_at is None:
        text = _("It expired: it was due at %(due)s, and no worker ran it.")
    else:
        text = _("It expired: it was due at %(due)s, and no worker ran it until %(time)s.")
        details["time"] = moment(clock.from_row(job.expires_at), at)
    yield Reason("expired", text % details)


def _cancelled(job: ScheduledJob, __: Store, at: datetime) -> Iterator[Reason]:
    text = _("It was cancelled at %(time)s.")
    if job.error:
        text = _("It was cancelled at %(time)s: %(reason)s")
    details = {"time": _finished(job, at), "reason": last_line(job.error)}
    yield Reason("cancelled", text % details)


def _parked(job: ScheduledJob, store: Store, __: datetime) -> Iterator[Reason]:
    text = _("It is parked: %(reason)s")
    parked = store.jobs.filter(pk=job.pk, status=Status.PARKED)
    if any(row.is_signed for row in parked.only(*SIGNED_COLUMNS)):
        text = _(
            "It is parked: its signature was not valid when a worker claimed it. It is valid now. "
            "Schedule the job again with `manage.py future_sign %(number)s`."
        )
    yield Reason("parked", text % {"reason": last_line(job.error), "number": job.pk})


def _unknown(job: ScheduledJob, __: Store, ___: datetime) -> Iterator[Reason]:
    text = _("Its status is %(status)s, which this version of django-future does not support.")
    yield Reason("unknown", text % {"status": repr(job.status)})


def _failure(job: ScheduledJob) -> dict[str, Any]:
    error = last_line(job.error)
    return {"number": job.attempts, "most": job.max_attempts, "error": error}


def _sentence(text: str) -> str:
    return text if not text or text.endswith((".", "!", "?", "…")) else f"{text}."


def _finished(job: ScheduledJob, at: datetime) -> str:
    if job.finished_at is None:
        return _("an unknown time")
    return moment(clock.from_row(job.finished_at), at)


_EXPLANATIONS: dict[str, Callable[[ScheduledJob, Store, datetime], Iterator[Reason]]] = {
    Status.SCHEDULED: _scheduled,
    Status.RUNNING: _running,
    Status.COMPLETE: _complete,
    Status.FAILED: _failed,
    Status.EXPIRED: _expired,
    Status.CANCELLED: _cancelled,
    Status.PARKED: _parked,
}
