"""What to do when another transaction was in the way: try again, a little later."""

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

TRIES = 12
PAUSE = 0.01  # seconds, at most, after the first try; the database itself waits much longer


def retry_on_contention(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Repeat a short write of the store that lost a deadlock or waited too long for a lock.

    Inside a transaction of the caller it runs once, because a deadlock has rolled back the
    statements before it as well.
    """

    @wraps(method)
    def patiently(store: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        operation = partial(method, store, *args, **kwargs)
        return operation() if store.connection.in_atomic_block else with_retries(store, operation)

    return patiently


def with_retries(store: "Store", operation: Callable[[], R]) -> R:
    """Call `operation` until no other transaction blocks it, at most `TRIES` times."""
    for number in range(1, TRIES):
        try:
            return operation()
        except OperationalError as error:
            if not store.is_contention(error):
                raise
        time.sleep(random.uniform(0, PAUSE) * number)  # noqa: S311
    return operation()


@contextmanager
def write_transaction(store: "Store") -> Iterator["CursorWrapper"]:
    """Begin a transaction that may read before it writes, and yield its cursor."""
    with transaction.atomic(using=store.alias), store.connection.cursor() as cursor:
        # SQLite refuses, without waiting, a write in a transaction that read before another
        # connection wrote.
        if store.write_lock:
            cursor.execute(store.write_lock)
        yield cursor
