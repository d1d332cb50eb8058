"""The page of failures in the admin."""

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.urls import reverse

from django_future import ScheduledJob, clock, deal_with_failures, run_jobs, schedule_job
from django_future.admin import logged_acts
from django_future.admin.failures import groups, pages
from django_future.models import FailureNote
from django_future.status import Status
from tests.shop import jobs
from tests.support.admin_pages import LIST, act, body, job_in, listed, page_of

pytestmark = pytest.mark.django_db
PAGE, ACT, REOPEN = f"{LIST}failures/", f"{LIST}failures/act/", f"{LIST}failures/reopen/"
OPERATOR = "view_scheduledjob", "operate_scheduledjob"
KIND = "ValueError in shop.charge"


def failed(count=1, kind=KIND, error="Traceback\nValueError: card expired\n", **options):
    made = [job_in(Status.FAILED, **options) for _ in range(count)]
    rows = ScheduledJob.objects.filter(pk__in=[job.pk for job in made])
    rows.update(error_kind=kind, error=error, finished_at="2026-01-01T10:00Z")
    return list(rows.order_by("pk"))


def form(made, operation, **more):
    job = made[-1]
    group = {"callable_name": job.callable_name, "error_kind": job.error_kind}
    shown = {"last_id": job.pk, "shown_at": clock.now().isoformat()}
    return {"scope": "group", "operation": operation, **shown, **group, **more}


def told(response):
    return [str(message) for message in response.context["messages"]]


def test_the_address_has_a_name():
    assert reverse("admin:django_future_failures") == PAGE


def test_a_group_shows_its_handler_kind_count_and_error(login):
    failed(3)
    failed(1, "KeyError in shop.ship", target=jobs.trace)
    job_in(Status.COMPLETE)
    response = login(*OPERATOR).get(PAGE)
    html = body(response)
    assert "3 failed" in html
    assert "Retry these 3" in html
    assert KIND in html
    assert "ValueError: card expired" in html
    assert [group["complete"] for group in response.context["groups"]] == ["0", "1"]


def test_one_failure_is_named_in_the_singular(login):
    made, client = failed(1), login(*OPERATOR)
    html = body(client.get(PAGE))
    assert "Retry the job" in html
    assert "Retry this job" in html
    assert "Retry this job?" in body(client.post(ACT, form(made, "retry")))


def test_the_page_says_that_there_are_more_groups(login, monkeypatch):
    monkeypatch.setattr(groups, "MAX_GROUPS", 2)
    for number in range(3):
        failed(1, f"Error{number}")
    html = body(login(*OPERATOR).get(PAGE))
    assert "Only the 2 groups with the newest failed jobs are shown." in html
    assert "3+ jobs have failed" in html
    assert "Error0" not in html


def test_the_link_of_a_group_lists_its_open_failures(login):
    failed(1, "KeyError in shop.ship")
    made = failed(2)
    client = login(*OPERATOR)
    address = client.get(PAGE).context["groups"][0]["url"]
    assert sorted(listed(client.get(address))) == [job.pk for job in made]


def test_the_page_takes_few_queries(login, django_assert_max_num_queries):
    for number in range(20):
        failed(2, f"Error{number}")
    deal_with_failures(ScheduledJob.objects.filter(error_kind="Error1"))
    client = login(*OPERATOR)
    # Four are of the session and the permissions. MySQL counts the jobs in a statement of its own.
    with django_assert_max_num_queries(9 if connection.vendor == "mysql" else 8):
        body(client.get(PAGE))


def test_the_confirmation_says_the_number_and_changes_nothing(login):
    made = failed(3)
    html = body(login(*OPERATOR).post(ACT, form(made, "retry")))
    assert "3 failed jobs will be retried." in html
    assert ScheduledJob.objects.filter(status=Status.FAILED).count() == 3


def test_a_group_is_retried_and_the_history_records_it(login, monkeypatch):
    monkeypatch.setattr(logged_acts, "BATCH_SIZE", 2)
    made, other = failed(5), failed(1, "KeyError")
    response = login(*OPERATOR).post(ACT, form(made, "retry", confirmed="yes"), follow=True)
    assert told(response) == ["5 jobs will be retried."]
    assert ScheduledJob.objects.scheduled().count() == 5
    other[0].refresh_from_db()
    assert other[0].status == Status.FAILED
    assert sorted(LogEntry.objects.values_list("object_id", flat=True)) == sorted(
        str(job.pk) for job in made
    )


def test_jobs_that_fail_after_the_page_was_shown_are_not_retried(login):
    made = failed(1)
    later = failed(1)
    login(*OPERATOR).post(ACT, form(made, "retry", confirmed="yes"))
    assert ScheduledJob.objects.get(status=Status.FAILED) == later[0]


def test_all_failures_are_dealt_with_by_one_note(login, monkeypatch):
    monkeypatch.setattr(logged_acts, "BATCH_SIZE", 2)
    failed(3)
    last = failed(2, "KeyError")[-1]
    data = form([last], "deal", scope="all", confirmed="yes")
    client = login(*OPERATOR)
    response = client.post(ACT, {**data, "note": "Paid by transfer."}, follow=True)
    assert told(response) == ["5 failures are dealt with."]
    note = FailureNote.objects.get()
    assert (note.author, note.text) == ("operator", "Paid by transfer.")
    assert ScheduledJob.objects.filter(failure_note=note).count() == 5
    html = body(response)
    assert "No open failures." in html
    assert "Paid by transfer." in html


def test_an_act_has_a_limit_and_says_that_more_remain(login, monkeypatch):
    monkeypatch.setattr(pages, "MAX_ACTED", 2)
    made = failed(3)
    response = login(*OPERATOR).post(ACT, form(made, "retry", confirmed="yes"), follow=True)
    assert told(response)[0] == "2 jobs will be retried."
    assert "There are more jobs." in told(response)[1]


def test_a_note_can_be_reopened(login):
    failed(2)
    deal_with_failures(ScheduledJob.objects.all(), note="Later.")
    note = FailureNote.objects.get()
    response = login(*OPERATOR).post(REOPEN, {"note": note.pk}, follow=True)
    assert told(response) == ["2 failures are open again."]
    assert not ScheduledJob.objects.filter(failure_note__isnull=False).exists()


def test_one_job_is_dealt_with_from_its_page(login):
    [job] = failed(1)
    address = reverse("admin:django_future_scheduledjob_dealt_with", args=[job.pk])
    response = login(*OPERATOR).post(address, {"note": "Known."}, follow=True)
    assert told(response) == ["1 failure is dealt with."]
    job.refresh_from_db()
    assert job.failure_note.text == "Known."


def test_a_job_that_has_not_failed_is_not_dealt_with(login):
    job = schedule_job("1h", jobs.echo)
    address = reverse("admin:django_future_scheduledjob_dealt_with", args=[job.pk])
    response = login(*OPERATOR).post(address, follow=True)
    assert "1 job was not touched" in told(response)[0]


def test_a_missing_job_is_not_found(login):
    address = reverse("admin:django_future_scheduledjob_dealt_with", args=[99])
    assert login(*OPERATOR).post(address).status_code == 404


def test_the_action_asks_for_a_note_and_then_deals_with_the_selected_jobs(login):
    made, waiting = failed(2), schedule_job("1h", jobs.echo)
    client = login(*OPERATOR)
    ids = [job.pk for job in [*made, waiting]]
    data = {"action": "deal_with_selected", "_selected_action": ids}
    assert "Note (optional)" in body(client.post(LIST, data))
    assert not FailureNote.objects.exists()
    response = client.post(LIST, {**data, "confirmed": "yes", "note": "Known."}, follow=True)
    assert told(response)[0] == "2 failures are dealt with."
    assert "1 job was not touched" in told(response)[1]


def test_the_list_of_jobs_links_to_the_page(login):
    assert f'href="{PAGE}"' in body(login(*OPERATOR).get(LIST))


def test_a_user_without_the_permission_to_operate_sees_no_button(login):
    failed(1)
    deal_with_failures(ScheduledJob.objects.filter(pk=failed(1)[0].pk))
    html = body(login("view_scheduledjob").get(PAGE))
    assert KIND in html
    assert f'action="{ACT}"' not in html
    assert f'action="{REOPEN}"' not in html


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"operation": "retry"},
        {"operation": "retry", "last_id": "9" * 40, "confirmed": "yes"},
        {"operation": "deal", "last_id": "5", "callable_name": "\0", "confirmed": "yes"},
        {"operation": "deal", "last_id": "x", "scope": "all", "confirmed": "yes"},
        {"operation": "deal", "last_id": "5", "scope": "all", "confirmed": "yes"},
        {"operation": "deal", "last_id": "5", "scope": "all", "confirmed": "yes", "shown_at": "x"},
        {"operation": "deal", "last_id": "5", "confirmed": "yes", "shown_at": "0001-01-01T00+14"},
    ],
)
def test_a_crafted_form_changes_nothing(login, data):
    failed(1)
    assert login(*OPERATOR).post(ACT, data).status_code in {200, 302, 404}
    assert ScheduledJob.objects.filter(status=Status.FAILED, failure_note=None).count() == 1


def test_the_page_shows_rows_that_sql_has_written(login):
    failed(1, kind="", error="")
    failed(1, kind="<b>\u202e" + "x" * 200, error="\n\n")
    ScheduledJob.objects.update(finished_at=None)
    assert "&lt;b&gt;" in body(login(*OPERATOR).get(PAGE))


def test_a_retried_group_runs(login):
    made = failed(2)
    login(*OPERATOR).post(ACT, form(made, "retry", confirmed="yes"))
    run_jobs()
    assert ScheduledJob.objects.filter(status=Status.COMPLETE).count() == 2


def test_the_action_is_only_for_operators(login):
    [job] = failed(1)
    act(login("view_scheduledjob"), "deal_with_selected", job)
    assert not FailureNote.objects.exists()


def test_a_job_that_fails_again_after_the_page_was_shown_is_not_dealt_with(login):
    made = failed(2)
    client = login(*OPERATOR)
    response = client.get(PAGE)
    data = {
        name: re.findall(rf'name="{name}" value="([^"]*)"', body(response))[-1]
        for name in ("scope", "callable_name", "error_kind", "last_id", "shown_at")
    }
    ScheduledJob.objects.filter(pk=made[0].pk).update(finished_at=clock.to_row(clock.now()))
    client.post(ACT, {**data, "operation": "deal", "confirmed": "yes"})
    assert ScheduledJob.objects.get(failure_note=None).pk == made[0].pk


def test_a_note_with_text_that_a_database_refuses_is_stored_and_logged(login):
    [job] = failed(1)
    address = reverse("admin:django_future_scheduledjob_dealt_with", args=[job.pk])
    login(*OPERATOR).post(address, {"note": "a\0b"})
    assert FailureNote.objects.get().text == "a\\0b"
    assert LogEntry.objects.get().change_message == "Dealt with: a\\0b"


def test_the_confirmation_of_the_action_leads_back_to_the_filtered_list(login):
    [job] = failed(1)
    address = f"{LIST}?status__exact=failed"
    data = {"action": "deal_with_selected", "_selected_action": [job.pk]}
    assert f'<a href="{address}">No, take me back</a>' in body(login(*OPERATOR).post(address, data))


@pytest.mark.parametrize(
    ("text", "shown"), [("Paid.", "Dealt with by ada: Paid."), ("", "Dealt with by ada.")]
)
@pytest.mark.parametrize("error", ["Traceback", ""])
def test_the_page_of_a_job_says_who_has_dealt_with_its_failure(login, text, shown, error):
    [job] = failed(1, error=error)
    deal_with_failures(ScheduledJob.objects.all(), note=text, author="ada")
    html = body(login("view_scheduledjob").get(page_of(job)))
    assert f"<p>{shown}</p>" in html
