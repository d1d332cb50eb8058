"""The code that schedules a job like an existing one."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from django_future import ScheduledJob, job, schedule_job
from django_future.admin.job_code import job_as_code
from django_future.exceptions import InvalidArguments, SchedulingError
from django_future.serialization import Stored
from tests.shop import decorated, jobs
from tests.shop.models import ExpressOrder, Order, Parcel
from tests.support.admin_pages import UNPICKLED, Suitcase, body, page_of
from tests.support.rows import rewrite

pytestmark = pytest.mark.django_db

VALUES = [
    70, -1.5, "it's", 'a "quote"\n', None, True, [1, [2]], {"a": {"b": 1}}, (1,), (), set(), {1, 2},
    frozenset({3}), b"\x00", date(2030, 1, 31), datetime(2030, 1, 31, 9, tzinfo=UTC),
    datetime(2030, 1, 31, 9, tzinfo=ZoneInfo("Europe/Berlin")), time(9, 30), timedelta(days=1),
    Decimal("19.99"), UUID(int=5), float("inf"), 2**100, {1: 2}, {"__type__": "pickle"},
]  # fmt: skip


@job(sensitive_arguments=["card"])
def pay(amount, card="", **more):
    """Take a card number."""


@job(sensitive_arguments=True)
def log_in(*args, **kwargs):
    """Take a password."""


class Sealed:
    """A value that must be pickled, with another one inside."""

    def __init__(self, value):
        self.value = value


def executed(scheduled):
    """Execute the code of a job, and return the columns of it and of the new job."""
    scheduled.refresh_from_db()
    code = job_as_code(scheduled)
    exec(compile(code, "job", "exec"), {})
    made = ScheduledJob.objects.latest("pk")
    assert made.pk != scheduled.pk, code
    return columns(scheduled), columns(made)


def columns(scheduled):
    row = ScheduledJob.objects.filter(pk=scheduled.pk).values().get()
    return {name: row[name] for name in row.keys() - {"id", "created_at", "unique_key"}}


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_the_code_makes_an_equal_row(value):
    old, new = executed(schedule_job("3h", jobs.take, args=[value], kwargs={"named": value}))
    assert old == new


@pytest.mark.parametrize(
    "options",
    [
        {"queue_name": "mail", "priority": 5, "max_attempts": 3, "rescue": False},
        {"timeout": "5m", "backoff": ["1s", "2s"], "max_attempts": 3, "atomic": False},
        {"expires": None},
        {"expires": "1d12h"},
        {"on_delete": "fail"},
        {"using": "default"},
    ],
    ids=str,
)
def test_the_code_has_the_options_of_the_job(options):
    old, new = executed(schedule_job("3h", decorated.greet, args=["Ada"], **options))
    assert old == new


def test_the_code_has_no_option_that_the_handler_declares(order):
    scheduled = schedule_job("3h", decorated.remind, order)
    assert "queue_name" not in job_as_code(scheduled)
    old, new = executed(scheduled)
    assert old == new


@pytest.mark.parametrize("model", [Order, ExpressOrder])
def test_the_code_loads_the_object(model):
    found = model.objects.create(number="A1")
    scheduled = schedule_job("3h", "remind", found, kwargs={"times": 2})
    assert f"{model.__name__}.objects.get(pk={found.pk})" in job_as_code(scheduled)
    old, new = executed(scheduled)
    assert old == new


def test_the_code_loads_an_object_by_a_uuid_and_the_objects_in_arguments(order):
    parcel = Parcel.objects.create()
    old, new = executed(schedule_job("3h", jobs.take, parcel, args=[order, [parcel]]))
    assert old == new


def test_the_code_of_a_job_in_the_past_makes_a_job_of_the_same_time():
    scheduled = schedule_job(datetime(2020, 1, 1, tzinfo=UTC), jobs.echo)
    old, new = executed(scheduled)
    assert old["scheduled_at"] == new["scheduled_at"]


def test_sensitive_arguments_are_replaced():
    scheduled = schedule_job("3h", pay, args=[5], kwargs={"card": "4111-1111"})
    code = job_as_code(scheduled)
    assert "4111" not in code
    assert "args=[5]" in code
    assert "kwargs={'card': ...}" in code
    assert "# Replace each ..." in code
    compile(code, "job", "exec")


def test_arguments_that_are_all_sensitive_are_replaced_with_their_names():
    scheduled = schedule_job("3h", log_in, args=["ada"], kwargs={"password": "lovelace"})
    code = job_as_code(scheduled)
    assert "lovelace" not in code
    assert "password" not in code
    assert "args=...," in code
    compile(code, "job", "exec")


def test_a_pickle_is_not_loaded():
    scheduled = schedule_job("3h", jobs.take, args=[Suitcase()])
    scheduled.refresh_from_db()
    UNPICKLED.clear()
    assert "args=[...]" in job_as_code(scheduled)
    assert not UNPICKLED


@pytest.mark.parametrize(
    ("handler", "arguments"),
    [
        (pay, {"args": [5], "kwargs": {"card": "4111-1111"}}),
        (pay, {"args": [5], "kwargs": {"more": {"cards": [(Suitcase(),)]}}}),
        (log_in, {"args": ["ada"]}),
        (log_in, {"kwargs": {"password": "lovelace"}}),
    ],
    ids=str,
)
def test_the_code_does_not_run_until_each_hidden_value_is_replaced(handler, arguments):
    scheduled = schedule_job("3h", handler, **arguments)
    scheduled.refresh_from_db()
    with pytest.raises(SchedulingError):
        exec(compile(job_as_code(scheduled), "job", "exec"), {})
    assert ScheduledJob.objects.count() == 1


@pytest.mark.parametrize("value", [..., [...], (1, {"a": ...}), Sealed(...)], ids=repr)
def test_three_dots_are_no_argument(value):
    with pytest.raises(InvalidArguments, match=r"ellipsis .* Pass the value instead\.$"):
        schedule_job("3h", jobs.take, args=[value])


@pytest.mark.parametrize(
    "changes",
    [
        {"callable_name": "x'\n\"\\"},
        {"callable_name": ""},
        {"args": Stored("5")},
        {"args": Stored("[")},
        {"args": Stored("[" * 10**5)},
        {"kwargs": Stored('{"a b": 1}')},
        {"kwargs": Stored('{"__type__": "model", "model": 5, "pk": 1, "using": null}')},
        {"args": Stored('[{"__type__": "date", "value": "x"}, {"__type__": []}, 1e999, NaN]')},
        {"options": Stored("5")},
        {"options": Stored('{"timeout": {"__type__": "pickle", "class": "x", "value": "y"}}')},
        {"object_id": "\n'", "object_database": "gone"},
        {"queue_name": "\n"},
    ],
    ids=str,
)
def test_the_code_of_any_row_compiles(changes, order):
    scheduled = schedule_job("3h", jobs.take, order)
    rewrite(**changes)
    scheduled = ScheduledJob.objects.get(pk=scheduled.pk)
    compile(job_as_code(scheduled), "job", "exec")


def test_the_page_of_a_job_shows_the_code(admin_client):
    scheduled = schedule_job("3h", jobs.echo, kwargs={"value": "<b>"})
    text = body(admin_client.get(page_of(scheduled)))
    assert "<summary>Copy as code</summary>" in text
    assert "kwargs={&#x27;value&#x27;: &#x27;&lt;b&gt;&#x27;}," in text
