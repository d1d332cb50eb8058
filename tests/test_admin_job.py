"""Sensitive arguments and failed attempts in the admin."""

import pytest

from django_future import job, job_as_parameter, run_jobs, schedule_job
from tests.shop import flaky
from tests.shop.jobs import echo
from tests.shop.models import Order

pytestmark = pytest.mark.django_db

LIST = "/admin/django_future/scheduledjob/"
SECRET = "4111-1111"


@job(sensitive_arguments=["card", "pins"])
def pay(amount, card=None, *pins, note=""):
    """Take a card number, which is sensitive."""


@job(sensitive_arguments=True)
def log_in(name, password):
    """Take a password."""


@job(sensitive_arguments=["card"])
@job_as_parameter
def pay_for(job, order, card):
    """Take a card for an order."""


def seen(client, scheduled):
    """Return the HTML of the list and of the page of a job."""
    pages = [client.get(LIST), client.get(f"{LIST}{scheduled.pk}/change/")]
    return [page.content.decode().replace("<wbr>", "") for page in pages]


@pytest.mark.parametrize(
    ("args", "kwargs", "visible"),
    [
        ([5, SECRET], {}, "[hidden]"),
        ([5, None, SECRET, SECRET], {}, "[5"),
        ([5], {"card": SECRET, "note": "thanks"}, "thanks"),
        ([5, SECRET], {"note": "n" * 2000}, "[5"),
    ],
)
def test_the_admin_hides_sensitive_arguments(args, kwargs, visible, login):
    scheduled = schedule_job("5d", pay, args=args, kwargs=kwargs)
    for page in seen(login("view_scheduledjob"), scheduled):
        assert SECRET not in page
        assert visible in page


def test_the_admin_hides_all_arguments_if_all_are_sensitive(login):
    scheduled = log_in.schedule("5d", "Ada", password=SECRET)
    for page in seen(login("view_scheduledjob"), scheduled):
        assert SECRET not in page
        assert "Ada" not in page
        assert "[hidden]" in page


def test_the_admin_hides_all_arguments_of_an_unknown_handler(login):
    scheduled = schedule_job("5d", log_in, args=["Ada", SECRET])
    type(scheduled).objects.update(callable_name="tests.gone.log_in")
    for page in seen(login("view_scheduledjob"), scheduled):
        assert SECRET not in page


def test_sensitive_names_do_not_count_the_job_and_the_content_object(login):
    order = Order.objects.create(number="A1")
    scheduled = schedule_job("5d", pay_for, order, args=[SECRET])
    for page in seen(login("view_scheduledjob"), scheduled):
        assert SECRET not in page


def test_the_admin_shows_arguments_that_are_not_sensitive(login):
    scheduled = schedule_job("5d", echo, args=["in plain sight"])
    for page in seen(login("view_scheduledjob"), scheduled):
        assert "in plain sight" in page


@pytest.mark.django_db(transaction=True)
def test_the_job_page_shows_failed_attempts_with_tracebacks(login):
    scheduled = flaky.charge.schedule("0s", 5)
    run_jobs()
    _, page = seen(login("view_scheduledjob"), scheduled)
    assert "tests.shop.flaky.Declined" in page
    assert "5 declined" in page
    assert "<details>" in page


@pytest.mark.django_db(transaction=True)
def test_the_admin_can_delete_a_job_with_failed_attempts(login):
    scheduled = flaky.charge.schedule("0s", 5)
    run_jobs()
    client = login("view_scheduledjob", "delete_scheduledjob")
    client.post(f"{LIST}{scheduled.pk}/delete/", {"post": "yes"})
    assert not type(scheduled).objects.exists()
