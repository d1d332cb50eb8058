"""Backends with faults in signals."""

from django.utils import timezone

from django_future.conformance.compat import (
    task_enqueued,
    task_finished,
    task_started,
)
from tests.conformance.memory import MemoryBackend
from tests.conformance.mutants.finders import found_by


@found_by("task_enqueued_has_the_class_of_the_backend", "task_started_has_the_class_of_the_backend")
class SendsItself(MemoryBackend):
    def send(self, signal, row):
        signal.send_robust(self, task_result=self.result_of(row))


@found_by("task_enqueued_is_sent_once", "task_started_is_sent_once", "task_finished_is_sent_once")
class SendsTwice(MemoryBackend):
    def send(self, signal, row):
        super().send(signal, row)
        super().send(signal, row)


@found_by(
    "task_enqueued_is_sent_once_by_aenqueue",
    "task_started_is_sent_once",
    "task_finished_has_the_class_of_the_backend_after_a_failure",
    "the_signals_of_a_coroutine_are_sent",
    "a_failed_task_is_logged_with_its_traceback",
)
class SendsNothing(MemoryBackend):
    def send(self, signal, row):
        pass


@found_by("task_started_and_task_finished_are_not_sent_by_enqueue")
class StartsAtEnqueue(MemoryBackend):
    def send(self, signal, row):
        super().send(signal, row)
        if signal is task_enqueued:
            super().send(task_started, row)


@found_by("task_started_is_sent_before_the_function_is_called")
class StartsLate(MemoryBackend):
    def send(self, signal, row):
        if signal is not task_started:
            super().send(signal, row)

    def call(self, row):
        value = super().call(row)
        super().send(task_started, row)
        return value


@found_by("the_result_in_task_finished_has_succeeded", "the_result_in_task_finished_has_failed")
class FinishedTooEarly(MemoryBackend):
    def finish(self, row, status):
        self.send(task_finished, row)
        row.status, row.finished_at = status, timezone.now()


@found_by(
    "a_receiver_of_task_finished_that_fails_does_not_undo_a_success",
    "a_receiver_of_task_finished_that_fails_does_not_replace_the_error",
    "a_receiver_of_task_started_that_fails_does_not_stop_the_task",
)
class ReceiversBreakIt(MemoryBackend):
    def send(self, signal, row):
        signal.send(type(self), task_result=self.result_of(row))


@found_by("a_failed_task_is_logged_with_its_traceback")
class FinishesOutsideTheHandler(MemoryBackend):
    def finish(self, row, status):
        row.status, row.finished_at = status, timezone.now()

    def execute(self, row):
        super().execute(row)
        self.send(task_finished, row)
