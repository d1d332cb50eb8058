"""Another time for a scheduled job."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from django.db import connection

from django_future import (
    ScheduledJob,
    clock,
    move_job,
    run_job_now,
    run_jobs,
    run_jobs_now,
    schedule_job,
    schedule_jobs,
    schedule_recurring,
    trigger_recurring,
)
from django_future.exceptions import InvalidJobs, InvalidTime, NotMovable
from django_future.status import Status
from django_future.store import transitions
from django_future.testing.travel import stopped_clock
from tests.shop import jobs

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def due_in(job):
    return clock.from_row(job.scheduled_at) - clock.now()


def stored(job):
    return ScheduledJob.objects.get(pk=job.pk)


class TestOneJob:
    def test_a_job_moves_to_a_time_from_now(self):
        job = schedule_job("5d", jobs.trace)
        with stopped_clock(clock.now()):
            job.move("3h")
            assert due_in(job) == due_in(stored(job)) == 3 * HOUR

    def test_a_naive_datetime_is_local_time(self, settings):
        settings.TIME_ZONE = "Europe/Berlin"
        job = schedule_job("5d", jobs.trace)
        move_job(job, datetime(2040, 7, 1, 9))
        assert clock.from_row(job.scheduled_at).isoformat() == "2040-07-01T07:00:00+00:00"

    def test_a_moved_job_has_as_much_time_until_it_expires_as_before(self):
        job = schedule_job("5d", jobs.trace, expires="2h")
        job.move("1d")
        assert job.expires_at - job.scheduled_at == 2 * HOUR

    def test_a_job_that_never_expires_does_not_expire_after_the_move(self):
        job = schedule_job("5d", jobs.trace, expires=None)
        job.move("1d")
        assert job.expires_at is None

    def test_a_job_that_waits_for_another_attempt_keeps_its_lifetime(self):
        job = schedule_job("0s", jobs.fail, expires="3h", max_attempts=2, backoff=["1h"])
        run_jobs(ignore_errors=True)
        job.refresh_from_db()
        assert job.first_due_at is not None
        job.move("1d")
        assert (job.expires_at - job.scheduled_at, job.first_due_at) == (3 * HOUR, None)

    def test_a_time_that_has_passed_means_now(self):
        job = schedule_job("5d", jobs.trace, expires="2h")
        with stopped_clock(clock.now()):
            job.move(timedelta(days=-3))
            assert due_in(job) == timedelta(0)
        assert job.expires_at - job.scheduled_at == 2 * HOUR

    def test_a_moved_job_runs_at_its_new_time(self, trace_texts):
        job = schedule_job("5d", jobs.trace)
        job.run_now()
        run_jobs()
        assert (stored(job).status, trace_texts()) == (Status.COMPLETE, ["ran"])

    def test_a_due_job_keeps_its_place_when_it_is_run_now(self):
        with stopped_clock(clock.now() - HOUR):
            job = schedule_job("0s", jobs.trace)
        scheduled_at = stored(job).scheduled_at
        run_job_now(job)
        assert stored(job).scheduled_at == scheduled_at

    def test_a_job_that_has_expired_unnoticed_gets_its_time_again(self, trace_texts):
        with stopped_clock(clock.now() - HOUR):
            job = schedule_job("0s", jobs.trace, expires="10m")
        job.run_now()
        run_jobs()
        assert trace_texts() == ["ran"]

    def test_a_moved_run_still_stands_for_its_instant(self):
        schedule_recurring("daily", jobs.trace, cron="0 9 * * *", timezone="UTC")
        job = trigger_recurring("daily")
        recurs_at = clock.to_row(clock.now())
        ScheduledJob.objects.filter(pk=job.pk).update(recurs_at=recurs_at)
        job.move("3h")
        moved = stored(job)
        assert (moved.recurs_at, moved.recurring_id) == (recurs_at, job.recurring_id)

    @pytest.mark.parametrize("status", [*Status.final(), Status.RUNNING])
    def test_a_job_that_is_not_scheduled_any_more_is_not_moved(self, status):
        job = schedule_job("5d", jobs.trace)
        ScheduledJob.objects.update(status=status)
        with pytest.raises(NotMovable, match=f"Job {job.pk} is {status}.*reschedule"):
            job.move("1h")
        assert (job.status, stored(job).scheduled_at) == (status, job.scheduled_at)

    def test_a_parked_job_is_not_moved_but_signed(self):
        job = schedule_job("5d", jobs.trace)
        ScheduledJob.objects.update(status=Status.PARKED)
        with pytest.raises(NotMovable, match="future_sign"):
            job.run_now()

    @pytest.mark.parametrize("when", ["tomorrow", None, 5, datetime.max])
    def test_a_value_that_is_no_time_is_refused(self, when):
        job = schedule_job("5d", jobs.trace)
        with pytest.raises(InvalidTime):
            job.move(when)


class TestManyJobs:
    def test_run_jobs_now_counts_the_scheduled_jobs(self):
        for status in Status:
            job = schedule_job("5d", jobs.trace)
            ScheduledJob.objects.filter(pk=job.pk).update(status=status)
        assert run_jobs_now(ScheduledJob.objects.all()) == 1
        assert ScheduledJob.objects.due().count() == 1

    def test_run_jobs_now_accepts_a_sliced_queryset(self):
        first, *_ = schedule_jobs([{"when": "5d", "callable": jobs.trace}] * 3)
        assert run_jobs_now(ScheduledJob.objects.order_by("pk")[:1]) == 1
        assert ScheduledJob.objects.due().get() == first

    def test_run_jobs_now_works_in_batches_and_keeps_each_lifetime(self, monkeypatch):
        monkeypatch.setattr(transitions, "BATCH_SIZE", 2)
        spec = {"when": "5d", "callable": jobs.trace}
        schedule_jobs([spec | {"expires": f"{hours}h"} for hours in (1, 1, 2, 3, 3)])
        assert run_jobs_now(ScheduledJob.objects.all()) == 5
        lifetimes = [job.expires_at - job.scheduled_at for job in ScheduledJob.objects.all()]
        assert sorted(lifetimes) == [HOUR, HOUR, 2 * HOUR, 3 * HOUR, 3 * HOUR]

    def test_run_jobs_now_takes_few_queries(self, django_assert_max_num_queries):
        schedule_jobs([{"when": "5d", "callable": jobs.trace}] * 600)
        with django_assert_max_num_queries(12):
            assert run_jobs_now(ScheduledJob.objects.all()) == 600

    def test_run_jobs_now_refuses_what_is_no_queryset(self):
        with pytest.raises(InvalidJobs):
            run_jobs_now([schedule_job("5d", jobs.trace)])

    @pytest.mark.only_on("postgresql", reason="only PostgreSQL has NOTIFY")
    def test_only_a_move_to_a_time_that_is_near_notifies_workers(
        self, django_capture_on_commit_callbacks
    ):
        job = schedule_job("5d", jobs.trace)
        with django_capture_on_commit_callbacks() as near:
            job.run_now()
        with django_capture_on_commit_callbacks() as far:
            job.move("3h")
        assert (len(near), len(far)) == (1, 0)

    @pytest.mark.django_db(transaction=True)
    def test_moves_in_several_transactions_at_once_do_not_deadlock(self):
        schedule_jobs([{"when": "5d", "callable": jobs.trace}] * 100)
        with ThreadPoolExecutor(4) as pool:
            counts = [pool.submit(run_all_elsewhere) for _ in range(4)]
        assert [count.result() for count in counts] == [100] * 4


def run_all_elsewhere():
    try:
        return run_jobs_now(ScheduledJob.objects.all())
    finally:
        connection.close()
