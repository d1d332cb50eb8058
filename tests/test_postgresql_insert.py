"""The INSERT of a job on PostgreSQL, which a reused connection prepares."""

import pytest
from django.db import DataError, connection, transaction
from django.test.utils import CaptureQueriesContext

from django_future import ScheduledJob, clock, schedule_job
from django_future.models import Worker
from django_future.store import store_for
from django_future.store.postgresql.insert import INSERTS_BEFORE_PREPARED
from tests.shop import jobs

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.only_on("postgresql", reason="only PostgreSQL prepares the INSERT"),
]


@pytest.fixture(autouse=True)
def session():
    """Give each test a new connection."""
    connection.close()
    yield
    connection.close()


def schedule(value=None):
    """Schedule a job for a time that needs no NOTIFY."""
    return schedule_job("1d", jobs.echo, args=[value])


def statements_of(act):
    """Return the first word of each statement that `act` sends."""
    with CaptureQueriesContext(connection) as queries:
        act()
    return [query["sql"].split()[0] for query in queries]


def prepare():
    for _ in range(INSERTS_BEFORE_PREPARED + 1):
        schedule()


def test_a_connection_that_inserts_few_jobs_prepares_nothing():
    for _ in range(INSERTS_BEFORE_PREPARED):
        assert statements_of(schedule) == ["INSERT"]


def test_a_connection_that_inserts_more_executes_what_it_has_prepared():
    prepare()
    assert statements_of(schedule) == ["EXECUTE"]


def test_a_prepared_insert_writes_the_same_row(order):
    def add():
        text = "50 % of \\ 'it', \t\n \"ü\" \N{SNOWMAN}"
        options = {"queue_name": "l'été", "priority": -3, "max_attempts": 4, "rescue": False}
        job = schedule_job("1d", "remind", order, kwargs={"times": text}, **options)
        row = ScheduledJob.objects.filter(pk=job.pk).values().get()
        changing = ("id", "created_at", "scheduled_at", "expires_at", "signature")
        return {name: value for name, value in row.items() if name not in changing}

    plain = add()
    prepare()
    assert add() == plain
    assert plain["queue_name"] == "l'été"


def test_inside_a_transaction_no_prepared_insert_is_used():
    prepare()
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("DEALLOCATE ALL")
        job = schedule()
    assert ScheduledJob.objects.filter(pk=job.pk).exists()


def test_a_deallocated_insert_is_prepared_again():
    prepare()
    with connection.cursor() as cursor:
        cursor.execute("DISCARD ALL")
    first, second = schedule(), schedule()
    assert ScheduledJob.objects.filter(pk__in=[first.pk, second.pk]).count() == 2
    assert statements_of(schedule) == ["EXECUTE"]


def test_a_text_with_nul_is_refused_by_the_insert():
    job = schedule()
    job.pk, job.queue_name = None, "red\0blue"
    with pytest.raises(DataError, match="NUL"):
        store_for("default").add([job])


def test_an_execute_wrapper_receives_the_statements_of_a_claim():
    schedule_job("0s", jobs.echo)
    seen = []

    def note(execute, sql, *query):
        seen.append(sql)
        return execute(sql, *query)

    with connection.execute_wrapper(note):
        claimed = store_for("default").claim(Worker(name="any"), at=clock.now(), limit=1)
    assert len(claimed) == 1
    assert any("plan_cache_mode" in sql for sql in seen)
