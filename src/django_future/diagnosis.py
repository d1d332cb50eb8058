"""The reasons why a job is not running, as sentences."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django_future import clock
from django_future.models import PausedQueue, ScheduledJob, Worker
from django_future.models.job import SIGNED_COLUMNS
from django_future.status import Status
from django_future.store import Store
from django_future.store.backlog import backlog_of
from django_future.store.transitions import is_handler_unknown
from django_future.store.workers import is_alive

MAX_WORKERS = 100  # workers that a diagnosis reads
MAX_NAMED = 3  # workers in one sentence
MAX_LINE_LENGTH = 300  # characters of an error

_UNITS = [("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)]


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
    """Return the workers, also lost ones, but at most `MAX_WORKERS`."""
    workers = Worker.objects.using(store.alias).defer("sessions").order_by("name")
    return list(workers[:MAX_WORKERS])


def why_queue_waits(
    queue_name: str, paused: PausedQueue | None, alive: Sequence[Worker], alias: str, at: datetime
) -> Iterator[Reason]:
    """Yield the reasons why no job of the queue can run."""
    if paused is not None:
        since = clock.from_row(paused.paused_at)
        because = f": {paused.reason}" if paused.reason else ""
        yield Reason(
            "paused",
            f"Its queue {queue_name!r} has been paused since {moment(since, at)}{because}.",
        )
    if not alive:
        yield Reason(
            "no_worker",
            f"No worker runs for the database {alias!r}. The job waits for the next `manage.py "
            "runscheduledjobs`, or for a worker: `manage.py future_worker`.",
        )
    elif not any(worker.serves(queue_name) for worker in alive):
        others = ", ".join(
            f"{worker.name} serves {worker.describe_queues()}" for worker in alive[:MAX_NAMED]
        )
        yield Reason(
            "not_served",
            f"No worker serves its queue {queue_name!r}: {others}. Start one with "
            f"`manage.py future_worker --queue {queue_name}`, or for all queues.",
        )


def moment(instant: datetime, at: datetime) -> str:
    """Return a time in the current time zone, without the date if it is the date of `at`."""
    zone = clock.current_zone()
    local, today = instant.astimezone(zone), at.astimezone(zone).date()
    return f"{local:%H:%M:%S}" if local.date() == today else f"{local:%Y-%m-%d %H:%M:%S}"


def length(duration: timedelta) -> str:
    """Return a duration in its largest unit, such as '3 hours'."""
    seconds = max(round(duration.total_seconds()), 0)
    unit, size = next((pair for pair in _UNITS if seconds >= pair[1]), _UNITS[-1])
    return f"{seconds // size:,} {unit}{'' if seconds // size == 1 else 's'}"


def last_line(error: str) -> str:
    """Return the last line of a traceback, cut after `MAX_LINE_LENGTH` characters."""
    line = next((line for line in reversed(error.splitlines()) if line.strip()), "")
    return line.strip() if len(line) <= MAX_LINE_LENGTH else f"{line[:MAX_LINE_LENGTH]}…"


def _scheduled(job: ScheduledJob, store: Store, at: datetime) -> Iterator[Reason]:
    reasons = [*_why_not_yet(job, at)]
    if is_handler_unknown(job.error):
        reasons.append(Reason("unknown_handler", job.error))
    paused = PausedQueue.objects.using(store.alias).filter(queue_name=job.queue_name).first()
    alive = [worker for worker in workers_of(store) if is_alive(worker, at)]
    reasons += why_queue_waits(job.queue_name, paused, alive, store.alias, at)
    yield from reasons
    if not reasons:
        yield _in_turn(job, store, alive, at)


def _why_not_yet(job: ScheduledJob, at: datetime) -> Iterator[Reason]:
    due_at = clock.from_row(job.scheduled_at)
    if job.expires_at is not None and clock.from_row(job.expires_at) <= at:
        expired_at = clock.from_row(job.expires_at)
        yield Reason(
            "overdue",
            f"It expired at {moment(expired_at, at)}, before a worker ran it. The next worker "
            "marks it as expired.",
        )
    elif due_at > at:
        due = f"due in {length(due_at - at)}, at {moment(due_at, at)}"
        if job.attempts and job.error and not is_handler_unknown(job.error):
            yield Reason(
                "retry",
                f"Another attempt is {due}. Attempt {job.attempts} of {job.max_attempts} failed: "
                f"{last_line(job.error)}",
            )
        else:
            yield Reason("not_due", f"It is {due}.")


def _in_turn(job: ScheduledJob, store: Store, alive: Sequence[Worker], at: datetime) -> Reason:
    serving = [worker.name for worker in alive if worker.serves(job.queue_name)]
    backlog = backlog_of(store, job.queue_name, at)
    at_least = "" if backlog.is_exact else "at least "
    jobs = "1 job is" if backlog.due == 1 else f"{at_least}{backlog.due:,} jobs are"
    return Reason(
        "in_turn",
        f"It has been due for {length(at - clock.from_row(job.scheduled_at))}, and waits for a "
        f"thread of {', '.join(serving[:MAX_NAMED])}; {jobs} due in its queue {job.queue_name!r}.",
    )


def _running(job: ScheduledJob, store: Store, at: datetime) -> Iterator[Reason]:
    workers = Worker.objects.using(store.alias).defer("sessions")
    worker = next(iter(workers.filter(name=job.worker)), None)
    if worker is None or not is_alive(worker, at):
        seen = "is gone"
        if worker is not None:
            seen = f"was last seen at {moment(clock.from_row(worker.seen_at), at)}"
        yield Reason(
            "lost",
            f"Its worker {job.worker} {seen}. Another worker, or the next one-off run, rescues the "
            "job.",
        )
    elif job.started_at is None:
        yield Reason("claimed", f"It is claimed by {job.worker}, and has not started.")
    else:
        since = moment(clock.from_row(job.started_at), at)
        yield Reason(
            "running", f"It has been running since {since} on {worker.host}, by {job.worker}."
        )


def _complete(job: ScheduledJob, _: Store, at: datetime) -> Iterator[Reason]:
    yield Reason("complete", f"It completed at {_finished(job, at)}.")


def _failed(job: ScheduledJob, _: Store, at: datetime) -> Iterator[Reason]:
    yield Reason(
        "failed",
        f"It failed at {_finished(job, at)}, in attempt {job.attempts} of {job.max_attempts}: "
        f"{_sentence(last_line(job.error))} Fix the cause, and retry the job.",
    )


def _expired(job: ScheduledJob, _: Store, at: datetime) -> Iterator[Reason]:
    due_at = moment(clock.from_row(job.scheduled_at), at)
    until = ""
    if job.expires_at is not None:
        until = f" until {moment(clock.from_row(job.expires_at), at)}"
    yield Reason("expired", f"It expired: it was due at {due_at}, and no worker ran it{until}.")


def _cancelled(job: ScheduledJob, _: Store, at: datetime) -> Iterator[Reason]:
    because = f": {last_line(job.error)}" if job.error else "."
    yield Reason("cancelled", f"It was cancelled at {_finished(job, at)}{because}")


def _parked(job: ScheduledJob, store: Store, _: datetime) -> Iterator[Reason]:
    because = last_line(job.error)
    parked = store.jobs.filter(pk=job.pk, status=Status.PARKED)
    if any(row.is_signed for row in parked.only(*SIGNED_COLUMNS)):
        because = (
            "its signature was not valid when a worker claimed it. It is valid now. Schedule the "
            f"job again with `manage.py future_sign {job.pk}`."
        )
    yield Reason("parked", f"It is parked: {because}")


def _unknown(job: ScheduledJob, _: Store, __: datetime) -> Iterator[Reason]:
    yield Reason(
        "unknown",
        f"Its status is {job.status!r}, which this version of django-future does not support.",
    )


def _sentence(text: str) -> str:
    return text if not text or text.endswith((".", "!", "?", "…")) else f"{text}."


def _finished(job: ScheduledJob, at: datetime) -> str:
    return moment(clock.from_row(job.finished_at), at) if job.finished_at else "an unknown time"


_EXPLANATIONS: dict[str, Callable[[ScheduledJob, Store, datetime], Iterator[Reason]]] = {
    Status.SCHEDULED: _scheduled,
    Status.RUNNING: _running,
    Status.COMPLETE: _complete,
    Status.FAILED: _failed,
    Status.EXPIRED: _expired,
    Status.CANCELLED: _cancelled,
    Status.PARKED: _parked,
}
