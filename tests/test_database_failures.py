"""Database failures in a worker: lost or refused connections, and locked rows."""

import threading
from datetime import timedelta
from itertools import count
from threading import Event, Thread

import pytest
from django.db import DatabaseError, OperationalError, connection, connections, transaction

from django_future import ScheduledJob, clock, run_jobs, schedule_job, schedule_jobs
from django_future.execution.executor import execute
from django_future.execution.outcome import NotRecorded, NotStarted
from django_future.execution.recording import record_completions
from django_future.execution.watchdog import Watchdog
from django_future.models import Worker
from django_future.status import Status
from django_future.store import Session, store_for
from django_future.store.base import SET_CLAIMED
from django_future.worker.loop import Limits
from django_future.worker.pool import Pool
from django_future.worker.process import WorkerOptions, run_worker
from django_future.worker.recorder import Recorder
from tests.shop import jobs
from tests.shop.models import Trace
from tests.support.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)

ANY_WORKER = Worker(name="any")


@pytest.fixture
def store():
    """Return the store of the default database."""
    return store_for("default")


@pytest.fixture
def pool(store):
    """Return a running pool with one thread."""
    pool = Pool(store, 1, on_idle=lambda: None)
    pool.start()
    yield pool
    pool.drain()
    pool.close(timedelta(seconds=20))


@pytest.fixture
def watchdog(store):
    """Return a watchdog that is not running."""
    return Watchdog(store, on_stuck=None)


def claim(store, limit=10):
    return store.claim(ANY_WORKER, at=clock.now(), limit=limit)


def status(job):
    return ScheduledJob.objects.get(pk=job.pk).status


class Refusing:
    """Refuses a number of connections to the threads of a pool."""

    def __init__(self, monkeypatch, times):
        self.refusals = 0
        kind = type(connections["default"])
        real = kind.get_new_connection

        def get_new_connection(wrapper, parameters):
            if threading.current_thread().name.startswith("runner") and self.refusals < times:
                self.refusals += 1
                raise OperationalError("FATAL: sorry, too many clients already")
            return real(wrapper, parameters)

        monkeypatch.setattr(kind, "get_new_connection", get_new_connection)


class TestBeforeStart:
    def test_a_refused_connection_releases_the_job_and_the_worker_retries(
        self, monkeypatch, trace_texts
    ):
        refusing = Refusing(monkeypatch, times=3)
        job = schedule_job("0s", jobs.trace)
        assert run_worker(WorkerOptions(alias="default", threads=1, limits=Limits(burst=True))) == 0
        job.refresh_from_db()
        assert (job.status, job.attempts, job.rescues) == (Status.COMPLETE, 1, 0)
        assert (refusing.refusals, trace_texts()) == (3, ["ran"])

    def test_a_connection_error_before_the_handler_raises_not_started(
        self, store, watchdog, monkeypatch
    ):
        schedule_job("0s", jobs.trace)
        [job] = claim(store)

        def refuse(self):
            raise OperationalError("server closed the connection unexpectedly")

        session = Session(store)
        monkeypatch.setattr(Session, "_connect", refuse)
        with pytest.raises(NotStarted):
            execute(job, session, watchdog)
        assert status(job) == Status.RUNNING  # its worker releases it

    @pytest.mark.only_on("postgresql", "mysql", reason="SQLite has no server")
    def test_a_connection_closed_by_the_server_between_jobs_is_replaced(
        self, store, pool, monkeypatch, trace_texts
    ):
        numbers = {}  # session ids at `rest`, by the number of finished jobs

        def note(self):
            real(self)
            numbers[pool.finished] = self.store.session_id()

        real = Session.end_idle
        first, second = (schedule_job("0s", jobs.trace, args=[text]) for text in "ab")
        held = {job.pk: job for job in claim(store)}
        monkeypatch.setattr(Session, "end_idle", note)
        pool.put([held[first.pk]])
        eventually(lambda: 1 in numbers)
        jobs.end_session(numbers[1])
        pool.put([held[second.pk]])
        eventually(lambda: pool.finished == 2)
        second.refresh_from_db()
        assert (second.status, second.rescues, trace_texts()) == (Status.COMPLETE, 0, ["a", "b"])

    def test_an_expired_job_that_cannot_be_released_is_not_rescued(self, store, pool, monkeypatch):
        """A rescue counts, and a job may not be rescuable. But this job never started."""
        job = schedule_job("0s", jobs.trace, expires="1h")
        held = claim(store)
        held[0].expires_at = held[0].scheduled_at

        def refuse(*_):
            raise OperationalError("server closed the connection unexpectedly")

        with monkeypatch.context() as patch:
            patch.setattr("django_future.store.transitions.release_unlocked", refuse)
            pool.put(held)
            released = []
            eventually(lambda: released.extend(pool.pop_overdue()) or released)
        pool.record()
        job.refresh_from_db()
        assert [one.pk for one in released] == [job.pk]  # the worker releases it
        assert (job.status, job.rescues, pool.in_flight) == (Status.RUNNING, 0, 0)

    def test_a_job_that_is_cancelled_after_its_claim_does_not_start(self, store, pool, trace_texts):
        job = schedule_job(clock.now() + timedelta(milliseconds=400), jobs.trace)
        other = schedule_job(clock.now() + timedelta(milliseconds=401), jobs.trace)
        pool.put(store.claim(ANY_WORKER, at=clock.now() + timedelta(seconds=1), limit=10))
        job.cancel(running=True)
        eventually(lambda: pool.finished == 2)
        assert (status(job), status(other)) == (Status.CANCELLED, Status.COMPLETE)
        assert trace_texts() == ["ran"]


@pytest.mark.only_on("sqlite", "mysql", reason="PostgreSQL claims all priorities at once")
class TestClaim:
    @pytest.fixture
    def rival(self, store):
        """Let another connection block the claim of the second priority, but not its repetition."""
        other, claims = connection.copy(), count()
        other.set_autocommit(False)

        def block(execute, sql, parameters, many, context):
            if f"SET {SET_CLAIMED}" in sql:
                number = next(claims)
                if number == 1:
                    with other.cursor() as cursor:
                        cursor.execute(BLOCK[connection.vendor])
                elif number == 2:
                    other.rollback()
            return execute(sql, parameters, many, context)

        with connection.cursor() as cursor:
            cursor.execute(SHORT_LOCK_WAIT[connection.vendor])
        with connection.execute_wrapper(block):
            yield claims
        other.close()
        connection.close()

    def test_a_rival_that_blocks_a_later_priority_makes_no_claim_forgotten(self, store, rival):
        """Otherwise the jobs of the first priority would be running without a worker."""
        schedule_job("0s", jobs.echo, priority=5)
        schedule_job("0s", jobs.echo)
        claimed = claim(store)
        assert next(rival) == 3  # the second priority was claimed twice
        assert [job.priority for job in claimed] == [5, 0]
        assert {job.pk for job in claimed} == {job.pk for job in ScheduledJob.objects.running()}


# MariaDB: a lock on the entries of an index that the claim changes, but does not search.
BLOCK = {
    "sqlite": "UPDATE django_future_worker SET pid = pid WHERE 0",
    "mysql": """
        SELECT queue_name FROM django_future_scheduledjob FORCE INDEX (future_job_queue)
        WHERE status = 'scheduled' LOCK IN SHARE MODE
    """,
}
SHORT_LOCK_WAIT = {
    "sqlite": "PRAGMA busy_timeout = 50",
    "mysql": "SET SESSION innodb_lock_wait_timeout = 1",
}


class TestRecording:
    def test_an_end_that_cannot_be_recorded_is_recorded_later_without_another_attempt(
        self, store, watchdog, monkeypatch
    ):
        schedule_job("0s", jobs.fail)
        [job] = claim(store)

        def refuse(*_):
            raise OperationalError("the server is away")

        recorder = Recorder(store)
        with monkeypatch.context() as patch:
            patch.setattr("django_future.execution.failure.fail", refuse)
            with pytest.raises(NotRecorded) as caught:
                execute(job, Session(store), watchdog)
            recorder.add(caught.value)
            with pytest.raises(DatabaseError):
                recorder.record()
        assert [job.pk for job in recorder.jobs] == [job.pk]
        recorder.record()
        assert status(job) == Status.FAILED
        assert "ValueError: fail" in ScheduledJob.objects.get(pk=job.pk).error
        assert recorder.jobs == []

    @pytest.mark.only_on("postgresql", "mysql", reason="SQLite locks the database, not rows")
    def test_a_locked_row_does_not_delay_the_other_completions(self, store, watchdog):
        schedule_jobs([{"when": "0s", "callable": jobs.echo}] * 3)
        gathered = []
        session = Session(store)
        for job in claim(store):
            execute(job, session, watchdog, batch=gathered.append)
        session.end_idle()
        is_locked, may_end = Event(), Event()

        def lock():
            with transaction.atomic():
                list(ScheduledJob.objects.select_for_update().filter(pk=gathered[1].pk))
                is_locked.set()
                may_end.wait(20)
            connection.close()

        rival = Thread(target=lock)
        rival.start()
        is_locked.wait(20)
        locked = record_completions(gathered, store, pytest.fail)
        may_end.set()
        rival.join()
        assert [job.pk for job in locked] == [gathered[1].pk]
        statuses = [status(job) for job in gathered]
        assert statuses == [Status.COMPLETE, Status.RUNNING, Status.COMPLETE]
        assert record_completions(locked, store, pytest.fail) == []
        assert status(gathered[1]) == Status.COMPLETE

    def test_a_refused_completion_fails_only_its_job(self, store, watchdog, monkeypatch):
        schedule_jobs([{"when": "0s", "callable": jobs.echo}] * 3)
        gathered = []
        session = Session(store)
        for job in claim(store):
            execute(job, session, watchdog, batch=gathered.append)
        session.end_idle()
        real = type(store).finish_all

        def finish_all(self, jobs):
            if gathered[1] in jobs:
                raise DatabaseError("a value that no database takes")
            return real(self, jobs)

        monkeypatch.setattr(type(store), "finish_all", finish_all)
        assert record_completions(gathered, store, pytest.fail) == []
        statuses = [status(job) for job in gathered]
        assert statuses == [Status.COMPLETE, Status.FAILED, Status.COMPLETE]


class TestPoolThreads:
    def test_a_pool_thread_that_ends_makes_the_process_exit_with_75(self, monkeypatch):
        def end(self, job, session):
            raise RuntimeError("a fault of ours")

        monkeypatch.setattr(Pool, "_run_one", end)
        schedule_job("0s", jobs.trace)
        assert run_worker(WorkerOptions(alias="default", threads=2)) == 75


@pytest.mark.only_on("sqlite", reason="other databases have more than one writer")
class TestSQLiteWriteLock:
    @pytest.fixture
    def immediate(self, monkeypatch):
        """Set OPTIONS={"transaction_mode": "IMMEDIATE"}."""
        monkeypatch.setattr(connections["default"], "transaction_mode", "IMMEDIATE")

    def test_a_handler_without_queries_does_not_take_the_write_lock(self, immediate, monkeypatch):
        seen = []

        def write_elsewhere(value=None):
            other = connection.copy()
            with other.cursor() as cursor:
                cursor.execute("PRAGMA busy_timeout = 0")
                cursor.execute("INSERT INTO shop_trace (text) VALUES ('elsewhere')")
            other.close()
            seen.append("written")

        monkeypatch.setattr(jobs, "echo", write_elsewhere)
        write_elsewhere.__module__ = jobs.__name__
        schedule_job("0s", "tests.shop.jobs.echo")
        run_jobs()
        assert (seen, Trace.objects.count()) == (["written"], 1)

    def test_a_job_waits_for_the_write_lock_longer_than_busy_timeout(
        self, monkeypatch, trace_texts
    ):
        is_locked, may_end = Event(), Event()
        waits = []

        def lock():
            with transaction.atomic():
                Trace.objects.create(text="the rival's")
                is_locked.set()
                may_end.wait(20)
            connection.close()

        rival = Thread(target=lock)
        store = store_for("default")
        schedule_job("0s", jobs.trace)
        [job] = claim(store)
        rival.start()
        is_locked.wait(20)
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 1")

        def wait(seconds):
            waits.append(seconds)
            if len(waits) == 20:  # more often than a short write is retried
                may_end.set()

        monkeypatch.setattr("django_future.store.sqlite.time.sleep", wait)
        execute(job, Session(store), Watchdog(store, on_stuck=None))
        rival.join()
        connection.close()
        assert len(waits) >= 20
        assert (status(job), trace_texts()) == (Status.COMPLETE, ["the rival's", "ran"])
