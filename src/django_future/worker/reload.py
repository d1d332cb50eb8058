"""A worker that starts afresh when the code it runs has changed."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread, main_thread

from django.utils import autoreload

CHANGED = 3  # the exit code on which Django's reloader starts the command again


def become_reloader() -> None:
    """Run this command in a process that is replaced on changes; return only in that process."""
    if os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) == "true":
        return
    with suppress(KeyboardInterrupt):
        sys.exit(autoreload.restart_with_reloader())
    sys.exit(0)


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
