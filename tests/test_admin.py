"""The display of jobs in the admin."""

from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from django_future import ScheduledJob, run_jobs, schedule_job
from django_future.admin import changelist
from django_future.models import JobProgress
from django_future.serialization import Stored
from django_future.status import Status
from tests.shop import jobs
from tests.shop.models import Parcel
from tests.support.admin_pages import LIST, UNPICKLED, Suitcase, body, job_in, listed, page_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def customer():
    """Return a user: unlike orders, users are registered in the admin."""
    return User.objects.create_user("customer")


def test_the_admin_list_shows_handlers_and_arguments(admin_client, order):
    schedule_job("1h", jobs.take, order, args=[2], kwargs={"urgent": True}, queue_name="mail")
    html = body(admin_client.get(LIST))
    assert "tests.shop.jobs.take" in html
    assert "[2] {&#x27;urgent&#x27;: True}" in html
    assert f"shop.order {order.pk}" in html
    assert "mail" in html


@pytest.mark.parametrize("status", Status)
def test_the_admin_shows_a_status_as_a_word_and_a_symbol(admin_client, status):
    html = body(admin_client.get(page_of(job_in(status))))
    symbol, word = html.split('<span aria-hidden="true">')[1].split("</span>&nbsp;")
    assert len(symbol) == 1
    assert word.startswith(f"{status.label}<")


def test_the_admin_shows_times_to_the_second(admin_client):
    job = schedule_job("2030-01-31T09:30:15+01:00", jobs.echo)
    html = body(admin_client.get(page_of(job)))
    assert "Jan.\N{NO-BREAK SPACE}31,\N{NO-BREAK SPACE}2030 09:30:15" in html


@pytest.mark.parametrize(
    ("length", "shown"),
    [(timedelta(milliseconds=1250), "1.250 s"), (timedelta(hours=2, seconds=5.4), "2:00:05")],
)
def test_the_admin_shows_how_long_a_job_ran(admin_client, length, shown):
    job = job_in(Status.COMPLETE)
    job.started_at, job.finished_at = job.scheduled_at, job.scheduled_at + length
    job.save()
    assert f">{shown}<" in body(admin_client.get(LIST))
    assert f">{shown}<" in body(admin_client.get(page_of(job)))


def test_the_admin_list_cuts_long_arguments_and_the_job_page_shows_all(admin_client):
    job = schedule_job("1h", jobs.echo, args=[list(range(50))])
    assert "49" not in body(admin_client.get(LIST)).split('field-call"')[1].split("</td>")[0]
    assert ", 49]" in body(admin_client.get(page_of(job)))


def test_the_admin_list_reads_only_the_beginning_of_arguments(admin_client):
    schedule_job("1h", jobs.echo, args=["x" * 100_000])
    job = admin_client.get(LIST).context["cl"].result_list[0]
    assert job.get_deferred_fields() == {"args", "kwargs", "return_value", "error"}
    assert len(job.args_start) == changelist.MAX_PREVIEW_LENGTH


def test_the_admin_unpickles_and_fetches_nothing_for_display(admin_client, order):
    job = schedule_job("1h", jobs.take, args=[Suitcase(), order])
    UNPICKLED.clear()
    for address in (LIST, page_of(job)):
        with CaptureQueriesContext(connection) as queries:
            html = body(admin_client.get(address))
        assert "Suitcase, pickled&gt;" in html
        assert not any("shop_order" in query["sql"] for query in queries)
    assert UNPICKLED == []


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        '{"__type__": "pickle"}',
        '{"__type__": "pickle", "value": "forged"}',
        "[" * 100_000,
    ],
)
def test_the_admin_shows_a_damaged_job_as_stored(admin_client, text):
    job = schedule_job("1h", jobs.echo)
    ScheduledJob.objects.update(args=Stored(text), kwargs=Stored(text), return_value=Stored(text))
    for address in (LIST, page_of(job)):
        assert text.replace('"', "&quot;")[:10] in body(admin_client.get(address))


def test_the_admin_escapes_the_name_of_a_handler(admin_client):
    job = schedule_job("1h", jobs.echo)
    ScheduledJob.objects.update(callable_name="<b>")
    for address in (LIST, page_of(job)):
        html = body(admin_client.get(address))
        assert "&lt;b&gt;" in html
        assert "<b>" not in html


def test_the_admin_list_takes_a_constant_number_of_queries(
    admin_client, order, django_assert_num_queries
):
    for number in range(60):
        bound = Parcel.objects.create() if number % 2 else order
        schedule_job("1h", jobs.trace_object, bound, args=[order])
    # Session, user, parked, queues of workers, paused queues, count, jobs, workers.
    with django_assert_num_queries(7):
        body(admin_client.get(LIST))


def test_the_admin_list_marks_a_count_that_stopped_at_its_maximum(admin_client, monkeypatch):
    monkeypatch.setattr(changelist, "MAX_COUNTED", 2)
    for _ in range(4):
        schedule_job("1h", jobs.echo)
    assert "2+ scheduled jobs" in body(admin_client.get(LIST))


def test_a_stopped_count_works_with_thousand_separators(admin_client, monkeypatch, settings):
    settings.USE_THOUSAND_SEPARATOR = True
    monkeypatch.setattr(changelist, "MAX_COUNTED", 2)
    for _ in range(4):
        schedule_job("1h", jobs.echo)
    assert "3 scheduled jobs" in body(admin_client.get(LIST))


def test_an_admin_list_page_never_exceeds_list_per_page(admin_client, monkeypatch):
    monkeypatch.setattr(admin.site.get_model_admin(ScheduledJob), "list_per_page", 2)
    monkeypatch.setattr(changelist, "MAX_COUNTED", 3)
    newest = [schedule_job("1h", jobs.echo).pk for _ in range(6)][::-1]
    assert listed(admin_client.get(LIST)) == newest[:2]
    assert listed(admin_client.get(f"{LIST}?p=2")) == newest[2:4]


def test_the_admin_list_ignores_orders_without_an_index(admin_client):
    newest = [schedule_job("1h", jobs.echo).pk for _ in range(3)][::-1]
    for column in range(1, 11):
        assert listed(admin_client.get(f"{LIST}?o={column}")) == newest


def test_the_admin_list_filters_by_status(admin_client):
    schedule_job("1h", jobs.echo)
    failed = job_in(Status.FAILED)
    assert listed(admin_client.get(f"{LIST}?status__exact=failed")) == [failed.pk]


def test_the_admin_search_finds_jobs_by_id(admin_client):
    wanted = schedule_job("1h", jobs.echo)
    schedule_job("1h", jobs.echo)
    assert listed(admin_client.get(f"{LIST}?q={wanted.pk}")) == [wanted.pk]


@pytest.mark.parametrize(
    "term", ["9" * 18, "9" * 30, "9" * 5000, "²", "%", "_", "tests.shop.jobs.f"]
)
def test_the_admin_search_finds_nothing_for_unknown_terms(admin_client, term):
    schedule_job("1h", jobs.echo)
    assert listed(admin_client.get(LIST, {"q": term})) == []


@pytest.mark.parametrize("term", ["tests.shop.jobs.tra", "shop.jobs.trace"])
def test_the_admin_search_finds_an_undeclared_handler_by_a_part_of_its_name(admin_client, term):
    wanted = schedule_job("1h", jobs.trace)
    schedule_job("1h", jobs.echo)
    assert listed(admin_client.get(f"{LIST}?q={term}")) == [wanted.pk]


def test_the_view_permission_opens_a_job_page_and_changes_nothing(login):
    job = schedule_job("1h", jobs.echo)
    client = login("view_scheduledjob")
    assert "tests.shop.jobs.echo" in body(client.get(page_of(job)))
    assert client.post(page_of(job), {"priority": 5}).status_code == 403


def test_the_admin_has_no_form_that_changes_a_job(admin_client):
    job = schedule_job("1h", jobs.echo)
    assert admin_client.post(page_of(job), {"priority": 5}).status_code == 403
    assert "<input" not in body(admin_client.get(page_of(job))).split("<fieldset", 1)[1]


def test_the_admin_shows_the_return_value_of_a_job(admin_client):
    job = schedule_job("0s", jobs.echo, args=[{"sum": 12}])
    run_jobs()
    assert "<code>{&#x27;sum&#x27;: 12}</code>" in body(admin_client.get(page_of(job)))


def test_the_admin_escapes_markup_in_a_traceback(admin_client):
    job = schedule_job("0s", jobs.fail, args=["<script>"])
    run_jobs(ignore_errors=True)
    html = body(admin_client.get(page_of(job)))
    assert "<pre wrap>Traceback" in html
    assert "ValueError: &lt;script&gt;" in html


@pytest.mark.parametrize(
    ("reported", "shown"),
    [
        ({"done": 3, "total": 10, "message": "<resizing>"}, "3 of 10, 30 %: &lt;resizing&gt;"),
        ({"done": 3}, "3"),
        ({"message": "resizing"}, "resizing"),
        ({}, "-"),
    ],
)
def test_the_job_page_shows_the_progress_of_a_handler(admin_client, reported, shown):
    job = job_in(Status.RUNNING)
    JobProgress.objects.create(job=job, updated_at=job.scheduled_at, log="Z <began>", **reported)
    html = body(admin_client.get(page_of(job))).replace("\N{NO-BREAK SPACE}", " ")
    assert f">{shown}<" in html
    assert "<pre wrap>Z &lt;began&gt;</pre>" in html


def test_the_admin_list_shows_the_progress_of_running_jobs(admin_client, django_assert_num_queries):
    for status in [Status.RUNNING, Status.RUNNING, Status.COMPLETE]:
        job = job_in(status)
        JobProgress.objects.create(
            job=job, updated_at=job.scheduled_at, done=1, total=2, log="began"
        )
    job_in(Status.RUNNING)
    with django_assert_num_queries(7), CaptureQueriesContext(connection) as queries:
        html = body(admin_client.get(LIST))
    assert html.count("1 of 2") == 2
    assert not any("jobprogress`.`log" in one["sql"].replace('"', "`") for one in queries)


def test_the_admin_pages_contain_no_inline_style(admin_client, order):
    job = schedule_job("1h", "remind", order)
    for address in (LIST, page_of(job)):
        html = body(admin_client.get(address))
        assert " style=" not in html
        assert "<style" not in html


def test_the_job_page_links_the_content_object(login, customer):
    job = schedule_job("1h", jobs.trace_object, customer)
    link = f'<a href="{reverse("admin:auth_user_change", args=[customer.pk])}">customer</a>'
    html = body(login("view_scheduledjob", "view_user").get(page_of(job)))
    assert f"{link} (auth.user {customer.pk})" in html


def test_the_job_page_does_not_link_a_content_object_without_view_permission(login, customer):
    job = schedule_job("1h", jobs.trace_object, customer)
    html = body(login("view_scheduledjob").get(page_of(job)))
    assert f">auth.user {customer.pk}<" in html
    assert ">customer<" not in html


def test_the_job_page_does_not_name_a_content_object_that_its_admin_does_not_show(
    admin_client, customer, monkeypatch
):
    users = type(admin.site.get_model_admin(type(customer)))
    monkeypatch.setattr(users, "get_queryset", lambda *_: type(customer).objects.none())
    job = schedule_job("1h", jobs.trace_object, customer)
    html = body(admin_client.get(page_of(job)))
    assert f">auth.user {customer.pk}<" in html
    assert ">customer<" not in html


def test_the_job_page_does_not_link_a_content_object_outside_the_admin(admin_client, order):
    job = schedule_job("1h", "remind", order)
    assert f">shop.order {order.pk}<" in body(admin_client.get(page_of(job)))


def test_the_job_page_marks_a_deleted_content_object(admin_client, order):
    job = schedule_job("1h", "remind", order)
    name = f"shop.order {order.pk}"
    order.delete()
    assert f">{name} (deleted)<" in body(admin_client.get(page_of(job)))


def test_the_job_page_marks_a_content_object_with_an_invalid_id_as_deleted(admin_client):
    job = schedule_job("1h", jobs.trace_object, Parcel.objects.create())
    ScheduledJob.objects.update(object_id="no uuid")
    assert ">shop.parcel no uuid (deleted)<" in body(admin_client.get(page_of(job)))
