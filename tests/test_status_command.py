"""The command `manage.py future_status`."""

import json
import re
from datetime import timedelta

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command
from django.db import connection

from django_future import (
    RecurringJob,
    ScheduledJob,
    clock,
    deal_with_failures,
    pause_queue,
    run_jobs,
    schedule_job,
    schedule_recurring,
)
from django_future import schedule_jobs as schedule
from django_future.store import Selection, backlog, recent, store_for, unknown_handlers
from django_future.store.backlog import backlog_of
from django_future.store.workers import register
from django_future.worker import maintenance
from django_future.worker.heartbeat import new_worker
from tests.shop import jobs
from tests.support.rows import rewrite

pytestmark = pytest.mark.django_db


@pytest.fixture
def show(capsys):
    """Return a function that returns the output of the command."""

    def shown(*arguments):
        call_command("future_status", *arguments)
        return capsys.readouterr().out

    return shown


@pytest.fixture
def data(show):
    """Return a function that returns the decoded JSON output of the command."""
    return lambda *arguments: json.loads(show("--json", *arguments))


@pytest.fixture
def worker():
    """Return a function that registers a worker as alive."""

    def registered(*queues):
        found = new_worker("host", Selection(queues=queues))
        register(store_for("default"), found)
        return found.name

    return registered


def columns(text, name):
    [line] = [line for line in text.splitlines() if line.startswith(name)]
    return line.split("  ")


def overdue_job():
    """Return a job that was due two hours ago, and whose expiry was an hour ago."""
    job = schedule_job("5d", jobs.echo)
    now = clock.now()
    ScheduledJob.objects.filter(pk=job.pk).update(
        scheduled_at=clock.to_row(now - timedelta(hours=2)),
        expires_at=clock.to_row(now - timedelta(hours=1)),
    )
    return job


class TestQueues:
    def test_future_status_lists_queues_with_waiting_and_due_jobs(self, show, worker):
        name = worker("default")
        schedule_job(timedelta(hours=-3), jobs.echo, expires=None)
        schedule_job("1h", jobs.echo)
        schedule_job("1h", jobs.echo, queue_name="mail")
        text = show()
        assert columns(text, "default") == [*columns(text, "default")[:-1], name]
        assert " ".join(text.split()).count(f"default 2 1 3 hours ago {name}") == 1
        assert " ".join(text.split()).count("mail 1 0 no worker") == 1

    def test_future_status_lists_paused_queues_without_jobs(self, show):
        pause_queue("mail", reason="month end")
        assert "no worker; paused since" in show()
        assert ": month end\n" in show()

    def test_future_status_lists_queues_as_json(self, data, worker):
        name = worker()
        schedule_job(timedelta(hours=-3), jobs.echo, expires=None)
        pause_queue("mail", reason="month end")
        default, mail = data()["queues"]
        assert (default["queue"], default["waiting"], default["due"]) == ("default", 1, 1)
        assert default["oldest_due_at"].endswith("+00:00")
        assert (default["is_paused"], default["workers"]) == (False, [name])
        assert (mail["queue"], mail["is_paused"], mail["reason"]) == ("mail", True, "month end")

    def test_future_status_of_an_empty_database_suggests_the_next_step(self, show):
        text = show()
        assert "No job waits, and no queue is paused." in text
        assert "No worker runs. Jobs wait for the next `manage.py runscheduledjobs`, or" in text
        assert "No jobs failed in the last 24 hours." in text

    def test_a_backlog_counts_all_priorities(self):
        schedule(
            {"when": timedelta(minutes=-number), "callable": jobs.echo, "priority": number % 7}
            for number in range(-3, 20)
        )
        found = backlog_of(store_for("default"), "default", clock.now())
        assert (found.waiting, found.due, found.is_exact) == (23, 20, True)
        oldest = ScheduledJob.objects.earliest("scheduled_at")
        assert found.oldest_at == clock.from_row(oldest.scheduled_at)

    def test_a_backlog_is_counted_up_to_a_maximum(self, monkeypatch, show):
        monkeypatch.setattr(backlog, "MAX_COUNTED", 3)
        schedule([{"when": "0s", "callable": jobs.echo}] * 5)
        assert " ".join(show().split()).count("default 3+ 3+") == 1

    def test_a_backlog_reads_a_limited_number_of_priorities(self, monkeypatch):
        monkeypatch.setattr(backlog, "MAX_PRIORITIES", 2)
        schedule([{"when": "0s", "callable": jobs.echo, "priority": n} for n in range(5)])
        found = backlog_of(store_for("default"), "default", clock.now())
        assert (found.due, found.is_exact) == (2, False)


class TestFinishedJobs:
    def test_future_status_lists_failed_and_expired_jobs_of_the_last_day(self, show, data):
        failed = schedule_job("0s", jobs.fail)
        run_jobs(ignore_errors=True)
        expired = overdue_job()
        maintenance.expire(store_for("default"), clock.now())
        text = show()
        assert "1 job failed in the last 24 hours:\n" in text
        assert f"  {failed.pk} tests.shop.jobs.fail at " in text
        assert ": ValueError: fail\n" in text
        assert "1 job expired in the last 24 hours:\n" in text
        assert [job["job"] for job in data()["expired"]["latest"]] == [expired.pk]
        assert data()["failed"]["latest"][0]["error"] == "ValueError: fail"

    def test_failures_that_are_dealt_with_are_counted_and_not_listed(self, show, data):
        schedule([{"when": "0s", "callable": jobs.fail}] * 3)
        run_jobs(ignore_errors=True)
        first, *others = ScheduledJob.objects.order_by("pk")
        deal_with_failures(ScheduledJob.objects.exclude(pk=first.pk))
        text = show()
        assert "1 job failed in the last 24 hours:\n" in text
        assert "2 jobs failed in the last 24 hours and are dealt with.\n" in text
        assert not any(f"  {job.pk} tests.shop" in text for job in others)
        failed = data()["failed"]
        assert (failed["number"], failed["dealt_with"], failed["is_exact"]) == (1, 2, True)
        assert [job["job"] for job in failed["latest"]] == [first.pk]

    def test_failures_that_are_all_dealt_with_are_no_news(self, show):
        schedule_job("0s", jobs.fail)
        run_jobs(ignore_errors=True)
        deal_with_failures(ScheduledJob.objects.all())
        text = show()
        assert "1 job failed in the last 24 hours and is dealt with.\n" in text
        assert "No jobs failed" not in text
        assert "ValueError: fail" not in text

    def test_failures_are_counted_up_to_a_maximum(self, monkeypatch, show):
        monkeypatch.setattr(recent, "MAX_COUNTED", 2)
        schedule([{"when": "0s", "callable": jobs.fail}] * 4)
        run_jobs(ignore_errors=True)
        deal_with_failures(ScheduledJob.objects.order_by("-finished_at")[:1])
        text = show()
        assert "At least 2 jobs failed in the last 24 hours:\n" in text
        assert "1 job failed in the last 24 hours and is dealt with.\n" in text

    def test_future_status_omits_jobs_that_failed_earlier(self, show):
        schedule_job("0s", jobs.fail)
        run_jobs(ignore_errors=True)
        ended_at = clock.to_row(clock.now() - timedelta(days=2))
        ScheduledJob.objects.update(finished_at=ended_at)
        assert "No jobs failed in the last 24 hours." in show()

    def test_future_status_lists_overdue_jobs_that_are_not_marked(self, show):
        overdue_job()
        assert "1 job overdue, and not yet marked as expired:" in show()

    def test_future_status_counts_and_lists_failures_up_to_a_maximum(self, monkeypatch, show):
        monkeypatch.setattr(recent, "MAX_COUNTED", 12)
        schedule([{"when": "0s", "callable": jobs.fail}] * 13)
        run_jobs(ignore_errors=True)
        assert "At least 12 jobs failed in the last 24 hours; the latest 10:" in show()


class TestUnknownHandlers:
    @pytest.fixture
    def moved(self, order):
        """Return released jobs of a function and of a method that the code does not have."""
        [first, *_] = schedule([{"when": "0s", "callable": jobs.trace}] * 3)
        method = schedule_job("0s", "remind", order, priority=5)
        rewrite(first, callable_name="tests.shop.jobs.trase")
        rewrite(method, callable_name="remnd")
        run_jobs()
        return first, method

    def test_future_status_lists_handlers_that_a_worker_did_not_know(self, show, moved):
        for _ in range(2):
            rewrite(schedule_job("0s", jobs.trace), callable_name="tests.shop.jobs.trase")
        lines = show().splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith("Handlers that a worker"))
        assert "rename them with `manage.py future_rename`:" in lines[start]
        function, method = lines[start + 1 : start + 3]
        assert function.startswith("  tests.shop.jobs.trase: 3 jobs due. Worker ")
        assert function.endswith("Did you mean 'tests.shop.jobs.trace'?")
        assert method.startswith("  remnd: 1 job due. Worker ")
        assert method.endswith("Did you mean 'remind'?")

    def test_the_json_contains_handlers_that_a_worker_did_not_know(self, data, moved):
        [method, function] = sorted(data()["unknown_handlers"], key=lambda each: each["handler"])
        assert (function["handler"], function["due"]) == ("tests.shop.jobs.trase", 1)
        assert (method["handler"], method["is_exact"]) == ("remnd", True)
        assert "shop.Order has no public method 'remnd'" in method["error"]

    def test_handlers_are_counted_and_listed_up_to_a_maximum(self, show, monkeypatch):
        for number in range(12):
            rewrite(schedule_job("0s", jobs.trace), callable_name=f"tests.shop.jobs.gone_{number}")
        run_jobs()
        text = show()
        assert text.count(": 1 job due. Worker") == 10
        assert "\n  and 2 more\n" in text
        monkeypatch.setattr(unknown_handlers, "MAX_COUNTED", 11)
        assert "\n  and at least 1 more\n" in show()

    def test_a_handler_that_no_worker_has_tried_is_not_listed(self, show):
        rewrite(schedule_job("0s", jobs.trace), callable_name="tests.shop.jobs.trase")
        assert "Handlers that a worker" not in show()

    def test_a_job_that_has_ended_or_waits_for_later_is_not_listed(self, show, moved):
        first, method = moved
        first.cancel()
        method.move("1h")
        assert "Handlers that a worker" not in show()

    @pytest.mark.only_on("sqlite", reason="only SQLite takes a text that is not UTF-8")
    def test_a_name_that_is_not_utf8_hides_no_handler(self, show, moved):
        broken = schedule_job("0s", jobs.trace)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE django_future_scheduledjob SET callable_name = CAST(x'ff' AS TEXT) "
                "WHERE id = %s",
                [broken.pk],
            )
        assert "  remnd: 1 job due." in show()


class TestWorkers:
    def test_future_status_lists_workers(self, show, data, worker):
        name = worker("mail")
        assert f"{name}  mail" in show()
        assert "0 seconds ago" in show()
        settled = data()["workers"]
        assert [(each["name"], each["queues"], each["is_alive"]) for each in settled] == [
            (name, ["mail"], True)
        ]
        assert settled[0]["excluded_queues"] == []

    def test_future_status_counts_and_lists_the_jobs_that_run_now(self, show, data):
        job, store, host = schedule_job("0s", jobs.echo), store_for("default"), new_worker("host")
        register(store, host)
        store.claim(host, at=clock.now(), limit=1)
        assert re.search(rf"^{host.name}  all +1 +\d+ seconds? ago$", show(), re.MULTILINE)
        assert "1 job running:\n" in show()
        assert re.search(rf"  {job.pk} tests.shop.jobs.echo since [\d:]+, by {host.name}\n", show())
        assert data()["workers"][0]["running"] == 1
        assert [each["job"] for each in data()["running"]["latest"]] == [job.pk]


class TestJob:
    def test_future_status_explains_a_job(self, show, order):
        job = schedule_job("5d", "remind", content_object=order)
        first, second, third = show(str(job.pk)).splitlines()
        assert first == f"Job {job.pk} remind (shop.order {order.pk}) is scheduled."
        assert second.startswith("  It is due in ")
        assert third.startswith("  No worker runs for the database 'default'.")

    def test_future_status_names_the_model_of_an_object_in_a_new_process(self, show, order):
        waiting = schedule_job("5d", "remind", content_object=order)
        failed = schedule_job("0s", "remind", content_object=order, args=["a text"])
        run_jobs(ignore_errors=True)
        ContentType.objects.clear_cache()
        assert f"Job {waiting.pk} remind (shop.order {order.pk}) is" in show(str(waiting.pk))
        ContentType.objects.clear_cache()
        assert f"{failed.pk} remind (shop.order {order.pk})" in show()

    def test_future_status_explains_a_job_as_json(self, data):
        job = schedule_job("5d", jobs.echo)
        found = data(str(job.pk))
        assert (found["job"], found["handler"]) == (job.pk, "tests.shop.jobs.echo")
        assert [reason["code"] for reason in found["reasons"]] == ["not_due", "no_worker"]

    def test_future_status_reports_a_missing_job(self, show):
        with pytest.raises(CommandError, match="There is no job 12345 in the database 'default'"):
            show("12345")


@pytest.mark.django_db(databases=["default", "other"])
def test_future_status_shows_another_database(data):
    schedule_job("5d", jobs.echo, using="other")
    assert (data()["queues"], len(data("--database", "other")["queues"])) == ([], 1)


class TestRecurringJobs:
    @pytest.fixture
    def broken(self):
        """Schedule a recurring job that cannot be followed."""
        recurring = schedule_recurring("report", jobs.echo, cron="0 9 * * *")
        RecurringJob.objects.update(error="Traceback\nHandlerUnknown: gone")
        return recurring

    def test_it_lists_recurring_jobs_that_cannot_be_followed(self, show, broken):
        assert "  report (tests.shop.jobs.echo): HandlerUnknown: gone" in show()

    def test_the_json_contains_recurring_jobs_that_cannot_be_followed(self, data, broken):
        [entry] = data()["broken_recurring"]
        assert entry == {
            "name": "report",
            "handler": "tests.shop.jobs.echo",
            "error": "HandlerUnknown: gone",
        }

    def test_it_does_not_mention_those_that_can_be_followed(self, show):
        schedule_recurring("report", jobs.echo, cron="0 9 * * *")
        assert "report" not in show()
