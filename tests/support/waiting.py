"""Waiting for a condition, for tests of what happens in other threads and processes."""

import time
from collections.abc import Callable
from threading import Thread
from typing import TYPE_CHECKING

from django.db import connection

if TYPE_CHECKING:
    import subprocess

# The only bound of a wait. It decides no test: it ends one whose condition never comes true,
# and it is long enough for a machine that is busy with something else.
MAX_WAIT_SECONDS = 120.0  # seconds


def eventually(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds."""
    started_at = time.monotonic()
    while not condition():
        assert time.monotonic() - started_at < MAX_WAIT_SECONDS, (
            f"waited {MAX_WAIT_SECONDS} s in vain"
        )
        # MySQL would show a transaction's first view for ever; here each query is its own.
        assert not connection.in_atomic_block
        time.sleep(0.005)


def exit_code(process: "subprocess.Popen[bytes]") -> int:
    """Wait until a process has ended, and return its exit code."""
    return process.wait(timeout=MAX_WAIT_SECONDS)


def has_ended(thread: Thread) -> bool:
    """Wait until a thread has ended, and tell whether it has."""
    thread.join(timeout=MAX_WAIT_SECONDS)
    return not thread.is_alive()
