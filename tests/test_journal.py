"""The log of a worker: its start, its stop and its end."""

import json
import logging
import os
import re
import signal
import time
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from django_future import ScheduledJob, schedule_job, schedule_jobs
from django_future.models import Worker
from django_future.status import Status
from django_future.store import Selection, store_for
from django_future.worker import maintenance, stop_signals
from django_future.worker.loop import Limits
from django_future.worker.process import WorkerOptions, run_worker
from django_future.worker.stop_signals import StopRequest
from tests.shop import jobs
from tests.support.processes import launch_worker, stop_at_once
from tests.support.waiting import eventually, wait_for_exit

SECOND = timedelta(seconds=1)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def output(tmp_path):
    """Return the path of the output file of workers."""
    path = tmp_path / "output"
    path.touch()
    return path


@pytest.fixture
def output_contains(output):
    """Return a function that returns whether the output contains a text."""
    return lambda text: text in output.read_text()


def burst(caplog, **options):
    caplog.set_level(logging.INFO, logger="django_future")
    run_worker(WorkerOptions(alias="default", limits=Limits(burst=True), **options))
    name = next(record.facts["worker"] for record in caplog.records if "worker" in record.facts)
    return [
        record.message.replace(name, "NAME")
        for record in caplog.records
        if record.message.startswith("Worker")
    ]


class TestStart:
    def test_the_start_line_gives_queues_threads_and_waiting_jobs(self, caplog):
        schedule_job("0s", jobs.trace)
        schedule_job("1h", jobs.trace)
        first, *_ = burst(caplog)
        assert first == (
            "Worker NAME serves all queues with 4 threads; 2 jobs wait, 1 due. "
            "Stop it with CONTROL-C."
        )

    def test_the_start_line_counts_only_the_queues_of_the_worker(self, caplog):
        for queue_name in ("mail", "reports", "default"):
            schedule_job("1h", jobs.trace, queue_name=queue_name)
        first, *_ = burst(caplog, selection=Selection(queues=("mail", "reports")), threads=1)
        assert "serves the queues 'mail', 'reports' with 1 thread; 2 jobs wait, 0 due" in first

    def test_the_start_line_does_not_count_excluded_queues(self, caplog):
        for queue_name in ("mail", "reports"):
            schedule_job("1h", jobs.trace, queue_name=queue_name)
        first, *_ = burst(caplog, selection=Selection(excluded_queues=("mail",)))
        assert "serves all queues but 'mail' with 4 threads; 1 job waits, 0 due" in first

    def test_the_start_line_reports_that_no_job_waits(self, caplog):
        first, *_ = burst(caplog)
        assert "; no job waits." in first

    def test_the_start_line_gives_the_jobs_that_other_workers_run(self, caplog, monkeypatch):
        monkeypatch.setattr(maintenance, "rescue_once", lambda _: None)
        now = store_for("default").now()
        Worker.objects.create(
            name="host-7183", host="host", pid=7183, started_at=now, seen_at=now - 4 * SECOND
        )
        for worker, queue_name in (("host-7183", "mail"), ("host-9", "mail"), ("host-5", "news")):
            schedule_job("0s", jobs.trace, queue_name=queue_name)
            ScheduledJob.objects.scheduled().update(status=Status.RUNNING, worker=worker)
        first, *_ = burst(caplog, selection=Selection(queues=("mail",)))
        assert re.search(
            r"; no job waits; 2 jobs run in host-7183 \(last seen \d+ s ago\), host-9 \(gone\)\.",
            first,
        )

    @pytest.mark.slow
    def test_the_setup_line_gives_settings_and_database(self, output_contains, output):
        assert wait_for_exit(launch_worker("--burst", "-v1", output=output)) == 0
        place = connection.settings_dict["NAME"]
        assert output_contains(", settings 'tests.settings', ")
        assert output_contains(f"{connection.display_name} database 'default' ({place}")

    @pytest.mark.slow
    def test_a_worker_logs_nothing_at_verbosity_0(self, output_contains, output):
        assert wait_for_exit(launch_worker("--burst", "-v0", output=output)) == 0
        assert not output_contains("Worker")

    @pytest.mark.slow
    def test_the_start_and_the_end_are_logged_as_json(self, output):
        options = ("--burst", "-v1", "--log-format", "json")
        assert wait_for_exit(launch_worker(*options, output=output)) == 0
        lines = [json.loads(line) for line in output.read_text().splitlines()]
        assert [line["event"] for line in lines] == ["setup", "start", "stop", "end"]
        assert (lines[1]["queues"], lines[1]["excluded_queues"]) == ([], [])
        assert lines[1]["threads"] == 4
        assert (lines[3]["exit_code"], lines[3]["jobs"]) == (0, 0)
        assert len({line["worker"] for line in lines[1:]}) == 1


class TestEnd:
    def test_the_end_line_gives_the_reason_and_the_wait_for_exit(self, caplog):
        schedule_jobs([{"when": "0s", "callable": jobs.trace}] * 2)
        *_, stop, end = burst(caplog)
        assert stop == "Worker NAME stops: nothing is due."
        assert end == "Worker NAME has stopped after 2 jobs: nothing is due. Exit code 0."

    @pytest.mark.slow
    def test_the_end_line_names_the_limit_that_was_reached(
        self, output_contains, output, start_worker
    ):
        process = start_worker(
            "--max-jobs-per-process", "1", "-v1", output=output, HEARTBEAT="0.4s"
        )
        schedule_job("0s", jobs.trace)
        assert wait_for_exit(process) == 75
        assert output_contains("it has reached --max-jobs-per-process. Exit code 75.")

    @pytest.mark.slow
    def test_the_stop_line_after_a_signal_names_running_jobs_and_how_to_stop_at_once(
        self, output_contains, output, start_worker, hold_file
    ):
        process = start_worker("-v1", output=output)
        job = schedule_job("0s", jobs.hold, args=[str(hold_file)])
        eventually(hold_file.exists)
        process.send_signal(signal.SIGINT)
        eventually(
            lambda: output_contains(
                f"stops: SIGINT was received; waiting for 1 job, {job.pk} tests.shop.jobs.hold, "
                "for at most 25 s; press CONTROL-C again to stop at once."
            )
        )
        hold_file.unlink()
        assert wait_for_exit(process) == 0
        assert output_contains("has stopped after 1 job: SIGINT was received. Exit code 0.")

    @pytest.mark.slow
    def test_a_long_shutdown_logs_the_jobs_that_still_run(
        self, output_contains, output, start_worker, hold_file
    ):
        process = start_worker("-v1", output=output)
        job = schedule_job("0s", jobs.hold, args=[str(hold_file)])
        eventually(hold_file.exists)
        process.send_signal(signal.SIGTERM)
        eventually(
            lambda: output_contains(f"still waits for 1 job, {job.pk} tests.shop.jobs.hold.")
        )
        assert output_contains("; send a second signal to stop at once.")
        hold_file.unlink()
        assert wait_for_exit(process) == 0

    @pytest.mark.slow
    def test_the_shutdown_timeout_logs_the_interrupted_jobs(
        self, output_contains, output, start_worker, hold_file
    ):
        process = start_worker("-v1", "--shutdown-timeout", "0s", output=output)
        job = schedule_job("0s", jobs.hold, args=[str(hold_file)])
        eventually(hold_file.exists)
        process.send_signal(signal.SIGTERM)
        assert wait_for_exit(process) == 0
        assert output_contains(
            f"interrupts and releases 1 job, {job.pk} tests.shop.jobs.hold: the shutdown"
        )

    @pytest.mark.slow
    def test_a_second_signal_is_logged(self, output_contains, output, start_worker, hold_file):
        process = start_worker("-v1", output=output)
        schedule_job("0s", jobs.hold, args=[str(hold_file)])
        eventually(hold_file.exists)
        eventually(lambda: stop_at_once(process))
        assert wait_for_exit(process) == 143
        assert output_contains(
            "A second SIGTERM: this process ends at once, and its jobs will be rescued."
        )


class TestOneSignal:
    def test_signals_within_a_second_count_as_one(self, monkeypatch):
        now = 100.0
        monkeypatch.setattr(stop_signals.time, "monotonic", lambda: now)
        request = StopRequest()
        assert not request.add(signal.SIGINT)
        now = 101.0
        assert not request.add(signal.SIGINT)
        now = 101.1
        assert request.add(signal.SIGTERM)
        assert request.first == signal.SIGINT

    @pytest.mark.slow
    def test_a_signal_that_reaches_a_process_twice_counts_once(self, start_worker, hold_file):
        """A terminal sends a signal to all processes, and the supervisor may forward it late."""
        supervisor = start_worker("--processes", "2", "--threads", "1")
        schedule_job("0s", jobs.hold, args=[str(hold_file)])
        eventually(hold_file.exists)
        [holder] = Worker.objects.filter(
            name__in=ScheduledJob.objects.running().values_list("worker", flat=True)
        )
        until = time.monotonic() + 2 * stop_signals.SIGNAL_DEBOUNCE_SECONDS
        while time.monotonic() < until:
            os.kill(holder.pid, signal.SIGINT)
        hold_file.unlink()
        eventually(lambda: ScheduledJob.objects.get().status == Status.COMPLETE)
        assert ScheduledJob.objects.get().attempts == 1
        supervisor.send_signal(signal.SIGTERM)
        assert wait_for_exit(supervisor) == 0

    @pytest.mark.slow
    def test_two_signals_end_all_processes_at_once(self, start_worker, hold_file):
        supervisor = start_worker("--processes", "2")
        schedule_job("0s", jobs.hold, args=[str(hold_file)])
        eventually(hold_file.exists)
        eventually(lambda: stop_at_once(supervisor))
        assert wait_for_exit(supervisor) == 143
        assert ScheduledJob.objects.get().status == Status.RUNNING


class TestQueues:
    def test_the_queue_option_takes_names_separated_by_commas(self, trace_texts):
        for queue_name in ("mail", "reports", "default"):
            schedule_job("0s", jobs.trace, args=[queue_name], queue_name=queue_name)
        with pytest.raises(SystemExit):
            call_command("future_worker", "--burst", "--queue", "mail, default")
        assert sorted(trace_texts()) == ["default", "mail"]

    def test_the_exclude_queue_option_can_be_repeated(self, trace_texts):
        for queue_name in ("mail", "reports", "default"):
            schedule_job("0s", jobs.trace, args=[queue_name], queue_name=queue_name)
        with pytest.raises(SystemExit):
            call_command("future_worker", "--burst", exclude_queue=["mail", "default"])
        assert trace_texts() == ["reports"]

    def test_the_queue_option_refuses_an_empty_name(self):
        with pytest.raises(CommandError, match="Give a name of 1 to"):
            call_command("future_worker", "--burst", "--queue", "mail,")

    def test_a_queue_that_is_both_selected_and_excluded_is_refused(self):
        options = ["--queue", "mail,default", "--exclude-queue", "mail"]
        with pytest.raises(CommandError, match="--queue and --exclude-queue both name 'mail'"):
            call_command("future_worker", "--burst", *options)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("5", "'5' has no unit. Give for example '5s'"),
            ("often", "'often' is not a duration. Give '90s', '1h30m' or 'PT1H30M'"),
        ],
    )
    def test_a_duration_that_cannot_be_read_is_refused_with_an_example(self, text, words):
        with pytest.raises(CommandError, match=words):
            call_command("future_worker", "--burst", "--poll-interval", text)


class TestWithoutTables:
    @pytest.fixture(autouse=True)
    def _without_a_table(self):
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE django_future_jobprogress RENAME TO django_future_moved")
        yield
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE django_future_moved RENAME TO django_future_jobprogress")

    @pytest.mark.parametrize(
        "command",
        [
            ["future_worker"],
            ["runscheduledjobs"],
            ["future_prune"],
            ["future_rename", "tests.shop.jobs.echo", "tests.shop.jobs.trace"],
            ["future_sign", "--all"],
            ["future_status"],
        ],
    )
    def test_commands_report_missing_tables_and_the_remedy(self, command):
        words = "'default' lacks the tables django_future_jobprogress. Run `manage.py migrate`"
        with pytest.raises(CommandError, match=words):
            call_command(*command)

    @pytest.mark.slow
    @pytest.mark.parametrize("options", [[], ["--processes", "2"], ["--reload"]])
    def test_a_worker_without_tables_prints_one_line_and_exits_with_1(self, options, output):
        assert wait_for_exit(launch_worker("-v1", *options, output=output)) == 1
        assert len(output.read_text().splitlines()) == 1


def test_a_table_without_a_new_column_is_reported():
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE django_future_worker RENAME COLUMN version TO other")
    try:
        with pytest.raises(CommandError, match="lacks columns of django_future_worker"):
            call_command("runscheduledjobs")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE django_future_worker RENAME COLUMN other TO version")
