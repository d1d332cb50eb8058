"""Threads that a process cannot do without."""

import logging
from collections.abc import Callable
from threading import Event, Thread
from typing import Self

logger = logging.getLogger("django_future")

MAX_JOIN_SECONDS = 2.0  # for a thread that hangs in a call when it is told to stop

OnDeath = Callable[[str], None]


def ignore_death(name: str) -> None:
    """Do nothing about a service thread that has ended, besides the line in the log."""


class ServiceThread:
    """A thread that runs `work` until it is stopped.

    `work` gets the event that tells it to stop, and must not return before. If it ends before, for
    whatever reason, the log says so and `on_death` is called with the name of the thread.
    """

    def __init__(
        self, name: str, work: Callable[[Event], None], on_death: OnDeath = ignore_death
    ) -> None:
        self.stopped = Event()
        self._name = name
        self._work = work
        self._on_death = on_death
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Tell the thread to stop, and wait until it has; but not for one that hangs."""
        self.stopped.set()
        if self._thread.ident is None:
            return  # it was never started
        self._thread.join(MAX_JOIN_SECONDS)
        if self._thread.is_alive():
            logger.error("The thread %r does not stop; the process goes on without it", self._name)

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            self._work(self.stopped)
        except BaseException as raised:  # noqa: BLE001 - even one that is to end the process
            error = raised
        if not self.stopped.is_set():
            logger.critical("The thread %r has ended, so this process ends", self._name,
                            exc_info=error)  # fmt: skip
            self._on_death(self._name)
