"""What a claim costs beside a million jobs that wait: as much as it takes."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from benchmarks.project.fill import copy_of
from django_future import ScheduledJob, clock, pause_queue, schedule_job, schedule_jobs
from django_future.models import Worker
from django_future.store import EVERYTHING, Selection, store_for
from django_future.worker.choice import Choice
from tests.shop import jobs

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

WAITING = 1_000_000
PAUSED = 100_000
DUE = 2_000
TAKEN = 100
BATCH = 100  # entries by which the estimate may be out, the first of each priority included
INSTRUCTIONS = 400  # of SQLite's machine, that one row of a claim may take


def test_a_claim_reads_as_many_entries_as_it_takes(crowd, vendor):
    store = store_for("default")
    for selection in (EVERYTHING, Selection(queues=("queue-3", "queue-7"))):
        assert READ[vendor](store, selection) <= TAKEN + BATCH, selection


def test_a_claim_reads_nothing_of_a_queue_that_its_worker_believes_paused(vendor):
    store = store_for("default")
    copy_of(schedule_job("700d", jobs.echo), PAUSED)
    ScheduledJob.objects.update(
        queue_name="mail", priority=1, scheduled_at=clock.to_row(clock.now()), expires_at=None
    )
    schedule_jobs([{"when": "0s", "callable": jobs.echo, "queue_name": "reports"}] * DUE)
    pause_queue("mail")
    selection = Choice(store, EVERYTHING).selection(set())
    assert READ[vendor](store, selection) <= TAKEN + BATCH


@pytest.fixture
def crowd():
    """Let a million jobs wait in five priorities and ten queues, and some be due in each."""
    copy_of(schedule_job("700d", jobs.echo), WAITING)
    schedule_jobs(
        {
            "when": timedelta(seconds=-number),
            "callable": jobs.echo,
            "priority": number % 5 - 2,
            "queue_name": f"queue-{number % 10}",
        }
        for number in range(DUE)
    )


def claim(store, selection):
    assert len(store.claim(Worker(name="one"), selection, at=clock.now(), limit=TAKEN)) == TAKEN


def read_on_postgresql(store, selection):
    """Return how many entries a second claim reads in the indexes of what is scheduled."""
    with CaptureQueriesContext(connection) as queries:
        claim(store, selection)
    settings, execute, call = queries[-1]["sql"].partition("EXECUTE ")
    with connection.cursor() as cursor:
        cursor.execute(f"{settings} EXPLAIN (ANALYZE, FORMAT JSON) {execute}{call}")
        while cursor.nextset():
            pass
        [(plans,)] = cursor.fetchall()
    plans = json.loads(plans) if isinstance(plans, str) else plans
    return sum(entries(node) for node in nodes(plans[0]["Plan"]))


def nodes(plan):
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


def entries(node):
    if not node.get("Index Name", "").startswith("future_job"):
        assert node["Node Type"] != "Seq Scan", node
        return 0
    each = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return each * node["Actual Loops"]


def read_on_mysql(store, selection):
    """Return how many entries a claim reads one after the other, in whichever index."""
    before = steps_on_mysql()
    claim(store, selection)
    return steps_on_mysql() - before


def steps_on_mysql():
    with connection.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
        counts = dict(cursor.fetchall())
    names = ("next", "prev", "rnd_next")
    return sum(int(counts[f"Handler_read_{name}"]) for name in names)


def read_on_sqlite(store, selection):
    """Return for how many entries a claim's instructions are enough."""
    instructions = 0

    def count():
        nonlocal instructions
        instructions += 100
        return 0

    connection.connection.set_progress_handler(count, 100)
    try:
        claim(store, selection)
    finally:
        connection.connection.set_progress_handler(None, 0)
    return instructions / INSTRUCTIONS


READ = {"postgresql": read_on_postgresql, "mysql": read_on_mysql, "sqlite": read_on_sqlite}
