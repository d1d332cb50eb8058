"""The problems of a database in words, the worst kind first, each with a link to the remedy."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import formats
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_future import clock
from django_future.admin.overview.snapshot import (
    HOUR,
    HOUR_STEP,
    MAX_GROUPS,
    QueueLine,
    Snapshot,
)
from django_future.admin.queue_column import parked_text
from django_future.admin.times import length
from django_future.diagnosis import last_line, moment
from django_future.models import PausedQueue
from django_future.store.current import MAX_PARKED

LATE_AFTER = timedelta(minutes=1)  # of the oldest due job of a queue, or of a recurring job
MAX_LATENESS = timedelta(seconds=10)  # of 95 % of the jobs that ended in five minutes
MAX_LISTED = 5  # problems of one kind


@dataclass(frozen=True)
class Problem:
    """A sentence, and the page on which a user can act: a list of rows, or the row `pk`."""

    text: str
    page: str
    remedy: str
    pk: Any = None
    filters: str = ""


def problems(state: Snapshot) -> list[Problem]:
    """Return the problems, the worst kind first."""
    kinds = (_waiting, _overdue, _lost_workers, _lost_jobs, _lateness, _broken, _parked, _failures)
    return [problem for kind in kinds for problem in kind(state)]


def _waiting(state: Snapshot) -> Iterator[Problem]:
    due = [queue for queue in state.queues if queue.backlog.due and queue.backlog.oldest_at]
    by_age = sorted(due, key=lambda queue: queue.backlog.oldest_at or state.at)
    found = [problem for queue in by_age if (problem := _of_queue(queue, state)) is not None]
    yield from found[:MAX_LISTED]
    if (more := len(found) - MAX_LISTED) > 0:
        text = ngettext(
            "Jobs wait in %(count)s more queue.", "Jobs wait in %(count)s more queues.", more
        )
        yield Problem(text % {"count": more}, "scheduledjob", _("Jobs"))


def _of_queue(queue: QueueLine, state: Snapshot) -> Problem | None:
    age = state.at - (queue.backlog.oldest_at or state.at)
    details = {"due": _due(queue), "age": length(age), "queue": queue.name}
    if queue.paused is not None:
        text = _paused(queue.paused)
        since = moment(clock.from_row(queue.paused.paused_at), state.at)
        pause = {"author": queue.paused.paused_by, "reason": queue.paused.reason, "since": since}
        return Problem(text % (details | pause), "pausedqueue", _("Paused queues"))
    if not state.alive and age > LATE_AFTER:
        text = _(
            "%(due)s in “%(queue)s”, the oldest for %(age)s, and no worker runs. Start one: "
            "manage.py future_worker"
        )
        return Problem(text % details, "worker", _("Workers"))
    if state.alive and not queue.workers:
        text = _("%(due)s in “%(queue)s”, the oldest for %(age)s, and no worker serves it.")
        return Problem(text % details, "worker", _("Workers"))
    if age > LATE_AFTER:
        text = _(
            "%(due)s in “%(queue)s”, the oldest for %(age)s. Its workers run other jobs: start "
            "more workers or threads."
        )
        filters = urlencode({"status__exact": "scheduled", "queue_name": queue.name})
        return Problem(text % details, "scheduledjob", _("Jobs"), filters=filters)
    return None


def _due(queue: QueueLine) -> str:
    number = formats.number_format(queue.backlog.due)
    if not queue.backlog.is_exact:
        return _("At least %(number)s jobs are due") % {"number": number}
    text = ngettext("%(number)s job is due", "%(number)s jobs are due", queue.backlog.due)
    return text % {"number": number}


def _paused(pause: PausedQueue) -> str:
    if pause.paused_by and pause.reason:
        return _(
            "Queue “%(queue)s” has been paused by %(author)s since %(since)s: %(reason)s. %(due)s."
        )
    if pause.paused_by:
        return _("Queue “%(queue)s” has been paused by %(author)s since %(since)s. %(due)s.")
    if pause.reason:
        return _("Queue “%(queue)s” has been paused since %(since)s: %(reason)s. %(due)s.")
    return _("Queue “%(queue)s” has been paused since %(since)s. %(due)s.")


def _overdue(state: Snapshot) -> Iterator[Problem]:
    times = [clock.from_row(one.next_run_at) for one in state.recurring if one.next_run_at]
    late = [at for at in times if state.at - at > LATE_AFTER]
    if late:
        text = ngettext(
            "%(count)s recurring job has been due for %(age)s, and no worker has scheduled it.",
            "%(count)s recurring jobs have been due for up to %(age)s, and no worker has scheduled "
            "them.",
            len(late),
        )
        details = {"count": len(late), "age": length(state.at - min(late))}
        yield Problem(text % details, "worker", _("Workers"))


def _lost_workers(state: Snapshot) -> Iterator[Problem]:
    for worker in state.lost[:MAX_LISTED]:
        running = state.running_by_worker[worker.name]
        text = ngettext(
            "Worker %(worker)s has not been seen for %(age)s. Another worker rescues its "
            "%(count)s job.",
            "Worker %(worker)s has not been seen for %(age)s. Another worker rescues its "
            "%(count)s jobs.",
            running,
        )
        if not running:
            text = _("Worker %(worker)s has not been seen for %(age)s. It ran no jobs.")
        age = length(state.at - clock.from_row(worker.seen_at))
        details = {"worker": worker.name, "age": age, "count": running}
        yield Problem(text % details, "worker", _("Workers"))


def _lost_jobs(state: Snapshot) -> Iterator[Problem]:
    """Yield a problem if jobs run on workers without a row; those with a row are named above."""
    known = {worker.name for worker in state.workers}
    if lost := sum(job.worker not in known for job in state.jobs.running):
        text = ngettext(
            "%(count)s job runs on a worker that is gone. Another worker rescues it.",
            "%(count)s jobs run on workers that are gone. Another worker rescues them.",
            lost,
        )
        filters = urlencode({"status__exact": "running"})
        yield Problem(text % {"count": lost}, "scheduledjob", _("Jobs"), filters=filters)


def _lateness(state: Snapshot) -> Iterator[Problem]:
    """Yield a problem if many of the latest jobs started late, with the time since when."""
    late_p95 = since = None
    for step in reversed(state.series(HOUR, HOUR_STEP)):
        if step.late_p95 is None and late_p95 is None:
            continue  # no job has ended since
        if step.late_p95 is None or step.late_p95 <= MAX_LATENESS:
            break
        late_p95, since = late_p95 or step.late_p95, step.starts_at
    if late_p95 is not None and since is not None:
        text = _("5 %% of the jobs started more than %(late)s late since %(since)s.")
        details = {"late": length(late_p95), "since": moment(since, state.at)}
        yield Problem(text % details, "scheduledjob", _("Jobs"))


def _broken(state: Snapshot) -> Iterator[Problem]:
    for recurring in state.broken[:MAX_LISTED]:
        text = _("Recurring job “%(name)s” cannot be followed: %(error)s")
        details = {"name": recurring.name, "error": last_line(recurring.error)}
        yield Problem(text % details, "recurringjob", _("Edit"), pk=recurring.pk)


def _parked(state: Snapshot) -> Iterator[Problem]:
    if text := parked_text(state.jobs.parked, MAX_PARKED):
        filters = urlencode({"status__exact": "parked"})
        yield Problem(f"{text}.", "scheduledjob", _("Jobs"), filters=filters)


def _failures(state: Snapshot) -> Iterator[Problem]:
    number = sum(group.count for group in state.failures)
    if not number:
        return
    text = ngettext(
        "%(number)s job has failed, and is not dealt with.",
        "%(number)s jobs have failed, and are not dealt with.",
        number,
    )
    is_exact = all(group.is_exact for group in state.failures)
    if not is_exact or len(state.failures) > MAX_GROUPS:
        text = _("At least %(number)s jobs have failed, and are not dealt with.")
    yield Problem(text % {"number": formats.number_format(number)}, "failures", _("Failures"))
