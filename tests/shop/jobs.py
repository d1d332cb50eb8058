"""Handlers for the tests."""

import asyncio
import functools
import os
import sys
import time
from multiprocessing import get_context
from os import system  # noqa: F401 - stored jobs must not call this import
from pathlib import Path

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from django_future import ScheduledJob, clock, job_as_parameter, schedule_job
from django_future.store import store_for
from tests.shop.models import Trace


def trace(text="ran"):
    """Write a trace."""
    Trace.objects.create(text=text)


def trace_object(content_object, *args, **kwargs):
    """Write a trace of the arguments."""
    Trace.objects.create(text=f"{content_object!r} {args!r} {kwargs!r}")


@job_as_parameter
def trace_all(job, content_object, *args, **kwargs):
    """Write a trace of the job and the arguments."""
    Trace.objects.create(text=f"{job!r} {content_object!r} {args!r} {kwargs!r}")


def trace_and_fail(text="before the failure"):
    """Write a trace, which is rolled back, and fail."""
    Trace.objects.create(text=text)
    raise ValueError("fail")


def fail(message="fail"):
    """Fail."""
    raise ValueError(message)


def echo(value=None):
    """Return the argument."""
    return value


def take(*args, **kwargs):
    """Accept any arguments."""


def return_time():
    """Return the time of the call."""
    return time.time()


def unstorable():
    """Return a value that cannot be stored."""
    return [lambda: None]


def quit_program():
    """Exit."""
    sys.exit(3)


def type_error_inside():
    """Raise a TypeError that does not come from the call."""
    raise TypeError("inside")


async def trace_async(text):
    """Write a trace in a coroutine."""
    await Trace.objects.acreate(text=text)


def trace_and_break_hook():
    """Write a trace, and register an on_commit hook that raises."""
    Trace.objects.create(text="kept")
    transaction.on_commit(functools.partial(fail, "in the hook"))


def trace_on_commit(text="hook"):
    """Make no query before the commit, and write a trace in an on_commit hook."""
    transaction.on_commit(functools.partial(trace, text))


def trace_through_the_driver():
    """Write a trace with a cursor of the driver, without Django."""
    connection.connection.cursor().execute(
        f"INSERT INTO {Trace._meta.db_table} (text) VALUES ('ran')"
    )


def break_a_promise():
    """Violate a deferred constraint, which fails at the commit."""
    ScheduledJob.objects.create(
        callable_name="never.called",
        scheduled_at=clock.to_row(clock.now()),
        content_type_id=10**6,
    )


def schedule_another():
    """Schedule a job for now."""
    schedule_job("0s", trace, args=["by another"])


def read_then_write():
    """Read, then write. SQLite refuses this without a lock if others write in between."""
    before = Trace.objects.count()
    Trace.objects.create(text=f"after {before}")


def with_cause():
    """Fail with a cause, and with text that databases refuse."""
    try:
        raise KeyError("nul \0 and \udc80")
    except KeyError as error:
        raise ValueError("nul \0 and \udc80") from error


def hold(path, text="held"):
    """Create a file, wait until it is deleted, and write a trace."""
    path = Path(path)
    path.touch()
    while path.exists():
        time.sleep(0.01)
    Trace.objects.create(text=text)


def lose_connection():
    """Kill the session of this connection in the first attempt."""
    first = not Path(os.environ["TEST_MARK"]).exists()
    Path(os.environ["TEST_MARK"]).touch()
    Trace.objects.create(text="written")
    if first:
        end_session(store_for("default").session_id())
        Trace.objects.count()


def end_session(session):
    """Kill a session from another connection, and wait until it has ended."""
    statement, listing = END_SESSION[connection.vendor]
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute(statement, [session.number])
        cursor.execute(listing, [session.number])
        while cursor.fetchone():
            time.sleep(0.005)
            cursor.execute(listing, [session.number])
    other.close()


END_SESSION = {
    "postgresql": (
        "SELECT pg_terminate_backend(%s)",
        "SELECT pid FROM pg_stat_activity WHERE pid = %s",
    ),
    "mysql": ("KILL %s", "SELECT id FROM information_schema.processlist WHERE id = %s"),
}


def schedule_itself():
    """Schedule itself for now."""
    schedule_job("0s", "tests.shop.jobs.schedule_itself")


def read_clocks():
    """Return the times of all clocks, and of a field with a default."""
    django, field = timezone.now(), User().date_joined
    return [clock.from_row(django), clock.from_row(field), clock.now(), store_for("default").now()]


@job_as_parameter
def repeat(job, every):
    """Reschedule its job."""
    job.reschedule(every)
    return clock.now()


def schedule_and_fail():
    """Schedule a job that fails."""
    schedule_job("1d", fail)


@job_as_parameter
def report(job, *updates, lines=()):
    """Report progress and log lines."""
    for progress in updates:
        job.progress(*progress)
    for line in lines:
        job.log(line)


@job_as_parameter
async def report_async(job, done):
    """Report progress in a coroutine."""
    job.progress(done, 10, "awaited")


@job_as_parameter
def report_and_hold(job, path, text=None):
    """Write a trace if there is a text, report progress, and wait while a file exists."""
    if text is not None:
        trace(text)
    job.progress(3, 10, "resizing")
    job.log("began")
    hold(path)
    job.progress(10, 10)


@job_as_parameter
def report_and_fail(job):
    """Report progress, and fail."""
    job.progress(7, 10, "failing")
    job.log("about to fail")
    fail()


@job_as_parameter
def report_often(job, times):
    """Report progress `times` times."""
    for done in range(1, times + 1):
        job.progress(done)


def terminate_a_child():
    """Fork a process, terminate it with multiprocessing, and return its exit code."""
    child = get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    child.terminate()
    child.join()
    return child.exitcode


async def hold_async(path):
    """Create a file, and wait until it is deleted."""
    path = Path(path)
    path.touch()
    while path.exists():
        await asyncio.sleep(0.05)


@job_as_parameter
def stamp(job):
    """Write a trace of the instant of a run."""
    trace(str(job.recurs_at))
