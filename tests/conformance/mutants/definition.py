"""Backends with faults in settings and definitions."""

from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any

from django.apps import apps
from django.core import checks

from django_future.conformance.compat import (
    AnyTask,
    BaseTaskBackend,
    InvalidTask,
)
from tests.conformance.memory import MemoryBackend, unvalidated
from tests.conformance.mutants.finders import found_by


@found_by("a_queue_that_is_not_in_queues_is_invalid", "enqueue_refuses_an_invalid_task")
class ValidatesNothing(MemoryBackend):
    def validate_task(self, task):
        pass


@found_by("enqueue_refuses_an_invalid_task", "aenqueue_refuses_an_invalid_task")
class ValidatesAtDefinitionOnly(MemoryBackend):
    def enqueue(self, task, args, kwargs):
        valid = unvalidated(task, queue_name="default")
        return super().enqueue(valid, args, kwargs)


@found_by("run_after_may_be_a_timedelta")
class NoTimedelta(MemoryBackend):
    def validate_task(self, task):
        BaseTaskBackend.validate_task(self, task)


@found_by("run_after_must_be_aware")
class TakesNaiveTimes(MemoryBackend):
    def validate_task(self, task):
        super().validate_task(unvalidated(task, run_after=None))


@found_by("options_are_the_options_of_the_backend", "without_options_the_options_are_empty")
class FillsOptions(MemoryBackend):
    def __init__(self, alias, params):
        super().__init__(alias, params)
        self.options = {"ATTEMPTS": 1} | self.options


@found_by("the_backend_says_what_it_supports")
class Vague(MemoryBackend):
    supports_priority: Any = "mostly"


@found_by("without_queues_the_only_queue_is_default")
class AnyQueueByDefault(MemoryBackend):
    def __init__(self, alias, params):
        super().__init__(alias, {"QUEUES": []} | params)


@found_by("a_coroutine_can_be_a_task", "a_coroutine_runs")
class RefusesCoroutines(MemoryBackend):
    def validate_task(self, task):
        if iscoroutinefunction(task.func):
            raise InvalidTask
        super().validate_task(task)


@found_by("the_priority_may_be_between_minus_100_and_100")
class ValidatesTooMuch(MemoryBackend):
    def validate_task(self, task):
        super().validate_task(task)
        if abs(task.priority) > 99:
            raise InvalidTask


@found_by(
    "a_coroutine_is_no_task_if_the_backend_does_not_support_it",
    "run_after_is_invalid_if_the_backend_does_not_support_it",
    "the_priority_is_fixed_if_the_backend_does_not_support_it",
)
class AcceptsWhatItDoesNotSupport(MemoryBackend):
    supports_async_task = supports_defer = supports_priority = False

    def validate_task(self, task):
        pass


@found_by("check_has_no_errors_for_these_settings")
class FindsErrors(MemoryBackend):
    def check(self, **kwargs):
        return [checks.Error("wrong")]


@found_by("the_backend_can_be_made_before_the_apps_are_ready")
class NeedsModels(MemoryBackend):
    def __init__(self, alias, params):
        apps.check_models_ready()
        super().__init__(alias, params)


@dataclass(frozen=True, slots=True, kw_only=True)
class OddTask(AnyTask):
    """A task that cannot be modified or called."""

    def using(self, **changes):
        return self

    def call(self, *args):
        return None


@found_by(
    "call_calls_the_function_at_once",
    "using_creates_another_task",
    "using_modifies_the_backend",
    "using_modifies_the_priority",
    "using_modifies_the_queue",
    "using_modifies_the_time",
    "an_unknown_alias_is_invalid",
)
class OwnTaskClass(MemoryBackend):
    task_class = OddTask
