"""Queues and workers in the admin."""

import re
from html import unescape

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model

from django_future import pause_queue, resume_queue, schedule_job
from django_future.models import PausedQueue, Worker
from django_future.serialization import Stored
from django_future.store import Selection, store_for
from django_future.store.workers import register
from django_future.worker.heartbeat import new_worker
from tests.shop import jobs
from tests.support.admin_pages import LIST, act, body, page_of
from tests.support.busy_database import rival_writes_after_first_read

pytestmark = pytest.mark.django_db

QUEUES = "/admin/django_future/pausedqueue/"
OVERVIEW = f"{LIST}overview/"


def test_the_admin_marks_jobs_of_a_paused_queue(admin_client, django_assert_num_queries):
    paused = schedule_job("1h", jobs.echo, queue_name="mail")
    schedule_job("1h", jobs.echo, queue_name="reports")
    pause_queue("mail")
    with django_assert_num_queries(7):
        html = body(admin_client.get(LIST))
    assert "mail (paused)" in html
    assert "reports (paused)" not in html
    page = body(admin_client.get(page_of(paused)))
    assert "Its queue &#x27;mail&#x27; has been paused since" in page


@pytest.mark.parametrize(
    ("selections", "is_served"),
    [
        ([Selection()], True),
        ([Selection(queues=("mail",))], True),
        ([Selection(queues=("reports", "mail"))], True),
        ([Selection(queues=("reports",)), Selection(queues=("mail",))], True),
        ([Selection(excluded_queues=("reports",))], True),
        ([], True),
        ([Selection(queues=("reports",))], False),
        ([Selection(excluded_queues=("mail",))], False),
        ([Selection(queues=("mailing",))], False),
        ([Selection(queues=("reports, mail",))], False),
        ([Selection(queues=("all but reports",))], False),
    ],
)
def test_the_admin_marks_jobs_of_a_queue_without_workers(selections, is_served, admin_client):
    job = schedule_job("1h", jobs.echo, queue_name="mail")
    for number, selection in enumerate(selections):
        Worker.objects.create(
            name=f"worker {number}", host="host", pid=1, queues=selection.queue_names,
            started_at=job.created_at, seen_at=job.created_at,
        )  # fmt: skip
    assert ("mail (no worker)" in body(admin_client.get(LIST))) is not is_served
    page = body(admin_client.get(page_of(job)))
    assert ("No worker serves its queue &#x27;mail&#x27;" in page) is not is_served


@pytest.mark.parametrize("name", [" lead", "trail ", "a  b"])
def test_the_form_to_pause_a_queue_keeps_the_spaces_in_its_name(admin_client, name):
    page = admin_client.get(f"{QUEUES}add/", {"queue_name": name})
    assert page.context["adminform"].form["queue_name"].value() == name
    admin_client.post(f"{QUEUES}add/", {"queue_name": name, "reason": "month end"})
    paused = PausedQueue.objects.get()
    assert paused.queue_name == name
    act(admin_client, "resume_selected", paused, address=QUEUES)
    assert not PausedQueue.objects.exists()


@pytest.mark.parametrize("name", [" lead", "trail ", "a  b"])
def test_the_overview_links_to_the_form_with_the_spaces_in_a_name(admin_client, name):
    schedule_job("0s", jobs.echo, queue_name=name)
    html = body(admin_client.get(OVERVIEW))
    [link] = re.findall(r'href="([^"]*pausedqueue/add/[^"]*)"', html)
    page = admin_client.get(unescape(link))
    assert page.context["adminform"].form["queue_name"].value() == name


@pytest.mark.parametrize("queue_name", ["a, b", "all but mail", "mail but a", "all"])
def test_a_worker_serves_a_queue_whose_name_looks_like_a_list(queue_name):
    register(store_for("default"), new_worker("host", Selection(queues=("mail", queue_name))))
    named = Worker.objects.get()
    assert named.serves(queue_name)
    assert not named.serves("a")
    excluding = Worker(queues=Selection(excluded_queues=(queue_name,)).queue_names)
    assert not excluding.serves(queue_name)
    assert excluding.serves("mail")
    assert excluding.serves("b")


def test_the_list_of_workers_shows_their_queues(admin_client):
    selection = Selection(queues=("mail", "a but b"), excluded_queues=("c",))
    for worker in (new_worker("first", selection), new_worker("second")):
        register(store_for("default"), worker)
    Worker.objects.filter(name__startswith="second").update(queues=Stored("not JSON"))
    html = body(admin_client.get("/admin/django_future/worker/"))
    assert "mail, a but b but c" in html
    assert ">unknown<" in html


def test_the_list_of_workers_counts_the_jobs_that_run_now(admin_client):
    schedule_job("0s", "tests.shop.jobs.echo")
    store, worker = store_for("default"), new_worker("host")
    register(store, worker)
    store.claim(worker, at=store.now(), limit=1)
    html = body(admin_client.get("/admin/django_future/worker/"))
    assert '<td class="field-running">1</td>' in html


def test_adding_a_paused_queue_in_the_admin_pauses_it(login):
    client = login("pause_queue")
    data = {"queue_name": "mail", "reason": "the relay is down"}
    html = body(client.post(f"{QUEUES}add/", data, follow=True))
    assert "the relay is down" in html
    [queue] = PausedQueue.objects.all()
    assert queue.paused_by == get_user_model().objects.get().get_username()
    assert "mail" in body(client.get(f"{QUEUES}{queue.pk}/change/"))


def test_the_admin_refuses_to_pause_a_paused_queue_again(admin_client):
    pause_queue("mail")
    html = body(admin_client.post(f"{QUEUES}add/", {"queue_name": "mail", "reason": "fraud"}))
    assert "This queue is paused already. Resume it first." in html
    assert PausedQueue.objects.get().reason == ""


@pytest.mark.parametrize("name", ["mail\u200b", "a\tb", "x" * 101])
def test_the_admin_refuses_to_pause_a_queue_that_no_job_can_have(admin_client, name):
    response = admin_client.post(f"{QUEUES}add/", {"queue_name": name, "reason": ""})
    assert response.context["adminform"].form.errors.keys() == {"queue_name"}
    assert not PausedQueue.objects.exists()


def resume_form(client):
    """Return what the only form of the overview that resumes a queue sends."""
    html = body(client.get(OVERVIEW))
    [form] = re.findall(
        r'<form method="post" action="[^"]*pausedqueue/".*?</form>', html, re.DOTALL
    )
    hidden = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form)
    return {name: unescape(value) for name, value in hidden}


def resume(client, form):
    response = client.post(QUEUES, form, follow=True)
    return [(message.level_tag, message.message) for message in response.context["messages"]]


def test_the_overview_resumes_the_pause_that_it_shows(admin_client):
    pause_queue("mail", reason="deployment")
    form = resume_form(admin_client)
    assert resume(admin_client, form) == [("success", "1 queue was resumed.")]
    assert not PausedQueue.objects.exists()


def test_an_old_overview_does_not_end_a_later_pause(admin_client):
    pause_queue("mail", reason="deployment", paused_by="bea")
    form = resume_form(admin_client)
    resume_queue("mail")
    pause_queue("mail", reason="fraud", paused_by="carl")
    [(level, message)] = resume(admin_client, form)
    assert level == "error"
    assert message == (
        "Nothing was changed: the queue was resumed and paused again after the page was loaded."
    )
    assert PausedQueue.objects.get().paused_by == "carl"
    assert not LogEntry.objects.exists()


def test_resuming_a_queue_that_is_not_paused_any_more_is_a_warning(admin_client):
    pause_queue("mail")
    form = resume_form(admin_client)
    resume_queue("mail")
    assert resume(admin_client, form) == [("warning", "1 queue was not paused.")]
    assert not LogEntry.objects.exists()


def test_the_resume_action_resumes_selected_queues(login):
    for name in ("mail", "reports", "letters"):
        pause_queue(name)
    client = login("pause_queue")
    selected = PausedQueue.objects.exclude(pk="letters")
    assert act(client, "resume_selected", *selected, address=QUEUES) == ["2 queues were resumed."]
    assert [queue.pk for queue in PausedQueue.objects.all()] == ["letters"]
    assert set(LogEntry.objects.values_list("object_id", "change_message")) == {
        ("mail", "Resumed."),
        ("reports", "Resumed."),
    }


def test_a_user_with_only_the_view_permission_cannot_pause_or_resume_queues(login):
    pause_queue("mail")
    client = login("view_pausedqueue")
    assert "resume_selected" not in body(client.get(QUEUES))
    assert client.get(f"{QUEUES}add/").status_code == 403
    assert client.get(f"{QUEUES}mail/delete/").status_code == 403
    assert client.post(f"{QUEUES}mail/change/", {"reason": "none"}).status_code == 403


def test_the_admin_shows_workers_read_only(admin_client):
    run = {"started_at": "2030-01-31T09:30:15Z", "seen_at": "2030-01-31T09:31:15Z"}
    worker = Worker.objects.create(name="web-3", host="web-3.example.org", pid=12345, **run)
    address = "/admin/django_future/worker/"
    html = body(admin_client.get(address))
    assert "web-3.example.org" in html
    assert ">12345<" in html
    assert admin_client.get(f"{address}add/").status_code == 403
    assert admin_client.post(f"{address}{worker.pk}/change/", {"pid": 1}).status_code == 403
    assert admin_client.get(f"{address}{worker.pk}/delete/").status_code == 403


@pytest.mark.only_on("sqlite", reason="only SQLite refuses to write after a read that is old")
@pytest.mark.django_db(transaction=True)
def test_the_resume_action_survives_a_rival_that_writes(admin_client):
    pause_queue("mail")
    paused = PausedQueue.objects.get()
    with rival_writes_after_first_read(PausedQueue._meta.db_table):
        assert act(admin_client, "resume_selected", paused, address=QUEUES) == [
            "1 queue was resumed."
        ]


@pytest.mark.only_on("sqlite", reason="only SQLite refuses to write after a read that is old")
@pytest.mark.django_db(transaction=True)
def test_a_queue_is_paused_although_a_rival_writes(admin_client):
    with rival_writes_after_first_read(PausedQueue._meta.db_table):
        admin_client.post(f"{QUEUES}add/", {"queue_name": "mail", "reason": ""})
    assert PausedQueue.objects.get().queue_name == "mail"
