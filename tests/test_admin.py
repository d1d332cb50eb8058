"""What people see of jobs in the admin."""

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
    """Return a user, of which the admin knows more than of orders."""
    return User.objects.create_user("customer")


def test_the_list_shows_what_will_be_called_and_with_what(admin_client, order):
    schedule_job("1h", jobs.take, order, args=[2], kwargs={"urgent": True}, queue_name="mail")
    html = body(admin_client.get(LIST))
    assert "tests.shop.jobs.take" in html
    assert "[2] {&#x27;urgent&#x27;: True}" in html
    assert f"shop.order {order.pk}" in html
    assert "mail" in html


@pytest.mark.parametrize("status", Status)
def test_a_status_is_shown_in_words_and_as_a_symbol(admin_client, status):
    html = body(admin_client.get(page_of(job_in(status))))
    symbol, word = html.split('<span aria-hidden="true">')[1].split("</span>&nbsp;")
    assert len(symbol) == 1
    assert word.startswith(f"{status.label}<")


def test_the_time_is_shown_to_the_second(admin_client):
    job = schedule_job("2030-01-31T09:30:15+01:00", jobs.echo)
    html = body(admin_client.get(page_of(job)))
    assert "Jan.\N{NO-BREAK SPACE}31,\N{NO-BREAK SPACE}2030 09:30:15" in html


@pytest.mark.parametrize(
    ("length", "shown"),
    [(timedelta(milliseconds=1250), "1.250 s"), (timedelta(hours=2, seconds=5.4), "2:00:05")],
)
def test_the_duration_of_a_job_that_ran_is_shown(admin_client, length, shown):
    job = job_in(Status.COMPLETE)
    job.started_at, job.finished_at = job.scheduled_at, job.scheduled_at + length
    job.save()
    assert f">{shown}<" in body(admin_client.get(LIST))
    assert f">{shown}<" in body(admin_client.get(page_of(job)))


def test_long_arguments_are_cut_in_the_list_and_whole_on_the_page(admin_client):
    job = schedule_job("1h", jobs.echo, args=[list(range(50))])
    assert "49" not in body(admin_client.get(LIST)).split('field-call"')[1].split("</td>")[0]
    assert ", 49]" in body(admin_client.get(page_of(job)))


def test_the_list_does_not_read_arguments_of_any_size(admin_client):
    schedule_job("1h", jobs.echo, args=["x" * 100_000])
    job = admin_client.get(LIST).context["cl"].result_list[0]
    assert job.get_deferred_fields() == {"args", "kwargs", "return_value", "error"}
    assert len(job.args_start) == changelist.MAX_PREVIEW_LENGTH


def test_nothing_is_unpickled_or_fetched_to_be_shown(admin_client, order):
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
def test_a_damaged_job_is_shown_as_it_is(admin_client, text):
    job = schedule_job("1h", jobs.echo)
    ScheduledJob.objects.update(
        callable_name="<b>", args=Stored(text), kwargs=Stored(text), return_value=Stored(text)
    )
    for address in (LIST, page_of(job)):
        html = body(admin_client.get(address))
        assert text.replace('"', "&quot;")[:10] in html
        assert "<b>" not in html


def test_a_list_takes_as_many_queries_for_many_jobs_as_for_few(
    admin_client, order, django_assert_num_queries
):
    for number in range(60):
        bound = Parcel.objects.create() if number % 2 else order
        schedule_job("1h", jobs.trace_object, bound, args=[order])
    with django_assert_num_queries(6):  # session, user, parked, count, jobs, workers
        body(admin_client.get(LIST))


def test_a_count_stops_and_says_so(admin_client, monkeypatch):
    monkeypatch.setattr(changelist, "MAX_COUNTED", 2)
    for _ in range(4):
        schedule_job("1h", jobs.echo)
    assert "2+ scheduled jobs" in body(admin_client.get(LIST))


def test_a_count_that_stopped_bears_thousands_separators(admin_client, monkeypatch, settings):
    settings.USE_THOUSAND_SEPARATOR = True
    monkeypatch.setattr(changelist, "MAX_COUNTED", 2)
    for _ in range(4):
        schedule_job("1h", jobs.echo)
    assert "3 scheduled jobs" in body(admin_client.get(LIST))


def test_no_page_is_longer_than_a_page(admin_client, monkeypatch):
    monkeypatch.setattr(admin.site.get_model_admin(ScheduledJob), "list_per_page", 2)
    monkeypatch.setattr(changelist, "MAX_COUNTED", 3)
    newest = [schedule_job("1h", jobs.echo).pk for _ in range(6)][::-1]
    assert listed(admin_client.get(LIST)) == newest[:2]
    assert listed(admin_client.get(f"{LIST}?p=2")) == newest[2:4]


def test_no_address_sorts_the_list_in_an_order_that_no_index_has(admin_client):
    newest = [schedule_job("1h", jobs.echo).pk for _ in range(3)][::-1]
    for column in range(1, 11):
        assert listed(admin_client.get(f"{LIST}?o={column}")) == newest


def test_the_list_is_filtered_by_status(admin_client):
    schedule_job("1h", jobs.echo)
    failed = job_in(Status.FAILED)
    assert listed(admin_client.get(f"{LIST}?status__exact=failed")) == [failed.pk]


def test_jobs_are_found_by_id(admin_client):
    wanted = schedule_job("1h", jobs.echo)
    schedule_job("1h", jobs.echo)
    assert listed(admin_client.get(f"{LIST}?q={wanted.pk}")) == [wanted.pk]


@pytest.mark.parametrize(
    "term", ["9" * 18, "9" * 30, "9" * 5000, "²", "%", "_", "tests.shop.jobs.f"]
)
def test_no_search_fails_or_finds_too_much(admin_client, term):
    schedule_job("1h", jobs.echo)
    assert listed(admin_client.get(LIST, {"q": term})) == []


def test_jobs_are_found_by_the_beginning_of_their_callable(admin_client):
    wanted = schedule_job("1h", jobs.trace)
    schedule_job("1h", jobs.echo)
    assert listed(admin_client.get(f"{LIST}?q=tests.shop.jobs.tra")) == [wanted.pk]
    assert listed(admin_client.get(f"{LIST}?q=shop.jobs.trace")) == []


def test_viewing_takes_no_more_than_the_permission_to_view(login):
    job = schedule_job("1h", jobs.echo)
    client = login("view_scheduledjob")
    assert "tests.shop.jobs.echo" in body(client.get(page_of(job)))
    assert client.post(page_of(job), {"priority": 5}).status_code == 403


def test_nobody_adds_or_changes_a_job_by_hand(admin_client):
    job = schedule_job("1h", jobs.echo)
    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert admin_client.post(page_of(job), {"priority": 5}).status_code == 403
    assert "<input" not in body(admin_client.get(page_of(job))).split("<fieldset", 1)[1]


def test_a_result_is_shown(admin_client):
    job = schedule_job("0s", jobs.echo, args=[{"sum": 12}])
    run_jobs()
    assert "<code>{&#x27;sum&#x27;: 12}</code>" in body(admin_client.get(page_of(job)))


def test_a_traceback_is_shown_and_cannot_smuggle_in_markup(admin_client):
    job = schedule_job("0s", jobs.fail, args=["<script>"])
    run_jobs(ignore_errors=True)
    html = body(admin_client.get(page_of(job)))
    assert "<pre wrap>Traceback" in html
    assert "ValueError: &lt;script&gt;" in html


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({"done": 3, "total": 10, "message": "<resizing>"}, "3 of 10, 30 %: &lt;resizing&gt;"),
        ({"done": 3}, "3"),
        ({"message": "resizing"}, "resizing"),
        ({}, "-"),
    ],
)
def test_what_a_handler_says_of_its_progress_is_shown(admin_client, said, shown):
    job = job_in(Status.RUNNING)
    JobProgress.objects.create(job=job, updated_at=job.scheduled_at, log="Z <began>", **said)
    html = body(admin_client.get(page_of(job))).replace("\N{NO-BREAK SPACE}", " ")
    assert f">{shown}<" in html
    assert "<pre wrap>Z &lt;began&gt;</pre>" in html


def test_the_list_shows_how_far_what_runs_is(admin_client, django_assert_num_queries):
    for status in [Status.RUNNING, Status.RUNNING, Status.COMPLETE]:
        job = job_in(status)
        JobProgress.objects.create(
            job=job, updated_at=job.scheduled_at, done=1, total=2, log="began"
        )
    job_in(Status.RUNNING)
    with django_assert_num_queries(5), CaptureQueriesContext(connection) as queries:
        html = body(admin_client.get(LIST))
    assert html.count("1 of 2") == 2
    assert not any("jobprogress`.`log" in one["sql"].replace('"', "`") for one in queries)


def test_the_pages_need_no_style_or_script_of_their_own(admin_client, order):
    job = schedule_job("1h", "remind", order)
    for address in (LIST, page_of(job)):
        html = body(admin_client.get(address))
        assert " style=" not in html
        assert "<style" not in html


def test_the_content_object_is_linked(login, customer):
    job = schedule_job("1h", jobs.trace_object, customer)
    link = f'<a href="{reverse("admin:auth_user_change", args=[customer.pk])}">customer</a>'
    html = body(login("view_scheduledjob", "view_user").get(page_of(job)))
    assert f"{link} (auth.user {customer.pk})" in html


def test_a_content_object_that_the_user_may_not_view_is_only_named(login, customer):
    job = schedule_job("1h", jobs.trace_object, customer)
    html = body(login("view_scheduledjob").get(page_of(job)))
    assert f">auth.user {customer.pk}<" in html
    assert ">customer<" not in html


def test_a_content_object_outside_the_admin_is_only_named(admin_client, order):
    job = schedule_job("1h", "remind", order)
    assert f">shop.order {order.pk}<" in body(admin_client.get(page_of(job)))


def test_a_content_object_that_was_deleted_is_said_to_be(admin_client, order):
    job = schedule_job("1h", "remind", order)
    name = f"shop.order {order.pk}"
    order.delete()
    assert f">{name} (deleted)<" in body(admin_client.get(page_of(job)))


def test_a_content_object_with_an_impossible_id_is_said_to_be_deleted(admin_client):
    job = schedule_job("1h", jobs.trace_object, Parcel.objects.create())
    ScheduledJob.objects.update(object_id="no uuid")
    assert ">shop.parcel no uuid (deleted)<" in body(admin_client.get(page_of(job)))
