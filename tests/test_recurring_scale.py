"""What a hundred thousand recurring jobs cost, as counted by the database."""

import time
from collections import Counter
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from benchmarks.project.fill import PREPARE, TIMES
from django_future import RecurringJob, ScheduledJob, clock, schedule_recurring
from django_future.admin.recurring.latest_runs import latest_runs, runs_of
from django_future.scheduling import runs
from django_future.scheduling.runs import Materialiser
from django_future.status import Status
from django_future.store import recurring as rows
from django_future.store import store_for
from tests.shop import jobs
from tests.support.index_reads import count_entries_read

pytestmark = pytest.mark.slow

MANY, DUE = 100_000, 100  # recurring jobs, and how many of them are due in a minute
HISTORY = 20_000  # ended runs of one recurring job, and jobs that wait
SLACK = 300  # entries
SECOND, MINUTE, WEEK = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=7)

TABLES = ("django_future_recurringjob", "django_future_scheduledjob")
ANALYZE = {
    "postgresql": [f"VACUUM ANALYZE {table}" for table in TABLES],
    "sqlite": ["ANALYZE"],
    "mysql": [f"ANALYZE TABLE {table}" for table in TABLES],
}


def daily(name="model", **arguments):
    """Schedule a recurring job that is due once a day, first in half a day."""
    first = store_for("default").now() + timedelta(hours=12)
    return schedule_recurring(name, jobs.trace, every="24h", starts_at=first, **arguments)


def at(*, days=0, step=0):
    """Return the SQL of a time: some days from now, and `step` seconds later for each row."""
    return TIMES[connection.vendor].format(days=days, step=step)


def copies(model, number, *, step=0, days=0, **values):
    """Insert copies of a recurring job, whose next runs are `step` seconds apart."""
    name = "CONCAT('copy ', n)" if connection.vendor == "mysql" else "'copy ' || n"
    times = dict.fromkeys(["anchor_at", "next_run_at"], at(days=days, step=step))
    _insert(model, number, {"name": name, "starts_at": "NULL", **times, **values})


def _insert(model, number, values):
    table = model._meta.db_table
    columns = [field.column for field in model._meta.concrete_fields if field.column != "id"]
    with connection.cursor() as cursor:
        for statement in PREPARE.get(connection.vendor, []):
            cursor.execute(statement)
        cursor.execute(f"""
            INSERT INTO {table} ({", ".join(columns)})
            WITH RECURSIVE
                series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {number})
            SELECT {", ".join(str(values.get(column, column)) for column in columns)}
            FROM series CROSS JOIN {table} WHERE id = {model.pk}
        """)


def analyze():
    """Let the server collect statistics."""
    with connection.cursor() as cursor:
        for statement in ANALYZE[connection.vendor]:
            cursor.execute(statement)


def set_autovacuum(switch):
    """Turn off or on that PostgreSQL collects statistics by itself."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for table in TABLES:
                cursor.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = {switch})")


def cost_of(act):
    """Return the number of rows and index entries that `act` reads, and of its statements."""
    with CaptureQueriesContext(connection) as captured:
        read = READERS[connection.vendor](act)
    sent = (query["sql"].upper() for query in captured.captured_queries)
    return read, sum("PG_STAT_" not in sql and not sql.startswith("SHOW") for sql in sent)


def _read_on_postgresql(act):
    before = _counted_by_postgresql()
    act()
    return _counted_by_postgresql() - before


def _counted_by_postgresql():
    with connection.cursor() as cursor:
        cursor.execute("SELECT PG_STAT_FORCE_NEXT_FLUSH()")
        cursor.execute(f"""
            SELECT SUM(seq_tup_read) + (
                SELECT SUM(idx_tup_read) FROM pg_stat_user_indexes WHERE relname IN {TABLES}
            ) FROM pg_stat_user_tables WHERE relname IN {TABLES}
        """)
        (count,) = cursor.fetchone()
    return int(count)


READERS = {
    "postgresql": _read_on_postgresql,
    "mysql": count_entries_read,
    "sqlite": count_entries_read,
}


@pytest.fixture(scope="module")
def tables(django_db_setup, django_db_blocker):
    """Leave the tables without statistics, and empty them at the end."""
    with django_db_blocker.unblock():
        set_autovacuum("off")
        yield
        set_autovacuum("on")


@pytest.fixture(scope="class", params=["missing", "fresh"])
def many(request, tables, django_db_blocker):
    """Insert many recurring jobs, of which some are due in each minute."""
    with django_db_blocker.unblock():
        copies(daily(), MANY, step=60 / DUE)
        if request.param == "fresh":
            analyze()
        yield
        call_command("flush", verbosity=0, interactive=False)


@pytest.fixture(scope="class", params=["missing", "fresh"])
def old_run(request, tables, django_db_blocker):
    """Insert a recurring job with many ended runs, and many other jobs that wait."""
    with django_db_blocker.unblock():
        run = daily("old", overlap="queue_one").trigger()
        ago = at(days=-1, step=-60)
        times = dict.fromkeys(["recurs_at", "scheduled_at", "started_at", "finished_at"], ago)
        _insert(run, HISTORY, {**times, "status": "'complete'"})
        _insert(run, HISTORY, {"recurring_id": "NULL", "scheduled_at": at(days=1, step=60)})
        if request.param == "fresh":
            analyze()
        yield run
        call_command("flush", verbosity=0, interactive=False)


@pytest.mark.usefixtures("many")
class TestManyRecurringJobs:
    def test_a_minute_costs_only_the_due_ones(self):
        store = store_for("default")
        materialiser, now = Materialiser(store), store.now()
        materialiser.work(now, timedelta())
        before = ScheduledJob.objects.count()
        read, statements = cost_of(lambda: materialiser.work(now + MINUTE, timedelta()))
        made = ScheduledJob.objects.count() - before
        assert DUE - 2 <= made <= DUE + 2
        assert read <= 12 * made + SLACK
        assert statements <= 2 * made + 30

    def test_a_round_in_which_nothing_is_due_costs_one_statement(self):
        store = store_for("default")
        materialiser, yesterday = Materialiser(store), store.now() - timedelta(days=1)
        read, statements = cost_of(lambda: materialiser.work(yesterday))
        assert statements == 1
        assert read <= SLACK

    def test_the_plans_read_the_indexes(self):
        store = store_for("default")
        with CaptureQueriesContext(connection) as captured, transaction.atomic():
            rows.heads(store)
            rows.lock_due(store, store.now(), held=[], failing=[])
        heads, due = (
            query["sql"] for query in captured.captured_queries if "next_run_at" in query["sql"]
            and "ORDER BY" in query["sql"]
        )  # fmt: skip
        assert {"future_recurring_due", "future_recurring_queued"} <= indexes_of(heads)
        assert "future_recurring_due" in indexes_of(due)


def indexes_of(sql):
    """Return the names of the indexes in the plan of a statement."""
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {sql}")
        words = " ".join(str(value) for row in cursor.fetchall() for value in row).split()
    return {word.strip("',()") for word in words if word.strip("',()").startswith("future_")}


class TestLongHistory:
    @pytest.mark.parametrize("is_triggered", [True, False])
    def test_to_decide_whether_the_last_run_has_ended_reads_only_that_run(
        self, old_run, is_triggered
    ):
        store, recurring = store_for("default"), old_run.recurring
        latest = recurring.jobs.exclude(recurs_at=None).latest("recurs_at")
        recurring.last_run_at = latest.recurs_at
        recurring.queued_at = clock.to_row(store.now())
        recurring.save()
        recurring.jobs.filter(pk=old_run.pk).update(
            status=Status.SCHEDULED if is_triggered else Status.COMPLETE
        )
        is_blocked, is_waiting = [], []
        read, _ = cost_of(lambda: is_blocked.extend(rows.blocked(store, [recurring.pk])))
        assert (is_blocked, read <= SLACK) == ([recurring.pk] * is_triggered, True)
        with transaction.atomic():
            read, _ = cost_of(lambda: is_waiting.extend(rows.lock_waiting(store)))
        assert (is_waiting, read <= SLACK) == ([recurring] * (not is_triggered), True)

    def test_a_made_up_run_reads_no_history(self, old_run):
        store, recurring = store_for("default"), old_run.recurring
        now = store.now()
        recurring.overlap = "allow"
        recurring.last_run_at = clock.to_row(now - WEEK)
        recurring.next_run_at = clock.to_row(now - WEEK + SECOND)
        recurring.save()
        materialiser = Materialiser(store)
        read, _ = cost_of(lambda: materialiser.work(now, timedelta()))
        assert read <= SLACK
        recurring.refresh_from_db()
        assert recurring.runs == 1

    def test_the_list_of_the_admin_reads_no_history(self, old_run):
        recurring, found = old_run.recurring, {}
        read, statements = cost_of(lambda: found.update(latest_runs([recurring])))
        assert len(found[recurring.pk]) == 10
        assert (statements, read <= SLACK) == (2, True)

    def test_the_page_of_the_admin_reads_no_history(self, old_run):
        recurring, found = old_run.recurring, []
        read, statements = cost_of(lambda: found.extend(runs_of(recurring, 20)))
        assert len(found) == 20
        assert (statements, read <= 2 * SLACK) == (3, True)

    def test_an_edit_reads_no_history(self, old_run):
        def edit():
            daily("old", overlap="allow", args=["edited"])

        read, _ = cost_of(edit)
        assert read <= SLACK


@pytest.fixture
def emptied(tables, django_db_blocker):
    """Empty the tables after the test."""
    with django_db_blocker.unblock():
        yield
        call_command("flush", verbosity=0, interactive=False)


@pytest.mark.usefixtures("emptied")
class TestDowntime:
    MISSED = 10_000
    # The processor time of this process, which does not depend on others. It needs about a third.
    MAX_SECONDS = 60

    @pytest.mark.only_on("postgresql", reason="it takes a minute, most of it in Python")
    @pytest.mark.parametrize(
        ("missed", "made", "counted"), [("once", 1, 6), ("skip", 0, 7), ("all", 7, 0)]
    )
    def test_a_week_of_ten_thousand_takes_less_than_a_minute(self, missed, made, counted):
        store = store_for("default")
        now = store.now()
        model = daily(missed=missed)
        copies(model, self.MISSED, days=-7)
        model.delete()
        began_at = time.process_time()
        Materialiser(store).work(now, timedelta())
        assert time.process_time() - began_at < self.MAX_SECONDS
        found = RecurringJob.objects.values_list("runs", "missed_runs", "error")
        assert Counter(found) == {(made, counted, ""): self.MISSED}
        assert ScheduledJob.objects.count() == made * self.MISSED
        assert not RecurringJob.objects.filter(next_run_at__lte=clock.to_row(now)).exists()

    @pytest.mark.parametrize("missed", ["once", "skip", "all"])
    def test_a_year_of_minutes_is_not_walked(self, missed):
        store = store_for("default")
        recurring = schedule_recurring("often", jobs.trace, cron="* * * * *", missed=missed)
        year_ago = store.now().replace(second=0, microsecond=0) - timedelta(days=365)
        recurring.next_run_at = clock.to_row(year_ago)
        recurring.save()
        began_at = time.process_time()
        Materialiser(store).work(store.now(), timedelta())
        assert time.process_time() - began_at < 5  # a walk takes longer; a count some milliseconds
        recurring.refresh_from_db()
        assert recurring.runs + recurring.missed_runs >= 365 * 24 * 60


@pytest.mark.usefixtures("emptied")
class TestBlockedAndBroken:
    BLOCKED, BROKEN = 10_000, 1_000

    def test_waiting_runs_cost_two_entries_each_and_one_statement(self):
        store = store_for("default")
        model = daily(overlap="queue_one")
        copies(model, self.BLOCKED, days=1, queued_at=at())
        run = model.trigger()
        with connection.cursor() as cursor:
            columns = [field.column for field in run._meta.concrete_fields if field.column != "id"]
            values = {"recurring_id": "recurring.id"}
            cursor.execute(f"""
                INSERT INTO django_future_scheduledjob ({", ".join(columns)})
                SELECT {", ".join(values.get(column, f"run.{column}") for column in columns)}
                FROM django_future_scheduledjob AS run
                CROSS JOIN django_future_recurringjob AS recurring
                WHERE run.id = {run.pk} AND recurring.id <> {model.pk}
            """)
        found = []
        read, statements = cost_of(lambda: found.extend(rows.lock_waiting(store)))
        assert (found, statements) == ([], 1)
        assert read <= 6 * self.BLOCKED + SLACK

    def test_held_runs_are_looked_at_once_in_a_round_and_once_at_their_instant(self):
        store = store_for("default")
        now = store.now()
        for number in range(DUE):
            schedule_recurring(
                f"held {number}", jobs.trace, every="60s", overlap="skip",
                starts_at=now + (1 + 60 * number / DUE) * SECOND,
            )  # fmt: skip
        materialiser, again_at = Materialiser(store), now
        while again_at < now + MINUTE + SECOND:
            again_at = materialiser.work(again_at)
        ScheduledJob.objects.update(status=Status.RUNNING)
        end = again_at + MINUTE
        with CaptureQueriesContext(connection) as captured:
            while again_at < end:
                again_at = materialiser.work(again_at)
        assert sum(RecurringJob.objects.values_list("skipped_runs", flat=True)) >= DUE - 1
        assert len(captured.captured_queries) <= 10 * DUE

    def test_a_thousand_broken_ones_delay_no_other_and_are_not_tried_again_at_once(self):
        store = store_for("default")
        now = store.now()
        model = daily()
        model.callable_name = "tests.shop.jobs.removed"
        model.save()
        copies(model, self.BROKEN, days=-1, step=0.001)
        model.delete()
        ahead = schedule_recurring("well", jobs.trace, every="1m", starts_at=now - SECOND)
        RecurringJob.objects.filter(pk=ahead.pk).update(next_run_at=clock.to_row(now - SECOND))
        materialiser = Materialiser(store)
        again_at = materialiser.work(now, timedelta())
        assert ScheduledJob.objects.get(recurs_at__isnull=False).recurring == ahead
        assert RecurringJob.objects.exclude(error="").count() == self.BROKEN
        assert again_at == now + runs.ROUND
        read, statements = cost_of(lambda: materialiser.work(again_at, timedelta()))
        assert statements <= 6
        assert read <= 3 * self.BROKEN + SLACK


class TestIdleCost:
    # With this mark, pytest creates the database for the whole module. The tests above have no
    # such mark, because it would empty the tables after each of them.
    @pytest.mark.django_db(transaction=True)
    def test_a_worker_without_recurring_jobs_sends_one_statement_a_round(self):
        store = store_for("default")
        materialiser, now = Materialiser(store), store.now()
        with CaptureQueriesContext(connection) as captured:
            assert materialiser.work(now) == now + runs.ROUND >= now + 5 * SECOND
        assert len(captured.captured_queries) == 1
