"""The limit on NOTIFY: only notifications that reach the workers count."""

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from django_future import schedule_job, schedule_jobs
from django_future.store import store_for
from django_future.store.postgresql.notify import NotifyLimiter
from tests.shop import jobs

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.only_on("postgresql", reason="only PostgreSQL has NOTIFY"),
]


@pytest.fixture(autouse=True)
def notify_limiter(monkeypatch):
    """Start each test without a sent notification, with an interval longer than the test."""
    monkeypatch.setattr("django_future.store.postgresql.notify.MIN_NOTIFY_INTERVAL_SECONDS", 60.0)
    monkeypatch.setattr(store_for("default"), "_notify_limiter", NotifyLimiter())


def notifications_of(act):
    """Return how many notifications `act` sends."""
    with CaptureQueriesContext(connection) as queries:
        act()
    statements = [query["sql"].upper() for query in queries]
    return sum("NOTIFY" in sql and not sql.startswith("PREPARE") for sql in statements)


def schedule():
    schedule_job("0s", jobs.trace)


def refuse(*_):
    raise DatabaseError("refused")


def test_two_jobs_at_once_send_one_notification():
    assert notifications_of(lambda: (schedule(), schedule())) == 1


def test_a_notification_of_a_failed_insert_does_not_count():
    with connection.execute_wrapper(refuse), pytest.raises(DatabaseError):
        schedule()
    assert notifications_of(schedule) == 1


def test_a_notification_of_a_rolled_back_transaction_does_not_count():
    store = store_for("default")
    with transaction.atomic():
        store.notify()
        transaction.set_rollback(True)
    assert notifications_of(schedule) == 1


def test_a_notification_without_autocommit_does_not_count():
    connection.set_autocommit(False)
    try:
        assert notifications_of(schedule) == 1
        assert (
            notifications_of(lambda: schedule_jobs([{"when": "0s", "callable": jobs.trace}] * 2))
            == 1
        )
        connection.rollback()
    finally:
        connection.set_autocommit(True)
    assert notifications_of(schedule) == 1
