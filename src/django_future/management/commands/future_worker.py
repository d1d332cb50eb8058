"""`manage.py future_worker`: run jobs when they are due, until a stop signal."""

import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from signal import SIGINT
from threading import current_thread, main_thread
from typing import Any, NoReturn

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from django_future.checks import uses_psycopg2
from django_future.databases import jobs_database
from django_future.exceptions import InvalidOption, InvalidTime
from django_future.log_stream import to_stream
from django_future.management.tables import check_tables
from django_future.options import DEFAULT_THREADS, validate_queue_name
from django_future.store import Selection
from django_future.when import parse_duration
from django_future.worker.journal import log_setup, warn_of_small_pools
from django_future.worker.loop import Limits
from django_future.worker.process import WorkerOptions, run_worker
from django_future.worker.reload import Reloader, is_reloaded, report_loaded
from django_future.worker.stop_signals import StopSignals
from django_future.worker.supervisor import Supervisor


class Command(BaseCommand):
    """Run jobs when they are due, until a stop signal."""

    help = "Runs jobs when they are due, until a stop signal."
    _is_process = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        for name, verb in (("--queue", "Run only"), ("--exclude-queue", "Do not run")):
            text = f"{verb} the jobs of these queues, separated by commas; may be repeated."
            add(name, action="extend", type=_queue_names, default=[], metavar="NAMES", help=text)
        add("--processes", type=_positive, default=1, help="The number of processes (1).")
        add("--threads", type=_positive, default=DEFAULT_THREADS,
            help="The number of threads in each process (4).")  # fmt: skip
        add("--database", choices=tuple(connections), help="Run the jobs of this database alias.")
        add("--burst", action="store_true", help="Exit when no job is due.")
        add("--max-jobs", type=_positive, help="Exit after this number of jobs, in each process.")
        add("--max-seconds", type=float, help="Exit after this number of seconds.")
        add(
            "--max-jobs-per-process",
            type=_positive,
            help="Replace a process after this number of jobs. A single process exits with 75.",
        )
        add("--max-rss", type=_positive,
            help="Replace a process once its memory has reached this number of MiB.")  # fmt: skip
        add("--poll-interval", type=_duration, help="Look for jobs at least this often.")
        add("--shutdown-timeout", type=_duration, default=timedelta(seconds=25),
            help="How long running jobs may take to end after a stop signal (25s).")  # fmt: skip
        add("--name", default="", help="The beginning of the worker's name (the name of the host).")
        add("--heartbeat-file", type=Path, help="Touch this file with each heartbeat.")
        add("--log-format", choices=["text", "json"], default="text")
        add("--reload", action="store_true", default=settings.DEBUG,
            help="Restart when code changes; the default if DEBUG is true.")  # fmt: skip
        add("--no-reload", action="store_false", dest="reload")

    def run_from_argv(self, argv: list[str]) -> None:
        """Run from the command line, where the process belongs to the worker."""
        self._is_process = True
        super().run_from_argv(argv)

    def handle(self, **arguments: Any) -> None:
        """Run the worker, and exit with its code."""
        alias = arguments["database"] or jobs_database()
        if uses_psycopg2(alias):
            raise CommandError(
                f"Workers cannot use the database {alias!r} with psycopg2. Install psycopg 3."
            )
        to_stream(self.stdout, arguments["log_format"], arguments["verbosity"])
        _check_queues(arguments["queue"], arguments["exclude_queue"])
        options = _options(arguments)
        if current_thread() is not main_thread():  # signals reach the main thread only
            _check_tables(alias)
            sys.exit(run_worker(options))
        if arguments["reload"] and not arguments["burst"] and arguments["processes"] == 1:
            if not is_reloaded():
                self._exit_with(lambda signals: Reloader(signals).run())
            options = replace(options, limits=replace(options.limits, parent=report_loaded()))
        # Before signals are handled: a database may take long to answer, and a signal ends the
        # process during that time.
        _check_tables(alias)
        log_setup(alias)
        warn_of_small_pools(alias, options.threads)
        self._exit_with(lambda signals: self._run(options, arguments["processes"], signals))

    def _exit_with(self, run: Callable[[StopSignals], int]) -> NoReturn:
        signals = StopSignals()
        signals.receive()
        try:
            sys.exit(run(signals))
        finally:
            signals.ignore() if self._is_process else signals.restore()

    def _run(self, options: WorkerOptions, processes: int, signals: StopSignals) -> int:
        if processes > 1:
            return Supervisor(options, processes, signals).run()
        return run_worker(options, signals if self._is_process else None)


def _check_tables(alias: str) -> None:
    try:
        check_tables(alias)
    except KeyboardInterrupt:
        sys.exit(128 + SIGINT)


def _check_queues(queues: list[str], excluded: list[str]) -> None:
    if both := sorted({*queues} & {*excluded}):
        names = ", ".join(map(repr, both))
        raise CommandError(
            f"--queue and --exclude-queue both name {names}. Give each queue to one of them."
        )


def _options(arguments: dict[str, Any]) -> WorkerOptions:
    return WorkerOptions(
        alias=jobs_database(arguments["database"]),
        selection=Selection(
            queues=tuple(arguments["queue"]), excluded_queues=tuple(arguments["exclude_queue"])
        ),
        limits=Limits(**{name: arguments[name] for name in ("burst", "max_jobs", "max_seconds")}),
        **{name: arguments[name] for name in ("threads", "poll_interval", "shutdown_timeout",
           "name", "heartbeat_file", "max_jobs_per_process", "max_rss")},
    )  # fmt: skip


def _queue_names(text: str) -> list[str]:
    try:
        return [validate_queue_name(name.strip()) for name in text.split(",")]
    except InvalidOption as error:
        raise ArgumentTypeError(str(error)) from error


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _duration(text: str) -> timedelta:
    if text.strip().replace(".", "", 1).isdecimal():
        raise ArgumentTypeError(f"{text!r} has no unit. Give for example '{text.strip()}s'")
    try:
        return parse_duration(text)
    except InvalidTime as error:
        raise ArgumentTypeError(str(error)) from error
