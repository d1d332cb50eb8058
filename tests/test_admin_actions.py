"""The actions on jobs in the admin."""

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection

from django_future import ScheduledJob, run_jobs, schedule_job
from django_future.serialization import Stored
from django_future.status import Status
from tests.shop import jobs
from tests.support.admin_pages import LIST, UNPICKLED, Suitcase, act, body, job_in
from tests.support.busy_database import rival_writes_after_first_read
from tests.support.rows import rewrite

pytestmark = pytest.mark.django_db


def test_the_cancel_action_skips_running_and_finished_jobs(login):
    waiting = [schedule_job("1h", jobs.echo) for _ in range(2)]
    others = [job_in(Status.RUNNING), job_in(Status.COMPLETE), job_in(Status.CANCELLED)]
    client = login("view_scheduledjob", "operate_scheduledjob")
    assert act(client, "cancel_selected", *waiting, *others) == [
        "2 jobs were cancelled.",
        "3 jobs were not cancelled: they are running or have ended.",
    ]
    for job in [*waiting, *others]:
        job.refresh_from_db()
    assert {job.status for job in waiting} == {Status.CANCELLED}
    assert [job.status for job in others] == [Status.RUNNING, Status.COMPLETE, Status.CANCELLED]


def test_the_cancel_running_action_cancels_running_jobs_too(login):
    client = login("view_scheduledjob", "operate_scheduledjob")
    selected = [job_in(status) for status in (Status.SCHEDULED, Status.RUNNING, Status.COMPLETE)]
    assert act(client, "cancel_running", *selected) == [
        "2 jobs were cancelled.",
        "1 job was not cancelled: it has ended.",
    ]
    assert ScheduledJob.objects.filter(status=Status.CANCELLED).count() == 2


def test_the_retry_action_skips_scheduled_running_and_complete_jobs(login):
    ended = [job_in(status) for status in Status.retryable()]
    others = [schedule_job("1h", jobs.echo), job_in(Status.RUNNING), job_in(Status.COMPLETE)]
    client = login("view_scheduledjob", "operate_scheduledjob")
    assert act(client, "retry_selected", *ended, *others) == [
        "3 jobs will be retried.",
        "3 jobs were not retried: they have not failed, expired or been cancelled.",
    ]
    for job in [*ended, *others]:
        job.refresh_from_db()
    assert {job.status for job in ended} == {Status.SCHEDULED}
    assert [job.status for job in others] == [Status.SCHEDULED, Status.RUNNING, Status.COMPLETE]


def test_the_run_again_action_copies_finished_jobs(login, order):
    ended = [
        job_in(status, "remind", content_object=order, args=[3], priority=7)
        for status in Status.final()
    ]
    others = [schedule_job("1h", jobs.echo), job_in(Status.RUNNING)]
    client = login("view_scheduledjob", "operate_scheduledjob")
    assert act(client, "run_again", *ended, *others) == [
        "4 jobs will run again.",
        "2 jobs were skipped: they have not ended.",
    ]
    run_jobs()
    order.refresh_from_db()
    assert order.reminders == 12
    for job, status in zip(ended, Status.final(), strict=True):
        job.refresh_from_db()
        assert job.status == status


def test_the_run_again_action_copies_a_damaged_job_without_decoding_it(admin_client):
    job = job_in(Status.FAILED, args=[Suitcase()])
    UNPICKLED.clear()
    rewrite(kwargs=Stored("not json"))
    assert act(admin_client, "run_again", job) == ["1 job will run again."]
    assert UNPICKLED == []


def test_the_run_again_action_continues_after_a_job_that_cannot_be_copied(admin_client):
    far = job_in(Status.FAILED, expires="9000-01-01T00:00Z")
    long_ago = "0002-01-01T00:00Z"
    ScheduledJob.objects.update(scheduled_at=long_ago, created_at=long_ago)
    good = job_in(Status.FAILED)
    good_news, bad_news = act(admin_client, "run_again", far, good)
    assert good_news == "1 job will run again."
    assert bad_news.startswith("1 job cannot be scheduled again: ")


def test_admin_actions_are_recorded_in_the_history_of_a_job(admin_client):
    job, ended = schedule_job("1h", jobs.echo), job_in(Status.FAILED)
    act(admin_client, "cancel_selected", job, ended)
    act(admin_client, "run_again", job)
    copy = ScheduledJob.objects.latest("pk")
    act(admin_client, "retry_selected", job, copy)
    assert [
        (entry.object_id, entry.change_message) for entry in LogEntry.objects.order_by("pk")
    ] == [
        (str(job.pk), "Cancelled."),
        (str(job.pk), f"Run again as job {copy.pk}."),
        (str(job.pk), "Retried."),
    ]
    assert "Cancelled." in body(admin_client.get(f"{LIST}{job.pk}/history/"))


@pytest.mark.parametrize(
    "action",
    [
        "cancel_selected",
        "cancel_running",
        "retry_selected",
        "run_again",
        "run_selected_now",
        "delete_selected",
    ],
)
def test_a_user_with_only_the_view_permission_has_no_actions(login, action):
    job, ended = schedule_job("1h", jobs.echo), job_in(Status.FAILED)
    client = login("view_scheduledjob")
    assert f'value="{action}"' not in body(client.get(LIST))
    client.post(LIST, {"action": action, "_selected_action": [job.pk, ended.pk], "post": "yes"})
    assert set(ScheduledJob.objects.values_list("pk", "status")) == {
        (job.pk, Status.SCHEDULED),
        (ended.pk, Status.FAILED),
    }
    assert not LogEntry.objects.exists()


def test_the_operate_permission_alone_does_not_open_the_list(login):
    assert login("operate_scheduledjob").get(LIST).status_code == 403


def test_selected_jobs_are_deleted_after_confirmation(login):
    jobs_to_go = [job_in(Status.RUNNING), schedule_job("1h", jobs.echo, args=[Suitcase()])]
    kept = schedule_job("1h", jobs.echo)
    client = login("view_scheduledjob", "delete_scheduledjob")
    data = {"action": "delete_selected", "_selected_action": [job.pk for job in jobs_to_go]}
    question = body(client.post(LIST, data))
    assert f"{jobs_to_go[0].pk}: {jobs_to_go[0]}" in question
    client.post(LIST, data | {"post": "yes"})
    assert list(ScheduledJob.objects.all()) == [kept]


def test_a_job_can_be_deleted_from_its_page(login):
    job = schedule_job("1h", jobs.echo)
    client = login("view_scheduledjob", "delete_scheduledjob")
    assert str(job) in body(client.get(f"{LIST}{job.pk}/delete/"))
    client.post(f"{LIST}{job.pk}/delete/", {"post": "yes"})
    assert not ScheduledJob.objects.exists()


def test_the_delete_confirmation_names_some_jobs_and_counts_all(admin_client, monkeypatch):
    monkeypatch.setattr("django_future.admin.jobs.MAX_NAMED", 2)
    selected = [schedule_job("1h", jobs.echo).pk for _ in range(5)]
    data = {"action": "delete_selected", "_selected_action": selected}
    question = body(admin_client.post(LIST, data))
    assert "3 more" in question
    assert "Scheduled jobs: 5" in question


def test_the_delete_action_refuses_more_jobs_than_its_maximum(admin_client, monkeypatch):
    monkeypatch.setattr("django_future.admin.actions.MAX_DELETED", 2)
    selected = [schedule_job("1h", jobs.echo) for _ in range(3)]
    assert act(admin_client, "delete_selected", *selected) == [
        "No more than 2 jobs can be deleted at once. Nothing was deleted."
    ]
    assert ScheduledJob.objects.count() == 3


@pytest.mark.only_on("sqlite", reason="only SQLite refuses to write after a read that is old")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("action", "status", "report"),
    [
        ("run_selected_now", Status.SCHEDULED, "1 job is due now."),
        ("cancel_selected", Status.SCHEDULED, "1 job was cancelled."),
        ("retry_selected", Status.FAILED, "1 job will be retried."),
        ("run_again", Status.FAILED, "1 job will run again."),
        ("sign_selected", Status.PARKED, "1 job was signed."),
    ],
)
def test_an_action_survives_a_rival_that_writes(admin_client, action, status, report):
    job = job_in(status)
    with rival_writes_after_first_read(ScheduledJob._meta.db_table):
        assert act(admin_client, action, job) == [report]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        ("cancel_selected", Status.SCHEDULED, Status.CANCELLED),
        ("retry_selected", Status.FAILED, Status.SCHEDULED),
    ],
)
def test_the_history_does_not_claim_what_a_rival_did(admin_client, action, before, after):
    job, rivals = job_in(before), []

    def interrupted(execute, sql, params, many, context):
        if connection.in_atomic_block and "scheduledjob" in sql and not rivals:
            rivals.append(sql)
            ScheduledJob.objects.filter(pk=job.pk).update(status=after)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(interrupted):
        assert "1 job was not" in act(admin_client, action, job)[0]
    assert rivals
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(
    "action",
    ["run_selected_now", "cancel_selected", "retry_selected", "run_again", "sign_selected"],
)
def test_an_action_says_that_a_selected_job_has_left_the_filter(admin_client, action):
    kept, left, gone = (schedule_job("1h", jobs.echo) for _ in range(3))
    ScheduledJob.objects.filter(pk=left.pk).update(status=Status.RUNNING)
    gone_pk = ScheduledJob(pk=gone.pk)
    gone.delete()
    address = f"{LIST}?status__exact=scheduled"
    assert act(admin_client, action, kept, left, gone_pk, address=address)[0] == (
        "2 of the selected scheduled jobs do not match the filter any more, or were deleted. They "
        "were not touched."
    )


@pytest.mark.only_on("sqlite", reason="only SQLite refuses to write after a read that is old")
@pytest.mark.django_db(transaction=True)
def test_a_job_is_deleted_from_its_page_although_a_rival_writes(admin_client):
    job = schedule_job("1h", jobs.echo)
    with rival_writes_after_first_read(ScheduledJob._meta.db_table):
        admin_client.post(f"{LIST}{job.pk}/delete/", {"post": "yes"})
    assert not ScheduledJob.objects.exists()
