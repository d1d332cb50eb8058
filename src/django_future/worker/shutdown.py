"""The end of a worker process, in bounded time even if a thread hangs."""

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
from django_future.worker.stop_signals import StopRequest, StopSignals, signal_name

logger = logging.getLogger("django_future")

DONE, RECYCLE = 0, 75  # exit codes: the work is done; start another process
MAX_TEARDOWN_SECONDS = 5.0  # after the last handler has ended
MAX_LAST_LINE_SECONDS = 2.0  # to log why the process is ended
MAX_EXIT_LOG_SECONDS = 0.5  # to log that a second signal ends the process

Stop = Callable[[str], None]  # called with the reason


def max_shutdown_duration(shutdown_timeout: timedelta) -> timedelta:
    """Return how long the end of a process takes at most, from the first stop signal."""
    return shutdown_timeout + timedelta(seconds=INTERRUPT_GRACE_SECONDS + MAX_TEARDOWN_SECONDS)


class Shutdown:
    """Calls `stop` at the first stop signal, and ends the process if it does not end in time.

    A second signal ends the process immediately, and its jobs are rescued later. With
    `is_supervised`, this signal has no effect, because the supervisor ends the process. The process
    must end within `limit` after `begin` or the first signal.
    """

    def __init__(
        self, signals: StopSignals, stop: Stop, limit: timedelta, *, is_supervised: bool
    ) -> None:
        self.request = StopRequest()
        self._signals = signals
        self._stop = stop
        self._limit_seconds = limit.total_seconds()
        self._is_supervised = is_supervised
        self._end_at = math.inf
        self._exit_code = RECYCLE
        self._thread = ServiceThread(
            "shutdown", self._watch, lambda name: stop(f"its thread {name!r} has ended")
        )

    def start(self) -> None:
        """Start waiting for signals."""
        self._thread.start()

    def stop(self) -> None:
        """Stop waiting for signals, and do not end the process."""
        self._thread.stopped.set()
        self._signals.wake()
        self._thread.stop()

    def begin(self) -> None:
        """Start the time limit for the end of the process. May be called from any thread."""
        if self._end_at == math.inf:
            self._end_at = time.monotonic() + self._limit_seconds
            self._signals.wake()

    def complete(self, exit_code: int) -> None:
        """Shorten the time limit, because the work is recorded and the process ends by itself."""
        self._exit_code = exit_code
        self._end_at = min(self._end_at, time.monotonic() + MAX_TEARDOWN_SECONDS)
        self._signals.wake()

    def _watch(self, stopped: Event) -> None:
        while not stopped.is_set():
            seconds = self._end_at - time.monotonic()
            for number in self._signals.read(None if seconds == math.inf else max(seconds, 0)):
                self._receive(number)
            if time.monotonic() >= self._end_at and not stopped.is_set():
                self._end_now()

    def _receive(self, number: int) -> None:
        is_first = not self.request.is_made
        is_urgent = self.request.add(number)
        if is_first:
            self.begin()
            self._stop(f"{signal_name(number)} was received")
        elif is_urgent and not self._is_supervised:
            _end_at_once(number)

    def _end_now(self) -> None:
        # This ends the process even if the log hangs, for example at its lock or at a full pipe.
        faulthandler.dump_traceback_later(MAX_LAST_LINE_SECONDS, exit=True)
        frame = sys._current_frames().get(main_thread().ident or 0)
        logger.critical(
            "The process does not end, so it is ended; its jobs will be rescued. "
            "The main thread is here:\n%s",
            "".join(traceback.format_stack(frame)),
        )
        os._exit(self._exit_code)


def log_immediate_exit(number: int) -> None:
    """Log that a second signal ends this process; do not wait for a log that hangs."""
    text = "A second %s: this process ends at once, and its jobs will be rescued. Exit code %s."
    args = text, signal_name(number), 128 + number
    thread = Thread(target=logger.warning, args=args, daemon=True)
    with suppress(RuntimeError):  # the system may allow no more threads
        thread.start()
        thread.join(MAX_EXIT_LOG_SECONDS)


def _end_at_once(number: int) -> None:
    log_immediate_exit(number)
    os._exit(128 + number)


@contextmanager
def stopped_in_time(
    stop: Stop, limit: timedelta, signals: StopSignals | None, *, is_supervised: bool = False
) -> Iterator[Shutdown]:
    """Call `stop` at a stop signal, and end the process if it does not end within `limit`.

    With `signals`, this applies until the process ends. Otherwise it applies in this block, and
    only in the main thread: a process that runs a worker in another thread has other tasks.
    """
    if signals is not None:
        shutdown = Shutdown(signals, stop, limit, is_supervised=is_supervised)
        shutdown.start()
        yield shutdown
        return
    signals = StopSignals()
    shutdown = Shutdown(signals, stop, limit, is_supervised=is_supervised)
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
