"""`manage.py future_worker`: run jobs when they are due, until told to stop."""

import sys
from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from django_future.checks import uses_psycopg2
from django_future.databases import jobs_database
from django_future.exceptions import InvalidTime
from django_future.log import to_stream
from django_future.store import Selection
from django_future.when import parse_duration
from django_future.worker.loop import Limits
from django_future.worker.process import Options, run_worker
from django_future.worker.reload import become_reloader
from django_future.worker.stop_signals import StopSignals
from django_future.worker.supervisor import Supervisor


class Command(BaseCommand):
    """Run jobs when they are due, until told to stop."""

    help = "Runs jobs when they are due, until told to stop."
    _is_process = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        add("--queue", action="append", default=[], help="Run only this queue; may be repeated.")
        add("--exclude-queue", action="append", default=[], help="Leave this queue; repeatable.")
        add("--processes", type=_positive, default=1, help="How many processes (1).")
        add("--threads", type=_positive, default=4, help="How many threads in each (4).")
        add("--database", choices=tuple(connections), help="Run the jobs of this database alias.")
        add("--burst", action="store_true", help="Exit when nothing is due.")
        add("--max-jobs", type=_positive, help="Exit after so many jobs, in each process.")
        add("--max-seconds", type=float, help="Exit after so many seconds.")
        add(
            "--max-jobs-per-process",
            type=_positive,
            help="Replace a process of several after so many jobs; one alone exits with 75.",
        )
        add("--max-rss", type=_positive, help="The same, once it has used so many MiB.")
        add("--poll-interval", type=_duration, help="Look for jobs at least this often.")
        add("--shutdown-timeout", type=_duration, default=timedelta(seconds=25),
            help="How long running jobs may take to end when told to stop (25s).")  # fmt: skip
        add("--name", default="", help="What the worker's name begins with (the host's name).")
        add("--heartbeat-file", type=Path, help="Touch this file with each sign of life.")
        add("--log-format", choices=["text", "json"], default="text")
        add("--reload", action="store_true", default=settings.DEBUG,
            help="Start afresh when code has changed; the default in DEBUG.")  # fmt: skip
        add("--no-reload", action="store_false", dest="reload")

    def run_from_argv(self, argv: list[str]) -> None:
        """Run as a process of its own."""
        self._is_process = True
        super().run_from_argv(argv)

    def handle(self, **given: Any) -> None:
        """Run the worker, and exit with its code."""
        alias = given["database"] or jobs_database()
        if uses_psycopg2(alias):
            raise CommandError(f"Install psycopg 3: no worker can use {alias!r} with psycopg2.")
        to_stream(self.stdout, given["log_format"], given["verbosity"])
        if current_thread() is not main_thread():  # to which alone signals come
            sys.exit(run_worker(_options(given)))
        signals = StopSignals()
        signals.receive()
        try:
            sys.exit(self._run(given, signals))
        finally:
            signals.ignore() if self._is_process else signals.restore()

    def _run(self, given: dict[str, Any], signals: StopSignals) -> int:
        options = _options(given)
        if given["processes"] > 1:
            return Supervisor(options, given["processes"], signals).run()
        if given["reload"] and not given["burst"]:
            parent = become_reloader(signals)
            options = replace(options, limits=replace(options.limits, parent=parent))
        return run_worker(options, signals if self._is_process else None)


def _options(given: dict[str, Any]) -> Options:
    return Options(
        alias=jobs_database(given["database"]),
        selection=Selection(
            queues=tuple(given["queue"]), excluded_queues=tuple(given["exclude_queue"])
        ),
        limits=Limits(
            burst=given["burst"], max_jobs=given["max_jobs"], max_seconds=given["max_seconds"]
        ),
        **{name: given[name] for name in ("threads", "poll_interval", "shutdown_timeout", "name",
           "heartbeat_file", "max_jobs_per_process", "max_rss")},
    )  # fmt: skip


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _duration(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except InvalidTime as error:
        raise ArgumentTypeError(str(error)) from error
