"""Promises about finding and refreshing results."""

from asgiref.sync import async_to_sync

from django_future.conformance.compat import (
    AnyResult,
    BaseTaskBackend,
    TaskResult,
    TaskResultDoesNotExist,
    TaskResultMismatch,
    TaskResultStatus,
)
from django_future.conformance.helpers import Helpers
from django_future.conformance.hooks import QUEUE, SECOND


class ResultPromises(Helpers):
    """`get_result`, `aget_result`, `refresh`, `arefresh`."""

    def ids_of_no_result(self) -> list[str]:
        """Return ids of several forms that no result has."""
        known = self.tasks.answer.enqueue().id
        zero_id = "00000000-0000-0000-0000-000000000000"
        ids = ["unknown", "", "0", "-1", "2147483648", "9" * 30, "x" * 63, zero_id, "ü", "a b"]
        return [*ids, f"{known}0", f" {known}", f"{known} "]

    def test_a_task_finds_its_result(self) -> None:
        """It is retrieved by its id. (topics/tasks, Task results)"""
        self.require("supports_get_result")
        result = self.tasks.answer.enqueue()
        found = self.tasks.answer.get_result(result.id)
        self.assertIsInstance(found, TaskResult)
        self.assertEqual(found.id, result.id)

    def test_a_task_finds_its_result_in_an_async_context(self) -> None:
        """It is the variant of get_result(). (ref/tasks, Task.aget_result)"""
        self.require("supports_get_result")
        result = self.tasks.answer.enqueue()
        found = async_to_sync(self.tasks.answer.aget_result)(result.id)
        self.assertEqual(found.id, result.id)

    def test_the_backend_finds_the_result_of_any_task(self) -> None:
        """Regardless of the kind of the Task. (topics/tasks, Task results)"""
        self.require("supports_get_result")
        for task in (self.tasks.answer, self.tasks.nothing):
            result = task.enqueue()
            found = self.backend.get_result(result.id)
            self.assertEqual((found.id, found.task.name), (result.id, task.name))

    def test_the_backend_finds_a_result_in_an_async_context(self) -> None:
        """It is the variant of get_result(). (ref/tasks, BaseTaskBackend.aget_result)"""
        self.require("supports_get_result")
        result = self.tasks.answer.enqueue()
        found = async_to_sync(self.backend.aget_result)(result.id)
        self.assertEqual((found.id, found.task.name), (result.id, "answer"))

    def test_another_thread_finds_a_result(self) -> None:
        """Results can be retrieved there. (ref/tasks, BaseTaskBackend.supports_get_result)"""
        self.require("supports_get_result")
        result = self.tasks.answer.enqueue()
        found: AnyResult = self.in_thread(lambda: self.tasks.answer.get_result(result.id))
        self.assertEqual(found.id, result.id)

    def test_a_task_that_another_thread_has_enqueued_runs(self) -> None:
        """Its result is found here. (ref/tasks, BaseTaskBackend.supports_get_result)"""
        self.require("supports_get_result", "executes_tasks")
        result: AnyResult = self.in_thread(lambda: self.tasks.echo.enqueue("text"))
        self.run_due()
        self.assertEqual(self.now(result).return_value, "text")

    def test_a_task_does_not_find_an_unknown_id(self) -> None:
        """TaskResultDoesNotExist is raised. (ref/tasks, Task.get_result)"""
        self.require("supports_get_result")
        for result_id in self.ids_of_no_result():
            with self.subTest(repr(result_id)), self.assertRaises(TaskResultDoesNotExist):
                self.tasks.answer.get_result(result_id)

    def test_the_backend_does_not_find_an_unknown_id(self) -> None:
        """TaskResultDoesNotExist is raised. (ref/tasks, BaseTaskBackend.get_result)"""
        self.require("supports_get_result")
        for result_id in self.ids_of_no_result():
            with self.subTest(repr(result_id)), self.assertRaises(TaskResultDoesNotExist):
                self.backend.get_result(result_id)

    def test_an_unknown_id_is_not_found_in_an_async_context(self) -> None:
        """It is the variant of get_result(). (ref/tasks, BaseTaskBackend.aget_result)"""
        self.require("supports_get_result")
        for result_id in self.ids_of_no_result():
            with self.subTest(repr(result_id)):
                with self.assertRaises(TaskResultDoesNotExist):
                    async_to_sync(self.tasks.answer.aget_result)(result_id)
                with self.assertRaises(TaskResultDoesNotExist):
                    async_to_sync(self.backend.aget_result)(result_id)

    def test_a_task_does_not_find_the_result_of_another_task(self) -> None:
        """TaskResultMismatch is raised. (ref/tasks, Task.get_result)"""
        self.require("supports_get_result")
        result = self.tasks.answer.enqueue()
        with self.assertRaises(TaskResultMismatch):
            self.tasks.nothing.get_result(result.id)
        with self.assertRaises(TaskResultMismatch):
            async_to_sync(self.tasks.nothing.aget_result)(result.id)

    def test_get_result_says_if_the_backend_does_not_support_it(self) -> None:
        """NotImplementedError is raised. (ref/tasks, Task.get_result)"""
        if self.backend.supports_get_result:
            self.skipTest("The backend keeps results.")
        if type(self.backend).get_result is not BaseTaskBackend.get_result:
            self.skipTest("The backend implements get_result(), for the same thread only.")
        with self.assertRaises(NotImplementedError):
            self.tasks.answer.get_result("id")
        with self.assertRaises(NotImplementedError):
            async_to_sync(self.backend.aget_result)("id")

    def test_a_found_result_has_the_task(self) -> None:
        """It is the Task that was enqueued. (ref/tasks, TaskResult.task)"""
        self.require("supports_get_result")
        moved = self.tasks.describe_context.using(queue_name=QUEUE)
        self.assertEqual(self.now(moved.enqueue()).task, moved)

    def test_a_found_result_has_the_task_with_priority_and_time(self) -> None:
        """It is the Task that was enqueued. (ref/tasks, TaskResult.task)"""
        self.require("supports_get_result", "supports_priority", "supports_defer")
        later = self.after(self.deferral)
        moved = self.tasks.answer.using(priority=7, run_after=later)
        self.assertEqual(self.now(moved.enqueue()).task, moved)

    def test_a_found_result_has_the_alias_of_the_backend(self) -> None:
        """It is the backend that the result is from. (ref/tasks, TaskResult.backend)"""
        self.require("supports_get_result")
        result = self.tasks.answer.using(backend=SECOND).enqueue()
        found = self.now(result)
        self.assertEqual((found.backend, found.task.backend), (SECOND, SECOND))

    def test_a_result_does_not_change_by_itself(self) -> None:
        """It holds the status of when it was retrieved. (topics/tasks, Updating results)"""
        self.require("supports_get_result", "executes_tasks", "lets_tasks_wait")
        result = self.tasks.answer.enqueue()
        found = self.tasks.answer.get_result(result.id)
        self.run_due()
        self.assertEqual(result.status, TaskResultStatus.READY)
        self.assertEqual(found.status, TaskResultStatus.READY)

    def test_refresh_updates_a_result(self) -> None:
        """It refreshes the values. (topics/tasks, Updating results)"""
        self.require("supports_get_result", "executes_tasks")
        result = self.tasks.answer.enqueue()
        self.run_due()
        result.refresh()
        self.assert_is_up_to_date(result)

    def test_arefresh_updates_a_result(self) -> None:
        """It is the async variant of refresh(). (ref/tasks, TaskResult.arefresh)"""
        self.require("supports_get_result", "executes_tasks")
        result = self.tasks.answer.enqueue()
        self.run_due()
        async_to_sync(result.arefresh)()
        self.assert_is_up_to_date(result)

    def test_refresh_updates_the_errors(self) -> None:
        """It refreshes the values. (topics/tasks, Updating results)"""
        self.require("supports_get_result", "executes_tasks")
        result = self.tasks.fail.enqueue()
        self.run_due()
        result.refresh()
        self.assert_failed(result, self.tasks.Refusal)

    def test_the_result_of_a_waiting_task_can_be_refreshed(self) -> None:
        """It is still ready. (topics/tasks, Updating results)"""
        self.require("supports_get_result", "lets_tasks_wait")
        result = self.tasks.answer.enqueue()
        result.refresh()
        self.assertEqual((result.status, result.attempts), (TaskResultStatus.READY, 0))

    def assert_is_up_to_date(self, result: AnyResult) -> None:
        """Fail if the result does not show that its task has succeeded."""
        self.assertEqual(result.status, TaskResultStatus.SUCCESSFUL)
        self.assertEqual((result.return_value, result.attempts), (42, 1))
        self.assertIsNotNone(result.started_at)
        self.assertIsNotNone(result.finished_at)
