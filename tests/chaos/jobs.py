"""Handlers whose every effect can be counted: each leaves a trace that bears its job's number."""

import time
from pathlib import Path

from django_future import job, job_as_parameter, schedule_job
from tests.shop.models import Trace

FAILURES = 2


def leave(number):
    """Leave the trace."""
    Trace.objects.create(text=str(number))


def ask_nothing(number):
    """Leave no trace, so that the end is recorded together with others."""
    return number


def leave_slowly(number, seconds):
    """Leave the trace, and keep the transaction open for a while."""
    leave(number)
    time.sleep(seconds)


def hold_and_leave(number, path):
    """Wait as long as a file exists, which says that the job runs, and leave the trace."""
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
    """Leave the trace, which must not stay until so many attempts have failed."""
    leave(number)
    if job.failed_attempts.count() < FAILURES:
        raise ValueError("not yet")


def leave_and_schedule(number, child):
    """Leave the trace, and schedule the job numbered `child`."""
    leave(number)
    schedule_job("0s", leave, args=[child])
