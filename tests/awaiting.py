"""Waiting for a condition, for tests of what happens in other threads and processes."""

import time
from collections.abc import Callable

from django.db import connection


def eventually(condition: Callable[[], object], *, within: float = 20.0) -> float:
    """Wait until `condition` holds, and return how many seconds that took."""
    started_at = time.monotonic()
    while not condition():
        waited = time.monotonic() - started_at
        assert waited < within, f"waited {within} s in vain"
        # MySQL would show a transaction's first view for ever; here each query is its own.
        assert not connection.in_atomic_block
        time.sleep(0.005)
    return time.monotonic() - started_at
