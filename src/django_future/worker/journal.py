"""The log lines about a worker: its start, its stop, and the jobs that it waits for."""

import logging
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from threading import Event
from typing import Any

import django
from django.db import DatabaseError, InterfaceError, connections

from django_future import __version__, clock
from django_future.connection_checks import small_pools
from django_future.log import job_label
from django_future.models import ScheduledJob, Worker
from django_future.plural import agreeing, counted
from django_future.service_thread import ServiceThread
from django_future.store import Selection, Store
from django_future.store.backlog import backlogs
from django_future.worker.pool import Pool

logger = logging.getLogger("django_future")

LOG_INTERVAL_SECONDS = 5.0  # between two lines about the jobs that still run during a stop
MAX_NAMED = 5  # jobs or workers in a line
MAX_RUNNING = 1000  # running jobs of other workers that are counted


def log_setup(alias: str) -> None:
    """Log the versions, the settings and the database of a worker."""
    connection = connections[alias]
    logger.info(
        "django-future %s, Django %s, settings %r, %s database %r (%s)",
        __version__,
        django.get_version(),
        os.environ.get("DJANGO_SETTINGS_MODULE", ""),
        connection.display_name,
        alias,
        _place(connection.settings_dict),
        extra={"facts": {"event": "setup", "version": __version__, "database": alias}},
    )


def warn_of_small_pools(alias: str, threads: int) -> None:
    """Log a warning for each connection pool that is too small for the threads of a worker."""
    for other, size in small_pools(alias, threads):
        logger.warning(
            "The pool of the database %r has %s for handlers in %s threads, so the threads would "
            "wait for each other. Raise its 'max_size', or lower --threads.",
            other, counted(size, "connection"), threads,
        )  # fmt: skip


def short_duration(seconds: float) -> str:
    """Return a duration as a short text, such as '25 s'."""
    return f"{seconds:.0f} s" if seconds >= 1 or not seconds else f"{seconds:.1f} s"


class Journal:
    """Logs the events of one worker."""

    def __init__(self, store: Store, worker: Worker, pool: Pool) -> None:
        self._store = store
        self._worker = worker
        self._pool = pool

    def start(self, selection: Selection, threads: int) -> None:
        """Log the queues that the worker serves, and how many jobs wait or run in them."""
        self._log(
            logging.INFO,
            "start",
            f"serves {_queues(selection)} with {counted(threads, 'thread')}; "
            f"{_jobs(self._store, selection)}. Stop it with CONTROL-C.",
            **selection.queue_names,
            threads=threads,
        )

    def stop(self, why: str, timeout: timedelta, how_to_stop_now: str) -> None:
        """Log why the worker stops claiming, and which jobs it waits for."""
        running = self._pool.running_jobs
        text = f"stops: {why}"
        if running:
            text += (
                f"; waiting for {counted(len(running), 'job')}, {_named(running)}, for at most "
                f"{short_duration(timeout.total_seconds())}{how_to_stop_now}"
            )
        self._log(logging.INFO, "stop", f"{text}.", running=[job.pk for job in running])

    @contextmanager
    def waiting(self, timeout: timedelta) -> Iterator[None]:
        """Log regularly during the block which jobs still run."""
        stop_at = time.monotonic() + timeout.total_seconds()

        def log_running(stopped: Event) -> None:
            while not stopped.wait(min(LOG_INTERVAL_SECONDS, max(stop_at - time.monotonic(), 0))):
                is_over = time.monotonic() >= stop_at
                self._log_running(is_over=is_over)
                if is_over:
                    stopped.wait()

        with ServiceThread("journal", log_running):
            yield

    def end(self, why: str, exit_code: int, *, is_failure: bool) -> None:
        """Log that the worker has stopped, why, and with which exit code."""
        self._log(
            logging.WARNING if is_failure else logging.INFO,
            "end",
            f"has stopped after {counted(self._pool.finished, 'job')}: {why}. "
            f"Exit code {exit_code}.",
            exit_code=exit_code,
            jobs=self._pool.finished,
        )

    def _log_running(self, *, is_over: bool) -> None:
        running = self._pool.running_jobs
        if not running:
            return
        jobs = f"{counted(len(running), 'job')}, {_named(running)}"
        ids = [job.pk for job in running]
        if is_over:
            text = f"interrupts and releases {jobs}: the shutdown timeout is over."
            self._log(logging.WARNING, "interrupt", text, running=ids)
        else:
            self._log(logging.INFO, "wait", f"still waits for {jobs}.", running=ids)

    def _log(self, level: int, event: str, text: str, **facts: Any) -> None:
        name = self._worker.name
        facts = {"event": event, "worker": name, **facts}
        logger.log(level, "Worker %s %s", name, text, extra={"facts": facts})


def _queues(selection: Selection) -> str:
    names = _quoted(selection.queues)
    queues = agreeing(len(selection.queues), "queue", "queues")
    served = f"the {queues} {names}" if names else "all queues"
    excluded = _quoted(selection.excluded_queues)
    return f"{served} but {excluded}" if excluded else served


def _jobs(store: Store, selection: Selection) -> str:
    try:
        return _waiting(store, selection) + _running(store, selection)
    except (DatabaseError, InterfaceError):
        store.connection.close()
        return "the number of waiting jobs is unknown"


def _waiting(store: Store, selection: Selection) -> str:
    found = backlogs(store, selection, store.now())
    waiting = sum(backlog.waiting for backlog in found)
    due = sum(backlog.due for backlog in found)
    at_least = "" if all(backlog.is_exact for backlog in found) else "at least "
    if not waiting:
        return "no job waits"
    verb = agreeing(waiting, "waits", "wait")
    return f"{at_least}{counted(waiting, 'job')} {verb}, {due:,} due"


def _running(store: Store, selection: Selection) -> str:
    """Return how many jobs other workers run, and when these workers were last seen.

    The jobs of a lost worker are not rescued at once, and a reader may miss them.
    """
    rows = store.jobs.running().order_by("status", "-pk").values_list("worker", "queue_name")
    held = Counter(
        worker for worker, queue_name in rows[: MAX_RUNNING + 1] if selection.serves(queue_name)
    )
    if not held:
        return ""
    number = min(held.total(), MAX_RUNNING)
    at_least = "at least " if held.total() > MAX_RUNNING else ""
    verb = agreeing(number, "runs", "run")
    return f"; {at_least}{counted(number, 'job')} {verb} in {_seen(store, held)}"


def _seen(store: Store, names: Iterable[str]) -> str:
    """Return the names of workers, each with the time since it was last seen."""
    shown = sorted(names)[: MAX_NAMED + 1]
    workers = Worker.objects.using(store.alias).filter(name__in=shown[:MAX_NAMED])
    seen_at = dict(workers.values_list("name", "seen_at"))
    now = store.now()
    texts = [
        f"{name} (last seen {short_duration((now - clock.from_row(seen_at[name])).total_seconds())}"
        " ago)"
        if name in seen_at
        else f"{name} (gone)"
        for name in shown[:MAX_NAMED]
    ]
    return ", ".join(texts) + (" and others" if len(shown) > MAX_NAMED else "")


def _place(settings: dict[str, Any]) -> str:
    name = str(settings["NAME"])
    host = ":".join(filter(None, [str(settings["HOST"]), str(settings["PORT"])]))
    return f"{name} on {host}" if host else name


def _named(jobs: Sequence[ScheduledJob]) -> str:
    names = ", ".join(job_label(job) for job in jobs[:MAX_NAMED])
    return f"{names} and others" if len(jobs) > MAX_NAMED else names


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
