"""Backends with faults in errors and attempts."""

from dataclasses import replace

from django.utils import timezone

from django_future.conformance.compat import (
    TaskResultStatus,
    task_finished,
)
from tests.conformance.memory import MemoryBackend, unvalidated
from tests.conformance.mutants.finders import found_by


@found_by("the_context_counts_the_attempts", "the_first_attempt_is_1")
class CountsFrom0(MemoryBackend):
    def start(self, row):
        super().start(row)
        row.worker_ids.pop()


@found_by("each_attempt_has_a_worker", "attempts_are_counted", "the_context_counts_the_attempts")
class LastWorkerOnly(MemoryBackend):
    def start(self, row):
        row.worker_ids.clear()
        super().start(row)


@found_by("each_failed_attempt_has_an_error", "a_task_that_never_succeeds_has_failed")
class LastErrorOnly(MemoryBackend):
    def result_of(self, row):
        result = super().result_of(row)
        del result.errors[:-1]
        return result


@found_by("the_first_and_the_last_attempt_have_their_times")
class StartedAtOfTheLastAttempt(MemoryBackend):
    def start(self, row):
        row.started_at = None
        super().start(row)


@found_by("the_first_and_the_last_attempt_have_their_times")
class LastAttemptedAtOfTheFirst(MemoryBackend):
    def start(self, row):
        before = row.last_attempted_at
        super().start(row)
        row.last_attempted_at = before or row.last_attempted_at


@found_by("a_retry_does_not_change_the_task_of_the_result")
class RetryMovesRunAfter(MemoryBackend):
    def execute(self, row):
        super().execute(row)
        if row.status == "READY":
            row.task = unvalidated(row.task, run_after=row.due_at)


@found_by("a_task_is_ready_between_two_attempts")
class FailedBetweenAttempts(MemoryBackend):
    def result_of(self, row):
        result = super().result_of(row)
        if row.errors and row.status == "READY":
            object.__setattr__(result, "status", TaskResultStatus.FAILED)
        return result


@found_by(
    "task_finished_is_sent_after_the_last_attempt_only", "a_task_is_ready_between_two_attempts"
)
class FinishesEachAttempt(MemoryBackend):
    def execute(self, row):
        super().execute(row)
        if row.status == "READY":
            row.finished_at = timezone.now()
            self.send(task_finished, row)


@found_by("a_task_that_exits_has_failed", "a_failed_task_does_not_stop_the_next")
class LetsSystemExitOut(MemoryBackend):
    def execute(self, row):
        super().execute(row)
        if row.errors and "SystemExit" in row.errors[-1].exception_class_path:
            raise SystemExit


@found_by("a_task_that_raises_a_base_exception_has_failed", "a_cancelled_task_has_failed")
class IgnoresBaseExceptions(MemoryBackend):
    def execute(self, row):
        super().execute(row)
        if row.errors and not issubclass(row.errors[-1].exception_class, Exception):
            row.status = TaskResultStatus.RUNNING


@found_by("the_error_has_the_class_of_the_exception", "a_task_with_wrong_arguments_has_failed")
class OneErrorClass(MemoryBackend):
    def describe(self, error):
        return replace(super().describe(error), exception_class_path="builtins.RuntimeError")


@found_by("the_error_has_the_traceback")
class NoTraceback(MemoryBackend):
    def describe(self, error):
        return replace(super().describe(error), traceback=None)


@found_by("the_error_has_the_traceback")
class MessageOnly(MemoryBackend):
    def describe(self, error):
        return replace(super().describe(error), traceback=repr(error))


@found_by("the_error_has_the_class_of_the_exception", "an_error_without_a_text_is_stored")
class StoresStr(MemoryBackend):
    def describe(self, error):
        return replace(super().describe(error), exception_class_path=str(error))


@found_by("the_traceback_has_the_cause")
class NoCause(MemoryBackend):
    def describe(self, error):
        error.__cause__ = error.__context__ = None
        return super().describe(error)


@found_by("a_task_that_raises_has_failed", "a_failed_task_has_no_return_value")
class AlwaysSuccessful(MemoryBackend):
    def finish(self, row, status):
        super().finish(row, TaskResultStatus.SUCCESSFUL)


@found_by("a_task_that_returns_has_succeeded", "a_task_that_succeeds_has_no_errors")
class AlwaysFailed(MemoryBackend):
    def finish(self, row, status):
        row.errors = row.errors or [self.describe(ValueError())]
        super().finish(row, TaskResultStatus.FAILED)
