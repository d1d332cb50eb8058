"""The end of a worker process, which comes in bounded time whatever hangs in it."""

import faulthandler
import logging
import math
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from threading import Event, Thread, current_thread, main_thread

from django_future.service_thread import ServiceThread
from django_future.worker.pool import INTERRUPT_GRACE_SECONDS
from django_future.worker.stop_signals import StopRequest, StopSignals, name_of

logger = logging.getLogger("django_future")

DONE, RECYCLE = 0, 75  # exit codes: all is done; start another process in this one's place
MAX_TEARDOWN_SECONDS = 5.0  # for all that is to do once no handler runs any more
MAX_LAST_LINE_SECONDS = 2.0  # to log why the process ends
MAX_EXIT_LOG_SECONDS = 0.5  # to log that it ends at once

Stop = Callable[[str], None]  # gets the reason


def bound_of(shutdown_timeout: timedelta) -> timedelta:
    """Return how long a process takes at most to end, if its jobs may take `shutdown_timeout`."""
    return shutdown_timeout + timedelta(seconds=INTERRUPT_GRACE_SECONDS + MAX_TEARDOWN_SECONDS)


class Shutdown:
    """Calls `stop` at the first stop signal, and ends the process if it does not end in time.

    A second signal ends the process at once, and leaves the jobs to be rescued; but with
    `is_supervised` it does nothing, since then the first process of the command ends this one.
    `bound` is how long the process may take to end, counted from `begin` or from the first signal.
    """

    def __init__(
        self, signals: StopSignals, stop: Stop, bound: timedelta, *, is_supervised: bool
    ) -> None:
        self.request = StopRequest()
        self._signals = signals
        self._stop = stop
        self._bound_seconds = bound.total_seconds()
        self._is_supervised = is_supervised
        self._end_at = math.inf
        self._exit_code = RECYCLE
        self._thread = ServiceThread(
            "shutdown", self._watch, lambda name: stop(f"its thread {name!r} has ended")
        )

    def start(self) -> None:
        """Begin to wait for signals."""
        self._thread.start()

    def stop(self) -> None:
        """Wait for signals no more, and let the process live."""
        self._thread.stopped.set()
        self._signals.wake()
        self._thread.stop()

    def begin(self) -> None:
        """Let the time begin within which the process must end. May be called from any thread."""
        if self._end_at == math.inf:
            self._end_at = time.monotonic() + self._bound_seconds
            self._signals.wake()

    def complete(self, exit_code: int) -> None:
        """Let the process end by itself, with `exit_code`, but soon: its work is recorded."""
        self._exit_code = exit_code
        self._end_at = min(self._end_at, time.monotonic() + MAX_TEARDOWN_SECONDS)
        self._signals.wake()

    def _watch(self, stopped: Event) -> None:
        while not stopped.is_set():
            left = self._end_at - time.monotonic()
            for number in self._signals.read(None if left == math.inf else max(left, 0)):
                self._receive(number)
            if time.monotonic() >= self._end_at and not stopped.is_set():
                self._end_now()

    def _receive(self, number: int) -> None:
        is_first = not self.request.is_made
        is_urgent = self.request.note(number)
        if is_first:
            self.begin()
            self._stop(f"{name_of(number)} was received")
        elif is_urgent and not self._is_supervised:
            _end_at_once(number)

    def _end_now(self) -> None:
        # Even if a lock of the log, or its pipe, is what hangs.
        faulthandler.dump_traceback_later(MAX_LAST_LINE_SECONDS, exit=True)
        frame = sys._current_frames().get(main_thread().ident or 0)
        logger.critical(
            "The process does not end, so it is ended; jobs that it still holds will be rescued. "
            "The main thread is here:\n%s",
            "".join(traceback.format_stack(frame)),
        )
        os._exit(self._exit_code)


def log_immediate_exit(number: int) -> None:
    """Log that a second signal ends this process, unless the log hangs."""
    text = "A second %s: this process ends at once, and its jobs will be rescued. Exit code %s."
    line = Thread(target=logger.warning, args=(text, name_of(number), 128 + number), daemon=True)
    with suppress(RuntimeError):  # there may be no room for another thread
        line.start()
        line.join(MAX_EXIT_LOG_SECONDS)


def _end_at_once(number: int) -> None:
    log_immediate_exit(number)
    os._exit(128 + number)


@contextmanager
def stopped_in_time(
    stop: Stop, bound: timedelta, signals: StopSignals | None, *, is_supervised: bool = False
) -> Iterator[Shutdown]:
    """Call `stop` at a stop signal, and have the process end within `bound` from then.

    With `signals` that holds until the process ends, else within this block; and then only in the
    main thread, since a process that runs a worker in another thread is more than a worker.
    """
    if signals is not None:
        shutdown = Shutdown(signals, stop, bound, is_supervised=is_supervised)
        shutdown.start()
        yield shutdown
        return
    signals = StopSignals()
    shutdown = Shutdown(signals, stop, bound, is_supervised=is_supervised)
    if current_thread() is main_thread():
        signals.receive()
        shutdown.start()
    try:
        yield shutdown
    finally:
        shutdown.stop()
        if signals.are_received:
            signals.restore()
        signals.close()
