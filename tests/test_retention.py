"""The retention and the pruning of finished jobs."""

import logging
from datetime import timedelta
from itertools import islice
from threading import Thread

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import ProtectedError
from django.db.models.signals import pre_delete
from django.test.utils import CaptureQueriesContext

from django_future import ScheduledJob, clock, schedule_job, schedule_jobs, signals
from django_future.models import JobAttempt, JobProgress
from django_future.status import Status
from django_future.store import retention, store_for
from django_future.worker import maintenance
from django_future.worker.loop import Limits
from django_future.worker.process import WorkerOptions, run_worker
from tests.shop import jobs
from tests.support.receivers import connected
from tests.support.waiting import MAX_WAIT_SECONDS, has_ended

pytestmark = pytest.mark.django_db(transaction=True)

WEEK = timedelta(days=7)


@pytest.fixture
def store():
    """Return the store of the default database."""
    return store_for("default")


@pytest.fixture
def set_retention(settings):
    """Return a function that sets RETENTION."""

    def keep_for(**lengths):
        settings.DJANGO_FUTURE = {**settings.DJANGO_FUTURE, "RETENTION": lengths}

    return keep_for


def ended(status=Status.COMPLETE, *, days, count=1):
    """Return the ids of jobs that ended `days` ago."""
    specs = [{"when": "5d", "callable": jobs.echo, "args": ["x" * 100]} for _ in range(count)]
    ids = [job.pk for job in schedule_jobs(specs)]
    finished_at = clock.to_row(clock.now() - timedelta(days=days))
    ScheduledJob.objects.filter(pk__in=ids).update(status=status, finished_at=finished_at)
    return ids


def job_ids():
    return set(ScheduledJob.objects.values_list("pk", flat=True))


def prune(store, status=Status.COMPLETE, length=WEEK):
    return list(retention.prune(store, status, store.now() - length))


class TestPruning:
    def test_pruning_deletes_old_jobs_of_a_status(self, store):
        ended(days=8)
        kept = [*ended(days=6), *ended(Status.FAILED, days=8), schedule_job("5d", jobs.echo).pk]
        assert prune(store) == [1]
        assert job_ids() == set(kept)

    def test_pruning_deletes_a_thousand_at_a_time_oldest_first(self, store):
        newer = ended(days=9, count=300)
        ended(days=10, count=2000)
        counts = retention.prune(store, Status.COMPLETE, store.now() - WEEK)
        assert [next(counts), next(counts)] == [1000, 1000]
        assert job_ids() == set(newer)
        assert list(counts) == [300]

    def test_pruning_deletes_attempts_and_progress_too(self, store):
        (old,), (new,) = ended(Status.FAILED, days=8), ended(Status.FAILED, days=1)
        at = clock.to_row(clock.now())
        for pk in (old, new):
            JobProgress.objects.create(job_id=pk, updated_at=at)
            JobAttempt.objects.create(job_id=pk, number=1, started_at=at, finished_at=at)
        prune(store, Status.FAILED)
        assert [report.job_id for report in JobProgress.objects.all()] == [new]
        assert [attempt.job_id for attempt in JobAttempt.objects.all()] == [new]

    def test_protected_jobs_do_not_block_the_pruning_of_others(self, store):
        protected = ended(days=9)
        ended(days=8, count=2)

        def protect(instance, **_):
            if instance.pk in protected:
                raise ProtectedError("an invoice refers to it", {instance})

        pre_delete.connect(protect, sender=ScheduledJob)
        try:
            prune(store)
        finally:
            pre_delete.disconnect(protect, sender=ScheduledJob)
        assert job_ids() == set(protected)

    def test_protected_jobs_that_ended_together_do_not_make_pruning_endless(
        self, store, monkeypatch
    ):
        monkeypatch.setattr(retention, "BATCH_SIZE", 2)
        protected = ended(days=9, count=2)
        ended(days=8)

        def protect(instance, **_):
            if instance.pk in protected:
                raise ProtectedError("an invoice refers to it", {instance})

        with connected(pre_delete, protect):
            counts = retention.prune(store, Status.COMPLETE, store.now() - WEEK)
            assert list(islice(counts, 10)) == [1]
        assert job_ids() == set(protected)

    def test_pruning_sends_pre_delete_to_connected_receivers(self, store):
        deleted = []

        def note(instance, **_):
            deleted.append(instance.pk)

        old = ended(days=8, count=3)
        pre_delete.connect(note, sender=ScheduledJob)
        try:
            assert prune(store) == [3]
        finally:
            pre_delete.disconnect(note, sender=ScheduledJob)
        assert (sorted(deleted), job_ids()) == (old, set())

    def test_pruning_reads_no_arguments(self, store):
        ended(days=8)
        with CaptureQueriesContext(connection) as queries:
            prune(store)
        assert not any("args" in query["sql"] for query in queries)

    def test_pruning_uses_its_index(self, store, vendor):
        ended(days=1, count=2000)
        with connection.cursor() as cursor:
            cursor.execute(
                "ANALYZE TABLE django_future_scheduledjob" if vendor == "mysql" else "ANALYZE"
            )
            with CaptureQueriesContext(connection) as queries:
                prune(store)
            [found] = [one["sql"] for one in queries if "finished_at <" in one["sql"]]
            cursor.execute(f"EXPLAIN {'QUERY PLAN' if vendor == 'sqlite' else ''} {found}")
            assert "future_job_finished" in str(cursor.fetchall())

    @pytest.mark.only_on("postgresql", "mysql", reason="SQLite has one writer at a time")
    def test_pruning_does_not_wait_for_locked_rows(self, store):
        [locked], [free] = ended(days=9), ended(days=8)
        with transaction.atomic():
            ScheduledJob.objects.select_for_update().get(pk=locked)
            rival = Thread(target=lambda: [prune(store), connection.close()])
            rival.start()
            assert has_ended(rival)
            assert free not in job_ids()
        assert job_ids() == {locked}

    def test_two_concurrent_prunes_delete_each_job_once(self, store):
        ended(days=8, count=5000)
        counts = []

        def prune_all():
            counts.extend(prune(store))
            connection.close()

        rivals = [Thread(target=prune_all) for _ in range(2)]
        for rival in rivals:
            rival.start()
        for rival in rivals:
            rival.join()
        assert job_ids() == set()
        assert sum(counts) == 5000


class TestWorkers:
    def test_a_worker_prunes_in_its_housekeeping(self, settings):
        settings.DJANGO_FUTURE = {"HEARTBEAT": "0.2s", "RETENTION": {"complete": "7d"}}
        ended(days=8)
        kept = ended(Status.FAILED, days=999)
        limits = Limits(max_jobs=1, max_seconds=MAX_WAIT_SECONDS)
        with connected(
            signals.jobs_pruned, lambda **_: kept.append(schedule_job("0s", jobs.echo).pk)
        ):
            run_worker(WorkerOptions(alias="default", limits=limits))
        assert job_ids() == set(kept)

    def test_pruning_stops_after_its_time_limit(self, store, set_retention, monkeypatch):
        set_retention(complete="7d", failed="7d")
        monkeypatch.setattr(maintenance, "MAX_PRUNE_SECONDS", 0)
        ended(days=8, count=1500)
        ended(Status.FAILED, days=8, count=1500)
        maintenance.prune(store)
        assert len(job_ids()) == 1000

    def test_without_retention_nothing_is_pruned(self, store, django_assert_num_queries):
        kept = ended(days=9999)
        with django_assert_num_queries(0):
            maintenance.prune(store)
        assert job_ids() == set(kept)

    def test_pruning_logs_how_many_jobs_were_deleted(self, store, set_retention, caplog):
        set_retention(complete="7d", failed=None)
        ended(days=8, count=3)
        caplog.set_level(logging.INFO, logger="django_future")
        maintenance.prune(store)
        maintenance.prune(store)
        assert [record.message for record in caplog.records] == [
            "3 complete jobs were deleted after their retention"
        ]
        ended(days=8)
        maintenance.prune(store)
        assert caplog.messages[1:] == ["1 complete job was deleted after its retention"]


class TestCommand:
    def lines(self, capsys, *options):
        call_command("future_prune", *options)
        return capsys.readouterr().out.splitlines()

    def test_future_prune_deletes_and_counts(self, set_retention, capsys):
        set_retention(failed="1d", complete="7d", cancelled="90m")
        ended(days=8, count=1234)
        kept = [*ended(days=6), *ended(Status.EXPIRED, days=99)]
        ended(Status.FAILED, days=2)
        assert self.lines(capsys) == [
            "complete: 1,234 jobs older than 7 days",
            "failed: 1 job older than 1 day",
            "cancelled: 0 jobs older than 1:30:00",
        ]
        assert job_ids() == set(kept)

    def test_future_prune_only_counts_in_a_dry_run(self, set_retention, capsys):
        set_retention(complete="7d", failed="7d")
        kept = [*ended(days=8), *ended(days=9)]
        oldest = ScheduledJob.objects.get(pk=kept[1]).finished_at
        local = clock.from_row(oldest).astimezone(clock.current_zone())
        assert self.lines(capsys, "--dry-run") == [
            f"complete: 2 jobs older than 7 days, the oldest of {local:%Y-%m-%d %H:%M:%S}",
            "failed: 0 jobs older than 7 days",
        ]
        assert job_ids() == set(kept)

    def test_future_prune_explains_the_retention_setting(self, capsys):
        [line] = self.lines(capsys)
        assert "All jobs are kept for ever" in line
        assert "{'RETENTION': {'complete': '7d'}}" in line

    @pytest.mark.django_db(databases=["default", "other"], transaction=True)
    def test_future_prune_prunes_another_database(self, set_retention, capsys):
        set_retention(complete="7d")
        kept = ended(days=8)
        assert self.lines(capsys, "--database", "other") == ["complete: 0 jobs older than 7 days"]
        assert job_ids() == set(kept)
