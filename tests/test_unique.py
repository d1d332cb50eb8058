"""Unique jobs."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Event

import pytest
from django.db import connection, transaction

from django_future import ScheduledJob, clock, run_jobs, schedule_job, schedule_jobs
from django_future.exceptions import InvalidOption, KeyTaken
from django_future.models import Worker
from django_future.signals import jobs_expired
from django_future.status import Status
from django_future.store import store_for, transitions, unique
from tests.shop import jobs, once
from tests.shop.models import ExpressOrder, Order, Trace
from tests.support.past_jobs import schedule_in_the_past
from tests.support.rival import KEYS, start_rival
from tests.support.waiting import MAX_WAIT_SECONDS

pytestmark = pytest.mark.django_db

RIVALS = 16


class TestSameJob:
    def test_the_same_unique_job_is_scheduled_once(self):
        first, again = once.sync.schedule("5d", 1), once.sync.schedule("1d", 1)
        assert again == first
        assert ScheduledJob.objects.get().scheduled_at == first.scheduled_at == again.scheduled_at

    @pytest.mark.parametrize(
        ("args", "kwargs"),
        [([], {"order_id": 1}), ([1], {"depth": 1}), ([], {"depth": 1, "order_id": 1})],
    )
    def test_positional_and_keyword_arguments_make_the_same_unique_job(self, args, kwargs):
        assert once.sync.schedule("5d", *args, **kwargs) == once.sync.schedule("5d", 1)

    def test_the_order_of_keywords_does_not_make_another_unique_job(self, order):
        first = once.remind.schedule("5d", order, "mail", a="1", b="2")
        assert once.remind.schedule("5d", order, "mail", b="2", a="1") == first

    @pytest.mark.parametrize(
        ("value", "equal"),
        [
            ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
            ({1: {"a": 1, "b": 2}, 2: 0}, {2: 0, 1: {"b": 2, "a": 1}}),
            ([{"x", "y", "z"}], [{"z", "y", "x"}]),
        ],
    )
    def test_the_order_of_dictionaries_and_sets_does_not_make_another_unique_job(
        self, value, equal
    ):
        first = schedule_job("5d", jobs.echo, args=[value], unique=True)
        assert schedule_job("5d", jobs.echo, args=[equal], unique=True) == first

    def test_equal_content_object_and_arguments_make_the_same_unique_job(self, order):
        first = once.remind.bound_to(order).schedule("5d", "mail")
        again = once.remind.bound_to(Order.objects.get()).schedule("5d", "mail")
        assert again == first

    def test_job_as_parameter_does_not_change_the_unique_key(self, order):
        bound = once.sync_as_job.bound_to(order)
        assert bound.schedule("5d") == bound.schedule("5d", text="now")

    def test_defaults_of_a_method_make_the_same_unique_job(self, order):
        first = schedule_job("5d", "remind", order, unique=True)
        assert schedule_job("5d", "remind", order, kwargs={"times": 1}, unique=True) == first

    def test_a_running_job_counts_as_the_existing_unique_job(self):
        first = once.sync.schedule("5d", 1)
        ScheduledJob.objects.update(status=Status.RUNNING)
        again = once.sync.schedule("5d", 1)
        assert again == first
        assert again.status == Status.RUNNING


class TestDifferentJobs:
    def test_another_argument_makes_another_unique_job(self):
        assert once.sync.schedule("5d", 1) != once.sync.schedule("5d", 2)
        assert once.sync.schedule("5d", 1) != once.sync.schedule("5d", 1, depth=2)

    def test_another_content_object_makes_another_unique_job(self, order):
        other = Order.objects.create(number="B2")
        found = {
            once.remind.bound_to(bound).schedule("5d").pk
            for bound in (order, other, ExpressOrder.objects.get(pk=order.pk))
        }
        assert len(found) == 3

    def test_handlers_do_not_share_unique_keys(self):
        assert once.report.schedule("5d") != once.clean.schedule("5d")

    @pytest.mark.parametrize("end", ["run", "fail", "expire", "cancel"])
    def test_a_finished_job_frees_its_unique_key(self, end):
        first = schedule_job("0s", jobs.fail if end == "fail" else jobs.echo, unique="k")
        if end == "cancel":
            first.cancel()
        run_jobs(ignore_errors=True, now=clock.now() + timedelta(days=8 * (end == "expire")))
        first.refresh_from_db()
        assert first.status in Status.final()
        assert first.unique_key is None
        assert schedule_job("0s", first.callable_name, unique="k") != first

    def test_an_overdue_job_frees_its_unique_key(self, django_capture_on_commit_callbacks):
        heard = []
        jobs_expired.connect(lambda count, **_: heard.append(count), weak=False, dispatch_uid=heard)
        first = schedule_in_the_past(timedelta(days=8), once.sync, args=[1])
        with django_capture_on_commit_callbacks(execute=True):
            again = once.sync.schedule("0s", 1)
        jobs_expired.disconnect(dispatch_uid=heard)
        first.refresh_from_db()
        assert again != first
        assert (first.status, first.unique_key) == (Status.EXPIRED, None)
        assert heard == [1]


class TestUniqueKey:
    def test_a_handler_can_declare_a_fixed_unique_key(self):
        first = once.report.schedule("5d", day=1)
        assert once.report.schedule("5d", day=2) == first
        assert first.unique_key == "nightly"

    def test_a_function_can_compute_the_unique_key(self, order):
        assert once.write.schedule("5d", order, text="soon").unique_key == "A1 soon"
        assert once.write.bound_to(order).schedule("5d").unique_key == "A1"

    def test_unique_keys_are_case_sensitive(self):
        found = {schedule_job("5d", jobs.echo, unique=key).pk for key in ("k", "K", "ḱ")}
        assert len(found) == 3

    @pytest.mark.parametrize("key", ["", "k" * 201, "k ", "a\0b", "\udc80", None, 5])
    def test_an_invalid_unique_key_is_refused(self, key):
        with pytest.raises(InvalidOption):
            schedule_job("5d", jobs.echo, unique=lambda: key)
        assert not ScheduledJob.objects.exists()

    def test_an_error_in_the_unique_key_function_is_reported(self):
        with pytest.raises(InvalidOption, match=r"unique=<function .* raised KeyError") as caught:
            schedule_job("5d", jobs.echo, unique=lambda: {}["missing"])
        assert isinstance(caught.value.__cause__, KeyError)

    def test_a_released_or_rescued_job_keeps_its_unique_key(self):
        job = schedule_job("0s", jobs.echo, unique="k")
        store, worker = store_for("default"), Worker(name="w")
        for operation in (transitions.release, partial(transitions.rescue, is_counted=True)):
            (claimed,) = store.claim(worker, at=store.now(), limit=1)
            assert operation(store, claimed)
            assert schedule_job("0s", jobs.echo, unique="k") == job


class TestReplace:
    def test_unique_replace_moves_a_scheduled_job(self):
        first = once.index.schedule("1h", 7)
        again = once.index.using(expires=None).schedule("2d", 7)
        assert again == first
        moved = ScheduledJob.objects.get()
        assert moved.scheduled_at == again.scheduled_at > first.scheduled_at + timedelta(days=1)
        assert moved.expires_at is again.expires_at is None

    def test_unique_replace_does_not_move_a_running_job(self):
        first = once.index.schedule("1h", 7)
        ScheduledJob.objects.update(status=Status.RUNNING)
        assert once.index.schedule("2d", 7).scheduled_at == first.scheduled_at

    def test_unique_replace_moves_an_overdue_job(self):
        first = once.index.schedule(clock.now() - timedelta(days=8), 7)
        assert once.index.schedule("0s", 7) == first
        run_jobs()
        assert ScheduledJob.objects.get().status == Status.COMPLETE

    def test_unique_replace_schedules_a_missing_job(self):
        assert once.index.schedule("1h", 7).status == Status.SCHEDULED

    @pytest.mark.only_on("postgresql", reason="only PostgreSQL has NOTIFY")
    @pytest.mark.parametrize(("when", "notifications"), [("1s", 1), ("1d", 0)])
    def test_unique_replace_notifies_workers_of_a_job_due_soon(
        self, when, notifications, django_capture_on_commit_callbacks
    ):
        once.index.schedule("1h", 7)
        with django_capture_on_commit_callbacks() as sent:
            once.index.schedule(when, 7)
        assert len(sent) == notifications


class TestManyJobs:
    def test_schedule_jobs_returns_unique_jobs_in_the_order_of_the_specs(self):
        there = once.sync.schedule("5d", 2)
        specs = [
            once.sync.spec("5d", 3),
            {"when": "5d", "callable": jobs.echo, "args": ["a"]},
            once.sync.spec("5d", 2),
            once.sync.spec("5d", order_id=3),
            {"when": "5d", "callable": jobs.echo, "args": ["b"]},
        ]
        found = schedule_jobs(specs)
        assert [job.args for job in found] == [[3], ["a"], [2], [3], ["b"]]
        assert found[2] == there
        assert found[3] == found[0]
        assert ScheduledJob.objects.count() == 4

    def test_schedule_jobs_checks_all_unique_keys_before_it_writes(self):
        with pytest.raises(InvalidOption) as caught:
            schedule_jobs(
                [once.sync.spec("5d", 1), once.sync.using(unique=lambda *_: "").spec("5d", 1)]
            )
        assert caught.value.__notes__ == ["The error is in the spec at index 1."]
        assert not ScheduledJob.objects.exists()


class TestRescheduling:
    def test_reschedule_does_not_copy_the_unique_key(self):
        job = once.sync.schedule("0s", 1)
        new = job.reschedule("1d")
        assert new != job
        assert new.unique_key is None

    def test_reschedule_accepts_a_unique_key(self, order):
        ended = once.remind.bound_to(order).schedule("0s", "mail")
        run_jobs()
        new = ended.reschedule("1d", unique=True)
        assert new != ended
        assert once.remind.bound_to(order).schedule("1d", "mail") == new

    def test_a_handler_that_schedules_its_own_unique_job_gets_itself(self):
        job = once.sync_again.schedule("0s", 1)
        run_jobs()
        job.refresh_from_db()
        assert job.return_value == job.pk
        assert ScheduledJob.objects.get() == job


class TestTransactions:
    def test_an_existing_unique_job_does_not_undo_the_transaction(self, trace_texts):
        first = once.sync.schedule("5d", 1)
        with transaction.atomic():
            jobs.trace("before")
            assert once.sync.schedule("5d", 1) == first
            jobs.trace("after")
        assert trace_texts() == ["before", "after"]

    def test_a_rollback_frees_the_unique_key(self):
        with pytest.raises(RuntimeError), transaction.atomic():
            once.sync.schedule("5d", 1)
            raise RuntimeError
        once.sync.schedule("5d", 1)
        assert ScheduledJob.objects.count() == 1

    @pytest.mark.django_db(databases=["default", "other"])
    def test_each_database_has_its_own_unique_keys(self):
        found = schedule_jobs(
            [once.sync.using(using=alias).spec("5d", 1) for alias in ("default", "other")]
        )
        assert [job._state.db for job in found] == ["default", "other"]


@pytest.fixture
def key_looked_up(monkeypatch):
    """Return an event that is set when a key was looked up and an insert follows."""
    event, insert = Event(), unique._insert

    def notify_and_insert(store, job):
        event.set()
        return insert(store, job)

    monkeypatch.setattr(unique, "_insert", notify_and_insert)
    return event


@pytest.mark.django_db(transaction=True)
class TestRivals:
    def test_a_concurrent_unique_job_is_returned_to_the_slower_caller(self, key_looked_up):
        with ThreadPoolExecutor(1) as pool:
            with transaction.atomic():
                first = once.sync.schedule("5d", 1)
                key_looked_up.clear()
                other = pool.submit(elsewhere, schedule)
                key_looked_up.wait()
            assert other.result() == first

    @pytest.mark.only_on("postgresql", "mysql", reason="on SQLite one transaction writes at a time")
    def test_a_concurrent_unique_job_is_returned_inside_a_transaction(self, key_looked_up):
        with ThreadPoolExecutor(1) as pool:
            with transaction.atomic():
                first = once.sync.schedule("5d", 1)
                key_looked_up.clear()
                other = pool.submit(elsewhere, schedule_and_trace)
                key_looked_up.wait()
            assert other.result() == first
        assert list(Trace.objects.values_list("text", flat=True)) == ["before", "after"]

    def test_a_rolled_back_unique_job_does_not_block_a_rival(self, key_looked_up):
        with ThreadPoolExecutor(1) as pool:
            with transaction.atomic():
                once.sync.schedule("5d", 1)
                key_looked_up.clear()
                other = pool.submit(elsewhere, schedule)
                key_looked_up.wait()
                transaction.set_rollback(True)
            assert other.result() == ScheduledJob.objects.get()

    @pytest.mark.only_on("postgresql", "mysql", reason="SQLite refuses such a write outright")
    @pytest.mark.usefixtures("repeatable_read")
    def test_a_unique_job_that_the_transaction_cannot_see_raises_key_taken(self):
        with transaction.atomic(), ThreadPoolExecutor(1) as pool:
            assert not ScheduledJob.objects.exists()
            pool.submit(elsewhere, schedule).result()
            with pytest.raises(KeyTaken, match="cannot see it"):
                schedule()
            jobs.trace("the transaction goes on")
        assert ScheduledJob.objects.count() == Trace.objects.count() == 1

    @pytest.mark.slow
    def test_sixteen_processes_lose_and_double_no_unique_jobs(self):
        rivals = [start_rival() for _ in range(RIVALS)]
        ids = [rival.communicate(timeout=2 * MAX_WAIT_SECONDS)[0].split() for rival in rivals]
        assert [rival.returncode for rival in rivals] == [0] * RIVALS
        run_jobs()
        assert not ScheduledJob.objects.exclude(status=Status.COMPLETE, unique_key=None)
        scheduled = sorted(ScheduledJob.objects.values_list("pk", flat=True))
        ran = sorted(map(int, Trace.objects.values_list("text", flat=True)))
        assert ran == scheduled == sorted({int(pk) for pks in ids for pk in pks})
        assert KEYS <= len(scheduled) <= sum(map(len, ids))


@pytest.fixture
def repeatable_read():
    """Set the isolation level REPEATABLE READ."""
    words = "CHARACTERISTICS AS TRANSACTION" if connection.vendor == "postgresql" else "TRANSACTION"
    with connection.cursor() as cursor:
        cursor.execute(f"SET SESSION {words} ISOLATION LEVEL REPEATABLE READ")
    yield
    connection.close()


def schedule():
    """Schedule the job that the threads compete for."""
    return once.sync.schedule("5d", 1)


def schedule_and_trace():
    """Schedule the job inside a transaction that writes before and after."""
    with transaction.atomic():
        jobs.trace("before")
        job = schedule()
        jobs.trace("after")
    return job


def elsewhere(act):
    """Call `act`, and close the connection of this thread."""
    try:
        return act()
    finally:
        connection.close()
