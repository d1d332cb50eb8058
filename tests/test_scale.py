"""The index entries that claims and housekeeping read among a million jobs."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from benchmarks.project.fill import copy_of
from benchmarks.shape import Shape
from django_future import ScheduledJob, clock, pause_queue, resume_queue, schedule_job
from django_future import schedule_jobs as schedule
from django_future.admin.changelist import IdPaginator
from django_future.admin.job_list import search
from django_future.admin.job_list.id_order import newest_first
from django_future.models import Worker
from django_future.overview import overview
from django_future.status import Status
from django_future.store import EVERYTHING, Selection, retention, store_for
from django_future.store.backlog import MAX_COUNTED, MAX_PRIORITIES, MAX_QUEUES
from django_future.store.postgresql.prepared import PLAN_SETTINGS
from django_future.worker.queue_selector import QueueSelector
from tests.shop import jobs
from tests.support.index_reads import count_entries_read

pytestmark = pytest.mark.slow

MILLION, FEWER = 1_000_000, 100_000  # jobs: half of them wait, half have ended
DUE = 20_000
TAKEN = 100
SLACK = 500  # entries: the tolerance, including those just claimed
ENTRIES_PER_PRIORITY = 6  # entries: to find a priority, and to see that it has no due jobs
ENTRIES_TO_FIND_QUEUES = 1_100  # entries, to find jobs of some queues among many queues

SHAPES = [
    (Shape(), MILLION),
    (Shape(statistics="fresh"), FEWER),
    (Shape(priorities=200), FEWER),
    (Shape(queues=1000), FEWER),
    (Shape(queues=1000, priorities=200), FEWER),
    (Shape(queues=1000, priorities=200, statistics="fresh"), FEWER),
]


@pytest.fixture(scope="module", params=SHAPES, ids=lambda param: str(param[0]))
def shape(request, django_db_setup, django_db_blocker):
    """Fill the table with jobs of one shape, some of them due, for all its tests."""
    shape, others = request.param
    with django_db_blocker.unblock():
        _set_autovacuum("off")
        # The server must not plan for an empty table after it is filled.
        for state in ("waiting", "finished"):
            copy_of(_model(), others // 2, state, shape)
        schedule(
            {"when": timedelta(seconds=-number), "callable": jobs.echo, **shape.options(number)}
            for number in range(DUE)
        )
        yield shape
        _set_autovacuum("on")
        call_command("flush", verbosity=0, interactive=False)


def _model():
    [*found] = ScheduledJob.objects.filter(scheduled_at__gt=clock.now() + timedelta(days=500))[:1]
    return found[0] if found else schedule_job("700d", jobs.echo)


def _set_autovacuum(switch):
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                f"ALTER TABLE django_future_scheduledjob SET (autovacuum_enabled = {switch})"
            )


@pytest.fixture
def store(shape):
    """Return the store of the filled table, after one claim."""
    store = store_for("default")
    claim(store, EVERYTHING)
    return store


def claim(store, selection):
    assert len(store.claim(Worker(name="one"), selection, at=store.now(), limit=TAKEN)) == TAKEN


def dead_entries():
    """Return the maximum number of dead entries of earlier claims, which are read twice.

    When the server removes them depends on its other sessions.
    """
    return 2 * ScheduledJob.objects.filter(worker="one").count()


def some_queues(shape):
    names = [str(shape.options(number).get("queue_name")) for number in (3, 7)]
    return Selection(queues=tuple(dict.fromkeys(names)))


def most_queues(shape):
    names = dict.fromkeys(str(shape.options(number)["queue_name"]) for number in range(900))
    return Selection(queues=tuple(names))


def test_a_claim_reads_only_the_entries_that_it_takes(store, shape):
    most = TAKEN + SLACK + ENTRIES_PER_PRIORITY * shape.priorities
    assert count_entries_read(lambda: claim(store, EVERYTHING)) <= most


def test_a_claim_of_some_queues_reads_only_the_entries_that_it_finds(store, shape):
    selection, worker = some_queues(shape), Worker(name="one")
    found = []
    read = count_entries_read(
        lambda: found.extend(store.claim(worker, selection, at=store.now(), limit=TAKEN))
    )
    assert found
    due_query = shape.priorities * (1 + len(selection.queues))
    assert read <= 2 * (len(found) + SLACK) + 2 * ENTRIES_PER_PRIORITY * due_query


def test_next_due_reads_the_first_entry_of_each_priority(store, shape):
    most = TAKEN + SLACK + ENTRIES_PER_PRIORITY * shape.priorities  # including those just claimed
    assert count_entries_read(store.next_due) <= most


@pytest.mark.only_on("postgresql", reason="other databases use separate statements for each queue")
def test_claims_of_a_thousand_queues_read_by_priority_and_not_by_queue(store, shape):
    if shape.queues == 1:
        pytest.skip("there is one queue")
    selection = most_queues(shape)
    most = TAKEN + ENTRIES_TO_FIND_QUEUES + ENTRIES_PER_PRIORITY * shape.priorities
    assert count_entries_read(lambda: claim(store, selection)) <= 2 * most + dead_entries()
    assert count_entries_read(lambda: store.next_due(selection)) <= most + dead_entries()


@pytest.mark.only_on("postgresql", reason="other databases use separate statements for each queue")
def test_next_due_skips_the_backlog_of_other_queues(store, shape):
    if shape.queues == 1:
        pytest.skip("there is one queue")
    selection = Selection(excluded_queues=("queue-1",))
    most = TAKEN + ENTRIES_TO_FIND_QUEUES + ENTRIES_PER_PRIORITY * shape.priorities
    assert count_entries_read(lambda: claim(store, selection)) <= 2 * most + dead_entries()
    assert count_entries_read(lambda: store.next_due(selection)) <= most + dead_entries()


def test_a_claim_reads_little_of_the_backlog_of_a_paused_queue(store, shape):
    if shape.queues > 1 or shape.priorities > 1:
        pytest.skip("the paused queue must be the only one")
    pause_queue("default")
    try:
        waiting = {"when": timedelta(hours=-1), "callable": jobs.echo, "queue_name": "reports"}
        schedule([waiting] * 2 * TAKEN)
        selection = QueueSelector(store, EVERYTHING).selection(set())
        assert count_entries_read(lambda: claim(store, selection)) <= DUE / 4
    finally:
        resume_queue("default")


def test_an_overview_reads_only_what_it_counts(store, shape):
    found = []
    read = count_entries_read(lambda: found.append(overview(store)))
    backlogs = [queue.backlog for queue in found[0].queues]
    counted = sum(backlog.waiting + backlog.due for backlog in backlogs)
    counted += 2 * found[0].running.number  # all together, and for each worker
    counted += MAX_COUNTED  # due jobs, whose handlers may be unknown
    due_query = len(backlogs) * min(shape.priorities, MAX_PRIORITIES + 1)
    assert len(backlogs) >= min(shape.queues, MAX_QUEUES)
    # MariaDB reads counted entries twice: from the index and from a temporary table.
    assert read <= 2 * counted + 2 * ENTRIES_PER_PRIORITY * due_query + TAKEN + SLACK


@pytest.mark.parametrize("condition", ["queue", "handler", "search", "status"])
def test_a_list_of_few_jobs_reads_only_these(store, condition):
    few = [schedule_job("1h", jobs.trace, queue_name="few").pk for _ in range(3)]
    ScheduledJob.objects.filter(pk__in=few).update(status=Status.CANCELLED)
    try:
        newest = ScheduledJob.objects.order_by("-pk")
        found = {
            "queue": newest.filter(queue_name__by_index="few"),
            "handler": newest.filter(callable_name__by_index="tests.shop.jobs.trace"),
            "search": search.found(newest, "jobs.tra"),
            "status": newest.filter(status__by_index=Status.CANCELLED),
        }[condition]
        paginator = IdPaginator(found, 50, order=newest_first(found), start=0, length=50)
        read = count_entries_read(lambda: paginator.count, of_primary_key=True)
        assert paginator.ids(0, 50) == few[::-1]
        assert read <= SLACK
    finally:
        ScheduledJob.objects.filter(pk__in=few).delete()


def test_expiring_reads_nothing_if_nothing_has_expired(store):
    assert count_entries_read(lambda: store.expire(store.now())) <= SLACK


def test_pruning_reads_nothing_if_nothing_is_old(store):
    ended_before = store.now() - timedelta(days=5 * 365)
    read = count_entries_read(lambda: [*retention.prune(store, Status.COMPLETE, ended_before)])
    assert read <= SLACK


def test_pruning_reads_only_what_it_deletes(store):
    steps = retention.prune(store, Status.COMPLETE, store.now())
    deleted = []
    read = count_entries_read(lambda: deleted.append(next(steps)))
    assert read <= 5 * deleted[0] + SLACK


def test_claims_after_many_claims_read_no_more(store, shape):
    if shape.priorities > 1:
        pytest.skip("when the server removes dead entries depends on its other sessions")
    worker = Worker(name="one")
    for _ in range(5):
        store.finish_all(_ended(store.claim(worker, at=store.now(), limit=1000)))
    most = TAKEN + SLACK + ENTRIES_PER_PRIORITY * shape.priorities
    # On PostgreSQL, one claim per second rereads claimed entries, to find jobs added there.
    assert min(count_entries_read(lambda: claim(store, EVERYTHING)) for _ in range(2)) <= most


def _ended(claimed):
    for job in claimed:
        job.finished_at, job.__dict__["return_value"] = job.started_at, None
    return claimed


@pytest.mark.only_on("postgresql", reason="only its planner chooses by statistics alone")
@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ({"callable_name__by_index": "tests.shop.jobs.echo"}, "future_job_handler"),
        ({"queue_name__by_index": "default"}, "future_job_queue_id"),
        ({"status__by_index": Status.SCHEDULED}, "future_job_status"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.django_db(transaction=True)
def test_a_list_by_name_uses_its_index_though_all_jobs_seem_to_match(condition, index):
    schedule([{"when": "1h", "callable": jobs.echo}] * 100)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE django_future_scheduledjob")
    found = ScheduledJob.objects.order_by("-pk").filter(**condition)
    paginator = IdPaginator(found, 50, order=newest_first(found), start=0, length=50)
    with CaptureQueriesContext(connection) as captured:
        assert paginator.count == 100
    used = _plan(captured.captured_queries[-1]["sql"])
    assert index in used
    assert "pkey" not in used


def _plan(sql):
    with connection.cursor() as cursor:
        cursor.execute(f"{PLAN_SETTINGS}EXPLAIN {sql.removeprefix(PLAN_SETTINGS)}")
        while cursor.nextset():
            pass
        return "\n".join(line for (line,) in cursor.fetchall())


# With this mark, pytest creates the database for the whole module. The tests above have no
# such mark, because it would empty the tables after each of them.
@pytest.mark.django_db(transaction=True)
def test_a_claim_of_an_empty_table_reads_nothing():
    # Earlier tests have left entries of rows that they deleted. Django truncates the table.
    call_command("flush", verbosity=0, interactive=False)
    store = store_for("default")
    assert (
        count_entries_read(lambda: store.claim(Worker(name="one"), at=store.now(), limit=1))
        <= SLACK
    )
