"""The lines, the filters and the search of the list of jobs."""

from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.test.html import parse_html

from django_future import ScheduledJob, clock, job, schedule_job, schedule_recurring
from django_future.admin.changelist import CappedPaginator, IdPaginator
from django_future.models import RecurringJob
from django_future.status import Status
from tests.shop import flaky, jobs
from tests.support.admin_pages import LIST, act, body, job_in, listed, page_of
from tests.support.rows import rewrite

pytestmark = pytest.mark.django_db


@job(sensitive_arguments=True, unique=True)
def log_in(password):
    """Take a password, from which the unique key is made."""


def change(job, **values):
    """Write values into the row of a job. A duration is a time that long ago."""
    now = clock.now()
    for name, value in values.items():
        if isinstance(value, timedelta):
            values[name] = clock.to_row(now - value)
    ScheduledJob.objects.filter(pk=job.pk).update(**values)


def cell(client, name):
    return body(client.get(LIST)).split(f'class="field-{name}"')[1].split("</td>")[0]


def test_the_handler_is_a_short_link_with_its_full_name_as_title(admin_client):
    job = schedule_job("1h", jobs.echo)
    shown = cell(admin_client, "call")
    assert page_of(job) in shown
    assert 'title="tests.shop.jobs.echo">echo</a>' in shown


def test_the_checkbox_of_a_line_is_that_of_django():
    model_admin = admin.site.get_model_admin(RecurringJob)
    row = RecurringJob(pk=17, name='<b>"quoted" & bold</b>')
    of_django = admin.ModelAdmin.action_checkbox(model_admin, row)
    assert parse_html(model_admin.action_checkbox(row)) == parse_html(of_django)


def test_the_link_of_a_job_keeps_the_filters(admin_client):
    schedule_job("1h", jobs.echo)
    html = body(admin_client.get(f"{LIST}?status__exact=scheduled"))
    assert "/change/?_changelist_filters=status__exact%3Dscheduled" in html


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"scheduled_at": timedelta(minutes=22)}, "late"),
        ({"scheduled_at": timedelta(seconds=5)}, "due"),
        ({"attempts": 1, "error_kind": "ValueError"}, "retrying"),
        ({}, "scheduled"),
        ({"status": Status.RUNNING, "scheduled_at": timedelta(hours=1)}, "running"),
    ],
)
def test_the_status_of_a_job_says_how_it_waits(admin_client, values, word):
    change(schedule_job("1h", jobs.echo), **values)
    assert cell(admin_client, "status").endswith(f"</span>&nbsp;{word}")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"scheduled_at": timedelta(minutes=22, seconds=1)}, "22 min ago"),
        ({"status": Status.RUNNING, "started_at": timedelta(minutes=4, seconds=1)}, "4 min ago"),
        ({"status": Status.COMPLETE, "finished_at": timedelta(days=3, seconds=1)}, "3 days ago"),
    ],
)
def test_the_time_of_a_job_fits_its_status(admin_client, values, words):
    change(schedule_job("1h", jobs.echo), **values)
    assert f">{words}</time>" in cell(admin_client, "when")


def test_the_list_shows_how_late_a_job_started(admin_client):
    job = schedule_job("1h", jobs.echo)
    change(job, started_at=job.scheduled_at + timedelta(minutes=2))
    assert cell(admin_client, "late").endswith(">2 min")


def test_the_list_shows_how_many_attempts_a_job_may_have(admin_client):
    change(schedule_job("1h", jobs.echo), attempts=2, max_attempts=3)
    assert cell(admin_client, "attempts").endswith(">2 of 3")


def test_the_second_line_of_a_failed_job_is_the_kind_of_its_error(admin_client):
    change(job_in(Status.FAILED), error_kind="ValueError in <b>")
    assert '<div class="future-quiet">ValueError in &lt;b&gt;</div>' in cell(admin_client, "call")


@pytest.mark.parametrize("query", ["callable_name=tests.shop.jobs.trace", "queue_name=mail"])
def test_a_filter_finds_the_jobs_of_a_handler_or_queue(admin_client, query):
    wanted = schedule_job("1h", jobs.trace, queue_name="mail")
    schedule_job("1h", jobs.echo)
    assert listed(admin_client.get(f"{LIST}?{query}")) == [wanted.pk]


@pytest.mark.parametrize(
    ("query", "paginator"),
    [
        ("", IdPaginator),
        ("queue_name=mail", IdPaginator),
        ("q=tests.shop", IdPaginator),
        ("recurring=1", CappedPaginator),
        ("q=shop.order+17", CappedPaginator),
        ("q=17", CappedPaginator),
        ("when=hour", IdPaginator),
        ("order=next", IdPaginator),
    ],
)
def test_the_jobs_are_read_by_the_index_that_fits_the_filter(admin_client, query, paginator):
    response = admin_client.get(f"{LIST}?{query}")
    assert type(response.context["cl"].paginator) is paginator


HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ENDED = {"status": Status.FAILED, "scheduled_at": 10 * DAY}
RETRYING = {"attempts": 1}


@pytest.mark.parametrize(
    ("query", "wanted", "other"),
    [
        ("when=hour", {**ENDED, "finished_at": HOUR / 2}, {**ENDED, "finished_at": 2 * HOUR}),
        ("when=hour", {"scheduled_at": HOUR / 2}, {"scheduled_at": 2 * HOUR}),
        ("when=hour", {"scheduled_at": HOUR / 2}, {"scheduled_at": -HOUR / 2}),
        (
            "when=hour",
            {"status": Status.RUNNING, "started_at": HOUR / 2},
            {"status": Status.RUNNING, "started_at": 2 * HOUR},
        ),
        ("when=today", {**ENDED, "finished_at": timedelta()}, {**ENDED, "finished_at": 2 * DAY}),
        ("when=week", {**ENDED, "finished_at": 6 * DAY}, {**ENDED, "finished_at": 8 * DAY}),
        ("when=next-hour", {"scheduled_at": -HOUR / 2}, {"scheduled_at": -2 * HOUR}),
        ("when=next-day", {"scheduled_at": -2 * HOUR}, {"scheduled_at": -2 * DAY}),
        ("waits=due", {"scheduled_at": timedelta(seconds=2)}, {"scheduled_at": -HOUR}),
        ("waits=due", {"scheduled_at": DAY}, {"scheduled_at": DAY, "status": Status.FAILED}),
        ("waits=late", {"scheduled_at": HOUR}, {"scheduled_at": timedelta(seconds=2)}),
        ("waits=retrying", RETRYING, {}),
        ("waits=retrying", RETRYING, {**RETRYING, "scheduled_at": HOUR}),
        ("order=next", {}, {"status": Status.COMPLETE}),
    ],
)
def test_a_filter_by_time_finds_the_jobs_of_its_range(admin_client, query, wanted, other):
    found, missed = schedule_job("1h", jobs.echo), schedule_job("1h", jobs.echo)
    change(found, **wanted)
    change(missed, **other)
    assert listed(admin_client.get(f"{LIST}?{query}")) == [found.pk]


@pytest.mark.parametrize(
    ("query", "order"),
    [
        ("", [3, 2, 1, 0]),
        ("order=next", [1, 3, 0, 2]),
        ("when=next-hour", [1, 3, 0, 2]),
        ("when=hour", []),
    ],
)
def test_the_next_jobs_of_all_priorities_come_first(admin_client, query, order):
    minutes = {30: 0, 10: 0, 40: 5, 20: 5}
    made = [schedule_job(f"{m}m", jobs.echo, priority=p).pk for m, p in minutes.items()]
    assert listed(admin_client.get(f"{LIST}?{query}")) == [made[index] for index in order]


def test_the_latest_jobs_of_all_statuses_come_first_in_a_past_range(admin_client):
    first, second, third = (schedule_job("1h", jobs.echo) for _ in range(3))
    change(first, status=Status.FAILED, finished_at=timedelta(minutes=10))
    change(second, status=Status.COMPLETE, finished_at=timedelta(minutes=20))
    change(third, scheduled_at=timedelta(minutes=15))
    shown = listed(admin_client.get(f"{LIST}?when=hour"))
    assert shown == [first.pk, third.pk, second.pk]


def test_a_range_and_a_status_can_be_combined(admin_client):
    for status in (Status.FAILED, Status.COMPLETE):
        change(schedule_job("1h", jobs.echo), status=status, finished_at=timedelta(minutes=1))
    failed = ScheduledJob.objects.get(status=Status.FAILED)
    assert listed(admin_client.get(f"{LIST}?when=hour&status__exact=failed")) == [failed.pk]
    assert listed(admin_client.get(f"{LIST}?when=hour&status__exact=expired")) == []


def test_the_pages_of_an_order_by_time_continue_each_other(admin_client, monkeypatch):
    monkeypatch.setattr(admin.site.get_model_admin(ScheduledJob), "list_per_page", 2)
    made = [schedule_job(f"{m}m", jobs.echo, priority=m % 2).pk for m in (50, 40, 30, 20, 10)]
    pages = [listed(admin_client.get(f"{LIST}?order=next&p={page}")) for page in (1, 2, 3)]
    assert [pk for page in pages for pk in page] == made[::-1]
    assert listed(admin_client.get(f"{LIST}?order=next&all=")) == made[::-1]


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("p=2", [2, 3]), ("p=3", [4]), ("p=1&all=", [0, 1, 2, 3, 4]), ("p=-1", None), ("p=4", None),
        (f"p={10**30}", None), ("p=x", [0, 1]),
    ],
)  # fmt: skip
def test_the_list_shows_the_page_of_the_address(admin_client, monkeypatch, query, places):
    monkeypatch.setattr(admin.site.get_model_admin(ScheduledJob), "list_per_page", 2)
    newest = [schedule_job("1h", jobs.echo).pk for _ in range(5)][::-1]
    response = admin_client.get(f"{LIST}?{query}")
    if places is None:  # as in all lists of Django, the address of a page that does not exist
        assert response["Location"].endswith("?e=1")
    else:
        assert listed(response) == [newest[place] for place in places]


def test_a_page_of_too_many_jobs_to_show_all_is_the_page_of_the_address(admin_client, monkeypatch):
    model_admin = admin.site.get_model_admin(ScheduledJob)
    monkeypatch.setattr(model_admin, "list_per_page", 2)
    monkeypatch.setattr(model_admin, "list_max_show_all", 3)
    newest = [schedule_job("1h", jobs.echo).pk for _ in range(5)][::-1]
    assert listed(admin_client.get(f"{LIST}?all=&p=2")) == newest[2:4]


def test_a_list_of_one_page_ignores_the_page_of_the_address(admin_client):
    newest = [schedule_job("1h", jobs.echo).pk for _ in range(3)][::-1]
    assert listed(admin_client.get(f"{LIST}?p=2")) == newest


def test_filters_can_be_combined(admin_client):
    wanted = schedule_job("10m", jobs.trace)
    schedule_job("10m", jobs.echo)
    schedule_job("2h", jobs.trace)
    address = f"{LIST}?when=next-hour&order=next&callable_name=tests.shop.jobs.trace"
    assert listed(admin_client.get(address)) == [wanted.pk]


def test_many_priorities_are_read_together(admin_client):
    made = [schedule_job(f"{90 - p}m", jobs.echo, priority=p).pk for p in range(25)]
    assert listed(admin_client.get(f"{LIST}?order=next")) == made[::-1]
    assert len(listed(admin_client.get(f"{LIST}?when=next-day"))) == 25


def test_the_filter_of_a_recurring_job_shows_its_name(admin_client):
    recurring = schedule_recurring("nightly <b>", jobs.echo, every="1h")
    wanted = recurring.trigger()
    schedule_job("1h", jobs.echo)
    response = admin_client.get(f"{LIST}?recurring={recurring.pk}")
    assert listed(response) == [wanted.pk]
    assert "nightly &lt;b&gt;</a>" in body(response)
    assert "999 (deleted)" in body(admin_client.get(f"{LIST}?recurring=999"))


@pytest.mark.parametrize(
    "query", ["when=never", "waits=x", "order=x", "recurring=x", "recurring=²"]
)
def test_a_choice_that_does_not_exist_is_refused(admin_client, query):
    schedule_job("1h", jobs.echo)
    response = admin_client.get(f"{LIST}?{query}")
    assert response.headers["Location"].endswith("?e=1")


@pytest.mark.parametrize("query", ["when=week", "waits=due", "order=next", "recurring=1"])
def test_a_filter_by_time_takes_few_queries(admin_client, query, django_assert_max_num_queries):
    for priority in range(5):
        schedule_job("1h", jobs.echo, priority=priority)
    ScheduledJob.objects.update(scheduled_at=clock.to_row(clock.now()))
    with django_assert_max_num_queries(8):
        admin_client.get(f"{LIST}?{query}")


@pytest.mark.parametrize("parameter", ["callable_name", "queue_name"])
def test_a_filter_by_a_value_that_is_no_choice_is_shown_as_chosen(admin_client, parameter):
    html = body(admin_client.get(f"{LIST}?{parameter}=unknown.<name>"))
    assert 'class="selected"' in html
    assert "&lt;name&gt;</a>" in html
    assert "<name>" not in html


def test_the_filter_of_handlers_offers_those_that_the_code_declares(admin_client):
    html = body(admin_client.get(LIST))
    assert "?callable_name=tests.shop.flaky.charge" in html


@pytest.mark.parametrize("term", ["charge", "FLAKY.CHARGE", "tests.shop.flaky.cha"])
def test_the_search_finds_handlers_by_any_part_of_their_names(admin_client, term):
    wanted = schedule_job("1h", flaky.charge, args=[5])
    schedule_job("1h", jobs.echo)
    assert listed(admin_client.get(LIST, {"q": term})) == [wanted.pk]


@pytest.mark.parametrize("term", ["monthly", "OLD_APP.reports", "rts.mon"])
def test_the_search_finds_a_handler_that_the_code_no_longer_declares(admin_client, term):
    wanted = schedule_job("1h", jobs.echo)
    rewrite(callable_name="old_app.reports.monthly")
    schedule_job("1h", jobs.echo)
    assert listed(admin_client.get(LIST, {"q": term})) == [wanted.pk]


def test_a_search_that_finds_several_handlers_lists_the_newest_jobs_first(admin_client):
    handlers = [flaky.charge, jobs.echo, flaky.charge, jobs.take]
    found = [schedule_job("1h", handler, args=[5]).pk for handler in handlers]
    assert listed(admin_client.get(LIST, {"q": "tests.shop"})) == found[::-1]


@pytest.mark.parametrize("kind", ["shop.order", "order", "Order"])
def test_the_search_finds_the_jobs_of_an_object(admin_client, order, kind):
    wanted = schedule_job("1h", jobs.trace_object, order)
    schedule_job("1h", jobs.echo)
    assert listed(admin_client.get(LIST, {"q": f"{kind} {order.pk}"})) == [wanted.pk]


@pytest.mark.parametrize("term", ["shop.order 999", "nothing 1", "order", "x" * 501])
def test_the_search_finds_nothing_for_an_object_without_jobs(admin_client, term):
    schedule_job("1h", jobs.echo)
    assert listed(admin_client.get(LIST, {"q": term})) == []


def test_the_search_finds_the_job_with_a_unique_key(admin_client):
    wanted = schedule_job("1h", jobs.echo, unique="invoice 2026-11")
    schedule_job("1h", jobs.echo, unique="invoice 2026-12")
    assert listed(admin_client.get(LIST, {"q": "invoice 2026-11"})) == [wanted.pk]


def test_the_search_finds_a_unique_key_that_is_a_number(admin_client):
    wanted = schedule_job("1h", jobs.echo, unique="123456789")
    assert listed(admin_client.get(LIST, {"q": "123456789"})) == [wanted.pk]


def test_the_search_finds_no_part_of_a_unique_key(admin_client):
    schedule_job("1h", jobs.echo, unique="invoice")
    assert listed(admin_client.get(LIST, {"q": "invoic"})) == []


def test_the_search_does_not_find_the_key_of_a_job_with_hidden_arguments(admin_client):
    hidden = log_in.schedule("1h", "secret")
    assert listed(admin_client.get(LIST, {"q": hidden.unique_key})) == []
    assert listed(admin_client.get(LIST, {"q": hidden.pk})) == [hidden.pk]


def test_the_search_does_not_find_the_key_of_a_job_with_an_unknown_handler(admin_client):
    schedule_job("1h", jobs.echo, unique="secret")
    rewrite(callable_name="unknown.handler")
    assert listed(admin_client.get(LIST, {"q": "secret"})) == []


@pytest.mark.parametrize("term", ["chrage", "flaky.charg3", "CHARGES"])
def test_a_search_without_a_result_shows_near_names(admin_client, term):
    schedule_job("1h", jobs.echo)
    html = body(admin_client.get(LIST, {"q": term}))
    assert "No handler has this name. Similar names:" in html
    assert '<a href="?q=tests.shop.flaky.charge">tests.shop.flaky.charge</a>' in html


@pytest.mark.parametrize("term", ["charge", "5", "order 17", "zzzzzzzz", "x" * 501])
def test_a_search_for_something_else_shows_no_near_names(admin_client, term):
    assert "No handler is named like this" not in body(admin_client.get(LIST, {"q": term}))


def test_the_run_now_action_moves_scheduled_jobs_and_logs_each(admin_client):
    waiting, ended = schedule_job("1h", jobs.echo), job_in(Status.COMPLETE)
    messages = act(admin_client, "run_selected_now", waiting, ended)
    assert messages == ["1 job is due now.", "1 job was not moved: it is not scheduled."]
    assert ScheduledJob.objects.due().get() == waiting
    assert LogEntry.objects.get().object_id == str(waiting.pk)
