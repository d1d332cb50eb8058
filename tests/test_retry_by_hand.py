"""The retry of failed, expired and cancelled jobs by hand."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from django_future import ScheduledJob, clock, retry_jobs, run_jobs, schedule_job, schedule_jobs
from django_future.exceptions import NotRetryable
from django_future.models import JobAttempt
from django_future.status import Status
from django_future.store import transitions
from django_future.testing.travel import stopped_clock
from tests.shop import jobs
from tests.shop.models import Order

pytestmark = pytest.mark.django_db


@pytest.fixture
def failed(db):
    """Return a job that failed."""
    job = schedule_job("0s", jobs.fail, expires="3h", unique="k")
    run_jobs(ignore_errors=True)
    job.refresh_from_db()
    return job


def in_state(status, **changes):
    job = schedule_job("1h", jobs.trace)
    ScheduledJob.objects.filter(pk=job.pk).update(status=status, **changes)
    return job


def attempt(job):
    at = clock.to_row(clock.now())
    JobAttempt.objects.create(job=job, number=1, started_at=at, finished_at=at)


class TestOneJob:
    def test_retry_schedules_the_job_for_now(self, failed):
        now = clock.now()
        with stopped_clock(now):
            failed.retry()
        assert failed.status == Status.SCHEDULED
        assert clock.from_row(failed.scheduled_at) == now

    def test_retry_clears_what_the_end_recorded(self, failed):
        ScheduledJob.objects.update(rescues=3)
        failed.retry()
        stored = ScheduledJob.objects.get()
        for job in (stored, failed):
            assert (job.started_at, job.finished_at, job.worker, job.error) == (None, None, "", "")
            assert (job.rescues, job.unique_key) == (0, None)

    def test_retry_keeps_the_lifetime_of_the_job(self, failed):
        failed.retry()
        assert failed.expires_at - failed.scheduled_at == timedelta(hours=3)

    def test_retry_keeps_a_job_without_expiry(self):
        job = schedule_job("0s", jobs.fail, expires=None)
        run_jobs(ignore_errors=True)
        job.retry()
        assert job.expires_at is None

    def test_retry_drops_an_expiry_after_the_calendar(self):
        long_ago, far = datetime(1000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
        job = in_state(
            Status.EXPIRED,
            scheduled_at=clock.to_row(long_ago),
            created_at=clock.to_row(long_ago),
            expires_at=clock.to_row(far),
        )
        job.refresh_from_db()
        job.retry()
        assert job.expires_at is None

    @pytest.mark.parametrize("status", Status.retryable())
    def test_a_retried_job_runs(self, status, trace_texts):
        job = in_state(status)
        job.retry()
        run_jobs()
        job.refresh_from_db()
        assert job.status == Status.COMPLETE
        assert trace_texts() == ["ran"]

    @pytest.mark.parametrize(
        ("most", "attempts", "then"), [(1, 0, 1), (1, 1, 2), (3, 3, 4), (5, 2, 5)]
    )
    def test_retry_allows_another_attempt(self, most, attempts, then):
        job = in_state(Status.FAILED, max_attempts=most)
        for _ in range(attempts):
            attempt(job)
        job.retry()
        assert job.max_attempts == then

    @pytest.mark.parametrize("status", [Status.SCHEDULED, Status.RUNNING, Status.COMPLETE])
    def test_retry_refuses_scheduled_running_and_complete_jobs(self, status):
        job = in_state(status)
        with pytest.raises(NotRetryable, match=f"Job {job.pk} is {status}.*reschedule"):
            job.retry()
        assert ScheduledJob.objects.get().status == job.status == status


class TestManyJobs:
    def test_retry_jobs_counts_the_retried_jobs(self):
        for status in Status:
            in_state(status)
        assert retry_jobs(ScheduledJob.objects.all()) == 3
        assert ScheduledJob.objects.scheduled().count() == 4

    def test_retry_jobs_accepts_a_sliced_queryset(self):
        first, *_ = (in_state(Status.FAILED) for _ in range(3))
        assert retry_jobs(ScheduledJob.objects.order_by("pk")[:1]) == 1
        assert ScheduledJob.objects.scheduled().get() == first

    def test_retry_jobs_can_select_the_jobs_of_an_object(self, order):
        other = Order.objects.create(number="B2")
        for bound in (order, other):
            schedule_job("5d", "remind", bound).cancel()
        assert retry_jobs(ScheduledJob.objects.for_object(order)) == 1

    def test_retry_jobs_works_in_batches(self, monkeypatch):
        monkeypatch.setattr(transitions, "BATCH_SIZE", 2)
        schedule_jobs([{"when": "0s", "callable": jobs.trace}] * 5)
        ScheduledJob.objects.update(status=Status.FAILED)
        assert retry_jobs(ScheduledJob.objects.all()) == 5

    def test_retry_jobs_takes_few_queries(self, django_assert_max_num_queries):
        schedule_jobs([{"when": "0s", "callable": jobs.trace}] * 600)
        ScheduledJob.objects.update(status=Status.FAILED)
        with django_assert_max_num_queries(12):
            assert retry_jobs(ScheduledJob.objects.all()) == 600

    def test_retry_jobs_accepts_an_empty_queryset(self):
        assert retry_jobs(ScheduledJob.objects.none()) == 0

    @pytest.mark.only_on("postgresql", reason="only PostgreSQL has NOTIFY")
    def test_retry_jobs_notifies_workers(self, django_capture_on_commit_callbacks):
        in_state(Status.FAILED)
        with django_capture_on_commit_callbacks() as sent:
            retry_jobs(ScheduledJob.objects.all())
        assert len(sent) == 1

    @pytest.mark.django_db(transaction=True)
    def test_concurrent_retry_jobs_retry_each_job_once(self):
        schedule_jobs([{"when": "0s", "callable": jobs.trace}] * 100)
        ScheduledJob.objects.update(status=Status.FAILED)
        with ThreadPoolExecutor(4) as pool:
            counts = [pool.submit(retry_all_elsewhere) for _ in range(4)]
        assert sum(count.result() for count in counts) == 100


def retry_all_elsewhere():
    try:
        return retry_jobs(ScheduledJob.objects.all())
    finally:
        connection.close()
