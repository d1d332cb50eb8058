"""The kind of an error, by which failures form groups."""

import json
from types import SimpleNamespace

import pytest
from django.core.exceptions import ObjectDoesNotExist

from django_future import ScheduledJob, job, run_jobs, schedule_job
from django_future.exceptions import WorkerLost
from django_future.execution.error_kind import error_kind
from django_future.execution.failure import rescue_job
from django_future.models import FailureNote
from django_future.status import Status
from django_future.store import store_for
from django_future.worker.heartbeat import new_worker
from tests.shop import flaky, hostile, jobs

pytestmark = pytest.mark.django_db(transaction=True)


@job
def parse(text):
    """Let the standard library raise."""
    json.loads(text)


@job(sensitive_arguments=True)
def pay(card):
    """Fail with an argument in the message."""
    raise ObjectDoesNotExist(card)


class Hiding(type):
    """A metaclass whose classes have no readable name."""

    @property
    def __name__(cls):
        raise RuntimeError("no name")


class Nameless(Exception, metaclass=Hiding):
    """An exception of such a class."""


def raise_nameless():
    """Raise it."""
    raise Nameless


def failed(callable_, *args, **options):
    """Return the job after its failure."""
    scheduled = schedule_job("0s", callable_, args=args, **options)
    run_jobs(ignore_errors=True)
    scheduled.refresh_from_db()
    assert scheduled.status == Status.FAILED
    return scheduled


def kind_of(function, *args):
    """Return the kind of the exception that a call raises."""
    try:
        function(*args)
    except (ArithmeticError, RecursionError) as error:
        return error_kind(error)
    raise AssertionError("it raised nothing")


class TestKinds:
    def test_it_names_the_class_and_the_function_of_the_project(self):
        kind = failed(jobs.fail).error_kind
        assert kind == f"ValueError in {jobs.fail.__module__}.{jobs.fail.__qualname__}"

    def test_frames_of_the_standard_library_do_not_count(self):
        assert failed(parse, "[").error_kind == "JSONDecodeError in tests.test_error_kind.parse"

    def test_a_sensitive_argument_is_not_part_of_it(self):
        kind = failed(pay, "4111").error_kind
        assert kind == "ObjectDoesNotExist in tests.test_error_kind.pay"

    def test_an_exception_of_the_package_itself_has_no_function(self):
        scheduled = schedule_job("0s", jobs.echo)
        ScheduledJob.objects.update(
            status=Status.RUNNING, worker="w", rescues=9, started_at=scheduled.created_at
        )
        scheduled.refresh_from_db()
        rescue_job(scheduled, store_for("default"), "The worker w was lost")
        scheduled.refresh_from_db()
        assert scheduled.error_kind == WorkerLost.__name__

    def test_an_exception_that_was_not_raised_has_no_function(self):
        assert error_kind(ValueError("x")) == "ValueError"

    @pytest.mark.parametrize("handler", [hostile.raise_unprintable, hostile.raise_syntax_error])
    def test_an_exception_that_cannot_be_formatted_has_a_kind(self, handler):
        assert failed(handler).error_kind.endswith(handler.__qualname__)

    def test_a_recursion_error_has_a_kind(self):
        def descend(level):
            descend(level + 1)

        assert kind_of(descend, 0).startswith("RecursionError in tests.test_error_kind.")

    def test_a_module_with_a_strange_name_is_a_question_mark(self):
        code = compile("def f():\n    1 / 0\n", "generated.py", "exec")
        namespace = {"__name__": SimpleNamespace()}
        exec(code, namespace)
        assert kind_of(namespace["f"]) == "ZeroDivisionError in ?.f"

    def test_a_class_that_hides_its_name_does_not_stop_the_run(self):
        scheduled, after = schedule_job("0s", raise_nameless), schedule_job("0s", jobs.echo)
        run_jobs(ignore_errors=True)
        scheduled.refresh_from_db()
        after.refresh_from_db()
        assert (scheduled.status, after.status) == (Status.FAILED, Status.COMPLETE)
        assert scheduled.error_kind.startswith("Nameless")

    def test_globals_that_cannot_be_read_have_no_function(self):
        class Unreadable(dict):
            def get(self, *_):
                raise ValueError("no")

        namespace = Unreadable()
        exec(compile("def f():\n    1 / 0\n", "generated.py", "exec"), namespace)
        assert kind_of(namespace["f"]) == "ZeroDivisionError"

    def test_a_very_long_kind_is_cut(self):
        kind = type("E" * 300, (Exception,), {})
        assert error_kind(kind()) == "E" * 255


class TestRows:
    def test_a_retry_clears_the_kind_and_the_note(self):
        scheduled = failed(jobs.fail)
        note = FailureNote.objects.create(author="ada", created_at=scheduled.created_at)
        ScheduledJob.objects.update(failure_note=note)
        scheduled.retry()
        scheduled.refresh_from_db()
        assert (scheduled.error_kind, scheduled.failure_note_id) == ("", None)

    def test_an_attempt_before_the_last_one_leaves_no_kind(self):
        scheduled = schedule_job("0s", flaky.charge, args=[1])
        run_jobs(ignore_errors=True)
        scheduled.refresh_from_db()
        assert (scheduled.status, scheduled.error_kind) == (Status.SCHEDULED, "")

    def test_a_claimed_job_of_a_worker_has_no_kind(self):
        schedule_job("0s", jobs.echo)
        store = store_for("default")
        [claimed] = store.claim(new_worker(), at=store.now(), limit=1)
        assert ScheduledJob.objects.get(pk=claimed.pk).error_kind == ""
