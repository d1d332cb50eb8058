"""Handlers that misbehave: each job must still end as `ENDS` says.

Each writes its trace first, which must remain only if its job is complete.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from threading import Thread

from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, close_old_connections, connection, transaction

from django_future import Cancel, Retry, ScheduledJob, job, job_as_parameter
from django_future.status import Status
from tests.chaos.jobs import leave

HUGE = 2**20  # characters
THREAD_SECONDS = 0.2


class Unexpected(BaseException):
    """A BaseException, as some libraries raise."""


class Unspeakable(Exception):
    """An exception whose str() and repr() raise."""

    def __str__(self):
        raise ValueError("no words")

    __repr__ = __str__


class Unshowable:
    """A value that cannot be stored or shown."""

    def __reduce__(self):
        raise TypeError("not to be stored")

    def __repr__(self):
        raise ValueError("not to be shown")


def raise_keyboard_interrupt(number):
    """Raise KeyboardInterrupt."""
    leave(number)
    raise KeyboardInterrupt


def raise_generator_exit(number):
    """Raise GeneratorExit."""
    leave(number)
    raise GeneratorExit


def raise_system_exit(number):
    """Raise SystemExit."""
    leave(number)
    sys.exit(3)


def raise_unexpected(number):
    """Raise a BaseException."""
    leave(number)
    raise Unexpected


async def raise_cancelled(number):
    """Raise CancelledError."""
    raise asyncio.CancelledError


def raise_unspeakable(number):
    """Raise an exception that cannot be formatted."""
    leave(number)
    raise Unspeakable


def raise_huge(number):
    """Raise an exception with a million characters."""
    leave(number)
    raise ValueError("x" * HUGE)


def cancel_with_a_number(number):
    """Cancel with a number as the reason."""
    leave(number)
    raise Cancel(404)


def retry_never(number):
    """Raise Retry with the longest possible delay."""
    leave(number)
    raise Retry(timedelta.max)


def swallow_integrity_error(number):
    """Suppress an error that broke the transaction."""
    leave(number)
    try:
        ContentType.objects.create(app_label="contenttypes", model="contenttype")
    except IntegrityError:
        return "suppressed"
    return "never"


def set_rollback(number):
    """Mark the transaction for rollback."""
    leave(number)
    transaction.set_rollback(True)


def close_connection(number):
    """Close the connection that records the job."""
    leave(number)
    connection.close()


def close_old(number):
    """Close old connections."""
    leave(number)
    close_old_connections()


@job(atomic=False)
def close_and_fail(number):
    """Close the connection, and raise another error."""
    connection.close()
    raise ValueError("for another reason")


def stop_autocommit(number):
    """Turn autocommit off inside the transaction of the job."""
    leave(number)
    transaction.set_autocommit(False)


@job(atomic=False)
def leave_uncommitted(number):
    """Turn autocommit off, and write without a commit."""
    transaction.set_autocommit(False)
    leave(number)


def enter_atomic(number):
    """Enter an atomic block, and do not exit it."""
    leave(number)
    transaction.atomic().__enter__()


@job(atomic=False)
def enter_atomic_outside(number):
    """Enter the outermost atomic block, and do not exit it."""
    transaction.atomic().__enter__()
    leave(number)


def begin(number):
    """Begin a transaction with SQL inside that of the job."""
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
    leave(number)


@job_as_parameter
def cancel_itself(job, number):
    """Cancel its own job."""
    leave(number)
    ScheduledJob.objects.get(pk=job.pk).cancel(running=True)


@job_as_parameter
def delete_itself(job, number):
    """Delete its own job."""
    leave(number)
    ScheduledJob.objects.filter(pk=job.pk).delete()


def return_unshowable(number):
    """Return a value that cannot be stored or shown."""
    leave(number)
    return Unshowable()


def return_generator(number):
    """Return a generator."""
    leave(number)
    return (digit for digit in str(number))


def fork(number):
    """Fork a child process that ends at once."""
    leave(number)
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)


def fork_and_exit(number):
    """Fork a child process that raises SystemExit."""
    leave(number)
    child = os.fork()
    if not child:
        sys.exit(0)
    os.waitpid(child, 0)


def leave_thread(number):
    """Start a thread that outlives the job."""
    leave(number)
    Thread(target=time.sleep, args=[THREAD_SECONDS], daemon=True).start()


FAILED, COMPLETE, CANCELLED = {Status.FAILED}, {Status.COMPLETE}, {Status.CANCELLED}
ENDS: dict[Callable[..., object], set[Status]] = {
    raise_keyboard_interrupt: FAILED,
    raise_generator_exit: FAILED,
    raise_system_exit: FAILED,
    raise_unexpected: FAILED,
    raise_cancelled: FAILED,
    raise_unspeakable: FAILED,
    raise_huge: FAILED,
    cancel_with_a_number: CANCELLED,
    retry_never: FAILED,
    swallow_integrity_error: FAILED,
    set_rollback: FAILED,
    close_connection: FAILED,
    close_old: COMPLETE | FAILED,  # it closes the connection, except on SQLite
    close_and_fail: FAILED,
    stop_autocommit: FAILED,
    leave_uncommitted: FAILED,
    enter_atomic: FAILED,
    enter_atomic_outside: FAILED,
    begin: COMPLETE | FAILED,  # SQLite refuses it, others do not
    cancel_itself: CANCELLED,
    delete_itself: CANCELLED,
    return_unshowable: COMPLETE,
    return_generator: FAILED,
    fork: COMPLETE,
    fork_and_exit: COMPLETE,
    leave_thread: COMPLETE,
}
