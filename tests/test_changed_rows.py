"""Rows that a rival changes while a claim on PostgreSQL looks for them."""

from contextlib import contextmanager
from threading import Thread

import pytest
from django.db import connection, connections

from django_future import ScheduledJob, clock, schedule_job
from django_future.models import Worker
from django_future.store import store_for
from tests.shop import jobs
from tests.support.waiting import eventually, has_ended

pytestmark = [
    pytest.mark.only_on("postgresql", reason="other databases claim by primary key"),
    pytest.mark.django_db(transaction=True),
]

LOCK = 8128
PAUSED = "django_future_pausedqueue"
# The claim reads this view after its snapshot was taken, and before it locks rows.
WAITING_VIEW = f"""
    ALTER TABLE {PAUSED} RENAME TO paused;
    CREATE VIEW {PAUSED} AS
    SELECT paused.* FROM (SELECT PG_ADVISORY_XACT_LOCK_SHARED({LOCK}) OFFSET 0) AS wait
    LEFT JOIN paused ON TRUE WHERE paused IS NOT NULL
"""


def run_sql(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone() if cursor.description else None


@contextmanager
def claims_that_wait():
    """Let a claim wait for the end of this block before it locks rows."""
    run_sql(f"SELECT PG_ADVISORY_LOCK({LOCK})")
    try:
        yield
    finally:
        run_sql(f"SELECT PG_ADVISORY_UNLOCK({LOCK})")


@pytest.fixture
def waiting_view():
    run_sql(WAITING_VIEW)
    yield
    run_sql(f"DROP VIEW {PAUSED}; ALTER TABLE paused RENAME TO {PAUSED}")


def is_claim_waiting():
    return run_sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")


def test_a_claim_is_not_empty_because_a_rival_has_just_changed_its_job(waiting_view):
    job = schedule_job("0s", jobs.echo)
    claimed = []

    def claim():
        try:
            claimed.extend(store_for("default").claim(Worker(name="one"), at=clock.now(), limit=1))
        finally:
            connections.close_all()

    with claims_that_wait():
        thread = Thread(target=claim)
        thread.start()
        eventually(is_claim_waiting)
        ScheduledJob.objects.filter(pk=job.pk).update(max_attempts=7)
    assert has_ended(thread)
    assert [(one.pk, one.max_attempts) for one in claimed] == [(job.pk, 7)]
