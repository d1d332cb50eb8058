"""Handlers for the tests."""

import asyncio
import functools
import os
import sys
import time
from multiprocessing import get_context
from os import system  # noqa: F401 - what a stored job must not reach through this module
from pathlib import Path

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from django_future import ScheduledJob, clock, job_as_parameter, schedule_job
from django_future.store import store_for
from tests.shop.models import Trace


def trace(text="ran"):
    """Leave a trace."""
    Trace.objects.create(text=text)


def trace_object(content_object, *args, **kwargs):
    """Leave a trace of what was passed."""
    Trace.objects.create(text=f"{content_object!r} {args!r} {kwargs!r}")


@job_as_parameter
def trace_all(job, content_object, *args, **kwargs):
    """Leave a trace of what was passed, the job first."""
    Trace.objects.create(text=f"{job!r} {content_object!r} {args!r} {kwargs!r}")


def trace_and_fail(text="before the failure"):
    """Leave a trace that must not stay."""
    Trace.objects.create(text=text)
    raise ValueError("fail")


def fail(message="fail"):
    """Fail."""
    raise ValueError(message)


def echo(value=None):
    """Return what was passed."""
    return value


def take(*args, **kwargs):
    """Take whatever is passed."""


def tell_time():
    """Return when it was called."""
    return time.time()


def unstorable():
    """Return what cannot be stored."""
    return [lambda: None]


def quit_program():
    """Try to end the worker."""
    sys.exit(3)


def type_error_inside():
    """Raise a TypeError that is not the caller's fault."""
    raise TypeError("inside")


async def trace_async(text):
    """Leave a trace from a coroutine."""
    await Trace.objects.acreate(text=text)


def trace_and_break_hook():
    """Leave a trace, and a hook that raises after the commit."""
    Trace.objects.create(text="kept")
    transaction.on_commit(functools.partial(fail, "in the hook"))


def trace_on_commit(text="hook"):
    """Ask nothing before the commit, and leave a trace after it."""
    transaction.on_commit(functools.partial(trace, text))


def trace_through_the_driver():
    """Leave a trace by a cursor that Django knows nothing of."""
    connection.connection.cursor().execute(
        f"INSERT INTO {Trace._meta.db_table} (text) VALUES ('ran')"
    )


def break_a_promise():
    """Write what a constraint forbids that may be deferred to the commit."""
    ScheduledJob.objects.create(
        callable_name="nobody.calls.this",
        scheduled_at=clock.to_row(clock.now()),
        content_type_id=10**6,
    )


def schedule_another():
    """Schedule a job that is due at once."""
    schedule_job("0s", trace, args=["by another"])


def read_then_write():
    """Read, let another connection write, then write: what SQLite refuses without a lock."""
    before = Trace.objects.count()
    Trace.objects.create(text=f"after {before}")


def with_cause():
    """Fail because of something else, in words that no database likes."""
    try:
        raise KeyError("nul \0 and \udc80")
    except KeyError as error:
        raise ValueError("nul \0 and \udc80") from error


def hold(path, text="held"):
    """Say that it runs by making a file, and leave a trace once the file is gone."""
    path = Path(path)
    path.touch()
    while path.exists():
        time.sleep(0.01)
    Trace.objects.create(text=text)


def lose_connection():
    """Have the server end this connection, the first time."""
    first = not Path(os.environ["TEST_MARK"]).exists()
    Path(os.environ["TEST_MARK"]).touch()
    Trace.objects.create(text="written")
    if first:
        end_session(store_for("default").session_id())
        Trace.objects.count()


def end_session(session):
    """Have the server end a connection, by way of another, and wait until it has."""
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
    """Schedule the same again, for now."""
    schedule_job("0s", "tests.shop.jobs.schedule_itself")


def read_clocks():
    """Return what every clock reads, and what a field has for its default."""
    django, field = timezone.now(), User().date_joined
    return [clock.from_row(django), clock.from_row(field), clock.now(), store_for("default").now()]


@job_as_parameter
def with_retries(job, every):
    """Schedule the same again."""
    job.reschedule(every)
    return clock.now()


def schedule_and_fail():
    """Schedule a job that fails."""
    schedule_job("1d", fail)


@job_as_parameter
def report(job, *said, lines=()):
    """Say how far it is, again and again."""
    for progress in said:
        job.progress(*progress)
    for line in lines:
        job.log(line)


@job_as_parameter
async def report_async(job, done):
    """Say how far it is from a coroutine."""
    job.progress(done, 10, "awaited")


@job_as_parameter
def report_and_hold(job, path, text=None):
    """Say how far it is, having left a trace if there is a text, and go on while a file exists."""
    if text is not None:
        trace(text)
    job.progress(3, 10, "resizing")
    job.log("began")
    hold(path)
    job.progress(10, 10)


@job_as_parameter
def report_and_fail(job):
    """Say how far it is, and fail."""
    job.progress(7, 10, "failing")
    job.log("about to fail")
    fail()


@job_as_parameter
def report_often(job, times):
    """Say how far it is, so many times."""
    for done in range(1, times + 1):
        job.progress(done)


def terminate_a_child():
    """Fork a process that would last, end it as multiprocessing does, and return its exit code."""
    child = get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    child.terminate()
    child.join()
    return child.exitcode


async def hold_async(path):
    """Say that it runs by making a file, and last while that is there."""
    path = Path(path)
    path.touch()
    while path.exists():
        await asyncio.sleep(0.05)
