"""Scheduling, rescheduling and cancelling jobs."""

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from asgiref.sync import async_to_sync
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.utils import timezone

from django_future import (
    ScheduledJob,
    aschedule_job,
    cancel_jobs,
    clock,
    run_jobs,
    schedule_job,
    schedule_jobs,
)
from django_future.exceptions import (
    CallableNotAllowed,
    InvalidArguments,
    InvalidCallable,
    InvalidObject,
    InvalidOption,
    InvalidTime,
    NotCancellable,
    SchedulingError,
)
from django_future.status import Status
from tests.shop import jobs
from tests.shop.models import ExpressOrder, Order, Parcel

pytestmark = pytest.mark.django_db

FAR = "2099-01-01T12:00+00:00"
ECHO = "tests.shop.jobs.echo"


def instant(value):
    return clock.from_row(value)


def test_schedule_job_takes_one_query(django_assert_num_queries, order):
    ContentType.objects.get_for_model(order)
    with django_assert_num_queries(1):
        schedule_job("5d", jobs.take, order, args=[1], queue_name="mail", priority=5)


def test_a_job_stores_all_options_of_schedule_job(order):
    pk = schedule_job(FAR, jobs.take, order, "3d", [1], {"k": 2}, queue_name="mail", priority=-5).pk
    job = ScheduledJob.objects.get(pk=pk)
    assert job.callable_name == "tests.shop.jobs.take"
    assert instant(job.scheduled_at) == datetime(2099, 1, 1, 12, tzinfo=UTC)
    assert instant(job.expires_at) == datetime(2099, 1, 4, 12, tzinfo=UTC)
    assert (job.args, job.kwargs) == ([1], {"k": 2})
    assert job.content_object == order
    assert (job.queue_name, job.priority, job.status) == ("mail", -5, Status.SCHEDULED)
    assert str(job).startswith("tests.shop.jobs.take at 2099-01-01")


def test_a_saved_job_reads_like_a_loaded_one():
    job = schedule_job(FAR, ECHO, args=({1},))
    assert job.args == [{1}]


@pytest.mark.parametrize("use_tz", [True, False])
def test_a_time_survives_the_database(settings, use_tz):
    settings.USE_TZ = use_tz
    for text in ("2030-07-01T12:00:00.123456+00:00", "2030-01-01T12:00+05:00"):
        job = ScheduledJob.objects.get(pk=schedule_job(text, ECHO).pk)
        assert instant(job.scheduled_at) == datetime.fromisoformat(text)


@pytest.mark.parametrize("use_tz", [True, False])
def test_a_naive_time_is_wall_time(settings, use_tz):
    settings.USE_TZ = use_tz
    job = schedule_job(datetime(2030, 7, 1, 12), ECHO)
    assert instant(job.scheduled_at) == datetime(2030, 7, 1, 10, tzinfo=UTC)
    run_jobs(now=datetime(2030, 7, 1, 11, 59))
    job.refresh_from_db()
    assert job.status == Status.SCHEDULED
    run_jobs(now=datetime(2030, 7, 1, 12))
    job.refresh_from_db()
    assert job.status == Status.COMPLETE


def test_a_naive_time_is_in_the_active_time_zone(settings):
    settings.USE_TZ = True
    with timezone.override(ZoneInfo("America/New_York")):
        job = schedule_job(datetime(2030, 7, 1, 12), ECHO)
    assert job.scheduled_at == datetime(2030, 7, 1, 16, tzinfo=UTC)


@pytest.mark.parametrize("use_tz", [True, False])
@pytest.mark.parametrize("fold", [0, 1])
@pytest.mark.parametrize(
    "moment",
    [datetime(2030, 3, 31, 2, 30), datetime(2030, 10, 27, 2, 30), datetime(2030, 10, 27, 2, 59)],
)
def test_jobs_run_in_order_when_summer_time_begins_and_ends(settings, use_tz, fold, moment):
    settings.USE_TZ = use_tz
    moment = moment.replace(fold=fold)
    job = ScheduledJob.objects.get(pk=schedule_job(moment, ECHO, expires="30m").pk)
    due_at = instant(job.scheduled_at)
    assert due_at.astimezone(ZoneInfo("Europe/Berlin")).fold == (fold if moment.month == 10 else 0)
    assert instant(job.expires_at) - due_at == timedelta(minutes=30)
    run_jobs(now=due_at - timedelta(seconds=1))
    job.refresh_from_db()
    assert job.status == Status.SCHEDULED
    run_jobs(now=due_at)
    job.refresh_from_db()
    assert job.status == Status.COMPLETE


def test_a_job_may_never_expire():
    assert schedule_job("5d", ECHO, expires=None).expires_at is None


def test_expires_accepts_a_time(settings):
    job = schedule_job(FAR, ECHO, expires="2099-02-01T00:00+00:00")
    assert instant(job.expires_at) == datetime(2099, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize("pk_model", [Order, Parcel, ExpressOrder])
def test_a_job_can_be_bound_to_any_saved_object(pk_model):
    thing = pk_model.objects.create()
    job = ScheduledJob.objects.get(pk=schedule_job(FAR, ECHO, thing).pk)
    assert job.content_object == thing
    assert type(job.content_object) is pk_model


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"when": "soon"}, InvalidTime, "'soon' is not a time"),
        ({"expires": "later"}, InvalidTime, "expires: 'later' is not a time"),
        ({"expires": 60}, InvalidTime, "expires: 60 is not a time"),
        ({"expire": "1h"}, InvalidOption, "Did you mean 'expires'?"),
        ({"expires": "2001-01-01"}, InvalidTime, "not after the scheduled time"),
        ({"expires": "0s"}, InvalidTime, "not after the scheduled time"),
        ({"expires": timedelta(days=-1)}, InvalidTime, "not after the scheduled time"),
        ({"callable": "no.such.thing"}, InvalidCallable, "no.such.thing"),
        ({"callable": "os.system"}, CallableNotAllowed, "os.system"),
        ({"callable": lambda: None}, InvalidCallable, "lambda"),
        ({"callable": "remind"}, InvalidCallable, "not a dotted path"),
        ({"content_object": Order(number="new")}, InvalidObject, "Save it first"),
        ({"content_object": Parcel()}, InvalidObject, "Save it first"),
        ({"content_object": 5}, InvalidObject, "not a model instance"),
        ({"args": [lambda: None]}, InvalidArguments, "cannot be pickled"),
        ({"args": "abc"}, InvalidArguments, "Give a list or a tuple"),
        ({"args": 5}, InvalidArguments, "Give a list or a tuple"),
        ({"kwargs": [1]}, InvalidArguments, "Give a dictionary"),
        ({"kwargs": {1: 2}}, InvalidArguments, "Give a dictionary"),
        ({"queue_name": "q" * 101}, InvalidOption, "1 to 100 printable"),
        ({"queue_name": ""}, InvalidOption, "1 to 100 printable"),
        ({"queue_name": "a\0b"}, InvalidOption, "printable characters"),
        ({"queue_name": None}, InvalidOption, "None"),
        ({"priority": 101}, InvalidOption, "101"),
        ({"priority": "high"}, InvalidOption, "'high'"),
        ({"priority": True}, InvalidOption, "True"),
    ],
)
def test_schedule_job_refuses_invalid_input(arguments, error, words):
    with pytest.raises(error, match=words):
        schedule_job(**({"when": "5d", "callable": ECHO} | arguments))
    assert not ScheduledJob.objects.exists()


def test_a_content_object_id_that_is_too_long_is_refused(order):
    order.pk = "x" * 256
    with pytest.raises(InvalidObject, match="255 characters"):
        schedule_job("5d", ECHO, order)


def test_for_object_finds_the_jobs_of_an_object(order):
    parcel, other = Parcel.objects.create(), Order.objects.create(number="B2")
    for bound in (order, parcel, other, None):
        schedule_job("5d", ECHO, bound)
    schedule_job("5d", ECHO, ExpressOrder.objects.get(pk=order.pk))
    for bound in (order, parcel):
        assert [job.content_object for job in ScheduledJob.objects.for_object(bound)] == [bound]


def test_for_object_refuses_an_unsaved_object():
    with pytest.raises(InvalidObject, match="not saved"):
        ScheduledJob.objects.for_object(Order())


def test_every_scheduling_error_has_one_base_class():
    with pytest.raises(SchedulingError):
        schedule_job("soon", ECHO)


def test_aschedule_job_schedules_from_async_code():
    job = async_to_sync(aschedule_job)("5d", ECHO, args=[1])
    assert job.args == [1]


def test_schedule_jobs_takes_few_queries_for_thousands_of_jobs(django_assert_max_num_queries):
    specs = [{"when": "5d", "callable": ECHO, "args": [number]} for number in range(2500)]
    # SQLite limits the parameters of a statement, so it needs more statements: one for 31 rows.
    columns = len(ScheduledJob._meta.concrete_fields) - 1  # without the primary key
    rows = min((connection.features.max_query_params or 10**6) // columns, 1000)
    with django_assert_max_num_queries(math.ceil(len(specs) / rows) + 2):
        scheduled = schedule_jobs(specs)
    assert [job.args for job in scheduled[:3]] == [[0], [1], [2]]
    assert all(job.pk for job in scheduled)
    assert ScheduledJob.objects.scheduled().count() == 2500


def test_one_invalid_spec_prevents_all_jobs():
    with pytest.raises(InvalidTime) as caught:
        schedule_jobs([{"when": "5d", "callable": ECHO}, {"when": "soon", "callable": ECHO}])
    assert caught.value.__notes__ == ["The error is in the spec at index 1."]
    assert not ScheduledJob.objects.exists()


def test_a_spec_with_an_unknown_name_is_refused():
    with pytest.raises(InvalidOption, match="no option 'colour'") as caught:
        schedule_jobs([{"when": "5d", "callable": ECHO, "colour": "red"}])
    assert caught.value.__notes__ == ["The error is in the spec at index 0."]


def test_schedule_jobs_accepts_an_empty_list():
    assert schedule_jobs([]) == []


def test_a_job_is_part_of_the_transaction_that_schedules_it():
    with pytest.raises(RuntimeError), transaction.atomic():
        schedule_job("5d", ECHO)
        raise RuntimeError
    assert not ScheduledJob.objects.exists()


@pytest.mark.django_db(databases=["default", "other"])
class TestDatabases:
    def test_using_selects_the_database_of_a_job(self):
        job = schedule_job("0s", ECHO, using="other")
        assert not ScheduledJob.objects.exists()
        run_jobs(using="other")
        assert ScheduledJob.objects.using("other").get().status == Status.COMPLETE
        assert job._state.db == "other"

    def test_a_job_is_stored_in_the_database_of_its_object(self):
        order = Order.objects.using("other").create(number="O1")
        schedule_job("0s", "remind", order)
        run_jobs(using="other")
        order.refresh_from_db()
        assert order.reminders == 1

    def test_schedule_jobs_stores_each_job_in_its_database(self):
        schedule_jobs(
            [{"when": "0s", "callable": ECHO, "using": alias} for alias in ("default", "other")]
        )
        assert ScheduledJob.objects.using("other").count() == ScheduledJob.objects.count() == 1

    def test_a_job_rescheduled_to_another_database_keeps_its_object(self):
        for alias in ("default", "other"):
            Order(pk=7, number=alias).save(using=alias)
        job = schedule_job("0s", ECHO, Order.objects.get(pk=7))
        moved = job.reschedule("0s", using="other")
        moved = ScheduledJob.objects.using("other").get(pk=moved.pk)
        assert moved.content_object.number == "default"


class TestDue:
    def test_due_and_overdue_count_from_now_by_default(self):
        job, later = schedule_job("0s", ECHO), schedule_job("2d", ECHO, expires="1d")
        assert list(ScheduledJob.objects.due()) == [job]
        assert list(ScheduledJob.objects.overdue()) == []
        assert later not in ScheduledJob.objects.due()

    @pytest.mark.parametrize("days", ["60h", timedelta(days=2.5)])
    def test_due_and_overdue_accept_the_forms_of_a_time(self, days):
        job, later = schedule_job("0s", ECHO), schedule_job("2d", ECHO, expires="1d")
        assert {*ScheduledJob.objects.due(days)} == {job, later}
        assert list(ScheduledJob.objects.overdue("4d")) == [later]

    def test_due_refuses_what_is_no_time(self):
        with pytest.raises(InvalidTime, match="'five days' is not a time"):
            ScheduledJob.objects.due("five days")


class TestReschedule:
    def test_reschedule_copies_all_attributes(self, order):
        old = schedule_job(
            FAR, jobs.take, order, "3d", [2], {"k": {1}}, queue_name="mail", priority=7
        )
        new = ScheduledJob.objects.get(pk=old.reschedule(FAR).pk)
        assert new.pk != old.pk
        for name in ("callable_name", "content_object", "args", "kwargs", "queue_name",
                     "priority", "scheduled_at", "expires_at"):  # fmt: skip
            assert getattr(new, name) == getattr(old, name)

    def test_an_offset_of_reschedule_counts_from_the_call(self):
        new = schedule_job(FAR, ECHO).reschedule("3d")
        assert instant(new.scheduled_at) - clock.now() == pytest.approx(
            timedelta(days=3), abs=timedelta(minutes=1)
        )

    def test_reschedule_can_replace_every_attribute(self, order):
        old = schedule_job(FAR, "remind", order, "3d", [2])
        new = old.reschedule("1d", jobs.take, None, None, [1], {"k": 1}, queue_name="q", priority=1)
        assert (new.callable_name, new.content_object) == ("tests.shop.jobs.take", None)
        assert new.expires_at is None
        assert (new.args, new.kwargs, new.queue_name, new.priority) == ([1], {"k": 1}, "q", 1)

    def test_reschedule_keeps_a_job_without_expiry(self):
        assert schedule_job(FAR, ECHO, expires=None).reschedule("3d").expires_at is None

    def test_reschedule_refuses_invalid_replacements(self, order):
        old = schedule_job(FAR, "remind", order)
        for changes in ({"callable": "os.system"}, {"content_object": None}, {"priority": 1000}):
            with pytest.raises(SchedulingError):
                old.reschedule("3d", **changes)
        assert ScheduledJob.objects.count() == 1


class TestCancel:
    def test_a_cancelled_job_never_runs(self, trace_texts):
        job = schedule_job("0s", jobs.trace)
        job.cancel()
        run_jobs()
        assert job.status == Status.CANCELLED
        assert job.finished_at
        assert trace_texts() == []

    @pytest.mark.parametrize("status", [*Status.final(), Status.RUNNING])
    def test_cancel_refuses_running_and_finished_jobs(self, status):
        job = schedule_job("5d", ECHO)
        ScheduledJob.objects.update(status=status)
        with pytest.raises(NotCancellable, match=f"Job {job.pk} is {status}"):
            job.cancel()
        assert ScheduledJob.objects.get().status == status

    def test_cancel_jobs_counts_the_cancelled_jobs(self):
        first, *_ = (schedule_job("5d", ECHO) for _ in range(3))
        ScheduledJob.objects.filter(pk=first.pk).update(status=Status.RUNNING)
        assert cancel_jobs(ScheduledJob.objects.all()) == 2
        assert ScheduledJob.objects.filter(status=Status.RUNNING).count() == 1

    def test_cancel_jobs_accepts_a_sliced_queryset(self):
        for _ in range(3):
            schedule_job("5d", ECHO)
        assert cancel_jobs(ScheduledJob.objects.order_by("pk")[:2]) == 2
        assert ScheduledJob.objects.scheduled().count() == 1
