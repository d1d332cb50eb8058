"""Workers: bursts, schedules, stopping, crashes and several processes."""

import os
import signal
from datetime import timedelta
from threading import Thread

import pytest
from django.db import OperationalError, connection

from django_future import ScheduledJob, clock, schedule_job, schedule_jobs
from django_future.models import Worker
from django_future.status import Status
from django_future.store import Selection, store_for, transitions
from django_future.worker import loop
from django_future.worker.heartbeat import heartbeat, new_worker
from django_future.worker.lookahead import MARGIN
from django_future.worker.loop import ORPHAN_CHECKS, Limits, Loop
from django_future.worker.process import WorkerOptions, run_worker
from django_future.worker.wakeup import Wakeup
from tests.shop import jobs
from tests.shop.models import Trace
from tests.support.past_jobs import schedule_in_the_past
from tests.support.processes import stop, stop_at_once
from tests.support.waiting import MAX_WAIT_SECONDS, eventually, has_ended, wait_for_exit

pytestmark = pytest.mark.django_db(transaction=True)


def burst(**options):
    """Execute due jobs in a worker in this process, and return the exit code."""
    limits = Limits(burst=True, **options.pop("limits", {}))
    return run_worker(WorkerOptions(alias="default", limits=limits, **options))


def count(status):
    return ScheduledJob.objects.filter(status=status).count()


class TestBurst:
    @pytest.mark.parametrize("threads", [1, 4])
    def test_a_burst_runs_due_jobs_and_exits(self, threads):
        schedule_jobs([{"when": "0s", "callable": jobs.trace}] * 300)
        schedule_job("1h", jobs.trace)
        assert burst(threads=threads) == 0
        assert (Trace.objects.count(), count(Status.SCHEDULED)) == (300, 1)
        assert not Worker.objects.exists()

    def test_a_burst_continues_with_newly_scheduled_jobs(self, trace_texts):
        schedule_job("0s", jobs.schedule_another)
        burst()
        assert trace_texts() == ["by another"]

    def test_a_failure_does_not_stop_a_burst(self):
        schedule_jobs([{"when": "0s", "callable": name} for name in (jobs.fail, jobs.trace)])
        burst()
        assert (count(Status.FAILED), count(Status.COMPLETE)) == (1, 1)

    def test_a_worker_runs_only_its_queues(self, trace_texts):
        for queue_name in ("mail", "reports", "default"):
            schedule_job("0s", jobs.trace, args=[queue_name], queue_name=queue_name)
        burst(selection=Selection(queues=("mail",)))
        assert trace_texts() == ["mail"]
        burst(selection=Selection(excluded_queues=("reports",)))
        assert trace_texts() == ["mail", "default"]

    @pytest.mark.parametrize(
        "selection", [Selection(queues=("a", "b")), Selection(excluded_queues=("c",))]
    )
    def test_a_busy_queue_does_not_delay_other_queues(self, selection, trace_texts):
        for minutes, queue_name in [(1, "a"), (2, "b"), (3, "a"), (4, "b")]:
            when = timedelta(minutes=-minutes)
            schedule_job(when, jobs.trace, args=[str(minutes)], queue_name=queue_name)
        burst(selection=selection, threads=1, limits={"max_jobs": 1})
        burst(selection=selection, threads=1, limits={"max_jobs": 1})
        assert trace_texts() == ["4", "3"]

    def test_a_worker_stops_after_its_maximum_number_of_jobs(self):
        schedule_jobs([{"when": "0s", "callable": jobs.trace}] * 20)
        burst(limits={"max_jobs": 7})
        assert (Trace.objects.count(), count(Status.SCHEDULED)) == (7, 13)

    def test_a_worker_marks_expired_jobs_before_it_claims(self, trace_texts):
        schedule_in_the_past(timedelta(hours=2), jobs.trace, expires="1h")
        burst()
        assert (trace_texts(), count(Status.EXPIRED)) == ([], 1)

    @pytest.mark.only_on("postgresql", "mysql", reason="SQLite's clock is the host's")
    def test_a_host_with_a_wrong_clock_runs_nothing_early(self, monkeypatch, trace_texts):
        schedule_job("30m", jobs.trace, args=["early"])
        schedule_job("0s", jobs.trace, args=["in time"])
        real = clock.now
        monkeypatch.setattr(clock, "now", lambda: real() + timedelta(hours=1))
        burst()
        assert trace_texts() == ["in time"]


@pytest.mark.slow
class TestSchedule:
    def test_no_job_starts_early_or_out_of_order(self, start_worker):
        start_worker("--threads", "1")
        schedule_jobs(
            [{"when": timedelta(seconds=1, milliseconds=37 * number), "callable": jobs.trace}
             for number in range(30)]
        )  # fmt: skip
        eventually(lambda: count(Status.COMPLETE) == 30)
        found = list(ScheduledJob.objects.order_by("scheduled_at"))
        assert all(job.started_at >= job.scheduled_at for job in found)
        assert found == sorted(found, key=lambda job: job.started_at)

    @pytest.mark.only_on("postgresql", "sqlite", reason="MySQL has no way to wake a worker")
    def test_a_sleeping_worker_wakes_up_for_a_job_due_at_once(self, monkeypatch):
        """Let the worker sleep for an hour: only a notification can wake it."""
        monkeypatch.setattr(loop, "BACKOFF_FACTOR", 10**9)
        slept, wait = [], Wakeup.wait

        def note_and_wait(wakeup, seconds):
            slept.append(seconds)
            return wait(wakeup, seconds)

        monkeypatch.setattr(Wakeup, "wait", note_and_wait)
        options = WorkerOptions(
            alias="default", limits=Limits(max_jobs=1), poll_interval=timedelta(hours=1)
        )
        worker = Thread(target=lambda: (run_worker(options), connection.close()), daemon=True)
        worker.start()
        eventually(lambda: slept and slept[-1] > MAX_WAIT_SECONDS)
        schedule_job("0s", jobs.trace)
        assert has_ended(worker)
        assert count(Status.COMPLETE) == 1

    def test_a_job_that_comes_into_reach_during_a_claim_starts_on_time(self, monkeypatch):
        """Let the worker sleep for an hour if it does not claim again at once."""
        monkeypatch.setattr(loop, "BACKOFF_FACTOR", 10**9)
        store = store_for("default")
        job = schedule_job("0.5s", jobs.trace)
        claim = type(store).claim

        def claim_slowly(store, worker, selection, **options):
            found = claim(store, worker, selection, **options)
            eventually(lambda: found or store.now() + MARGIN >= clock.from_row(job.scheduled_at))
            return found

        monkeypatch.setattr(type(store), "claim", claim_slowly)
        sleepy = Loop(
            store, new_worker(), limits=Limits(max_jobs=1), poll_interval=timedelta(hours=1)
        )
        worker = Thread(target=lambda: (sleepy.run(), connection.close()), daemon=True)
        worker.start()
        assert has_ended(worker)
        sleepy.close(timedelta())
        assert count(Status.COMPLETE) == 1

    def test_a_long_job_does_not_delay_other_workers(self, start_worker, hold_file):
        schedule_jobs([{"when": "0s", "callable": jobs.trace}] * 50)
        start_worker("--threads", "1")
        eventually(lambda: count(Status.COMPLETE) == 50)
        schedule_job("0s", jobs.hold, args=[str(hold_file)], priority=1)
        schedule_jobs([{"when": "0s", "callable": jobs.trace}] * 50)
        eventually(hold_file.exists)
        start_worker("--threads", "1")
        eventually(lambda: count(Status.COMPLETE) == 100)
        assert count(Status.RUNNING) == 1


@pytest.mark.slow
class TestStopping:
    def test_a_running_job_ends_before_a_stopped_worker_exits(self, start_worker, hold_file):
        process = start_worker()
        schedule_job("0s", jobs.hold, args=[str(hold_file)])
        eventually(hold_file.exists)
        process.send_signal(signal.SIGTERM)
        hold_file.unlink()
        assert wait_for_exit(process) == 0
        assert count(Status.COMPLETE) == 1
        assert not Worker.objects.exists()

    def test_a_job_is_interrupted_and_released_after_the_shutdown_timeout(
        self, start_worker, hold_file
    ):
        process = start_worker("--shutdown-timeout", "0.2s")
        job = schedule_job("0s", jobs.hold, args=[str(hold_file)])
        eventually(hold_file.exists)
        process.send_signal(signal.SIGTERM)
        assert wait_for_exit(process) == 0
        job.refresh_from_db()
        assert (job.status, job.attempts, job.worker) == (Status.SCHEDULED, 0, "")
        assert not Trace.objects.exists()

    def test_a_second_signal_exits_at_once_and_loses_nothing(self, start_worker, hold_file):
        process = start_worker(HEARTBEAT="1s")
        schedule_job("0s", jobs.hold, args=[str(hold_file)])
        eventually(hold_file.exists)
        process.send_signal(signal.SIGTERM)
        eventually(lambda: stop_at_once(process))
        start_worker(HEARTBEAT="1s")
        eventually(lambda: count(Status.COMPLETE) == 1 or hold_file.unlink(missing_ok=True))
        assert Trace.objects.count() == 1


@pytest.mark.slow
class TestCrashes:
    def test_the_jobs_of_a_killed_worker_run_again(self, start_worker, hold_file):
        victim = start_worker(HEARTBEAT="2s")
        schedule_job("0s", jobs.hold, args=[str(hold_file)])
        eventually(hold_file.exists)
        start_worker(HEARTBEAT="2s")
        hold_file.unlink()
        victim.kill()
        eventually(lambda: count(Status.COMPLETE) == 1 or hold_file.unlink(missing_ok=True))
        assert (ScheduledJob.objects.get().rescues, Trace.objects.count()) == (1, 1)

    def test_a_lost_worker_that_resumes_changes_nothing(self, start_worker, hold_file):
        zombie = start_worker(HEARTBEAT="1s")
        schedule_job("0s", jobs.hold, args=[str(hold_file)])
        eventually(hold_file.exists)
        stop(zombie)
        start_worker(HEARTBEAT="1s")
        eventually(lambda: count(Status.COMPLETE) == 1 or hold_file.unlink(missing_ok=True))
        zombie.send_signal(signal.SIGCONT)
        zombie.send_signal(signal.SIGTERM)
        assert wait_for_exit(zombie) == 0
        assert (count(Status.COMPLETE), Trace.objects.count()) == (1, 1)

    @pytest.mark.only_on("postgresql", "mysql", reason="SQLite has no connection to lose")
    def test_a_broken_connection_costs_only_a_second_attempt(self, start_worker, tmp_path):
        start_worker(TEST_MARK=str(tmp_path / "mark"))
        job = schedule_job("0s", jobs.lose_connection)
        eventually(lambda: count(Status.COMPLETE) == 1)
        job.refresh_from_db()
        assert (job.rescues, Trace.objects.count()) == (1, 1)


@pytest.mark.only_on("postgresql", "mysql", reason="SQLite has no connection to lose")
def test_a_worker_with_a_broken_connection_still_removes_its_row():
    store, worker = store_for("default"), new_worker()
    with heartbeat(store, worker):
        jobs.end_session(store.session_id())
    assert not Worker.objects.exists()


@pytest.mark.parametrize("failures", [0, ORPHAN_CHECKS])
def test_a_claim_whose_answer_was_lost_is_executed_later(monkeypatch, settings, failures):
    """The claim is committed, but the connection breaks before the worker gets the answer.

    The first releases of the job may fail, too.
    """
    settings.DJANGO_FUTURE = {"HEARTBEAT": "0.2s"}
    store = store_for("default")
    claim, release, lost, refused = store.claim, transitions.release_unlocked, [], []

    def claim_unheard(*args, **options):
        claimed = claim(*args, **options)
        if claimed and not lost:
            lost.extend(claimed)
            raise OperationalError("the connection was cut")
        return claimed

    def release_late(*args):
        if len(refused) < failures:
            refused.append(args)
            raise OperationalError("the connection was cut")
        return release(*args)

    monkeypatch.setattr(store, "claim", claim_unheard)
    monkeypatch.setattr(transitions, "release_unlocked", release_late)
    job = schedule_job("0s", jobs.trace)
    limits = Limits(max_jobs=1, max_seconds=MAX_WAIT_SECONDS)
    run_worker(WorkerOptions(alias="default", limits=limits))
    job.refresh_from_db()
    assert (lost, job.status, Trace.objects.count()) == ([job], Status.COMPLETE, 1)


@pytest.mark.slow
class TestProcesses:
    def test_a_process_that_dies_is_replaced(self, start_worker):
        supervisor = start_worker("--processes", "2")
        eventually(lambda: Worker.objects.count() == 2)
        victim = Worker.objects.earliest("pk")
        os.kill(victim.pid, signal.SIGKILL)
        eventually(lambda: Worker.objects.count() == 3)
        supervisor.send_signal(signal.SIGTERM)
        assert wait_for_exit(supervisor) == 0
        assert list(Worker.objects.all()) == [victim]

    def test_a_process_is_replaced_after_so_many_jobs(self, start_worker):
        start_worker("--processes", "2", "--max-jobs-per-process", "5", HEARTBEAT="2s")
        before = set(eventually_two())
        schedule_jobs([{"when": "0s", "callable": jobs.trace}] * 40)
        eventually(lambda: before - set(Worker.objects.values_list("pid", flat=True)))
        eventually(lambda: count(Status.COMPLETE) == 40)

    def test_all_processes_of_a_burst_exit_when_nothing_is_due(self, start_worker):
        schedule_jobs([{"when": "0s", "callable": jobs.trace}] * 40)
        assert wait_for_exit(start_worker("--processes", "2", "--burst")) == 0
        assert Trace.objects.count() == 40

    def test_a_signal_to_the_process_group_counts_once(self, start_worker, hold_file):
        supervisor = start_worker("--processes", "2", "--threads", "1")
        schedule_job("0s", jobs.hold, args=[str(hold_file)])
        eventually(hold_file.exists)
        pids = [supervisor.pid, *eventually_two()]
        for pid in pids:
            os.kill(pid, signal.SIGINT)
        hold_file.unlink()
        assert wait_for_exit(supervisor) == 0
        assert count(Status.COMPLETE) == 1
        assert not Worker.objects.exists()


def eventually_two():
    eventually(lambda: Worker.objects.count() == 2)
    return Worker.objects.values_list("pid", flat=True)


@pytest.mark.slow
def test_a_worker_touches_its_heartbeat_file(start_worker, tmp_path):
    path = tmp_path / "alive"
    start_worker("--heartbeat-file", str(path), HEARTBEAT="0.4s")
    eventually(path.exists)
    path.unlink()
    eventually(path.exists)
