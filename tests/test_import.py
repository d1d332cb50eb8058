"""The command `manage.py future_import`, on tables that the migrations of both packages make."""

import itertools
import json
import os
import re
import subprocess
import sys
import textwrap
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from django.core.management import CommandError, call_command
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from django_future import (
    RecurringJob,
    ScheduledJob,
    clock,
    job,
    run_jobs,
    schedule_recurring,
)
from django_future.importers.celery_crontab import cron_of
from django_future.importers.entry import NotCarriedOver
from django_future.testing.travel import stopped_clock
from tests.shop import jobs

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).parents[1]
BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 2, 8, 0, 1, tzinfo=UTC)  # a Monday, nine o'clock in Berlin
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BEAT, Q = "django_celery_beat", "django_q"
TABLES = {
    BEAT: [
        f"{BEAT}_{name}"
        for name in (
            "periodictask",
            "periodictasks",
            "intervalschedule",
            "crontabschedule",
            "solarschedule",
            "clockedschedule",
        )
    ],
    Q: ["django_q_schedule", "django_q_task", "django_q_ormq"],
}
# Another process runs the migrations and the models of the packages, because they must be installed
# apps for that. This process does not have them, as a project that has removed them.
IN_A_PROJECT = """
import sys
from tests import settings
settings.INSTALLED_APPS.append(sys.argv[1])
settings.Q_CLUSTER = {"timeout": 30, "retry": 60}
import django
django.setup()
from datetime import datetime
from zoneinfo import ZoneInfo
from django.utils import timezone
zone = ZoneInfo("Europe/Berlin")  # of the project
def to_row(instant):
    return instant if settings.USE_TZ else timezone.make_naive(instant, zone)
def from_row(value):
    return value if settings.USE_TZ else timezone.make_aware(value, zone)
"""
MIGRATE = """
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
executor = MigrationExecutor(connection)
executor.migrate([key for key in executor.loader.graph.leaf_nodes() if key[0] == sys.argv[1]])
"""
BEAT_ROWS = """
from django_celery_beat import models
clocked_time = to_row(datetime(2099, 1, 2, 3, tzinfo=zone))
schedules = {
    "interval": models.IntervalSchedule(every=90, period="minutes"),
    "crontab": models.CrontabSchedule(hour="9", minute="30", timezone="Asia/Tokyo"),
    "clocked": models.ClockedSchedule(clocked_time=clocked_time),
    "solar": models.SolarSchedule(event="sunrise", latitude=1, longitude=2),
}
for name, schedule in schedules.items():
    schedule.save()
    models.PeriodicTask.objects.create(
        name=name, task="tests.shop.jobs.take", args="[1]", one_off=name == "clocked",
        **{name: schedule},
    )
"""
Q_ROWS = """
import json
from django_q.models import Schedule
from django_q.tasks import schedule
runs = {}
for kind in ("I", "H", "D", "W", "M", "BM", "Q", "Y"):
    at = to_row(datetime(2026, 3, 3, 9, 30, tzinfo=zone))
    pk = schedule(
        "tests.shop.jobs.take", 1, name=kind, schedule_type=kind, minutes=7, next_run=at
    ).pk
    made = Schedule.objects.get(pk=pk)
    runs[kind] = []
    for _ in range(30):
        runs[kind].append(from_row(made.next_run).timestamp())
        made.next_run = made.calculate_next_run()
print(json.dumps(runs))
"""
ids = itertools.count(1)


@pytest.fixture(autouse=True)
def monday():
    """Stop the clock on a Monday, a second after nine in Berlin."""
    with stopped_clock(NOW):
        yield


@pytest.fixture(scope="module")
def beat_tables(django_db_setup, django_db_blocker):
    """Create the tables of django-celery-beat."""
    # It does not yet support the latest Django.
    pytest.importorskip(BEAT)
    yield from created_tables(BEAT, django_db_blocker)


@pytest.fixture(scope="module")
def q_tables(django_db_setup, django_db_blocker):
    """Create the tables of django-q2."""
    yield from created_tables(Q, django_db_blocker)


def created_tables(package, blocker):
    in_a_project(package, MIGRATE)
    yield
    with blocker.unblock(), connection.cursor() as cursor:
        for table in TABLES[package]:
            cursor.execute(f"DROP TABLE {table}")
        cursor.execute("DELETE FROM django_migrations WHERE app = %s", [package])


def in_a_project(package, code):
    """Run code in a process in which the package is installed, and return what it prints."""
    command = [sys.executable, "-c", IN_A_PROJECT + code, package]
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    return subprocess.run(
        command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE
    ).stdout


@pytest.fixture
def run(capsys):
    """Return a function that runs the command and returns its output."""

    def output(*arguments):
        call_command("future_import", *arguments)
        return capsys.readouterr().out

    return output


@pytest.fixture
def import_beat(beat_tables, run):
    """Return a function that imports the periodic tasks and returns the output."""
    return lambda *arguments: run("celery-beat", *arguments)


@pytest.fixture
def import_q(q_tables, run):
    """Return a function that imports the schedules of django-q and returns the output."""
    return lambda *arguments: run("django-q", *arguments)


def insert(table, **values):
    """Insert a row, and return its id."""
    row = {"id": next(ids), **values}
    stored = [
        connection.ops.adapt_datetimefield_value(clock.to_row(value))
        if isinstance(value, datetime)
        else value
        for value in row.values()
    ]
    quote = connection.ops.quote_name
    columns, places = ", ".join(map(quote, row)), ", ".join(["%s"] * len(row))
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {quote(table)} ({columns}) VALUES ({places})", stored)
    return row["id"]


def update(table, **values):
    """Change all rows of a table."""
    changes = ", ".join(f"{connection.ops.quote_name(column)} = %s" for column in values)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET {changes}", list(values.values()))


def task(name="report", **values):
    """Insert a periodic task. Without a schedule, it runs each hour."""
    if not values.keys() & {"interval_id", "crontab_id", "solar_id", "clocked_id"}:
        values["crontab_id"] = crontab(minute="0")
    defaults = {
        "name": name,
        "task": "tests.shop.jobs.take",
        "args": "[]",
        "kwargs": "{}",
        "headers": "{}",
        "one_off": False,
        "enabled": True,
        "total_run_count": 0,
        "date_changed": NOW - DAY,
        "description": "",
    }
    return insert(f"{BEAT}_periodictask", **{**defaults, **values})


def crontab(zone="UTC", **fields):
    """Insert a crontab."""
    names = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
    return insert(
        f"{BEAT}_crontabschedule", **{**dict.fromkeys(names, "*"), **fields}, timezone=zone
    )


def interval(every, period):
    """Insert an interval."""
    return insert(f"{BEAT}_intervalschedule", every=every, period=period)


def clocked(at):
    """Insert the time of a clocked task."""
    return insert(f"{BEAT}_clockedschedule", clocked_time=at)


def solar():
    """Insert a solar event."""
    return insert(f"{BEAT}_solarschedule", event="sunset", latitude="52.5", longitude="13.4")


def schedule(name="report", **values):
    """Insert a schedule of django-q, which is due tomorrow."""
    defaults = {
        "name": name,
        "func": "tests.shop.jobs.take",
        "schedule_type": "D",
        "repeats": -1,
        "next_run": NOW + DAY,
    }
    return insert("django_q_schedule", **{**defaults, **values})


def imported(name="report"):
    """Return a recurring job."""
    return RecurringJob.objects.get(name=name)


def refusal(output, name="report"):
    """Return why a row was not carried over. There is no recurring job for it."""
    assert not RecurringJob.objects.filter(name=name).exists()
    [line] = [line for line in output.splitlines() if line.startswith(f"  {name}: ")]
    return line.removeprefix(f"  {name}: ")


def module_of_tasks(monkeypatch, code, decorator):
    """Make a module of the test shop, in which `code` defines the function `report`."""
    tasks = ModuleType("tests.shop.tasks")
    exec(code, tasks.__dict__)
    tasks.report = decorator(tasks.report)
    monkeypatch.setitem(sys.modules, tasks.__name__, tasks)


def utc(value):
    return value and clock.from_row(value)


class TestSchedulesOfCelery:
    def test_a_crontab_keeps_its_fields_and_time_zone(self, import_beat):
        task(crontab_id=crontab("America/New_York", minute="30", hour="7", day_of_week="mon-fri"))
        import_beat()
        recurring = imported()
        assert (recurring.cron, recurring.timezone) == ("30 7 * * mon-fri", "America/New_York")
        assert recurring.callable_name == "tests.shop.jobs.take"

    def test_an_interval_is_due_when_beat_would_run_it(self, import_beat):
        last = NOW - timedelta(minutes=7)
        task(interval_id=interval(3, "hours"), last_run_at=last)
        import_beat()
        recurring = imported()
        assert recurring.every == 3 * HOUR
        assert utc(recurring.next_run_at) == last + 3 * HOUR

    def test_an_interval_that_has_not_run_counts_from_its_last_change(self, import_beat):
        task(interval_id=interval(2, "days"), date_changed=NOW - DAY)
        import_beat()
        assert utc(imported().next_run_at) == NOW + DAY

    def test_an_interval_that_has_not_run_begins_at_its_start_time(self, import_beat):
        task(interval_id=interval(2, "days"), start_time=NOW + HOUR)
        import_beat()
        assert utc(imported().next_run_at) == NOW + HOUR

    @pytest.mark.parametrize(
        ("every", "period", "length"),
        [
            (90, "seconds", timedelta(seconds=90)),
            (5, "minutes", timedelta(minutes=5)),
            (1, "days", DAY),
            (2_500_000, "microseconds", timedelta(seconds=2.5)),
        ],
    )
    def test_an_interval_has_any_period_of_celery(self, import_beat, every, period, length):
        task(interval_id=interval(every, period))
        import_beat()
        assert imported().every == length

    def test_a_clocked_task_runs_once_at_its_time(self, import_beat):
        task(clocked_id=clocked(NOW + HOUR), one_off=True)
        import_beat()
        recurring = imported()
        assert (recurring.max_runs, utc(recurring.next_run_at)) == (1, NOW + HOUR)
        assert recurring.upcoming(5) == [NOW + HOUR]
        with stopped_clock(NOW + HOUR):
            run_jobs()
        assert utc(imported().next_run_at) is None
        assert ScheduledJob.objects.get().status == "complete"

    def test_a_clocked_task_whose_time_has_passed_is_not_carried_over(self, import_beat):
        task(clocked_id=clocked(NOW - HOUR), one_off=True)
        assert "It was due once, at 2026-03-02 08:00:01, which has passed." in refusal(
            import_beat()
        )

    def test_a_clocked_task_that_expires_before_its_time_is_not_carried_over(self, import_beat):
        task(clocked_id=clocked(NOW + DAY), one_off=True, expires=NOW + HOUR)
        assert "Celery never runs it." in refusal(import_beat())

    def test_a_solar_schedule_is_not_carried_over(self, import_beat):
        task(solar_id=solar())
        output = import_beat()
        assert refusal(output).startswith("A recurring job cannot follow the sun.")
        assert "sunset at 52.5" in output

    def test_a_task_without_a_schedule_is_not_carried_over(self, import_beat):
        task(crontab_id=None)
        assert refusal(import_beat()) == "It has no schedule. Give it one."


class TestCrontab:
    @pytest.mark.parametrize(
        ("fields", "cron"),
        [
            ({}, "* * * * *"),
            ({"minute": "*/15", "hour": "8-17"}, "*/15 8-17 * * *"),
            ({"minute": "0, 30", "hour": "0-23/6"}, "0,30 0-23/6 * * *"),
            ({"hour": "22-4"}, "* 22,23,0,1,2,3,4 * * *"),
            ({"hour": "20-4/3"}, "* 20,23,2 * * *"),
            ({"day_of_week": "fri-mon"}, "* * * * fri,sat,sun,mon"),
            ({"day_of_week": "Monday,wednesday"}, "* * * * mon,wed"),
            ({"month_of_year": "nov-feb", "day_of_month": "1"}, "* * 1 nov,dec,jan,feb *"),
            ({"day_of_month": "*/2", "day_of_week": "mon"}, "* * */2 * mon"),
            ({"day_of_month": "1,*/2", "day_of_week": "mon"}, "* * */2,1 * mon"),
            ({"day_of_month": "13", "day_of_week": "0-6"}, "* * 13 * *"),
            ({"day_of_month": "1-7", "day_of_week": "mon"}, "* * * * mon#1"),
            (
                {"day_of_month": "1-7,15-21", "day_of_week": "mon,sat"},
                "* * * * mon#1,mon#3,sat#1,sat#3",
            ),
            ({"day_of_month": "29-31", "day_of_week": "5"}, "* * * * fri#5"),
        ],
    )
    def test_a_crontab_of_celery_becomes_a_cron_expression(self, import_beat, fields, cron):
        task(crontab_id=crontab(**fields))
        import_beat()
        assert imported().cron == cron

    @pytest.mark.parametrize(
        ("column", "text"),
        [
            ("minute", "60"),
            ("minute", "5/15"),
            ("minute", "*/0"),
            ("minute", ""),
            ("minute", "[0"),
            ("hour", "noon"),
            ("day_of_month", "L"),
            ("day_of_week", "7"),
        ],
    )
    def test_a_crontab_that_celery_refuses_is_not_carried_over(self, import_beat, column, text):
        task(crontab_id=crontab(**{column: text}))
        reason = refusal(import_beat())
        assert reason.startswith(f"{text!r} in {column} is not a part of a crontab that Celery")

    def test_a_crontab_in_which_both_days_must_match_is_not_carried_over(self, import_beat):
        task(crontab_id=crontab(day_of_month="13", day_of_week="fri"))
        reason = refusal(import_beat())
        assert reason.startswith("day_of_month is '13' and day_of_week is 'fri'. Celery runs it on")

    @settings(deadline=None)
    @given(data=st.data())
    def test_a_cron_expression_matches_when_celery_runs_the_task(self, data):
        celery = pytest.importorskip("celery.schedules")
        crontab = {
            "minute": data.draw(fields_from(0, 59)),
            "hour": data.draw(fields_from(0, 23)),
            "day_of_month": data.draw(fields_from(1, 31) | st.sampled_from(["1-7", "8-21", "*"])),
            "month_of_year": data.draw(fields_from(1, 12, "jan", "MAY", "december")),
            "day_of_week": data.draw(fields_from(0, 6, "sun", "MON", "saturday")),
        }
        try:
            theirs = celery.crontab(**crontab)
            ours = CronSim(cron_of(crontab), datetime(2026, 1, 1))
        except (ValueError, NotCarriedOver):  # no month has such a day, or both days must match
            return
        assert (set(ours.minutes), set(ours.hours)) == (theirs.minute, theirs.hour)
        for day in days_of(2026):
            is_theirs = (
                day.month in theirs.month_of_year
                and day.day in theirs.day_of_month
                and day.isoweekday() % 7 in theirs.day_of_week
            )
            assert (day.month in ours.months and ours.match_day(day)) == is_theirs


def fields_from(first, last, *names):
    """Return a strategy for fields of a crontab of Celery."""
    value = st.integers(first, last).map(str) | st.sampled_from([str(first), *names])
    step = st.just("") | st.integers(1, 12).map(lambda number: f"/{number}")
    spans = st.builds("{}-{}{}".format, value, value, step)
    stars = step.map(lambda text: f"*{text}")
    return st.lists(value | spans | stars, min_size=1, max_size=3).map(",".join)


def days_of(year):
    return [date(year, 1, 1) + number * DAY for number in range(365)]


class TestTasksOfCelery:
    def test_arguments_queue_and_lifetime_are_carried_over(self, import_beat):
        task(args='["a", 1]', kwargs='{"day": null}', queue="mail", expire_seconds=3600)
        import_beat()
        recurring = imported()
        assert (recurring.args, recurring.kwargs) == (["a", 1], {"day": None})
        assert (recurring.queue_name, recurring.expires) == ("mail", "1h")

    def test_start_time_and_end_are_carried_over(self, import_beat):
        # Beat no longer runs a task at the time at which it expires.
        task(start_time=NOW + DAY - HOUR, expires=datetime(2026, 3, 3, 12, tzinfo=UTC))
        import_beat()
        upcoming = imported().upcoming(5)
        assert [instant.hour for instant in upcoming] == [8, 9, 10, 11]

    def test_an_expired_task_is_not_carried_over(self, import_beat):
        task(expires=NOW - HOUR)
        assert refusal(import_beat()) == (
            "It expired at 2026-03-02 08:00:01, so Celery does not run it."
        )

    def test_a_disabled_task_is_paused(self, import_beat):
        task(enabled=False)
        import_beat()
        recurring = imported()
        assert recurring.is_paused
        assert recurring.paused_reason == "disabled in django-celery-beat"
        assert recurring.next_run_at is None

    def test_a_one_off_task_runs_once(self, import_beat):
        task(one_off=True)
        import_beat()
        assert imported().max_runs == 1

    def test_a_one_off_task_that_has_run_is_not_carried_over(self, import_beat):
        task(one_off=True, total_run_count=1)
        assert refusal(import_beat()) == "It is a one-off task, and it has run."

    def test_a_disabled_one_off_task_is_not_carried_over(self, import_beat):
        task(one_off=True, enabled=False)
        assert "disabled, as Celery disables it after its run" in refusal(import_beat())

    def test_what_has_no_counterpart_is_noted(self, import_beat):
        task(priority=5, exchange="main", headers='{"a": 1}', description="The report.")
        output = import_beat()
        assert imported().priority is None
        assert "report: Its priority 5 is not carried over, because the broker decides" in output
        assert "report: A recurring job has no exchange, headers, description, so that" in output

    def test_an_ignored_time_zone_is_noted(self, import_beat, settings):
        settings.DJANGO_CELERY_BEAT_TZ_AWARE = False
        task()
        assert "DJANGO_CELERY_BEAT_TZ_AWARE is False, so Celery ignored" in import_beat()

    def test_a_task_of_celery_runs_in_the_worker(self, import_beat, monkeypatch):
        celery = pytest.importorskip("celery")
        code = "def report(self, day):\n    return f'{self.name} {day}'"
        module_of_tasks(monkeypatch, code, celery.shared_task(bind=True))
        task(task="tests.shop.tasks.report", args="[7]")
        import_beat()
        imported().trigger()
        run_jobs()
        assert ScheduledJob.objects.get().return_value == "tests.shop.tasks.report 7"

    def test_the_clean_up_of_celery_is_not_carried_over(self, import_beat):
        task("celery.backend_cleanup", task="celery.backend_cleanup")
        reason = refusal(import_beat(), "celery.backend_cleanup")
        assert reason.endswith("set DJANGO_FUTURE['RETENTION'].")

    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            ({"args": "[1"}, "args is not JSON: "),
            ({"args": '"a"'}, "args is JSON, but not a list."),
            ({"kwargs": "[]"}, "kwargs is JSON, but not an object."),
            (
                {"args": '[{"__type__": "uuid", "__value__": "17"}]'},
                "An argument is a uuid in the JSON of Celery.",
            ),
            ({"task": "report"}, "'report' is not a dotted path."),
            ({"task": "tests.shop.jobs.gone"}, "'tests.shop.jobs.gone' does not exist"),
            ({"task": "os.system", "args": '["ls"]'}, "'os.system' is defined in posix, outside"),
            ({"task": "tests.shop.jobs.echo", "args": "[1, 2]"}, "tests.shop.jobs.echo does not"),
            ({"queue": "a" * 101}, "queue_name"),
        ],
    )
    def test_a_broken_task_does_not_stop_the_others(self, import_beat, values, reason):
        task(**values)
        task("good")
        assert refusal(import_beat()).startswith(reason)
        assert imported("good").next_run_at is not None

    def test_an_error_of_the_project_does_not_stop_the_others(self, import_beat, monkeypatch):
        module_of_tasks(monkeypatch, "def report():\n    pass", job(unique=lambda: 1 / 0))
        task(task="tests.shop.tasks.report")
        task("good")
        assert "raised ZeroDivisionError" in refusal(import_beat())
        assert imported("good")

    @pytest.mark.parametrize("zone", ["America", "Mars/Olympus", "../etc/passwd"])
    def test_an_unknown_time_zone_does_not_stop_the_others(self, import_beat, zone):
        task(crontab_id=crontab(zone))
        task("good")
        assert refusal(import_beat()).startswith(f"timezone is {zone!r}, which is not a known")
        assert imported("good")

    @pytest.mark.parametrize(
        ("every", "period", "reason"),
        [
            (500_000, "microseconds", "every is "),
            (0, "seconds", "every is "),
            (2**31 - 1, "days", "Its row cannot be read: OverflowError"),
            (1, "fortnights", "Its row cannot be read: TypeError"),
        ],
    )
    def test_an_impossible_interval_does_not_stop_the_others(
        self, import_beat, every, period, reason
    ):
        task(interval_id=interval(every, period))
        task("good")
        assert refusal(import_beat()).startswith(reason)
        assert imported("good")


class TestSchedulesOfDjangoQ:
    @pytest.mark.parametrize(
        ("kind", "cron"),
        [
            ("D", "30 9 * * *"),
            ("W", "30 9 * * tue"),
            ("M", "30 9 3 * *"),
            ("BM", "30 9 3 1,3,5,7,9,11 *"),
            ("Q", "30 9 3 3,6,9,12 *"),
            ("Y", "30 9 3 3 *"),
        ],
    )
    def test_a_schedule_in_local_time_becomes_a_cron_expression(self, import_q, kind, cron):
        next_at = datetime(2026, 3, 3, 9, 30, tzinfo=BERLIN)
        schedule(schedule_type=kind, next_run=next_at)
        import_q()
        recurring = imported()
        assert (recurring.cron, recurring.timezone) == (cron, "Europe/Berlin")
        assert utc(recurring.next_run_at) == next_at

    @pytest.mark.parametrize(
        ("kind", "minutes", "every"),
        [
            ("I", 45, timedelta(minutes=45)),
            ("I", None, MINUTE),
            ("H", None, HOUR),
            ("BW", None, 14 * DAY),
        ],
    )
    def test_an_interval_goes_on_from_its_next_run(self, import_q, kind, minutes, every):
        schedule(schedule_type=kind, minutes=minutes, next_run=NOW + timedelta(seconds=30))
        output = import_q()
        recurring = imported()
        assert recurring.every == every
        assert utc(recurring.next_run_at) == NOW + timedelta(seconds=30)
        assert ("When the clocks change" in output) == (kind == "BW")

    def test_a_cron_expression_is_in_the_time_zone_of_django_q(self, import_q, settings):
        settings.Q_CLUSTER = {"time_zone": "Asia/Tokyo"}
        schedule(schedule_type="C", cron="0 22 * * 1-5")
        import_q()
        assert (imported().cron, imported().timezone) == ("0 22 * * 1-5", "Asia/Tokyo")

    @pytest.mark.parametrize(
        ("theirs", "ours"),
        [
            ("0 9 */2 * mon", "0 9 1-31/2 * mon"),
            ("0 9 13 * */2", "0 9 13 * 0-6/2"),
            ("0 9 */1 * mon", "0 9 1-31/1 * mon"),
            ("0 9 ? * mon", "0 9 * * mon"),
            ("0 9 */2 * *", "0 9 */2 * *"),
            ("0 9 13 * fri", "0 9 13 * fri"),
        ],
    )
    def test_either_day_of_a_cron_expression_matches(self, import_q, theirs, ours):
        schedule(schedule_type="C", cron=theirs)
        import_q()
        assert imported().cron == ours

    def test_a_bad_cron_expression_is_not_carried_over(self, import_q):
        schedule(schedule_type="C", cron="0 0 9 * * *")
        assert "because it has 6 fields" in refusal(import_q())

    def test_a_schedule_without_a_cron_expression_is_not_carried_over(self, import_q):
        schedule(schedule_type="C", cron=None)
        assert refusal(import_q()) == "It has no cron expression. Give it one."

    def test_an_unknown_type_is_not_carried_over(self, import_q):
        schedule(schedule_type="X")
        assert refusal(import_q()).startswith("Its type is 'X'. Give one of O, I, H,")

    def test_a_single_run_is_carried_over(self, import_q):
        schedule(schedule_type="O", next_run=NOW + HOUR)
        import_q()
        assert imported().max_runs == 1
        assert imported().upcoming(2) == [NOW + HOUR]

    @pytest.mark.parametrize(
        ("kind", "day", "months"),
        [("M", date(2026, 3, 29), 12), ("Q", date(2026, 3, 31), 4), ("Y", date(2028, 2, 29), 1)],
    )
    def test_a_day_that_not_each_month_has_is_not_carried_over(self, import_q, kind, day, months):
        schedule(schedule_type=kind, next_run=datetime(day.year, day.month, day.day, 9, tzinfo=UTC))
        assert f"It runs on day {day.day}, which not each of its months has." in refusal(import_q())

    @pytest.mark.parametrize(("kind", "day"), [("Q", date(2026, 4, 30)), ("Y", date(2026, 12, 31))])
    def test_a_late_day_that_each_month_has_is_carried_over(self, import_q, kind, day):
        schedule(schedule_type=kind, next_run=datetime(day.year, day.month, day.day, 9, tzinfo=UTC))
        import_q()
        assert imported().upcoming(1)[0].date() == day

    def test_seconds_of_the_next_run_are_noted(self, import_q):
        schedule(next_run=datetime(2026, 3, 3, 8, 15, 30, tzinfo=UTC))
        assert "It runs at the whole minute, without the seconds" in import_q()
        assert utc(imported().next_run_at) == datetime(2026, 3, 3, 8, 15, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            ({"repeats": 0}, "Its repeats are 0, so django-q does not run it any more."),
            ({"next_run": None}, "It has no next run"),
            ({"schedule_type": "O", "next_run": NOW - HOUR}, "It was due once, at "),
        ],
    )
    def test_a_schedule_that_django_q_does_not_run_is_not_carried_over(
        self, import_q, values, reason
    ):
        schedule(**values)
        assert refusal(import_q()).startswith(reason)

    def test_the_runs_that_are_left_are_carried_over(self, import_q):
        schedule(repeats=3)
        import_q()
        assert imported().max_runs == 3


class TestCallsOfDjangoQ:
    @pytest.mark.parametrize(
        ("text", "args"),
        [
            ("1, 'two'", [1, "two"]),
            ("(1, 2)", [1, 2]),
            ("[1, 2]", [[1, 2]]),
            ("'one'", ["one"]),
            ("", []),
            (None, []),
        ],
    )
    def test_the_text_of_arguments_is_read_as_django_q_does(self, import_q, text, args):
        schedule(args=text)
        import_q()
        assert imported().args == args

    @pytest.mark.parametrize("text", ["{'x': 1, 'y': [2]}", "x=1, y=[2]"])
    def test_both_forms_of_keywords_are_read(self, import_q, text):
        schedule(kwargs=text)
        import_q()
        assert imported().kwargs == {"x": 1, "y": [2]}

    @pytest.mark.parametrize(
        ("column", "text"),
        [
            ("args", "1,,"),
            ("args", "__import__('os').system('true')"),
            ("args", "(" * 500),
            ("kwargs", "5"),
            ("kwargs", "x=open('/etc/passwd')"),
            ("kwargs", "x=1), g("),
            ("kwargs", "1"),
            ("kwargs", "{1: 2}"),
            ("kwargs", "**{}"),
        ],
    )
    def test_arguments_that_are_no_literals_do_not_stop_the_others(self, import_q, column, text):
        schedule(**{column: text})
        schedule("good")
        assert refusal(import_q()).startswith(f"{column} cannot be read: ")
        assert imported("good")

    def test_a_cluster_becomes_a_queue(self, import_q):
        schedule(cluster="mail")
        import_q()
        assert imported().queue_name == "mail"

    def test_a_hook_and_options_are_noted(self, import_q):
        schedule(hook="tests.shop.jobs.echo", kwargs="x=1, timeout=5, q_options={'save': False}")
        output = import_q()
        assert imported().kwargs == {"x": 1}
        assert "report: Its hook tests.shop.jobs.echo is not carried over." in output
        assert "report: Its options q_options, timeout are not carried over." in output

    def test_a_schedule_that_passes_its_date_is_not_carried_over(self, import_q):
        schedule(intended_date_kwarg="day")
        assert "read job.recurs_at" in refusal(import_q())

    def test_an_unknown_function_is_not_carried_over(self, import_q):
        schedule(func="math.copysign", args="2, -2")
        assert refusal(import_q()).startswith("'math.copysign' is defined in math, outside")

    def test_empty_and_repeated_names_are_made_unique(self, import_q):
        pks = [schedule(name) for name in ("", None, "twice", "twice", "once")]
        import_q()
        assert set(RecurringJob.objects.values_list("name", flat=True)) == {
            f"tests.shop.jobs.take {pks[0]}",
            f"tests.shop.jobs.take {pks[1]}",
            f"twice {pks[2]}",
            f"twice {pks[3]}",
            "once",
        }


class TestCommand:
    def test_a_dry_run_prints_old_and_new_and_writes_nothing(self, import_beat):
        task("daily", crontab_id=crontab("UTC", minute="0", hour="9"), queue="mail")
        task("paused", interval_id=interval(90, "minutes"), enabled=False)
        task("sunset", solar_id=solar())
        lines = import_beat("--dry-run").splitlines()
        assert [line.split("  ")[0] for line in lines[:4]] == ["Name", "daily", "paused", "sunset"]
        assert "crontab 0 9 * * *, UTC  " in lines[1]
        assert "  cron 0 9 * * *, UTC, queue mail  " in lines[1]
        assert "  every 1h30m, from 2026-03-01 10:30:01, paused  create" in lines[2]
        assert lines[5] == "Cannot be carried over:"
        assert lines[6].startswith("  sunset: A recurring job cannot follow the sun. Let a handler")
        assert lines[-2:] == [
            "Would create 2 recurring jobs, and change 0.",
            "1 schedule cannot be carried over.",
        ]
        assert not RecurringJob.objects.exists()
        assert not ScheduledJob.objects.exists()

    def test_the_output_in_the_documentation_is_that_of_the_command(self, import_beat):
        zone = "Europe/Berlin"
        task("daily report", crontab_id=crontab(zone, minute="0", hour="9", day_of_week="mon-fri"))
        every, changed_at = interval(5, "minutes"), datetime(2026, 3, 2, 8, 0, tzinfo=BERLIN)
        task("poll", interval_id=every, enabled=False, date_changed=changed_at)
        task("night shift", crontab_id=crontab(minute="0", hour="22-4"))
        luck = crontab(minute="0", hour="9", day_of_month="13", day_of_week="fri")
        task("bad luck", crontab_id=luck)
        page = (ROOT / "docs" / "how-to" / "come-from-celery-beat.md").read_text()
        [shown] = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
        assert import_beat("--dry-run") == textwrap.dedent(shown.rstrip(" "))

    def test_a_dry_run_finds_the_same_reasons(self, import_beat):
        task(task="tests.shop.jobs.gone")
        assert refusal(import_beat("--dry-run")) == refusal(import_beat())

    def test_a_second_run_changes_nothing(self, import_beat):
        task("daily", args='[{"a": [1]}]', queue="mail", expire_seconds=60, start_time=NOW)
        task("poll", interval_id=interval(5, "minutes"), last_run_at=NOW, expires=NOW + DAY)
        task("disabled", enabled=False)
        task("once", clocked_id=clocked(NOW + HOUR), one_off=True)
        assert import_beat().splitlines()[-2:] == [
            "Created 4 recurring jobs, and changed 0.",
            "Stop celery beat. Otherwise each of them runs twice.",
        ]
        before = list(RecurringJob.objects.order_by("pk").values())
        with stopped_clock(NOW + MINUTE):
            assert import_beat().splitlines()[-2:] == [
                "Nothing was changed.",
                "4 recurring jobs are up to date.",
            ]
        assert list(RecurringJob.objects.order_by("pk").values()) == before
        assert "There is nothing to change." in import_beat("--dry-run")

    def test_a_second_run_of_django_q_changes_nothing(self, import_q):
        for kind in ("I", "D", "W", "BW", "M", "O"):
            schedule(kind, schedule_type=kind, args="{1}, 'a'", kwargs="x=(1, 2)", repeats=5)
        import_q()
        before = list(RecurringJob.objects.order_by("pk").values())
        with stopped_clock(NOW + MINUTE):
            assert "6 recurring jobs are up to date." in import_q()
        assert list(RecurringJob.objects.order_by("pk").values()) == before

    def test_a_second_run_writes_what_has_changed(self, import_beat):
        task()
        task("other")
        import_beat()
        update(f"{BEAT}_periodictask", queue="mail")
        assert "Would create 0 recurring jobs, and change 2." in import_beat("--dry-run")
        assert "Created 0 recurring jobs, and changed 2." in import_beat()
        assert imported().queue_name == "mail"

    def test_a_second_run_leaves_a_resumed_job_resumed(self, import_beat):
        task(enabled=False)
        import_beat()
        imported().resume()
        update(f"{BEAT}_periodictask", queue="mail")
        assert ", queue mail  change" in import_beat()
        assert not imported().is_paused

    def test_a_declared_recurring_job_is_not_replaced(self, import_beat):
        schedule_recurring("report", jobs.take, cron="0 5 * * *")
        RecurringJob.objects.update(is_declared=True)
        task()
        assert "report: The code declares a recurring job with this name." in import_beat()
        assert imported().cron == "0 5 * * *"

    def test_control_characters_in_a_name_are_escaped(self, import_beat):
        task("a\x1b[31mb")
        output = import_beat()
        assert "a\\x1b[31mb" in output
        assert "\x1b" not in output

    def test_empty_tables_are_reported(self, import_q):
        assert import_q().splitlines() == [
            "The tables of django-q contain no schedules.",
            "Nothing was changed.",
        ]


@pytest.mark.django_db(transaction=True)
class TestRowsOfThePackages:
    def test_the_periodic_tasks_that_celery_has_written_are_carried_over(self, import_beat):
        in_a_project(BEAT, BEAT_ROWS)
        assert "Created 3 recurring jobs" in import_beat()
        assert imported("interval").every == timedelta(minutes=90)
        assert imported("crontab").cron == "30 9 * * *"
        assert imported("crontab").timezone == "Asia/Tokyo"
        assert imported("clocked").upcoming(2) == [datetime(2099, 1, 2, 3, tzinfo=BERLIN)]
        assert imported("crontab").args == [1]
        assert "3 recurring jobs are up to date." in import_beat()

    def test_schedules_run_when_django_q_would_have_run_them(self, import_q):
        runs = json.loads(in_a_project(Q, Q_ROWS))
        assert f"Created {len(runs)} recurring jobs" in import_q()
        for kind, theirs in runs.items():
            ours = imported(kind).upcoming(len(theirs))
            assert [instant.timestamp() for instant in ours] == theirs, kind


@pytest.mark.django_db(databases=["default", "other"])
class TestDatabases:
    def test_recurring_jobs_are_written_to_another_database(self, import_beat):
        task()
        import_beat("--database", "other", "--from", "default")
        assert RecurringJob.objects.using("other").get().name == "report"
        assert not RecurringJob.objects.using("default").exists()

    @pytest.mark.parametrize(
        ("package", "table"),
        [("celery-beat", "django_celery_beat_periodictask"), ("django-q", "django_q_schedule")],
    )
    def test_a_missing_table_is_an_error(self, run, package, table):
        with pytest.raises(CommandError, match=f"'other' has no table '{table}'. If the table is"):
            run(package, "--from", "other")
