"""Customs about signals: receivers that look, that fail, and that are coroutines."""

from typing import Any

from django_future.conformance.compat import (
    AnyResult,
    AnyTask,
    TaskResultStatus,
    task_enqueued,
    task_finished,
    task_started,
)
from django_future.conformance.helpers import Helpers


def fail(**_: Any) -> None:
    """Fail as a receiver."""
    raise ZeroDivisionError


class SignalCustoms(Helpers):
    """What others see when a signal is sent, and what a receiver can break."""

    def seen_by(self, signal: Any, task: AnyTask) -> list[str]:
        """Run a task, and return the status that a receiver sees through `get_result`."""
        self.require("supports_get_result", "executes_tasks", "executes_in_this_process")
        seen: list[str] = []

        def look(task_result: AnyResult, **_: Any) -> None:
            seen.append(self.now(task_result).status)

        with self.connected(signal, look):
            task.enqueue()
            self.run_due()
        return seen

    def run_despite(self, signal: Any, task: AnyTask) -> AnyResult:
        """Run a task while a receiver fails, and then another task."""
        self.require("lets_tasks_wait", "supports_get_result", "executes_tasks")
        self.require("executes_in_this_process")
        results = [task.enqueue(), self.tasks.answer.enqueue()]
        with self.connected(signal, fail):
            self.run_due()
        self.assert_succeeded(self.now(results[1]))
        return self.now(results[0])

    def test_a_receiver_of_task_enqueued_finds_the_result(self) -> None:
        """The Task has been enqueued. (custom: database backends)"""
        self.require("lets_tasks_wait")
        self.assertEqual(self.seen_by(task_enqueued, self.tasks.answer), ["READY"])

    def test_a_receiver_of_task_started_sees_that_it_runs(self) -> None:
        """The Task has started. (custom: database backends)"""
        self.assertEqual(self.seen_by(task_started, self.tasks.answer), ["RUNNING"])

    def test_a_receiver_of_task_finished_sees_the_success(self) -> None:
        """The Task has finished. (custom: database backends)"""
        self.assertEqual(self.seen_by(task_finished, self.tasks.answer), ["SUCCESSFUL"])

    def test_a_receiver_of_task_finished_sees_the_failure(self) -> None:
        """The Task has finished. (custom: database backends)"""
        self.assertEqual(self.seen_by(task_finished, self.tasks.fail), ["FAILED"])

    def test_a_receiver_of_task_started_that_fails_does_not_stop_the_task(self) -> None:
        """Observers change nothing. (custom: django-ox)"""
        self.assert_succeeded(self.run_despite(task_started, self.tasks.answer))

    def test_a_receiver_of_task_finished_that_fails_does_not_undo_a_success(self) -> None:
        """Observers change nothing. (custom: django-ox)"""
        self.assert_succeeded(self.run_despite(task_finished, self.tasks.answer))

    def test_a_receiver_of_task_finished_that_fails_does_not_replace_the_error(self) -> None:
        """Observers change nothing. (custom: django-ox)"""
        result = self.run_despite(task_finished, self.tasks.fail)
        self.assert_failed(result, self.tasks.Refusal)

    def test_a_receiver_may_be_a_coroutine(self) -> None:
        """Django's signals allow it. (custom: Signal.send in the code)"""
        self.require("executes_tasks", "executes_in_this_process")
        seen: list[str] = []

        async def receive(task_result: AnyResult, **_: Any) -> None:
            seen.append(task_result.status)

        with self.connected(task_finished, receive):
            self.tasks.answer.enqueue()
            self.run_due()
        self.assertEqual(seen, [TaskResultStatus.SUCCESSFUL])


class RetryCustoms(Helpers):
    """What happens between the attempts of a task."""

    def test_task_finished_is_sent_after_the_last_attempt_only(self) -> None:
        """A retry is no end. (custom: django-ox)"""
        self.require("executes_in_this_process")
        with (
            self.reconfigured(OPTIONS=self.retrying(3)),
            self.listen(task_finished) as finished,
        ):
            self.tasks.fail.enqueue()
            self.run_attempts(3)
        self.assertEqual([each.status for each in finished], [TaskResultStatus.FAILED])

    def test_task_started_is_sent_for_each_attempt(self) -> None:
        """With its number. (custom: django-ox)"""
        self.require("executes_in_this_process")
        with self.reconfigured(OPTIONS=self.retrying(3)), self.listen(task_started) as started:
            self.tasks.fail.enqueue()
            self.run_attempts(3)
        self.assertEqual([each.attempts for each in started], [1, 2, 3])
