"""Failures of single statements, as if the connection had broken."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from django.db import OperationalError, connection


@contextmanager
def failing(text: str, *, after: int = 0, is_executed: bool = False) -> Iterator[None]:
    """Let one statement that contains `text` fail, after a number of others that succeed.

    With `is_executed`, only its answer is lost. If no statement fails in the block, the test fails.
    """
    numbers, has_failed = count(), False

    def fail(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        nonlocal has_failed
        if text in sql and next(numbers) == after:
            has_failed = True
            if is_executed:
                execute(sql, *rest)
            raise OperationalError("server closed the connection unexpectedly")
        return execute(sql, *rest)

    with connection.execute_wrapper(fail):
        yield
    assert has_failed, f"no statement with {text!r} failed"
