"""The log of jobs, as text and as JSON."""

import io
import json
import logging
from datetime import timedelta

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_future import clock, run_jobs, schedule_job, schedule_jobs, signals
from django_future.log import log_finished
from django_future.log_stream import to_stream
from django_future.models import ScheduledJob
from django_future.store import store_for
from django_future.testing.travel import stopped_clock
from django_future.worker import maintenance
from tests.shop import flaky, jobs

pytestmark = pytest.mark.django_db


@pytest.fixture
def logger():
    """Return the logger of this package without any configuration."""
    found = logging.getLogger("django_future")
    handlers, propagates, level = found.handlers[:], found.propagate, found.level
    found.propagate = False
    yield found
    found.handlers[:], found.propagate = handlers, propagates
    found.setLevel(level)


@pytest.fixture
def text(logger):
    """Return a function that returns the log as text."""
    stream = io.StringIO()
    to_stream(stream, "text", 1)
    return stream.getvalue


@pytest.fixture
def json_lines(logger):
    """Return a function that returns the lines of the JSON log."""
    stream = io.StringIO()
    to_stream(stream, "json", 1)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def run():
    run_jobs(ignore_errors=True)


class TestFinished:
    def test_the_log_names_the_content_object(self, order, text):
        job = schedule_job("0s", "remind", content_object=order)
        run()
        assert f"Job {job.pk} remind (shop.order {order.pk}) complete: queue default" in text()

    def test_the_json_log_names_the_content_object(self, order, json_lines):
        schedule_job("0s", "remind", content_object=order)
        schedule_job("0s", jobs.echo)
        run()
        bound, unbound = json_lines()
        assert bound["object"] == f"shop.order {order.pk}"
        assert "object" not in unbound

    def test_the_log_makes_no_query_for_a_content_type(self, order, text):
        schedule_job("0s", "remind", content_object=order)
        [job] = store_for("default").jobs.filter(object_id=order.pk)
        ContentType.objects.clear_cache()
        job.started_at = job.finished_at = job.scheduled_at
        with CaptureQueriesContext(connection) as queries:
            log_finished(job=job, exception=None)
        assert list(queries) == []
        assert f"(object {order.pk} of content type {job.content_type_id}) scheduled" in text()


class TestRetry:
    def test_the_log_of_a_retry_gives_the_error_the_attempt_and_the_next_time(self, text):
        job = flaky.charge.schedule("0s", 5)
        with timezone.override("Pacific/Kiritimati"):
            run()
        job.refresh_from_db()
        at = clock.from_row(job.scheduled_at).astimezone(timezone.get_default_timezone())
        first, *others = text().splitlines()
        assert first.endswith(
            f"WARNING Job {job.pk} tests.shop.flaky.charge failed in attempt 1 of 3 and will be "
            f"tried again at {at:%Y-%m-%d %H:%M:%S}: tests.shop.flaky.Declined: 5 declined"
        )
        assert others[0] == "Traceback (most recent call last):"

    def test_the_json_log_of_a_retry_gives_the_error_the_attempt_and_the_next_time(
        self, json_lines
    ):
        job = flaky.charge.schedule("0s", 5)
        run()
        job.refresh_from_db()
        [line] = json_lines()
        assert (line["job"], line["handler"]) == (job.pk, "tests.shop.flaky.charge")
        assert (line["outcome"], line["attempt"], line["max_attempts"]) == ("retried", 1, 3)
        assert line["next_at"] == clock.from_row(job.scheduled_at).isoformat()
        assert line["exception"] == "tests.shop.flaky.Declined"
        assert "5 declined" in line["traceback"]

    def test_a_retry_requested_by_a_handler_is_logged_at_info(self, text):
        job = schedule_job("0s", flaky.come_again)
        run()
        assert f"INFO Job {job.pk} tests.shop.flaky.come_again raised Retry and will be" in text()

    def test_the_log_of_a_retry_beyond_max_attempts_omits_the_maximum(self, text):
        job = flaky.charge.schedule("0s", 5)
        ScheduledJob.objects.filter(pk=job.pk).update(attempts=6)
        run()
        assert "failed in attempt 7 and will" in text()


class TestExpiry:
    def expire(self, count):
        with stopped_clock(clock.now() - timedelta(hours=2)):
            schedule_jobs([{"when": "0s", "callable": jobs.echo, "expires": "1h"}] * count)
        maintenance.expire(store_for("default"), clock.now())

    def test_the_log_names_one_expired_job(self, text):
        self.expire(1)
        [job] = ScheduledJob.objects.all()
        line = f"1 job expired before it could run: {job.pk} tests.shop.jobs.echo\n"
        assert text().endswith(line)

    def test_the_log_names_ten_of_many_expired_jobs(self, text):
        self.expire(12)
        assert text().count("tests.shop.jobs.echo") == 10
        assert "12 jobs expired before they could run: " in text()
        assert text().endswith(", and 2 more\n")

    def test_the_log_counts_expired_jobs_over_all_batches(self, json_lines):
        self.expire(1100)
        [line] = json_lines()
        assert (line["count"], len(line["jobs"])) == (1100, 10)
        assert set(ScheduledJob.objects.values_list("pk", flat=True)) > {
            job["id"] for job in line["jobs"]
        }


@pytest.mark.parametrize("signal", ["job_finished", "job_retried", "job_lost", "job_rescued"])
def test_each_json_log_line_about_a_job_names_it_and_its_handler(signal, order, json_lines):
    job = schedule_job("0s", "remind", content_object=order)
    job.started_at = job.finished_at = job.scheduled_at
    getattr(signals, signal).send(ScheduledJob, job=job, exception=ValueError("no"))
    [line] = json_lines()
    assert (line["job"], line["handler"]) == (job.pk, "remind")
    assert line["object"] == f"shop.order {order.pk}"
