"""Which tasks the backend of Django's Tasks API accepts, and with which options."""

import functools
import os
import pickle
import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from types import FunctionType, SimpleNamespace

import django
import pytest
from django.utils import timezone

from django_future import ScheduledJob, run_jobs, schedule_job
from django_future.exceptions import InvalidCallable
from django_future.tasks.api import InvalidTask, InvalidTaskBackend, Task, task_backends
from django_future.testing.travel import stopped_clock
from tests.shop import tasks

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).parents[1]
FUTURE = "django_future.backend.FutureBackend"
LIBRARY = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"
IMMEDIATE = f"{LIBRARY}.backends.immediate.ImmediateBackend"

takes_options = pytest.mark.skipif(
    (6, 0) <= django.VERSION < (6, 1), reason="@task of Django 6.0 takes no options"
)
is_pickled = pytest.mark.skipif(
    django.VERSION < (6, 1), reason="before Django 6.1, a task cannot be pickled"
)


def module_level(function, name="report"):
    """Return a function as if it was defined in tests.shop.tasks under this name."""
    function.__module__, function.__name__, function.__qualname__ = tasks.__name__, name, name
    return function


def declared(monkeypatch, function, name="report", **options):
    """Declare a task in tests.shop.tasks."""
    made = tasks.task(**options)(module_level(function, name))
    monkeypatch.setattr(tasks, name, made, raising=False)
    return made


class Report:
    def method(self):
        """Do nothing."""

    @staticmethod
    def static():
        """Do nothing."""


def numbers():
    yield 1


async def later_numbers():
    yield 1


def nothing():
    """Do nothing."""


class TestFunctions:
    @pytest.mark.parametrize(
        "function",
        [
            lambda: None,
            Report.method,
            Report().method,
            Report.static,
            Report,
            functools.partial(nothing),
            print,
            numbers,
            later_numbers,
            module_level(FunctionType(nothing.__code__, {}), "x" * 250),
            None,
            "tests.shop.tasks.add",
        ],
        ids=str,
    )
    def test_what_no_worker_can_call_by_its_path_is_refused(self, function):
        with pytest.raises(InvalidTask):
            tasks.task()(function)

    def test_a_function_in_a_function_is_refused_with_a_remedy(self):
        def inner():
            """Do nothing."""

        with pytest.raises(InvalidTask, match="defined at a module level"):
            tasks.task(inner)

    def test_a_task_that_takes_its_context_must_have_it_first(self):
        with pytest.raises(InvalidTask, match="context"):
            tasks.task(takes_context=True)(module_level(lambda text: text))

    def test_a_task_of_a_script_is_refused_when_it_is_enqueued(self, monkeypatch):
        function = module_level(lambda: None)
        function.__module__ = "__main__"
        made = tasks.task(function)
        monkeypatch.setattr(sys.modules["__main__"], "report", made, raising=False)
        with pytest.raises(InvalidTask, match="script or a shell"):
            made.enqueue()

    def test_a_task_that_its_path_does_not_stand_for_is_refused(self):
        made = tasks.task(module_level(lambda: None, "add"))
        with pytest.raises(InvalidTask, match="not the task"):
            made.enqueue()


class TestValues:
    @pytest.mark.parametrize("priority", [101, -101, 1.5, True, "1"])
    def test_a_priority_out_of_range_is_refused(self, priority):
        with pytest.raises(InvalidTask, match=f"priority is {priority!r}"):
            tasks.add.using(priority=priority)

    @pytest.mark.parametrize("queue_name", ["", "x" * 101, "a\nb", ["default"], 5, b"default"])
    def test_a_name_that_no_queue_can_have_is_refused(self, settings, queue_name):
        settings.TASKS = {"default": {"BACKEND": FUTURE, "QUEUES": []}}
        with pytest.raises(InvalidTask, match="queue_name is "):
            tasks.add.using(queue_name=queue_name)

    def test_a_name_of_100_characters_is_accepted(self, settings):
        settings.TASKS = {"default": {"BACKEND": FUTURE, "QUEUES": []}}
        tasks.add.using(queue_name="x" * 100).enqueue(1)
        run_jobs()
        assert ScheduledJob.objects.get().return_value == 2

    def test_a_queue_that_the_settings_do_not_list_is_refused(self, settings):
        settings.TASKS = {"default": {"BACKEND": FUTURE, "QUEUES": ["default", "emails"]}}
        with pytest.raises(InvalidTask, match=r"'email'.*not in TASKS\['default'\].*'emails'\?"):
            tasks.add.using(queue_name="email")

    @pytest.mark.parametrize("run_after", ["1h", 5, date(2030, 1, 1)])
    def test_a_run_after_that_is_no_time_is_refused(self, run_after):
        with pytest.raises(InvalidTask, match="run_after is "):
            tasks.add.using(run_after=run_after)

    @pytest.mark.parametrize("uses_zones", [True, False])
    def test_a_naive_run_after_is_refused_if_times_have_zones(self, settings, uses_zones):
        settings.USE_TZ = uses_zones
        run_after = datetime(2999, 1, 1)
        if uses_zones:
            with pytest.raises(InvalidTask, match="aware datetime, because USE_TZ"):
                tasks.add.using(run_after=run_after)
        else:
            assert tasks.add.using(run_after=run_after).run_after == run_after

    @pytest.mark.parametrize("run_after", [timedelta.max, datetime.max])
    def test_a_run_after_that_is_too_late_is_refused(self, settings, run_after):
        if isinstance(run_after, datetime) and settings.USE_TZ:
            run_after = run_after.replace(tzinfo=timezone.get_default_timezone())
        with pytest.raises(InvalidTask):
            tasks.add.using(run_after=run_after).enqueue(1)
        assert not ScheduledJob.objects.exists()

    @pytest.mark.parametrize("delay", [timedelta(0), timedelta(days=-1)])
    def test_a_time_that_has_passed_means_now(self, delay):
        tasks.add.using(run_after=delay).enqueue(1)
        run_jobs()
        assert ScheduledJob.objects.get().return_value == 2

    def test_a_delay_counts_from_the_enqueue(self):
        later = tasks.add.using(run_after=timedelta(hours=1))
        at = timezone.now() + timedelta(days=1)
        with stopped_clock(at if timezone.is_aware(at) else timezone.make_aware(at)):
            assert later.enqueue(1).task.run_after == at + timedelta(hours=1)


class TestOptions:
    def test_the_options_of_using_are_kept_with_the_row(self):
        task = tasks.add.using(max_attempts=5, timeout="30s", unique=True, rescue=False)
        first, second = task.enqueue(1), task.enqueue(1)
        job = ScheduledJob.objects.get()
        assert first.id == second.id
        assert (job.max_attempts, job.options, job.is_rescuable) == (5, {"timeout": "30s"}, False)
        found = tasks.add.get_result(first.id).task
        assert (found.max_attempts, found.timeout, found.rescue) == (5, "30s", False)

    @takes_options
    def test_the_decorator_takes_the_options(self, monkeypatch):
        task = declared(
            monkeypatch, lambda n: n, max_attempts=5, timeout="30s", unique=True, expires="1d"
        )
        task.enqueue(1)
        assert task.enqueue(1).task.timeout == "30s"
        job = ScheduledJob.objects.get()
        assert (job.max_attempts, job.lifetime) == (5, timedelta(days=1))

    @takes_options
    def test_the_decorator_refuses_an_unknown_option(self):
        with pytest.raises(TypeError, match="max_attempt"):
            tasks.task(max_attempt=5)(module_level(lambda: None))

    @pytest.mark.parametrize(
        ("options", "word"),
        [
            ({"max_attempts": 0}, "max_attempts is 0"),
            ({"timeout": "soon"}, "timeout"),
            ({"timeout": timedelta(0)}, "positive"),
            ({"expires": 5}, "expires"),
            ({"atomic": "yes"}, "atomic is 'yes'"),
            ({"unique": 5}, "unique is 5"),
            ({"unique_replace": True}, "no effect without unique"),
            ({"max_attempts": 2, "backoff": ["1s", "2s"]}, "max_attempts=3"),
            ({"sensitive_arguments": "password"}, "Give a list"),
        ],
    )
    def test_options_that_are_wrong_are_refused_when_they_are_given(self, options, word):
        with pytest.raises(InvalidTask, match=word):
            tasks.add.using(**options)

    @pytest.mark.parametrize("name", ["max_attempt", "func", "takes_context", "retry"])
    def test_unknown_options_are_refused_by_name(self, name):
        with pytest.raises(TypeError, match=rf"using\(\) has no option '{name}'"):
            tasks.add.using(**{name: 5})

    def test_a_unique_task_that_moves_has_its_new_time(self):
        task = tasks.add.using(unique="key", unique_replace=True)
        task.using(run_after=timedelta(days=1)).enqueue(1)
        result = task.using(run_after=timedelta(days=2)).enqueue(1)
        assert result.task.run_after - timezone.now() > timedelta(days=1, hours=23)
        result.refresh()
        assert tasks.add.get_result(result.id).task.run_after == result.task.run_after

    def test_sensitive_arguments_are_those_of_the_declared_task(self, monkeypatch):
        hidden = tasks.echo.using(sensitive_arguments=True)
        with pytest.raises(InvalidTask, match="differ from those of the declared task"):
            hidden.enqueue("secret")
        monkeypatch.setattr(tasks, "echo", hidden)
        hidden.using(priority=5).enqueue("secret")


class TestBackends:
    @pytest.fixture(autouse=True)
    def aliases(self, settings):
        options = {"MAX_ATTEMPTS": 2, "BACKOFF": ["0s"], "ATOMIC": False, "DATABASE": "default"}
        settings.TASKS = {
            "default": {"BACKEND": FUTURE},
            "patient": {"BACKEND": FUTURE, "OPTIONS": options, "QUEUES": []},
            "immediate": {"BACKEND": IMMEDIATE},
        }

    def test_a_task_that_moves_has_the_options_of_its_new_backend(self, trace_texts):
        result = tasks.trace_and_fail.using(backend="patient").enqueue()
        for _ in range(3):
            run_jobs(ignore_errors=True)
        result.refresh()
        assert (result.status, result.attempts, len(result.errors)) == ("FAILED", 2, 2)
        assert trace_texts() == ["before the failure"] * 2  # not atomic

    def test_a_result_belongs_to_its_backend(self):
        result = tasks.add.using(backend="patient").enqueue(1)
        assert result.backend == result.task.backend == "patient"
        assert task_backends["patient"].get_result(result.id).task == result.task
        with pytest.raises(Exception, match=result.id):
            tasks.add.get_result(result.id)

    def test_a_task_of_django_can_move_to_this_backend(self, monkeypatch):
        task = declared(monkeypatch, lambda n: n, backend="immediate")
        moved = task.using(backend="default", run_after=timedelta(hours=1))
        assert type(moved) is Task
        result = moved.enqueue(5)
        run_jobs()
        result.refresh()
        assert (result.status, result.is_finished) == ("READY", False)
        run_jobs(now="2h")
        result.refresh()
        assert (result.return_value, result.backend) == (5, "default")

    def test_a_task_of_this_backend_can_move_to_another(self):
        assert tasks.add.using(max_attempts=3).using(backend="immediate").enqueue(1).attempts == 1

    def test_an_unknown_backend_is_refused(self):
        with pytest.raises(InvalidTaskBackend):
            tasks.add.using(backend="nowhere")

    def test_the_task_of_another_backend_can_be_scheduled(self, monkeypatch):
        task = declared(monkeypatch, lambda n: n, backend="immediate")
        schedule_job("0s", task.using(backend="patient"), args=[1])
        assert ScheduledJob.objects.get().max_attempts == 2

    def test_a_function_of_a_task_is_not_a_callable_of_a_job(self):
        with pytest.raises(InvalidCallable):
            schedule_job("0s", tasks.add.func, args=[1])


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
class TestDatabases:
    @pytest.fixture(autouse=True)
    def alias(self, settings):
        settings.TASKS = {"default": {"BACKEND": FUTURE, "OPTIONS": {"DATABASE": "other"}}}

    def test_tasks_are_in_the_database_of_the_options(self):
        results = [
            tasks.add.enqueue(1),
            *task_backends["default"].enqueue_many([(tasks.add, [1], {})]),
            SimpleNamespace(id=str(schedule_job("0s", tasks.add, args=[1]).pk)),
        ]
        assert ScheduledJob.objects.using("other").count() == 3
        run_jobs(using="other")
        assert [tasks.add.get_result(result.id).return_value for result in results] == [2, 2, 2]


class TestPickles:
    @is_pickled
    def test_a_task_and_its_result_can_be_pickled(self):
        task = tasks.add.using(timeout="30s", run_after=timedelta(hours=1), unique=True)
        assert pickle.loads(pickle.dumps(task)) == task
        result = task.enqueue(1, b=2)
        assert pickle.loads(pickle.dumps(result)) == result
        run_jobs(now="2h")
        result.refresh()
        again = pickle.loads(pickle.dumps(result))
        assert (again, again.return_value) == (result, 3)


EARLY = """
import sys
from importlib import import_module
library = import_module(sys.argv[1])

def add(a, b=1):
    return a + b

add.__module__ = "tests.shop.early"
task = library.task(add).using(priority=5)
from django.apps import apps
assert not apps.ready
import django
django.setup()
early = type(sys)("tests.shop.early")
early.add = task
sys.modules["tests.shop.early"] = early
from django_future.backend import FutureBackend
assert isinstance(task.get_backend(), FutureBackend)
assert task.get_backend().check() == []
print(task.get_backend().draft_of(task, [1], {}).job.callable_name)
"""


class TestImports:
    def test_a_task_can_be_defined_before_the_apps_are_ready(self):
        output = subprocess.run(
            [sys.executable, "-c", EARLY, LIBRARY],
            cwd=ROOT,
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        assert output == "tests.shop.early.add\n"
