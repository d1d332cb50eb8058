"""Handlers that fail, retry, cancel or run for long."""

import hashlib
import time
from pathlib import Path

from django.db import connection

from django_future import Cancel, Retry, ScheduledJob, job, job_as_parameter, retry_jobs
from tests.shop.models import Trace

LASTING_SECONDS = 300.0  # longer than any test waits
UNINTERRUPTED = "The handler ran to its end"


class Declined(Exception):
    """A payment was declined."""


def minutes(attempt, exception):
    """Return one minute per attempt, or two if the payment was declined."""
    return f"{attempt * (2 if isinstance(exception, Declined) else 1)}m"


def nonsense(attempt, exception):
    """Return an invalid delay."""
    return "soon"


@job(max_attempts=3, backoff=["1m", "1h"])
def charge(amount, *, fail=True):
    """Write a trace, which is rolled back, and fail."""
    Trace.objects.create(text=f"charged {amount}")
    if fail:
        raise Declined(f"{amount} declined")


@job
def come_again():
    """Raise Retry without a delay."""
    raise Retry(after="0s")


@job
def cancel(pk):
    """Cancel another job."""
    ScheduledJob.objects.get(pk=pk).cancel()


@job(atomic=False)
def retry_others():
    """Retry all failed jobs, and fail."""
    retry_jobs(ScheduledJob.objects.filter(status="failed"))
    raise ValueError("failed")


@job(max_attempts=3, backoff=minutes)
def charge_slowly():
    """Fail, with a backoff function."""
    raise Declined("no")


@job(max_attempts=2, backoff=nonsense)
def charge_badly():
    """Fail, with an invalid backoff function."""
    raise Declined("no")


@job
@job_as_parameter
def poll(job, until=3):
    """Raise Retry until there were `until` attempts."""
    if job.attempts < until:
        raise Retry(after="5m")
    return f"after {job.attempts}"


@job(backoff=["7m"])
def poll_patiently():
    """Raise Retry with the default delay."""
    raise Retry


@job
def cancel_running(reason=""):
    """Write a trace, which is rolled back, and raise Cancel."""
    Trace.objects.create(text="no longer")
    raise Cancel(reason)


@job(timeout="0.2s")
def loop(text="looped"):
    """Write a trace, and run for long in Python code."""
    Trace.objects.create(text=text)
    wait()


@job
def wait():
    """Run for long without queries."""
    deadline = time.monotonic() + LASTING_SECONDS
    while time.monotonic() < deadline:
        time.sleep(0.005)
    raise AssertionError(UNINTERRUPTED)


@job(timeout="0.2s")
def swallow():
    """Write a trace, suppress any error, and return."""
    Trace.objects.create(text="swallowed")
    try:
        loop()
    except Exception:  # noqa: BLE001 - careless handlers do this
        return "not at all"
    return "never"


@job(timeout="0.2s")
async def loop_async():
    """Run for long in an event loop."""
    import asyncio

    await Trace.objects.acreate(text="looped")
    await asyncio.sleep(LASTING_SECONDS)
    raise AssertionError(UNINTERRUPTED)


@job(timeout="0.2s")
def sleep_in_the_database():
    """Run a long statement in the database."""
    Trace.objects.create(text="slept")
    run_long_statement()


@job(timeout="0.2s")
def sleep_outside(seconds):
    """Sleep in C code, which cannot be interrupted."""
    Trace.objects.create(text="slept")
    time.sleep(seconds)


@job(timeout="0.2s")
def close_and_sleep(seconds):
    """Close the connection, and sleep in C code."""
    connection.close()
    time.sleep(seconds)


@job
def sleep_without_writing(path, seconds):
    """Create a file and sleep in C code. On SQLite a write would block those who cancel the job."""
    Path(path).touch()
    time.sleep(seconds)


@job(timeout="0.2s")
def compute_outside(rounds):
    """Compute in C code, which cannot be interrupted."""
    Trace.objects.create(text="computed")
    hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", rounds)


@job(atomic=False)
def trace_in_steps(fail=False):
    """Write two traces without a transaction."""
    Trace.objects.create(text="first")
    if fail:
        raise ValueError("after the first")
    Trace.objects.create(text="second")
    return connection.in_atomic_block


def run_long_statement():
    """Keep the database busy for longer than any test waits."""
    long = {
        "postgresql": f"SELECT PG_SLEEP({LASTING_SECONDS})",
        "mysql": f"SELECT SLEEP({LASTING_SECONDS}) + COUNT(*) FROM django_future_worker",
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
