"""A worker that starts afresh when the code it runs has changed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread, main_thread
from types import FrameType

from django.utils import autoreload

CHANGED = 3  # the exit code on which the command is started again


def become_reloader() -> int:
    """Run this command in a child that is replaced on changes; return there, with the parent's id.

    The parent passes signals on, and exits as the child does.
    """
    if os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) == "true":
        return os.getppid()
    while (exit_code := _run_child()) == CHANGED:
        pass
    sys.exit(exit_code)


def _run_child() -> int:
    environment = os.environ | {autoreload.DJANGO_AUTORELOAD_ENV: "true"}
    child = subprocess.Popen(autoreload.get_child_arguments(), env=environment)  # noqa: S603

    def pass_on(number: int, _: FrameType | None) -> None:
        child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    return child.wait()


@contextmanager
def stopped_by_changes(stop: Callable[[], None]) -> Iterator[Event]:
    """Stop when code changes, if this process is one that is replaced then."""
    has_changed = Event()

    def watch() -> None:
        try:
            autoreload.get_reloader().run(main_thread())
        except SystemExit:  # how the reloader says that something changed
            has_changed.set()
            stop()

    if os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) == "true":
        Thread(target=watch, name="reload", daemon=True).start()
    yield has_changed
