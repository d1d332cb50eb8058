"""A lock for tests that change the whole process."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

_lock = RLock()


@contextmanager
def exclusive(name: str) -> Iterator[None]:
    """Hold the lock; `name` is the function that changes the process.

    Raises `RuntimeError` if another thread holds the lock. Otherwise one thread would undo the
    patches of the other, and the process would stay patched.
    """
    if not _lock.acquire(blocking=False):
        raise RuntimeError(
            f"{name} changes the whole process, and another thread is inside travel_to() or "
            "override_future(). Wait until that has ended."
        )
    try:
        yield
    finally:
        _lock.release()
