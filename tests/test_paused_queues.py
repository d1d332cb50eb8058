"""Paused queues: their jobs wait, and all other jobs run."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from django_future import (
    ScheduledJob,
    clock,
    pause_queue,
    resume_queue,
    run_jobs,
    schedule_job,
)
from django_future.exceptions import InvalidOption
from django_future.models import PausedQueue, Worker
from django_future.status import Status
from django_future.store import EVERYTHING, Selection, store_for
from django_future.store.queues import paused_queues
from django_future.worker.loop import Limits
from django_future.worker.process import WorkerOptions, run_worker
from django_future.worker.queue_selector import QueueSelector
from tests.shop import jobs
from tests.support.past_jobs import schedule_in_the_past
from tests.support.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)

ONE_SECOND = timedelta(seconds=1)
SELECTIONS = [
    EVERYTHING,
    Selection(queues=("mail", "reports")),
    Selection(excluded_queues=("letters",)),
    Selection(excluded_queues=("letters", "mail")),
]


@pytest.fixture
def store():
    """Return the store of the default database."""
    return store_for("default")


def burst():
    run_worker(WorkerOptions(alias="default", limits=Limits(burst=True)))


def schedule(queue_name, **options):
    return schedule_job("0s", jobs.trace, args=[queue_name], queue_name=queue_name, **options)


def status_of(job):
    return ScheduledJob.objects.values_list("status", flat=True).get(pk=job.pk)


def is_complete(job):
    return status_of(job) == Status.COMPLETE


class TestPausedJobs:
    @pytest.mark.parametrize("run", [burst, run_jobs])
    def test_jobs_of_a_paused_queue_wait_and_others_run(self, run, trace_texts):
        schedule("mail", priority=5)
        schedule("reports")
        pause_queue("mail")
        run()
        assert trace_texts() == ["reports"]
        resume_queue("mail")
        run()
        assert trace_texts() == ["reports", "mail"]

    @pytest.mark.parametrize("selection", SELECTIONS)
    def test_a_claim_takes_no_jobs_of_a_paused_queue(self, selection, store):
        schedule("mail")
        pause_queue("mail")
        assert store.claim(Worker(name="one"), selection, at=clock.now(), limit=5) == []
        assert store.next_due(selection) is None

    @pytest.mark.parametrize("selection", SELECTIONS)
    def test_jobs_of_a_paused_queue_do_not_hide_later_jobs(self, selection, store):
        for priority in (2, 1):
            schedule("mail", priority=priority)
        waiting = schedule("reports", priority=1)
        pause_queue("mail")
        assert store.next_due(selection) <= clock.from_row(waiting.scheduled_at)
        claimed = store.claim(Worker(name="one"), selection, at=clock.now(), limit=5)
        assert claimed == [waiting]

    def test_a_job_of_a_paused_queue_can_expire(self):
        job = schedule_in_the_past(timedelta(hours=2), jobs.trace, expires="1h")
        pause_queue("default")
        run_jobs()
        assert status_of(job) == Status.EXPIRED

    def test_the_queryset_distinguishes_paused_and_due_jobs(self):
        waiting, other = schedule("mail"), schedule("reports")
        pause_queue("mail")
        assert list(ScheduledJob.objects.paused()) == [waiting]
        assert list(ScheduledJob.objects.due(clock.now())) == [other]
        assert list(ScheduledJob.objects.due()) == [other]

    def test_a_handler_can_pause_a_queue_for_later_jobs(self, monkeypatch, trace_texts):
        def pause(value=None):
            pause_queue("mail")

        monkeypatch.setattr(jobs, "echo", pause)
        pause.__module__ = jobs.__name__
        schedule_job("0s", "tests.shop.jobs.echo", priority=1)
        schedule("mail")
        run_jobs()
        assert trace_texts() == []

    @pytest.mark.only_on("postgresql", "mysql", reason="SQLite locks the database, not rows")
    def test_an_uncommitted_claim_does_not_block_pausing(self, store):
        other = connection.copy()
        try:
            with transaction.atomic():
                schedule("mail")
                store.claim(Worker(name="one"), at=clock.now(), limit=1)
                with other.cursor() as cursor:
                    cursor.execute(
                        "INSERT INTO django_future_pausedqueue "
                        "(queue_name, reason, paused_by, paused_at) "
                        "VALUES ('mail', '', '', CURRENT_TIMESTAMP)"
                    )
        finally:
            other.close()
        assert paused_queues(store) == ("mail",)


class TestPausing:
    def test_a_paused_queue_records_its_reason_and_time(self):
        pause_queue("mail", reason="the relay is down")
        [queue] = PausedQueue.objects.all()
        assert (str(queue), queue.reason) == ("mail", "the relay is down")
        assert clock.now() - clock.from_row(queue.paused_at) < timedelta(minutes=1)

    @pytest.mark.parametrize("again", [("still", "Ben"), ("still", ""), ("", "Ben"), ("", "")])
    def test_pausing_a_queue_again_replaces_the_texts_and_keeps_the_time(self, again):
        pause_queue("mail", reason="the relay is down", paused_by="Ada")
        [before] = PausedQueue.objects.all()
        reason, paused_by = again
        pause_queue("mail", reason=reason, paused_by=paused_by)
        [after] = PausedQueue.objects.all()
        assert (after.reason, after.paused_by, after.paused_at) == (*again, before.paused_at)

    def test_resuming_a_queue_that_is_not_paused_does_nothing(self):
        resume_queue("mail")
        assert not PausedQueue.objects.exists()

    def test_pausing_is_part_of_the_transaction(self):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            pause_queue("mail")
            1 / 0  # noqa: B018
        assert not PausedQueue.objects.exists()

    @pytest.mark.parametrize("name", ["", "x" * 101, None, 5])
    @pytest.mark.parametrize("act", [pause_queue, resume_queue])
    def test_an_invalid_queue_name_is_refused(self, act, name):
        with pytest.raises(InvalidOption, match=r"queue_name is .* 1 to 100 printable"):
            act(name)

    @pytest.mark.parametrize("reason", ["x" * 256, None])
    def test_a_pause_reason_that_is_too_long_is_refused(self, reason):
        with pytest.raises(InvalidOption, match="at most 255 characters"):
            pause_queue("mail", reason=reason)
        assert not PausedQueue.objects.exists()

    @pytest.mark.django_db(databases=["default", "other"], transaction=True)
    def test_each_database_has_its_own_paused_queues(self):
        job = schedule_job("0s", jobs.echo, queue_name="mail", using="other")
        pause_queue("mail")
        run_jobs(using="other")
        assert ScheduledJob.objects.using("other").get(pk=job.pk).status == Status.COMPLETE


class TestQueueSelector:
    def test_the_queue_selector_makes_no_query_while_nothing_is_paused(
        self, store, django_assert_num_queries
    ):
        choice = QueueSelector(store, EVERYTHING)
        choice.selection(set())
        with django_assert_num_queries(0):
            assert choice.selection(set()) is EVERYTHING

    def test_the_queue_selector_excludes_paused_queues(self, store):
        choice = QueueSelector(store, Selection(queues=("mail", "reports")))
        pause_queue("mail")
        selection = choice.selection(set())
        assert selection.excluded_queues == ("mail",)
        assert list(store.due_query.queue_names(selection)) == ["reports"]

    def test_a_paused_queue_limits_the_sleep_of_a_worker_to_a_second(self, store):
        choice = QueueSelector(store, EVERYTHING)
        pause_queue("mail")
        choice.selection(set())
        assert choice.max_sleep <= ONE_SECOND

    def test_the_queue_selector_includes_a_resumed_queue(self, store):
        choice = QueueSelector(store, EVERYTHING)
        pause_queue("mail")
        choice.selection(set())
        resume_queue("mail")
        assert choice.selection(set()) is EVERYTHING


@pytest.mark.slow
class TestWorkers:
    def test_a_worker_notices_pause_and_resume(self, start_worker):
        start_worker()
        first = schedule("mail")
        eventually(lambda: is_complete(first))
        pause_queue("mail")
        waiting, other = schedule("mail"), schedule("reports")
        eventually(lambda: is_complete(other))
        assert status_of(waiting) == Status.SCHEDULED
        resume_queue("mail")
        eventually(lambda: is_complete(waiting))

    def test_a_running_job_continues_when_its_queue_is_paused(self, start_worker, tmp_path):
        path = tmp_path / "held"
        job = schedule_job("0s", jobs.hold, args=[str(path)])
        start_worker()
        eventually(path.exists)
        pause_queue("default")
        path.unlink()
        eventually(lambda: is_complete(job))

    def test_a_worker_notices_a_resume_without_a_notification(self, start_worker):
        pause_queue("mail")
        waiting, other = schedule("mail"), schedule("reports")
        start_worker("--poll-interval", "1h")
        eventually(lambda: is_complete(other))
        PausedQueue.objects.all().delete()
        eventually(lambda: is_complete(waiting))


def test_runscheduledjobs_executes_no_jobs_of_a_paused_queue(capsys):
    schedule("mail")
    pause_queue("mail")
    call_command("runscheduledjobs")
    assert capsys.readouterr().out == "Nothing is due.\n"
