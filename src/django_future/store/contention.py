"""Repeats a short transaction that lost a deadlock or waited too long for a lock."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from django.db import OperationalError, transaction

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper

    from django_future.store.base import Store

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="Store")

MAX_TRIES = 12
# The maximal pause after the first try. The pauses are short because the database itself has waited
# for the lock.
PAUSE_SECONDS = 0.01


def retry_on_contention(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Repeat a short write of the store that lost a deadlock or waited too long for a lock.

    Inside a transaction of the caller it runs once, because a deadlock also rolls back the
    statements before it.
    """

    @wraps(method)
    def wrapper(store: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        operation = partial(method, store, *args, **kwargs)
        return operation() if store.connection.in_atomic_block else with_retries(store, operation)

    return wrapper


def with_retries(store: "Store", operation: Callable[[], R]) -> R:
    """Call `operation` until no other transaction blocks it, at most `MAX_TRIES` times."""
    for number in range(1, MAX_TRIES):
        try:
            return operation()
        except OperationalError as error:
            if not store.is_contention(error):
                raise
        time.sleep(random.uniform(0, PAUSE_SECONDS) * number)  # noqa: S311
    return operation()


@contextmanager
def write_transaction(store: "Store") -> Iterator["CursorWrapper"]:
    """Begin a transaction that may read before it writes, and yield a cursor."""
    with transaction.atomic(using=store.alias), store.connection.cursor() as cursor:
        # SQLite refuses, without waiting, a write in a transaction that read before another
        # connection wrote.
        if store.write_lock:
            cursor.execute(store.write_lock)
        yield cursor
