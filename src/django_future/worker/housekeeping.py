"""The regular work of a worker apart from its heartbeat: chores, and the progress of handlers."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from threading import Event

from django_future.conf import config
from django_future.progress import Inbox
from django_future.scheduling import runs
from django_future.store import Store, progress
from django_future.store.pooling import dedicated_connection

logger = logging.getLogger("django_future")

PROGRESS_INTERVAL_SECONDS = 1.0  # the minimum between two writes of the progress of handlers

Chore = Callable[[], None]


class Housekeeping:
    """Does the chores twice per heartbeat, and writes the progress of handlers.

    It has a separate thread, so a slow chore does not delay the heartbeat. A chore that fails does
    not prevent the others. `materialise` is called before each chore, too. It returns when it must
    be called again, as a time of the monotonic clock.
    """

    def __init__(
        self,
        store: Store,
        inbox: Inbox,
        woken: Event,
        chores: Sequence[Chore],
        materialise: Callable[[], float] | None = None,
    ) -> None:
        self._store = store
        self._inbox = inbox
        self._woken = woken
        self._materialise = materialise
        self._materialise_at = math.inf if materialise is None else 0.0
        self._chores = [step for chore in chores for step in (self._materialise_if_due, chore)]

    def work(self, stopped: Event) -> None:
        """Do the chores and write progress until `stopped` is set, and `woken` after it."""
        with dedicated_connection(self._store.alias):
            self._work(stopped)

    def _work(self, stopped: Event) -> None:
        write_at, chores_at = time.monotonic(), _next_round_at()
        while True:
            round_at = min(chores_at, self._materialise_at)
            if self._woken.wait(max(round_at - time.monotonic(), 0)):
                # There is progress. At most one write a second takes all that has arrived.
                stopped.wait(max(min(write_at, round_at) - time.monotonic(), 0))
            if stopped.is_set():
                break
            do_chores(self._store, [self._materialise_if_due], stopped)
            if self._woken.is_set() and time.monotonic() >= write_at:
                self._woken.clear()
                is_written = self._write()
                write_at = time.monotonic() + PROGRESS_INTERVAL_SECONDS if is_written else chores_at
            if time.monotonic() >= chores_at:
                do_chores(self._store, self._chores, stopped)
                chores_at = _next_round_at()
        self._store.connection.close()

    def _materialise_if_due(self) -> None:
        if self._materialise is not None and time.monotonic() >= self._materialise_at:
            # Set first, so that an error does not cause another attempt at once.
            self._materialise_at = time.monotonic() + runs.ROUND.total_seconds()
            self._materialise_at = self._materialise()

    def _write(self) -> bool:
        try:
            write_progress(self._store, self._inbox)
        except Exception:
            logger.exception("The progress of handlers could not be written; trying again later")
            close_connection(self._store)
            return False
        return True


def do_chores(store: Store, chores: Sequence[Chore], stopped: Event) -> None:
    """Do the chores; one that fails does not prevent the others."""
    for chore in chores:
        if stopped.is_set():
            return
        try:
            chore()
        except Exception:
            logger.exception("%s() failed; trying again later", chore.__name__)
            close_connection(store)


def write_progress(store: Store, inbox: Inbox) -> None:
    """Write the progress of handlers; what cannot be written stays in the inbox."""
    updates = inbox.take()
    try:
        progress.write(store, updates)
    finally:
        inbox.restore(updates)


def close_connection(store: Store) -> None:
    """Close the connection of this thread, even if it is broken."""
    try:
        store.connection.close()
    except Exception:
        logger.exception("The connection to the database could not be closed")
        store.connection.connection = None


def _next_round_at() -> float:
    return time.monotonic() + config().HEARTBEAT.total_seconds() / 2
