"""The decorator `@job`."""

import functools
import inspect
import pickle
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync

from django_future import ScheduledJob, job, run_jobs, schedule_job, schedule_jobs
from django_future.exceptions import InvalidArguments, InvalidCallable, InvalidOption
from django_future.testing import run_due_jobs
from tests.shop.decorated import greet, remind, report, report_marked_above, wave
from tests.support.rows import rewrite

ROOT = Path(__file__).parent.parent
TYPED = """
from tests.shop.decorated import greet, remind, report, wave
from tests.shop.models import Order

order = Order()
"""


def run_one(scheduled):
    [ran] = run_due_jobs()
    assert ran == scheduled
    return ran.return_value


def lifetime(scheduled):
    return scheduled.expires_at and scheduled.expires_at - scheduled.scheduled_at


class TestDecoratedFunction:
    def test_a_decorated_function_is_called_as_before(self):
        assert greet("you", times=2) == "hello, hello you"

    def test_a_decorated_function_keeps_its_name_and_signature(self):
        assert (greet.__name__, greet.__doc__) == ("greet", "Greet a person.")
        assert str(inspect.signature(greet)) == "(name: str, *, times: int = 1) -> str"

    def test_a_decorated_coroutine_function_returns_a_coroutine(self):
        assert async_to_sync(wave)("you") == "waved at you"

    def test_a_method_can_be_decorated(self):
        class Shop:
            @job
            def open(self, door):
                return self, door

        shop = Shop()
        assert shop.open("front") == (shop, "front")

    def test_a_decorated_function_is_pickled_by_name(self):
        assert pickle.loads(pickle.dumps(greet)) is greet

    def test_a_wrapped_handler_keeps_its_options(self):
        @functools.wraps(remind)
        def traced(*args):
            return remind(*args)

        assert traced.job_options
        assert traced.job_options is remind.job_options


@pytest.mark.django_db(transaction=True)
class TestScheduling:
    def test_schedule_takes_the_arguments_of_a_call(self):
        scheduled = greet.schedule("0s", "you", times=2)
        assert scheduled.callable_name == "tests.shop.decorated.greet"
        assert run_one(scheduled) == "hello, hello you"

    def test_aschedule_schedules_from_async_code(self):
        scheduled = async_to_sync(greet.aschedule)("5d", "you")
        assert ScheduledJob.objects.get() == scheduled

    def test_a_coroutine_handler_can_be_scheduled(self):
        assert run_one(wave.schedule("0s", "you")) == "waved at you"

    def test_schedule_many_schedules_jobs_in_few_queries(self, django_assert_max_num_queries):
        with django_assert_max_num_queries(6):
            greet.schedule_many(greet.spec("0s", name) for name in "abc")
        assert [ran.return_value for ran in run_due_jobs()] == ["hello a", "hello b", "hello c"]

    def test_schedule_jobs_takes_specs_of_several_handlers(self):
        schedule_jobs([greet.spec("5d", "you"), wave.spec("5d", "you")])
        assert ScheduledJob.objects.count() == 2

    def test_schedule_many_refuses_the_spec_of_another_handler(self):
        with pytest.raises(InvalidCallable, match="schedule_jobs"):
            greet.schedule_many([wave.spec("5d", "you")])

    def test_bound_to_schedules_a_job_for_an_object(self, order):
        scheduled = remind.bound_to(order).schedule("0s", text="now")
        assert scheduled.content_object == order
        assert run_one(scheduled) == "A1: now"

    def test_a_decorated_method_is_scheduled_by_its_name(self, order):
        scheduled = schedule_job("0s", "ring", order, args=[2])
        assert scheduled.queue_name == "calls"
        assert run_one(scheduled) == "A1: ring ring"

    def test_a_handler_with_job_as_parameter_receives_its_job(self):
        scheduled = report.schedule("0s", "ran")
        assert run_one(scheduled) == f"{scheduled.pk}: ran"

    def test_job_as_parameter_can_be_above_job(self):
        scheduled = report_marked_above.schedule("0s", "ran")
        assert run_one(scheduled) == f"{scheduled.pk}: ran"

    def test_arguments_that_the_handler_no_longer_takes_fail_the_job(self):
        scheduled = greet.schedule("0s", "you")
        rewrite(args=[])
        with pytest.raises(InvalidArguments, match="'name'"):
            run_jobs()
        scheduled.refresh_from_db()
        assert scheduled.status == "failed"


@pytest.mark.django_db
class TestOptions:
    def test_a_job_has_the_options_of_its_handler(self, order):
        scheduled = remind.schedule("1h", order)
        assert (scheduled.queue_name, scheduled.priority) == ("mail", 5)
        assert lifetime(scheduled) == timedelta(days=2)

    def test_a_handler_without_options_uses_the_defaults(self):
        scheduled = greet.schedule("1h", "you")
        assert (scheduled.queue_name, scheduled.priority) == ("default", 0)
        assert lifetime(scheduled) == timedelta(days=7)

    def test_a_handler_can_be_declared_never_to_expire(self):
        assert wave.schedule("1h", "you").expires_at is None

    @pytest.mark.parametrize("target", [remind, "tests.shop.decorated.remind"])
    def test_handler_options_apply_to_schedule_job_too(self, order, target):
        scheduled = schedule_job("1h", target, order)
        assert (scheduled.queue_name, scheduled.priority) == ("mail", 5)
        assert lifetime(scheduled) == timedelta(days=2)

    def test_options_of_schedule_job_override_handler_options(self, order):
        scheduled = schedule_job("1h", remind, order, "3d", queue_name="slow", priority=0)
        assert (scheduled.queue_name, scheduled.priority) == ("slow", 0)
        assert lifetime(scheduled) == timedelta(days=3)

    def test_using_overrides_handler_options_for_one_call(self, order):
        scheduled = remind.using(priority=0, expires="3d").schedule("1h", order)
        assert (scheduled.queue_name, scheduled.priority) == ("mail", 0)
        assert lifetime(scheduled) == timedelta(days=3)
        assert remind.schedule("1h", order).priority == 5

    def test_several_calls_of_using_add_up(self, order):
        slow = remind.using(queue_name="slow").using(priority=1).bound_to(order)
        scheduled = slow.schedule("1h")
        assert (scheduled.queue_name, scheduled.priority) == ("slow", 1)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"queue_name": ""}, "1 to 100 printable"),
            ({"priority": 1000}, "-100 to 100"),
            ({"expires": "soon"}, "'soon' is not a duration"),
            ({"expires": "0s"}, "a positive duration"),
            ({"expires": 5}, "5 is not a duration"),
            ({"colour": "red"}, "no option 'colour'. Options: atomic, backoff, expires"),
        ],
    )
    def test_job_refuses_invalid_options(self, options, message):
        with pytest.raises(InvalidOption, match=message):
            job(**options)

    def test_using_refuses_unknown_options(self):
        with pytest.raises(InvalidOption, match=r"no option 'colour'. Options: .*content_object"):
            greet.using(colour="red")


@pytest.mark.slow
@pytest.mark.only_on("sqlite", reason="types do not depend on the database")
@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        ('greet.schedule("5d", "you", times=2)', ""),
        ('greet.schedule("5d", 5)', 'Argument 2 to "schedule" of "Scheduler" has incompatible'),
        ('greet.schedule("5d")', 'Missing positional argument "name"'),
        ('greet.schedule("5d", "you", time=2)', 'Unexpected keyword argument "time"'),
        ('greet.spec("5d", 5)', 'Argument 2 to "spec" of "Scheduler" has incompatible'),
        ('greet.using(priority=1).schedule("5d", 5)', "incompatible type"),
        ('greet.using(priority="high")', 'Argument "priority" to "using"'),
        ('greet.using(max_attempts="3")', 'Argument "max_attempts" to "using"'),
        ('greet.using(on_delete="ignore")', 'Argument "on_delete" to "using"'),
        ('greet.using(backoff=["1m", "1h"], timeout="30s", unique=True)', ""),
        ("greet(5)", "incompatible type"),
        ('wave.aschedule("5d", 5)', "incompatible type"),
        ('remind.bound_to(order).schedule("5d", text="now")', ""),
        ('remind.bound_to(order).schedule("5d", 5)', "incompatible type"),
        ('report.schedule("5d", "now")', ""),
        ('report.schedule("5d", 5)', "incompatible type"),
    ],
)
def test_mypy_checks_calls_of_a_typed_handler(call, complaint, complaints):
    assert complaint in complaints[call]
    assert bool(complaint) == bool(complaints[call])


@pytest.fixture(scope="module")
def complaints(tmp_path_factory):
    """Return the errors that mypy reports for each call of a typed handler."""
    (mark,) = (
        mark
        for mark in test_mypy_checks_calls_of_a_typed_handler.pytestmark
        if mark.name == "parametrize"
    )
    calls = [call for call, _ in mark.args[1]]
    module = tmp_path_factory.mktemp("typed") / "calls.py"
    module.write_text(TYPED + "\n".join(calls))
    cache = module.with_name("cache")  # a shared cache could contain the module of another run
    options = ["--follow-imports=silent", "--no-error-summary", "--cache-dir", cache]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, module],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    errors = dict.fromkeys(calls, "")
    for line in done.stdout.splitlines():
        path, number, message = line.split(":", 2)
        assert path == str(module), line
        errors[calls[int(number) - TYPED.count("\n") - 1]] += message
    assert done.returncode in {0, 1}, done.stderr
    return errors
