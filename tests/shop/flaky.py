"""Handlers that ask for more, or for less, and those that last."""

import hashlib
import time

from django.db import connection

from django_future import Cancel, Retry, ScheduledJob, job, job_as_parameter, retry_jobs
from tests.shop.models import Trace

LASTING = 300.0  # seconds, longer than any test waits
UNINTERRUPTED = "The handler ran to its end"


class Declined(Exception):
    """A payment was declined."""


def minutes(attempt, exception):
    """Wait a minute more each time, two of them if it was declined."""
    return f"{attempt * (2 if isinstance(exception, Declined) else 1)}m"


def nonsense(attempt, exception):
    """Say what is no delay."""
    return "soon"


@job(max_attempts=3, backoff=["1m", "1h"])
def charge(amount, *, fail=True):
    """Leave a trace that does not stay, and fail."""
    Trace.objects.create(text=f"charged {amount}")
    if fail:
        raise Declined(f"{amount} declined")


@job
def come_again():
    """Ask for another attempt at once, each time."""
    raise Retry(after="0s")


@job
def cancel(pk):
    """Cancel another job."""
    ScheduledJob.objects.get(pk=pk).cancel()


@job(atomic=False)
def retry_others():
    """Put back what has failed, and fail."""
    retry_jobs(ScheduledJob.objects.filter(status="failed"))
    raise ValueError("failed")


@job(max_attempts=3, backoff=minutes)
def charge_slowly():
    """Fail, and leave the waiting to a function."""
    raise Declined("no")


@job(max_attempts=2, backoff=nonsense)
def charge_badly():
    """Fail, with a backoff that is of no use."""
    raise Declined("no")


@job
@job_as_parameter
def poll(job, until=3):
    """Ask for another attempt until there were so many."""
    if job.attempts < until:
        raise Retry(after="5m")
    return f"after {job.attempts}"


@job(backoff=["7m"])
def poll_patiently():
    """Ask for another attempt, whenever that is usual."""
    raise Retry


@job
def cancel_running(reason=""):
    """Leave a trace that does not stay, and end without a failure."""
    Trace.objects.create(text="no longer")
    raise Cancel(reason)


@job(timeout="0.2s")
def loop(text="looped"):
    """Leave a trace, and last, in steps of Python."""
    Trace.objects.create(text=text)
    wait()


@job
def wait():
    """Last, and ask the database nothing."""
    deadline = time.monotonic() + LASTING
    while time.monotonic() < deadline:
        time.sleep(0.005)
    raise AssertionError(UNINTERRUPTED)


@job(timeout="0.2s")
def swallow():
    """Leave a trace, and go on whatever is raised, to end as if nothing had been."""
    Trace.objects.create(text="swallowed")
    try:
        loop()
    except Exception:  # noqa: BLE001 - as careless handlers do
        return "not at all"
    return "never"


@job(timeout="0.2s")
async def loop_async():
    """Last, in steps of the event loop."""
    import asyncio

    await Trace.objects.acreate(text="looped")
    await asyncio.sleep(LASTING)
    raise AssertionError(UNINTERRUPTED)


@job(timeout="0.2s")
def sleep_in_the_database():
    """Have the database last."""
    Trace.objects.create(text="slept")
    run_long_statement()


@job(timeout="0.2s")
def sleep_outside(seconds):
    """Last where Python does not look."""
    Trace.objects.create(text="slept")
    time.sleep(seconds)


@job(timeout="0.2s")
def compute_outside(rounds):
    """Be busy where Python does not look."""
    Trace.objects.create(text="computed")
    hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", rounds)


@job(atomic=False)
def trace_in_steps(fail=False):
    """Leave traces that stay, each by itself."""
    Trace.objects.create(text="first")
    if fail:
        raise ValueError("after the first")
    Trace.objects.create(text="second")
    return connection.in_atomic_block


def run_long_statement():
    """Unset the database busy for longer than any test waits."""
    long = {
        "postgresql": f"SELECT PG_SLEEP({LASTING})",
        "mysql": f"SELECT SLEEP({LASTING}) + COUNT(*) FROM django_future_worker",
        "sqlite": """
            WITH RECURSIVE number (n) AS (
                SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 3000000000
            ) SELECT COUNT(*) FROM number
        """,
    }
    with connection.cursor() as cursor:
        cursor.execute(long[connection.vendor])
        cursor.fetchall()
    raise AssertionError(UNINTERRUPTED)
