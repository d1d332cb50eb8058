"""Promises about what a task returns or raises, and about the times of its result."""

from datetime import timedelta
from typing import Any

from django_future.conformance.compat import TaskError, TaskResultStatus
from django_future.conformance.helpers import Helpers
from django_future.conformance.values import (
    EXTREME_FLOATS,
    FLOATS,
    NESTED,
    TEXTS,
    WHOLE_NUMBERS,
    after_json,
    deep,
    portrait,
)


class ReturnValuePromises(Helpers):
    """`return_value`, which makes a journey through JSON."""

    def test_a_task_that_returns_has_succeeded(self) -> None:
        """It has finished executing. (ref/tasks, TaskResultStatus.SUCCESSFUL)"""
        result = self.run_task(self.tasks.answer)
        self.assertEqual(result.status, TaskResultStatus.SUCCESSFUL)
        self.assertTrue(result.is_finished)

    def test_the_result_has_the_return_value(self) -> None:
        """It can be retrieved. (topics/tasks, Return values)"""
        self.assertEqual(self.run_task(self.tasks.answer).return_value, 42)

    def test_a_task_may_return_none(self) -> None:
        """It is the value from the function. (ref/tasks, TaskResult.return_value)"""
        self.assertIsNone(self.run_task(self.tasks.nothing).return_value)

    def test_all_types_of_json_can_be_returned(self) -> None:
        """Return values are serialized to JSON. (topics/tasks, Enqueueing Tasks)"""
        values: list[Any] = [*TEXTS, *WHOLE_NUMBERS, *FLOATS, True, False, None, [], {}, NESTED]
        for value in [*values, deep(20)]:
            with self.subTest(value=repr(value)[:80]):
                returned = self.run_task(self.tasks.echo, value).return_value
                self.assertEqual(portrait(returned), portrait(value))

    def test_extreme_floats_can_be_returned(self) -> None:
        """Return values are serialized to JSON. (topics/tasks, Enqueueing Tasks)"""
        returned = self.run_task(self.tasks.echo, EXTREME_FLOATS).return_value
        self.assertEqual(portrait(returned), portrait(EXTREME_FLOATS))

    def test_large_values_can_be_returned(self) -> None:
        """Return values are serialized to JSON. (topics/tasks, Enqueueing Tasks)"""
        self.assert_returns("ü" * 10**6, self.tasks.echo, "ü" * 10**6)

    def test_returned_tuples_become_lists(self) -> None:
        """Return values are serialized to JSON. (topics/tasks, Enqueueing Tasks)"""
        returned = self.run_task(self.tasks.tuple_of_tuples).return_value
        self.assertEqual(portrait(returned), portrait([1, [2, 3]]))

    def test_the_keys_of_a_return_value_become_texts(self) -> None:
        """JSON has no other keys. (topics/tasks, Enqueueing Tasks)"""
        returned = self.run_task(self.tasks.odd_keys).return_value
        expected = after_json({1: "whole", "inner": {2.5: "float"}})
        self.assertEqual(portrait(returned), portrait(expected))

    def test_a_return_value_that_is_not_json_fails_the_task(self) -> None:
        """It must be serializable, or TypeError is saved. (topics/tasks, Errors)"""
        for kind in ("datetime", "set", "function", "nested"):
            with self.subTest(kind):
                self.assert_failed(self.run_task(self.tasks.not_json, kind), TypeError)


class ErrorPromises(Helpers):
    """`errors`, and the status FAILED."""

    def test_a_task_that_raises_has_failed(self) -> None:
        """It raised an exception. (ref/tasks, TaskResultStatus.FAILED)"""
        result = self.run_task(self.tasks.fail)
        self.assertEqual(result.status, TaskResultStatus.FAILED)
        self.assertTrue(result.is_finished)

    def test_a_failed_task_has_no_return_value(self) -> None:
        """ValueError is raised. (topics/tasks, Return values)"""
        result = self.run_task(self.tasks.fail)
        with self.assertRaises(ValueError):
            _ = result.return_value

    def test_the_result_has_the_error(self) -> None:
        """The list contains a TaskError. (topics/tasks, Errors)"""
        (error,) = self.run_task(self.tasks.fail).errors
        self.assertIsInstance(error, TaskError)

    def test_the_error_has_the_class_of_the_exception(self) -> None:
        """It is the class raised. (ref/tasks, TaskError.exception_class)"""
        (error,) = self.run_task(self.tasks.fail).errors
        self.assertIs(error.exception_class, self.tasks.Refusal)
        (error,) = self.run_task(self.tasks.fail_with, "ZeroDivisionError").errors
        self.assertIs(error.exception_class, ZeroDivisionError)

    def test_the_error_has_the_traceback(self) -> None:
        """It is a string to help debugging. (topics/tasks, Errors)"""
        (error,) = self.run_task(self.tasks.fail, "Zoë 日本語").errors
        self.assertIsInstance(error.traceback, str)
        self.assertIn("Traceback (most recent call last)", error.traceback)
        self.assertIn("in fail", error.traceback)
        self.assertIn("Refusal: Zoë 日本語", error.traceback)

    def test_a_task_that_succeeds_has_no_errors(self) -> None:
        """They are the errors raised. (ref/tasks, TaskResult.errors)"""
        self.assertEqual(self.run_task(self.tasks.answer).errors, [])

    def test_a_task_that_exits_has_failed(self) -> None:
        """SystemExit is an exception. (topics/tasks, Errors)"""
        self.assert_failed(self.run_task(self.tasks.fail_with, "SystemExit"), SystemExit)

    def test_a_task_that_raises_a_base_exception_has_failed(self) -> None:
        """It is an exception. (topics/tasks, Errors)"""
        self.assert_failed(self.run_task(self.tasks.fail_with, "Abort"), self.tasks.Abort)

    def test_a_task_with_wrong_arguments_has_failed(self) -> None:
        """The exception may be part of running it. (topics/tasks, Errors)"""
        self.require("executes_tasks")
        results = [self.tasks.answer.enqueue(1), self.tasks.echo.enqueue(name="wrong")]
        self.run_due()
        for result in results:
            self.assert_failed(self.now(result), TypeError)

    def test_a_coroutine_that_raises_has_failed(self) -> None:
        """It raised an exception. (ref/tasks, TaskResultStatus.FAILED)"""
        self.require("supports_async_task")
        self.assert_failed(self.run_task(self.coroutines.fail), self.coroutines.Refusal)


class TimePromises(Helpers):
    """The times, the attempts and the workers of a result."""

    def assert_times(self, *times: Any) -> None:
        """Fail if a time is missing, earlier than the one before, or far from now."""
        self.assertNotIn(None, times)
        self.assertEqual(list(times), sorted(times))
        for each in times:
            self.assert_is_now(each)

    def test_the_times_of_a_success_follow_each_other(self) -> None:
        """When it began and finished execution. (ref/tasks, TaskResult.finished_at)"""
        result = self.run_task(self.tasks.answer)
        self.assert_times(result.enqueued_at, result.started_at, result.finished_at)

    def test_the_times_of_a_failure_follow_each_other(self) -> None:
        """Whether it failed or succeeded. (ref/tasks, TaskResult.finished_at)"""
        result = self.run_task(self.tasks.fail)
        self.assert_times(result.enqueued_at, result.started_at, result.finished_at)

    def test_the_last_attempt_of_one_is_the_first(self) -> None:
        """When the most recent run began. (ref/tasks, TaskResult.last_attempted_at)"""
        result = self.run_task(self.tasks.answer)
        attempts: list[Any] = [result.started_at, result.last_attempted_at]
        self.assertNotIn(None, attempts)
        self.assertLess(abs(attempts[1] - attempts[0]), timedelta(seconds=1))

    def test_enqueued_at_stays(self) -> None:
        """When the Task was enqueued. (ref/tasks, TaskResult.enqueued_at)"""
        self.require("executes_tasks", "lets_tasks_wait", "supports_get_result")
        result = self.tasks.answer.enqueue()
        before = self.now(result).enqueued_at
        self.run_due()
        self.assertEqual(self.now(result).enqueued_at, before)

    def test_a_finished_task_has_an_attempt(self) -> None:
        """How often it has been run. (ref/tasks, TaskResult.attempts)"""
        self.assertEqual(self.run_task(self.tasks.answer).attempts, 1)
        self.assertEqual(self.run_task(self.tasks.fail).attempts, 1)

    def test_a_finished_task_has_a_worker(self) -> None:
        """The ids of the workers that executed it. (ref/tasks, TaskResult.worker_ids)"""
        for task in (self.tasks.answer, self.tasks.fail):
            (worker_id,) = self.run_task(task).worker_ids
            self.assertIsInstance(worker_id, str)
            self.assertNotEqual(worker_id, "")
