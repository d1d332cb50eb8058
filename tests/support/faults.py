"""Failures of single statements, as if the connection had broken."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any

import pytest
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


@contextmanager
def losing_answer_to_commit(after: int = 0) -> Iterator[None]:
    """Lose the answer to one commit, after a number of others that are answered."""
    numbers, has_failed = count(), False
    wrapper: Any = connection

    def lose(send: Callable[[], Any]) -> Any:
        nonlocal has_failed
        answer = send()
        if next(numbers) == after:
            has_failed = True
            raise OperationalError("server closed the connection unexpectedly")
        return answer

    def execute_and_commit(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        # On PostgreSQL, the statement that completes a job commits, too.
        if sql.endswith("; COMMIT"):
            return lose(lambda: execute(sql, *rest))
        return execute(sql, *rest)

    with connection.execute_wrapper(execute_and_commit), pytest.MonkeyPatch.context() as patch:
        patch.setattr(wrapper, "_commit", partial(lose, wrapper._commit))
        yield
    assert has_failed, "no commit was sent"
