"""Handlers that do what handlers should not do."""

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
    """What a library in another language raises."""


class Unprintable(Exception):
    """An exception that raises another as soon as it is shown."""

    def __str__(self):
        raise RuntimeError("no words")


class Unrepresentable:
    """A result that raises as soon as it is shown, and cannot be pickled."""

    def __reduce__(self):
        raise TypeError("not to be pickled")

    def __repr__(self):
        raise RuntimeError("no words")


def panic():
    """Raise what is no Exception."""
    Trace.objects.create(text="not kept")
    raise PanicException("index out of bounds")


def press_ctrl_c():
    """Raise KeyboardInterrupt, which nobody's keyboard has sent."""
    Trace.objects.create(text="not kept")
    raise KeyboardInterrupt


def close_generator():
    """Raise GeneratorExit."""
    raise GeneratorExit


def catch_integrity_error():
    """Write, break a constraint, and go on as if nothing had happened."""
    Trace.objects.create(text="not kept")
    Group.objects.create(name="twice")
    with suppress(IntegrityError):
        Group.objects.create(name="twice")


def roll_back():
    """Write, and have the transaction rolled back."""
    Trace.objects.create(text="not kept")
    transaction.set_rollback(True)


def roll_back_in_the_database():
    """Have SQLite end the transaction by itself, catch that, and go on."""
    Trace.objects.create(text="not kept")
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO auth_group (id, name) VALUES (1, 'one')")
        with suppress(IntegrityError):
            cursor.execute("INSERT OR ROLLBACK INTO auth_group (id, name) VALUES (1, 'two')")


def close_connection():
    """Write, and close the connection in the middle of the transaction."""
    Trace.objects.create(text="not kept")
    connection.close()


def enter_atomic():
    """Write in a block that is entered and not left."""
    transaction.atomic().__enter__()
    Trace.objects.create(text="not kept")


@job(atomic=False)
def enter_atomic_for_good():
    """Write in a block that is entered and not left, without a transaction around."""
    transaction.atomic().__enter__()
    Trace.objects.create(text="not kept")


@job(atomic=False)
def begin():
    """Begin a transaction behind Django's back."""
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO shop_trace (text) VALUES ('not kept')")


@job(atomic=False)
def turn_autocommit_off():
    """Write without autocommit, and leave it so."""
    transaction.set_autocommit(False)
    Trace.objects.create(text="not kept")


@job(atomic=False)
def turn_autocommit_off_and_fail():
    """Write without autocommit, leave it so, and fail."""
    turn_autocommit_off()
    raise ValueError("its own error")


@job(atomic=False, max_attempts=2, backoff=["1h"])
def close_old_connections_and_fail():
    """Close the connection, as code for threads does, and fail."""
    Trace.objects.create(text="ran")
    connection.close()
    close_old_connections()
    raise ValueError("its own error")


@job(atomic=False)
def discard_all():
    """Have PostgreSQL forget all that it knows of this session."""
    with connection.cursor() as cursor:
        cursor.execute("DISCARD ALL")


def switch_language_and_zone():
    """Activate another language and zone, and leave them so."""
    translation.activate("de")
    timezone.activate("Pacific/Auckland")


def tell_language_and_zone():
    """Return what is active."""
    return [translation.get_language(), timezone.get_current_timezone_name()]


def raise_unprintable():
    """Raise what cannot be shown."""
    raise Unprintable


def raise_syntax_error():
    """Raise what Python's traceback cannot format."""
    raise SyntaxError("bad template", ("order.html", 3, "5", "{% if %}"))


def raise_huge():
    """Raise an error of 20 MB."""
    raise ValueError("x" * 20_000_000)


def cancel_with_number():
    """Cancel for a reason that is no text."""
    raise Cancel(404)


def retry_out_of_time():
    """Ask for another attempt after a time that the database cannot hold."""
    error = Retry()
    error.after = timezone.timedelta.max
    raise error


def return_unrepresentable():
    """Return what cannot be stored, nor shown."""
    return Unrepresentable()


def return_huge():
    """Return 20 MB."""
    return "x" * 20_000_000


def return_large():
    """Return 200 kB, of which many together are more than a server takes at once."""
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
    """Return what has yet to run."""
    return generate()


def _plainly(function):
    @functools.wraps(function)
    def call(*args):
        return function(*args)

    return call


@_plainly
async def trace_async_in_disguise():
    """Look like a plain function, and return a coroutine."""
    await Trace.objects.acreate(text="never")


@job_as_parameter
def cancel_itself(job):
    """Write, and cancel the job that this is."""
    Trace.objects.create(text="not kept")
    cancel_jobs(ScheduledJob.objects.filter(pk=job.pk), running=True)


@job_as_parameter
def delete_itself(job):
    """Write, and delete the job that this is."""
    Trace.objects.create(text="kept")
    job.delete()


@job_as_parameter
def delete_itself_unseen(job):
    """Write, and delete the job that this is without saying so."""
    Trace.objects.create(text="not kept")
    ScheduledJob.objects.filter(pk=job.pk).delete()


@job_as_parameter
def scribble(job):
    """Write, and change all that the job says of itself."""
    Trace.objects.create(text="kept")
    job.pk, job.lease, job.worker, job.status = 10**6, 77, "another", "failed"


def delete_order(order):
    """Delete the object that the job is bound to."""
    Trace.objects.create(text="kept")
    Order.objects.get(pk=order.pk)
    order.delete()


def call_procedure():
    """Write by a procedure."""
    with connection.cursor() as cursor:
        cursor.callproc("leave_trace")


def lose_a_deadlock():
    """Write, lose a deadlock against another connection, catch that, and write again."""
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
