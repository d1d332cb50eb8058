"""The signals that tell a process to stop."""

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
SIGNAL_DEBOUNCE_SECONDS = (
    1.0  # in which a terminal and a supervisor may both send what is meant once
)

_WAKE = b"\0"  # no signal has this number


class StopRequest:
    """What the stop signals of a process ask for: to stop, or later to stop at once."""

    def __init__(self) -> None:
        self.first: int | None = None  # the number of the first signal
        self._first_at = math.inf

    @property
    def is_made(self) -> bool:
        """Whether a signal has arrived."""
        return self.first is not None

    def note(self, number: int) -> bool:
        """Note a signal, and tell whether it asks to stop at once.

        Signals within a second of the first one are the same request.
        """
        if self.first is None:
            self.first, self._first_at = number, time.monotonic()
        return time.monotonic() - self._first_at > SIGNAL_DEBOUNCE_SECONDS


def name_of(number: int) -> str:
    """Return the name of a signal, such as 'SIGTERM'."""
    return signal.Signals(number).name


class StopSignals:
    """The stop signals of this process, in the order in which they arrive.

    Python runs a handler only between two instructions of the main thread, so never while that
    thread hangs in a call. Therefore these signals are read from a pipe, to which the interpreter
    writes each one at the moment it arrives.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._previous: dict[int, Any] = {}
        self._previous_writer = -1

    def receive(self) -> None:
        """Receive the signals from now on, and those that are blocked and pending.

        Only the main thread may call it.
        """
        for number in STOP_SIGNALS:
            previous = signal.getsignal(number)
            if previous != signal.SIG_IGN:  # as `nohup` leaves SIGHUP
                self._previous[number] = previous
                signal.signal(number, _wake_by_pipe)
        self._previous_writer = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        _received.append(self)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    @property
    def are_received(self) -> bool:
        """Whether the signals of this process come here."""
        return self in _received

    def restore(self) -> None:
        """Handle the signals as before."""
        self._receive_no_more(self._previous)

    def ignore(self) -> None:
        """Ignore the signals: the process is about to end."""
        self._receive_no_more(dict.fromkeys(self._previous, signal.SIG_IGN))

    def fileno(self) -> int:
        """Return the file descriptor that can be read when a signal has arrived."""
        return self._reader

    def read(self, seconds: float | None) -> list[int]:
        """Return the signals that have arrived; wait for one for so long, or until woken."""
        select.select([self._reader], [], [], seconds)
        try:
            data = os.read(self._reader, 1024)
        except BlockingIOError:
            return []
        # The project may handle other signals, which arrive here, too.
        return [number for number in data if number in STOP_SIGNALS]

    def wake(self) -> None:
        """End a `read` that waits. May be called from any thread."""
        with suppress(BlockingIOError):  # it is full, so that nothing waits
            os.write(self._writer, _WAKE)

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._reader)
        os.close(self._writer)

    def _receive_no_more(self, handlers: dict[int, Any]) -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._previous_writer)
        _received.remove(self)


_received: list[StopSignals] = []
_mask = local()


def _wake_by_pipe(number: int, frame: FrameType | None) -> None:
    """Do nothing: that there is a handler is what makes the interpreter write to the pipe."""


# A process that a handler forks is no worker. It has the default reactions to signals, and must
# not write those that it receives to the pipe, which it shares with the worker. Until that is so,
# they are blocked.


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
