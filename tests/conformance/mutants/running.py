"""Backends with faults in the execution of tasks."""

from dataclasses import replace
from datetime import timedelta
from inspect import iscoroutinefunction

from django.db import transaction
from django.utils import timezone

from django_future.conformance.compat import (
    TaskResultStatus,
)
from tests.conformance.memory import ROWS, MemoryBackend, unvalidated
from tests.conformance.mutants.finders import found_by


@found_by("tasks_run_by_their_priority")
class FirstInFirstOut(MemoryBackend):
    def rank(self, row):
        return row.enqueued_at


@found_by("tasks_run_by_their_priority")
class LowestFirst(MemoryBackend):
    def rank(self, row):
        return row.task.priority


@found_by("a_high_priority_does_not_hasten_a_deferred_task")
class PriorityBeatsTime(MemoryBackend):
    def may_run(self, row):
        hasty = unvalidated(row.task, priority=0)
        due = row.due_at if row.task.priority < 100 else row.enqueued_at
        return super().may_run(replace(row, task=hasty, due_at=due))


@found_by(
    "a_task_runs_after_run_after_and_not_before",
    "a_task_waits_for_run_after_in_any_time_zone",
    "a_deferred_coroutine_waits",
    "run_after_may_be_a_timedelta",
)
class IgnoresRunAfter(MemoryBackend):
    def may_run(self, row):
        return super().may_run(replace(row, due_at=row.enqueued_at))


@found_by("a_task_waits_for_run_after_in_any_time_zone", "run_after_may_be_in_any_time_zone")
class IgnoresZones(MemoryBackend):
    def enqueue(self, task, args, kwargs):
        if task.run_after is not None and not isinstance(task.run_after, timedelta):
            zone = timezone.get_default_timezone()
            task = unvalidated(task, run_after=task.run_after.replace(tzinfo=zone))
        return super().enqueue(task, args, kwargs)


@found_by("a_task_runs_after_run_after_and_not_before")
class NeverRunsDeferred(MemoryBackend):
    def may_run(self, row):
        return super().may_run(row) and row.task.run_after is None


@found_by("a_deferred_task_does_not_hold_up_the_others")
class StrictOrder(MemoryBackend):
    def next_row(self):
        ready = [row for row in ROWS.values() if row.status == "READY"]
        return ready[0] if ready and self.may_run(ready[0]) else None


@found_by("tasks_of_any_queue_run_with_empty_queues")
class EmptyMeansNone(MemoryBackend):
    def serves(self, queue):
        return queue in self.queues


@found_by("tasks_of_each_queue_run")
class DefaultQueueOnly(MemoryBackend):
    def serves(self, queue):
        return queue == "default"


@found_by("tasks_of_another_alias_run")
class DefaultAliasOnly(MemoryBackend):
    def may_run(self, row):
        return self.alias == "default" and super().may_run(row)


@found_by("a_finished_task_does_not_run_again")
class RunsTwice(MemoryBackend):
    def finish(self, row, status):
        super().finish(row, status)
        if len(row.worker_ids) == 1:
            row.status = TaskResultStatus.READY
            row.due_at = timezone.now() + timedelta(microseconds=1)


@found_by("a_failed_task_does_not_stop_the_next")
class StopsAtAFailure(MemoryBackend):
    def next_row(self):
        failed = any(row.status == "FAILED" for row in ROWS.values())
        return None if failed else super().next_row()


@found_by("the_context_has_the_result_of_the_task", "the_context_cannot_be_modified")
class ContextOfAnother(MemoryBackend):
    def call(self, row):
        class Context:
            attempt = 1
            task_result = self.result_of(replace(row, id="another"))

        args, kwargs = self.load(row.arguments)
        return row.task.call(*([Context()] if row.task.takes_context else []), *args, **kwargs)


@found_by("a_task_receives_its_context_before_its_arguments")
class ContextLast(MemoryBackend):
    def call(self, row):
        args, kwargs = self.load(row.arguments)
        context = [self.context(row)] if row.task.takes_context else []
        return row.task.call(*args, *context, **kwargs)


@found_by("the_result_in_the_context_is_running", "others_see_that_a_task_is_running")
class NeverRunning(MemoryBackend):
    def start(self, row):
        super().start(row)
        row.status = TaskResultStatus.READY


@found_by(
    "the_result_of_a_finished_task_is_found_after_its_queue_is_gone",
    "a_waiting_task_whose_queue_is_gone_does_not_stop_the_others",
)
class ValidatesStoredTasks(MemoryBackend):
    def serves(self, queue):
        return True

    def result_of(self, row):
        self.validate_task(row.task)
        return super().result_of(row)


@found_by(
    "the_result_of_a_finished_task_is_found_or_not_after_its_code_is_gone",
    "a_waiting_task_whose_code_is_gone_does_not_stop_the_others",
)
class ImportsTheCode(MemoryBackend):
    def result_of(self, row):
        __import__(row.task.func.__module__)
        return super().result_of(row)


@found_by("a_task_may_be_in_any_module", "the_module_of_a_task_is_imported_if_necessary")
class KnowsItsAppsOnly(MemoryBackend):
    def may_run(self, row):
        return "django_future" in row.task.module_path and super().may_run(row)


@found_by(
    "a_task_is_retried_when_its_alias_says", "a_task_has_as_many_attempts_as_its_alias_allows"
)
class RunsAllAliases(MemoryBackend):
    def may_run(self, row):
        return row.status == "READY" and row.due_at <= timezone.now()


@found_by("a_task_may_open_a_durable_transaction")
class OneTransaction(MemoryBackend):
    def call(self, row):
        with transaction.atomic():
            return super().call(row)


@found_by(
    "a_coroutine_runs", "a_coroutine_receives_its_context", "a_coroutine_that_raises_has_failed"
)
class NeverAwaits(MemoryBackend):
    def call(self, row):
        if iscoroutinefunction(row.task.func):
            return "a coroutine"
        return super().call(row)


@found_by("the_result_in_the_context_has_no_return_value")
class EarlyReturnValue(MemoryBackend):
    def context(self, row):
        return super().context(replace(row, status=TaskResultStatus.SUCCESSFUL))
