"""Ends the sleep of a worker early."""

from contextlib import suppress
from queue import Empty, SimpleQueue


class Wakeup:
    """Wakes the thread that waits; may be called from any thread and from a signal handler.

    It uses no lock, because a signal handler could wait for a lock of its own thread.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[None] = SimpleQueue()

    def __call__(self) -> None:
        self._calls.put(None)

    def wait(self, seconds: float) -> bool:
        """Sleep for `seconds`, or until called; return whether it was called."""
        try:
            self._calls.get(timeout=max(seconds, 0))
        except Empty:
            return False
        with suppress(Empty):
            while True:
                self._calls.get_nowait()
        return True
