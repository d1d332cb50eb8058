"""Executes jobs at once when they are scheduled."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import (
    AbstractContextManager,
    ContextDecorator,
    ExitStack,
    contextmanager,
    nullcontext,
)
from contextvars import ContextVar
from functools import partial, wraps
from inspect import iscoroutinefunction
from typing import Any, Self, TypeVar, cast
from unittest.mock import patch

from django_future.execution.executor import execute
from django_future.execution.recording import abandon
from django_future.execution.watchdog import Watchdog
from django_future.models import ScheduledJob
from django_future.scheduling import recurring
from django_future.store import Session, Store
from django_future.store.transitions import claim_one
from django_future.testing.exclusive import exclusive
from django_future.testing.running import raise_error_of
from django_future.worker.heartbeat import heartbeat, new_worker

Add = Callable[[Store, Sequence[ScheduledJob]], None]
F = TypeVar("F", bound=Callable[..., Any])

INLINE = "inline"
MAX_DEPTH = 30  # jobs, each scheduled by the one before

_depth = ContextVar("depth", default=0)


def override_future(*, mode: str = INLINE) -> "Inline":
    """Execute jobs when they are scheduled, in a `with` block or a decorated function or coroutine.

    The time of a job does not matter. It is stored, claimed, executed and recorded before
    `schedule_job` returns, on the same thread and within the open transaction. The same is true
    of all functions that schedule jobs. They raise what the handler raises, and `AssertionError`
    if each job schedules another without an end. It applies to all threads of the process, so
    only one thread at a time can use it.

    Raises `ValueError` if `mode` is not "inline", and `TypeError` if it decorates a class.
    """
    if mode != INLINE:
        raise ValueError(f"mode is {mode!r}. Give {INLINE!r}, the only mode.")
    return Inline()


class Inline(ContextDecorator):
    """The context manager and decorator that `override_future` returns."""

    def __enter__(self) -> Self:
        self._patches = ExitStack()
        self._patches.enter_context(exclusive("override_future()"))
        # A run does not start before its time only because it exists a little earlier.
        self._patches.enter_context(patch.object(recurring, "materialise_soon", _wait))
        for kind in Store.__subclasses__():
            self._patches.enter_context(patch.object(kind, "add", _add_and_run(kind.add)))
        return self

    def __exit__(self, *_: object) -> None:
        self._patches.close()

    def __call__(self, func: F) -> F:
        if isinstance(func, type):
            # A wrapped class is a function, in which no test runner finds tests.
            raise TypeError(
                f"override_future() cannot decorate the class {func.__name__}. Decorate its "
                "methods, or call self.enterContext(override_future()) in setUp()."
            )
        if not iscoroutinefunction(func):
            return super().__call__(func)

        @wraps(func)
        async def inline(*args: Any, **kwargs: Any) -> Any:
            with self._recreate_cm():
                return await func(*args, **kwargs)

        return cast("F", inline)

    def _recreate_cm(self) -> Self:
        return type(self)()  # a decorated function may call itself, and needs a new instance


def _wait(*_: object) -> None:
    """Leave the runs of a recurring job for their time."""


def _add_and_run(add: Add) -> Add:
    def add_and_run(store: Store, jobs: Sequence[ScheduledJob]) -> None:
        # One by one, because MySQL does not return the ids of rows that are inserted together.
        for job in jobs:
            add(store, [job])
        for job in jobs:
            _run(job, store)

    return add_and_run


def _run(job: ScheduledJob, store: Store) -> None:
    with (
        _one_deeper(job),
        heartbeat(store, new_worker()) as worker,
        _in_test_transaction(store),
        Watchdog(store, partial(abandon, store=store)) as watchdog,
    ):
        claimed = claim_one(store, worker, job.pk)
        outcome = claimed and execute(claimed, Session(store), watchdog)
    if not outcome:
        return  # a worker has claimed the job first
    raise_error_of(outcome)
    job.refresh_from_db(using=store.alias)


@contextmanager
def _one_deeper(job: ScheduledJob) -> Iterator[None]:
    depth = _depth.get() + 1
    if depth > MAX_DEPTH:
        raise AssertionError(
            f"{job!r} is the last of {depth} jobs, each scheduled by the one before, and more may "
            "follow. Use travel_to() here instead of override_future()."
        )
    token = _depth.set(depth)
    try:
        yield
    finally:
        _depth.reset(token)


def _in_test_transaction(store: Store) -> AbstractContextManager[object]:
    """Mark the open transaction as that of a `TestCase`, so that the job can run inside it."""
    blocks = store.connection.atomic_blocks
    return patch.object(blocks[-1], "_from_testcase", new=True) if blocks else nullcontext()
