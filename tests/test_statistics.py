"""The numbers of the jobs that ended in each minute."""

from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest
from django.db import DatabaseError, connections, transaction

from django_future import ScheduledJob, clock, run_jobs, schedule_job
from django_future.execution.announcement import announce_complete
from django_future.models import JobStatistics
from django_future.status import Status
from django_future.store import statistics, store_for
from django_future.store.statistics import KEPT, LATENESS, Step
from django_future.worker import maintenance
from tests.shop import flaky, hostile, jobs
from tests.support.waiting import has_ended

pytestmark = pytest.mark.django_db(transaction=True)

# Recent, because old rows are deleted.
START = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def uncounted():
    """Forget the jobs that earlier tests have left in memory."""
    statistics._counts.clear()


def row(minute_at=START, queue_name="default", **numbers):
    """Insert the numbers of a minute."""
    at = clock.to_row(minute_at)
    return JobStatistics.objects.create(minute_at=at, queue_name=queue_name, **numbers)


def ended(count=1, minute_at=START, late=timedelta(), queue_name="default"):
    """Return unsaved jobs that are complete."""
    at = clock.to_row(minute_at)
    return [
        ScheduledJob(
            status=Status.COMPLETE,
            scheduled_at=at,
            started_at=at + late,
            finished_at=at + late,
            queue_name=queue_name,
        )
        for _ in range(count)
    ]


def read(until):
    """Read the numbers from `START` to `until`."""
    return statistics.read(store_for("default"), START, until)


def numbers():
    """Return the sums of all rows that are not zero."""
    values = [vars(one) for one in JobStatistics.objects.all()]
    names = ["complete", "failed", "expired", "cancelled", *LATENESS]
    sums = {name: sum(value[name] for value in values) for name in names}
    return {name: count for name, count in sums.items() if count}


class TestCounting:
    def test_a_one_off_run_counts_each_outcome(self):
        schedule_job("0s", jobs.echo)
        schedule_job("0s", jobs.echo, queue_name="mail")
        schedule_job("0s", jobs.fail)
        schedule_job("0s", flaky.cancel_running)
        late = schedule_job("0s", jobs.echo, expires="1h")
        ScheduledJob.objects.filter(pk=late.pk).update(
            scheduled_at=late.created_at, expires_at=late.created_at
        )
        run_jobs(ignore_errors=True)
        found = numbers()
        assert sum(found.pop(name, 0) for name in LATENESS) == 4
        assert found == {"complete": 2, "failed": 1, "expired": 1, "cancelled": 1}
        assert set(JobStatistics.objects.values_list("queue_name", flat=True)) == {
            "default",
            "mail",
        }

    def test_an_attempt_that_is_followed_by_another_is_not_counted(self):
        schedule_job("0s", flaky.charge, args=[1])
        run_jobs(ignore_errors=True)
        assert numbers() == {}

    def test_a_completion_batch_is_counted(self):
        batch = [schedule_job("0s", jobs.echo) for _ in range(3)]
        for one in batch:
            one.started_at = one.finished_at = one.scheduled_at
        announce_complete(batch)
        maintenance.write_statistics(store_for("default"))
        assert numbers() == {"complete": 3, "late_10ms": 3}

    @pytest.mark.parametrize(
        ("late", "column"),
        [
            (timedelta(milliseconds=-3), "late_10ms"),
            (timedelta(milliseconds=10), "late_10ms"),
            (timedelta(milliseconds=11), "late_50ms"),
            (timedelta(seconds=1), "late_1s"),
            (timedelta(hours=1), "late_1h"),
            (timedelta(days=30), "late_longer"),
        ],
    )
    def test_a_job_is_counted_in_the_column_of_its_lateness(self, late, column):
        statistics.count(ended(late=late), "default")
        statistics.flush(store_for("default"))
        assert numbers() == {"complete": 1, column: 1}

    def test_a_job_with_values_of_a_wrong_type_is_left_out(self):
        wrong, right = ended(2)
        wrong.scheduled_at = "yesterday"
        statistics.count([wrong, right], "default")
        statistics.flush(store_for("default"))
        assert numbers() == {"complete": 1, "late_10ms": 1}

    @pytest.mark.parametrize("name", ["x" * 101, "a\0b", 5, ["mail"]])
    def test_a_job_with_an_impossible_queue_is_left_out(self, name):
        wrong, right = ended(2)
        wrong.queue_name = name
        statistics.count([wrong, right], "default")
        statistics.flush(store_for("default"))
        assert numbers() == {"complete": 1, "late_10ms": 1}

    def test_a_handler_that_scribbles_on_its_job_does_not_stop_the_run(self):
        schedule_job("0s", hostile.scribble)
        schedule_job("0s", jobs.echo)
        run_jobs(ignore_errors=True)
        assert numbers()["complete"] >= 1


class TestFlushing:
    def test_nothing_is_written_if_no_job_has_ended(self, django_assert_num_queries):
        with django_assert_num_queries(0):
            statistics.flush(store_for("default"))

    def test_numbers_of_the_same_minute_and_queue_add_up(self):
        store = store_for("default")
        for count in (2, 3):
            statistics.count(ended(count), "default")
            statistics.flush(store)
        assert JobStatistics.objects.get().complete == 5

    def test_numbers_that_cannot_be_written_are_kept(self):
        store = store_for("default")
        statistics.count(ended(2), "default")
        with pytest.raises(DatabaseError), transaction.atomic():
            store.connection.needs_rollback = True
            statistics.flush(store)
        statistics.flush(store)
        assert JobStatistics.objects.get().complete == 2

    def test_while_the_database_is_away_the_oldest_minutes_are_dropped(self, monkeypatch):
        monkeypatch.setattr(statistics, "MAX_ENTRIES", 2)
        for number in range(4):
            statistics.count(ended(1, START + number * MINUTE), "default")
        statistics.flush(store_for("default"))
        found = JobStatistics.objects.order_by("minute_at").values_list("minute_at", flat=True)
        assert [clock.from_row(at) for at in found] == [START + 2 * MINUTE, START + 3 * MINUTE]

    def test_rows_that_are_too_old_are_deleted(self):
        store = store_for("default")
        now = store.now().replace(second=0, microsecond=0)
        row(now - KEPT - MINUTE, complete=1)
        row(now - KEPT + 2 * MINUTE, complete=2)
        statistics.count(ended(4, now), "default")
        statistics.flush(store)
        found = JobStatistics.objects.order_by("minute_at").values_list("complete", flat=True)
        assert list(found) == [2, 4]

    def test_rivals_that_write_the_same_minute_lose_nothing(self):
        barrier, queues = Barrier(4), [f"queue {number}" for number in range(5)]

        def write():
            try:
                store = store_for("default")
                barrier.wait()
                for _ in range(5):
                    counts = {
                        (clock.to_row(START), name): statistics.Counter(complete=1)
                        for name in queues
                    }
                    statistics._write(store, counts)
            finally:
                connections.close_all()

        threads = [Thread(target=write) for _ in range(barrier.parties)]
        for thread in threads:
            thread.start()
        assert all(has_ended(thread) for thread in threads)
        assert numbers() == {"complete": 4 * 5 * 5}
        assert JobStatistics.objects.count() == 5


class TestReading:
    def test_totals_are_those_of_a_period(self):
        row(START - MINUTE, complete=7)
        row(START, complete=1, failed=2, late_10ms=3)
        row(START, "mail", expired=1, cancelled=1)
        row(START + 2 * MINUTE, complete=5)
        found = read(START + 2 * MINUTE).totals(START, START + 2 * MINUTE)
        assert found[:4] == (1, 2, 1, 1)

    def test_the_lateness_is_a_proportion_of_its_column(self):
        row(complete=100, late_10ms=50, late_1s=50)
        found = read(START + MINUTE).totals(START, START + MINUTE)
        assert found.late_p50 == timedelta(milliseconds=10)
        assert found.late_p95 == timedelta(milliseconds=250 + 0.9 * 750)

    def test_without_jobs_there_is_no_lateness(self):
        found = read(START + MINUTE).totals(START, START + MINUTE)
        assert found == (0, 0, 0, 0, None, None)

    def test_a_series_has_each_period_also_an_empty_one(self):
        row(START + 5 * MINUTE, failed=1)
        row(START + 6 * MINUTE, "mail", failed=1, late_10ms=1)
        until = START + 9 * MINUTE
        found = read(until).series(START, until, 3 * MINUTE)
        assert found == [
            Step(START, 0, 0, 0, 0, None),
            Step(START + 3 * MINUTE, 0, 1, 0, 0, None),
            Step(START + 6 * MINUTE, 0, 1, 0, 0, timedelta(milliseconds=9.5)),
        ]

    def test_the_numbers_are_read_in_one_query(self, django_assert_num_queries):
        with django_assert_num_queries(1):
            history = read(START + KEPT)
            history.series(START, START + KEPT, 30 * MINUTE)
            history.totals(START, START + KEPT)
