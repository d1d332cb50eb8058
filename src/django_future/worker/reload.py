"""A worker that starts afresh when the code it runs has changed."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, main_thread

from django.utils import autoreload

from django_future.service_thread import OnDeath, ServiceThread, ignore_death
from django_future.worker.stop_signals import StopSignals

CHANGED = 3  # the exit code on which the command is started again
LOOK_SECONDS = 0.1  # between two looks at whether the child has ended


def become_reloader(signals: StopSignals) -> int:
    """Run this command in a child that is replaced on changes; return there, with the parent's id.

    The parent passes signals on, and exits as the child does.
    """
    if os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) == "true":
        return os.getppid()
    received: list[int] = []
    while (exit_code := _run_child(signals, received)) == CHANGED and not received:
        pass
    sys.exit(0 if exit_code == CHANGED else exit_code)


def _run_child(signals: StopSignals, received: list[int]) -> int:
    environment = os.environ | {autoreload.DJANGO_AUTORELOAD_ENV: "true"}
    child = subprocess.Popen(autoreload.get_child_arguments(), env=environment)  # noqa: S603
    while child.poll() is None:
        for number in signals.read(LOOK_SECONDS):
            received.append(number)
            child.send_signal(number)
    return child.wait()


@contextmanager
def stopped_by_changes(
    stop: Callable[[], None], on_death: OnDeath = ignore_death
) -> Iterator[Event]:
    """Stop when code changes, if this process is one that is replaced then."""
    has_changed = Event()

    def watch(stopped: Event) -> None:
        try:
            autoreload.get_reloader().run(main_thread())
        except SystemExit:  # how the reloader says that something changed
            has_changed.set()
            stop()
            stopped.wait()

    thread = ServiceThread("reload", watch, on_death)
    if os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) == "true":
        thread.start()  # and never stopped: it has no means for that
    yield has_changed
    thread.stopped.set()
