"""Handlers with countable effects: each trace is the number of its job."""

import time
from pathlib import Path

from django_future import job, job_as_parameter, schedule_job
from tests.shop.models import Trace
from tests.shop.tasks import task

FAILURES = 2


def leave(number):
    """Write the trace."""
    Trace.objects.create(text=str(number))


def make_no_query(number):
    """Make no query, so that the completion is recorded in a batch."""
    return number


def leave_slowly(number, seconds):
    """Write the trace, and keep the transaction open for some seconds."""
    leave(number)
    time.sleep(seconds)


def hold_and_leave(number, path):
    """Create a file, wait until it is deleted, and write the trace."""
    path = Path(path)
    path.touch()
    while path.exists():
        time.sleep(0.01)
    leave(number)


def leave_and_fail(number):
    """Write a trace, which is rolled back, and fail."""
    leave(number)
    raise ValueError("as planned")


@job(max_attempts=FAILURES + 1, backoff=["0s"] * FAILURES)
@job_as_parameter
def leave_in_the_end(job, number):
    """Write the trace, and fail in the first `FAILURES` attempts."""
    leave(number)
    if job.failed_attempts.count() < FAILURES:
        raise ValueError("not yet")


def leave_and_schedule(number, child):
    """Write the trace, and schedule the job with the number `child`."""
    leave(number)
    schedule_job("0s", leave, args=[child])


@task(takes_context=True)
def leave_as_task(context, number):
    """Write the trace, and return the number of the attempt."""
    leave(number)
    return context.attempt


@task
def leave_and_fail_as_task(number):
    """Write a trace, which is rolled back, and fail."""
    leave_and_fail(number)
