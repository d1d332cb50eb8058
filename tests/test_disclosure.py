"""Errors and the log of jobs with sensitive arguments."""

import logging
import re

import pytest
from django.db import connection

from django_future import Cancel, Retry, ScheduledJob, job, run_jobs, schedule_job
from django_future.models import JobAttempt
from django_future.serialization import Stored
from django_future.testing import run_due_jobs
from tests.shop.jobs import echo
from tests.shop.models import Order
from tests.support.rows import rewrite

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "4111-1111"


class Declined(Exception):
    """An error of the project."""


@job(sensitive_arguments=["card"])
def decline(card):
    """Quote the card in an error, its cause, and a note."""
    try:
        raise KeyError(card)
    except KeyError as cause:
        error = Declined(f"no money on {card}")
        error.add_note(f"tried {card}")
        raise error from cause


@job(sensitive_arguments=True, max_attempts=2, backoff=["0s"])
def decline_twice(card):
    """Fail twice."""
    raise Declined(card)


def quoting(attempt, exception):
    """Raise instead of returning a delay."""
    raise ValueError(str(exception))


@job(sensitive_arguments=True, max_attempts=2, backoff=quoting)
def decline_and_wait(card):
    """Fail, with a backoff function that raises."""
    raise Declined(card)


@job(sensitive_arguments=True)
def ask_the_database(card):
    """Cause a database error that quotes the card."""
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT nothing_named FROM "{card}"')


@job(sensitive_arguments=True)
def leave(card):
    """Exit with its argument."""
    raise SystemExit(card)


@job(sensitive_arguments=True)
def group(card):
    """Raise an exception group."""
    raise ExceptionGroup(card, [ValueError(card), TypeError(card)])


@job(sensitive_arguments=True)
def take(card):
    """Take an argument."""


def all_that_is_kept():
    [row] = ScheduledJob.objects.values("error", "return_value")
    attempts = JobAttempt.objects.values_list("exception", "traceback")
    return f"{row} {list(attempts)}"


@pytest.mark.parametrize(
    "handler", [decline, decline_twice, decline_and_wait, ask_the_database, leave, group]
)
def test_the_error_text_of_a_sensitive_handler_is_hidden(handler, caplog):
    caplog.set_level(logging.DEBUG, logger="django_future")
    handler.schedule("0s", SECRET)
    run_jobs(ignore_errors=True)
    run_jobs(ignore_errors=True)
    assert SECRET not in all_that_is_kept()
    assert SECRET not in caplog.text
    assert "[hidden]" in all_that_is_kept()
    assert "[hidden]" in caplog.text


def test_exception_classes_and_tracebacks_of_a_sensitive_handler_are_shown():
    decline.schedule("0s", SECRET)
    run_jobs(ignore_errors=True)
    error = ScheduledJob.objects.get().error
    assert re.search(
        r"(?s)KeyError: \[hidden\].*direct cause.*in decline\n.*Declined: \[hidden\]", error
    )


def test_run_due_jobs_raises_the_original_error_of_a_sensitive_handler():
    decline.schedule("0s", SECRET)
    with pytest.raises(Declined, match=SECRET):
        run_due_jobs()


@pytest.mark.parametrize(
    "text",
    [
        f'["{SECRET}',
        f'[{{"__type__": "date", "value": "{SECRET}"}}]',
        f'[{{"__type__": "Decimal", "value": "{SECRET}"}}]',
        f'[{{"__type__": "pickle", "class": "x", "value": "{SECRET}"}}]',
        f'[{{"__type__": "model", "model": "shop.order", "pk": "{SECRET}", "using": null}}]',
        f'[{{"__type__": "{SECRET}", "value": 1}}]',
    ],
)
@pytest.mark.parametrize("column", ["args", "kwargs"])
def test_sensitive_arguments_that_cannot_be_decoded_are_not_quoted(text, column, caplog):
    take.schedule("0s", "")
    text = text if column == "args" else f'{{"card": {text}}}'
    rewrite(**{column: Stored(text)})
    run_jobs(ignore_errors=True)
    assert ScheduledJob.objects.get().status == "failed"
    assert SECRET not in all_that_is_kept()
    assert SECRET not in caplog.text


def test_a_deleted_object_in_sensitive_arguments_is_not_named(caplog):
    order = Order.objects.create(number="A1", pk=4111)
    take.schedule("0s", order)
    order.delete()
    run_jobs()
    job_ = ScheduledJob.objects.get()
    assert job_.status == "cancelled"
    assert "4111" not in job_.error
    assert "no longer in the database" in job_.error


def test_errors_of_other_handlers_are_kept_in_full(caplog):
    schedule_job("0s", echo)
    rewrite(callable_name="tests.shop.jobs.fail", args=["in plain sight"])
    run_jobs(ignore_errors=True)
    assert "ValueError: in plain sight" in all_that_is_kept()
    assert "ValueError: in plain sight" in caplog.text


@job(sensitive_arguments=True)
def cancel_running(card):
    """Cancel for a reason, which is not sensitive."""
    raise Cancel("the customer left")


@job(sensitive_arguments=True)
def come_back(card):
    """Raise Retry."""
    raise Retry(after="1h")


def test_a_cancel_reason_of_a_sensitive_handler_is_kept(caplog):
    cancel_running.schedule("0s", SECRET)
    come_back.schedule("0s", SECRET)
    run_jobs()
    assert ScheduledJob.objects.get(status="cancelled").error == "the customer left"
    assert SECRET not in caplog.text
