"""Handlers that misbehave."""

import functools
from contextlib import suppress
from threading import Event, Thread

from django.contrib.auth.models import Group
from django.db import (
    IntegrityError,
    OperationalError,
    close_old_connections,
    connection,
    transaction,
)
from django.utils import timezone, translation

from django_future import Cancel, Retry, cancel_jobs, job, job_as_parameter
from django_future.models import ScheduledJob
from tests.shop.models import Order, Trace


class PanicException(BaseException):
    """An exception of a library in another language."""


class Unprintable(Exception):
    """An exception whose str() raises."""

    def __str__(self):
        raise RuntimeError("no words")


class Unrepresentable:
    """A result that cannot be pickled, and whose repr() raises."""

    def __reduce__(self):
        raise TypeError("not to be pickled")

    def __repr__(self):
        raise RuntimeError("no words")


def panic():
    """Raise a BaseException."""
    Trace.objects.create(text="not kept")
    raise PanicException("index out of bounds")


def press_ctrl_c():
    """Raise KeyboardInterrupt without a signal."""
    Trace.objects.create(text="not kept")
    raise KeyboardInterrupt


def close_generator():
    """Raise GeneratorExit."""
    raise GeneratorExit


def catch_integrity_error():
    """Write, violate a constraint, and suppress the error."""
    Trace.objects.create(text="not kept")
    Group.objects.create(name="twice")
    with suppress(IntegrityError):
        Group.objects.create(name="twice")


def roll_back():
    """Write, and mark the transaction for rollback."""
    Trace.objects.create(text="not kept")
    transaction.set_rollback(True)


def roll_back_in_the_database():
    """Make SQLite roll back the transaction, and suppress the error."""
    Trace.objects.create(text="not kept")
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO auth_group (id, name) VALUES (1, 'one')")
        with suppress(IntegrityError):
            cursor.execute("INSERT OR ROLLBACK INTO auth_group (id, name) VALUES (1, 'two')")


def close_connection():
    """Write, and close the connection inside the transaction."""
    Trace.objects.create(text="not kept")
    connection.close()


def enter_atomic():
    """Write in an atomic block that is never exited."""
    transaction.atomic().__enter__()
    Trace.objects.create(text="not kept")


@job(atomic=False)
def enter_atomic_for_good():
    """Write in an atomic block that is never exited, without an outer transaction."""
    transaction.atomic().__enter__()
    Trace.objects.create(text="not kept")


@job(atomic=False)
def begin():
    """Begin a transaction with SQL."""
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO shop_trace (text) VALUES ('not kept')")


@job(atomic=False)
def turn_autocommit_off():
    """Turn autocommit off, and write."""
    transaction.set_autocommit(False)
    Trace.objects.create(text="not kept")


@job(atomic=False)
def turn_autocommit_off_and_fail():
    """Turn autocommit off, write, and fail."""
    turn_autocommit_off()
    raise ValueError("its own error")


@job(atomic=False, max_attempts=2, backoff=["1h"])
def close_old_connections_and_fail():
    """Close old connections, and fail."""
    Trace.objects.create(text="ran")
    connection.close()
    close_old_connections()
    raise ValueError("its own error")


@job(atomic=False)
def discard_all():
    """Discard the state of the PostgreSQL session."""
    with connection.cursor() as cursor:
        cursor.execute("DISCARD ALL")


def switch_language_and_zone():
    """Activate another language and time zone."""
    translation.activate("de")
    timezone.activate("Pacific/Auckland")


def return_language_and_zone():
    """Return the active language and time zone."""
    return [translation.get_language(), timezone.get_current_timezone_name()]


def raise_unprintable():
    """Raise an exception whose str() raises."""
    raise Unprintable


def raise_syntax_error():
    """Raise a SyntaxError that `traceback` cannot format."""
    raise SyntaxError("bad template", ("order.html", 3, "5", "{% if %}"))


def raise_huge():
    """Raise an error of 20 MB."""
    raise ValueError("x" * 20_000_000)


def cancel_with_number():
    """Cancel with a number as the reason."""
    raise Cancel(404)


def retry_out_of_time():
    """Raise Retry with a delay that the database cannot hold."""
    error = Retry()
    error.after = timezone.timedelta.max
    raise error


def return_unrepresentable():
    """Return a value that cannot be stored or shown."""
    return Unrepresentable()


def return_huge():
    """Return 20 MB."""
    return "x" * 20_000_000


def return_large():
    """Return 200 kB. Many such results exceed the maximum size of a statement."""
    return "x" * 200_000


def generate():
    """Be a generator function."""
    yield 1


@job
def generate_declared():
    """Be a generator function, declared as a handler."""
    yield 1


async def generate_async():
    """Be an asynchronous generator function."""
    yield 1


def return_generator():
    """Return a generator."""
    return generate()


def _plainly(function):
    @functools.wraps(function)
    def call(*args):
        return function(*args)

    return call


@_plainly
async def trace_async_in_disguise():
    """Return a coroutine from a plain function."""
    await Trace.objects.acreate(text="never")


@job_as_parameter
def cancel_itself(job):
    """Write, and cancel its own job."""
    Trace.objects.create(text="not kept")
    cancel_jobs(ScheduledJob.objects.filter(pk=job.pk), running=True)


@job_as_parameter
def delete_itself(job):
    """Write, and delete its own job."""
    Trace.objects.create(text="kept")
    job.delete()


@job_as_parameter
def delete_itself_unseen(job):
    """Write, and delete the row of its own job."""
    Trace.objects.create(text="not kept")
    ScheduledJob.objects.filter(pk=job.pk).delete()


@job_as_parameter
def scribble(job, *, text="kept", fail=False):
    """Write, unless the text is empty, and change all columns of the job instance."""
    if text:
        Trace.objects.create(text=text)
    vars(job).update({field.attname: object() for field in job._meta.concrete_fields})
    if fail:
        raise ValueError("not kept")


def wait():
    """Wait for something that a test sets."""


@job_as_parameter
def scribble_and_wait(job):
    """Change all columns of the job instance, and wait."""
    scribble(job, text="")
    wait()


def delete_order(order):
    """Write, and delete the content object."""
    Trace.objects.create(text="kept")
    Order.objects.get(pk=order.pk)
    order.delete()


def call_procedure():
    """Write with a stored procedure."""
    with connection.cursor() as cursor:
        cursor.callproc("leave_trace")


def lose_a_deadlock():
    """Write, lose a deadlock, suppress the error, and write again."""
    first, second = Order.objects.order_by("pk")
    is_locked = Event()

    def lock_the_other_way_round():
        with transaction.atomic():
            # The server rolls back the transaction that has written less.
            Trace.objects.bulk_create([Trace(text="the rival's")] * 100)
            Order.objects.select_for_update().get(pk=second.pk)
            is_locked.set()
            Order.objects.select_for_update().get(pk=first.pk)
        connection.close()

    rival = Thread(target=lock_the_other_way_round)
    Order.objects.select_for_update().get(pk=first.pk)
    Trace.objects.create(text="not kept")
    rival.start()
    is_locked.wait(20)
    with suppress(OperationalError):
        Order.objects.select_for_update().get(pk=second.pk)
    rival.join()
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO shop_trace (text) VALUES ('not kept either')")
