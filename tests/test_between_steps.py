"""An error between two steps: the work of the first is not lost, and is not done twice."""

from contextlib import ExitStack, suppress
from copy import copy
from datetime import timedelta
from functools import partial
from itertools import count
from threading import Event, Thread

import pytest
from django.db import DatabaseError, OperationalError, connection
from django.db.backends.signals import connection_created
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from django_future import (
    ScheduledJob,
    cancel_jobs,
    clock,
    job,
    retry_jobs,
    run_jobs,
    run_jobs_now,
    schedule_job,
    schedule_jobs,
    schedule_recurring,
    signals,
)
from django_future.execution.executor import execute
from django_future.execution.outcome import Ending, NotRecorded
from django_future.execution.watchdog import Watchdog
from django_future.models import JobProgress, JobStatistics, Worker
from django_future.progress import Inbox
from django_future.scheduling.runs import Materialiser
from django_future.signals import job_finished, jobs_expired, jobs_pruned
from django_future.status import Status
from django_future.store import Session, statistics, store_for, transitions
from django_future.store.postgresql.notify import NotifyLimiter
from django_future.tasks.api import task_finished
from django_future.worker import maintenance
from django_future.worker.housekeeping import write_progress
from django_future.worker.loop import Limits, Loop
from django_future.worker.pool import Pool
from django_future.worker.process import WorkerOptions, run_worker
from django_future.worker.recorder import Recorder
from tests.shop import flaky, hostile, jobs, tasks
from tests.support.faults import failing, losing_answer_to_commit
from tests.support.receivers import connected
from tests.support.rows import rewrite
from tests.support.waiting import MAX_WAIT_SECONDS, eventually, has_ended

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def store():
    """Return the store of the default database."""
    return store_for("default")


@pytest.fixture(autouse=True)
def uncounted():
    """Forget the jobs that earlier tests have left in memory."""
    statistics._counts.clear()


@pytest.fixture
def several_batches(monkeypatch):
    """Let each batch of rows have one row."""
    for module in ("progress", "retention"):
        monkeypatch.setattr(f"django_future.store.{module}.BATCH_SIZE", 1)


SHORT_LOCK_WAIT = {
    "postgresql": "SET lock_timeout TO '50ms'",
    "mysql": "SET SESSION innodb_lock_wait_timeout = 1",
    "sqlite": "PRAGMA busy_timeout = 50",
}


def with_status(status):
    """Return the number of jobs with a status."""
    return ScheduledJob.objects.filter(status=status).count()


def counted(store, name):
    """Return how many jobs the statistics count under a name."""
    maintenance.write_statistics(store)
    return sum(JobStatistics.objects.values_list(name, flat=True))


class TestExpiry:
    # A text of the statement that expires a batch of jobs.
    EXPIRE = {"postgresql": "EXECUTE", "sqlite": "'expired'", "mysql": "UPDATE"}

    @pytest.fixture(autouse=True)
    def single(self, monkeypatch):
        """Let each batch have one job."""
        for module in ("base", "sqlite", "postgresql.store"):
            monkeypatch.setattr(f"django_future.store.{module}.BATCH_SIZE", 1)

    @pytest.fixture
    def reported(self):
        """Return the numbers of expired jobs that the signals have."""
        numbers = []

        def receive(count, **_):
            numbers.append(count)

        with connected(jobs_expired, receive):
            yield numbers

    @staticmethod
    def make_overdue():
        past = clock.to_row(clock.now() - timedelta(hours=1))
        ScheduledJob.objects.update(scheduled_at=past, expires_at=past)

    def test_jobs_that_expired_before_an_error_are_reported_and_counted(self, store, reported):
        schedule_jobs([{"when": "0s", "callable": jobs.echo}] * 2)
        self.make_overdue()
        with failing(self.EXPIRE[connection.vendor], after=1), suppress(OperationalError):
            maintenance.expire(store, clock.now())
        maintenance.expire(store, clock.now())
        assert with_status(Status.EXPIRED) == 2
        assert (reported, counted(store, "expired")) == ([1, 1], 2)

    def test_the_signal_of_an_expired_task_is_sent_later_if_its_row_cannot_be_read(
        self, store, reported
    ):
        received = []

        def receive(task_result, **_):
            received.append(task_result.id)

        result = tasks.echo.enqueue(1)
        self.make_overdue()
        with connected(task_finished, receive):
            with failing("return_value"), suppress(OperationalError):
                maintenance.expire(store, clock.now())
            for _ in range(2):
                maintenance.expire(store, clock.now())
        assert received == [result.id]
        assert (reported, counted(store, "expired")) == ([1], 1)

    def test_a_task_whose_row_is_never_readable_does_not_prevent_expiry(self, store, reported):
        tasks.echo.enqueue(1)
        self.make_overdue()
        for _ in range(2):
            with failing("return_value"), pytest.raises(DatabaseError):
                maintenance.expire(store, clock.now())
        schedule_jobs([{"when": "0s", "callable": jobs.echo}] * 2)
        self.make_overdue()
        maintenance.expire(store, clock.now())
        assert reported == [1, 2]

    @pytest.mark.only_on("mysql", reason="other databases return the jobs that have expired")
    def test_jobs_expire_only_if_it_is_known_which_ones(self, store, reported, monkeypatch):
        """Let a rival cancel one of two jobs, so that another query finds those that expired."""
        monkeypatch.setattr("django_future.store.base.BATCH_SIZE", 2)
        first, _ = schedule_jobs([{"when": "0s", "callable": jobs.echo}] * 2)
        self.make_overdue()
        other = connection.copy()

        def cancel_first(execute, sql, *rest):
            if sql.startswith("UPDATE"):
                with other.cursor() as cursor:
                    cursor.execute(
                        "UPDATE django_future_scheduledjob SET status = 'cancelled' WHERE id = %s",
                        [first.pk],
                    )
            return execute(sql, *rest)

        query = "SELECT `django_future_scheduledjob`.`id`"
        with connection.execute_wrapper(cancel_first), failing(query), suppress(OperationalError):
            maintenance.expire(store, clock.now())
        other.close()
        maintenance.expire(store, clock.now())
        assert (with_status(Status.EXPIRED), reported) == (1, [1])


@pytest.mark.only_on("sqlite", reason="only SQLite takes a text that is not UTF-8")
class TestUnreadableRows:
    @pytest.fixture(autouse=True)
    def unreadable(self):
        """Schedule a due job whose row cannot be read."""
        job = schedule_job("0s", jobs.echo)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE django_future_scheduledjob SET args = CAST(%s AS TEXT) WHERE id = %s",
                [b"\xff", job.pk],
            )

    @pytest.fixture
    def finished(self):
        """Return the statuses that `job_finished` has."""
        statuses = []

        def receive(job, **_):
            statuses.append(job.status)

        with connected(job_finished, receive):
            yield statuses

    def test_a_job_that_fails_as_unreadable_is_announced_despite_an_error(self, finished):
        with failing("return_value", after=1), suppress(OperationalError):
            run_jobs(ignore_errors=True)
        run_jobs(ignore_errors=True)
        assert with_status(Status.FAILED) == 1
        assert finished == ["failed"]

    def test_a_job_that_fails_as_unreadable_is_counted(self, store):
        run_jobs(ignore_errors=True)
        assert (with_status(Status.FAILED), counted(store, "failed")) == (1, 1)


@pytest.mark.usefixtures("several_batches")
class TestBatches:
    def test_log_lines_that_were_written_before_an_error_are_not_written_again(self, store):
        inbox = Inbox("any", on_first=lambda: None)
        for _ in range(3):
            inbox.put(schedule_job("0s", jobs.echo), ["a line"])
        with failing("INSERT INTO", after=1), suppress(OperationalError):
            write_progress(store, inbox)
        write_progress(store, inbox)
        assert list(JobProgress.objects.values_list("log", flat=True)) == ["a line"] * 3

    def test_jobs_that_were_pruned_before_an_error_are_reported(self, store):
        numbers = []

        def receive(count, **_):
            numbers.append(count)

        old = clock.to_row(clock.now() - timedelta(days=2))
        for _ in range(3):
            schedule_job("0s", jobs.echo).cancel()
        ScheduledJob.objects.update(finished_at=old)
        with connected(jobs_pruned, receive):
            with (
                failing("DELETE FROM django_future_scheduledjob", after=1),
                pytest.raises(OperationalError),
            ):
                maintenance.prune_status(store, Status.CANCELLED, timedelta(days=1))
            maintenance.prune_status(store, Status.CANCELLED, timedelta(days=1))
        assert numbers == [1, 2]


@pytest.mark.only_on("postgresql", reason="only PostgreSQL has NOTIFY")
class TestNotifications:
    """Two batches of one job each; the second one fails."""

    @pytest.fixture(autouse=True)
    def single(self, store, monkeypatch):
        """Let each batch have one job, and suppress no notification."""
        monkeypatch.setattr(transitions, "BATCH_SIZE", 1)
        monkeypatch.setattr(store, "_notify_limiter", NotifyLimiter())

    @pytest.mark.parametrize("change", [retry_jobs, run_jobs_now])
    def test_the_jobs_before_an_error_are_notified(self, change):
        """Otherwise workers would find them only when they poll."""
        schedule_jobs([{"when": "1h", "callable": jobs.echo}] * 2)
        if change is retry_jobs:
            ScheduledJob.objects.update(status=Status.FAILED)
        update = f"UPDATE {connection.ops.quote_name('django_future_scheduledjob')}"
        with (
            CaptureQueriesContext(connection) as queries,
            failing(update, after=1),
            suppress(OperationalError),
        ):
            change(ScheduledJob.objects.all())
        assert ScheduledJob.objects.due().count() == 1
        assert sum(str(query["sql"]).startswith("NOTIFY") for query in queries) == 1


class TestCancel:
    @pytest.fixture
    def ended(self):
        """Return the ids of the tasks whose end was announced."""
        ids = []

        def receive(task_result, **_):
            ids.append(task_result.id)

        with connected(task_finished, receive):
            yield ids

    def test_a_task_is_cancelled_and_announced_or_neither(self, ended):
        task, other = tasks.echo.enqueue(1), schedule_job("1h", jobs.echo)
        with failing("return_value"), pytest.raises(OperationalError):
            cancel_jobs(ScheduledJob.objects.all())
        assert (with_status(Status.CANCELLED), ended) == (0, [])
        assert cancel_jobs(ScheduledJob.objects.all()) == 2
        assert (with_status(Status.CANCELLED), ended) == (2, [task.id])
        other.refresh_from_db()
        assert other.status == Status.CANCELLED

    @pytest.mark.only_on("postgresql", "mysql", reason="the rival would wait for SQLite's lock")
    def test_a_task_that_a_rival_cancels_first_is_announced_once(self, ended):
        """Let the rival cancel it after it was found, and before it is changed."""
        task, numbers = tasks.echo.enqueue(1), count()

        def cancel_first(execute, sql, *rest):
            if next(numbers) == 1:
                rival = Thread(target=lambda: [cancel_all(), connection.close()])
                rival.start()
                assert has_ended(rival)
            return execute(sql, *rest)

        def cancel_all():
            return cancel_jobs(ScheduledJob.objects.all())

        with connection.execute_wrapper(cancel_first):
            assert cancel_all() == 0
        assert ended == [task.id]


@pytest.fixture
def rival():
    """Return another connection, with an open transaction."""
    rival = connection.copy()
    rival.set_autocommit(False)
    yield rival
    rival.rollback()
    rival.close()


class TestRecording:
    @pytest.fixture
    def recorder(self, store):
        """Return a recorder with three completions."""
        recorder = Recorder(store)
        schedule_jobs([{"when": "0s", "callable": jobs.echo}] * 3)
        session = Session(store)
        for claimed in store.claim(Worker(name="any"), at=clock.now(), limit=3):
            execute(claimed, session, Watchdog(store, on_stuck=None), batch=recorder.add_completion)
        session.end_idle()
        return recorder

    @pytest.fixture
    def refused(self, recorder, store, monkeypatch):
        """Let the database refuse the second completion, and return its job."""
        refused = recorder.jobs[1]
        real = type(store).finish_all

        def finish_all(self, batch):
            if refused in batch:
                raise DatabaseError("a value that no database takes")
            return real(self, batch)

        monkeypatch.setattr(type(store), "finish_all", finish_all)
        return refused

    def test_a_failure_that_cannot_be_recorded_repeats_no_signal_of_other_jobs(
        self, recorder, refused, store, monkeypatch
    ):
        finished = []

        def receive(job, **_):
            finished.append((job.pk, job.status))

        def fail(*_):
            raise OperationalError("the server is away")

        expected = [(job.pk, "failed" if job is refused else "complete") for job in recorder.jobs]
        with connected(job_finished, receive):
            with monkeypatch.context() as patch:
                patch.setattr("django_future.execution.failure.fail", fail)
                with suppress(OperationalError):
                    recorder.record()
                with suppress(OperationalError):
                    recorder.record()
            assert refused in recorder.jobs
            recorder.record()
        assert (sorted(finished), recorder.jobs) == (expected, [])
        assert (counted(store, "complete"), counted(store, "failed")) == (2, 1)

    @pytest.mark.only_on("postgresql", "mysql", reason="SQLite locks the database, not rows")
    def test_a_locked_row_fails_no_job_if_the_batch_of_its_completion_is_refused(
        self, recorder, refused, rival, monkeypatch
    ):
        """The rival ends if it would delay the record of a failure."""
        locked = recorder.jobs[2]
        monkeypatch.setattr("django_future.store.contention.MAX_TRIES", 1)
        with rival.cursor() as cursor:
            cursor.execute(
                "SELECT id FROM django_future_scheduledjob WHERE id = %s FOR UPDATE", [locked.pk]
            )

        def end_rival(execute, sql, *rest):
            if "error_kind" in sql and f"{locked.pk}" in str(rest):
                rival.rollback()
            return execute(sql, *rest)

        with connection.execute_wrapper(end_rival):
            recorder.record()
        assert [job.pk for job in recorder.jobs] == [locked.pk]
        rival.rollback()
        eventually(lambda: recorder.record() or not recorder.jobs)
        locked.refresh_from_db()
        assert (locked.status, locked.error) == (Status.COMPLETE, "")

    def test_a_row_that_stays_locked_for_long_does_not_prevent_another_attempt(
        self, store, rival, monkeypatch
    ):
        """The rival ends if a failure would be recorded instead of the next attempt."""
        monkeypatch.setattr("django_future.store.contention.MAX_TRIES", 1)
        job = flaky.charge.schedule("0s", 1)
        [claimed] = store.claim(Worker(name="any"), at=clock.now(), limit=1)
        session = Session(store)

        def lock():  # after the handler was rolled back
            with rival.cursor() as cursor:
                cursor.execute(
                    "UPDATE django_future_scheduledjob SET priority = 1 WHERE id = %s", [job.pk]
                )

        def wait_briefly(connection, **_):
            with connection.cursor() as cursor:
                cursor.execute(SHORT_LOCK_WAIT[connection.vendor])

        def end_rival(execute, sql, *rest):
            if "error_kind" in sql:
                rival.rollback()
            return execute(sql, *rest)

        monkeypatch.setattr(session, "tidy", lock)
        wait_briefly(connection)
        with (
            connected(connection_created, wait_briefly),
            connection.execute_wrapper(end_rival),
            pytest.raises(NotRecorded) as caught,
        ):
            execute(claimed, session, Watchdog(store, on_stuck=None))
        connection.close()
        rival.rollback()
        caught.value.record()
        job.refresh_from_db()
        assert (job.status, job.failed_attempts.count()) == (Status.SCHEDULED, 1)


class TestLostAnswers:
    """The connection breaks after a commit, before the answer arrives."""

    @pytest.fixture
    def heard(self):
        """Return the signals about the ends of attempts, each with the status of its job."""
        heard = []
        with ExitStack() as stack:
            for name in (
                "job_finished", "job_retried", "job_lost", "job_rescued", "job_parked",
                "job_handler_unknown",
            ):  # fmt: skip

                def receive(job, name=name, **_):
                    heard.append((name, job.status))

                stack.enter_context(connected(getattr(signals, name), receive))
            yield heard

    def execute_one(self, store):
        """Execute a due job, and lose the answer to the first commit after its claim."""
        [claimed] = store.claim(Worker(name="any"), at=clock.now(), limit=1)
        with losing_answer_to_commit():
            return execute(claimed, Session(store), Watchdog(store, on_stuck=None))

    @pytest.mark.parametrize(
        ("name", "status"), [("job_parked", "parked"), ("job_handler_unknown", "scheduled")]
    )
    def test_the_end_of_a_job_that_cannot_be_called_is_recorded_again(
        self, store, heard, name, status
    ):
        """Otherwise the error of the second record would end the worker."""
        job = schedule_job("0s", jobs.echo)
        if status == "parked":
            ScheduledJob.objects.update(signature="none")
        else:
            rewrite(callable_name="tests.shop.jobs.no_such_handler")
        recorder = Recorder(store)
        [claimed] = store.claim(Worker(name="any"), at=clock.now(), limit=1)
        with losing_answer_to_commit(), pytest.raises(NotRecorded) as caught:
            execute(claimed, Session(store), Watchdog(store, on_stuck=None))
        recorder.add(caught.value)
        recorder.record()
        job.refresh_from_db()
        assert (job.status, job.attempts, recorder.jobs) == (status, 0, [])
        assert heard == [(name, status)]

    def test_a_job_that_is_cancelled_before_it_is_parked_has_lost_its_lease(self, store):
        job = schedule_job("0s", jobs.echo)
        ScheduledJob.objects.update(signature="none")
        [claimed] = store.claim(Worker(name="any"), at=clock.now(), limit=1)
        job.cancel(running=True)
        outcome = execute(claimed, Session(store), Watchdog(store, on_stuck=None))
        assert outcome.ending is Ending.LEASE_LOST

    def test_a_job_whose_completion_was_committed_is_announced(self, store, heard):
        schedule_job("0s", jobs.trace)
        assert self.execute_one(store).ending is Ending.RECORDED
        assert heard == [("job_finished", "complete")]
        assert (with_status(Status.COMPLETE), counted(store, "complete")) == (1, 1)

    @pytest.mark.parametrize("handler", [jobs.trace, hostile.delete_itself])
    def test_a_job_whose_deletion_was_committed_is_announced(self, store, heard, handler):
        schedule_job("0s", handler)
        [claimed] = store.claim(Worker(name="any"), at=clock.now(), limit=1)
        with losing_answer_to_commit():
            outcome = execute(claimed, Session(store), Watchdog(store, on_stuck=None), keep=False)
        assert (outcome.ending, heard) == (Ending.RECORDED, [("job_finished", "complete")])
        assert not ScheduledJob.objects.exists()

    @pytest.mark.parametrize(
        ("handler", "announced"),
        [
            (jobs.trace_and_fail, ("job_finished", "failed")),
            (flaky.charge, ("job_retried", "scheduled")),
        ],
        ids=["failed", "retried"],
    )
    def test_an_attempt_whose_end_was_committed_is_announced(
        self, store, heard, handler, announced
    ):
        job = schedule_job("0s", handler, args=["1"])
        assert self.execute_one(store).ending is Ending.RECORDED
        job.refresh_from_db()
        assert (heard, job.status) == ([announced], announced[1])
        assert job.failed_attempts.count() == 1
        assert counted(store, "failed") == (job.status == Status.FAILED)

    @pytest.mark.parametrize("atomic", [True, False])
    def test_a_retry_that_was_committed_is_announced(self, store, heard, atomic):
        job = schedule_job("0s", flaky.poll, atomic=atomic)
        assert self.execute_one(store).ending is Ending.RECORDED
        job.refresh_from_db()
        assert (heard, job.status) == ([("job_retried", "scheduled")], "scheduled")

    @pytest.mark.parametrize("atomic", [True, False])
    def test_a_cancellation_that_was_committed_is_announced(self, store, heard, atomic):
        schedule_job("0s", flaky.cancel_running, atomic=atomic)
        assert self.execute_one(store).ending is Ending.RECORDED
        assert heard == [("job_finished", "cancelled")]
        assert (with_status(Status.CANCELLED), counted(store, "cancelled")) == (1, 1)

    def test_a_job_that_cancels_itself_is_announced(self, store, heard):
        schedule_job("0s", hostile.cancel_itself)
        with pytest.raises(NotRecorded) as caught:
            self.execute_one(store)
        caught.value.record()
        assert (heard, with_status(Status.CANCELLED)) == ([("job_finished", "cancelled")], 1)

    def test_a_cancellation_by_another_process_is_not_that_of_the_handler(self, store, heard):
        job = schedule_job("0s", flaky.cancel_running)
        [claimed] = store.claim(Worker(name="any"), at=clock.now(), limit=1)
        job.cancel(running=True)
        outcome = execute(claimed, Session(store), Watchdog(store, on_stuck=None))
        assert (outcome.ending, heard) == (Ending.LEASE_LOST, [("job_lost", "running")])

    def test_a_rescue_by_another_process_is_not_a_retry_of_the_handler(self, store, heard):
        schedule_job("0s", flaky.poll)
        ScheduledJob.objects.update(first_due_at=F("scheduled_at"))
        [claimed] = store.claim(Worker(name="any"), at=clock.now(), limit=1)
        transitions.rescue(store, copy(claimed), is_counted=True)
        outcome = execute(claimed, Session(store), Watchdog(store, on_stuck=None))
        assert (outcome.ending, heard) == (Ending.LEASE_LOST, [("job_lost", "running")])

    @pytest.mark.parametrize(
        ("max_attempts", "announced"),
        [(1, ("job_finished", "failed")), (2, ("job_retried", "scheduled"))],
    )
    def test_the_end_of_a_stuck_job_is_announced_once(
        self, store, heard, max_attempts, announced, monkeypatch
    ):
        """The watchdog records it, before the handler returns."""
        monkeypatch.setattr("django_future.execution.watchdog.GRACE_SECONDS", 0.1)
        may_end.clear()
        schedule_job("0s", ignore_interruptions, timeout="0.1s", max_attempts=max_attempts)
        pool = Pool(store, threads=1, on_idle=lambda: None)
        pool.start()
        pool.put(store.claim(Worker(name="any"), at=clock.now(), limit=1))
        eventually(lambda: heard)
        may_end.set()
        eventually(lambda: not pool.running_jobs)
        pool.drain()
        pool.close(timedelta(seconds=MAX_WAIT_SECONDS))
        assert heard == [announced, ("job_lost", "running")]

    @pytest.mark.only_on("postgresql", reason="other databases send no notification")
    @pytest.mark.parametrize(
        ("name", "ending"),
        [("flaky.poll", Ending.RECORDED), ("jobs.no_such_handler", Ending.HANDLER_UNKNOWN)],
    )
    def test_a_job_is_scheduled_again_without_a_notification(self, store, heard, name, ending):
        schedule_job("0s", jobs.echo)
        rewrite(callable_name=f"tests.shop.{name}")
        [claimed] = store.claim(Worker(name="any"), at=clock.now(), limit=1)
        session = Session(store)
        store._notify_limiter = NotifyLimiter()  # so that this one is not suppressed
        with failing("NOTIFY"):
            session.warm_up()
            outcome = execute(claimed, session, Watchdog(store, on_stuck=None))
        assert (outcome.ending, with_status(Status.SCHEDULED)) == (ending, 1)
        assert "job_lost" not in dict(heard)


may_end = Event()


@job
def ignore_interruptions():
    """Wait in a call that no exception interrupts."""
    assert may_end.wait()


class TestMaterialisation:
    def test_a_run_exists_before_its_instant_if_the_round_before_has_failed(self, store):
        at = store.now() + timedelta(hours=1)
        schedule_recurring("soon", jobs.echo, every="1h", starts_at=at + timedelta(seconds=5))
        materialiser = Materialiser(store)
        with failing("django_future_recurringjob"), suppress(OperationalError):
            materialiser.work(at)
        materialiser.work(at + timedelta(seconds=1))
        assert with_status(Status.SCHEDULED) == 1


class TestRescue:
    def test_a_job_that_cannot_be_read_for_some_time_does_not_fail(self, store):
        """The failures are of the connection or of a rival, not of the row."""
        job = schedule_job("0s", jobs.echo)
        store.claim(Worker(name="lost"), at=clock.now(), limit=1)
        with ExitStack() as stack:
            for _ in range(3):  # with others, alone, and once more
                stack.enter_context(failing("return_value"))
            with suppress(OperationalError):
                maintenance.rescue(store)
        maintenance.rescue(store)
        job.refresh_from_db()
        assert (job.status, job.error) == (Status.SCHEDULED, "")


class TestStop:
    def test_a_stop_waits_for_running_jobs_despite_an_error(self, store, hold_file):
        """Let the connection break when the job that has not started is released."""
        running, waiting = (
            schedule_job("0s", jobs.hold, args=[str(hold_file)]),
            schedule_job("1h", jobs.echo),
        )
        worker = Worker(name="any")
        loop = Loop(store, worker)
        loop.pool.start()
        loop.pool.put(store.claim(worker, at=clock.now() + timedelta(hours=2), limit=2))
        eventually(hold_file.exists)

        def end_job(execute, sql, *rest):
            hold_file.unlink(missing_ok=True)
            return execute(sql, *rest)

        update = f"SET {connection.ops.quote_name('status')}"
        with connection.execute_wrapper(end_job), failing(update):
            loop.close(timedelta(seconds=MAX_WAIT_SECONDS))
        for row in (running, waiting):
            row.refresh_from_db()
        assert (running.status, waiting.status) == (Status.COMPLETE, Status.SCHEDULED)


@pytest.mark.only_on("postgresql", "mysql", reason="SQLite locks the database, not rows")
class TestLockedRows:
    @pytest.fixture(autouse=True)
    def unset(self):
        """Let each test wait for its own events."""
        is_called.clear()
        may_return.clear()

    def test_a_locked_completion_is_recorded_though_others_arrive(self, store, rival, monkeypatch):
        monkeypatch.setattr("django_future.worker.recorder.RETRY_INTERVAL_SECONDS", 0.0)
        recorder = Recorder(store)
        first = complete_one(store, recorder)
        lock_row(rival, first)
        recorder.record()
        rival.rollback()
        complete_one(store, recorder)
        recorder.record()
        assert ScheduledJob.objects.get(pk=first.pk).status == Status.COMPLETE

    def test_an_end_whose_row_is_locked_does_not_delay_the_others(self, store, rival):
        recorder = Recorder(store)
        first, second = (schedule_job("0s", jobs.echo) for _ in range(2))
        for each in store.claim(Worker(name="any"), at=clock.now(), limit=2):
            recorder.add(NotRecorded(each, partial(transitions.release, store, each)))
        lock_row(rival, first)
        assert is_done_in_thread(recorder.record)
        second.refresh_from_db()
        assert second.status == Status.SCHEDULED
        assert [each.pk for each in recorder.jobs] == [first.pk]

    def test_a_job_whose_row_is_locked_does_not_delay_the_release_of_others(self, store, rival):
        first, second = (schedule_job("1h", jobs.echo) for _ in range(2))
        worker = Worker(name="any")
        loop = Loop(store, worker)
        loop.pool.start()
        loop.pool.put(store.claim(worker, at=clock.now() + timedelta(hours=2), limit=2))
        lock_row(rival, first)
        assert is_done_in_thread(lambda: loop.close(timedelta()))
        second.refresh_from_db()
        assert second.status == Status.SCHEDULED
        assert [each.pk for each in loop.pool.jobs] == [first.pk]

    def test_a_worker_continues_while_the_row_of_a_failed_job_is_locked(self):
        """It has one thread. The rival ends when another job is complete."""
        row = schedule_job("0s", wait_for_lock, kwargs={"fail": True})

        def lock_until_another_job_is_complete():
            is_called.wait(MAX_WAIT_SECONDS)
            rival = connection.copy()
            rival.set_autocommit(False)
            lock_row(rival, row)
            another = ScheduledJob.objects.filter(pk=schedule_job("0s", jobs.echo).pk)
            may_return.set()
            try:
                eventually(lambda: another.get().status == Status.COMPLETE)
            finally:
                rival.close()
                connection.close()

        holder = Thread(target=lock_until_another_job_is_complete)
        holder.start()
        options = WorkerOptions(alias="default", threads=1, limits=Limits(burst=True))
        exit_code = run_worker(options)
        holder.join()
        assert exit_code == 0
        row.refresh_from_db()
        assert (row.status, row.failed_attempts.count()) == (Status.FAILED, 1)

    def test_a_one_off_run_waits_for_the_locked_row_of_a_failed_job(self, rival, monkeypatch):
        """The rival ends at the second try to record the failure."""
        monkeypatch.setattr("django_future.store.contention.MAX_TRIES", 1)
        row, numbers = schedule_job("0s", wait_for_lock, kwargs={"fail": True}), count()
        rival.inc_thread_sharing()

        def lock():
            is_called.wait(MAX_WAIT_SECONDS)
            lock_row(rival, row)
            may_return.set()

        def end_rival(execute, sql, *rest):
            if "NOWAIT" in sql and next(numbers) == 1:
                rival.rollback()
            return execute(sql, *rest)

        holder = Thread(target=lock)
        holder.start()
        with connection.execute_wrapper(end_rival):
            run_jobs(ignore_errors=True)
        assert has_ended(holder)
        row.refresh_from_db()
        assert (row.status, row.failed_attempts.count()) == (Status.FAILED, 1)

    def test_a_worker_waits_for_a_locked_completion_before_it_ends(self, caplog):
        row = schedule_job("0s", wait_for_lock)

        def lock_until_a_warning():
            is_called.wait(MAX_WAIT_SECONDS)
            rival = connection.copy()
            rival.set_autocommit(False)
            lock_row(rival, row)
            may_return.set()
            eventually(lambda: "another transaction has locked" in caplog.text)
            rival.close()

        holder = Thread(target=lock_until_a_warning)
        holder.start()
        exit_code = run_worker(WorkerOptions(alias="default", limits=Limits(burst=True)))
        holder.join()
        assert exit_code == 0
        assert ScheduledJob.objects.get(pk=row.pk).status == Status.COMPLETE
        assert "1 job is complete, but another transaction has locked its row" in caplog.text


is_called, may_return = Event(), Event()


@job
def wait_for_lock(*, fail=False):
    """Return, or fail, when the row of this job is locked."""
    is_called.set()
    assert may_return.wait(MAX_WAIT_SECONDS)
    if fail:
        raise ValueError("failed")


def is_done_in_thread(act):
    """Call `act` in another thread, and return whether it has returned in time."""
    thread = Thread(target=lambda: [act(), connection.close()])
    thread.start()
    return has_ended(thread)


def complete_one(store, recorder):
    row = schedule_job("0s", jobs.echo)
    session = Session(store)
    [claimed] = store.claim(Worker(name="any"), at=clock.now(), limit=1)
    watchdog = Watchdog(store, on_stuck=None)
    execute(claimed, session, watchdog, batch=recorder.add_completion)
    session.end_idle()
    return row


def lock_row(rival, row):
    with rival.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM django_future_scheduledjob WHERE id = %s FOR UPDATE", [row.pk]
        )


class TestStart:
    def test_declarations_that_could_not_be_applied_are_applied_later(
        self, hold_file, settings, monkeypatch
    ):
        """Let the database fail once; a job keeps the worker running."""
        tries = []

        def synchronise(alias):
            tries.append(alias)
            if len(tries) == 1:
                raise OperationalError("the server is away")

        def work():
            run_worker(WorkerOptions(alias="default", limits=Limits(burst=True)))
            connection.close()

        monkeypatch.setattr("django_future.worker.process.synchronise", synchronise)
        settings.DJANGO_FUTURE = {"HEARTBEAT": "0.2s"}
        schedule_job("0s", jobs.hold, args=[str(hold_file)])
        worker = Thread(target=work)
        worker.start()
        eventually(lambda: len(tries) > 1 or not worker.is_alive())
        eventually(hold_file.exists)
        hold_file.unlink()
        assert has_ended(worker)
        assert tries == ["default"] * 2
