"""The tasks that the suite enqueues.

The suite imports this module again for each test case, so that the backend of the test case makes
the tasks.
"""

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from django_future.conformance.compat import AnyContext, task
from django_future.conformance.values import portrait

CALLS: list[Any] = []  # what `record` received, in the order of execution


class Refusal(Exception):
    """An error of these tasks."""


class Abort(BaseException):
    """An error that `except Exception` lets pass."""


class Mute(Exception):
    """An error without a text."""

    def __str__(self) -> str:
        """Fail."""
        raise RuntimeError("no text")


@task
def nothing() -> None:
    """Return None. The decorator has no parentheses."""


@task()
def answer() -> int:
    """Return a number. The decorator has parentheses."""
    return 42


@task
def record(entry: Any = None) -> None:
    """Note that the task runs."""
    CALLS.append(entry)


@task
def echo(value: Any) -> Any:
    """Return the argument."""
    return value


@task
def portray(value: Any) -> str:
    """Return the value and the types of the argument as a text."""
    return portrait(value)


@task
def represent(value: Any) -> str:
    """Return the argument as Python writes it."""
    return ascii(value)


@task
def dump(value: Any) -> str:
    """Return the argument as JSON."""
    return json.dumps(value)


@task
def arguments(*args: Any, **kwargs: Any) -> list[Any]:
    """Return all arguments."""
    return [list(args), kwargs]


@task
def measure(value: Any) -> int:
    """Return the length of the argument."""
    return len(value)


@task
def append_to(value: list[Any]) -> None:
    """Change the argument."""
    value.append("changed")


@task
def double_dictionary(key: Any) -> dict[Any, Any]:
    """Use the argument as a key. It is an example in Django's documentation."""
    return {key: key * 2}


@task
def odd_keys() -> Any:
    """Return a dictionary whose keys are not texts."""
    return {1: "whole", "inner": {2.5: "float"}}


@task
def tuple_of_tuples() -> Any:
    """Return tuples."""
    return (1, (2, 3))


@task
def not_json(kind: str) -> Any:
    """Return a value that JSON does not know."""
    values = {
        "datetime": datetime(2026, 1, 2, tzinfo=UTC),
        "set": {1},
        "function": lambda: None,
        "nested": {"key": [Decimal(1)]},
    }
    return values[kind]


@task
def fail(message: str = "refused") -> None:
    """Raise an error of this module."""
    raise Refusal(message)


@task
def fail_with(kind: str) -> None:
    """Raise an error of some kind."""
    errors: dict[str, type[BaseException]] = {
        "SystemExit": SystemExit,
        "Abort": Abort,
        "Mute": Mute,
        "CancelledError": asyncio.CancelledError,
        "ZeroDivisionError": ZeroDivisionError,
    }
    raise errors[kind]("refused")


@task
def fail_oddly(kind: str) -> None:
    """Raise an error whose text is hard to store."""
    raise Refusal({"NUL": "a\0b", "half": "\ud800", "long": "x" * 10**6}[kind])


@task
def fail_from_a_cause() -> None:
    """Raise an error from another one."""
    try:
        int("the cause")
    except ValueError as error:
        raise Refusal("the effect") from error


@task
def enqueue_another(value: Any) -> str:
    """Enqueue another task, and return the id of its result."""
    return echo.enqueue(value).id


@task
def in_a_durable_transaction() -> str:
    """Open a transaction that must be the outermost one."""
    with transaction.atomic(durable=True):
        return "done"


@task(takes_context=True)
def describe_context(context: AnyContext, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return what the context says."""
    result = context.task_result
    return {
        "class": type(context).__name__,
        "attempt": context.attempt,
        "id": result.id,
        "name": result.task.name,
        "status": str(result.status),
        "is_started": result.started_at is not None,
        "is_finished": result.finished_at is not None or result.is_finished,
        "arguments": [list(args), kwargs],
    }


@task(takes_context=True)
def modify_context(context: AnyContext) -> list[str]:
    """Return the attributes of the context that can be modified."""
    modified = []
    for name in ("task_result", "attempt"):
        try:
            setattr(context, name, None)
        except (AttributeError, TypeError):
            continue
        modified.append(name)
    return modified


@task(takes_context=True)
def own_return_value(context: AnyContext) -> str:
    """Return which error the return value of a running task raises."""
    try:
        return repr(context.task_result.return_value)
    except ValueError:
        return "ValueError"


@task(takes_context=True)
def stored_status(context: AnyContext) -> str:
    """Return the status that others see while the task runs."""
    result = context.task_result
    return str(result.task.get_backend().get_result(result.id).status)


@task(takes_context=True)
def succeed_at(context: AnyContext, attempt: int) -> int:
    """Fail until this attempt, and return its number."""
    if context.attempt < attempt:
        raise Refusal(f"attempt {context.attempt}")
    return context.attempt
