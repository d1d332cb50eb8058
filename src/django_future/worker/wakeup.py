"""What ends a worker's sleep before its time."""

from contextlib import suppress
from queue import Empty, SimpleQueue


class Wakeup:
    """May be called from any thread, and from a signal handler, where a lock may not."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[None] = SimpleQueue()

    def __call__(self) -> None:
        self._calls.put(None)

    def wait(self, seconds: float) -> bool:
        """Sleep for so long, or until called, and tell whether that was so."""
        try:
            self._calls.get(timeout=max(seconds, 0))
        except Empty:
            return False
        with suppress(Empty):
            while True:
                self._calls.get_nowait()
        return True
