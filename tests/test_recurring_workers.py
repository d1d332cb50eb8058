"""Recurring jobs under stress: workers that die, rivals, broken handlers, lost connections."""

import random
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from threading import Barrier, Event, Thread
from unittest.mock import patch

import pytest
from django.db import (
    DatabaseError,
    InterfaceError,
    OperationalError,
    connection,
    connections,
    transaction,
)
from django.db.models.signals import post_save, pre_delete
from django.test.utils import CaptureQueriesContext

from django_future import (
    RecurringJob,
    ScheduledJob,
    clock,
    job,
    schedule_job,
    schedule_recurring,
)
from django_future.models import Worker
from django_future.scheduling.runs import Materialiser
from django_future.status import Status
from django_future.store import store_for
from django_future.store.server_clock import ServerClock
from django_future.testing.travel import stopped_clock
from tests.chaos.crew import Crew
from tests.chaos.proxy import CutMoment
from tests.chaos.recurring import Plan, leave_instant, read_runs, run
from tests.shop import jobs
from tests.support.waiting import eventually, has_ended, wait_for_exit
from tests.test_connection_cuts import proxy  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db(transaction=True)

MONDAY = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)

with_rivals = pytest.mark.only_on(
    "postgresql", "mysql", reason="SQLite has one lock, for which every rival waits"
)


def hourly(name="hourly", callable_=jobs.trace, **arguments):
    """Schedule a recurring job every hour."""
    return schedule_recurring(name, callable_, **{"cron": "0 * * * *", **arguments})


def make_due(at=MONDAY, *names):
    """Move the next run of recurring jobs to `at`."""
    rows = RecurringJob.objects.filter(name__in=names) if names else RecurringJob.objects.all()
    rows.update(next_run_at=clock.to_row(at))


def materialise(at=MONDAY, lead=timedelta()):
    """Materialise the due runs, and return the names of the recurring jobs that have a run."""
    Materialiser(store_for("default")).work(at, lead)
    return waiting()


def waiting():
    """Return the names of the recurring jobs that have a run which waits, each run once."""
    runs = ScheduledJob.objects.scheduled().filter(recurs_at__isnull=False)
    return sorted(runs.values_list("recurring__name", flat=True))


def instants():
    """Return the instants of the runs that wait, the first one first."""
    runs = ScheduledJob.objects.scheduled().order_by("recurs_at")
    return [clock.from_row(run.recurs_at) for run in runs]


def in_thread(function, *args):
    """Start a thread that calls `function` with its own connections."""

    def call():
        try:
            function(*args)
        finally:
            connections.close_all()

    thread = Thread(target=call)
    thread.start()
    return thread


@contextmanager
def connected_receiver(signal, sender, function):
    """Connect a receiver during the block."""
    signal.connect(function, sender=sender)
    try:
        yield
    finally:
        signal.disconnect(function, sender=sender)


@pytest.mark.slow
class TestWorkers:
    @pytest.mark.parametrize("is_deleting", [False, True], ids=["kept", "deleted"])
    def test_each_instant_runs_once_while_workers_are_killed(self, tmp_path, is_deleting):
        seed = random.randrange(10**6)
        plan = Plan(seed=seed, schedules=20, workers=4, seconds=10, is_deleting=is_deleting)
        trial = run(plan, tmp_path / "log")
        assert trial.faults == [], plan
        assert len(trial.counts) == trial.expected, plan

    @pytest.fixture
    def crew(self, tmp_path):
        """Start workers that delete the jobs that are complete, and recurring jobs for seconds."""
        # No worker dies, so none is lost if a busy machine delays its heartbeats.
        environment = {"TEST_IMPORT": "tests.chaos.deletion", "HEARTBEAT": "60s"}
        with Crew(2, tmp_path / "log", environment) as crew:
            eventually(lambda: Worker.objects.count() == 2)
            yield crew

    def test_edits_while_workers_run_lose_and_double_nothing(self, crew):
        first, last = self._interval()
        names = [f"edited {number}" for number in range(2 * THREADS)]
        self._disturb(last, names, lambda name, n: self._schedule(name, first, last, priority=n))
        expected = {(name, first + n * SECOND) for name in names for n in range(SECONDS)}
        eventually(lambda: not ScheduledJob.objects.unfinished().exists())
        assert sorted(self._runs()) == sorted(expected)

    def test_pauses_while_workers_run_double_nothing(self, crew):
        first, last = self._interval()
        names = [f"paused {number}" for number in range(2 * THREADS)]

        def pause_and_resume(name, _):
            recurring = self._schedule(name, first, last)
            recurring.pause()
            recurring.resume()

        self._disturb(last, names, pause_and_resume)
        eventually(lambda: not ScheduledJob.objects.unfinished().exists())
        runs = self._runs()
        assert len(set(runs)) == len(runs)
        assert set(runs) <= {(name, first + n * SECOND) for name in names for n in range(SECONDS)}

    def _interval(self):
        first = store_for("default").now().replace(microsecond=0) + 2 * SECOND
        return first, first + (SECONDS - 1) * SECOND

    def _schedule(self, name, first, last, **options):
        return schedule_recurring(
            name, leave_instant, every="1s", starts_at=first, ends_at=last, **options
        )

    def _disturb(self, last, names, act):
        """Let several threads call `act` for their share of the names until a time."""
        failures = []

        def repeat(number):
            chance = random.Random(number)
            try:
                while store_for("default").now() < last + SECOND:
                    act(chance.choice(names[number::THREADS]), chance.randrange(50))
            except Exception as error:
                failures.append(error)
                raise

        for name in names:
            act(name, 0)
        threads = [in_thread(repeat, number) for number in range(THREADS)]
        assert all(has_ended(thread) for thread in threads)
        assert failures == []

    def _runs(self):
        names = dict(RecurringJob.objects.values_list("pk", "name"))
        return [(names[run.recurring_id], run.instant) for run in read_runs()]


SECONDS, THREADS = 6, 4  # in which recurring jobs are due each second, and which change them


class TestRivals:
    def test_calls_with_the_same_name_at_once_create_one_row(self):
        failures, barrier = [], Barrier(6)

        def schedule():
            for number in range(10):
                barrier.wait()
                try:
                    hourly(f"report {number}", args=[random.choice("ab")])
                except Exception as error:
                    failures.append(error)
                    raise

        threads = [in_thread(schedule) for _ in range(barrier.parties)]
        assert all(has_ended(thread) for thread in threads)
        assert failures == []
        assert RecurringJob.objects.count() == 10

    @with_rivals
    def test_no_run_is_materialised_while_its_recurring_job_is_deleted(self):
        recurring = hourly()
        make_due()

        def materialise_elsewhere(**_):
            assert has_ended(in_thread(materialise))

        with connected_receiver(pre_delete, RecurringJob, materialise_elsewhere):
            recurring.delete()
        assert not RecurringJob.objects.exists()
        assert not ScheduledJob.objects.exists()

    @with_rivals
    def test_a_rival_that_holds_a_row_does_not_delay_the_others(self):
        hourly("held")
        hourly("free")
        make_due()
        with transaction.atomic():
            RecurringJob.objects.select_for_update().get(name="held")
            assert has_ended(in_thread(materialise))
        assert waiting() == ["free"]
        assert materialise() == ["free", "held"]

    @with_rivals
    def test_a_rival_that_holds_a_unique_job_does_not_delay_the_runs_of_others(self):
        unique = schedule_job("1d", jobs.trace, unique="one", unique_replace=True)
        hourly("blocked", unique="one", unique_replace=True)
        hourly("free")
        make_due()
        with transaction.atomic():
            ScheduledJob.objects.select_for_update().get(pk=unique.pk)
            assert has_ended(in_thread(materialise))
            assert waiting() == ["free"]
        assert RecurringJob.objects.get(name="blocked").error == ""
        materialise()
        unique.refresh_from_db()
        assert unique.scheduled_at < clock.to_row(clock.now())

    @with_rivals
    def test_no_statement_waits_for_unique_jobs_that_a_rival_holds(self):
        """Each wait would delay the runs of other recurring jobs, by a second on MariaDB."""
        for number in range(3):
            key = str(number)
            schedule_job("1d", jobs.trace, unique=key, unique_replace=True)
            hourly(f"blocked {key}", unique=key, unique_replace=True)
        hourly("free")
        make_due()
        refused = []

        def note_refusals(execute, *query):
            try:
                return execute(*query)
            except OperationalError as error:
                refused.append(error)
                raise

        def materialise_and_note():
            with connection.execute_wrapper(note_refusals):
                materialise()

        with transaction.atomic():
            list(ScheduledJob.objects.select_for_update().filter(recurs_at=None))
            assert has_ended(in_thread(materialise_and_note))
            assert waiting() == ["free"]
        assert refused == []
        materialise()
        later = clock.to_row(clock.now() + HOUR)
        assert not ScheduledJob.objects.filter(scheduled_at__gt=later).exists()

    @pytest.mark.only_on("mysql", reason="on PostgreSQL the limit ends with the transaction")
    def test_the_session_waits_for_locks_as_long_as_before(self):
        hourly()
        make_due()
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION innodb_lock_wait_timeout = 7")
            materialise()
            cursor.execute("SELECT @@SESSION.innodb_lock_wait_timeout")
            assert cursor.fetchone() == (7,)
        connection.close()

    @pytest.mark.only_on("sqlite", reason="other databases lock single rows")
    def test_other_writers_get_their_turn_while_many_runs_are_materialised(self):
        """No transaction moves more than ten recurring jobs, so none is long."""
        for number in range(25):
            hourly(f"report {number}")
        make_due()
        with CaptureQueriesContext(connection) as queries:
            assert len(materialise()) == 25
        statements = " ".join(query["sql"] for query in queries)
        moved = [part.count("SET runs =") for part in statements.split("COMMIT")]
        assert [count for count in moved if count] == [10, 10, 5]

    def test_many_processes_materialise_each_run_once(self):
        with stopped_clock(MONDAY):
            for number in range(20):
                schedule_recurring(f"often {number}", jobs.trace, every="1s", starts_at=MONDAY)
        barrier = Barrier(4)

        def materialise_often():
            materialiser = Materialiser(store_for("default"))
            for number in range(5):
                barrier.wait()
                materialiser.work(MONDAY + 10 * number * SECOND)

        threads = [in_thread(materialise_often) for _ in range(barrier.parties)]
        assert all(has_ended(thread) for thread in threads)
        expected = [MONDAY + n * SECOND for n in range(61) for _ in range(20)]
        assert instants() == expected
        assert set(RecurringJob.objects.values_list("runs", "missed_runs")) == {(61, 0)}


class TestEdits:
    @pytest.fixture(autouse=True)
    def due(self):
        """Materialise three runs, of which the second one has ended."""
        with stopped_clock(MONDAY):
            self._schedule()
            Materialiser(store_for("default")).work(MONDAY)

    def _schedule(self, **changes):
        return schedule_recurring(
            "often", jobs.trace, every="10s", starts_at=MONDAY, ends_at=MONDAY + 20 * SECOND,
            **changes,
        )  # fmt: skip

    def test_an_edit_does_not_repeat_an_instant_whose_run_was_deleted(self):
        ScheduledJob.objects.filter(recurs_at=clock.to_row(MONDAY + 10 * SECOND)).delete()
        with stopped_clock(MONDAY + 15 * SECOND):
            self._schedule(priority=3)
        assert instants() == [MONDAY, MONDAY + 20 * SECOND]
        assert set(ScheduledJob.objects.values_list("priority", flat=True)) == {3}

    def test_an_edit_after_the_last_instant_keeps_the_runs_that_are_late(self):
        with stopped_clock(MONDAY + 25 * SECOND):
            self._schedule(priority=3)
        assert instants() == [MONDAY + n * SECOND for n in (0, 10, 20)]
        assert RecurringJob.objects.get().runs == 3

    def test_an_edit_that_ends_it_earlier_takes_back_the_runs_after_its_end(self):
        with stopped_clock(MONDAY):
            schedule_recurring(
                "often", jobs.trace, every="10s", starts_at=MONDAY, ends_at=MONDAY + 10 * SECOND
            )
        assert instants() == [MONDAY, MONDAY + 10 * SECOND]
        recurring = RecurringJob.objects.get()
        assert (recurring.runs, recurring.next_run_at) == (2, None)

    def test_an_edit_that_ends_it_later_goes_on_after_the_last_instant(self):
        with stopped_clock(MONDAY + 25 * SECOND):
            schedule_recurring(
                "often", jobs.trace, every="10s", starts_at=MONDAY, ends_at=MONDAY + 30 * SECOND
            )
        assert instants() == [MONDAY + n * SECOND for n in (0, 10, 20, 30)]


class Unexpected(BaseException):
    """A BaseException, as some libraries raise."""


class Unspeakable(Exception):
    """An exception whose str() raises."""

    def __str__(self):
        raise ValueError("no words")


def _break_statement():
    connection.cursor().execute("SELECT no_such_column FROM django_future_recurringjob")


def _break_statement_and_suppress_it():
    with suppress(DatabaseError):
        _break_statement()
    return "key"


def _raise(error):
    raise error


# What the unique function of `faulty` does. It returns a key until a test changes this.
KEYS: dict[str, Callable[[], str]] = {"default": lambda: "key"}


def current_key():
    """Return the key that a test has set, or raise."""
    return KEYS["current"]()


@job(unique=current_key)
def faulty():
    """Do nothing, with a unique function that may be faulty."""


@pytest.fixture
def fault():
    """Schedule recurring jobs, and return a function that makes the key of the first one faulty."""
    KEYS["current"] = KEYS["default"]
    hourly("faulty", faulty)
    hourly("first")
    hourly("second", jobs.trace, unique=True)
    make_due()
    make_due(MONDAY - SECOND, "faulty")

    def set_fault(function):
        KEYS["current"] = function

    yield set_fault
    KEYS["current"] = KEYS["default"]


class TestFaults:
    @pytest.mark.parametrize(
        ("function", "words"),
        [
            (lambda: _raise(ValueError("no")), "raised ValueError"),
            (lambda: _raise(SystemExit(3)), "SystemExit: 3"),
            (lambda: _raise(GeneratorExit()), "GeneratorExit"),
            (lambda: _raise(Unexpected("no")), "Unexpected: no"),
            (lambda: _raise(Unspeakable()), "raised Unspeakable"),
            (lambda: None, "no valid key"),
            (_break_statement, "Error"),
        ],
        ids=[
            "ValueError", "SystemExit", "GeneratorExit", "BaseException", "unprintable", "no key",
            "DatabaseError",
        ],
    )  # fmt: skip
    def test_a_faulty_unique_function_does_not_stop_the_others(self, fault, function, words):
        fault(function)
        assert materialise() == ["first", "second"]
        assert words in RecurringJob.objects.get(name="faulty").error
        assert set(RecurringJob.objects.exclude(name="faulty").values_list("error")) == {("",)}

    def test_a_suppressed_database_error_does_not_stop_the_others(self, fault):
        fault(_break_statement_and_suppress_it)
        assert set(materialise()) >= {"first", "second"}

    def test_a_receiver_that_raises_does_not_stop_the_others(self, fault):
        def refuse(instance, **_):
            if instance.recurring.name == "second":
                raise ValueError("not this one")

        with connected_receiver(post_save, ScheduledJob, refuse):
            assert materialise() == ["faulty", "first"]
        assert RecurringJob.objects.get(name="second").error == "ValueError: not this one"

    def test_a_faulty_one_is_tried_again_by_another_process(self, fault):
        fault(_break_statement)
        materialise()
        fault(KEYS["default"])
        assert materialise() == ["faulty", "first", "second"]
        assert RecurringJob.objects.get(name="faulty").error == ""

    @with_rivals
    def test_a_rival_that_blocks_one_is_not_recorded_as_its_error(self, fault):
        """Let a rival lock another row when the faulty one is tried a second time, alone."""
        is_locked, is_over, calls, rivals = Event(), Event(), count(), []

        def lock_first():
            with transaction.atomic():
                RecurringJob.objects.select_for_update().get(name="first")
                is_locked.set()
                is_over.wait()

        def refuse(instance, **_):
            if instance.recurring.name == "faulty":
                if next(calls):
                    rivals.append(in_thread(lock_first))
                    is_locked.wait()
                raise ValueError("not this one")

        with connected_receiver(post_save, ScheduledJob, refuse):
            try:
                assert materialise() == ["second"]
            finally:
                is_over.set()
        assert all(has_ended(rival) for rival in rivals)
        assert RecurringJob.objects.get(name="first").error == ""
        assert RecurringJob.objects.get(name="faulty").error == "ValueError: not this one"
        assert materialise() == ["faulty", "first", "second"]


def wait_for(path):
    """Create a file while another file exists, and return a key when that one is deleted."""
    while Path(path).exists():
        Path(f"{path} is reached").touch()
        time.sleep(0.01)
    return "key"


@job(unique=wait_for)
def hanging(path):
    """Do nothing, with a unique function that may hang."""


@pytest.mark.slow
@with_rivals
def test_a_worker_whose_materialisation_hangs_runs_jobs_beats_and_ends(start_worker, hold_file):
    process = start_worker("--shutdown-timeout", "0s", HEARTBEAT="1s")
    schedule_recurring("hanging", hanging, every="1s", args=[str(hold_file)])
    hold_file.touch()
    eventually(Path(f"{hold_file} is reached").exists)
    before = Worker.objects.get().seen_at
    waits = schedule_job("0s", jobs.trace)
    eventually(lambda: ScheduledJob.objects.get(pk=waits.pk).status == Status.COMPLETE)
    eventually(lambda: Worker.objects.get().seen_at > before)
    process.terminate()
    assert wait_for_exit(process) in {0, 75}


@pytest.mark.slow
@with_rivals
@pytest.mark.parametrize("moment", list(CutMoment), ids=lambda moment: moment.value)
def test_a_connection_cut_at_any_command_loses_and_doubles_no_run(moment, proxy):  # noqa: F811
    for number in count(1):
        ScheduledJob.objects.all().delete()
        RecurringJob.objects.all().delete()
        hourly("simple")
        hourly("unique", unique=True)
        hourly("alone", overlap="skip")
        make_due()
        connection.close()
        proxy.cut_command(moment, number)
        with suppress(DatabaseError, InterfaceError):
            materialise()
        is_swept = proxy.spare()
        connection.close()
        text = f"command {number} was cut {moment.value} it was delivered"
        assert materialise() == ["alone", "simple", "unique"], text
        found = set(RecurringJob.objects.values_list("runs", "error", "skipped_runs"))
        assert found == {(1, "", 0)}, text
        if is_swept:
            break


class TestClocks:
    @with_rivals
    @pytest.mark.parametrize("skew", [-HOUR, HOUR], ids=["behind", "ahead"])
    def test_the_clock_of_the_server_decides_when_a_run_is_due(self, skew):
        store = store_for("default")
        with patch.object(ServerClock, "now", lambda _: MONDAY + skew), stopped_clock_of_host():
            recurring = hourly(cron="30 * * * *")
            assert clock.from_row(recurring.next_run_at) == MONDAY + skew + 30 * MINUTE
            Materialiser(store).work(store.now())
            assert instants() == []


@contextmanager
def stopped_clock_of_host():
    """Stop the clock of the host only."""
    server = ServerClock.now
    with stopped_clock(MONDAY), patch.object(ServerClock, "now", server):
        yield
