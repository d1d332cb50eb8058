"""The system checks, and what the settings accept."""

import io
import re
import sqlite3
import sys
from datetime import timedelta

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection, connections

from django_future.conf import config
from django_future.worker.journal import warn_of_small_pools


def messages(**options):
    return {message.id: message for message in run_checks(**options)}


def test_a_sound_project_hears_nothing(db):
    assert messages(databases=["default"]) == {}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"HEARTBEET": "5s"}, "no setting 'HEARTBEET'"),
        ({"HEARTBEAT": "often"}, "'often' is not a duration"),
        ({"HEARTBEAT": 5}, "5 is not a duration"),
        ({"HEARTBEAT": "0s"}, "more than 0"),
        ({"CALLABLES": "library.jobs"}, "Give a list"),
        ({"CALLABLES": [5]}, "Give a list"),
        ({"RETENTION": "7d"}, "Give a dictionary"),
        ({"RETENTION": {"done": "7d"}}, "names 'done', as which no job ends"),
        ({"RETENTION": {"running": "7d", 5: "7d"}}, "Name some of complete, failed, expired"),
        (
            {"RETENTION": {"failed": "long"}},
            r"\['RETENTION'\]\['failed'\]: 'long' is not a duration",
        ),
        ({"RETENTION": {"complete": "P7D", "failed": 7}}, "7 is not a duration"),
        ({"RETENTION": {"complete": timedelta(-1)}}, "Give 0 or more, or None for ever"),
    ],
)
def test_a_wrong_setting_is_named(settings, given, words):
    settings.DJANGO_FUTURE = given
    assert re.search(words, messages()["django_future.E001"].msg)
    with pytest.raises(ImproperlyConfigured, match=words):
        config()


@pytest.mark.parametrize("path", ["library", "library.jobs", "tests.shop.jobs.missing"])
def test_a_listed_callable_that_is_not_there_is_named(settings, path):
    settings.DJANGO_FUTURE = {"CALLABLES": [path]}
    assert path in messages()["django_future.E002"].msg


def test_listed_modules_and_callables_are_fine(settings):
    settings.DJANGO_FUTURE = {"CALLABLES": ["json", "json.dumps", "os.path"]}
    assert messages() == {}


@pytest.mark.only_on("postgresql", "mysql", reason="SQLite has one writer at a time anyway")
def test_a_database_without_skip_locked_is_named(db, monkeypatch):
    monkeypatch.setattr(connection.features, "has_select_for_update_skip_locked", False)
    assert "SKIP LOCKED" in messages(databases=["default"])["django_future.E003"].msg


@pytest.mark.django_db
@pytest.mark.only_on("sqlite", reason="WAL is a mode of SQLite's journal")
def test_sqlite_without_wal_is_told(tmp_path, monkeypatch):
    from django.db.backends.sqlite3.base import DatabaseWrapper

    from django_future import checks

    path = tmp_path / "plain.sqlite3"
    sqlite3.connect(path).close()
    other = DatabaseWrapper(connection.settings_dict | {"NAME": path, "OPTIONS": {}}, "plain")
    monkeypatch.setattr(checks, "connections", {"plain": other})
    found = {message.id: message for message in checks.check_databases(["plain"])}
    other.close()
    assert "journal_mode=WAL" in found["django_future.W001"].notify
    assert "has no tables of django-future" in found["django_future.W002"].msg  # an empty file


@pytest.mark.django_db(transaction=True)
class TestTables:
    @pytest.fixture(autouse=True)
    def _without_a_table(self):
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE django_future_jobprogress RENAME TO django_future_moved")
        yield
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE django_future_moved RENAME TO django_future_jobprogress")

    def test_that_are_missing_are_named(self):
        found = messages(databases=["default"])["django_future.W002"]
        assert "lacks the tables django_future_jobprogress" in found.msg
        assert found.notify == "Run `manage.py migrate`."

    def test_are_not_asked_for_without_a_database(self):
        assert messages() == {}

    def test_are_not_missed_by_the_command_that_creates_them(self, monkeypatch):
        monkeypatch.setattr(sys, "argv", ["manage.py", "migrate"])
        assert messages(databases=["default"]) == {}


def options(monkeypatch, alias="default", **options):
    """Add to the OPTIONS of a database."""
    settings = connections[alias].settings_dict
    monkeypatch.setitem(settings, "OPTIONS", settings["OPTIONS"] | options)
    return settings


class TestPools:
    @pytest.mark.parametrize("pool", [{"max_size": 3}, {"min_size": 2}])
    def test_that_lend_fewer_connections_than_there_are_threads_are_named(self, monkeypatch, pool):
        options(monkeypatch, "other", pool=pool)
        assert "'other'" in messages()["django_future.W003"].msg

    @pytest.mark.parametrize("pool", [True, {"max_size": 4}, {"min_size": 1, "max_size": 8}])
    def test_that_lend_enough_are_fine(self, monkeypatch, pool):
        options(monkeypatch, "other", pool=pool)
        assert messages() == {}

    def test_of_the_jobs_own_database_do_not_matter(self, monkeypatch):
        options(monkeypatch, "default", pool={"max_size": 1})
        assert messages() == {}

    def test_are_held_against_the_threads_of_a_worker(self, monkeypatch, caplog):
        options(monkeypatch, "other", pool={"max_size": 8})
        warn_of_small_pools("default", 8)
        assert not caplog.records
        warn_of_small_pools("default", 9)
        assert "'other' lends 8 connections to handlers in 9 threads" in caplog.text


@pytest.mark.only_on("mysql", reason="it is about the options of MySQL's drivers")
class TestMySQLOptions:
    @pytest.mark.parametrize(
        "command",
        [
            "SET sql_mode='STRICT_TRANS_TABLES'",
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
            "SET default_storage_engine=INNODB",
        ],
    )
    def test_a_costly_init_command_is_named(self, monkeypatch, command):
        options(monkeypatch, init_command=command)
        assert repr(command) in messages()["django_future.W004"].msg

    def test_another_init_command_is_fine(self, monkeypatch):
        options(monkeypatch, init_command="SET NAMES utf8mb4")
        assert messages() == {}

    @pytest.mark.parametrize("level", ["repeatable read", "serializable", None])
    def test_another_isolation_level_is_named(self, monkeypatch, level):
        options(monkeypatch, isolation_level=level)
        assert repr(level) in messages()["django_future.W005"].msg

    def test_read_committed_is_fine(self, monkeypatch):
        options(monkeypatch, isolation_level="READ COMMITTED")
        assert messages() == {}


@pytest.mark.only_on("sqlite", reason="it is an option of SQLite")
class TestTransactionMode:
    def test_that_locks_for_each_request_is_named(self, monkeypatch):
        monkeypatch.setitem(
            options(monkeypatch, transaction_mode="IMMEDIATE"), "ATOMIC_REQUESTS", True
        )
        assert "each request holds the write lock" in messages()["django_future.W006"].msg

    def test_that_keeps_others_from_reading_is_named(self, monkeypatch):
        options(monkeypatch, transaction_mode="EXCLUSIVE")
        assert "keeps all others from reading" in messages()["django_future.W006"].msg

    @pytest.mark.parametrize("mode", [None, "DEFERRED", "IMMEDIATE"])
    def test_that_costs_nothing_is_fine(self, monkeypatch, mode):
        options(monkeypatch, transaction_mode=mode)
        assert messages() == {}


@pytest.mark.django_db
def test_no_migration_is_missing():
    call_command("makemigrations", "django_future", check=True, dry_run=True, stdout=io.StringIO())


@pytest.mark.only_on("postgresql", reason="psycopg2 is a driver of PostgreSQL")
class TestPsycopg2:
    @pytest.fixture(autouse=True)
    def _only_psycopg2(self, monkeypatch):
        from django.db.backends.postgresql import psycopg_any

        monkeypatch.setattr(psycopg_any, "is_psycopg3", False)

    def test_is_an_error(self):
        assert "Install psycopg 3" in messages()["django_future.E004"].notify

    def test_keeps_a_worker_from_starting(self):
        with pytest.raises(CommandError, match="Install psycopg 3"):
            call_command("future_worker", "--burst")
