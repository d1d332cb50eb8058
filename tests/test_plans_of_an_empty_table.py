"""Plans that PostgreSQL makes for an empty table, and still uses when the table is full."""

from datetime import timedelta

import pytest
from django.db import connection

from django_future import ScheduledJob, clock
from django_future import schedule_jobs as schedule
from django_future.models import Worker
from django_future.store import EVERYTHING, Selection, store_for
from django_future.testing.travel import stopped_clock
from tests.shop import jobs

pytestmark = [
    pytest.mark.only_on("postgresql", reason="other servers plan each execution"),
    pytest.mark.django_db(transaction=True),
]

COUNT = 2000
WORKER = Worker(name="one")


@pytest.fixture
def store():
    """Return a store with a new session, whose server knows that the table is empty."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM django_future_scheduledjob")
    connection.close()
    return store_for("default")


def scans_of_other_indexes():
    """Return how often indexes were scanned in which the id is not the first column.

    To find one id in them, the server reads all entries.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT PG_STAT_FORCE_NEXT_FLUSH()")
        cursor.execute(
            """
            SELECT SUM(idx_scan) FROM pg_stat_user_indexes WHERE indexrelname IN
            ('future_job_status', 'future_job_handler', 'future_job_queue_id')
            """
        )
        (count,) = cursor.fetchone()
    return count


def claimed(store, selection=EVERYTHING):
    return store.claim(WORKER, selection, at=store.now(), limit=COUNT)


def ended(claimed_jobs):
    for job in claimed_jobs:
        job.finished_at, job.__dict__["return_value"] = job.started_at, None
    return claimed_jobs


@pytest.mark.parametrize(
    "selection",
    [EVERYTHING, Selection(queues=("default", "mail")), Selection(excluded_queues=("mail",))],
    ids=["all queues", "some queues", "other queues"],
)
def test_a_claim_finds_its_jobs_by_their_location(store, selection):
    assert claimed(store, selection) == []
    schedule([{"when": "0s", "callable": jobs.echo}] * COUNT)
    before = scans_of_other_indexes()
    assert len(claimed(store, selection)) == COUNT
    assert scans_of_other_indexes() == before


def test_expired_jobs_are_found_by_their_location(store):
    assert store.expire(store.now()) == []
    with stopped_clock(clock.now() - timedelta(hours=2)):
        schedule([{"when": "0s", "callable": jobs.echo, "expires": "1h"}] * COUNT)
    before = scans_of_other_indexes()
    assert store.expire(store.now())
    assert scans_of_other_indexes() == before


def test_completions_find_their_jobs_by_the_primary_key(store):
    now = clock.to_row(store.now())
    gone = ScheduledJob(pk=1, lease=1, worker="one", started_at=now)
    store.finish_all(ended([gone]))
    schedule([{"when": "0s", "callable": jobs.echo}] * COUNT)
    found = ended(claimed(store))
    before = scans_of_other_indexes()
    assert store.finish_all(found) == []
    assert scans_of_other_indexes() == before
