"""Helpers that wait for other threads and processes."""

import time
from collections.abc import Callable
from threading import Thread
from typing import TYPE_CHECKING

from django.db import connection

if TYPE_CHECKING:
    import subprocess

# The limit of every wait. No passing test depends on it: it ends a test whose condition never
# becomes true, and it is long enough for a busy machine.
MAX_WAIT_SECONDS = 120.0


def eventually(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds."""
    started_at = time.monotonic()
    while not condition():
        assert time.monotonic() - started_at < MAX_WAIT_SECONDS, (
            f"the condition was still false after {MAX_WAIT_SECONDS} s"
        )
        # In a MySQL transaction, every query would see the snapshot of the first one.
        assert not connection.in_atomic_block
        time.sleep(0.005)


def wait_for_exit(process: "subprocess.Popen[bytes]") -> int:
    """Wait until a process has ended, and return its exit code."""
    return process.wait(timeout=MAX_WAIT_SECONDS)


def has_ended(thread: Thread) -> bool:
    """Wait until a thread has ended, and return whether it has."""
    thread.join(timeout=MAX_WAIT_SECONDS)
    return not thread.is_alive()
