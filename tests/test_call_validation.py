"""Mistakes in calls of the API: each is refused with a remedy."""

import functools
import io
import tempfile
import traceback
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connection, connections, transaction
from django.http import HttpRequest
from django.test import RequestFactory

from django_future import (
    ScheduledJob,
    cancel_jobs,
    clock,
    job,
    job_as_parameter,
    pause_queue,
    retry_jobs,
    run_jobs,
    schedule_job,
    schedule_jobs,
)
from django_future.exceptions import (
    InvalidArguments,
    InvalidCallable,
    InvalidJobs,
    InvalidObject,
    InvalidOption,
    InvalidTime,
    SchedulingError,
)
from django_future.parameters import signature_of
from django_future.testing import assert_not_scheduled, assert_scheduled, perform_job, run_due_jobs
from django_future.text import MAX_ARGUMENTS_BYTES
from tests.shop import decorated, jobs
from tests.shop.models import Order, Trace
from tests.support.rows import rewrite

pytestmark = pytest.mark.django_db

# Any, because a type checker would report some of the mistakes.
at: Any = schedule_job
many: Any = schedule_jobs
decorate: Any = job
greet: Any = decorated.greet
report: Any = decorated.report
remind: Any = decorated.remind

SECRET = "4111-1111"
TRACE = "tests.shop.jobs.trace"


@job(sensitive_arguments=True)
def pay(card, amount=0):
    """Take a card number, which is sensitive."""


class TestArguments:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"callable": decorated.greet}, "missing a required argument: 'name'"),
            ({"callable": jobs.trace, "args": [1, 2]}, r"too many .* takes \(text=\.\.\.\)"),
            ({"callable": TRACE, "kwargs": {"texts": 1}}, "unexpected keyword argument 'texts'"),
            ({"callable": TRACE, "args": ["a"], "kwargs": {"text": 1}}, "multiple values .*'text'"),
            ({"callable": decorated.report}, "missing a required argument: 'text'.* the job"),
            ({"callable": decorated.wave, "args": [1, 2]}, "too many positional arguments"),
            ({"callable": jobs.trace_async}, "missing a required argument: 'text'"),
        ],
    )
    def test_arguments_that_the_handler_does_not_accept_are_refused(self, arguments, words):
        with pytest.raises(InvalidArguments, match=words):
            schedule_job("5d", **arguments)
        assert not ScheduledJob.objects.exists()

    @pytest.mark.parametrize(
        ("target", "args", "words"),
        [
            ("remind", [1, 2], "too many positional arguments"),
            ("note", [], "missing a required argument: 'text'"),
            ("ring", [1, 2], "too many positional arguments"),
            (jobs.trace, [1], "the content object, 1 in args"),
        ],
    )
    def test_arguments_that_a_method_does_not_accept_are_refused(self, target, args, words, order):
        with pytest.raises(InvalidArguments, match=words):
            schedule_job("5d", target, order, args=args)

    @pytest.mark.parametrize(
        ("target", "args"), [("remind", [2]), ("note", ["text"]), ("ring", []), (jobs.trace, [])]
    )
    def test_arguments_that_a_method_accepts_are_allowed(self, target, args, order):
        schedule_job("5d", target, order, args=args)

    def test_arguments_of_a_handler_without_a_signature_are_allowed(self, monkeypatch):
        monkeypatch.setattr(jobs, "echo", type("Opaque", (), {"__call__": print})())
        monkeypatch.setattr(type(jobs.echo), "__signature__", "none", raising=False)
        monkeypatch.setattr(type(jobs.echo), "__module__", jobs.__name__)
        schedule_job("5d", "tests.shop.jobs.echo", args=[1, 2, 3])

    def test_arguments_are_checked_for_each_spec(self):
        specs = [{"when": "5d", "callable": TRACE, "args": args} for args in ([1], [1, 2])]
        with pytest.raises(InvalidArguments, match="too many") as caught:
            schedule_jobs(specs)
        assert caught.value.__notes__ == ["The error is in the spec at index 1."]
        assert not ScheduledJob.objects.exists()

    def test_arguments_are_checked_with_using(self):
        with pytest.raises(InvalidArguments, match="'name'"):
            decorated.greet.using(priority=1).schedule("5d")

    @pytest.mark.parametrize(
        "changes",
        [
            {"args": [1, 2]},
            {"kwargs": {"texts": 1}},
            {"callable": jobs.type_error_inside},
            {"content_object": True},
        ],
    )
    def test_arguments_are_checked_when_a_job_is_rescheduled(self, changes, order):
        old = schedule_job("5d", jobs.trace, args=["text"])
        if "content_object" in changes:
            changes = {"content_object": order}
        with pytest.raises(InvalidArguments, match="does not accept"):
            old.reschedule("5d", **changes)

    def test_arguments_of_an_unknown_handler_are_not_checked(self):
        schedule_job("5d", jobs.trace)
        rewrite(callable_name="tests.shop.jobs.gone")
        assert ScheduledJob.objects.get().reschedule("5d", args=[1, 2]).args == [1, 2]

    def test_perform_job_checks_arguments(self):
        with pytest.raises(InvalidArguments, match="too many"):
            perform_job(jobs.trace, args=[1, 2])

    @pytest.mark.parametrize("check", [assert_scheduled, assert_not_scheduled])
    @pytest.mark.parametrize("described", [{"args": [1, 2, 3]}, {"kwargs": {"texts": 1}}])
    def test_assertions_refuse_arguments_that_no_job_can_have(self, check, described):
        with pytest.raises(InvalidArguments, match="does not accept"):
            check(jobs.trace, **described)

    @pytest.mark.parametrize("described", [{"args": ["a"]}, {"kwargs": {"text": 1}}, {}])
    def test_assertions_accept_a_part_of_the_arguments(self, described, order):
        assert_not_scheduled(decorated.remind, **described)

    def test_errors_do_not_quote_sensitive_arguments(self):
        for arguments in ({"args": [SECRET, 1, SECRET]}, {"kwargs": {"card": SECRET, "x": SECRET}}):
            with pytest.raises(InvalidArguments) as caught:
                schedule_job("5d", pay, **arguments)
            assert SECRET not in str(caught.value)

    def test_arguments_have_a_maximum_size(self):
        schedule_job("5d", jobs.echo, args=["x" * (MAX_ARGUMENTS_BYTES - 4)])
        with pytest.raises(InvalidArguments, match=r"args take 1,048,577 bytes, and the limit is"):
            schedule_job("5d", jobs.echo, args=["x" * (MAX_ARGUMENTS_BYTES - 3)])
        with pytest.raises(InvalidArguments, match="kwargs take"):
            schedule_job("5d", jobs.echo, kwargs={"value": "x" * MAX_ARGUMENTS_BYTES})


class TestSignature:
    def test_a_wrapper_without_own_parameters_has_the_signature_of_its_function(self):
        assert list(signature_of(transaction.atomic(jobs.echo)).parameters) == ["value"]

    def test_a_wrapper_with_parameters_has_its_own_signature(self):
        @functools.wraps(jobs.hold)
        def wrapper(text):
            return jobs.hold("path", text)

        assert list(signature_of(wrapper).parameters) == ["text"]

    def test_a_wrapper_can_set_its_signature(self):
        @functools.wraps(jobs.hold)
        def wrapper(*args, **kwargs):
            return jobs.hold("path", *args, **kwargs)

        wrapper.__signature__ = signature_of(jobs.echo)
        assert list(signature_of(wrapper).parameters) == ["value"]


class Basket:
    """A value that must be pickled."""

    def __init__(self, content):
        self.content = content


class InAScript:
    """A class of a script."""


InAScript.__module__ = "__main__"


def held(name):
    """Return a value that no job can hold."""
    request = RequestFactory().get("/")
    return {
        "queryset": Order.objects.all,
        "manager": lambda: Order.objects,
        "request": lambda: request,
        "file": lambda: tempfile.TemporaryFile("w+"),
        "upload": lambda: ContentFile(b"content"),
        "connection": lambda: connection,
        "cursor": connection.cursor,
        "wrapper": lambda: connections["default"],
        "generator": lambda: (n for n in ""),
        "values": {}.values,
        "script": InAScript,
        "class": lambda: InAScript,
    }[name]()


class TestUnsuitableArguments:
    @pytest.mark.parametrize(
        ("name", "remedy"),
        [
            ("queryset", r"values_list\('pk'"),
            ("manager", "Use the manager in the handler"),
            ("request", "request.user.pk"),
            ("file", "Read it first"),
            ("upload", "Read it first"),
            ("connection", "django.db.connection"),
            ("cursor", "django.db.connection"),
            ("wrapper", "django.db.connection"),
            ("generator", "a list of its items"),
            ("values", "a list of its items"),
            ("script", "Move it to a module"),
            ("class", "Move it to a module"),
        ],
    )
    @pytest.mark.parametrize(
        "wrap",
        [
            lambda value: {"args": [value]},
            lambda value: {"kwargs": {"value": value}},
            lambda value: {"args": [[{"key": (value,)}]]},
            lambda value: {"args": [Basket(value)]},
        ],
        ids=["args", "kwargs", "nested", "pickled"],
    )
    def test_an_unsuitable_argument_is_refused_with_the_remedy(self, name, remedy, wrap):
        value = held(name)
        with pytest.raises(InvalidArguments, match=remedy):
            schedule_job("5d", jobs.echo, **wrap(value))
        if hasattr(value, "close") and name == "file":
            value.close()

    def test_a_queryset_argument_is_refused_without_a_query(self, django_assert_num_queries):
        with django_assert_num_queries(0), pytest.raises(InvalidArguments):
            schedule_job("5d", jobs.echo, args=[Order.objects.all()])

    def test_a_bytes_io_is_accepted_as_an_argument(self):
        assert perform_job(jobs.echo, args=[io.BytesIO(b"content")]).getvalue() == b"content"

    def test_an_error_does_not_show_the_content_of_a_sensitive_argument(self):
        class Card:
            def __reduce__(self):
                raise RuntimeError(SECRET)

            __repr__ = __str__ = lambda _: SECRET

        with pytest.raises(InvalidArguments) as caught:
            schedule_job("5d", pay, args=[Card()])
        assert SECRET not in str(caught.getrepr(chain=True))


class TestTime:
    def test_a_time_in_the_past_is_due_at_once_and_expires_relative_to_the_call(self):
        scheduled = schedule_job(datetime(2020, 1, 1, tzinfo=UTC), jobs.trace, expires="1h")
        left = clock.from_row(scheduled.expires_at) - clock.now()
        assert left == pytest.approx(timedelta(hours=1), abs=timedelta(minutes=1))
        run_jobs()
        assert Trace.objects.count() == 1

    def test_a_copy_of_a_job_due_in_the_past_has_the_same_lifetime(self):
        old = schedule_job(datetime(2020, 1, 1, tzinfo=UTC), jobs.trace, expires="1h")
        for job_ in (old, ScheduledJob.objects.get()):
            new = job_.reschedule("1d")
            lifetime = new.expires_at - new.scheduled_at
            assert lifetime == pytest.approx(timedelta(hours=1), abs=timedelta(minutes=1))

    def test_an_expiry_in_the_past_is_refused(self):
        with pytest.raises(InvalidTime, match="is not after the current time"):
            schedule_job("2020-01-01", jobs.trace, expires="2020-02-01")

    @pytest.mark.parametrize("use_tz", [True, False])
    def test_the_times_of_the_error_are_in_the_current_zone(self, settings, use_tz):
        settings.USE_TZ, settings.TIME_ZONE = use_tz, "Asia/Tokyo"
        text = r"2030-01-01 08:00:00\+09:00, .* the scheduled time 2030-01-01 09:00:00\+09:00\."
        with pytest.raises(InvalidTime, match=text):
            schedule_job("2030-01-01T09:00", jobs.trace, expires="2030-01-01T08:00")


class TestSwappedArguments:
    @pytest.mark.parametrize(
        "call",
        [
            lambda _: at(jobs.trace, "1m"),
            lambda _: at(TRACE, "1m"),
            lambda _: at(jobs.trace, timedelta(minutes=1)),
            lambda order: at(order, "remind", "1m"),
            lambda order: at(order, "1m", "remind"),
            lambda order: at("remind", order, "1m"),
            lambda _: greet.schedule("you", "1m"),
            lambda order: remind.schedule(order, "1m"),
            lambda _: many([{"when": jobs.trace, "callable": "1m"}]),
        ],
    )
    def test_a_swapped_time_is_reported(self, call, order):
        with pytest.raises(InvalidTime, match=r"seem to be swapped: pass the time first"):
            call(order)

    @pytest.mark.parametrize(
        "call",
        [
            lambda order: remind.schedule(order, text="soon", tone="x"),
            lambda order: report.schedule(order, tone="x"),
            lambda _: greet.schedule("Ada"),
            lambda order: at(order, jobs.take, args=[Order.objects.all()]),
            lambda order: at(order, jobs.take, args=5),
        ],
    )
    def test_a_missing_time_is_reported_before_other_mistakes(self, call, order):
        with pytest.raises(InvalidTime, match=r"The first argument is the time, and a value of"):
            call(order)

    def test_a_missing_time_is_reported_without_a_sensitive_argument(self):
        with pytest.raises(InvalidTime) as caught:
            pay.schedule(SECRET)
        assert SECRET not in "".join(traceback.format_exception(caught.value))

    def test_an_argument_among_the_options_is_reported(self):
        with pytest.raises(
            InvalidOption, match=r"Pass an argument of the callable as kwargs=\{'tone': \.\.\.\}"
        ):
            schedule_job("5d", jobs.echo, tone="x")
        with pytest.raises(InvalidOption, match=r"handler to schedule\(\)"):
            decorated.greet.using(tone="x")

    @pytest.mark.parametrize(
        "call",
        [
            lambda: at("5d", jobs.echo, queue="mail"),
            lambda: greet.using(queue="mail"),
            lambda: decorate(queue="mail"),
        ],
    )
    def test_a_misspelt_option_is_reported_with_a_suggestion(self, call):
        with pytest.raises(InvalidOption, match="Did you mean 'queue_name'"):
            call()

    @pytest.mark.parametrize(
        ("options", "similar"),
        [
            ({"MAX_ATTEMPTS": 3}, "max_attempts"),
            ({"on_delete": "Fail"}, "fail"),
            ({"using": "defalt"}, "default"),
        ],
    )
    def test_a_similar_name_or_value_is_suggested(self, options, similar):
        with pytest.raises(InvalidOption, match=rf"Did you mean '{similar}'\?"):
            schedule_job("5d", jobs.echo, **options)

    @pytest.mark.parametrize(
        ("target", "words"),
        [
            (partial(jobs.echo, 1), "Pass its function as callable, and its arguments"),
            (Order.save, "pass the name of the method, 'save', and a saved instance"),
            (lambda: None, "Write it with def"),
            ("shpo.jobs.remind", "there is no module 'shpo'"),
        ],
    )
    def test_a_wrong_callable_is_reported_with_the_remedy(self, target, words):
        with pytest.raises(InvalidCallable, match=words):
            schedule_job("5d", target)

    @pytest.mark.parametrize(
        ("bound", "words"),
        [
            (Order.objects.all, "Schedule one job for each object"),
            (lambda: Order.objects, "Pass one saved instance"),
            (lambda: Order, "Pass one saved instance"),
            (lambda: 5, "Pass a saved model instance"),
            (HttpRequest, "Pass a saved model instance"),
        ],
    )
    def test_a_wrong_content_object_is_reported_with_the_remedy(self, bound, words):
        with pytest.raises(InvalidObject, match=words):
            schedule_job("5d", "remind", content_object=bound())
        with pytest.raises(InvalidObject, match="no model instance"):
            ScheduledJob.objects.for_object(bound())

    @pytest.mark.parametrize(
        "call",
        [
            lambda: schedule_job("5d", jobs.echo, using="gone"),
            lambda: run_jobs(using="gone"),
            lambda: pause_queue("mail", using="gone"),
            lambda: run_due_jobs(using="gone"),
        ],
    )
    def test_an_unknown_database_is_reported(self, call):
        with pytest.raises(InvalidOption, match="'gone', which DATABASES does not have"):
            call()

    def test_run_jobs_says_how_to_give_a_time(self):
        with pytest.raises(InvalidOption, match="Give a time as now"):
            run_jobs("5d")

    @pytest.mark.parametrize("options", [{"delete_completed": "default"}, {"ignore_errors": 1}])
    def test_run_jobs_refuses_options_that_are_not_booleans(self, options):
        with pytest.raises(InvalidOption, match="Give True or False"):
            run_jobs(**options)

    def test_an_error_about_a_callable_does_not_show_its_arguments(self):
        for target in (partial(jobs.echo, SECRET), {"card": SECRET}):
            with pytest.raises(InvalidCallable) as caught:
                at("5d", target)
            assert SECRET not in str(caught.value)

    def test_too_many_backoff_delays_are_refused(self):
        with pytest.raises(InvalidOption, match="Give at most 1000"):
            schedule_job("5d", jobs.echo, backoff=["1s"] * 1001)
        with pytest.raises(InvalidOption, match=r"allows only 1 retry\. Give max_attempts=3"):
            job(max_attempts=2, backoff=["1s", "2s"])


class TestDecorators:
    @pytest.mark.parametrize("decorator", [job, job(), job_as_parameter])
    @pytest.mark.parametrize("target", ["mail", 5, ["mail"]])
    def test_decorators_refuse_what_is_no_function(self, decorator, target):
        with pytest.raises(InvalidCallable, match=r"@job\(queue_name='mail'\)"):
            decorator(target)

    def test_decorators_refuse_a_class_method(self):
        with pytest.raises(InvalidCallable, match="class method"):

            class Shop:
                @job
                @classmethod
                def open(cls):
                    pass


class TestJobs:
    @pytest.mark.parametrize("change", [cancel_jobs, retry_jobs])
    @pytest.mark.parametrize(
        "given",
        [
            lambda found: [found],
            lambda found: found,
            lambda found: found.pk,
            lambda _: ScheduledJob.objects,
            lambda _: Order.objects.all(),
            lambda _: None,
        ],
    )
    def test_cancel_jobs_and_retry_jobs_require_a_queryset_of_jobs(self, change, given):
        found = schedule_job("5d", jobs.trace)
        with pytest.raises(InvalidJobs, match=r"ScheduledJob\.objects"):
            change(given(found))
        found.refresh_from_db()
        assert found.status == "scheduled"


class TestSpecs:
    @pytest.mark.parametrize(
        ("specs", "words"),
        [
            ([{"when": "1d"}], "at index 0 has no 'callable'. Give it"),
            ([{"when": "1d", "calable": "x"}], "Give it instead of 'calable'"),
            ([{}], "has no 'when' and no 'callable'"),
            ([("1d", TRACE)], "is of type tuple. Give a dictionary"),
            (["1d"], "is of type str. Give a dictionary"),
            ([{1: 2, "when": "1d", "callable": TRACE}], "is not valid"),
            (
                {"when": "1d", "callable": TRACE},
                "specs is of type dict. Give a list of dictionaries",
            ),
            ("1d", "specs is of type str"),
            (None, "specs is of type NoneType"),
        ],
    )
    def test_malformed_specs_are_refused(self, specs, words):
        with pytest.raises(InvalidOption, match=words) as caught:
            schedule_jobs(specs)
        assert "build" not in str(caught.value).partition("is not valid")[0]

    @pytest.mark.parametrize("spec", [{"when": "1d"}, "1d", None])
    def test_schedule_many_refuses_specs_that_the_handler_did_not_make(self, spec):
        with pytest.raises(InvalidCallable, match=r"Create it with spec\(\)"):
            decorated.greet.schedule_many([spec])

    def test_a_refused_spec_raises_scheduling_error(self):
        with pytest.raises(SchedulingError):
            schedule_jobs([{"when": "1d"}])
