"""Sensitive arguments and failed attempts in the admin."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_future import job, job_as_parameter, pause_queue, run_jobs, schedule_job
from django_future.admin.job_page.live import live
from django_future.store import store_for
from django_future.store.workers import register
from django_future.worker.heartbeat import new_worker
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


@job(sensitive_arguments=True, max_attempts=2, backoff=["1h"])
def decline(card):
    """Raise an exception that quotes a card number."""
    raise ValueError(card)


@job(sensitive_arguments=["card"])
@job_as_parameter
def pay_for(job, order, card):
    """Take a card for an order."""


@job(sensitive_arguments=["secrets"])
def connect(host, **secrets):
    """Take any secrets by name."""


def seen(client, scheduled):
    """Return the HTML of the list and of the page of a job."""
    pages = [client.get(LIST), client.get(f"{LIST}{scheduled.pk}/change/")]
    return [page.content.decode().replace("<wbr>", "") for page in pages]


@pytest.mark.parametrize(
    ("args", "kwargs", "visible"),
    [
        ([5, SECRET], {}, "[hidden]"),
        ([5, None, SECRET, SECRET], {}, "[hidden]"),
        ([5], {"card": SECRET, "note": "thanks"}, "thanks"),
        ([5, SECRET], {"note": "n" * 2000}, "[hidden]"),
    ],
)
def test_the_admin_hides_sensitive_arguments(args, kwargs, visible, login):
    scheduled = schedule_job("5d", pay, args=args, kwargs=kwargs)
    for page in seen(login("view_scheduledjob"), scheduled):
        assert SECRET not in page
        assert visible in page


def test_the_admin_hides_keyword_arguments_that_a_sensitive_parameter_collects(login):
    scheduled = schedule_job("5d", connect, kwargs={"host": "in plain sight", "pin": SECRET})
    for page in seen(login("view_scheduledjob"), scheduled):
        assert SECRET not in page
        assert "in plain sight" in page


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


@pytest.mark.parametrize("is_signed", [True, False])
def test_the_admin_hides_all_arguments_of_an_unknown_method(is_signed, login, order):
    scheduled = schedule_job("5d", "remind", order, args=[SECRET])
    scheduled.callable_name = "renamed"
    if is_signed:
        scheduled.save()  # which signs it
    else:
        type(scheduled).objects.update(callable_name="renamed")
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
def test_the_job_page_shows_the_id(login):
    scheduled = schedule_job("5d", echo)
    _, page = seen(login("view_scheduledjob"), scheduled)
    assert f'<div class="readonly">{scheduled.pk}</div>' in page


def test_the_job_page_says_why_a_job_waits(login):
    pause_queue("mail", reason="<month end>")
    scheduled = schedule_job("5d", echo, queue_name="mail")
    _, page = seen(login("view_scheduledjob"), scheduled)
    assert "It is due in 5 days" in page or "It is due in 4 days" in page
    assert "has been paused since" in page
    assert "&lt;month end&gt;" in page
    assert "No worker runs for the database" in page


def test_the_job_page_says_which_worker_runs_a_job(login):
    scheduled, store, worker = schedule_job("0s", echo), store_for("default"), new_worker("host")
    register(store, worker)
    store.claim(worker, at=store.now(), limit=1)
    assert f"by {worker.name}." in seen(login("view_scheduledjob"), scheduled)[1]


def test_the_job_page_of_an_ended_job_has_no_reasons(login):
    scheduled = schedule_job("0s", echo)
    run_jobs()
    assert "Why it waits" not in seen(login("view_scheduledjob"), scheduled)[1]


@pytest.mark.parametrize(
    ("is_due", "most"),
    [(False, 3), (True, 4)],  # progress, paused queue, workers; with the jobs before it
)
def test_the_reasons_on_the_job_page_cost_few_queries(is_due, most):
    register(store_for("default"), new_worker("host"))
    scheduled = schedule_job("0s" if is_due else "5d", echo)
    with CaptureQueriesContext(connection) as queries:
        assert live(scheduled).reasons
    assert len(queries) <= most


def test_the_reasons_on_the_job_page_hide_sensitive_arguments(login):
    scheduled = decline.schedule("0s", SECRET)
    run_jobs(ignore_errors=True)
    for page in seen(login("view_scheduledjob"), scheduled):
        assert SECRET not in page
    assert "Attempt 1 of 2 failed: " in page


def test_the_admin_can_delete_a_job_with_failed_attempts(login):
    scheduled = flaky.charge.schedule("0s", 5)
    run_jobs()
    client = login("view_scheduledjob", "delete_scheduledjob")
    client.post(f"{LIST}{scheduled.pk}/delete/", {"post": "yes"})
    assert not type(scheduled).objects.exists()
