"""The store: claims, completions, expiry and rescue."""

from datetime import timedelta
from threading import Thread

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from django_future import ScheduledJob, clock, schedule_job, schedule_jobs
from django_future.conf import config
from django_future.execution.failure import MAX_RESCUES
from django_future.models import Worker
from django_future.serialization import Stored, decode, encode
from django_future.status import Status
from django_future.store import EVERYTHING, Selection, store_for, transitions
from django_future.store.due import newest_id
from django_future.store.workers import register
from django_future.testing.travel import stopped_clock
from django_future.worker import maintenance
from tests.shop import jobs
from tests.support.past_jobs import schedule_in_the_past
from tests.support.waiting import has_ended

pytestmark = pytest.mark.django_db(transaction=True)

ANY_WORKER = Worker(name="any")


@pytest.fixture
def store():
    """Return the store of the default database."""
    return store_for("default")


def claim(store, limit=1, worker=ANY_WORKER, selection=EVERYTHING):
    return store.claim(worker, selection, at=clock.now(), limit=limit)


def test_a_claim_takes_jobs_up_to_its_limit_in_order(store):
    for text, priority in [("b", 0), ("a", 5), ("c", 0)]:
        schedule_job("0s", jobs.echo, args=[text], priority=priority)
    claimed = claim(store, 2)
    assert [job.args for job in claimed] == [["a"], ["b"]]
    assert {job.status for job in claimed} == {Status.RUNNING}


def test_a_second_claim_starts_at_the_highest_priority(store):
    for priority in (0, 0, -5):
        schedule_job("0s", jobs.echo, priority=priority)
    claim(store)
    schedule_job("0s", jobs.echo, priority=5)
    schedule_job("0s", jobs.echo, priority=-7)
    assert [job.priority for job in claim(store, 10)] == [5, 0, -5, -7]


def test_a_claim_returns_jobs_equal_to_their_rows(store):
    schedule_job("0s", jobs.echo, args=[{1}])
    [claimed] = claim(store)
    stored = ScheduledJob.objects.get()
    for field in ScheduledJob._meta.concrete_fields:
        assert getattr(claimed, field.attname) == getattr(stored, field.attname), field


def test_the_store_escapes_names_and_return_values(store):
    text = 'o\'brien \\ %s %(id)s "quoted" ; -- \N{SNOWMAN}'
    schedule_job("0s", jobs.echo, queue_name=text)
    [job] = claim(store, worker=Worker(name=text), selection=Selection(queues=(text, "it's")))
    job.return_value, job.finished_at = Stored(encode([text])), clock.now()
    with transaction.atomic():
        store.finish(job)
    stored = ScheduledJob.objects.get()
    assert (stored.worker, stored.queue_name, stored.return_value) == (text, text, [text])


def test_the_store_escapes_the_return_values_of_a_batch(store):
    texts = ["o'brien", "\\", "%s", "NULL", "{}"]
    schedule_jobs([{"when": "0s", "callable": jobs.echo} for _ in [*texts, None]])
    done = claim(store, 10)
    for job, value in zip(done, [*texts, None], strict=True):
        job.return_value = None if value is None else Stored(encode(value))
        job.finished_at = clock.now()
    assert store.finish_all(done) == []
    values = ScheduledJob.objects.order_by("pk").values_list("return_value", flat=True)
    assert [value and decode(value) for value in values] == [*texts, None]


def test_a_claim_takes_no_future_and_no_overdue_jobs(store):
    schedule_job("1h", jobs.echo)
    schedule_in_the_past(timedelta(hours=2), jobs.echo, expires="1h")
    assert claim(store, 10) == []


def test_a_claim_can_exclude_newer_jobs(store):
    schedule_job("0s", jobs.echo, args=["old"])
    selection = Selection(up_to_id=newest_id(store))
    schedule_job("0s", jobs.echo, args=["new"])
    assert [job.args for job in claim(store, 10, selection=selection)] == [["old"]]


def test_each_claim_raises_the_lease_and_a_release_uncounts_the_attempt(store):
    schedule_job("0s", jobs.echo)
    [first] = claim(store)
    assert transitions.release(store, first)
    [second] = claim(store)
    assert (second.lease, second.attempts) == (2, 1)
    assert not transitions.release(store, first)


def test_concurrent_claims_never_take_the_same_job(store):
    schedule_jobs([{"when": "0s", "callable": jobs.echo} for _ in range(300)])
    claimed = []

    def claim_all():
        while found := claim(store, 7):
            claimed.extend(job.pk for job in found)
        connection.close()

    threads = [Thread(target=claim_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == 300


@pytest.mark.only_on("postgresql", "mysql", reason="SQLite locks the database, not rows")
def test_a_claim_skips_locked_rows(store):
    schedule_job("0s", jobs.echo, args=["locked"], priority=1)
    schedule_job("0s", jobs.echo, args=["free"])
    claimed = []

    def claim_one():
        claimed.extend(claim(store))
        connection.close()

    with transaction.atomic():
        ScheduledJob.objects.select_for_update().get(priority=1)
        thread = Thread(target=claim_one)
        thread.start()
        assert has_ended(thread)
    assert [job.args for job in claimed] == [["free"]]


@pytest.mark.parametrize(
    ("act", "index"),
    [
        (claim, "future_job_due"),
        (lambda store: claim(store, selection=Selection(queues=("q3",))), "future_job_queue"),
        (lambda store: store.next_due(Selection(excluded_queues=("q3",))), "future_job_queue"),
        (lambda store: store.expire(clock.now()), "future_job_expires"),
    ],
)
def test_queries_for_waiting_jobs_use_their_index(store, vendor, act, index):
    schedule_jobs(
        [
            {"when": "5d", "callable": jobs.echo, "queue_name": f"q{number % 20}"}
            for number in range(2000)
        ]
    )
    with connection.cursor() as cursor, CaptureQueriesContext(connection) as queries:
        act(store)
        table = "TABLE django_future_scheduledjob" if vendor == "mysql" else ""
        cursor.execute(f"ANALYZE {table}")
        cursor.execute(explain(queries, vendor))
        while vendor == "postgresql" and cursor.nextset():
            pass
        assert index in str(cursor.fetchall())


def explain(queries, vendor):
    """Return an EXPLAIN of the first of `queries` that reads jobs."""
    texts = [query["sql"] for query in queries]
    for sql in texts:
        before, execute, call = sql.partition("EXECUTE ")
        if execute:  # prepared: EXPLAIN shows the plan that it was executed with
            return f"{before} EXPLAIN {execute} {call}"
        if "expires_at" in sql and "PREPARE" not in sql:
            return f"EXPLAIN {'QUERY PLAN' if vendor == 'sqlite' else ''} {sql}"
    raise AssertionError(texts)


def test_jobs_expire_in_batches_and_are_counted(store, caplog):
    with stopped_clock(clock.now() - timedelta(hours=2)):
        schedule_jobs([{"when": "0s", "callable": jobs.echo, "expires": "1h"}] * 1100)
    schedule_job("0s", jobs.echo)
    maintenance.expire(store, clock.now())
    assert (
        ScheduledJob.objects.filter(status=Status.EXPIRED, finished_at__isnull=False).count()
        == 1100
    )
    assert ScheduledJob.objects.scheduled().count() == 1
    assert "1,100 jobs expired" in caplog.text


class TestRescue:
    def worker(self, store, seen):
        worker = Worker(name=f"seen {seen} ago", pid=1, started_at=clock.to_row(clock.now()))
        register(store, worker)
        Worker.objects.filter(name=worker.name).update(seen_at=clock.to_row(clock.now() - seen))
        return worker

    def test_the_jobs_of_a_lost_worker_are_rescued(self, store, caplog):
        schedule_job("0s", jobs.echo)
        [job] = claim(store, worker=self.worker(store, 2 * config().HEARTBEAT))
        maintenance.rescue(store)
        job.refresh_from_db()
        assert (job.status, job.worker, job.rescues, job.attempts) == (Status.SCHEDULED, "", 1, 1)
        assert not Worker.objects.exists()
        assert "lost its worker and will run again" in caplog.text

    def test_the_jobs_of_an_unlisted_worker_are_rescued(self, store):
        schedule_job("0s", jobs.echo)
        claim(store)
        maintenance.rescue(store)
        assert ScheduledJob.objects.get().status == Status.SCHEDULED

    def test_a_live_worker_keeps_its_jobs(self, store):
        schedule_job("0s", jobs.echo)
        claim(store, worker=self.worker(store, config().HEARTBEAT / 2))
        maintenance.rescue(store)
        assert ScheduledJob.objects.get().status == Status.RUNNING
        assert Worker.objects.count() == 1

    def test_a_job_fails_after_the_maximum_number_of_rescues(self, store, caplog):
        schedule_job("0s", jobs.echo)
        for _ in range(MAX_RESCUES + 1):
            self.claim_and_start(store)
            maintenance.rescue(store)
        job = ScheduledJob.objects.get()
        assert (job.status, job.attempts) == (Status.FAILED, MAX_RESCUES + 1)
        assert "WorkerLost: The worker any was lost" in job.error
        assert "tests.shop.jobs.echo failed" in caplog.text

    def test_a_job_that_never_started_is_rescued_without_limit(self, store):
        schedule_job("0s", jobs.echo)
        for _ in range(MAX_RESCUES + 2):
            claim(store)
            maintenance.rescue(store)
        job = ScheduledJob.objects.get()
        assert (job.status, job.rescues) == (Status.SCHEDULED, 1)

    def claim_and_start(self, store):
        [job] = claim(store)
        job.started_at = clock.to_row(store.now())
        transitions.record_start(store, job)

    def test_registering_a_worker_again_updates_seen_at(self, store):
        worker = self.worker(store, timedelta(hours=1))
        register(store, worker)
        assert Worker.objects.get().seen_at > clock.to_row(clock.now() - timedelta(minutes=1))


def test_the_store_clock_is_never_ahead_of_the_host(store):
    before = clock.now()
    store.synchronise()
    assert before - timedelta(milliseconds=1) <= store.now() <= clock.now()
