"""Threads without which a process must end."""

import logging
from collections.abc import Callable
from threading import Event, Thread
from typing import Self

logger = logging.getLogger("django_future")

MAX_JOIN_SECONDS = 2.0  # to wait for a thread that may hang in a call

OnDeath = Callable[[str], None]


def ignore_death(name: str) -> None:
    """Do nothing when a service thread has ended; the log reports it anyway."""


class ServiceThread:
    """A thread that runs `work` until it is stopped.

    `work` receives the event `stopped` and must not return before it is set. If it does, or raises
    an exception, the thread logs this and calls `on_death` with its name.
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
        """Stop the thread, and wait for its end for at most two seconds."""
        self.stopped.set()
        if self._thread.ident is None:
            return  # it was never started
        self._thread.join(MAX_JOIN_SECONDS)
        if self._thread.is_alive():
            logger.error(
                "The thread %r does not stop; the process continues without it", self._name
            )

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            self._work(self.stopped)
        except BaseException as raised:  # noqa: BLE001 - also a SystemExit
            error = raised
        if not self.stopped.is_set():
            logger.critical("The thread %r has ended, so this process ends", self._name,
                            exc_info=error)  # fmt: skip
            self._on_death(self._name)
