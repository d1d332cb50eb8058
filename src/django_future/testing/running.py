"""Executes one handler as a job, or the jobs that are due."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar, overload

from django.db import transaction
from django.db.models import Model

from django_future.execution.invoke import prepared_call
from django_future.execution.outcome import Ending, Outcome
from django_future.execution.result import result_text
from django_future.handlers import Target
from django_future.models import ScheduledJob
from django_future.resolution import resolve_job
from django_future.scheduling.jobs import unsaved_job
from django_future.serialization import decode
from django_future.when import When
from django_future.worker.run_once import one_pass

MAX_PASSES = 100

R = TypeVar("R")


@overload
def perform_job(
    handler: Callable[..., Coroutine[Any, Any, R]],
    content_object: Model | None = None,
    *,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
) -> R: ...
@overload
def perform_job(
    handler: Callable[..., R],
    content_object: Model | None = None,
    *,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
) -> R: ...
@overload
def perform_job(
    handler: str,
    content_object: Model | None = None,
    *,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
) -> Any: ...
def perform_job(
    handler: Target,
    content_object: Model | None = None,
    *,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
) -> Any:
    """Call `handler` as a job would, without a row, and return what the job would store.

    The arguments and the return value are encoded and decoded, as for a row. The handler runs in
    its own transaction. Its exceptions are raised, and so are those of `schedule_job`.
    """
    job = unsaved_job(
        when="0s", callable=handler, content_object=content_object, args=args, kwargs=kwargs
    )
    with transaction.atomic(using=job._state.db):
        result = prepared_call(job, resolve_job(job))()
        stored = None if result is None else result_text(result, job.callable_name)
    return None if stored is None else decode(stored, ("return_value", job.callable_name))


def run_due_jobs(
    until: When | None = None,
    *,
    recurse: bool = False,
    raise_errors: bool = True,
    using: str | None = None,
) -> list[ScheduledJob]:
    """Execute the jobs that are due at the time `until`, and return them in this order.

    `until` defaults to now. With `recurse`, also execute the jobs that these jobs schedule, if
    they are due at that time. It works in a `TestCase`.

    Raises what a handler raises, unless `raise_errors` is false. Raises `AssertionError` if the
    jobs schedule others without an end.
    """
    ran: list[ScheduledJob] = []
    for _ in range(MAX_PASSES):
        before = len(ran)
        for outcome in one_pass(now=until, using=using):
            if raise_errors:
                raise_error_of(outcome)
            if outcome.ending is not Ending.HANDLER_UNKNOWN:
                ran.append(outcome.job)
        if not recurse or len(ran) == before:
            return ran
    raise AssertionError(
        f"After {MAX_PASSES} passes and {len(ran)} jobs, more jobs are due. Jobs that schedule "
        "others, which are due at once, never end. Call it without recurse=True."
    )


def raise_error_of(outcome: Outcome) -> None:
    """Raise the exception of a failed job, or the reason why its handler was not called."""
    error = outcome.failure if outcome.was_runnable else outcome.exception
    if error:
        raise error
