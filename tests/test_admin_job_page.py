"""The page of a job in the admin: its buttons, its parts, and how much they cost."""

import re
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import path, reverse

from django_future import (
    ScheduledJob,
    clock,
    job,
    pause_queue,
    run_jobs,
    schedule_job,
    schedule_recurring,
    trigger_recurring,
)
from django_future.admin import ScheduledJobAdmin
from django_future.models import FailureNote, JobAttempt, JobProgress
from django_future.serialization import Stored
from django_future.status import Status
from django_future.store import attempts, store_for
from django_future.store.workers import register
from django_future.worker.heartbeat import new_worker
from tests.shop import jobs
from tests.shop.models import Order
from tests.support.admin_pages import LIST, body, job_in, page_of
from tests.support.busy_database import rival_writes_after_first_read

pytestmark = pytest.mark.django_db

SECRET = "4111-1111"
ALL_ACTIONS = ["run_now", "retry", "run_again", "move", "cancel", "stop"]
BUTTONS = {
    Status.SCHEDULED: ["run_now", "move", "cancel"],
    Status.RUNNING: ["stop"],
    Status.COMPLETE: ["run_again"],
    Status.FAILED: ["retry", "run_again"],
    Status.EXPIRED: ["retry", "run_again"],
    Status.CANCELLED: ["retry", "run_again"],
    Status.PARKED: ["cancel"],
}


@job(sensitive_arguments=["card"])
def pay(order, amount, card=None, *, note=""):
    """Take a card number, which is sensitive."""


@pytest.fixture
def operator(login):
    """Return a client that may view and operate jobs."""
    return login("view_scheduledjob", "operate_scheduledjob")


def act(client, scheduled, action, **data):
    """Click a button on the page of a job, and return the messages of the next page."""
    url = reverse("admin:django_future_scheduledjob_act", args=[scheduled.pk])
    response = client.post(url, {"action": action, **data}, follow=True)
    assert response.status_code == 200
    return [re.sub("<[^>]+>", "", str(message)) for message in response.context["messages"]]


def progress_of(client, scheduled, shown):
    url = reverse("admin:django_future_scheduledjob_progress", args=[scheduled.pk])
    return client.get(url, {"shown": shown})


def stored(scheduled):
    return ScheduledJob.objects.get(pk=scheduled.pk)


def due_in(scheduled):
    return clock.from_row(stored(scheduled).scheduled_at) - clock.now()


class TestButtons:
    @pytest.mark.parametrize("status", Status)
    def test_the_page_offers_the_actions_that_the_state_allows(self, status, operator):
        html = body(operator.get(page_of(job_in(status))))
        assert re.findall(r'name="action" value="(\w+)"', html) == BUTTONS[status]

    def test_a_user_who_may_only_view_sees_no_button(self, login):
        html = body(login("view_scheduledjob").get(page_of(job_in(Status.SCHEDULED))))
        assert 'name="action"' not in html

    def test_each_button_is_in_a_form_of_its_own_with_a_token(self, operator):
        html = body(operator.get(page_of(job_in(Status.SCHEDULED))))
        content = html.split('id="content-main"')[1]
        assert content.count("<form") == content.count("csrfmiddlewaretoken") == 3
        assert not re.search(r"<form(?:(?!</form>).)*<form", content, re.DOTALL)

    def test_run_now_makes_a_job_due(self, operator):
        scheduled = schedule_job("5d", jobs.echo)
        assert act(operator, scheduled, "run_now") == ["The job is due now."]
        assert due_in(scheduled) <= timedelta()

    @pytest.mark.parametrize(
        ("when", "least"),
        [("3h", timedelta(hours=2)), (" 2d ", timedelta(days=1)), ("PT1H", timedelta(minutes=59))],
    )
    def test_move_accepts_an_offset_from_now(self, when, least, operator):
        scheduled = schedule_job("50d", jobs.echo)
        [message] = act(operator, scheduled, "move", when=when)
        assert message.startswith("The job is now due at ")
        assert least < due_in(scheduled) < timedelta(days=3)

    @pytest.mark.parametrize(
        "when", ["2040-07-01 09:00", "2040-07-01T09:00+02:00", "07/01/2040 09:00"]
    )
    def test_move_accepts_a_date_in_the_zone_of_the_user(self, when, operator, settings):
        settings.TIME_ZONE = "Europe/Berlin"
        scheduled = schedule_job("50d", jobs.echo)
        act(operator, scheduled, "move", when=when)
        moved = clock.from_row(stored(scheduled).scheduled_at)
        assert moved.isoformat() == "2040-07-01T07:00:00+00:00"

    @pytest.mark.parametrize("when", ["", "soon", "<b>", "9999999d", "0000-00-00", "x" * 5000])
    def test_move_refuses_what_is_no_time_and_says_so(self, when, operator):
        scheduled = schedule_job("50d", jobs.echo)
        before = stored(scheduled).scheduled_at
        [message] = act(operator, scheduled, "move", when=when)
        assert message.startswith("Nothing was changed: ")
        assert stored(scheduled).scheduled_at == before
        assert not LogEntry.objects.exists()

    def test_cancel_cancels_a_job(self, operator):
        scheduled = schedule_job("5d", jobs.echo)
        act(operator, scheduled, "cancel")
        assert stored(scheduled).status == Status.CANCELLED

    def test_stop_cancels_a_running_job(self, operator):
        running = job_in(Status.RUNNING)
        [message] = act(operator, running, "stop")
        assert "interrupts the handler" in message
        assert stored(running).status == Status.CANCELLED

    def test_retry_schedules_a_failed_job_again(self, operator):
        failed = job_in(Status.FAILED)
        act(operator, failed, "retry")
        assert stored(failed).status == Status.SCHEDULED

    def test_run_a_copy_links_the_copy(self, operator):
        complete = job_in(Status.COMPLETE)
        [message] = act(operator, complete, "run_again")
        copy = ScheduledJob.objects.exclude(pk=complete.pk).get()
        assert message == f"The job will run again as job {copy.pk}."
        assert stored(complete).status == Status.COMPLETE

    @pytest.mark.parametrize(
        ("status", "action", "entry"),
        [
            (Status.SCHEDULED, "run_now", "Made due now."),
            (Status.SCHEDULED, "move", "Moved to "),
            (Status.SCHEDULED, "cancel", "Cancelled."),
            (Status.RUNNING, "stop", "Cancelled while it was running."),
            (Status.FAILED, "retry", "Retried."),
            (Status.COMPLETE, "run_again", "Run again as job "),
        ],
    )
    def test_each_action_is_logged_with_its_user(self, status, action, entry, operator):
        scheduled = job_in(status)
        act(operator, scheduled, action, when="3h")
        logged = LogEntry.objects.get()
        assert logged.object_id == str(scheduled.pk)
        assert logged.get_change_message().startswith(entry)


class TestTheServerChecksAgain:
    @pytest.mark.parametrize("status", Status)
    @pytest.mark.parametrize("action", ALL_ACTIONS)
    def test_an_action_that_the_state_does_not_allow_changes_nothing(
        self, status, action, operator
    ):
        if action in BUTTONS[status]:
            pytest.skip("This state allows the action.")
        scheduled = job_in(status)
        before = ScheduledJob.objects.values().get()
        messages = act(operator, scheduled, action, when="3h")
        if (status, action) in {(Status.SCHEDULED, "stop"), (Status.PARKED, "stop")}:
            return  # it was running when the page was made, and is cancelled all the same
        assert messages[0].startswith("Nothing was changed: ")
        assert ScheduledJob.objects.values().get() == before
        assert not LogEntry.objects.exists()

    @pytest.mark.parametrize("action", ALL_ACTIONS)
    @pytest.mark.parametrize(
        "permissions",
        [
            [], ["view_scheduledjob"], ["operate_scheduledjob"],
            ["view_scheduledjob", "delete_scheduledjob", "add_scheduledjob", "pause_queue"],
        ],
    )  # fmt: skip
    def test_a_user_without_the_permission_is_refused(self, action, permissions, login):
        scheduled = job_in(Status.SCHEDULED)
        before = ScheduledJob.objects.values().get()
        url = reverse("admin:django_future_scheduledjob_act", args=[scheduled.pk])
        response = login(*permissions).post(url, {"action": action, "when": "3h"})
        assert response.status_code == 403
        assert ScheduledJob.objects.values().get() == before

    def test_a_visitor_is_sent_to_the_login(self, client):
        scheduled = job_in(Status.SCHEDULED)
        for name in ("act", "progress"):
            url = reverse(f"admin:django_future_scheduledjob_{name}", args=[scheduled.pk])
            assert "/login/" in client.post(url, {"action": "cancel"}).url
        assert stored(scheduled).status == Status.SCHEDULED

    def test_a_get_request_does_nothing(self, operator):
        scheduled = job_in(Status.SCHEDULED)
        url = reverse("admin:django_future_scheduledjob_act", args=[scheduled.pk])
        response = operator.get(url, {"action": "cancel"}, follow=True)
        assert response.redirect_chain == [(page_of(scheduled), 302)]
        assert "Nothing was done." in body(response)
        assert stored(scheduled).status == Status.SCHEDULED

    def test_a_post_without_a_token_is_refused(self, operator):
        operator.handler.enforce_csrf_checks = True
        url = reverse("admin:django_future_scheduledjob_act", args=[job_in(Status.SCHEDULED).pk])
        assert operator.post(url, {"action": "cancel"}).status_code == 403

    @pytest.mark.parametrize("pk", [0, 10**12, 10**30])
    def test_an_id_of_no_job_is_answered_in_words(self, pk, operator):
        url = reverse("admin:django_future_scheduledjob_act", args=[pk])
        assert operator.post(url, {"action": "cancel"}).status_code == 302
        url = reverse("admin:django_future_scheduledjob_progress", args=[pk])
        assert f"Job {pk} was deleted." in operator.get(url).content.decode()

    def test_an_object_that_the_admin_hides_cannot_be_changed(self, operator, monkeypatch):
        def has_view_permission(self, request, obj=None):
            return obj is None

        monkeypatch.setattr(ScheduledJobAdmin, "has_view_permission", has_view_permission)
        scheduled = job_in(Status.SCHEDULED)
        url = reverse("admin:django_future_scheduledjob_act", args=[scheduled.pk])
        assert operator.post(url, {"action": "cancel"}).status_code == 403
        assert progress_of(operator, scheduled, "scheduled").status_code == 403
        assert stored(scheduled).status == Status.SCHEDULED

    @pytest.mark.parametrize("action", ["", "delete", "__class__"])
    def test_an_unknown_action_is_refused(self, action, operator):
        assert act(operator, job_in(Status.SCHEDULED), action) == [
            "The page sent an unknown action."
        ]

    def test_an_action_on_a_deleted_job_leads_to_the_list(self, operator):
        scheduled = job_in(Status.SCHEDULED)
        ScheduledJob.objects.all().delete()
        assert act(operator, scheduled, "cancel") == [
            f"Job {scheduled.pk} does not exist any more."
        ]

    @pytest.mark.parametrize(
        ("status", "action"),
        [
            (status, action)
            for status, actions in BUTTONS.items()
            for action in actions
            if action != "run_again"  # needs no row
        ],
    )
    def test_an_action_on_a_job_that_another_user_has_deleted_is_answered_in_words(
        self, status, action, operator, monkeypatch
    ):
        read = ScheduledJobAdmin.get_object

        def read_and_delete(*args):
            found = read(*args)
            ScheduledJob.objects.filter(pk=found.pk).delete()
            return found

        monkeypatch.setattr(ScheduledJobAdmin, "get_object", read_and_delete)
        scheduled = job_in(status)
        assert act(operator, scheduled, action, when="3h") == [
            f"Job {scheduled.pk} does not exist any more."
        ]
        assert not LogEntry.objects.exists()

    def test_a_copy_of_an_unsigned_job_is_refused_in_words(self, operator):
        complete = job_in(Status.COMPLETE)
        ScheduledJob.objects.update(args=Stored("[1]"))
        [message] = act(operator, complete, "run_again")
        assert message.startswith("Nothing was changed: ")


class TestLivePart:
    def test_a_running_job_shows_a_bar_and_its_log(self, operator):
        running = job_in(Status.RUNNING)
        JobProgress.objects.create(
            job=running, done=3, total=10, log="<began>", updated_at=running.scheduled_at
        )
        html = body(operator.get(page_of(running)))
        assert re.search(r'<progress aria-label="Progress" value="3" max="10">', html)
        assert "<pre wrap>&lt;began&gt;</pre>" in html
        assert 'data-refresh-seconds="2"' in html
        assert "refresh.js" in html

    def test_a_job_that_is_due_much_later_is_not_refreshed(self, operator):
        html = body(operator.get(page_of(schedule_job("5d", jobs.echo))))
        assert "data-refresh-url" not in html

    def test_the_part_of_a_running_job_has_the_new_progress(self, operator):
        running = job_in(Status.RUNNING)
        JobProgress.objects.create(job=running, done=7, total=10, updated_at=running.scheduled_at)
        html = progress_of(operator, running, "running").content.decode()
        assert 'value="7"' in html
        assert "data-refresh-end" not in html

    def test_the_part_says_that_the_job_has_ended_and_ends(self, operator):
        failed = job_in(Status.FAILED)
        html = progress_of(operator, failed, "running").content.decode()
        assert "The job has ended" in html
        assert "data-refresh-end" in html
        assert 'href="../change/"' in html

    def test_the_part_says_that_a_waiting_job_has_started(self, operator):
        html = progress_of(operator, job_in(Status.RUNNING), "scheduled").content.decode()
        assert "The status of the job is now" in html
        assert "data-refresh-end" not in html

    def test_the_part_of_a_job_whose_end_the_page_shows_is_empty(self, operator):
        assert progress_of(operator, job_in(Status.COMPLETE), "complete").status_code == 204

    def test_the_part_of_a_deleted_job_says_so(self, operator):
        running = job_in(Status.RUNNING)
        ScheduledJob.objects.all().delete()
        html = progress_of(operator, running, "running").content.decode()
        assert f"Job {running.pk} was deleted." in html

    def test_the_part_needs_the_permission_to_view(self, login):
        assert progress_of(login(), job_in(Status.RUNNING), "running").status_code == 403

    @pytest.mark.parametrize("total", [0, -5, None, 2**62])
    def test_a_progress_that_sql_wrote_is_shown(self, total, operator):
        running = job_in(Status.RUNNING)
        JobProgress.objects.create(
            job=running, done=-3, total=total, updated_at=running.scheduled_at
        )
        body(operator.get(page_of(running)))


class TestWhyItWaits:
    def test_the_page_names_each_reason(self, operator):
        pause_queue("mail", reason="month end", paused_by="ada")
        html = body(operator.get(page_of(schedule_job("3h", jobs.echo, queue_name="mail"))))
        assert "Why isn’t it running?" in html
        assert "It is due in " in html
        assert "has been paused by ada since" in html
        assert "No worker runs for the database" in html

    def test_the_page_counts_the_jobs_before_a_due_one(self, operator):
        register(store_for("default"), new_worker("host"))
        schedule_job(timedelta(minutes=-2), jobs.echo)
        late = schedule_job(timedelta(minutes=-1), jobs.echo)
        assert "1 job is before it" in body(operator.get(page_of(late)))


class TestTimeline:
    def test_the_events_are_in_the_order_of_time(self, operator):
        failing = schedule_job("0s", jobs.fail, max_attempts=2, backoff=["1h"])
        run_jobs()
        html = body(operator.get(page_of(failing)))
        timeline = html.split('class="future-timeline"')[1].split("</ol>")[0]
        titles = re.findall(r"<strong>(.*?)</strong>", timeline)
        assert titles == ["Created", "First due", "Attempt 1 failed", "Due again", "Expires"]
        assert "waited" in timeline
        assert "ValueError" in timeline

    @pytest.mark.parametrize(
        ("exception", "title"),
        [
            (attempts.RETRIED, "Attempt 1: retried"),
            (attempts.WORKER_LOST, "Attempt 1: worker lost"),
            (attempts.CANCELLED, "Attempt 1: cancelled"),
            ("shop.Declined", "Attempt 1 failed"),
        ],
    )
    def test_an_attempt_of_a_task_that_did_not_fail_is_not_called_failed(
        self, exception, title, operator
    ):
        scheduled = schedule_job("1h", jobs.echo)
        ScheduledJob.objects.update(attempts=1)
        at = clock.to_row(clock.now())
        JobAttempt.objects.create(
            job=scheduled, number=1, worker="w", started_at=at, finished_at=at,
            exception=exception, traceback=f"{exception}: text",
        )  # fmt: skip
        assert f"<strong>{title}</strong>" in body(operator.get(page_of(scheduled)))

    def test_a_complete_job_shows_its_start_and_its_end(self, operator):
        complete = schedule_job("0s", jobs.echo)
        run_jobs()
        html = body(operator.get(page_of(complete)))
        assert "<strong>Started</strong>" in html
        assert "<strong>complete</strong>" in html.lower()

    def test_a_run_names_its_recurring_job(self, admin_client):
        schedule_recurring("nightly", jobs.echo, cron="0 3 * * *")
        run = trigger_recurring("nightly")
        html = body(admin_client.get(page_of(run)))
        url = reverse("admin:django_future_recurringjob_change", args=[run.recurring_id])
        assert f'<a href="{url}">nightly</a>' in html


class TestArguments:
    def test_each_argument_has_the_name_of_its_parameter(self, operator, order):
        scheduled = schedule_job("1h", pay, order, args=[5, SECRET], kwargs={"note": "thanks"})
        html = body(operator.get(page_of(scheduled)))
        named = re.findall(r"<dt><code>(\w+)</code></dt><dd><code>(.*?)</code></dd>", html)
        assert named == [
            ("amount", "5"), ("card", "&#x27;[hidden]&#x27;"), ("note", "&#x27;thanks&#x27;")
        ]  # fmt: skip
        assert "pay(amount=5, card=&#x27;[hidden]&#x27;, note=&#x27;thanks&#x27;)" in html
        assert SECRET not in html

    def test_a_nested_value_has_one_item_a_line(self, operator):
        value = {"lines": [{"sku": "rose", "number": 3}, {"sku": "tulip", "text": "x" * 60}]}
        html = body(operator.get(page_of(schedule_job("1h", jobs.echo, args=[value]))))
        assert "        {&#x27;sku&#x27;: &#x27;rose&#x27;, &#x27;number&#x27;: 3},\n" in html

    def test_a_long_value_is_folded(self, operator):
        value = [{"sku": "rose", "number": number} for number in range(100)]
        html = body(operator.get(page_of(schedule_job("1h", jobs.echo, args=[value]))))
        assert "<details><summary><code>[{" in html

    def test_options_of_the_job_are_shown(self, operator):
        html = body(operator.get(page_of(schedule_job("1h", jobs.echo, timeout="5m"))))
        assert "&#x27;timeout&#x27;" in html

    def test_a_task_shows_its_backend(self, operator):
        scheduled = schedule_job("1h", jobs.echo)
        ScheduledJob.objects.update(task_backend="mailing", run_after=scheduled.scheduled_at)
        html = body(operator.get(page_of(scheduled)))
        assert "mailing" in html
        assert "Run after" in html


class TestOtherJobs:
    def test_the_latest_other_jobs_of_the_object_are_listed(self, operator, order):
        numbers = [schedule_job("1h", "remind", order).pk for _ in range(8)]
        schedule_job("1h", "remind", Order.objects.create(number="other"))
        html = body(operator.get(page_of(ScheduledJob.objects.get(pk=numbers[0]))))
        table = html.split("The latest other jobs of this object")[1].split("</table>")[0]
        assert [int(pk) for pk in re.findall(r"/(\d+)/change/", table)] == numbers[:2:-1]

    def test_the_links_lead_to_lists_that_work(self, operator, order):
        bound = schedule_job("1h", "remind", order)
        schedule_job("1h", jobs.echo)
        html = body(operator.get(page_of(bound)))
        for label in ("All jobs of this handler", "All jobs of this object"):
            [url] = re.findall(rf'<a href="([^"]+)">{label}</a>', html)
            response = operator.get(url.replace("&amp;", "&"))
            assert [row.pk for row in response.context["cl"].result_list] == [bound.pk]

    def test_the_link_to_the_same_error_lists_the_failures_with_it(self, operator):
        kinds = ["ValueError in f", "ValueError in f", "KeyError in f"]
        first, second, _ = failed = [job_in(Status.FAILED) for _ in kinds]
        for row, kind in zip(failed, kinds, strict=True):
            ScheduledJob.objects.filter(pk=row.pk).update(error_kind=kind)
        html = body(operator.get(page_of(first)))
        [url] = re.findall(r'<a href="([^"]+)">Other failures with this error</a>', html)
        response = operator.get(url.replace("&amp;", "&"))
        assert [row.pk for row in response.context["cl"].result_list] == [second.pk, first.pk]

    def test_a_failure_that_is_dealt_with_says_by_whom(self, operator):
        failed = job_in(Status.FAILED)
        note = FailureNote.objects.create(
            author="ben", text="bank was down", created_at=failed.scheduled_at
        )
        ScheduledJob.objects.update(failure_note=note, error="ValueError: no")
        assert "Dealt with by ben: bank was down" in body(operator.get(page_of(failed)))


class TestCost:
    def test_the_page_takes_few_queries(self, admin_client, order):
        register(store_for("default"), new_worker("host"))
        for _ in range(10):
            late = schedule_job(timedelta(minutes=-2), "remind", order, max_attempts=9)
        at = clock.to_row(clock.now())
        for number in range(1, 9):
            JobAttempt.objects.create(
                job=late, number=number, worker="w", started_at=at, finished_at=at,
                exception="shop.Declined", traceback="shop.Declined: text",
            )  # fmt: skip
        ScheduledJob.objects.update(attempts=8, error="shop.Declined: text")
        body(admin_client.get(page_of(late)))  # loads the content types
        with CaptureQueriesContext(connection) as queries:
            body(admin_client.get(page_of(late)))
        assert len(queries) <= 8, "\n".join(query["sql"][:200] for query in queries)

    def test_the_part_takes_few_queries(self, admin_client):
        running = job_in(Status.RUNNING)
        with CaptureQueriesContext(connection) as queries:
            progress_of(admin_client, running, "running")
        assert len(queries) <= 4

    def test_a_page_with_large_values_stays_small(self, operator):
        text = "word " * 100_000
        failed = schedule_job("0s", jobs.echo, args=[text], kwargs={})
        line = '  File "/srv/shop/jobs.py", line 7, in charge\n    charge(order)\n'
        error = f"Traceback (most recent call last):\n{line * 400}ValueError: no"
        at = clock.to_row(clock.now())
        ScheduledJob.objects.update(
            status=Status.FAILED, error=error, return_value=Stored(f'"{text}"')
        )
        JobProgress.objects.create(job=failed, log=text, updated_at=at)
        assert len(operator.get(page_of(failed)).content) < 150_000

    def test_the_page_has_no_inline_script_or_style(self, operator):
        html = body(operator.get(page_of(job_in(Status.SCHEDULED))))
        content = html.split('id="content-main"')[1]
        assert not re.search(r"\sstyle=|<style|<script>|\son\w+=", content)


def test_the_addresses_belong_to_the_list():
    assert reverse("admin:django_future_scheduledjob_act", args=[5]) == f"{LIST}5/act/"


class OfficeJobAdmin(ScheduledJobAdmin):
    """Has the pages of other modules."""

    def get_urls(self):
        name = "django_future_scheduledjob"
        return [
            path("<path:object_id>/duplicate/", self.history_view, name=f"{name}_duplicate"),
            path("<path:object_id>/dealt-with/", self.history_view, name=f"{name}_dealt_with"),
            *super().get_urls(),
        ]


office = admin.AdminSite(name="office")
office.register(ScheduledJob, OfficeJobAdmin)
urlpatterns = [path("admin/", admin.site.urls), path("office/", office.urls)]


@pytest.mark.urls("tests.test_admin_job_page")
def test_the_page_of_another_admin_site_stays_in_that_site(operator):
    scheduled = schedule_job("1m", jobs.echo)
    html = body(operator.get(page_of(scheduled).replace("/admin/", "/office/")))
    content = html.split('id="content-main"')[1]
    assert "/admin/" not in content
    url = reverse("admin:django_future_scheduledjob_act", args=[scheduled.pk], current_app="office")
    assert url.startswith("/office/")
    assert operator.post(url, {"action": "run_now"}).url.startswith("/office/")


@pytest.mark.urls("tests.test_admin_job_page")
@pytest.mark.parametrize("is_dealt_with", [False, True])
def test_a_failure_that_is_open_can_be_dealt_with_and_duplicated(is_dealt_with, login):
    failed = job_in(Status.FAILED)
    if is_dealt_with:
        note = FailureNote.objects.create(author="ben", created_at=failed.scheduled_at)
        ScheduledJob.objects.update(failure_note=note)
    client = login("view_scheduledjob", "operate_scheduledjob", "add_scheduledjob")
    address = page_of(failed).replace("/admin/", "/office/")
    html = body(client.get(address))
    assert (f'action="{address.replace("change", "dealt-with")}"' in html) is not is_dealt_with
    assert f'href="{address.replace("change", "duplicate")}"' in html


def test_the_other_jobs_are_those_that_the_admin_shows(operator, order, monkeypatch):
    shown, other, hidden = (schedule_job("1h", jobs.take, order) for _ in range(3))
    of_all = ScheduledJobAdmin.get_queryset

    def without_hidden(model_admin, request):
        return of_all(model_admin, request).exclude(pk=hidden.pk)

    monkeypatch.setattr(ScheduledJobAdmin, "get_queryset", without_hidden)
    html = body(operator.get(page_of(shown)))
    assert page_of(other) in html
    assert page_of(hidden) not in html


@pytest.mark.only_on("sqlite", reason="only SQLite refuses to write after a read that is old")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("action", "status"),
    [
        ("run_now", Status.SCHEDULED),
        ("move", Status.SCHEDULED),
        ("cancel", Status.SCHEDULED),
        ("stop", Status.RUNNING),
        ("retry", Status.FAILED),
        ("run_again", Status.FAILED),
    ],
)
def test_a_button_survives_a_rival_that_writes(operator, action, status):
    scheduled = job_in(status)
    with rival_writes_after_first_read(ScheduledJob._meta.db_table):
        act(operator, scheduled, action, when="2h")
    assert LogEntry.objects.count() == 1
