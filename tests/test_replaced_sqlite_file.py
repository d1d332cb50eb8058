"""A SQLite file that is deleted or replaced while a worker uses it."""

import os
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
from django.db import connection

from django_future.exceptions import DatabaseReplaced
from django_future.store import store_for
from tests.settings import SCRATCH
from tests.support.processes import launch_worker
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.only_on("sqlite", reason="other databases are servers"),
]


@pytest.fixture
def watched():
    """Return the calls and the errors of a thread that listens for changes of the database."""
    stopped, calls, errors = Event(), [], []

    def watch():
        try:
            store_for("default").listen(lambda: calls.append(1), stopped)
        except DatabaseReplaced as error:
            errors.append(error)
        finally:
            connection.close()

    thread = Thread(target=watch)
    thread.start()
    eventually(lambda: calls)
    yield calls, errors
    stopped.set()
    thread.join()


@contextmanager
def moved_away():
    """Move the database file away inside the block."""
    path = Path(connection.settings_dict["NAME"])
    away = path.with_suffix(".away")
    path.rename(away)
    try:
        yield path
    finally:
        away.replace(path)


def test_a_replaced_sqlite_file_is_noticed(watched):
    _, errors = watched
    with moved_away() as path:
        path.touch()
        eventually(lambda: errors)
    assert "'default' was deleted or replaced" in str(errors[0])


def test_a_deleted_sqlite_file_is_noticed(watched):
    _, errors = watched
    with moved_away():
        eventually(lambda: errors)


def test_a_vacuum_does_not_count_as_a_replaced_file(watched):
    calls, errors = watched
    for _ in range(2):
        calls.clear()
        with connection.cursor() as cursor:
            cursor.execute("VACUUM")
        eventually(lambda: calls)
    assert not errors


@pytest.fixture
def other_file():
    """Return the path of a copy of the database, and the TEST_RUN that uses it."""
    run = f"{os.environ['TEST_RUN']}_copy"
    path = SCRATCH / f"test_future_{run}.sqlite3"
    with connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(path)])
    yield path, run
    for left in SCRATCH.glob(f"{path.name}*"):
        left.unlink()


@pytest.mark.slow
def test_a_worker_whose_sqlite_file_is_deleted_exits_with_75(other_file):
    path, run = other_file
    process = launch_worker(TEST_RUN=run, HEARTBEAT="0.4s")
    try:
        eventually(lambda: _seen_at(path))
        first = _seen_at(path)
        eventually(lambda: _seen_at(path) != first)  # from now on it watches the file
        path.unlink()
        assert process.wait(timeout=20) == 75
    finally:
        process.kill()


def _seen_at(path):
    with closing(sqlite3.connect(path)) as copy:
        return copy.execute("SELECT seen_at FROM django_future_worker").fetchall()
