"""A worker that restarts when its code changes."""

import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread, main_thread
from typing import Any

from django.utils import autoreload

from django_future.declarations import import_declarations
from django_future.service_thread import OnDeath, ServiceThread, ignore_death
from django_future.signals import job_handler_unknown
from django_future.worker.shutdown import RECYCLE, log_immediate_exit
from django_future.worker.stop_signals import StopRequest, StopSignals

logger = logging.getLogger("django_future")

CHANGED = 3  # the exit code after which the command is started again
CHILD_POLL_SECONDS = 0.1
RECYCLE_PAUSE_SECONDS = 1.0  # before a child that exits with 75 is replaced
# The environment variable with the file descriptor to which a child writes when it has loaded the
# project.
LOADED_ENV = "DJANGO_FUTURE_LOADED_FD"
MAX_FAULTY_FILES = 1000


def is_reloaded() -> bool:
    """Return whether a reloader replaces this process when code changes."""
    return os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) == "true"


def report_loaded() -> int:
    """Report that this process has loaded the project; return the process id of its reloader."""
    if (descriptor := os.environ.pop(LOADED_ENV, "")).isdecimal():
        os.write(int(descriptor), b"1")
        os.close(int(descriptor))
    return os.getppid()


class Reloader:
    """Runs this command in a child process, and replaces the child when code changes."""

    def __init__(self, signals: StopSignals) -> None:
        self._signals = signals
        self._request = StopRequest()
        self._killed_by: int | None = None  # the second stop signal

    def run(self) -> int:
        """Run children until one ends by itself or is stopped, and return its exit code.

        A child that exits with 75 is replaced. If a child cannot load the project, the next one
        starts when code changes, as in `runserver`.
        """
        while True:
            exit_code, is_loaded = self._run_child()
            if self._killed_by is not None:
                return 128 + self._killed_by
            if self._request.is_made:
                return 0 if exit_code == CHANGED or not is_loaded else exit_code
            if exit_code not in (CHANGED, RECYCLE) and (is_loaded or exit_code == 0):
                return exit_code
            if not self._may_start_again(exit_code):
                return 0

    def _run_child(self) -> tuple[int, bool]:
        """Return the exit code of a child, and whether it loaded the project."""
        reader, writer = os.pipe()
        env = os.environ | {autoreload.DJANGO_AUTORELOAD_ENV: "true", LOADED_ENV: str(writer)}
        arguments = autoreload.get_child_arguments()
        child = subprocess.Popen(arguments, env=env, pass_fds=[writer])  # noqa: S603
        os.close(writer)
        try:
            while child.poll() is None:
                self._forward_signals(child)
            return _shell_code(child.returncode), _is_written(reader)
        finally:
            os.close(reader)

    def _forward_signals(self, child: subprocess.Popen[bytes]) -> None:
        for number in self._signals.read(CHILD_POLL_SECONDS):
            is_first = not self._request.is_made
            if self._request.add(number):
                child.kill()
                if self._killed_by is None:
                    self._killed_by = number
                    log_immediate_exit(number)
            elif is_first:
                child.send_signal(number)

    def _may_start_again(self, exit_code: int) -> bool:
        """Wait until another child may start, and return True; return False at a stop signal."""
        if exit_code == RECYCLE:
            logger.warning("The worker process ended with exit code 75; starting another")
            self._read_signals(RECYCLE_PAUSE_SECONDS)
        elif exit_code != CHANGED:
            logger.error("The worker cannot load the project; waiting for a change of its code")
            self._await_change()
        return not self._request.is_made

    def _await_change(self) -> None:
        """Wait until code changes, or until a stop signal."""
        has_changed = Event()
        watcher = Thread(target=_watch_project, args=(has_changed,), name="reload", daemon=True)
        watcher.start()
        while not has_changed.is_set() and not self._request.is_made:
            self._read_signals(CHILD_POLL_SECONDS)

    def _read_signals(self, seconds: float) -> None:
        for number in self._signals.read(seconds):
            self._request.add(number)


@contextmanager
def stopped_by_changes(
    stop: Callable[[str], None], on_death: OnDeath = ignore_death
) -> Iterator[Event]:
    """Call `stop` when code changes, if this process has a reloader.

    The event in the block is set when code has changed.
    """
    has_changed = Event()

    def watch(stopped: Event) -> None:
        reloader = autoreload.get_reloader()
        reloader.extra_files = faulty_files
        with _faulty_files_watched(reloader):
            try:
                reloader.run(main_thread())
            except SystemExit:  # Django's reloader raises this when code has changed
                has_changed.set()
                stop("code has changed")
                stopped.wait()

    thread = ServiceThread("reload", watch, on_death)
    faulty_files: set[Path] = set()  # those in which the import of declarations has failed
    if is_reloaded():
        faulty_files.update(*map(_files_of, import_declarations().values()))
        thread.start()  # never stopped, because Django's reloader cannot be stopped
    yield has_changed
    thread.stopped.set()


@contextmanager
def _faulty_files_watched(reloader: Any) -> Iterator[None]:
    """Make a reloader watch the files in which the import of a handler fails.

    By itself it watches only imported modules.
    """

    def watch(*, exception: Exception, **_: Any) -> None:
        found = _files_of(exception)
        if len(reloader.extra_files) < MAX_FAULTY_FILES:
            # A new set, because the reloader may iterate over the old one at the same time.
            reloader.extra_files = reloader.extra_files | found

    job_handler_unknown.connect(watch)
    try:
        yield
    finally:
        job_handler_unknown.disconnect(watch)


def _files_of(exception: BaseException) -> set[Path]:
    """Return the files in the tracebacks of an exception and of its causes."""
    found: set[Path] = set()
    cause: BaseException | None = exception
    while cause is not None:
        names = [frame.filename for frame in traceback.extract_tb(cause.__traceback__)]
        if isinstance(cause, SyntaxError) and cause.filename:
            names.append(cause.filename)
        found |= {Path(name) for name in names if Path(name).is_file()}
        cause = cause.__cause__ or cause.__context__
    return found


def _watch_project(has_changed: Event) -> None:
    """Watch the loaded files, and all files in the folders of those of the project.

    A child may have failed at a file that this process has not loaded.
    """
    reloader = autoreload.get_reloader()
    for folder in {path.parent for path in autoreload.iter_all_python_module_files()}:
        if not _is_installed(folder):
            reloader.watch_dir(folder, "*.py")
    try:
        reloader.run(main_thread())
    except SystemExit:
        has_changed.set()


def _is_installed(folder: Path) -> bool:
    if {"site-packages", "dist-packages"} & set(folder.parts):
        return True
    return folder.is_relative_to(sys.base_prefix) and not folder.is_relative_to(Path.cwd())


def _is_written(reader: int) -> bool:
    os.set_blocking(reader, False)
    try:
        return bool(os.read(reader, 1))
    except BlockingIOError:  # a process that the child started still has the pipe open
        return False


def _shell_code(returncode: int) -> int:
    return 128 - returncode if returncode < 0 else returncode
