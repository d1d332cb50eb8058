"""The progress and the log that handlers report."""

from collections import deque
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Thread

import pytest
from django.db import OperationalError, connection, transaction
from django.db.backends.signals import connection_created
from django.test import TestCase

from django_future import ScheduledJob, clock, run_jobs, schedule_job, schedule_jobs
from django_future.exceptions import InvalidProgress
from django_future.models import JobProgress
from django_future.progress import MAX_LINE_LENGTH, MAX_LOG_BYTES, Inbox, Progress, ProgressUpdate
from django_future.status import Status
from django_future.store import progress, store_for
from django_future.testing import perform_job, run_due_jobs
from django_future.worker import housekeeping
from django_future.worker.loop import Limits
from django_future.worker.process import WorkerOptions, run_worker
from tests.shop import jobs
from tests.support.faults import failing, losing_answer_to_commit
from tests.support.rows import rewrite
from tests.support.waiting import MAX_WAIT_SECONDS, eventually, has_ended


def run_report(*updates, lines=()):
    """Execute a job with these reports, and return its JobProgress."""
    job = schedule_job("0s", jobs.report, args=updates, kwargs={"lines": lines})
    run_jobs()
    return JobProgress.objects.get(job=job)


@contextmanager
def statements():
    """Yield a list of the statements on connections that open inside the block."""
    noted = []

    def note(execute, sql, *rest):
        noted.append(sql)
        return execute(sql, *rest)

    def watch(*, connection, **_):
        connection.execute_wrappers.append(note)

    connection_created.connect(watch)
    try:
        yield noted
    finally:
        connection_created.disconnect(watch)


@contextmanager
def running(target):
    """Call `target` in a thread inside the block."""

    def call():
        target()
        connection.close()

    thread = Thread(target=call)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@pytest.fixture
def hold_file(tmp_path):
    """Return the path of a file that exists while the job `report_and_hold` runs."""
    path = tmp_path / "held"
    yield path
    path.unlink(missing_ok=True)


def known():
    return list(JobProgress.objects.values_list("done", "total", "message"))


@pytest.mark.django_db
class TestProgress:
    def test_the_progress_of_a_job_is_recorded(self):
        job = schedule_job("0s", jobs.report, args=[[3, 10, "resizing"]])
        run_jobs()
        job.refresh_from_db()
        report = job.current_progress
        assert (report.done, report.total, report.message, report.log) == (3, 10, "resizing", "")
        assert report.updated_at >= job.finished_at

    def test_the_last_progress_counts(self):
        run_report([1, 10, "one"], [2, 10], [3])
        assert known() == [(3, None, "")]

    def test_a_coroutine_can_report_progress(self):
        schedule_job("0s", jobs.report_async, args=[4])
        run_jobs()
        assert known() == [(4, 10, "awaited")]

    def test_progress_remains_when_the_handler_fails(self):
        schedule_job("0s", jobs.report_and_fail)
        run_jobs(ignore_errors=True)
        assert known() == [(7, 10, "failing")]
        assert JobProgress.objects.get().log.endswith("Z about to fail")

    def test_a_progress_message_can_be_any_text(self):
        report = run_report([0, 1, "nul \0 \udc80 \N{SNOWMAN}" + "x" * 999])
        assert report.message.startswith("nul \\0 \\udc80 \N{SNOWMAN}x")
        assert len(report.message) == 255

    @pytest.mark.parametrize(
        "wrong",
        [[-1], [1.5], [True], ["1"], [None], [2**63], [1, 0], [1, -1], [1, 2.0], [1, 2, None]],
    )
    def test_invalid_progress_fails_the_job(self, wrong):
        job = schedule_job("0s", jobs.report, args=[wrong])
        with pytest.raises(InvalidProgress, match="Give a"):
            run_jobs()
        job.refresh_from_db()
        assert job.status == Status.FAILED
        assert known() == []

    def test_progress_is_deleted_with_a_completed_job(self):
        schedule_job("0s", jobs.report, args=[[1]])
        run_jobs(delete_completed=True)
        assert not ScheduledJob.objects.exists()
        assert known() == []

    def test_progress_outside_a_running_job_is_not_recorded(self):
        perform_job(jobs.report, args=[[1, 2]], kwargs={"lines": ["a"]})
        schedule_job("5d", jobs.echo).progress(1)
        assert known() == []


@pytest.mark.django_db
class TestLog:
    def test_the_job_log_shows_the_time_of_each_line(self):
        report = run_report(lines=["one", "two\nthree"])
        lines = report.log.split("\n")
        assert [line[20:] for line in lines] == [" one", " two", " three"]
        for line in lines:
            assert abs(clock.now() - datetime.fromisoformat(line[:20])) < timedelta(minutes=1)

    def test_the_job_log_keeps_its_end_if_it_is_too_long(self):
        lines = run_report(lines=[f"{number:05} \N{SNOWMAN}" for number in range(9999)]).log
        assert len(lines.encode()) <= MAX_LOG_BYTES
        assert len(lines.encode()) > MAX_LOG_BYTES - 100
        first, *_, last = lines.split("\n")
        assert (first[19], first[-1]) == ("Z", "\N{SNOWMAN}")
        assert last.endswith("09998 \N{SNOWMAN}")

    def test_the_job_log_cuts_a_line_that_is_too_long(self):
        assert (
            len(run_report(lines=["x" * 99_999]).log)
            == len("2026-11-22 12:00:00Z ") + MAX_LINE_LENGTH
        )

    def test_the_job_log_refuses_what_is_no_text(self):
        schedule_job("0s", jobs.report, kwargs={"lines": [5]})
        with pytest.raises(InvalidProgress, match=r"5\. Give a string"):
            run_jobs()

    def test_the_next_attempt_continues_the_log_and_resets_the_progress(self):
        job = schedule_job("0s", jobs.report, args=[[9, 10, "old"]], kwargs={"lines": ["first"]})
        run_jobs()
        rewrite(status=Status.SCHEDULED, args=[], kwargs={"lines": ["second"]})
        run_jobs()
        assert known() == [(None, None, "")]
        first, second = JobProgress.objects.get(job=job).log.split("\n")
        assert (first[20:], second[20:]) == (" first", " second")


@pytest.mark.django_db(transaction=True)
class TestRunningJobs:
    def test_progress_is_visible_while_the_job_runs(self, hold_file):
        schedule_job("0s", jobs.report_and_hold, args=[str(hold_file)])
        with running(run_jobs):
            eventually(lambda: known() == [(3, 10, "resizing")])
            assert ScheduledJob.objects.get().status == Status.RUNNING
            eventually(hold_file.exists)
            hold_file.unlink()

    @pytest.mark.only_on(
        "postgresql", "mysql", reason="on SQLite a handler that has written blocks other writers"
    )
    def test_progress_is_visible_before_the_handler_commits(self, hold_file, trace_texts):
        schedule_job("0s", jobs.report_and_hold, args=[str(hold_file), "written"])
        with running(run_jobs):
            eventually(lambda: known() == [(3, 10, "resizing")])
            assert trace_texts() == []
            eventually(hold_file.exists)
            hold_file.unlink()

    @pytest.mark.only_on("sqlite", reason="other databases have several writers")
    def test_progress_waits_for_a_handler_that_holds_the_write_lock(
        self, hold_file, caplog, monkeypatch
    ):
        write, left = progress.write, []

        def write_and_note(store, updates):
            write(store, updates)
            left.extend(one.progress.message for one in updates)

        def do_not_wait(*, connection, **_):
            connection.connection.execute("PRAGMA busy_timeout = 10")

        monkeypatch.setattr(progress, "write", write_and_note)
        schedule_job("0s", jobs.report_and_hold, args=[str(hold_file), "written"])
        connection_created.connect(do_not_wait)
        with running(run_jobs):
            eventually(lambda: len(left) >= 2)
            hold_file.unlink()
        connection_created.disconnect(do_not_wait)
        assert set(left) == {"resizing"}
        assert known() == [(10, 10, "")]
        assert "Traceback" not in caplog.text

    def test_a_worker_writes_progress(self, hold_file):
        schedule_job("0s", jobs.report_and_hold, args=[str(hold_file)])
        options = WorkerOptions(alias="default", limits=Limits(burst=True))
        with running(lambda: run_worker(options)):
            eventually(lambda: known() == [(3, 10, "resizing")])
            eventually(hold_file.exists)
            hold_file.unlink()

    def test_frequent_progress_is_written_at_intervals(self, monkeypatch):
        monkeypatch.setattr(housekeeping, "PROGRESS_INTERVAL_SECONDS", MAX_WAIT_SECONDS)
        schedule_job("0s", jobs.report_often, args=[5000])
        with statements() as noted:
            run_jobs()
        assert known() == [(5000, None, "")]
        writes = [sql for sql in noted if "INSERT INTO" in sql and "jobprogress" in sql]
        assert len(writes) <= 2  # the first at once, the last at the end

    def test_a_job_without_progress_costs_no_query(self):
        schedule_job("0s", jobs.echo)
        with statements() as noted:
            run_jobs()
        assert noted == []

    def test_the_progress_of_a_deleted_job_is_dropped(self, hold_file):
        schedule_job("0s", jobs.report_and_hold, args=[str(hold_file)])
        with running(lambda: run_jobs(ignore_errors=True)):
            eventually(hold_file.exists)
            eventually(lambda: known() != [])
            ScheduledJob.objects.all().delete()
            hold_file.unlink()
        assert known() == []


@pytest.mark.django_db(transaction=True)
class TestWriting:
    def test_only_the_latest_attempt_sets_the_progress(self):
        job = schedule_job("0s", jobs.echo)
        ScheduledJob.objects.update(lease=2)
        updates = [
            ProgressUpdate(job.pk, lease, Progress(lease), deque([f"of {lease}"]))
            for lease in (2, 1)
        ]
        progress.write(store_for("default"), updates)
        assert updates == []
        assert known() == [(2, None, "")]
        assert JobProgress.objects.get().log == "of 1\nof 2"

    @pytest.mark.only_on("postgresql", "mysql", reason="SQLite locks the database, not rows")
    def test_writing_progress_does_not_wait_for_a_locked_job(self):
        updates = [
            ProgressUpdate(schedule_job("0s", jobs.echo).pk, 0, Progress(number))
            for number in (1, 2)
        ]
        locked = updates[0]

        def write():
            progress.write(store_for("default"), updates)
            connection.close()

        with transaction.atomic():
            ScheduledJob.objects.select_for_update().get(pk=locked.job_id)
            thread = Thread(target=write)
            thread.start()
            assert has_ended(thread)
        assert updates == [locked]
        assert known() == [(2, None, "")]

    def test_a_line_is_written_once_if_the_answer_to_its_commit_is_lost(self):
        store, job = store_for("default"), schedule_job("0s", jobs.echo)
        updates = [ProgressUpdate(job.pk, 0)]
        updates[0].add(["first"])
        with losing_answer_to_commit(), pytest.raises(OperationalError):
            progress.write(store, updates)
        updates[0].add(["second"])
        with failing("INTO"), pytest.raises(OperationalError):
            progress.write(store, updates)
        progress.write(store, updates)
        assert JobProgress.objects.get().log == "first\nsecond"

    def test_progress_of_many_jobs_is_written_in_few_queries(self, django_assert_max_num_queries):
        scheduled = schedule_jobs([{"when": "0s", "callable": jobs.echo}] * 1200)
        updates = [ProgressUpdate(job.pk, 0, Progress(job.pk)) for job in scheduled]
        with django_assert_max_num_queries(60):
            progress.write(store_for("default"), updates)
        assert updates == []
        assert known() == [(job.pk, None, "") for job in scheduled]

    def test_progress_that_was_not_written_is_merged_with_newer_progress(self):
        calls = []
        inbox = Inbox("one", on_first=lambda: calls.append(1))
        job = ScheduledJob(pk=1)
        job.__dict__["_progress"] = Progress(1)
        inbox.put(job, ["first"])
        updates = inbox.take()
        job.__dict__["_progress"] = Progress(2)
        inbox.put(job, ["second"])
        inbox.restore(updates)
        [again] = inbox.take()
        assert (again.progress, list(again.lines)) == (Progress(2), ["first", "second"])
        assert len(calls) == 3


class TestInAPlainTestCase(TestCase):
    """Nothing is committed, so no other connection can write progress."""

    def test_progress_is_recorded_in_a_plain_test_case(self):
        schedule_job("0s", jobs.report, args=[[1, 2]])
        run_due_jobs()
        assert known() == [(1, 2, "")]
