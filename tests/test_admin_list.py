"""The lines, the filters and the search of the list of jobs."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry

from django_future import ScheduledJob, clock, schedule_job
from django_future.status import Status
from tests.shop import flaky, jobs
from tests.support.admin_pages import LIST, act, body, job_in, listed, page_of

pytestmark = pytest.mark.django_db


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


@pytest.mark.parametrize("kind", ["shop.order", "order", "Order"])
def test_the_search_finds_the_jobs_of_an_object(admin_client, order, kind):
    wanted = schedule_job("1h", jobs.trace_object, order)
    schedule_job("1h", jobs.echo)
    assert listed(admin_client.get(LIST, {"q": f"{kind} {order.pk}"})) == [wanted.pk]


@pytest.mark.parametrize("term", ["shop.order 999", "nothing 1", "order", "x" * 501])
def test_the_search_finds_nothing_for_an_object_without_jobs(admin_client, term):
    schedule_job("1h", jobs.echo)
    assert listed(admin_client.get(LIST, {"q": term})) == []


def test_the_run_now_action_moves_scheduled_jobs_and_logs_each(admin_client):
    waiting, ended = schedule_job("1h", jobs.echo), job_in(Status.COMPLETE)
    messages = act(admin_client, "run_selected_now", waiting, ended)
    assert messages == ["1 job is due now.", "1 job was not moved: it is not scheduled."]
    assert ScheduledJob.objects.due().get() == waiting
    assert LogEntry.objects.get().object_id == str(waiting.pk)
