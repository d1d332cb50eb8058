"""The rescue of jobs from lost workers, and the end of their sessions."""

from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event, Thread

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import OperationalError, connection, connections, transaction
from django.db.models.signals import post_init

from django_future import ScheduledJob, clock, run_jobs, schedule_job, schedule_jobs
from django_future.conf import config
from django_future.models import Worker
from django_future.status import Status
from django_future.store import store_for
from django_future.store.server_sessions import SessionId, as_stored, read_sessions
from django_future.store.workers import forget, lost_workers, register
from django_future.worker import maintenance
from django_future.worker.heartbeat import heartbeat, new_worker
from django_future.worker.punctuality import Punctuality
from django_future.worker.sessions import sessions_recorded
from tests.shop import jobs
from tests.support.receivers import connected

pytestmark = pytest.mark.django_db(transaction=True)

LONG_AGO = timedelta(days=1)
on_servers = pytest.mark.only_on("postgresql", "mysql", reason="SQLite has no server")


@pytest.fixture
def store():
    return store_for("default")


@pytest.fixture
def other_connection():
    """Return an open connection that no worker uses."""
    with closing(connection.copy()) as other:
        other.ensure_connection()
        yield other


def lose(sessions=(), seen_at=None, name="lost"):
    """Register a worker that was last seen a day ago, and return it."""
    now = clock.now()
    return Worker.objects.create(
        name=name,
        pid=1,
        sessions=sessions,
        started_at=clock.to_row(now),
        seen_at=clock.to_row(seen_at or now - LONG_AGO),
    )


def claim(store, worker, count=1):
    schedule_jobs([{"when": "0s", "callable": jobs.echo}] * count)
    claimed = store.claim(worker, at=clock.now(), limit=count)
    assert len(claimed) == count
    return claimed


def identify(other, store):
    """Return the session id of another connection."""
    own, connections["default"] = connection._connections["default"], other
    try:
        return store.session_id()
    finally:
        connections["default"] = own


@contextmanager
def in_thread(act):
    """Call `act` in a thread that keeps its connection open until the block ends."""
    has_acted, is_over = Event(), Event()

    def run():
        act()
        has_acted.set()
        is_over.wait(20)
        connection.close()

    thread = Thread(target=run)
    thread.start()
    assert has_acted.wait(20)
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def open_connection():
    connection.ensure_connection()


def is_open(other):
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT 1")
    except OperationalError:
        return False
    return True


@on_servers
class TestKilledSessions:
    def test_the_session_of_a_lost_worker_is_killed(self, store, other_connection):
        lose(as_stored([identify(other_connection, store)]))
        maintenance.rescue(store)
        assert not is_open(other_connection)

    def test_a_session_with_a_reused_id_is_not_killed(self, store, other_connection):
        number = identify(other_connection, store).number
        lose(as_stored([SessionId(number, "of another origin")]))
        maintenance.rescue(store)
        assert is_open(other_connection)

    def test_sessions_stored_by_an_earlier_version_are_ignored(self, store, other_connection):
        lose([identify(other_connection, store).number])
        maintenance.rescue(store)
        assert is_open(other_connection)
        assert not Worker.objects.exists()

    @pytest.mark.only_on("postgresql", reason="roles are assumed on PostgreSQL only")
    def test_a_session_is_killed_under_an_assumed_role(self, store, other_connection, assumed_role):
        for each in (connection, other_connection):
            each.close()
            each.settings_dict["OPTIONS"] = {"assume_role": assumed_role}
        lose(as_stored([identify(other_connection, store)]))
        maintenance.rescue(store)
        assert not is_open(other_connection)
        with connection.cursor() as cursor:
            cursor.execute("SELECT CURRENT_USER")
            assert cursor.fetchone() == (assumed_role,)

    @pytest.mark.only_on("postgresql", reason="its driver reports closed connections")
    def test_killing_the_session_of_a_closed_connection_raises(self, store, other_connection):
        session = other_connection.connection
        other_connection.close()
        with pytest.raises(OperationalError):
            store.kill_session(session)

    @pytest.mark.only_on("mysql", reason="PostgreSQL interrupts by a key that is never reused")
    def test_a_session_with_a_reused_thread_id_is_not_interrupted(self, store, other_connection):
        number = identify(other_connection, store).number

        class Before:
            """The driver's object of a connection to the server before its restart."""

            def thread_id(self):
                return number

        before = Before()
        store._origins[before] = "an earlier start"
        store.kill_session(before)
        assert is_open(other_connection)


@pytest.fixture
def assumed_role():
    """Return a role without login that may use the tables."""
    role = f"{connection.settings_dict['NAME']}_role"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {role} NOLOGIN")
        cursor.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
        cursor.execute(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}")
    yield role
    connection.close()
    connection.settings_dict["OPTIONS"] = {}
    with connection.cursor() as cursor:
        cursor.execute(f"DROP OWNED BY {role}")
        cursor.execute(f"DROP ROLE {role}")


@on_servers
class TestKnownSessions:
    def test_sessions_of_handler_threads_do_not_displace_those_of_the_worker(self, store):
        with (
            heartbeat(store, new_worker()) as worker,
            sessions_recorded(store, worker, limit=2),
            in_thread(open_connection),
        ):
            own = read_sessions(Worker.objects.get())
            assert len(own) == 2
            with in_thread(open_connection), in_thread(open_connection):
                assert read_sessions(Worker.objects.get()) == own

    def test_a_reopened_connection_replaces_the_recorded_session(self, store):
        with heartbeat(store, new_worker()) as worker, sessions_recorded(store, worker):
            before = read_sessions(Worker.objects.get())
            connection.close()
            connection.ensure_connection()
            after = read_sessions(Worker.objects.get())
        assert len(before) == len(after) == 1
        assert before != after

    def test_a_closed_connection_is_removed_with_the_next_one(self, store):
        with heartbeat(store, new_worker()) as worker, sessions_recorded(store, worker):
            with in_thread(open_connection):
                assert len(read_sessions(Worker.objects.get())) == 2
            with in_thread(open_connection):
                assert len(read_sessions(Worker.objects.get())) == 2

    def test_a_connection_without_autocommit_does_not_lock_the_worker_row(self, store):
        def open_by_hand():
            connection.set_autocommit(False)
            connection.close()
            connection.settings_dict = connection.settings_dict | {"AUTOCOMMIT": False}
            connection.ensure_connection()

        with (
            heartbeat(store, new_worker()) as worker,
            sessions_recorded(store, worker),
            in_thread(open_by_hand),
        ):
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            rows = Worker.objects.select_for_update(nowait=True)
            with transaction.atomic():
                assert rows.get().name == worker.name

    def test_a_one_off_run_records_only_its_own_session(self, store):
        schedule_job("0s", note_sessions)
        with in_thread(lambda: None):
            run_jobs()
        assert noted.pop() == [store.session_id()]


noted: list[list[SessionId]] = []


def note_sessions():
    """Record the sessions of the worker, after opening a connection in a thread."""
    with in_thread(open_connection):
        noted.append(read_sessions(Worker.objects.get()))


class TestLostWorkers:
    def test_a_worker_that_resumes_is_not_removed(self, store):
        worker = lose()
        [lost] = lost_workers(store, clock.now())
        register(store, worker)
        forget(store, lost, clock.now())
        assert Worker.objects.exists()

    def test_a_worker_seen_before_the_clock_was_set_back_is_lost(self, store):
        claim(store, lose(seen_at=clock.now() + LONG_AGO))
        maintenance.rescue(store)
        assert (ScheduledJob.objects.get().status, Worker.objects.count()) == ("scheduled", 0)

    def test_only_jobs_of_lost_workers_are_loaded(self, store):
        lives = lose(name="lives")
        claim(store, lives, 50)
        [lost] = claim(store, lose(name="lost"))
        register(store, lives)
        loaded = []
        with connected(post_init, lambda instance, **_: loaded.append(instance)):
            maintenance.rescue(store)
        assert {job.pk for job in loaded if isinstance(job, ScheduledJob)} == {lost.pk}
        assert ScheduledJob.objects.running().count() == 50

    def test_the_log_of_a_rescue_names_the_model_of_the_object(self, store, order, caplog):
        job = schedule_job("0s", "remind", content_object=order)
        [claimed] = store.claim(lose(), at=clock.now(), limit=1)
        assert claimed.pk == job.pk
        ContentType.objects.clear_cache()
        maintenance.rescue(store)
        assert f"Job {job.pk} remind (shop.order {order.pk}) lost its worker" in caplog.text

    def test_more_lost_jobs_than_one_batch_are_rescued(self, store):
        claim(store, lose(), 250)
        maintenance.rescue(store)
        assert ScheduledJob.objects.scheduled().count() == 250

    def test_a_rescue_that_takes_too_long_continues_next_time(self, store):
        claim(store, lose(), 2)
        maintenance.rescue(store, seconds=0)
        assert (ScheduledJob.objects.running().count(), Worker.objects.count()) == (1, 1)
        maintenance.rescue(store)
        assert (ScheduledJob.objects.running().count(), Worker.objects.count()) == (0, 0)

    @on_servers
    def test_a_locked_job_does_not_block_the_rescue_of_others(self, store, other_connection):
        locked, free = claim(store, lose(), 2)
        with other_connection.cursor() as cursor:
            other_connection.set_autocommit(False)
            cursor.execute(
                "SELECT id FROM django_future_scheduledjob WHERE id = %s FOR UPDATE", [locked.pk]
            )
            maintenance.rescue(store)
            other_connection.rollback()
        assert set(ScheduledJob.objects.running()) == {locked}
        maintenance.rescue(store)
        assert set(ScheduledJob.objects.scheduled()) == {locked, free}

    @on_servers
    def test_a_one_off_run_rescues_nothing_just_after_the_server_started(self, store, settings):
        settings.DJANGO_FUTURE = {"HEARTBEAT": timedelta(days=3650)}
        claim(store, lose(seen_at=datetime(1999, 1, 1, tzinfo=UTC)))
        maintenance.rescue_once(store)
        assert ScheduledJob.objects.get().status == Status.RUNNING
        maintenance.rescue(store)
        assert ScheduledJob.objects.get().status == Status.SCHEDULED


BAD_SESSIONS = ["", "garbage", "5", '"text"', '[["x", 1], [1], {"a": 2}, [true, ""]]', "{not json"]


@pytest.mark.usefixtures("unconstrained")
class TestBadRows:
    @pytest.mark.parametrize("sessions", BAD_SESSIONS)
    def test_a_worker_with_unreadable_sessions_is_lost_like_others(self, store, sessions):
        claim(store, lose())
        with connection.cursor() as cursor:
            cursor.execute("UPDATE django_future_worker SET sessions = %s", [sessions])
        maintenance.rescue(store)
        assert ScheduledJob.objects.get().status == Status.SCHEDULED
        assert not Worker.objects.exists()

    def test_a_worker_with_an_unreadable_seen_at_is_lost_like_others(self, store, vendor):
        claim(store, lose())
        for value in BAD_INSTANTS[vendor]:
            lose(name=f"seen {value}")
            with connection.cursor() as cursor:
                cursor.execute(
                    f"UPDATE django_future_worker SET seen_at = {value} WHERE name <> 'lost'"
                )
            maintenance.rescue(store)
            assert not Worker.objects.filter(name__startswith="seen").exists(), value

    def test_an_unreadable_job_does_not_block_the_rescue_of_others(self, store, vendor):
        unreadable, other = claim(store, lose(), 2)
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE django_future_scheduledjob SET {UNREADABLE[vendor]} WHERE id = %s",
                [unreadable.pk],
            )
        maintenance.rescue(store)
        states = dict(ScheduledJob.objects.values_list("pk", "status"))
        assert states == {unreadable.pk: Status.FAILED, other.pk: Status.SCHEDULED}
        error = ScheduledJob.objects.values_list("error", flat=True).get(pk=unreadable.pk)
        assert "cannot be read" in error


@pytest.fixture
def unconstrained(vendor):
    """Drop the constraints of the tables."""
    with connection.cursor() as cursor:
        if vendor == "postgresql":
            cursor.execute(
                """
                SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint
                WHERE contype = 'c' AND conrelid::regclass::text LIKE 'django_future%'
                """
            )
            constraints = cursor.fetchall()
            for table, name, _ in constraints:
                cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
        for statement in UNCONSTRAINED[vendor]:
            cursor.execute(statement)
        yield
        for statement in CONSTRAINED[vendor]:
            cursor.execute(statement)
        if vendor == "postgresql":
            cursor.execute("TRUNCATE django_future_scheduledjob, django_future_worker CASCADE")
            for table, name, definition in constraints:
                cursor.execute(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')


UNCONSTRAINED = {
    "postgresql": [],
    "sqlite": ["PRAGMA ignore_check_constraints = ON"],
    "mysql": ["SET @before = @@sql_mode, sql_mode = '', check_constraint_checks = 0"],
}
CONSTRAINED = {
    "postgresql": [],
    "sqlite": ["PRAGMA ignore_check_constraints = OFF"],
    "mysql": ["SET sql_mode = @before, check_constraint_checks = 1"],
}
UNREADABLE = {
    "postgresql": "created_at = '20000-01-01'",
    "sqlite": "callable_name = CAST(x'ff' AS TEXT)",
    "mysql": "created_at = '0000-00-00'",
}
BAD_INSTANTS = {
    "postgresql": ["'20000-01-01'", "'infinity'", "'-infinity'", "'0044-03-15 BC'"],
    "sqlite": ["'garbage'", "''", "12345", "'20000-01-01 00:00:00'"],
    "mysql": ["'0000-00-00'"],
}


class TestPunctuality:
    @pytest.fixture
    def beat(self):
        """Return a function that advances time, notes a heartbeat, and returns `may_rescue()`."""
        now = [0.0, datetime(2026, 1, 1, tzinfo=UTC)]
        punctuality = Punctuality(lambda: now[0])

        def beat(heartbeats, by_database=None):
            passed = heartbeats * config().HEARTBEAT
            now[0] += passed.total_seconds()
            now[1] += passed if by_database is None else by_database * config().HEARTBEAT
            punctuality.record_beat(now[1])
            return punctuality.may_rescue()

        return beat

    def test_a_worker_rescues_after_one_punctual_heartbeat(self, beat):
        assert [beat(0), beat(0.5), beat(0.5)] == [False, False, True]

    def test_a_late_worker_rescues_nothing_for_a_heartbeat(self, beat):
        beat(0), beat(0.5), beat(0.5)
        assert [beat(1), beat(0.5), beat(0.5)] == [False, False, True]

    @pytest.mark.parametrize("jump", [60, -60])
    def test_a_worker_late_by_the_database_clock_rescues_nothing_for_a_heartbeat(self, beat, jump):
        beat(0), beat(0.5), beat(0.5)
        assert [beat(0.5, jump), beat(0.5), beat(0.5)] == [False, False, True]
