"""The system checks, and what the settings accept."""

import io
import re
import sqlite3
from datetime import timedelta

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection

from django_future.conf import config


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
        ({"KEEP": "7d"}, "Give a dictionary"),
        ({"KEEP": {"done": "7d"}}, "names 'done', as which no job ends"),
        ({"KEEP": {"running": "7d", 5: "7d"}}, "Name some of complete, failed, expired"),
        ({"KEEP": {"failed": "long"}}, r"\['KEEP'\]\['failed'\]: 'long' is not a duration"),
        ({"KEEP": {"complete": "P7D", "failed": 7}}, "7 is not a duration"),
        ({"KEEP": {"complete": timedelta(-1)}}, "Give 0 or more, or None for ever"),
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
    [message] = checks.check_databases(["plain"])
    other.close()
    assert message.id == "django_future.W001"
    assert "journal_mode=WAL" in message.hint


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
        assert "Install psycopg 3" in messages()["django_future.E004"].hint

    def test_keeps_a_worker_from_starting(self):
        with pytest.raises(CommandError, match="Install psycopg 3"):
            call_command("future_worker", "--burst")
