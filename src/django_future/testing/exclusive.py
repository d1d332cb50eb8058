"""A part of a test that changes its whole process, which one thread at a time may do."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

_lock = RLock()


@contextmanager
def exclusive(name: str) -> Iterator[None]:
    """Unset other threads from changing the process; `name` says what this one does.

    Raises `RuntimeError` if another thread does so already: the two would undo each other's
    changes, and leave the process changed.
    """
    if not _lock.acquire(blocking=False):
        raise RuntimeError(
            f"{name} changes the whole process, and another thread is inside travel_to() or "
            "override_future(). Wait until it is done."
        )
    try:
        yield
    finally:
        _lock.release()
