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


def patient(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Repeat a short write of the store when it lost a deadlock or waited too long for a lock.

    Inside somebody's transaction it runs once: a deadlock has undone what came before it, too.
    """

    @wraps(method)
    def patiently(store: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        act = partial(method, store, *args, **kwargs)
        return act() if store.connection.in_atomic_block else repeat(store, act)

    return patiently


def repeat(store: "Store", act: Callable[[], R]) -> R:
    """Call `act` until nothing is in its way, a dozen times at most."""
    for number in range(1, TRIES):
        try:
            return act()
        except OperationalError as error:
            if not store.is_contention(error):
                raise
        time.sleep(random.uniform(0, PAUSE) * number)  # noqa: S311
    return act()


@contextmanager
def reading_before_writing(store: "Store") -> Iterator["CursorWrapper"]:
    """Begin a transaction that may read before it writes, and yield its cursor."""
    with transaction.atomic(using=store.alias), store.connection.cursor() as cursor:
        # SQLite refuses outright to let one write that has read before another one wrote.
        if store.write_lock:
            cursor.execute(store.write_lock)
        yield cursor
