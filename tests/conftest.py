"""Fixtures for all tests."""

import os
import signal

import pytest
from django.db import connection

from tests.support.flush import use_fast_flush
from tests.support.processes import launch_worker, stop_at_once
from tests.support.waiting import eventually

pytest_plugins = ["pytester"]


def pytest_configure(config):
    """Handle SIGINT: a shell lets its background jobs and their children ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    use_fast_flush()


def pytest_report_header(config):
    """Return a header line that names the database."""
    return f"database: {os.environ.get('DATABASE_URL', 'sqlite:///').partition(':')[0]}"


def pytest_collection_modifyitems(items):
    """Skip tests whose `only_on` mark does not name this database, with the reason of the mark."""
    for item in items:
        for mark in item.iter_markers("only_on"):
            if connection.vendor not in mark.args:
                item.add_marker(pytest.mark.skip(reason=mark.kwargs["reason"]))


@pytest.fixture
def trace_texts(db):
    """Return a function that lists the texts of the traces that handlers have written."""
    from tests.shop.models import Trace

    return lambda: list(Trace.objects.order_by("pk").values_list("text", flat=True))


@pytest.fixture
def start_worker():
    """Return a function that starts a worker process and waits until it is registered."""
    from django_future.models import Worker

    processes = []

    def start_and_wait(*options, **environment):
        before = set(Worker.objects.values_list("pk", flat=True))
        process = launch_worker(*options, **environment)
        processes.append(process)
        eventually(lambda: process.poll() is not None or Worker.objects.exclude(pk__in=before))
        return process

    yield start_and_wait
    for process in processes:
        eventually(lambda: stop_at_once(process))  # noqa: B023


@pytest.fixture
def order(db):
    """Return a saved order."""
    from tests.shop.models import Order

    return Order.objects.create(number="A1")


@pytest.fixture
def login(client, db):
    """Return a function that logs in a staff user with the given permissions."""
    from django.contrib.auth.models import Permission, User

    def log_in(*permissions):
        user = User.objects.create_user("operator", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def vendor():
    """Return the vendor of the database."""
    return connection.vendor


@pytest.fixture
def hold_file(tmp_path):
    """Return the path of a file that exists while the job `hold` runs."""
    path = tmp_path / "held"
    yield path
    path.unlink(missing_ok=True)
