"""The system checks and the validation of settings."""

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


def test_a_correct_project_passes_all_checks(db):
    assert messages(databases=["default"]) == {}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"HEARTBEET": "5s"}, r"no setting 'HEARTBEET'.*\. Did you mean 'HEARTBEAT'\?"),
        ({"retention": {}}, r"no setting 'retention'.* Did you mean 'RETENTION'\?"),
        (
            {"CALLABLE": [], "HEART": "5s"},
            r"'CALLABLE', 'HEART'.* 'CALLABLES'\? Did .* 'HEARTBEAT'",
        ),
        ({5: "5s", "X": 1}, "no setting 'X', 5. Settings: CALLABLES, HEARTBEAT, RECURRING, RET"),
        ("HEARTBEAT", "DJANGO_FUTURE is 'HEARTBEAT'. Give a dictionary"),
        (None, "DJANGO_FUTURE is None. Give a dictionary"),
        ({"HEARTBEAT": "often"}, "'often' is not a duration"),
        ({"HEARTBEAT": 5}, "5 is not a duration"),
        ({"HEARTBEAT": "0s"}, "more than 0"),
        ({"CALLABLES": "library.jobs"}, "Give a list"),
        ({"CALLABLES": [5]}, "Give a list"),
        ({"CALLABLES": None}, "Give a list"),
        ({"RETENTION": "7d"}, "Give a dictionary"),
        ({"RETENTION": {"done": "7d"}}, "names 'done', which is not a final status"),
        ({"RETENTION": {"completed": "7d"}}, r"Did you mean 'complete'\?"),
        ({"RETENTION": {"running": "7d", 5: "7d"}}, "Use one of complete, failed, expired"),
        (
            {"RETENTION": {"failed": "long"}},
            r"\['RETENTION'\]\['failed'\]: 'long' is not a duration",
        ),
        ({"RETENTION": {"complete": "P7D", "failed": 7}}, "7 is not a duration"),
        ({"RETENTION": {"complete": timedelta(-1)}}, "Give 0 or more, or None to keep the jobs"),
    ],
)
def test_the_settings_check_names_a_wrong_setting(settings, given, words):
    settings.DJANGO_FUTURE = given
    assert re.search(words, messages()["django_future.E001"].msg)
    with pytest.raises(ImproperlyConfigured, match=words):
        config()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        (
            "DJANGO_FUTURES",
            "Rename it to DJANGO_FUTURE, whose entries are CALLABLES, HEARTBEAT",
        ),
        ("DJANGO_FUTRE", "Rename it to DJANGO_FUTURE"),
        ("DJANGO_FUTURE_HEART", "Rename it to DJANGO_FUTURE"),
        ("DJANGO_FUTURE_RETENTION", "Give it as an entry: DJANGO_FUTURE = {'RETENTION': ...}."),
    ],
)
def test_the_settings_check_names_a_misspelt_setting(settings, name, hint):
    setattr(settings, name, {})
    found = messages()["django_future.W008"]
    assert found.msg == f"django-future does not read the setting {name}."
    assert found.hint.startswith(hint)


@pytest.mark.parametrize("name", ["DJANGO_FEATURE", "DJANGO_FEATURES", "FUTURE", "django_futures"])
def test_the_settings_check_ignores_settings_of_others(settings, name):
    setattr(settings, name, {})
    assert messages() == {}


@pytest.mark.parametrize("path", ["library", "library.jobs", "tests.shop.jobs.missing"])
def test_the_settings_check_names_a_missing_callable(settings, path):
    settings.DJANGO_FUTURE = {"CALLABLES": [path]}
    assert path in messages()["django_future.E002"].msg


def test_the_settings_check_accepts_listed_modules_and_callables(settings):
    settings.DJANGO_FUTURE = {"CALLABLES": ["json", "json.dumps", "os.path"]}
    assert messages() == {}


@pytest.mark.only_on("postgresql", "mysql", reason="SQLite has one writer at a time anyway")
def test_the_database_check_requires_skip_locked(db, monkeypatch):
    monkeypatch.setattr(connection.features, "has_select_for_update_skip_locked", False)
    assert "SKIP LOCKED" in messages(databases=["default"])["django_future.E003"].msg


@pytest.mark.django_db
@pytest.mark.only_on("sqlite", reason="WAL is a mode of SQLite's journal")
def test_the_database_check_warns_of_sqlite_without_wal(tmp_path, monkeypatch):
    from django.db.backends.sqlite3.base import DatabaseWrapper

    from django_future import checks

    path = tmp_path / "plain.sqlite3"
    sqlite3.connect(path).close()
    other = DatabaseWrapper(connection.settings_dict | {"NAME": path, "OPTIONS": {}}, "plain")
    monkeypatch.setattr(checks, "connections", {"plain": other})
    found = {message.id: message for message in checks.check_databases(["plain"])}
    other.close()
    assert "journal_mode=WAL" in found["django_future.W001"].hint
    assert "has no tables of django-future" in found["django_future.W002"].msg  # an empty file


@pytest.mark.django_db(transaction=True)
class TestTableChecks:
    @pytest.fixture(autouse=True)
    def _without_a_table(self):
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE django_future_jobprogress RENAME TO django_future_moved")
        yield
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE django_future_moved RENAME TO django_future_jobprogress")

    def test_the_table_check_names_missing_tables(self):
        found = messages(databases=["default"])["django_future.W002"]
        assert "lacks the tables django_future_jobprogress" in found.msg
        assert found.hint == "Run `manage.py migrate`."

    def test_the_table_check_runs_only_with_a_database(self):
        assert messages() == {}

    def test_the_table_check_does_not_warn_during_migrate(self, monkeypatch):
        monkeypatch.setattr(sys, "argv", ["manage.py", "migrate"])
        assert messages(databases=["default"]) == {}


def options(monkeypatch, alias="default", **options):
    """Update the OPTIONS of a database."""
    settings = connections[alias].settings_dict
    monkeypatch.setitem(settings, "OPTIONS", settings["OPTIONS"] | options)
    return settings


class TestPoolChecks:
    @pytest.mark.parametrize("pool", [{"max_size": 3}, {"min_size": 2}])
    def test_the_pool_check_names_a_pool_smaller_than_the_default_threads(self, monkeypatch, pool):
        options(monkeypatch, "other", pool=pool)
        assert "'other'" in messages()["django_future.W003"].msg

    @pytest.mark.parametrize("pool", [True, {"max_size": 4}, {"min_size": 1, "max_size": 8}])
    def test_the_pool_check_accepts_a_large_enough_pool(self, monkeypatch, pool):
        options(monkeypatch, "other", pool=pool)
        assert messages() == {}

    def test_the_pool_check_ignores_the_database_of_the_jobs(self, monkeypatch):
        options(monkeypatch, "default", pool={"max_size": 1})
        assert messages() == {}

    def test_a_worker_warns_of_a_pool_smaller_than_its_threads(self, monkeypatch, caplog):
        options(monkeypatch, "other", pool={"max_size": 8})
        warn_of_small_pools("default", 8)
        assert not caplog.records
        warn_of_small_pools("default", 9)
        assert "'other' has 8 connections for handlers in 9 threads" in caplog.text

    def test_a_pool_of_one_connection_is_named_in_the_singular(self, monkeypatch, caplog):
        options(monkeypatch, "other", pool={"max_size": 1})
        assert "'other' has 1 connection, but a worker" in messages()["django_future.W003"].msg
        warn_of_small_pools("default", 4)
        assert "'other' has 1 connection for handlers in 4 threads" in caplog.text


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
    def test_the_mysql_check_names_a_redundant_init_command(self, monkeypatch, command):
        options(monkeypatch, init_command=command)
        assert repr(command) in messages()["django_future.W004"].msg

    def test_the_mysql_check_accepts_other_init_commands(self, monkeypatch):
        options(monkeypatch, init_command="SET NAMES utf8mb4")
        assert messages() == {}

    @pytest.mark.parametrize("level", ["repeatable read", "serializable", None])
    def test_the_mysql_check_names_another_isolation_level(self, monkeypatch, level):
        options(monkeypatch, isolation_level=level)
        assert repr(level) in messages()["django_future.W005"].msg

    def test_the_mysql_check_accepts_read_committed(self, monkeypatch):
        options(monkeypatch, isolation_level="READ COMMITTED")
        assert messages() == {}


@pytest.mark.only_on("sqlite", reason="it is an option of SQLite")
class TestTransactionMode:
    def test_the_sqlite_check_names_immediate_mode_with_atomic_requests(self, monkeypatch):
        monkeypatch.setitem(
            options(monkeypatch, transaction_mode="IMMEDIATE"), "ATOMIC_REQUESTS", True
        )
        assert "each request takes the write lock" in messages()["django_future.W006"].msg

    def test_the_sqlite_check_names_exclusive_mode(self, monkeypatch):
        options(monkeypatch, transaction_mode="EXCLUSIVE")
        assert "blocks all readers" in messages()["django_future.W006"].msg

    @pytest.mark.parametrize("mode", [None, "DEFERRED", "IMMEDIATE"])
    def test_the_sqlite_check_accepts_other_transaction_modes(self, monkeypatch, mode):
        options(monkeypatch, transaction_mode=mode)
        assert messages() == {}


@pytest.mark.django_db
def test_the_migrations_match_the_models():
    call_command("makemigrations", "django_future", check=True, dry_run=True, stdout=io.StringIO())


@pytest.mark.only_on("postgresql", reason="psycopg2 is a driver of PostgreSQL")
class TestPsycopg2:
    @pytest.fixture(autouse=True)
    def _only_psycopg2(self, monkeypatch):
        from django.db.backends.postgresql import psycopg_any

        monkeypatch.setattr(psycopg_any, "is_psycopg3", False)

    def test_the_database_check_refuses_psycopg2(self):
        assert "Install psycopg 3" in messages()["django_future.E004"].hint

    def test_a_worker_does_not_start_with_psycopg2(self):
        with pytest.raises(CommandError, match="Install psycopg 3"):
            call_command("future_worker", "--burst")
