"""What a handler does as a job, and what is due."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Model

from django_future.execution.invoke import call
from django_future.execution.outcome import Outcome, Result
from django_future.execution.result import result_text
from django_future.handlers import Target
from django_future.models import ScheduledJob
from django_future.resolution import unbound_handler
from django_future.scheduling.jobs import unsaved_job
from django_future.serialization import decode
from django_future.when import When
from django_future.worker.run_once import one_pass

MAX_PASSES = 100


def perform_job(
    handler: Target,
    *,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    content_object: Model | None = None,
) -> Any:
    """Call `handler` as its job would, and return what that would keep; there is no row.

    The arguments are stored and read again, as is what it returns; it has a transaction of its own.
    What it raises is raised, and what schedule_job() refuses is refused.
    """
    job = unsaved_job(
        when="0s", callable=handler, content_object=content_object, args=args, kwargs=kwargs
    )
    with transaction.atomic(using=job._state.db):
        result = call(job, unbound_handler(job))
        kept = None if result is None else result_text(result, job.callable_name)
    return None if kept is None else decode(kept, ("return_value", job.callable_name))


def run_due_jobs(
    until: When | None = None,
    *,
    recurse: bool = False,
    raise_errors: bool = True,
    using: str | None = None,
) -> list[ScheduledJob]:
    """Run the jobs that are due, or will be at the time `until`, and return them in their order.

    With `recurse` also those that they schedule and that are due then. A `TestCase` may call it.

    Raises what a handler raises unless `raise_errors` is false, and `AssertionError` if jobs go on
    scheduling more.
    """
    ran: list[ScheduledJob] = []
    for _ in range(MAX_PASSES):
        before = len(ran)
        for outcome in one_pass(now=until, using=using):
            if raise_errors:
                raise_error_of(outcome)
            if outcome.result is not Result.HANDLER_UNKNOWN:
                ran.append(outcome.job)
        if not recurse or len(ran) == before:
            return ran
    raise AssertionError(
        f"After {MAX_PASSES} passes, and {len(ran)} jobs, more are due: jobs that schedule others "
        "for the time that has come never end. Leave out recurse=True."
    )


def raise_error_of(outcome: Outcome) -> None:
    """Raise what the job failed with, or why it could not begin, which in a test is a mistake."""
    could_not_begin = not outcome.was_called
    error = outcome.exception if could_not_begin else outcome.failure
    if error:
        raise error
