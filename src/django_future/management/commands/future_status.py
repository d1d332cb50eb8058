"""`manage.py future_status`: show queues, workers and failures; or why one job does not run."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from django_future import clock
from django_future.content_objects import load_label
from django_future.databases import jobs_database
from django_future.diagnosis import diagnose, last_line, length, moment
from django_future.log import job_label
from django_future.management.tables import check_tables
from django_future.models import ScheduledJob, Worker
from django_future.overview import Overview, Queue, overview
from django_future.plural import agreeing, counted
from django_future.status import Status
from django_future.store import Store, store_for
from django_future.store.recent import SHOWN, Recent
from django_future.store.transitions import HANDLER_UNKNOWN
from django_future.store.unknown_handlers import UnknownHandler
from django_future.store.workers import is_alive

COLUMNS = (*SHOWN, "expires_at", "queue_name", "scheduled_at")


class Command(BaseCommand):
    """Show queues, workers and failures; or why one job does not run."""

    help = (
        "Shows queues, workers, and the jobs that failed or expired in the last 24 hours. With the "
        "id of a job, shows why it does not run."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("job", nargs="?", type=int, help="The id of a job.")
        parser.add_argument("--json", action="store_true", help="Print JSON, for scripts.")
        parser.add_argument(
            "--database", choices=tuple(connections), help="Inspect this database alias."
        )

    def handle(self, *_: Any, job: int | None, json: bool, database: str | None, **__: Any) -> None:
        """Print the state of the database, or of one job."""
        store = store_for(jobs_database(database))
        check_tables(store.alias)
        store.synchronise()
        if job is not None:
            show, found = (_job_as_json if json else _job_as_text), _job(store, job)
            self.stdout.write(show(found, store))
        else:
            state = overview(store)
            self.stdout.write(_as_json(state) if json else "\n".join(_as_text(state)))


def _job(store: Store, pk: int) -> ScheduledJob:
    job = next(iter(store.jobs.filter(pk=pk).only(*COLUMNS)), None)
    if job is None:
        raise CommandError(
            f"There is no job {pk} in the database {store.alias!r}. It was deleted, or pruned "
            "after DJANGO_FUTURE['RETENTION'], or its transaction was rolled back or is still open."
        )
    return job


def _job_as_text(job: ScheduledJob, store: Store) -> str:
    reasons = [f"  {reason.text}" for reason in diagnose(job, store)]
    return "\n".join([f"Job {_label(job)} is {job.status}.", *reasons])


def _label(job: ScheduledJob) -> str:
    load_label(job)  # a new process has loaded no content types
    return job_label(job)


def _job_as_json(job: ScheduledJob, store: Store) -> str:
    reasons = [reason._asdict() for reason in diagnose(job, store)]
    return _json_text(
        {"job": job.pk, "handler": job.callable_name, "status": job.status, "reasons": reasons}
    )


def _as_text(state: Overview) -> Iterator[str]:
    connection = connections[state.alias]
    at = state.at.astimezone(clock.current_zone())
    yield f"{connection.display_name} database {state.alias!r}, {at:%Y-%m-%d %H:%M:%S}"
    yield ""
    yield from _table(
        ["Queue", "Waiting", "Due", "Oldest due", "Served by"],
        [_queue_row(queue, state.at) for queue in state.queues],
        "No job waits, and no queue is paused.",
    )
    yield ""
    yield from _table(
        ["Worker", "Serves", "Running", "Last seen"],
        [_worker_row(worker, state) for worker in state.workers],
        "No worker runs. Jobs wait for the next `manage.py runscheduledjobs`, or for a worker: "
        "`manage.py future_worker`.",
    )
    yield ""
    if state.running.number:
        yield from _list(state.running, "running", state.at)
    yield from _failed(state)
    yield from _list(state.expired, "expired in the last 24 hours", state.at)
    if state.overdue.number:
        yield from _list(state.overdue, "overdue, and not yet marked as expired", state.at)
    if state.parked.number:
        yield from _list(state.parked, "parked", state.at)
    yield from _unknown_handlers(state)
    if state.broken:
        yield "Recurring jobs that cannot be followed:"
        for recurring in state.broken:
            yield f"  {recurring.name} ({recurring.callable_name}): {last_line(recurring.error)}"


def _queue_row(queue: Queue, at: datetime) -> list[str]:
    more = "" if queue.backlog.is_exact else "+"
    oldest = queue.backlog.oldest_at
    served_by = ", ".join(queue.workers) or "no worker"
    return [
        queue.name,
        f"{queue.backlog.waiting:,}{more}",
        f"{queue.backlog.due:,}{more}",
        f"{length(at - oldest)} ago" if oldest else "",
        f"{served_by}; {_paused(queue, at)}" if queue.paused else served_by,
    ]


def _worker_row(worker: Worker, state: Overview) -> list[str]:
    seen = f"{length(state.at - clock.from_row(worker.seen_at))} ago"
    shown = seen if is_alive(worker, state.at) else f"{seen} (lost)"
    running = state.running_by_worker[worker.name]
    return [worker.name, worker.describe_queues(), f"{running:,}", shown]


def _paused(queue: Queue, at: datetime) -> str:
    if queue.paused is None:
        return ""
    since = moment(clock.from_row(queue.paused.paused_at), at)
    return f"paused since {since}: {queue.paused.reason}".removesuffix(": ")


def _table(header: list[str], rows: Sequence[list[str]], if_empty: str) -> Iterator[str]:
    if not rows:
        yield if_empty
        return
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in [header, *rows]:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _failed(state: Overview) -> Iterator[str]:
    failed, description = state.failed, "failed in the last 24 hours"
    if failed.number or not failed.dealt_with:
        yield from _list(failed, description, state.at)
    if failed.dealt_with:
        are = agreeing(failed.dealt_with, "is", "are")
        jobs = _jobs(failed.dealt_with, is_exact=failed.is_exact)
        yield f"{jobs} {description} and {are} dealt with.".capitalize()


def _list(recent: Recent, description: str, at: datetime) -> Iterator[str]:
    if not recent.number:
        yield f"No jobs {description}."
        return
    jobs = _jobs(recent.number, is_exact=recent.is_exact)
    more = "" if recent.number == len(recent.latest) else f"; the latest {len(recent.latest)}"
    yield f"{jobs} {description}{more}:".capitalize()
    for job in recent.latest:
        # The error of a running job is that of an earlier attempt.
        has_error = job.error and job.status != Status.RUNNING
        error = f": {last_line(job.error)}" if has_error else ""
        yield f"  {_label(job)}{_when(job, at)}{error}"


def _unknown_handlers(state: Overview) -> Iterator[str]:
    unknown = state.unknown_handlers
    if not unknown.number:
        return
    yield (
        "Handlers that a worker did not know. Deploy their code, or rename them with `manage.py "
        "future_rename`:"
    )
    for handler in unknown.first:
        due = _jobs(handler.due, is_exact=handler.is_exact)
        reason = _why_unknown(handler.job)
        yield f"  {handler.job.callable_name}: {due} due. {reason}"
    if (more := unknown.number - len(unknown.first)) > 0:
        yield f"  and {'' if unknown.is_exact else 'at least '}{more:,} more"


def _why_unknown(job: ScheduledJob) -> str:
    return last_line(" ".join(job.error.removesuffix(HANDLER_UNKNOWN).split()))


def _jobs(number: int, *, is_exact: bool) -> str:
    at_least = "" if is_exact else "at least "
    return f"{at_least}{counted(number, 'job')}"


def _when(job: ScheduledJob, at: datetime) -> str:
    if job.status == Status.RUNNING:
        since = f" since {moment(clock.from_row(job.started_at), at)}" if job.started_at else ""
        return f"{since}, by {job.worker}"
    return f" at {moment(clock.from_row(job.finished_at), at)}" if job.finished_at else ""


def _as_json(state: Overview) -> str:
    return _json_text(
        {
            "database": state.alias,
            "at": state.at,
            "queues": [_queue_as_json(queue) for queue in state.queues],
            "workers": [
                {
                    "name": worker.name,
                    "host": worker.host,
                    "pid": worker.pid,
                    **(worker.queue_names or {"queues": None, "excluded_queues": None}),
                    "running": state.running_by_worker[worker.name],
                    "seen_at": clock.from_row(worker.seen_at),
                    "is_alive": is_alive(worker, state.at),
                }
                for worker in state.workers
            ],
            "running": _recent_as_json(state.running),
            "failed": {**_recent_as_json(state.failed), "dealt_with": state.failed.dealt_with},
            "expired": _recent_as_json(state.expired),
            "overdue": _recent_as_json(state.overdue),
            "parked": _recent_as_json(state.parked),
            "unknown_handlers": [
                _handler_as_json(handler) for handler in state.unknown_handlers.first
            ],
            "broken_recurring": [
                {
                    "name": recurring.name,
                    "handler": recurring.callable_name,
                    "error": last_line(recurring.error),
                }
                for recurring in state.broken
            ],
        }
    )


def _queue_as_json(queue: Queue) -> dict[str, Any]:
    paused = queue.paused
    return {
        "queue": queue.name,
        "waiting": queue.backlog.waiting,
        "due": queue.backlog.due,
        "is_exact": queue.backlog.is_exact,
        "oldest_due_at": queue.backlog.oldest_at,
        "is_paused": paused is not None,
        "paused_at": clock.from_row(paused.paused_at) if paused else None,
        "reason": paused.reason if paused else "",
        "workers": queue.workers,
    }


def _handler_as_json(handler: UnknownHandler) -> dict[str, Any]:
    return {
        "handler": handler.job.callable_name,
        "due": handler.due,
        "is_exact": handler.is_exact,
        "error": _why_unknown(handler.job),
    }


def _recent_as_json(recent: Recent) -> dict[str, Any]:
    latest = [
        {
            "job": job.pk,
            "handler": job.callable_name,
            "worker": job.worker,
            "started_at": clock.from_row(job.started_at) if job.started_at else None,
            "finished_at": clock.from_row(job.finished_at) if job.finished_at else None,
            "error": last_line(job.error),
        }
        for job in recent.latest
    ]
    return {"number": recent.number, "is_exact": recent.is_exact, "latest": latest}


def _json_text(value: dict[str, Any]) -> str:
    return json.dumps(value, default=lambda instant: instant.isoformat(), indent=2)
