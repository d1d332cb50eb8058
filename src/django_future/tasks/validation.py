"""What this backend checks of a task, with messages that name the value and the remedy."""

import inspect
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from django_future.exceptions import InvalidOption
from django_future.options import check_delays, validate_queue_name
from django_future.remedies import did_you_mean
from django_future.tasks.api import InvalidTask
from django_future.tasks.handler import options_of_task
from django_future.tasks.options import own_options

MAX_PATH_LENGTH = 255
_GENERATOR_FLAGS = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


def check_task(task: Any, alias: str, queues: Collection[str]) -> None:
    """Raise `InvalidTask` unless a job can run `task` on the backend `alias`.

    Empty `queues` allow every queue.
    """
    _check_function(task.func)
    _check_run_after(task.run_after)
    try:
        validate_queue_name(task.queue_name)
        options = options_of_task(task, alias)
        if "backoff" in own_options(task):
            check_delays(options)
    except (InvalidOption, TypeError) as error:
        raise InvalidTask(f"The task {task.module_path} is not valid: {error}") from error
    if queues and task.queue_name not in queues:
        names = sorted(queues)
        raise InvalidTask(
            f"queue_name is {task.queue_name!r}, which is not in TASKS[{alias!r}]['QUEUES']. Use "
            f"one of {', '.join(map(repr, names))}, or add it there."
            f"{did_you_mean(task.queue_name, names)}"
        )


def _check_function(function: Any) -> None:
    # Django's own check allows a function in a class, and a lambda, which no worker can import.
    name = getattr(function, "__qualname__", "")
    if not inspect.isfunction(function) or "." in name or "<" in name:
        raise InvalidTask(
            f"The function of the task is {function!r}, which a worker cannot import by its name. "
            "Write @task above a function that is defined at a module level."
        )
    if function.__code__.co_flags & _GENERATOR_FLAGS:
        raise InvalidTask(
            f"The function {name} of the task is a generator function. A call only creates a "
            "generator, and does not run the body. Do not yield in a task."
        )
    path = f"{function.__module__}.{name}"
    if len(path) > MAX_PATH_LENGTH:
        raise InvalidTask(
            f"The path {path!r} of the task has more than {MAX_PATH_LENGTH} characters. Use a "
            "shorter one."
        )


def _check_run_after(run_after: Any) -> None:
    if not isinstance(run_after, datetime | timedelta | None):
        raise InvalidTask(
            f"run_after is {run_after!r}. Give an aware datetime, or a timedelta from now."
        )
    if isinstance(run_after, datetime) and settings.USE_TZ and timezone.is_naive(run_after):
        raise InvalidTask(
            f"run_after is {run_after!r}, which must be an aware datetime, because USE_TZ is True. "
            "Give it a time zone, such as with timezone.make_aware(), or give a timedelta from now."
        )
