"""The overview: the first page of the app in the admin."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from django_future import (
    ScheduledJob,
    clock,
    diagnosis,
    pause_queue,
    schedule_job,
    schedule_recurring,
)
from django_future.admin.overview import snapshot
from django_future.models import JobProgress, JobStatistics, PausedQueue, RecurringJob
from django_future.status import Status
from django_future.store import backlog, current, store_for
from django_future.store.backlog import Backlog
from django_future.store.current import current_jobs
from django_future.store.queue_states import queue_states
from django_future.worker.heartbeat import new_worker
from tests.shop import jobs
from tests.support.admin_pages import body, job_in
from tests.support.past_jobs import schedule_in_the_past

pytestmark = pytest.mark.django_db
PAGE = "/admin/django_future/"
PART = "/admin/django_future/scheduledjob/overview/"
VIEW = ("view_scheduledjob",)
SEE_ALL = (*VIEW, "view_worker", "view_pausedqueue", "view_recurringjob")
OLD = timedelta(hours=3)


def problems(client):
    return [problem["text"] for problem in client.get(PART).context["problems"]]


def worker(name="host-1", seen=timedelta(), **queues):
    made = new_worker()
    made.name, made.queues = name, queues or {"queues": [], "excluded_queues": []}
    made.seen_at = clock.to_row(store_for("default").now() - seen)
    made.save()
    return made


def due(count=1, queue="mail", age=timedelta(minutes=22)):
    """Insert jobs that have been due for a while."""
    made = [schedule_job("1h", jobs.echo, queue_name=queue) for _ in range(count)]
    at = clock.to_row(store_for("default").now() - age)
    ScheduledJob.objects.filter(pk__in=[job.pk for job in made]).update(scheduled_at=at)
    return made


def test_the_first_page_of_the_app_shows_the_overview_and_its_address(login):
    html = body(login(*VIEW).get(PAGE))
    assert "Problems" in html
    assert f'data-refresh-url="{PART}"' in html
    assert reverse("admin:django_future_overview") == PART


def test_a_user_who_may_not_view_jobs_sees_no_overview(login):
    html = body(login("view_worker").get(PAGE))
    assert "Problems" not in html


def test_all_is_well_in_one_sentence(login):
    worker()
    schedule_job("1h", jobs.echo)
    html = body(login(*VIEW).get(PART))
    assert (
        "Nothing is late, and no failure is open: 0 jobs ended, 0 failed in the last hour." in html
    )


class TestProblems:
    def test_due_jobs_of_a_queue_that_no_worker_serves(self, login):
        worker(queues=["default"], excluded_queues=[])
        due(12)
        [text] = problems(login(*VIEW))
        assert text == (
            "12 jobs are due in “mail”, the oldest for 22 min, and no worker serves it."
        )

    def test_due_jobs_without_any_worker(self, login):
        due(1)
        [text] = problems(login(*VIEW))
        assert text.startswith("1 job is due in “mail”, the oldest for 22 min, and no worker runs.")

    def test_late_jobs_whose_workers_are_busy(self, login):
        worker()
        due(2)
        [text] = problems(login(*VIEW))
        assert "Its workers run other jobs" in text

    def test_a_job_that_is_just_due_is_no_problem(self, login):
        worker()
        due(1, age=timedelta(seconds=1))
        assert problems(login(*VIEW)) == []

    def test_a_paused_queue_with_its_author_and_reason(self, login):
        worker()
        due(1)
        pause_queue("mail", reason="100% month end", paused_by="ada")
        [text] = problems(login(*VIEW))
        assert text.startswith("Queue “mail” has been paused by ada since ")
        assert text.endswith(": 100% month end. 1 job is due.")

    def test_a_paused_queue_without_due_jobs_is_no_problem(self, login):
        worker()
        pause_queue("mail")
        assert problems(login(*VIEW)) == []

    def test_a_worker_that_was_not_seen_lately_with_its_jobs(self, login):
        worker()
        worker("host-3", timedelta(minutes=2))
        running = job_in(Status.RUNNING)
        ScheduledJob.objects.filter(pk=running.pk).update(worker="host-3")
        [text] = problems(login(*VIEW))
        assert text == (
            "Worker host-3 has not been seen for 2 min. Another worker rescues its 1 job."
        )

    def test_lateness_with_the_time_since_when(self, login):
        worker()
        minute_at = store_for("default").now().replace(second=0, microsecond=0)
        JobStatistics.objects.create(
            minute_at=clock.to_row(minute_at), queue_name="default", complete=9, late_2min=9
        )
        [text] = problems(login(*VIEW))
        assert text.startswith("5 % of the jobs started more than 1 min late since ")

    def test_a_recurring_job_that_cannot_be_followed_with_a_link_to_it(self, login):
        worker()
        recurring = schedule_recurring("nightly", jobs.echo, cron="0 3 * * *")
        RecurringJob.objects.filter(pk=recurring.pk).update(error="ValueError: no such zone")
        response = login(*SEE_ALL).get(PART)
        [problem] = response.context["problems"]
        assert problem["text"] == (
            "Recurring job “nightly” cannot be followed: ValueError: no such zone"
        )
        assert problem["url"] == f"/admin/django_future/recurringjob/{recurring.pk}/change/"

    @pytest.mark.parametrize("has_worker", [False, True])
    def test_a_recurring_job_that_no_worker_has_scheduled(self, login, has_worker):
        recurring = schedule_recurring("nightly", jobs.echo, every="1h")
        overdue_at = clock.to_row(store_for("default").now() - timedelta(days=3))
        RecurringJob.objects.filter(pk=recurring.pk).update(next_run_at=overdue_at)
        if has_worker:
            worker()
        assert problems(login(*VIEW)) == [
            "1 recurring job has been due for 3 days, and no worker has scheduled it."
        ]

    def test_a_paused_recurring_job_is_no_problem(self, login):
        worker()
        recurring = schedule_recurring("nightly", jobs.echo, every="1h")
        recurring.pause("later")
        assert problems(login(*VIEW)) == []

    def test_a_job_on_a_worker_that_is_gone(self, login):
        worker()
        job = job_in(Status.RUNNING)
        ScheduledJob.objects.filter(pk=job.pk).update(worker="gone-7")
        assert problems(login(*VIEW)) == [
            "1 job runs on a worker that is gone. Another worker rescues it."
        ]

    def test_parked_jobs(self, login):
        worker()
        job_in(Status.PARKED)
        assert problems(login(*VIEW)) == ["1 job is parked: its signature is not valid."]

    def test_more_failures_than_are_counted(self, login, monkeypatch):
        worker()
        monkeypatch.setattr(snapshot, "MAX_FAILURES", 2)
        for _ in range(3):
            job_in(Status.FAILED)
        assert problems(login(*VIEW)) == ["At least 2 jobs have failed, and are not dealt with."]

    def test_all_is_not_well_if_there_are_more_queues_than_are_read(self, login, monkeypatch):
        worker()
        monkeypatch.setattr(snapshot, "MAX_QUEUES", 2)
        for name in ("a", "b"):
            schedule_job("1h", jobs.echo, queue_name=name)
        html = body(login(*VIEW).get(PART))
        assert "Nothing is late" not in html
        assert "queues are shown." in html

    def test_lost_workers_do_not_hide_a_live_one(self, login, monkeypatch):
        monkeypatch.setattr(diagnosis, "MAX_WORKERS", 2)
        for number in range(3):
            worker(f"a{number}", timedelta(hours=1))
        worker("web-1")
        due(1, age=timedelta())
        assert not any("no worker" in text for text in problems(login(*VIEW)))

    def test_open_failures_with_their_number(self, login):
        worker()
        for _ in range(3):
            job_in(Status.FAILED)
        assert problems(login(*VIEW)) == ["3 jobs have failed, and are not dealt with."]


class TestQueues:
    def test_an_operator_pauses_and_resumes_a_queue(self, login):
        due(1, "mail")
        pause_queue("reports")
        client = login(*VIEW, "pause_queue")
        html = body(client.get(PAGE))
        assert "/admin/django_future/pausedqueue/add/?queue_name=mail" in html
        form = {"action": "resume_selected", "_selected_action": "reports"}
        client.post("/admin/django_future/pausedqueue/", form)
        assert not PausedQueue.objects.exists()

    def test_a_user_without_the_permission_sees_no_button(self, login):
        due(1, "mail")
        pause_queue("reports")
        html = body(login(*SEE_ALL).get(PAGE))
        assert "resume_selected" not in html
        assert "pausedqueue/add/?queue_name" not in html

    def test_a_lost_worker_serves_no_queue(self, login):
        worker(seen=timedelta(minutes=25))
        due(1)
        assert "no worker" in body(login(*VIEW).get(PART))


class TestJobs:
    def test_a_running_job_shows_its_progress_and_since_when_it_runs(self, login):
        worker()
        job = job_in(Status.RUNNING)
        at = clock.to_row(store_for("default").now() - timedelta(minutes=5))
        ScheduledJob.objects.filter(pk=job.pk).update(worker="host-1", started_at=at)
        JobProgress.objects.create(job=job, done=3, total=10, message="resizing", updated_at=at)
        html = body(login(*VIEW).get(PART))
        assert "5 min</time>" in html
        assert "3 of 10, 30\N{NO-BREAK SPACE}%: resizing" in html
        assert "(lost)" not in html

    def test_the_next_jobs_and_recurring_jobs_come_in_the_order_of_their_times(self, login):
        schedule_job("3h", jobs.echo, priority=5)
        schedule_job("2h", jobs.trace)
        schedule_recurring("soon", jobs.echo, every="1h")
        coming = login(*SEE_ALL).get(PART).context["coming"]
        assert [row["name"] for row in coming] == ["soon", "trace", "echo"]

    def test_the_charts_count_what_ended_and_what_comes(self, login):
        schedule_job("30m", jobs.echo)
        schedule_job("5h", jobs.echo)
        minute_at = store_for("default").now().replace(second=0, microsecond=0)
        JobStatistics.objects.create(
            minute_at=clock.to_row(minute_at - OLD), queue_name="default", complete=7, failed=2
        )
        hour, day, next_hour, next_day = login(*VIEW).get(PART).context["charts"]
        assert hour.summary == "0 jobs ended, 0 failed"
        assert day.summary == "9 jobs ended, 2 failed"
        assert [bar.kind for bar in day.bars] == ["complete", "failed"]
        assert next_hour.summary.startswith("Jobs: 1,")
        assert next_day.summary.startswith("Jobs: 2,")
        assert [row[1:4] for row in day.rows if row[1] != "0"] == [["7", "2", "0"]]


def test_a_lower_bound_of_running_jobs_shows_a_plus(login, monkeypatch):
    monkeypatch.setattr(current, "MAX_RUNNING", 1)
    for _ in range(2):
        job_in(Status.RUNNING)
    queues = login(*VIEW).get(PART).context["queues"]
    assert [queue["running"] for queue in queues] == ["1+"]


def test_the_charts_say_if_priorities_are_missing(login, monkeypatch):
    monkeypatch.setattr(current, "MAX_PRIORITIES", 1)
    for priority in (0, 1):
        schedule_job("10m", jobs.echo, priority=priority)
    chart = login(*VIEW).get(PART).context["charts"][2]
    assert "highest priorities are counted" in chart.summary


def test_the_page_takes_six_statements_of_its_own(login):
    worker()
    due(3)
    due(2, "reports")
    pause_queue("mail", reason="x")
    job_in(Status.FAILED)
    job_in(Status.RUNNING)
    schedule_recurring("soon", jobs.echo, every="1h")
    client = login(*VIEW)
    client.get(PART)
    with CaptureQueriesContext(connection) as captured:
        client.get(PART)
    of_django = [
        query for query in captured if "auth_" in query["sql"] or "session" in query["sql"]
    ]
    more = {"mysql": 20}.get(connection.vendor, 0)
    # The transaction of the test keeps PostgreSQL from sending settings with the statements.
    assert len(captured) - len(of_django) <= 6 + more


@pytest.mark.django_db(transaction=True)
class TestQueueStates:
    def test_they_count_the_waiting_and_the_due_jobs_of_each_priority(self):
        store = store_for("default")
        for priority in (-5, 0, 0, 7):
            schedule_job("1h", jobs.echo, queue_name="mail", priority=priority)
        [first] = due(1, "mail", timedelta(hours=1))
        ScheduledJob.objects.filter(pk=first.pk).update(priority=7)
        pause_queue("empty", reason="later")
        empty, mail = queue_states(store, store.now())
        assert empty.backlog == Backlog("empty", 0, 0, None, is_exact=True)
        assert empty.paused is not None
        assert empty.paused.reason == "later"
        first.refresh_from_db()
        oldest_at = clock.from_row(first.scheduled_at)
        assert mail.backlog == Backlog("mail", 5, 1, oldest_at, is_exact=True)
        assert (mail.paused, mail.priorities) == (None, {-5, 0, 7})

    def test_they_agree_with_the_backlog_of_each_queue(self):
        store = store_for("default")
        for number in range(30):
            schedule_job(f"{number}m", jobs.echo, queue_name=f"q{number % 7}", priority=number % 3)
        at = store.now() + timedelta(minutes=10)
        found = [state.backlog for state in queue_states(store, at)]
        assert found == backlog.backlogs(store, backlog.Selection(), at)

    def test_they_are_lower_bounds_from_a_limit_on(self, monkeypatch):
        monkeypatch.setattr(backlog, "MAX_COUNTED", 2)
        store = store_for("default")
        due(4)
        [state] = queue_states(store, store.now())
        assert state.backlog[1:3] == (2, 2)
        assert not state.backlog.is_exact


@pytest.mark.django_db(transaction=True)
class TestCurrentJobs:
    def test_they_are_the_running_jobs_and_the_later_ones(self):
        store = store_for("default")
        late, first = schedule_job("2h", jobs.echo, priority=1), schedule_job("1h", jobs.echo)
        running = job_in(Status.RUNNING)
        schedule_in_the_past(timedelta(hours=1), jobs.echo)
        found = current_jobs(store, {0, 1}, store.now())
        assert [job.id for job in found.running] == [running.pk]
        assert [job.id for job in found.next] == [first.pk, late.pk]
        assert found.next_until is None

    def test_the_next_ones_end_where_a_priority_has_more(self, monkeypatch):
        monkeypatch.setattr(current, "MAX_NEXT", 2)
        store = store_for("default")
        for hours in (1, 2, 3):
            schedule_job(f"{hours}h", jobs.echo)
        found = current_jobs(store, {0}, store.now())
        assert len(found.next) == 2
        assert found.next_until == found.next[-1].scheduled_at
