"""Jobs that run as they are scheduled."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import (
    AbstractContextManager,
    ContextDecorator,
    ExitStack,
    contextmanager,
    nullcontext,
)
from contextvars import ContextVar
from functools import partial
from typing import Self
from unittest.mock import patch

from django_future.execution.executor import execute
from django_future.execution.recording import abandon
from django_future.execution.watchdog import Watchdog
from django_future.models import ScheduledJob
from django_future.store import Session, Store
from django_future.store.transitions import claim_one
from django_future.testing.exclusive import exclusive
from django_future.testing.running import raise_error_of
from django_future.worker.heartbeat import heartbeat, new_worker

Add = Callable[[Store, Sequence[ScheduledJob]], None]

INLINE = "inline"
MAX_DEPTH = 30  # jobs that schedule one another

_depth = ContextVar("depth", default=0)


def override_future(*, mode: str = INLINE) -> "Inline":
    """Run jobs as they are scheduled, whatever their time, in a `with` block or a function.

    Each is written, claimed, executed and recorded before `schedule_job` and its kin return, on the
    same thread and within the transaction that is open. What its handler raises they raise, and
    `AssertionError` if jobs go on scheduling others. It holds for all threads of the process, and
    one thread at a time may use it.

    Raises `ValueError` if `mode` is another than "inline".
    """
    if mode != INLINE:
        raise ValueError(f"mode is {mode!r}. Give {INLINE!r}, which is the only one.")
    return Inline()


class Inline(ContextDecorator):
    """What `override_future` returns."""

    def __enter__(self) -> Self:
        self._patches = ExitStack()
        self._patches.enter_context(exclusive("override_future()"))
        for kind in Store.__subclasses__():
            self._patches.enter_context(patch.object(kind, "add", _adding_and_running(kind.add)))
        return self

    def __exit__(self, *_: object) -> None:
        self._patches.close()

    def _recreate_cm(self) -> Self:
        return type(self)()  # so that a decorated function may call itself


def _adding_and_running(add: Add) -> Add:
    def add_and_run(store: Store, jobs: Sequence[ScheduledJob]) -> None:
        # One by one: MySQL does not tell the ids of rows that are inserted together.
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
        return  # somebody else was faster
    raise_error_of(outcome)
    job.refresh_from_db(using=store.alias)


@contextmanager
def _one_deeper(job: ScheduledJob) -> Iterator[None]:
    depth = _depth.get() + 1
    if depth > MAX_DEPTH:
        raise AssertionError(
            f"{job!r} is the last of {depth} jobs of which each scheduled the next, and they may "
            "never end. Leave out override_future() here, and call travel_to()."
        )
    token = _depth.set(depth)
    try:
        yield
    finally:
        _depth.reset(token)


def _in_test_transaction(store: Store) -> AbstractContextManager[object]:
    """Let the job's transaction be a part of the one that is open, as those of a `TestCase` may."""
    blocks = store.connection.atomic_blocks
    return patch.object(blocks[-1], "_from_testcase", new=True) if blocks else nullcontext()
