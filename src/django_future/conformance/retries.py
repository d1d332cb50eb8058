"""Promises about tasks that have several attempts, for a backend that retries."""

from typing import Any

from django_future.conformance.compat import AnyResult, AnyTask, TaskResultStatus
from django_future.conformance.helpers import Helpers


class RetryPromises(Helpers):
    """Attempts, errors, workers and times of a task that is executed again."""

    def run_with_retries(self, task: AnyTask, *args: object) -> AnyResult:
        """Run a task with up to three attempts, and return its result."""
        self.require("supports_get_result")
        with self.reconfigured(OPTIONS=self.retrying(3)):
            result = task.enqueue(*args)
            self.run_attempts(3)
            return self.now(result)

    def test_a_task_that_succeeds_at_last_has_succeeded(self) -> None:
        """It has finished executing. (ref/tasks, TaskResultStatus.SUCCESSFUL)"""
        result = self.run_with_retries(self.tasks.succeed_at, 2)
        self.assert_succeeded(result)
        self.assertEqual(result.return_value, 2)

    def test_each_failed_attempt_has_an_error(self) -> None:
        """Those of each execution. (ref/tasks, TaskResult.errors)"""
        result = self.run_with_retries(self.tasks.succeed_at, 3)
        self.assertEqual([e.exception_class for e in result.errors], 2 * [self.tasks.Refusal])
        for number, error in enumerate(result.errors, 1):
            self.assertIn(f"attempt {number}", error.traceback)

    def test_a_task_that_never_succeeds_has_failed(self) -> None:
        """It raised an exception. (ref/tasks, TaskResultStatus.FAILED)"""
        result = self.run_with_retries(self.tasks.fail)
        self.assertEqual(result.status, TaskResultStatus.FAILED)
        self.assertEqual(len(result.errors), 3)

    def test_attempts_are_counted(self) -> None:
        """How often the Task has been run. (ref/tasks, TaskResult.attempts)"""
        self.assertEqual(self.run_with_retries(self.tasks.fail).attempts, 3)
        self.assertEqual(self.run_with_retries(self.tasks.succeed_at, 2).attempts, 2)

    def test_the_context_counts_the_attempts(self) -> None:
        """From 1. (ref/tasks, TaskContext.attempt)"""
        self.assertEqual(self.run_with_retries(self.tasks.succeed_at, 3).return_value, 3)

    def test_each_attempt_has_a_worker(self) -> None:
        """The ids of the workers that executed it. (ref/tasks, TaskResult.worker_ids)"""
        workers = self.run_with_retries(self.tasks.succeed_at, 3).worker_ids
        self.assertEqual(len(workers), 3)
        self.assertTrue(all(workers))

    def test_a_task_is_ready_between_two_attempts(self) -> None:
        """It is ready to be executed again. (ref/tasks, TaskResultStatus.READY)"""
        self.require("supports_get_result")
        with self.reconfigured(OPTIONS=self.retrying(3)):
            result = self.tasks.fail.enqueue()
            self.run_due()
            between = self.now(result)
        self.assertEqual(between.status, TaskResultStatus.READY)
        self.assertEqual((between.attempts, between.is_finished), (1, False))
        self.assertIsNone(between.finished_at)
        with self.assertRaises(ValueError):
            _ = between.return_value

    def test_the_first_and_the_last_attempt_have_their_times(self) -> None:
        """On its first attempt. (ref/tasks, TaskResult.started_at)"""
        self.require("supports_get_result")
        with self.reconfigured(OPTIONS=self.retrying(3)):
            result = self.tasks.fail.enqueue()
            self.run_due()
            first = self.now(result)
            with self.pass_time(self.deferral):
                self.run_due()
            second = self.now(result)
        self.assertEqual(second.started_at, first.started_at)
        attempts: list[Any] = [first.last_attempted_at, second.last_attempted_at]
        self.assertNotIn(None, attempts)
        self.assertLess(*attempts)

    def test_a_retry_does_not_change_the_task_of_the_result(self) -> None:
        """It is the Task that was enqueued. (ref/tasks, TaskResult.task)"""
        result = self.run_with_retries(self.tasks.succeed_at, 2)
        self.assertEqual(result.task, self.tasks.succeed_at)
