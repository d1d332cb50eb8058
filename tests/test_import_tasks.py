"""The command `manage.py future_import django-tasks-db`, on tables that its migrations make."""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import django
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, connections

from django_future import ScheduledJob, clock, run_jobs
from django_future.importers import tasks_db
from django_future.tasks.api import task_backends
from tests.shop import tasks

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "other"]),
    pytest.mark.skipif(
        find_spec("django_tasks_db") is None, reason="django-tasks-db is not installed"
    ),
]

ROOT = Path(__file__).parents[1]
FUTURE = "django_future.backend.FutureBackend"
LIBRARY = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"
IMMEDIATE = f"{LIBRARY}.backends.immediate.ImmediateBackend"
LATER = datetime(2999, 1, 2, 3, 4, 5, tzinfo=UTC)

# Another process runs the migrations and the backend of the package, which must be an installed app
# for that. This process does not have it, as a project that has removed it.
PROJECT = """
import sys
from datetime import datetime, UTC
from tests import settings
settings.INSTALLED_APPS.append("django_tasks_db")
settings.TASKS = {
    alias: {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": []}
    for alias in ("default", "reports")
}
import django
django.setup()
from django.db import connections
from django.utils import timezone
from tests.shop import tasks
"""
MIGRATE = """
from django.db.migrations.executor import MigrationExecutor
for connection in connections.all():
    executor = MigrationExecutor(connection)
    label = "django_tasks_database"
    executor.migrate([key for key in executor.loader.graph.leaf_nodes() if key[0] == label])
"""
ENQUEUE = """
at = datetime(2999, 1, 2, 3, 4, 5, tzinfo=UTC)
at = at if settings.USE_TZ else timezone.make_naive(at, timezone.get_default_timezone())
tasks.add.enqueue(1, b=2)
tasks.echo.using(priority=7, queue_name="brief").enqueue({"a": [None, 1.5, "ü"]})
tasks.echo.using(run_after=at, backend="reports").enqueue("later")
"""


def in_a_project(code):
    """Run code in a process in which django-tasks-db is installed."""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROJECT + code],
        cwd=ROOT,
        env=environment,
        check=True,
    )


@pytest.fixture(scope="module", autouse=True)
def tables(django_db_setup, django_db_blocker):
    """Create the tables of django-tasks-db in both databases."""
    in_a_project(MIGRATE)
    yield
    with django_db_blocker.unblock():
        for each in connections.all():
            with each.cursor() as cursor:
                cursor.execute(f"DROP TABLE {tasks_db.TABLE}")
                cursor.execute("DELETE FROM django_migrations WHERE app = 'django_tasks_database'")


@pytest.fixture(autouse=True)
def empty_tables(db):
    """Delete the rows of django-tasks-db after each test."""
    yield
    for each in connections.all():
        with each.cursor() as cursor:
            cursor.execute(f"DELETE FROM {tasks_db.TABLE}")


@pytest.fixture(autouse=True)
def aliases(settings):
    """Replace the backend, and keep the aliases."""
    settings.TASKS = {alias: {"BACKEND": FUTURE, "QUEUES": []} for alias in ("default", "reports")}


@pytest.fixture
def run(capsys):
    """Return a function that runs the command and returns the lines of its output."""

    def output(*arguments):
        call_command("future_import", "django-tasks-db", *arguments)
        return capsys.readouterr().out.splitlines()

    return output


@pytest.fixture
def waiting():
    """Enqueue three tasks with django-tasks-db."""
    in_a_project(ENQUEUE)


def update(condition="1 = 1", **values):
    """Change rows of the table of django-tasks-db."""
    changes = ", ".join(f"{name} = %s" for name in values)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {tasks_db.TABLE} SET {changes} WHERE {condition}", list(values.values())
        )


def count(alias="default"):
    """Return how many rows the table of django-tasks-db has."""
    with connections[alias].cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {tasks_db.TABLE}")
        return cursor.fetchone()[0]


@pytest.mark.usefixtures("waiting")
class TestMove:
    def test_waiting_tasks_move_with_all_that_they_have(self, run):
        lines = run()
        first, second, third = ScheduledJob.objects.order_by("pk")
        assert [first.args, first.kwargs, first.task_backend] == [[1], {"b": 2}, "default"]
        assert (second.priority, second.queue_name) == (7, "brief")
        assert second.args == [{"a": [None, 1.5, "ü"]}]
        assert (third.task_backend, clock.from_row(third.run_after)) == ("reports", LATER)
        assert clock.from_row(third.scheduled_at) == LATER
        assert count() == 0
        assert lines[-2:] == [
            "Moved 3 tasks.",
            "Stop db_worker, and start future_worker, which runs them.",
        ]

    def test_moved_tasks_run(self, run):
        enqueued_before = clock.to_row(clock.now())
        run()
        run_jobs()
        first, second, third = ScheduledJob.objects.order_by("pk")
        result = tasks.add.get_result(str(first.pk))
        assert (result.return_value, result.task.run_after) == (3, None)
        assert result.enqueued_at < enqueued_before
        assert second.return_value == {"a": [None, 1.5, "ü"]}
        assert third.status == "scheduled"
        assert task_backends["reports"].get_result(str(third.pk)).status == "READY"

    def test_a_dry_run_writes_nothing(self, run):
        lines = run("--dry-run")
        assert count() == 3
        assert not ScheduledJob.objects.exists()
        assert "tests.shop.tasks.echo, queue brief, priority 7  " in lines[2]
        assert "  task of default, queue brief, priority 7  " in lines[2]
        assert "  task of reports, queue default, after 2999-01-02 " in lines[3]
        assert lines[-1] == "Would move 3 tasks."

    def test_a_second_run_moves_nothing(self, run):
        run()
        before = list(ScheduledJob.objects.order_by("pk").values())
        assert run() == [
            "The tables of django-tasks-db contain no waiting tasks.",
            "Nothing was moved.",
        ]
        assert list(ScheduledJob.objects.order_by("pk").values()) == before

    def test_ended_tasks_stay_and_running_ones_are_named(self, run):
        update("priority = 7", status="SUCCESSFUL")
        update("backend_name = 'reports'", status="RUNNING")
        lines = run()
        assert ScheduledJob.objects.count() == 1
        assert count() == 2
        [reason] = [line for line in lines if "It runs. Let its worker end it." in line]
        assert reason
        assert "1 task cannot be moved." in lines

    def test_a_task_that_a_worker_claims_first_does_not_move(self, run, monkeypatch):
        def claim_first(source, row_id):
            update(status="RUNNING")
            return delete(source, row_id)

        delete = tasks_db._delete
        monkeypatch.setattr(tasks_db, "_delete", claim_first)
        assert run()[-1] == "3 tasks cannot be moved."
        assert not ScheduledJob.objects.exists()
        assert count() == 3

    def test_a_task_stays_if_its_job_cannot_be_written(self, run, monkeypatch):
        def fail(draft):
            raise ZeroDivisionError

        monkeypatch.setattr(tasks_db, "add_draft", fail)
        with pytest.raises(ZeroDivisionError):
            run()
        assert count() == 3


@pytest.mark.usefixtures("waiting")
class TestRefusals:
    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            ({"task_path": "tests.shop.tasks.gone"}, "does not exist"),
            ({"task_path": "tests.shop.jobs.echo"}, "and not a task"),
            ({"task_path": "antigravity.fly"}, "so jobs may not call it"),
            ({"task_path": ""}, "is not a dotted path"),
            ({"args_kwargs": "[]"}, "Its row cannot be read"),
            ({"args_kwargs": '{"args": {}, "kwargs": {}}'}, "not a list and an object"),
        ],
    )
    def test_what_cannot_move_stays_with_a_reason(self, run, values, reason):
        update("priority = 7", **values)
        lines = run()
        start = lines.index("Cannot be carried over:")
        assert re.search(reason, lines[start + 1])
        assert (count(), ScheduledJob.objects.count()) == (1, 2)
        assert "antigravity" not in sys.modules

    def test_a_queue_that_is_not_in_the_settings_is_refused(self, run, settings):
        settings.TASKS = {alias: {"BACKEND": FUTURE} for alias in ("default", "reports")}
        assert any("'brief', which is not in" in line for line in run())
        assert count() == 1

    def test_tasks_move_to_the_only_backend_that_can_take_them(self, run, settings):
        settings.TASKS = {
            "default": {"BACKEND": IMMEDIATE},
            "gone": {"BACKEND": "django_tasks_gone.Backend"},
            "future": {"BACKEND": FUTURE, "QUEUES": []},
        }
        run()
        assert {job.task_backend for job in ScheduledJob.objects.all()} == {"future"}

    def test_a_backend_that_cannot_be_guessed_is_refused(self, run, settings):
        settings.TASKS = {
            "default": {"BACKEND": IMMEDIATE},
            "a": {"BACKEND": FUTURE},
            "b": {"BACKEND": FUTURE},
        }
        assert any("Set the BACKEND of TASKS['reports']" in line for line in run())
        assert count() == 3

    def test_a_project_without_the_backend_is_refused(self, run, settings):
        settings.TASKS = {"default": {"BACKEND": IMMEDIATE}}
        with pytest.raises(CommandError, match="TASKS has no backend"):
            run()


class TestDatabases:
    def test_tasks_move_to_the_database_of_their_backend(self, run, settings, waiting):
        settings.TASKS = {
            alias: {"BACKEND": FUTURE, "QUEUES": [], "OPTIONS": {"DATABASE": "other"}}
            for alias in ("default", "reports")
        }
        run()
        assert ScheduledJob.objects.using("other").count() == 3
        assert count() == 0

    def test_another_database_than_that_of_the_backend_is_refused(self, run, waiting):
        lines = run("--database", "other", "--from", "default")
        assert any("stores its tasks in the database 'default'" in line for line in lines)
        assert count() == 3

    def test_an_interruption_between_two_databases_loses_no_task(
        self, run, settings, waiting, monkeypatch
    ):
        settings.TASKS = {
            alias: {"BACKEND": FUTURE, "QUEUES": [], "OPTIONS": {"DATABASE": "other"}}
            for alias in ("default", "reports")
        }

        def interrupt():
            raise OperationalError("interrupted")

        with monkeypatch.context() as patch:
            patch.setattr(connections["default"], "_commit", interrupt)
            with pytest.raises(OperationalError):
                run()
        assert (count(), ScheduledJob.objects.using("other").count()) == (3, 1)

    def test_a_missing_table_is_an_error(self, run, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(tasks_db, "TABLE", "no_table")
            with pytest.raises(CommandError, match="has no table 'no_table'"):
                run()
