"""`travel_to`, which executes the jobs of a period of time."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.test import TestCase
from django.utils import timezone

from django_future import ScheduledJob, clock, pause_queue, schedule_job
from django_future.exceptions import InvalidTime, RunInsideTransaction
from django_future.models import Worker
from django_future.testing import assert_none_left, assert_scheduled, travel_to
from django_future.testing.travel import stopped_clock
from tests.shop import flaky, jobs
from tests.shop.models import Trace
from tests.support.past_jobs import schedule_in_the_past

pytestmark = pytest.mark.django_db

AN_HOUR = timedelta(hours=1)  # much less than the tests travel


class TestJobs:
    def test_travel_to_runs_jobs_by_time_and_then_by_priority(self):
        day = clock.now() + timedelta(days=1)
        late = schedule_job("2d", jobs.echo, priority=9)
        idle = schedule_job(day, jobs.echo)
        urgent = schedule_job(day, jobs.echo, priority=9)
        overdue = schedule_job("2020-01-01", jobs.echo, expires=None)
        schedule_job("3d", jobs.echo)
        assert travel_to("47h") == [overdue, urgent, idle]
        assert travel_to("2d") == [late]

    def test_travel_to_runs_jobs_up_to_its_target(self):
        target = timezone.now() + timedelta(days=1)
        last = schedule_job(target, jobs.echo)
        schedule_job(target + timedelta(microseconds=1), jobs.echo)
        assert travel_to(target) == [last]

    def test_travel_to_runs_newly_scheduled_jobs_at_their_time(self):
        schedule_job("1d", jobs.repeat, args=["2d"])
        ran = travel_to("6d")
        first = ran[0].return_value
        assert [job.return_value - first for job in ran] == [timedelta(days=n) for n in (0, 2, 4)]

    def test_travel_to_runs_jobs_scheduled_for_now_at_the_same_time(self, trace_texts):
        schedule_job("1d", jobs.schedule_another)
        first, second = travel_to("1d")
        assert trace_texts() == ["by another"]
        assert first.scheduled_at == second.scheduled_at

    def test_travel_to_retries_failed_jobs_at_their_time(self):
        scheduled = flaky.charge.schedule("1d", 5)
        ran = travel_to("2d", raise_errors=False)
        assert ran == [scheduled] * 3
        first, second, third = scheduled.failed_attempts.order_by("number")
        assert second.started_at - first.started_at == timedelta(minutes=1)
        assert third.started_at - second.started_at == timedelta(hours=1)

    def test_travel_to_retries_jobs_that_raise_retry_until_they_expire(self):
        flaky.poll.using(expires="12m").schedule("1d", until=99)
        assert len(travel_to("2d", raise_errors=False)) == 3
        assert ScheduledJob.objects.get().status == "failed"

    def test_travel_to_expires_overdue_jobs(self):
        overdue = schedule_in_the_past(timedelta(days=8), jobs.echo)
        in_time = schedule_job("1d", jobs.echo, expires="1s")
        assert travel_to("3d") == [in_time]
        overdue.refresh_from_db()
        assert overdue.status == "expired"

    def test_travel_to_marks_jobs_that_expire_before_its_target(self):
        schedule_job("1d", jobs.echo, expires="1h")
        pause_queue("default")
        assert travel_to("2d") == []
        assert ScheduledJob.objects.latest("pk").status == "expired"

    @pytest.mark.django_db(databases="__all__")
    def test_travel_to_runs_jobs_of_another_database(self):
        schedule_job("1d", jobs.echo)
        other = schedule_job("1d", jobs.echo, using="other")
        assert travel_to("2d", using="other") == [other]

    def test_travel_to_works_without_jobs(self):
        assert travel_to("0s") == []

    def test_travel_to_stops_jobs_that_schedule_themselves_for_ever(self):
        schedule_job("1d", jobs.schedule_itself)
        with pytest.raises(
            AssertionError, match=r"100 passes at .* and 100 jobs, more jobs are due"
        ):
            travel_to("2d")

    def test_travel_to_runs_the_hourly_jobs_of_a_day(self):
        schedule_job("1h", jobs.repeat, args=["1h"])
        assert len(travel_to("1d")) == 24


class TestClock:
    def test_the_clock_is_stopped_at_the_time_of_each_job(self):
        schedule_job("1d", jobs.read_clocks)
        schedule_job("2d", jobs.read_clocks)
        for job in travel_to("3d"):
            assert set(job.return_value) == {clock.from_row(job.scheduled_at)}

    def test_the_times_of_a_row_are_those_of_the_stopped_clock(self):
        schedule_job("1d", jobs.trace)
        [ran] = travel_to("2d")
        ran.refresh_from_db()
        assert ran.scheduled_at == ran.started_at == ran.finished_at

    def test_the_clock_is_real_after_an_error(self):
        schedule_job("1d", jobs.fail)
        with pytest.raises(ValueError, match="fail"):
            travel_to("2d")
        assert abs(datetime.now(UTC) - clock.from_row(timezone.now())) < AN_HOUR
        assert abs(datetime.now(UTC) - clock.now()) < AN_HOUR

    def test_the_stopped_clock_works_with_template_localtime(self):
        noon = datetime(2030, 7, 1, 12, tzinfo=UTC)
        with stopped_clock(noon):
            assert timezone.template_localtime(noon, use_tz=True).hour == 14

    @pytest.mark.parametrize("hour", [0, 1])
    def test_the_stopped_clock_distinguishes_a_repeated_hour(self, settings, hour):
        settings.USE_TZ = False
        instant = datetime(2030, 10, 27, hour, 30, tzinfo=UTC)
        with stopped_clock(instant):
            assert timezone.now() == datetime(2030, 10, 27, 2, 30)
            assert clock.from_row(timezone.now()) == instant


class TestErrors:
    def test_travel_to_raises_the_error_of_a_handler(self):
        schedule_job("1d", jobs.fail)
        later = schedule_job("2d", jobs.echo)
        with pytest.raises(ValueError, match="fail"):
            travel_to("3d")
        later.refresh_from_db()
        assert later.status == "scheduled"
        assert not Worker.objects.exists()

    def test_travel_to_can_continue_after_errors(self):
        schedule_job("1d", jobs.fail)
        schedule_job("2d", jobs.echo)
        ran = travel_to("3d", raise_errors=False)
        assert [job.status for job in ran] == ["failed", "complete"]

    def test_travel_to_refuses_a_target_in_the_past(self):
        with pytest.raises(InvalidTime, match=r"'2020-01-01' is 2019-12-31 23:00:00\+00:00, which"):
            travel_to("2020-01-01")

    @pytest.mark.django_db(transaction=True)
    def test_travel_to_refuses_an_open_transaction(self):
        with transaction.atomic(), pytest.raises(RunInsideTransaction):
            travel_to("1d")

    @pytest.mark.django_db(transaction=True)
    def test_travel_to_runs_each_job_in_its_own_transaction(self, trace_texts):
        schedule_job("1d", jobs.trace_and_fail)
        schedule_job("2d", jobs.trace)
        travel_to("3d", raise_errors=False)
        assert trace_texts() == ["ran"]


class TestInAPlainTestCase(TestCase):
    def test_travel_to_works_in_a_plain_test_case(self):
        schedule_job("1d", jobs.trace)
        schedule_job("9d", jobs.trace)
        travel_to(timedelta(days=5))
        assert Trace.objects.count() == 1
        assert_scheduled(jobs.trace, at="9d", count=1)
        travel_to("10d")
        assert_none_left()
