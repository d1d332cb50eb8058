"""The signals that stop a process."""

import math
import os
import select
import signal
import time
from contextlib import suppress
from threading import local
from types import FrameType
from typing import Any

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Signals within this time are one request: a terminal and a supervisor may both send a signal.
SIGNAL_DEBOUNCE_SECONDS = 1.0

_WAKE = b"\0"  # no signal has this number


class StopRequest:
    """The request of the stop signals: to stop, and after a second signal to stop immediately."""

    def __init__(self) -> None:
        self.first: int | None = None  # the number of the first signal
        self._first_at = math.inf

    @property
    def is_made(self) -> bool:
        """Whether a signal has arrived."""
        return self.first is not None

    def add(self, number: int) -> bool:
        """Record a signal, and return whether the process must stop immediately.

        Signals within a second after the first one belong to the same request.
        """
        if self.first is None:
            self.first, self._first_at = number, time.monotonic()
        return time.monotonic() - self._first_at > SIGNAL_DEBOUNCE_SECONDS


def signal_name(number: int) -> str:
    """Return the name of a signal, such as 'SIGTERM'."""
    return signal.Signals(number).name


class StopSignals:
    """The stop signals of this process, in the order in which they arrive.

    Python runs signal handlers only between two instructions of the main thread, so never while
    this thread hangs in a call. Therefore these signals are read from a pipe, to which the
    interpreter writes each signal immediately.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._previous: dict[int, Any] = {}
        self._previous_writer = -1

    def receive(self) -> None:
        """Receive the signals from now on, including those that are blocked and pending.

        Only the main thread may call this.
        """
        for number in STOP_SIGNALS:
            previous = signal.getsignal(number)
            if previous != signal.SIG_IGN:  # `nohup` ignores SIGHUP
                self._previous[number] = previous
                signal.signal(number, _wake_by_pipe)
        self._previous_writer = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        _received.append(self)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    @property
    def are_received(self) -> bool:
        """Whether this object receives the signals of the process."""
        return self in _received

    def restore(self) -> None:
        """Restore the previous signal handlers."""
        self._stop_receiving(self._previous)

    def ignore(self) -> None:
        """Ignore the signals, because the process is about to end."""
        self._stop_receiving(dict.fromkeys(self._previous, signal.SIG_IGN))

    def fileno(self) -> int:
        """Return the file descriptor that becomes readable when a signal arrives."""
        return self._reader

    def read(self, seconds: float | None) -> list[int]:
        """Return the signals that have arrived; wait up to `seconds` for one, or until `wake`."""
        select.select([self._reader], [], [], seconds)
        try:
            data = os.read(self._reader, 1024)
        except BlockingIOError:
            return []
        # The pipe also receives signals that the project handles.
        return [number for number in data if number in STOP_SIGNALS]

    def wake(self) -> None:
        """End a `read` that waits. May be called from any thread."""
        with suppress(BlockingIOError):  # the pipe is full, so `read` does not wait
            os.write(self._writer, _WAKE)

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._reader)
        os.close(self._writer)

    def _stop_receiving(self, handlers: dict[int, Any]) -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._previous_writer)
        _received.remove(self)


_received: list[StopSignals] = []
_mask = local()


def _wake_by_pipe(number: int, frame: FrameType | None) -> None:
    """Do nothing. The interpreter writes a signal to the pipe only if it has a handler."""


# A process that a handler forks is no worker, and must handle signals in the default way. It shares
# the pipe with the worker, and must not write its signals to it. So the signals are blocked around
# the fork, until the child has restored the default handlers.


def _block_signals() -> None:
    if _received:
        _mask.before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


def _unblock_signals() -> None:
    mask = vars(_mask).pop("before", None)
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _forget_signals() -> None:
    while _received:
        stop_signals = _received[-1]
        stop_signals.restore()
        stop_signals.close()
    _unblock_signals()


os.register_at_fork(
    before=_block_signals, after_in_parent=_unblock_signals, after_in_child=_forget_signals
)
