"""What a worker says of itself in the log: one line for each event of its life."""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from threading import Event
from typing import Any

import django
from django.db import DatabaseError, InterfaceError, connections

from django_future import __version__
from django_future.connection_checks import small_pools
from django_future.log import job_label
from django_future.models import ScheduledJob, Worker
from django_future.service_thread import ServiceThread
from django_future.store import Selection, Store
from django_future.store.backlog import backlogs
from django_future.worker.pool import Pool

logger = logging.getLogger("django_future")

LOG_INTERVAL_SECONDS = 5.0  # on what a worker that is to stop still waits for
MAX_NAMED = 5  # of the jobs that it waits for


def log_where(alias: str) -> None:
    """Log the versions, the settings and the database with which a worker starts."""
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
    """Log which pools lend too few connections for the handlers of so many threads."""
    for other, size in small_pools(alias, threads):
        logger.warning(
            "The pool of the database %r lends %s connections to handlers in %s threads, which "
            "would wait for each other. Raise its 'max_size', or start with fewer --threads.",
            other, size, threads,
        )  # fmt: skip


def short_duration(seconds: float) -> str:
    """Return a length of time as a line has room for, such as '25 s'."""
    return f"{seconds:.0f} s" if seconds >= 1 or not seconds else f"{seconds:.1f} s"


class Journal:
    """The lines of one worker."""

    def __init__(self, store: Store, worker: Worker, pool: Pool) -> None:
        self._store = store
        self._worker = worker
        self._pool = pool

    def start(self, selection: Selection, threads: int) -> None:
        """Say whom the worker serves, and how much waits for it."""
        self._say(
            logging.INFO,
            "start",
            f"serves {_queues(selection)} with {_count(threads, 'thread')}; "
            f"{_waiting(self._store, selection)}. Stop it with CONTROL-C.",
            **selection.queue_names,
            threads=threads,
        )

    def stop(self, why: str, timeout: timedelta, how_to_hurry: str) -> None:
        """Say why the worker claims no more, and what it waits for."""
        running = self._pool.running_jobs
        text = f"stops: {why}"
        if running:
            text += (
                f"; waiting for {_count(len(running), 'job')}, {_named(running)}, for at most "
                f"{short_duration(timeout.total_seconds())}{how_to_hurry}"
            )
        self._say(logging.INFO, "stop", f"{text}.", running=[job.pk for job in running])

    @contextmanager
    def waiting(self, timeout: timedelta) -> Iterator[None]:
        """Say now and then, while the block lasts, which jobs have not ended."""
        stop_at = time.monotonic() + timeout.total_seconds()

        def say(stopped: Event) -> None:
            while not stopped.wait(min(LOG_INTERVAL_SECONDS, max(stop_at - time.monotonic(), 0))):
                is_over = time.monotonic() >= stop_at
                self._still_running(is_over=is_over)
                if is_over:
                    stopped.wait()

        with ServiceThread("journal", say):
            yield

    def end(self, why: str, exit_code: int, *, is_trouble: bool) -> None:
        """Say that the worker has stopped, with which exit code, and why."""
        self._say(
            logging.WARNING if is_trouble else logging.INFO,
            "end",
            f"has stopped after {_count(self._pool.finished, 'job')}: {why}. "
            f"Exit code {exit_code}.",
            exit_code=exit_code,
            jobs=self._pool.finished,
        )

    def _still_running(self, *, is_over: bool) -> None:
        running = self._pool.running_jobs
        if not running:
            return
        jobs = f"{_count(len(running), 'job')}, {_named(running)}"
        ids = [job.pk for job in running]
        if is_over:
            text = f"interrupts and puts back {jobs}: the time to end is over."
            self._say(logging.WARNING, "interrupt", text, running=ids)
        else:
            self._say(logging.INFO, "wait", f"still waits for {jobs}.", running=ids)

    def _say(self, level: int, event: str, text: str, **facts: Any) -> None:
        name = self._worker.name
        facts = {"event": event, "worker": name, **facts}
        logger.log(level, "Worker %s %s", name, text, extra={"facts": facts})


def _queues(selection: Selection) -> str:
    named = _quoted(selection.queues)
    served = f"the {_plural(selection.queues, 'queue')} {named}" if named else "all queues"
    excluded = _quoted(selection.excluded_queues)
    return f"{served} but {excluded}" if excluded else served


def _waiting(store: Store, selection: Selection) -> str:
    try:
        found = backlogs(store, selection, store.now())
    except (DatabaseError, InterfaceError):
        store.connection.close()
        return "how many jobs wait is not known"
    waiting, due = sum(each.waiting for each in found), sum(each.due for each in found)
    at_least = "" if all(each.is_exact for each in found) else "at least "
    if not waiting:
        return "no job waits"
    verb = "waits" if waiting == 1 else "wait"
    return f"{at_least}{_count(waiting, 'job')} {verb}, {due:,} of them due"


def _place(settings: dict[str, Any]) -> str:
    name = str(settings["NAME"])
    host = ":".join(filter(None, [str(settings["HOST"]), str(settings["PORT"])]))
    return f"{name} on {host}" if host else name


def _named(jobs: Sequence[ScheduledJob]) -> str:
    names = ", ".join(job_label(job) for job in jobs[:MAX_NAMED])
    return f"{names} and others" if len(jobs) > MAX_NAMED else names


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))


def _plural(names: Sequence[str], word: str) -> str:
    return word if len(names) == 1 else f"{word}s"


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
