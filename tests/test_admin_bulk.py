"""Acts on all jobs that match the filter of the list, over several requests."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.urls import resolve, reverse

from django_future import ScheduledJob, clock, schedule_job
from django_future.admin.bulk import running
from django_future.models import FailureNote
from django_future.status import Status
from tests.shop import jobs
from tests.support.admin_pages import LIST, Suitcase, body, job_in

pytestmark = pytest.mark.django_db
BULK = f"{LIST}bulk/"
OPERATOR = "view_scheduledjob", "operate_scheduledjob"
ACTIONS = {
    "run_selected_now": "run_now",
    "cancel_selected": "cancel",
    "cancel_running": "cancel_running",
    "retry_selected": "retry",
    "deal_with_selected": "deal_with",
    "run_again": "run_again",
    "sign_selected": "sign",
    "delete_selected": "delete",
}


@pytest.fixture
def slow(monkeypatch):
    """Let each request act on one batch only."""
    monkeypatch.setattr(running, "SECONDS", 0)


def made(count, status=Status.SCHEDULED, **options):
    """Return the ids of many jobs, which are made in few statements."""
    [pattern] = [job_in(status, **options)]
    rows = [ScheduledJob.objects.get(pk=pattern.pk) for _ in range(count - 1)]
    for row in rows:
        row.pk, row._state.adding = None, True
    ScheduledJob.objects.bulk_create(rows)
    ids = ScheduledJob.objects.order_by("-pk").values_list("pk", flat=True)[:count]
    return sorted(ids)


def ask(client, action="cancel_selected", query=""):
    """Choose an action for all jobs that match, and return the page that answers."""
    data = {"action": action, "select_across": "1", "_selected_action": "0"}
    return client.post(f"{LIST}?{query}", data)


def key_of(response):
    [key] = re.findall(r'name="bulk" value="(\w+)"', body(response))
    return key


def confirm(client, action="cancel_selected", query="", **more):
    return client.post(BULK, {"bulk": key_of(ask(client, action, query)), **more})


def run(client, action="cancel_selected", query="", **more):
    """Confirm an act, continue it to its end, and return the messages and how many requests."""
    response, requests = confirm(client, action, query, **more), 1
    while response.status_code == 200:
        response = client.post(BULK, {"bulk": key_of(response)})
        requests += 1
    shown = client.get(response.headers["Location"])
    return [str(message) for message in shown.context["messages"]], requests


def count_in(status):
    return ScheduledJob.objects.filter(status=status).count()


def recorded():
    entry = LogEntry.objects.get()
    return entry, json.loads(entry.change_message)


def test_the_address_has_a_name():
    assert reverse("admin:django_future_scheduledjob_bulk") == BULK


def test_the_confirmation_says_the_number_the_act_and_the_filter_and_changes_nothing(login):
    made(3)
    job_in(Status.FAILED)
    html = body(ask(login(*OPERATOR), query="status__exact=scheduled&q=tests.shop.jobs.echo"))
    assert "3 jobs match the filter." in html
    assert "Those that are scheduled or parked will be cancelled." in html
    assert "<dt>status</dt><dd>scheduled</dd>" in html
    assert "<dt>search</dt><dd>tests.shop.jobs.echo</dd>" in html
    assert count_in(Status.SCHEDULED) == 3


def test_the_confirmation_warns_if_there_is_no_filter(login):
    made(2)
    assert "these are all jobs" in body(ask(login(*OPERATOR)))


def test_a_large_number_is_capped(login, monkeypatch):
    monkeypatch.setattr("django_future.admin.changelist.MAX_COUNTED", 2)
    made(4)
    assert "2+ jobs match the filter." in body(ask(login(*OPERATOR)))


def test_the_filter_is_respected(login):
    wanted = made(5)
    other = schedule_job("1h", jobs.trace)
    messages, _requests = run(login(*OPERATOR), query="q=tests.shop.jobs.echo&p=1")
    assert messages == ["5 jobs were cancelled."]
    assert count_in(Status.CANCELLED) == len(wanted)
    other.refresh_from_db()
    assert other.status == Status.SCHEDULED


def test_jobs_in_other_states_are_not_touched_and_counted_by_state(login):
    for status in Status:
        job_in(status)
    messages, _requests = run(login(*OPERATOR))
    assert messages[0] == "2 jobs were cancelled."
    assert messages[1].startswith("5 jobs were not cancelled: they are running or have ended.")
    assert "1 running, 1 complete, 1 failed, 1 expired, 1 cancelled" in messages[1]


def test_two_thousand_jobs_take_several_requests_that_show_the_progress(login, slow):
    made(2000)
    client = login(*OPERATOR)
    response = confirm(client)
    html = body(response)
    assert "500 jobs were cancelled." in html
    assert "1500 jobs remain." in html
    assert '<progress max="2000" value="500"' in html
    assert "data-submit-soon" in html
    requests = 1
    while response.status_code == 200:
        response = client.post(BULK, {"bulk": key_of(response)})
        requests += 1
    assert requests == 5
    assert count_in(Status.CANCELLED) == 2000


def test_a_short_act_ends_in_the_first_request(login):
    made(5)
    assert run(login(*OPERATOR)) == (["5 jobs were cancelled."], 1)


def test_jobs_that_are_scheduled_during_the_act_are_not_touched(login, slow, monkeypatch):
    monkeypatch.setattr("django_future.admin.bulk.running.MAX_READ", 600)
    made(1100)
    client = login(*OPERATOR)
    response = confirm(client)
    later = schedule_job("1h", jobs.echo)
    while response.status_code == 200:
        response = client.post(BULK, {"bulk": key_of(response)})
    assert list(ScheduledJob.objects.scheduled()) == [later]


def test_jobs_that_are_scheduled_after_the_confirmation_is_shown_are_not_touched(login):
    made(2)
    client = login(*OPERATOR)
    key = key_of(ask(client))
    later = schedule_job("1h", jobs.echo)
    client.post(BULK, {"bulk": key})
    assert list(ScheduledJob.objects.scheduled()) == [later]


def test_one_entry_of_the_log_records_the_whole_act(login, slow):
    ids = made(600)
    job_in(Status.COMPLETE)
    run(login(*OPERATOR), query="q=tests.shop.jobs.echo")
    entry, progress = recorded()
    assert entry.user.username == "operator"
    assert str(entry.object_repr) == "600 jobs were cancelled."
    assert entry.get_admin_url() is None
    assert progress["filter"] == "q=tests.shop.jobs.echo"
    assert (progress["act"], progress["done"]) == ("cancel", len(ids))
    assert progress["untouched"] == {"complete": 1}
    assert progress["has_ended"]


def test_the_entry_of_the_log_records_an_act_that_is_not_continued(login, slow):
    made(600)
    confirm(login(*OPERATOR))
    entry, progress = recorded()
    assert str(entry.object_repr) == "500 jobs were cancelled."
    assert not progress["has_ended"]


def test_a_page_that_is_sent_twice_continues_the_act(login, slow):
    made(600, Status.FAILED)
    client = login(*OPERATOR)
    key = key_of(ask(client, "run_again"))
    for _ in range(20):
        client.post(BULK, {"bulk": key})
    assert ScheduledJob.objects.scheduled().count() == 600
    assert LogEntry.objects.count() == 1


def test_a_filter_by_time_is_relative_to_the_confirmation(login):
    due, later = schedule_job("0s", jobs.echo), schedule_job("1h", jobs.echo)
    client = login(*OPERATOR)
    key = key_of(ask(client, query="waits=due"))
    ScheduledJob.objects.filter(pk=later.pk).update(scheduled_at=clock.to_row(clock.now()))
    client.post(BULK, {"bulk": key})
    assert list(ScheduledJob.objects.filter(status=Status.CANCELLED)) == [due]


@pytest.mark.parametrize(
    "query", ["when=week", "waits=late", "order=next", "when=hour&q=tests.shop"]
)
def test_each_filter_can_be_confirmed(login, query):
    schedule_job("1h", jobs.echo)
    ScheduledJob.objects.update(scheduled_at=clock.to_row(clock.now() - timedelta(minutes=5)))
    assert "1 job matches the filter." in body(ask(login(*OPERATOR), query=query))


@pytest.mark.parametrize(
    ("action", "status", "after", "report"),
    [
        ("run_selected_now", Status.SCHEDULED, Status.SCHEDULED, "3 jobs are due now."),
        ("cancel_running", Status.RUNNING, Status.CANCELLED, "3 jobs were cancelled."),
        ("retry_selected", Status.EXPIRED, Status.SCHEDULED, "3 jobs will be retried."),
        ("sign_selected", Status.PARKED, Status.SCHEDULED, "3 jobs were signed."),
    ],
)
def test_each_act_touches_the_jobs_in_its_states(admin_client, action, status, after, report):
    made(3, status)
    other = job_in(Status.COMPLETE)
    messages, _requests = run(admin_client, action)
    assert messages[0] == report
    assert count_in(after) == 3
    other.refresh_from_db()
    assert other.status == Status.COMPLETE


def test_all_failures_that_match_get_one_note(login, slow):
    made(600, Status.FAILED)
    messages, _requests = run(login(*OPERATOR), "deal_with_selected", note=" Paid. ")
    assert messages == ["600 failures are dealt with."]
    note = FailureNote.objects.get()
    assert (note.author, note.text) == ("operator", "Paid.")
    assert ScheduledJob.objects.filter(failure_note=note).count() == 600


def test_copies_of_all_that_ended_run_once_each(login, slow):
    ids = made(250, Status.FAILED)
    messages, requests = run(login(*OPERATOR), "run_again")
    assert messages == ["250 jobs will run again."]
    assert requests == 4
    assert ScheduledJob.objects.filter(pk__gt=ids[-1]).count() == 250


def test_a_job_that_cannot_be_copied_is_counted_with_the_reason(login):
    made(1, Status.FAILED, expires="9000-01-01T00:00Z")
    long_ago = "0002-01-01T00:00Z"
    ScheduledJob.objects.update(scheduled_at=long_ago, created_at=long_ago)
    made(2, Status.FAILED)
    good, bad = run(login(*OPERATOR), "run_again")[0]
    assert good == "2 jobs will run again."
    assert bad.startswith("1 job cannot be scheduled again: ")


def test_a_parked_job_with_an_unsigned_pickle_is_not_signed(admin_client):
    job_in(Status.PARKED)
    pickled = job_in(Status.PARKED, args=[Suitcase()])
    ScheduledJob.objects.filter(pk=pickled.pk).update(signature="", callable_name="a.b")
    messages, _requests = run(admin_client, "sign_selected")
    assert messages[0] == "1 job was signed."
    assert messages[1].startswith("1 job was not signed")


def test_more_jobs_than_a_page_can_confirm_are_deleted(login):
    made(510)
    kept = schedule_job("1h", jobs.trace)
    client = login("view_scheduledjob", "delete_scheduledjob")
    messages, _requests = run(client, "delete_selected", "q=tests.shop.jobs.echo")
    assert messages == ["510 jobs were deleted."]
    assert list(ScheduledJob.objects.all()) == [kept]


def test_nothing_that_matches_cannot_be_confirmed(login):
    html = body(ask(login(*OPERATOR), query="q=nothing"))
    assert "0 jobs match the filter." in html
    assert '<button class="button' not in html


@pytest.mark.parametrize("action", ACTIONS)
def test_a_user_who_may_only_view_gets_no_confirmation(login, action):
    made(2)
    client = login("view_scheduledjob")
    assert 'name="bulk"' not in body(ask(client, action))
    assert "django_future_bulk" not in client.session


@pytest.mark.parametrize("data", [{}, {"bulk": ""}, {"bulk": "x" * 32}, {"bulk": "\0"}])
def test_a_crafted_form_of_an_operator_changes_nothing(login, data):
    made(2)
    assert login(*OPERATOR).post(BULK, data).status_code == 302
    assert count_in(Status.SCHEDULED) == 2
    assert not LogEntry.objects.exists()


def test_the_key_of_another_user_changes_nothing(login, client):
    made(2)
    key = key_of(ask(login(*OPERATOR)))
    other = User.objects.create_superuser("other")
    client.force_login(other)
    client.post(BULK, {"bulk": key})
    assert count_in(Status.SCHEDULED) == 2


@pytest.mark.parametrize("kept", [("view_scheduledjob",), ("operate_scheduledjob",), ()])
def test_a_permission_that_is_taken_away_ends_the_act(login, slow, kept):
    made(600)
    client = login(*OPERATOR)
    key = key_of(confirm(client))
    user = User.objects.get(username="operator")
    user.user_permissions.set(Permission.objects.filter(codename__in=kept))
    assert client.post(BULK, {"bulk": key}).status_code == 403
    assert count_in(Status.CANCELLED) == 500


@pytest.mark.parametrize("action", ["delete_selected", "sign_selected"])
def test_the_permission_to_operate_permits_neither_deletion_nor_signing(login, action):
    made(2, Status.PARKED)
    client = login(*OPERATOR)
    ask(client, action)
    assert "django_future_bulk" not in client.session
    assert count_in(Status.PARKED) == 2


def test_a_login_in_between_ends_in_the_list_with_a_message(login):
    made(2)
    client = login(*OPERATOR)
    confirmed = {"bulk": key_of(ask(client))}
    client.logout()
    assert "/login/" in client.post(BULK, confirmed).url
    client.force_login(User.objects.get(username="operator"))
    response = client.get(BULK, follow=True)
    assert response.redirect_chain == [(LIST, 302)]
    assert "Nothing was done." in body(response)
    assert count_in(Status.SCHEDULED) == 2


def test_an_act_whose_entry_was_deleted_ends(login, slow):
    made(600)
    client = login(*OPERATOR)
    key = key_of(confirm(client))
    LogEntry.objects.all().delete()
    response = client.post(BULK, {"bulk": key}, follow=True)
    assert "no longer known" in str(next(iter(response.context["messages"])))
    assert count_in(Status.CANCELLED) == 500


@pytest.fixture
def changed_between_reading_and_acting(monkeypatch):
    """Let one of three jobs start after the act has read them."""
    ids = made(3)
    found = running.Matching.after

    def after(self, *args):
        rows = found(self, *args)
        ScheduledJob.objects.filter(pk=ids[0]).update(status=Status.RUNNING)
        return rows

    monkeypatch.setattr(running.Matching, "after", after)


@pytest.mark.usefixtures("changed_between_reading_and_acting")
def test_jobs_that_change_while_the_act_runs_are_counted(login):
    messages, _requests = run(login(*OPERATOR))
    assert messages[0] == "2 jobs were cancelled."
    assert messages[1].startswith("1 job was not cancelled")


@pytest.mark.django_db(transaction=True)
def test_two_requests_at_once_act_once_on_each_job(login, slow):
    ids = made(400, Status.FAILED)
    client = login(*OPERATOR)
    key = key_of(confirm(client, "run_again"))

    def continue_to_the_end(_number):
        other = Client()
        other.cookies = client.cookies
        while other.post(BULK, {"bulk": key}).status_code == 200:
            pass
        connection.close()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(continue_to_the_end, range(3)))
    assert ScheduledJob.objects.filter(pk__gt=ids[-1]).count() == 400
    assert recorded()[1]["done"] == 400


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("action", ["run_again", "deal_with_selected"])
def test_a_confirmation_that_is_sent_twice_at_once_acts_once(login, action):
    ids = made(50, Status.FAILED)
    client = login(*OPERATOR)
    key = key_of(ask(client, action))
    barrier = Barrier(4)

    def send(_number):
        other = Client()
        other.cookies = client.cookies
        barrier.wait()
        status = other.post(BULK, {"bulk": key, "note": "Paid."}).status_code
        connection.close()
        return status

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(send, range(4))) == {302}
    assert recorded()[1]["done"] == 50
    copies = ScheduledJob.objects.filter(pk__gt=ids[-1]).count()
    assert (copies, FailureNote.objects.count()) in [(50, 0), (0, 1)]


def test_a_confirmation_that_is_not_sent_is_not_in_the_log(login):
    made(2)
    ask(login(*OPERATOR))
    assert not LogEntry.objects.exists()


def test_two_confirmations_of_one_user_are_two_acts(login):
    made(2)
    client = login(*OPERATOR)
    keys = [key_of(ask(client, action)) for action in ("run_selected_now", "cancel_selected")]
    for key in keys:
        client.post(BULK, {"bulk": key})
    assert LogEntry.objects.count() == 2
    assert count_in(Status.CANCELLED) == 2


def test_a_confirmation_that_is_sent_again_after_the_end_changes_nothing(login):
    made(2, Status.FAILED)
    client = login(*OPERATOR)
    key = key_of(ask(client, "run_again"))
    for _ in range(2):
        client.post(BULK, {"bulk": key})
    assert ScheduledJob.objects.count() == 4
    assert LogEntry.objects.count() == 1


def test_an_act_whose_entry_was_deleted_is_not_repeated(login):
    made(2)
    client = login(*OPERATOR)
    key = key_of(ask(client))
    client.post(BULK, {"bulk": key})
    LogEntry.objects.all().delete()
    made(2)
    client.post(BULK, {"bulk": key})
    assert not LogEntry.objects.exists()


def test_a_confirmation_of_no_jobs_is_not_in_the_log(login):
    ask(login(*OPERATOR))
    assert not LogEntry.objects.exists()


def test_each_batch_commits_alone_even_if_requests_are_atomic():
    assert resolve(BULK).func._non_atomic_requests == {"default", "other"}


@pytest.mark.parametrize(
    ("action", "query", "change"),
    [
        ("delete_selected", "status__exact=failed", {"status": Status.SCHEDULED}),
        ("cancel_selected", "when=next-day", {"scheduled_at": "2999-01-01T00:00Z"}),
        ("deal_with_selected", "status__exact=failed", {"status": Status.SCHEDULED}),
    ],
)
def test_a_job_that_stops_matching_before_its_turn_is_left_out(
    admin_client, monkeypatch, action, query, change
):
    ids = made(3, Status.FAILED if "failed" in query else Status.SCHEDULED)
    found = running.Matching.after

    def after(self, *args):
        rows = found(self, *args)
        ScheduledJob.objects.filter(pk=ids[0]).update(**change)
        return rows

    monkeypatch.setattr(running.Matching, "after", after)
    messages, _requests = run(admin_client, action, query)
    assert messages[0].startswith("2 ")
    left = ScheduledJob.objects.get(pk=ids[0])
    assert (left.status, left.failure_note_id) == (Status.SCHEDULED, None)


@pytest.mark.usefixtures("changed_between_reading_and_acting")
def test_a_job_that_changes_and_still_matches_is_not_left_out(login):
    messages, _requests = run(login(*OPERATOR), "cancel_running", "queue_name=default")
    assert messages == ["3 jobs were cancelled."]
