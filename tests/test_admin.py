"""What people see of jobs in the admin, and what they can do there."""

from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from django_future import ScheduledJob, pause_queue, run_jobs, schedule_job
from django_future.admin import changelist
from django_future.arguments import Stored
from django_future.models import JobReport, PausedQueue, Worker
from django_future.status import Status
from tests.shop import jobs
from tests.shop.models import Parcel

pytestmark = pytest.mark.django_db

LIST = "/admin/django_future/scheduledjob/"
QUEUES = "/admin/django_future/pausedqueue/"
UNPICKLED: list[object] = []


class Suitcase:
    """Something that only a pickle can hold, and that tells when it is unpacked."""

    def __setstate__(self, state):
        UNPICKLED.append(state)

    def __getstate__(self):
        return {"packed": True}


@pytest.fixture
def customer():
    """Return a user, of which the admin knows more than of orders."""
    return User.objects.create_user("customer")


def page_of(job):
    return f"{LIST}{job.pk}/change/"


def body(response):
    assert response.status_code == 200
    return response.content.decode().replace("<wbr>", "")


def listed(response):
    return [job.pk for job in response.context["cl"].result_list]


def act(client, action, *selected, address=LIST):
    data = {"action": action, "_selected_action": [job.pk for job in selected]}
    response = client.post(address, data, follow=True)
    return [str(message) for message in response.context["messages"]]


def job_in(status, target=jobs.echo, **options):
    job = schedule_job("1h", target, **options)
    ScheduledJob.objects.filter(pk=job.pk).update(status=status)
    job.refresh_from_db()
    return job


def test_the_list_shows_what_will_be_called_and_with_what(admin_client, order):
    schedule_job("1h", "remind", order, args=[2], kwargs={"urgent": True}, queue_name="mail")
    html = body(admin_client.get(LIST))
    assert "remind" in html
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
    assert len(job.args_start) == changelist.START


def test_nothing_is_unpickled_or_fetched_to_be_shown(admin_client, order):
    job = schedule_job("1h", jobs.echo, args=[Suitcase(), order])
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
    with django_assert_num_queries(5):  # session, user, count, jobs, workers
        body(admin_client.get(LIST))


def test_a_count_stops_and_says_so(admin_client, monkeypatch):
    monkeypatch.setattr(changelist, "MOST_COUNTED", 2)
    for _ in range(4):
        schedule_job("1h", jobs.echo)
    assert "2+ scheduled jobs" in body(admin_client.get(LIST))


def test_a_count_that_stopped_bears_thousands_separators(admin_client, monkeypatch, settings):
    settings.USE_THOUSAND_SEPARATOR = True
    monkeypatch.setattr(changelist, "MOST_COUNTED", 2)
    for _ in range(4):
        schedule_job("1h", jobs.echo)
    assert "3 scheduled jobs" in body(admin_client.get(LIST))


def test_no_page_is_longer_than_a_page(admin_client, monkeypatch):
    monkeypatch.setattr(admin.site.get_model_admin(ScheduledJob), "list_per_page", 2)
    monkeypatch.setattr(changelist, "MOST_COUNTED", 3)
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
    JobReport.objects.create(job=job, updated_at=job.scheduled_at, log="Z <began>", **said)
    html = body(admin_client.get(page_of(job))).replace("\N{NO-BREAK SPACE}", " ")
    assert f">{shown}<" in html
    assert "<pre wrap>Z &lt;began&gt;</pre>" in html


def test_the_list_shows_how_far_what_runs_is(admin_client, django_assert_num_queries):
    for status in [Status.RUNNING, Status.RUNNING, Status.COMPLETE]:
        job = job_in(status)
        JobReport.objects.create(job=job, updated_at=job.scheduled_at, done=1, total=2, log="began")
    job_in(Status.RUNNING)
    with django_assert_num_queries(4), CaptureQueriesContext(connection) as queries:
        html = body(admin_client.get(LIST))
    assert html.count("1 of 2") == 2
    assert not any("jobreport`.`log" in one["sql"].replace('"', "`") for one in queries)


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


def test_cancelling_leaves_what_runs_or_has_ended(login):
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


def test_jobs_that_run_can_be_cancelled_too(login):
    client = login("view_scheduledjob", "operate_scheduledjob")
    selected = [job_in(status) for status in (Status.SCHEDULED, Status.RUNNING, Status.COMPLETE)]
    assert act(client, "cancel_running", *selected) == [
        "2 jobs were cancelled.",
        "1 job was not cancelled: it has ended.",
    ]
    assert ScheduledJob.objects.filter(status=Status.CANCELLED).count() == 2


def test_retrying_leaves_what_waits_runs_or_is_complete(login):
    ended = [job_in(status) for status in Status.retryable()]
    others = [schedule_job("1h", jobs.echo), job_in(Status.RUNNING), job_in(Status.COMPLETE)]
    client = login("view_scheduledjob", "operate_scheduledjob")
    assert act(client, "retry_selected", *ended, *others) == [
        "3 jobs will be retried.",
        "3 jobs were not retried: they did not fail, expire or get cancelled.",
    ]
    for job in [*ended, *others]:
        job.refresh_from_db()
    assert {job.status for job in ended} == {Status.SCHEDULED}
    assert [job.status for job in others] == [Status.SCHEDULED, Status.RUNNING, Status.COMPLETE]


def test_running_again_copies_what_has_ended(login, order):
    ended = [
        job_in(status, "remind", content_object=order, args=[3], priority=7)
        for status in Status.final()
    ]
    others = [schedule_job("1h", jobs.echo), job_in(Status.RUNNING)]
    client = login("view_scheduledjob", "operate_scheduledjob")
    assert act(client, "run_again", *ended, *others) == [
        "4 jobs will run again.",
        "2 jobs were left as they are: they have not ended.",
    ]
    run_jobs()
    order.refresh_from_db()
    assert order.reminders == 12
    for job, status in zip(ended, Status.final(), strict=True):
        job.refresh_from_db()
        assert job.status == status


def test_a_damaged_job_can_run_again_without_being_read(admin_client):
    job = job_in(Status.FAILED, args=[Suitcase()])
    UNPICKLED.clear()
    ScheduledJob.objects.update(kwargs=Stored("not json"))
    assert act(admin_client, "run_again", job) == ["1 job will run again."]
    assert UNPICKLED == []


def test_a_job_that_cannot_be_scheduled_again_does_not_stop_the_others(admin_client):
    far = job_in(Status.FAILED, expires="9000-01-01T00:00Z")
    ScheduledJob.objects.update(scheduled_at="0002-01-01T00:00Z")
    good = job_in(Status.FAILED)
    good_news, bad_news = act(admin_client, "run_again", far, good)
    assert good_news == "1 job will run again."
    assert bad_news.startswith("1 job cannot be scheduled again: ")


def test_an_action_reaches_all_jobs_that_the_list_would_show(admin_client, monkeypatch):
    monkeypatch.setattr(admin.site.get_model_admin(ScheduledJob), "list_per_page", 2)
    monkeypatch.setattr("django_future.admin.actions.BATCH", 2)
    selected = [schedule_job("1h", jobs.echo) for _ in range(5)]
    other = schedule_job("1h", jobs.trace)
    data = {"action": "cancel_selected", "_selected_action": selected[0].pk, "select_across": 1}
    admin_client.post(f"{LIST}?q=tests.shop.jobs.echo", data)
    assert ScheduledJob.objects.filter(status=Status.CANCELLED).count() == 5
    other.refresh_from_db()
    assert other.status == Status.SCHEDULED


def test_what_was_done_to_a_job_is_in_its_history(admin_client):
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
    ["cancel_selected", "cancel_running", "retry_selected", "run_again", "delete_selected"],
)
def test_whoever_may_only_view_can_do_nothing(login, action):
    job, ended = schedule_job("1h", jobs.echo), job_in(Status.FAILED)
    client = login("view_scheduledjob")
    assert action not in body(client.get(LIST))
    client.post(LIST, {"action": action, "_selected_action": [job.pk, ended.pk], "post": "yes"})
    assert set(ScheduledJob.objects.values_list("pk", "status")) == {
        (job.pk, Status.SCHEDULED),
        (ended.pk, Status.FAILED),
    }
    assert not LogEntry.objects.exists()


def test_whoever_may_operate_but_not_view_sees_nothing(login):
    assert login("operate_scheduledjob").get(LIST).status_code == 403


def test_jobs_are_deleted_after_a_question(login):
    jobs_to_go = [job_in(Status.RUNNING), schedule_job("1h", jobs.echo, args=[Suitcase()])]
    kept = schedule_job("1h", jobs.echo)
    client = login("view_scheduledjob", "delete_scheduledjob")
    data = {"action": "delete_selected", "_selected_action": [job.pk for job in jobs_to_go]}
    question = body(client.post(LIST, data))
    assert f"{jobs_to_go[0].pk}: {jobs_to_go[0]}" in question
    client.post(LIST, data | {"post": "yes"})
    assert list(ScheduledJob.objects.all()) == [kept]


def test_one_job_is_deleted_from_its_page(login):
    job = schedule_job("1h", jobs.echo)
    client = login("view_scheduledjob", "delete_scheduledjob")
    assert str(job) in body(client.get(f"{LIST}{job.pk}/delete/"))
    client.post(f"{LIST}{job.pk}/delete/", {"post": "yes"})
    assert not ScheduledJob.objects.exists()


def test_the_question_names_some_jobs_and_counts_all(admin_client, monkeypatch):
    monkeypatch.setattr("django_future.admin.jobs.MOST_NAMED", 2)
    selected = [schedule_job("1h", jobs.echo).pk for _ in range(5)]
    data = {"action": "delete_selected", "_selected_action": selected}
    question = body(admin_client.post(LIST, data))
    assert "3 more" in question
    assert "Scheduled jobs: 5" in question


def test_too_many_jobs_are_not_deleted_at_once(admin_client, monkeypatch):
    monkeypatch.setattr("django_future.admin.actions.MOST_DELETED", 2)
    selected = [schedule_job("1h", jobs.echo) for _ in range(3)]
    assert act(admin_client, "delete_selected", *selected) == [
        "No more than 2 jobs can be deleted at once. Nothing was deleted."
    ]
    assert ScheduledJob.objects.count() == 3


def test_a_job_says_that_its_queue_is_paused(admin_client, django_assert_num_queries):
    paused = schedule_job("1h", jobs.echo, queue_name="mail")
    schedule_job("1h", jobs.echo, queue_name="reports")
    pause_queue("mail")
    with django_assert_num_queries(5):
        html = body(admin_client.get(LIST))
    assert "mail (paused)" in html
    assert "reports (paused)" not in html
    assert "mail (paused)" in body(admin_client.get(page_of(paused)))


@pytest.mark.parametrize(
    ("queues", "is_served"),
    [
        (["all"], True), (["mail"], True), (["reports, mail"], True), (["all but reports"], True),
        ([], True), (["reports"], False), (["all but mail"], False), (["mailing"], False),
    ],
)  # fmt: skip
def test_a_job_says_that_no_worker_serves_its_queue(queues, is_served, admin_client):
    job = schedule_job("1h", jobs.echo, queue_name="mail")
    for number, names in enumerate(queues):
        Worker.objects.create(
            name=f"worker {number}", host="host", pid=1, queues=names,
            started_at=job.created_at, seen_at=job.created_at,
        )  # fmt: skip
    for address in (LIST, page_of(job)):
        assert ("mail (no worker)" in body(admin_client.get(address))) is not is_served


def test_a_queue_is_paused_by_adding_it(login):
    client = login("operate_scheduledjob")
    data = {"queue_name": "mail", "reason": "the relay is down"}
    html = body(client.post(f"{QUEUES}add/", data, follow=True))
    assert "the relay is down" in html
    [queue] = PausedQueue.objects.all()
    assert "mail" in body(client.get(f"{QUEUES}{queue.pk}/change/"))


def test_a_queue_that_is_paused_already_is_not_added_again(admin_client):
    pause_queue("mail")
    assert "already exists" in body(admin_client.post(f"{QUEUES}add/", {"queue_name": "mail"}))


def test_selected_queues_are_resumed(login):
    for name in ("mail", "reports", "letters"):
        pause_queue(name)
    client = login("operate_scheduledjob")
    selected = PausedQueue.objects.exclude(pk="letters")
    assert act(client, "resume_selected", *selected, address=QUEUES) == ["2 queues were resumed."]
    assert [queue.pk for queue in PausedQueue.objects.all()] == ["letters"]
    assert set(LogEntry.objects.values_list("object_id", "change_message")) == {
        ("mail", "Resumed."),
        ("reports", "Resumed."),
    }


def test_whoever_may_only_view_paused_queues_can_do_nothing(login):
    pause_queue("mail")
    client = login("view_pausedqueue")
    assert "resume_selected" not in body(client.get(QUEUES))
    assert client.get(f"{QUEUES}add/").status_code == 403
    assert client.get(f"{QUEUES}mail/delete/").status_code == 403
    assert client.post(f"{QUEUES}mail/change/", {"reason": "none"}).status_code == 403


def test_workers_are_there_to_look_at(admin_client):
    run = {"started_at": "2030-01-31T09:30:15Z", "seen_at": "2030-01-31T09:31:15Z"}
    worker = Worker.objects.create(name="web-3", host="web-3.example.org", pid=12345, **run)
    address = "/admin/django_future/worker/"
    html = body(admin_client.get(address))
    assert "web-3.example.org" in html
    assert ">12345<" in html
    assert admin_client.get(f"{address}add/").status_code == 403
    assert admin_client.post(f"{address}{worker.pk}/change/", {"pid": 1}).status_code == 403
    assert admin_client.get(f"{address}{worker.pk}/delete/").status_code == 403
