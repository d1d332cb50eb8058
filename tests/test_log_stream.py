"""The log stream of a worker: lines of a batch are written together, each as a record."""

import io
import json
import logging
import os
from datetime import datetime
from threading import Thread

import pytest
from django.utils import timezone

from django_future import ScheduledJob, run_jobs, schedule_jobs, signals
from django_future.log import log_completions, log_finished
from django_future.log_stream import lines_written_together, to_stream
from django_future.status import Status
from tests.shop import jobs
from tests.support.receivers import connected


class Stream(io.StringIO):
    """A stream that records each write."""

    def __init__(self):
        super().__init__()
        self.writes = []

    def write(self, text):
        """Write `text`."""
        self.writes.append(text)
        return super().write(text)


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
def stream(logger):
    """Return the stream of the text log."""
    stream = Stream()
    to_stream(stream, "text", 1)
    return stream


@pytest.fixture
def json_stream(logger):
    """Return the stream of the JSON log."""
    stream = Stream()
    to_stream(stream, "json", 1)
    return stream


@pytest.fixture
def file(logger, tmp_path):
    """Return the path of the log file."""
    path = tmp_path / "log"
    with path.open("w") as stream:
        to_stream(stream, "text", 1)
        yield path


def complete_jobs(count):
    """Return unsaved complete jobs."""
    now = timezone.now()
    return [
        ScheduledJob(
            id=number,
            callable_name="tests.shop.jobs.echo",
            status=Status.COMPLETE,
            scheduled_at=now,
            started_at=now,
            finished_at=now,
        )
        for number in range(count)
    ]


class RecordList(logging.Handler):
    """A logging handler that collects records."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        """Append `record`."""
        self.records.append(record)


class TestBatches:
    def test_log_lines_of_a_batch_are_one_write(self, stream):
        log_completions(complete_jobs(3))
        [text] = stream.writes
        assert [line.split(" INFO ")[1] for line in text.splitlines()] == [
            f"Job {number} tests.shop.jobs.echo complete: queue default, late 0.000 s, took 0.000 s"
            for number in range(3)
        ]

    def test_json_log_lines_of_a_batch_are_one_write(self, json_stream):
        log_completions(complete_jobs(3))
        [text] = json_stream.writes
        assert [json.loads(line)["job"] for line in text.splitlines()] == [0, 1, 2]

    def test_log_lines_of_a_batch_equal_single_lines(self, stream):
        jobs = complete_jobs(2)
        log_completions(jobs)
        together = [line.split(" INFO ")[1] for line in stream.getvalue().splitlines()]
        for job in jobs:
            log_finished(job=job, exception=None)
        singly = [line.split(" INFO ")[1] for line in stream.getvalue().splitlines()[2:]]
        assert together == singly

    def test_a_warning_flushes_buffered_log_lines_in_order(self, logger, stream):
        with lines_written_together():
            logger.info("first")
            assert stream.writes == []
            logger.warning("second")
            assert [line[-6:] for line in stream.getvalue().splitlines()] == [" first", "second"]

    def test_a_line_of_another_thread_flushes_buffered_log_lines_in_order(self, logger, stream):
        with lines_written_together():
            logger.info("first")
            other = Thread(target=logger.info, args=["second"])
            other.start()
            other.join()
            assert [line[-6:] for line in stream.getvalue().splitlines()] == [" first", "second"]

    def test_buffered_log_lines_are_written_if_the_block_raises(self, logger, stream):
        with pytest.raises(ZeroDivisionError), lines_written_together():
            logger.info("first")
            raise ZeroDivisionError
        assert stream.getvalue().endswith("first\n")

    def test_buffered_log_lines_are_not_written_again_by_a_child_process(self, logger, file):
        with lines_written_together():
            logger.info("of the parent")
            child = os.fork()
            if not child:
                logger.warning("of the child")
                os._exit(0)
            os.waitpid(child, 0)
        lines = [line[-13:] for line in file.read_text().splitlines()]
        assert lines == [" of the child", "of the parent"]

    def test_log_lines_that_cannot_be_written_stop_nothing(self, stream, logger, monkeypatch):
        monkeypatch.setattr(logging, "raiseExceptions", False)
        with monkeypatch.context() as patch:
            patch.setattr(stream, "write", lambda _: 1 / 0)
            log_completions(complete_jobs(1))
        logger.info("later")
        [text] = stream.writes
        assert text.endswith("later\n")

    def test_log_lines_after_a_batch_are_written_singly(self, logger, stream):
        log_completions(complete_jobs(2))
        logger.info("later")
        logger.info("last")
        assert len(stream.writes) == 3

    def test_the_log_measures_naive_times(self, stream, settings):
        settings.USE_TZ = False
        [job] = complete_jobs(1)
        job.scheduled_at = datetime(2026, 3, 1, 12)
        job.started_at = datetime(2026, 3, 1, 12, 0, 2)
        job.finished_at = datetime(2026, 3, 1, 12, 0, 5)
        log_completions([job])
        assert stream.getvalue().endswith("late 2.000 s, took 3.000 s\n")

    def test_a_batch_without_jobs_or_below_the_level_writes_nothing(self, logger, stream):
        log_completions([])
        logger.setLevel(logging.WARNING)
        log_completions(complete_jobs(2))
        assert stream.writes == []


class TestRecords:
    def test_each_completion_makes_a_log_record(self, logger, stream):
        collected = RecordList()
        logger.addHandler(collected)
        log_completions(complete_jobs(3))
        assert [record.facts["job"] for record in collected.records] == [0, 1, 2]
        assert [record.args[0] for record in collected.records] == [0, 1, 2]
        assert {record.name for record in collected.records} == {"django_future"}
        assert {record.threadName for record in collected.records} == {"MainThread"}

    def test_each_log_record_passes_the_filters(self, logger, stream):
        logger.addFilter(has_even_number)
        try:
            log_completions(complete_jobs(4))
        finally:
            logger.removeFilter(has_even_number)
        assert [line.split()[4] for line in stream.getvalue().splitlines()] == ["0", "2"]

    def test_log_records_share_no_attributes_that_filters_add(self, logger, stream):
        collected, seen = RecordList(), []

        def note(record):
            seen.append(hasattr(record, "noted"))
            record.noted = True
            return True

        collected.addFilter(note)
        logger.addHandler(collected)
        log_completions(complete_jobs(3))
        assert seen == [False, False, False]

    def test_log_records_are_made_by_the_record_factory_of_the_project(self, logger, stream):
        collected, usual = RecordList(), logging.getLogRecordFactory()
        logger.addHandler(collected)
        made = []

        def make(*args, **kwargs):
            record = usual(*args, **kwargs)
            made.append(record)
            return record

        logging.setLogRecordFactory(make)
        try:
            log_completions(complete_jobs(3))
        finally:
            logging.setLogRecordFactory(usual)
        assert collected.records == made
        assert len(made) == 3

    def test_log_records_reach_the_logging_handlers_of_the_project(self, caplog):
        with caplog.at_level(logging.INFO, "django_future"):
            log_completions(complete_jobs(2))
        assert [record.facts["job"] for record in caplog.records] == [0, 1]


def has_even_number(record):
    """Return whether the id of the job is even."""
    return record.facts["job"] % 2 == 0


@pytest.mark.django_db
class TestFinishedJobs:
    def test_each_finished_job_is_logged_once(self, stream):
        schedule_jobs([{"when": "0s", "callable": jobs.echo}] * 3)
        run_jobs()
        assert stream.getvalue().count(" complete: ") == 3

    def test_each_finished_job_is_logged_once_with_receivers_of_the_project(self, stream):
        heard = []
        schedule_jobs([{"when": "0s", "callable": jobs.echo}] * 3)
        with connected(signals.job_finished, lambda job, **_: heard.append(job.pk)):
            run_jobs()
        assert stream.getvalue().count(" complete: ") == 3
        assert sorted(heard) == sorted(ScheduledJob.objects.values_list("pk", flat=True))

    def test_job_finished_is_sent_if_the_log_is_disconnected(self, stream):
        heard = []
        schedule_jobs([{"when": "0s", "callable": jobs.echo}])
        signals.job_finished.disconnect(log_finished)
        try:
            with connected(signals.job_finished, lambda job, **_: heard.append(job.pk)):
                run_jobs()
        finally:
            signals.job_finished.connect(log_finished)
        assert len(heard) == 1
        assert stream.getvalue() == ""
