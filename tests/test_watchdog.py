"""Timeouts, stuck handlers and the cancelling of running jobs."""

import math
from datetime import timedelta
from threading import Event, Thread

import pytest
from django.db import connection

from django_future import ScheduledJob, cancel_jobs, clock, run_jobs, schedule_job
from django_future.exceptions import InvalidOption, NotCancellable
from django_future.execution import watchdog
from django_future.models import JobAttempt, Worker
from django_future.status import Status
from django_future.store import store_for
from django_future.worker.pool import Pool
from tests.shop import flaky, hostile, jobs
from tests.support.waiting import MAX_WAIT_SECONDS, eventually, has_ended, wait_for_exit

pytestmark = pytest.mark.django_db(transaction=True)


def run(scheduled):
    """Execute due jobs, and refresh a job."""
    run_jobs(ignore_errors=True)
    scheduled.refresh_from_db()


@pytest.fixture
def nothing_is_stuck(monkeypatch):
    """Wait for an interrupted handler without a limit."""
    monkeypatch.setattr(watchdog, "GRACE_SECONDS", math.inf)


class TestTimeout:
    @pytest.mark.parametrize(
        "handler",
        [flaky.loop, flaky.swallow, flaky.loop_async, flaky.sleep_in_the_database],
        ids=lambda handler: handler.__name__,
    )
    @pytest.mark.usefixtures("nothing_is_stuck")
    def test_a_timeout_interrupts_the_handler_and_rolls_back(self, handler, trace_texts):
        scheduled = handler.schedule("0s")
        run(scheduled)
        assert scheduled.status == Status.FAILED
        assert flaky.UNINTERRUPTED not in scheduled.error
        name = f"tests.shop.flaky.{handler.__name__}"
        assert f"JobTimeout: {name} ran for longer than its timeout of 0.2 s." in scheduled.error
        assert trace_texts() == []

    def test_a_timeout_shows_where_the_handler_was(self):
        scheduled = flaky.loop.schedule("0s")
        run(scheduled)
        assert "in loop" in scheduled.error

    def test_a_timeout_counts_as_a_failed_attempt(self):
        scheduled = flaky.loop.using(max_attempts=2).schedule("0s")
        run(scheduled)
        assert scheduled.status == Status.SCHEDULED
        assert JobAttempt.objects.get().exception == "django_future.exceptions.JobTimeout"

    @pytest.mark.usefixtures("nothing_is_stuck")
    def test_a_timeout_does_not_affect_later_jobs(self, trace_texts):
        for _ in range(3):
            flaky.sleep_in_the_database.using(priority=1).schedule("0s")
            schedule_job("0s", jobs.trace)
        run(ScheduledJob.objects.first())
        assert trace_texts() == ["ran"] * 3

    def test_a_handler_within_its_timeout_is_not_interrupted(self):
        scheduled = flaky.trace_in_steps.using(timeout="30s").schedule("0s")
        run(scheduled)
        assert scheduled.status == Status.COMPLETE

    @pytest.mark.usefixtures("nothing_is_stuck")
    def test_schedule_job_can_set_a_timeout(self):
        scheduled = schedule_job("0s", flaky.run_long_statement, timeout="0.3s")
        run(scheduled)
        assert "0.3 s" in scheduled.error
        assert flaky.UNINTERRUPTED not in scheduled.error

    @pytest.mark.parametrize("timeout", ["soon", "0s", 30])
    def test_an_invalid_timeout_is_refused(self, timeout):
        with pytest.raises(InvalidOption, match="timeout"):
            schedule_job("0s", jobs.echo, timeout=timeout)


class TestChangedInstance:
    """The handler changes all columns of its instance."""

    def test_its_lease_is_still_known(self, monkeypatch):
        monkeypatch.setattr(watchdog, "SLOW_INTERVAL_SECONDS", 0.05)
        check, is_checked = watchdog.Watchdog._check_leases, Event()

        def check_leases(self, calls):
            check(self, calls)
            if calls:
                is_checked.set()

        monkeypatch.setattr(watchdog.Watchdog, "_check_leases", check_leases)
        monkeypatch.setattr(hostile, "wait", lambda: is_checked.wait(MAX_WAIT_SECONDS))
        scheduled = schedule_job("0s", hostile.scribble_and_wait)
        run(scheduled)
        assert (scheduled.status, is_checked.is_set()) == (Status.COMPLETE, True)

    def test_its_pool_still_knows_it(self, monkeypatch):
        """Otherwise a worker that stops, or that looks for lost claims, could not release it."""
        is_waiting, may_end = Event(), Event()
        monkeypatch.setattr(hostile, "wait", lambda: [is_waiting.set(), may_end.wait()])
        scheduled = schedule_job("0s", hostile.scribble_and_wait)
        store = store_for("default")
        pool = Pool(store, threads=1, on_idle=lambda: None)
        pool.start()
        pool.put(store.claim(Worker(name="any"), at=clock.now(), limit=1))
        assert is_waiting.wait(MAX_WAIT_SECONDS)
        assert [(job.pk, job.lease) for job in pool.jobs] == [(scheduled.pk, 1)]
        may_end.set()
        pool.drain()
        assert pool.close(timedelta(seconds=MAX_WAIT_SECONDS)) == []

    def test_its_end_is_recorded_if_it_is_stuck(self, monkeypatch):
        monkeypatch.setattr(watchdog, "GRACE_SECONDS", 0.1)
        may_end = Event()
        monkeypatch.setattr(hostile, "wait", may_end.wait)
        scheduled = schedule_job("0s", hostile.scribble_and_wait, timeout="0.1s")
        worker = Thread(target=lambda: [run_jobs(ignore_errors=True), connection.close()])
        worker.start()
        eventually(lambda: ScheduledJob.objects.get().status == Status.FAILED)
        may_end.set()
        assert has_ended(worker)
        scheduled.refresh_from_db()
        assert scheduled.failed_attempts.get().exception == "django_future.exceptions.JobTimeout"


@pytest.mark.slow
@pytest.mark.every_python
class TestStuck:
    @pytest.mark.parametrize(
        ("handler", "lasting"),
        [
            (flaky.sleep_outside, 60),
            (flaky.compute_outside, 2**31 - 1),
            (flaky.close_and_sleep, 60),
        ],
    )
    def test_a_stuck_handler_makes_its_process_exit_with_75(
        self, handler, lasting, start_worker, trace_texts
    ):
        worker = start_worker("--shutdown-timeout", "60s")
        scheduled = handler.schedule("0s", lasting)
        assert wait_for_exit(worker) == 75
        scheduled.refresh_from_db()
        assert scheduled.status == Status.FAILED
        assert "JobTimeout" in scheduled.error
        assert trace_texts() == []

    def test_the_error_of_a_stuck_handler_shows_where_it_is(self, start_worker):
        worker = start_worker()
        scheduled = flaky.sleep_outside.schedule("0s", 60)
        assert wait_for_exit(worker) == 75
        scheduled.refresh_from_db()
        assert "in sleep_outside" in scheduled.error
        assert scheduled.error_kind == "JobTimeout in tests.shop.flaky.sleep_outside"

    def test_other_jobs_end_before_a_stuck_process_exits(
        self, start_worker, trace_texts, hold_file
    ):
        worker = start_worker("--threads", "2", "--shutdown-timeout", "60s")
        other = schedule_job("0s", jobs.hold, args=[str(hold_file)])
        eventually(hold_file.exists)
        scheduled = flaky.sleep_outside.schedule("0s", 60)
        eventually(lambda: ScheduledJob.objects.get(pk=scheduled.pk).status == Status.FAILED)
        assert worker.poll() is None
        hold_file.unlink()
        assert wait_for_exit(worker) == 75
        other.refresh_from_db()
        assert (other.status, trace_texts()) == (Status.COMPLETE, ["held"])

    def test_the_supervisor_replaces_a_stuck_process(self, start_worker, trace_texts):
        start_worker("--processes", "2", "--threads", "1")
        for _ in range(2):
            flaky.sleep_outside.schedule("0s", 60)
        eventually(lambda: ScheduledJob.objects.filter(status=Status.FAILED).count() == 2)
        scheduled = schedule_job("0s", jobs.trace, args=["afterwards"])
        eventually(lambda: ScheduledJob.objects.get(pk=scheduled.pk).status == Status.COMPLETE)
        assert trace_texts() == ["afterwards"]

    def test_the_log_shows_that_a_stuck_handler_was_cancelled(
        self, start_worker, hold_file, tmp_path
    ):
        worker = start_worker(output=tmp_path / "log")
        scheduled = flaky.sleep_without_writing.schedule("0s", str(hold_file), 60)
        eventually(hold_file.exists)
        scheduled.cancel(running=True)
        assert wait_for_exit(worker) == 75
        assert (
            f"Job {scheduled.pk} tests.shop.flaky.sleep_without_writing was interrupted and "
            f"does not end; its thread cannot be used again. Job {scheduled.pk} was cancelled or "
            "claimed again"
        ) in (tmp_path / "log").read_text()


class TestCancelRunning:
    @pytest.fixture
    def run_in_thread(self):
        """Return a function that executes due jobs in a thread. The thread ends with the test."""
        threads = []

        def start():
            threads.append(Thread(target=lambda: (run_jobs(), connection.close())))
            threads[0].start()
            eventually(ScheduledJob.objects.running().exclude(started_at=None).exists)
            return threads[0]

        yield start
        assert has_ended(threads[0])

    def test_cancelling_a_running_job_interrupts_the_handler(self, run_in_thread):
        scheduled = flaky.wait.schedule("0s")
        thread = run_in_thread()
        scheduled.cancel(running=True)
        assert scheduled.status == Status.CANCELLED
        assert has_ended(thread)
        assert ScheduledJob.objects.get().status == Status.CANCELLED

    @pytest.mark.only_on("postgresql", "mysql", reason="on SQLite it has the only write lock")
    def test_cancelling_a_running_job_rolls_back_its_writes(self, run_in_thread, trace_texts):
        flaky.sleep_in_the_database.using(timeout=None).schedule("0s")
        thread = run_in_thread()
        assert cancel_jobs(ScheduledJob.objects.all(), running=True) == 1
        assert has_ended(thread)
        assert (ScheduledJob.objects.get().status, trace_texts()) == (Status.CANCELLED, [])

    def test_cancelling_a_running_job_requires_running_true(self, run_in_thread, hold_file):
        scheduled = schedule_job("0s", jobs.hold, args=[str(hold_file)])
        thread = run_in_thread()
        eventually(hold_file.exists)
        with pytest.raises(NotCancellable, match=r"cancel\(running=True\)"):
            scheduled.cancel()
        assert cancel_jobs(ScheduledJob.objects.all()) == 0
        hold_file.unlink()
        assert has_ended(thread)
        assert ScheduledJob.objects.get().status == Status.COMPLETE

    def test_a_running_job_is_cancellable_only_with_running_true(self):
        schedule_job("0s", jobs.echo)
        ScheduledJob.objects.update(status=Status.RUNNING)
        assert not ScheduledJob.objects.cancellable().exists()
        assert ScheduledJob.objects.cancellable(running=True).exists()

    def test_cancelling_a_finished_job_is_refused(self):
        scheduled = schedule_job("0s", jobs.echo)
        run_jobs()
        with pytest.raises(NotCancellable, match="is complete"):
            scheduled.cancel(running=True)

    @pytest.mark.slow
    @pytest.mark.every_python
    def test_cancelling_a_running_job_reaches_a_worker_in_another_process(
        self, start_worker, trace_texts
    ):
        start_worker()
        scheduled = flaky.wait.schedule("0s")
        eventually(lambda: ScheduledJob.objects.get().started_at)
        scheduled.cancel(running=True)
        following = schedule_job("0s", jobs.trace, args=["afterwards"])
        eventually(lambda: ScheduledJob.objects.get(pk=following.pk).status == Status.COMPLETE)
        assert ScheduledJob.objects.get(pk=scheduled.pk).status == Status.CANCELLED
        assert trace_texts() == ["afterwards"]
