"""Handlers that do what no handler should: each job must end as `ENDS` says all the same.

Each leaves its trace first, which stays if its job is complete, and only then.
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
DEFAULT_TOLERANCE = 0.2  # seconds


class Unexpected(BaseException):
    """Is no Exception, as those of some libraries."""


class Unspeakable(Exception):
    """Cannot be put into words."""

    def __str__(self):
        raise ValueError("no words")

    __repr__ = __str__


class Unshowable:
    """Can neither be stored nor shown."""

    def __reduce__(self):
        raise TypeError("not to be stored")

    def __repr__(self):
        raise ValueError("not to be shown")


def raise_keyboard_interrupt(number):
    """End as if somebody had pressed Ctrl-C."""
    leave(number)
    raise KeyboardInterrupt


def raise_generator_exit(number):
    """End as a generator does that is closed."""
    leave(number)
    raise GeneratorExit


def raise_system_exit(number):
    """Ask the process to end."""
    leave(number)
    sys.exit(3)


def raise_unexpected(number):
    """End with what is no Exception."""
    leave(number)
    raise Unexpected


async def raise_cancelled(number):
    """End as a task does that is cancelled."""
    raise asyncio.CancelledError


def raise_unspeakable(number):
    """End with an error that cannot be formatted."""
    leave(number)
    raise Unspeakable


def raise_huge(number):
    """End with an error of a million characters."""
    leave(number)
    raise ValueError("x" * HUGE)


def cancel_with_a_number(number):
    """Give a reason that is no text."""
    leave(number)
    raise Cancel(404)


def retry_never(number):
    """Ask for another attempt after the end of time."""
    leave(number)
    raise Retry(timedelta.max)


def swallow_integrity_error(number):
    """Go on after an error that broke the transaction."""
    leave(number)
    try:
        ContentType.objects.create(app_label="contenttypes", model="contenttype")
    except IntegrityError:
        return "as if nothing had been"
    return "never"


def set_rollback(number):
    """Have the transaction end in a rollback."""
    leave(number)
    transaction.set_rollback(True)


def close_connection(number):
    """Close the connection that the job is to be recorded on."""
    leave(number)
    connection.close()


def close_old(number):
    """Close what is old, as code does that runs for long."""
    leave(number)
    close_old_connections()


@job(atomic=False)
def close_and_fail(number):
    """Close the connection, and fail for another reason."""
    connection.close()
    raise ValueError("for another reason")


def stop_autocommit(number):
    """Try to take the transaction into its own hands."""
    leave(number)
    transaction.set_autocommit(False)


@job(atomic=False)
def leave_uncommitted(number):
    """Take the transaction into its own hands, and not end it."""
    transaction.set_autocommit(False)
    leave(number)


def enter_atomic(number):
    """Enter a block, and not leave it."""
    leave(number)
    transaction.atomic().__enter__()


@job(atomic=False)
def enter_atomic_outside(number):
    """Enter the only block, and not leave it."""
    transaction.atomic().__enter__()
    leave(number)


def begin(number):
    """Begin a transaction behind Django's back, inside that of the job."""
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
    """Return what can neither be stored nor shown."""
    leave(number)
    return Unshowable()


def return_generator(number):
    """Return a generator, which nothing runs."""
    leave(number)
    return (digit for digit in str(number))


def fork(number):
    """Leave a child process that ends at once."""
    leave(number)
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)


def fork_and_exit(number):
    """Leave a child process that ends as a program does."""
    leave(number)
    child = os.fork()
    if not child:
        sys.exit(0)
    os.waitpid(child, 0)


def leave_thread(number):
    """Leave a thread that goes on."""
    leave(number)
    Thread(target=time.sleep, args=[DEFAULT_TOLERANCE], daemon=True).start()


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
    close_old: COMPLETE | FAILED,  # it closes what is in a transaction, except on SQLite
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
