"""Failures in groups, and failures that are dealt with."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Thread

import pytest
from django.db import connection

from django_future import (
    ScheduledJob,
    clock,
    deal_with_failures,
    reopen_failures,
    retry_jobs,
    schedule_job,
    schedule_jobs,
)
from django_future.exceptions import InvalidJobs
from django_future.models import FailureNote
from django_future.status import Status
from django_future.store import failure_notes, failures, store_for, transitions
from django_future.worker.loop import Limits
from django_future.worker.process import WorkerOptions, run_worker
from tests.shop import jobs
from tests.support.admin_pages import job_in
from tests.support.index_reads import count_entries_read
from tests.support.waiting import eventually, has_ended


def failed(count=1, kind="ValueError", **options):
    made = [job_in(Status.FAILED, **options).pk for _ in range(count)]
    rows = ScheduledJob.objects.filter(pk__in=made)
    rows.update(error_kind=kind, error=f"{kind}: it is late", finished_at="2026-01-01T10:00Z")
    return rows.order_by("pk")


def store():
    return store_for("default")


@pytest.mark.django_db
class TestGroups:
    def test_failures_of_one_callable_and_kind_are_one_group(self):
        failed(2)
        failed(3, "KeyError")
        failed(1, target=jobs.trace)
        found = {
            (group.callable_name.rpartition(".")[2], group.error_kind, group.count)
            for group in failures.groups(store())
        }
        assert found == {
            ("echo", "KeyError", 3),
            ("echo", "ValueError", 2),
            ("trace", "ValueError", 1),
        }

    def test_a_group_knows_its_times_and_its_newest_error(self):
        rows = failed(3)
        [group] = failures.groups(store())
        assert group.is_exact
        assert group.last_id == rows.last().pk
        assert group.error_end == "ValueError: it is late"
        assert group.first_at == group.last_at

    def test_the_count_has_a_limit(self):
        failed(4)
        [group] = failures.groups(store(), max_counted=2)
        assert not group.is_exact
        assert group.count == 2

    def test_a_large_group_hides_no_other(self):
        failed(5, "AError")
        failed(1, "ZError")
        failed(1, "AError", target=jobs.trace)
        found = failures.groups(store(), max_counted=3)
        assert [(group.error_kind, group.count, group.is_exact) for group in found] == [
            ("AError", 1, True),
            ("ZError", 1, True),
            ("AError", 1, False),
        ]

    def test_the_group_that_failed_last_is_the_first(self):
        failed(3, "ValueError")
        failed(1, "AError")
        failed(2, "KeyError")
        kinds = [group.error_kind for group in failures.groups(store())]
        assert kinds == ["KeyError", "AError", "ValueError"]
        newest = [group.error_kind for group in failures.groups(store(), limit=2)]
        assert newest == ["KeyError", "AError"]

    def test_a_group_may_have_no_kind_of_error(self):
        failed(2, "")
        job_in(Status.CANCELLED)
        [group] = failures.groups(store())
        assert (group.error_kind, group.count, group.is_exact) == ("", 2, True)

    @pytest.mark.parametrize("latest", [1, 0], ids=["the last", "the first, after a retry"])
    def test_a_group_knows_when_its_first_and_its_last_job_failed(self, latest):
        jobs = failed(2)
        last, first = jobs[latest], jobs[1 - latest]
        later = clock.from_row(last.finished_at) + timedelta(hours=1)
        ScheduledJob.objects.filter(pk=last.pk).update(finished_at=clock.to_row(later))
        [group] = failures.groups(store())
        assert (group.first_at, group.last_at) == (clock.from_row(first.finished_at), later)

    def test_jobs_that_are_dealt_with_or_not_failed_are_in_no_group(self):
        deal_with_failures(failed(2))
        job_in(Status.CANCELLED)
        assert failures.groups(store()) == []

    def test_the_jobs_of_a_group_are_found(self):
        rows = failed(2)
        failed(1, "KeyError")
        [group] = [found for found in failures.groups(store()) if found.count == 2]
        assert list(failures.jobs_of(store(), group.callable_name, group.error_kind)) == list(rows)


@pytest.mark.django_db
class TestDealtWith:
    def test_failed_jobs_get_one_common_note(self):
        failed(3)
        assert deal_with_failures(ScheduledJob.objects.all(), note="Paid.", author="ada") == 3
        note = FailureNote.objects.get()
        assert (note.text, note.author) == ("Paid.", "ada")
        assert note.jobs.count() == 3

    def test_other_jobs_do_not_change(self):
        for status in set(Status) - {Status.FAILED}:
            job_in(status)
        assert deal_with_failures(ScheduledJob.objects.all()) == 0
        assert not FailureNote.objects.exists()

    def test_a_job_keeps_its_first_note(self):
        failed(1)
        deal_with_failures(ScheduledJob.objects.all(), note="First.")
        assert deal_with_failures(ScheduledJob.objects.all(), note="Second.") == 0
        assert FailureNote.objects.get().text == "First."

    def test_a_sliced_queryset_is_accepted(self):
        failed(3)
        assert deal_with_failures(ScheduledJob.objects.order_by("pk")[:2]) == 2
        assert reopen_failures(ScheduledJob.objects.order_by("pk")[:1]) == 1

    def test_batches_share_the_note(self, monkeypatch):
        monkeypatch.setattr(transitions, "BATCH_SIZE", 2)
        failed(5)
        assert deal_with_failures(ScheduledJob.objects.all()) == 5
        assert FailureNote.objects.get().jobs.count() == 5

    def test_a_note_of_many_jobs_hides_the_number_of_no_other(self, monkeypatch):
        monkeypatch.setattr(failure_notes, "MAX_COUNTED", 4)
        deal_with_failures(failed(1), note="Small.")
        deal_with_failures(failed(5, "KeyError"), note="Large.")
        found = failure_notes.latest(store(), 10)
        assert [(noted.note.text, noted.count, noted.is_exact) for noted in found] == [
            ("Large.", 2, False),
            ("Small.", 1, True),
        ]

    def test_long_and_unstorable_text_is_cut_and_escaped(self):
        failed(1)
        deal_with_failures(ScheduledJob.objects.all(), note="\0" + "x" * 999, author="y" * 999)
        note = FailureNote.objects.get()
        assert (len(note.text), len(note.author)) == (255, 150)

    def test_reopened_jobs_are_open_again(self):
        rows = failed(2)
        deal_with_failures(rows)
        assert reopen_failures(ScheduledJob.objects.all()) == 2
        assert reopen_failures(ScheduledJob.objects.all()) == 0

    def test_a_retried_job_loses_its_note(self):
        rows = failed(1)
        deal_with_failures(rows)
        retry_jobs(rows)
        assert rows.get().failure_note is None

    @pytest.mark.parametrize("change", [deal_with_failures, reopen_failures])
    def test_something_else_than_a_queryset_is_refused(self, change):
        with pytest.raises(InvalidJobs, match="not a queryset of jobs"):
            change([schedule_job("1h", jobs.echo)])


@pytest.mark.django_db
class TestPruning:
    def old_note(self, **values):
        created_at = clock.to_row(clock.now() - timedelta(days=2))
        return FailureNote.objects.create(author="ada", created_at=created_at, **values)

    def test_an_old_note_without_failed_jobs_is_deleted(self):
        self.old_note()
        assert failure_notes.prune(store()) == 1
        assert not FailureNote.objects.exists()

    @pytest.mark.django_db(transaction=True)
    def test_a_worker_without_retention_deletes_notes(self, settings, hold_file):
        """A job keeps the worker running."""
        settings.DJANGO_FUTURE = {"HEARTBEAT": "0.2s"}
        self.old_note()
        schedule_job("0s", jobs.hold, args=[str(hold_file)])
        limits = Limits(burst=True)

        def work():
            run_worker(WorkerOptions(alias="default", limits=limits))
            connection.close()

        worker = Thread(target=work)
        worker.start()
        eventually(hold_file.exists)
        eventually(lambda: not FailureNote.objects.exists())
        hold_file.unlink()
        assert has_ended(worker)

    def test_a_note_with_failed_jobs_is_kept(self):
        failed(1).update(failure_note=self.old_note())
        assert failure_notes.prune(store()) == 0

    def test_a_new_note_is_kept(self):
        FailureNote.objects.create(author="ada", created_at=clock.to_row(clock.now()))
        assert failure_notes.prune(store()) == 0


@pytest.mark.django_db(transaction=True)
def test_a_job_is_retried_or_dealt_with_but_not_both():
    schedule_jobs([{"when": "0s", "callable": jobs.trace}] * 200)
    ScheduledJob.objects.update(status=Status.FAILED)
    with ThreadPoolExecutor(2) as pool:
        retried, dealt = (pool.submit(elsewhere, act) for act in (retry_jobs, deal_with_failures))
    assert dealt.result() <= 200
    assert retried.result() == 200
    assert ScheduledJob.objects.scheduled().filter(failure_note=None).count() == 200


def elsewhere(act):
    try:
        return act(ScheduledJob.objects.all())
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_groups_are_found_without_reading_all_of_their_jobs():
    schedule_jobs([{"when": "1h", "callable": jobs.trace}] * 5000)
    ScheduledJob.objects.update(status=Status.FAILED, error_kind="AError")
    failed(1, "KeyError")
    failed(1, "ZError", target=jobs.trace)
    found = []
    read = count_entries_read(lambda: found.extend(failures.groups(store(), max_counted=10)))
    assert [group.error_kind for group in found] == ["ZError", "KeyError", "AError"]
    assert read < 1000
