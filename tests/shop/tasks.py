"""Tasks for the tests."""

import asyncio
import math
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from django_future import Retry
from tests.shop import hostile
from tests.shop.models import Trace

task: Any = import_module("django.tasks" if django.VERSION >= (6, 0) else "django_tasks").task


@task
def add(a, b=1):
    """Return a sum."""
    return a + b


@task
def echo(value):
    """Return the argument."""
    return value


@task(priority=7, queue_name="default")
def trace(text="task"):
    """Write a trace."""
    Trace.objects.create(text=text)


@task
def trace_and_fail(text="before the failure"):
    """Write a trace, which is rolled back, and fail."""
    Trace.objects.create(text=text)
    raise ValueError("the task fails")


@task
def leave():
    """End the program, or try to."""
    raise SystemExit(3)


@task(takes_context=True)
def describe(context, text):
    """Return the number of the attempt, the status, and the text."""
    return [context.attempt, str(context.task_result.status), text]


@task
async def echo_later(value):
    """Return the argument from a coroutine."""
    return value


@task(takes_context=True)
def retry_once(context):
    """Fail at the first attempt."""
    if context.attempt == 1:
        raise ValueError("once")
    return context.attempt


@task(takes_context=True)
def again_once(context):
    """Ask for another attempt at the first one."""
    if context.attempt == 1:
        raise Retry("0s")
    return context.attempt


@task
def return_set():
    """Return what is not JSON."""
    return {1}


class Shelf:
    """A class that defines an exception."""

    class Empty(Exception):
        """An exception that its path does not lead to."""


@task
def fail_with(name):
    """Raise an exception of this name."""
    raise {
        "KeyboardInterrupt": KeyboardInterrupt("stop"),
        "GeneratorExit": GeneratorExit(),
        "Empty": Shelf.Empty("nothing there"),
        "Unprintable": hostile.Unprintable(),
        "Local": type("Local", (Exception,), {})("local"),
    }[name]


@task
def return_value(name):
    """Return a value of this name, which JSON may not have."""
    return {
        "nan": math.nan,
        "infinity": [math.inf, -math.inf],
        "long": 10**30,
        "bytes": b"caf\xc3\xa9",
        "keys": {1: "a", None: "b"},
        "tag": {"__type__": "date", "value": "2030-01-31"},
        "surrogate": "\ud800 \0",
        "tuple": (1, (2,)),
        "huge": "x" * 2**20,
        "many": [math.nan] * 40_000,
        "secret": f"a {settings.SECRET_KEY}",
        "date": timezone.now().date(),
        "generator": (n for n in [1]),
        "coroutine": nothing() if name == "coroutine" else None,
        "instance": Trace(text="not saved"),
        "lambda": lambda: None,
    }[name]


async def nothing():
    """Do nothing."""


@task(takes_context=True)
def look(context):
    """Return what the stored result says while the task runs, and what the context says."""
    stored = look.get_result(context.task_result.id)
    return [
        [str(result.status), result.attempts, result.worker_ids, result.is_finished]
        for result in (stored, context.task_result)
    ]


@task
async def sleep(seconds):
    """Sleep in a coroutine."""
    await asyncio.sleep(seconds)


@task
def sleep_outside(seconds):
    """Sleep where no exception arrives."""
    time.sleep(seconds)


@task
def hold(path):
    """Create a file, and wait until it is deleted."""
    path = Path(path)
    path.touch()
    while path.exists():
        time.sleep(0.01)


@task
def trace_after_commit(text):
    """Write a trace after the commit."""
    transaction.on_commit(lambda: Trace.objects.create(text=text))


@task
def durable():
    """Open a transaction that must be the outermost one."""
    with transaction.atomic(durable=True):
        Trace.objects.create(text="durable")


@task
def shout(secret):
    """Raise an exception that quotes the argument."""
    try:
        raise LookupError(secret)
    except LookupError as error:
        raise ValueError(f"bad {secret}") from error
