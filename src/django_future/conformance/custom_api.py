"""Customs of the API: what the documentation does not say, but Django's code does."""

from asgiref.sync import async_to_sync
from django.core import checks
from django.db import transaction

from django_future.conformance.compat import (
    LOGGER,
    InvalidTask,
    TaskResultStatus,
    task_backends,
)
from django_future.conformance.helpers import Helpers, define
from django_future.conformance.hooks import ANY_QUEUE, DEFAULT, SECOND


class ApiCustoms(Helpers):
    """Task, TaskResult and backend."""

    def test_call_calls_the_function_at_once(self) -> None:
        """Without a journey of the arguments. (custom: Task.call in the code)"""
        argument = (1, 2)
        self.assertIs(self.tasks.echo.call(argument), argument)
        self.assertIs(async_to_sync(self.tasks.echo.acall)(argument), argument)

    def test_call_calls_a_coroutine_at_once(self) -> None:
        """In both kinds of code. (custom: Task.call in the code)"""
        self.require("supports_async_task")
        self.assertEqual(self.coroutines.echo.call(1), 1)
        self.assertEqual(async_to_sync(self.coroutines.echo.acall)(1), 1)

    def test_using_without_changes_returns_an_equal_task(self) -> None:
        """A Task is a value. (custom: Task is a dataclass in the code)"""
        self.assertEqual(self.tasks.answer.using(), self.tasks.answer)

    def test_the_priority_must_be_a_whole_number(self) -> None:
        """Otherwise InvalidTask is raised. (custom: validate_task() in the code)"""
        self.require("supports_priority")
        with self.assertRaises(InvalidTask):
            self.tasks.answer.using(priority=3.5)

    def test_the_decorator_does_not_take_run_after(self) -> None:
        """It would be the time of the import. (custom: the decorator in the code)"""
        with self.assertRaises(TypeError):
            define(run_after=None)(self.tasks.answer.func)

    def test_the_decorator_refuses_an_unknown_argument(self) -> None:
        """The task class does not know it. (custom: the decorator in the code)"""
        with self.assertRaises(TypeError):
            define(no_such_option=1)(self.tasks.answer.func)

    def test_check_has_no_errors_for_these_settings(self) -> None:
        """Django's system check asks each backend. (custom: BaseTaskBackend.check in the code)"""
        for alias in (DEFAULT, SECOND, ANY_QUEUE):
            messages = list(task_backends[alias].check())
            self.assertEqual([each for each in messages if each.level >= checks.ERROR], [])

    def test_the_result_has_the_arguments(self) -> None:
        """As they are in JSON. (custom: TaskResult.args in the code)"""
        result = self.tasks.arguments.enqueue(1, (2,), three={"four": None})
        self.assertEqual((result.args, result.kwargs), ([1, [2]], {"three": {"four": None}}))
        if self.backend.supports_get_result:
            found = self.now(result)
            self.assertEqual((found.args, found.kwargs), (result.args, result.kwargs))

    def test_a_result_is_there_before_the_transaction_commits(self) -> None:
        """enqueue() does not wait for it. (custom: Immediate, Dummy)"""
        self.require("supports_get_result")
        with transaction.atomic():
            result = self.tasks.answer.enqueue()
            self.assertEqual(self.now(result).status, TaskResultStatus.READY)

    def test_a_task_may_open_a_durable_transaction(self) -> None:
        """Nothing else has opened one. (custom: Immediate, most others)"""
        self.assert_returns("done", self.tasks.in_a_durable_transaction)


class LoggingCustoms(Helpers):
    """What Django logs when the backend sends its signals."""

    def test_an_enqueued_task_is_logged(self) -> None:
        """At the level DEBUG. (custom: the receivers in django/tasks/signals.py)"""
        with self.assertLogs(LOGGER, "DEBUG") as logs:
            result = self.tasks.answer.enqueue()
        levels = [each.levelname for each in logs.records if result.id in each.getMessage()]
        self.assertIn("DEBUG", levels)

    def test_a_successful_task_is_logged_without_a_traceback(self) -> None:
        """At the level INFO. (custom: the receivers in django/tasks/signals.py)"""
        self.require("executes_tasks", "executes_in_this_process")
        with self.assertLogs(LOGGER, "INFO") as logs:
            self.tasks.answer.enqueue()
            self.run_due()
        messages = [each for each in logs.records if "SUCCESSFUL" in each.getMessage()]
        self.assertEqual([each.levelname for each in messages], ["INFO"])
        self.assertFalse(messages[0].exc_info and messages[0].exc_info[0])
        self.assertTrue(any("RUNNING" in each for each in logs.output))

    def test_a_failed_task_is_logged_with_its_traceback(self) -> None:
        """At the level ERROR. (custom: the receivers in django/tasks/signals.py)"""
        self.require("executes_tasks", "executes_in_this_process")
        with self.assertLogs(LOGGER, "INFO") as logs:
            self.tasks.fail.enqueue()
            self.run_due()
        (message,) = [each for each in logs.records if "FAILED" in each.getMessage()]
        self.assertEqual(message.levelname, "ERROR")
        self.assertIsNotNone(message.exc_info)
        self.assertIs(message.exc_info[0], self.tasks.Refusal)  # type: ignore[index]
