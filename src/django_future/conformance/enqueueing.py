"""Promises about `enqueue` and `aenqueue`, and about the result that they return."""

from functools import partial

from asgiref.sync import async_to_sync
from django.db import transaction

from django_future.conformance.compat import (
    InvalidTask,
    TaskResult,
    TaskResultStatus,
    task_backends,
    task_enqueued,
)
from django_future.conformance.helpers import Helpers
from django_future.conformance.hooks import DEFAULT, QUEUE, SECOND
from django_future.conformance.values import NOT_JSON

MAX_ID_LENGTH = 64


class Rollback(Exception):
    """Rolls a transaction back."""


class EnqueueingPromises(Helpers):
    """`enqueue`, `aenqueue`, and the new TaskResult."""

    def test_enqueue_returns_a_result(self) -> None:
        """It can retrieve the result later. (topics/tasks, Enqueueing Tasks)"""
        self.assertIsInstance(self.tasks.answer.enqueue(), TaskResult)

    def test_aenqueue_is_a_variant_of_enqueue(self) -> None:
        """It enqueues in an async context. (ref/tasks, Task.aenqueue)"""
        result = async_to_sync(self.tasks.echo.aenqueue)("text")
        self.assertIsInstance(result, TaskResult)
        self.assertEqual(result.task, self.tasks.echo)

    def test_a_task_runs_after_aenqueue(self) -> None:
        """It is the variant of enqueue(). (ref/tasks, Task.aenqueue)"""
        self.require("executes_tasks")
        result = async_to_sync(self.tasks.echo.aenqueue)("text")
        self.run_due()
        self.assertEqual(self.now(result).return_value, "text")

    def test_the_backend_enqueues_a_task_with_its_arguments(self) -> None:
        """It takes them by position or name. (ref/tasks, BaseTaskBackend.enqueue)"""
        first = self.backend.enqueue(self.tasks.arguments, [1], {"two": 2})
        second = self.backend.enqueue(task=self.tasks.arguments, args=[1], kwargs={"two": 2})
        for result in (first, second):
            self.assertIsInstance(result, TaskResult)
            self.assertEqual(result.task, self.tasks.arguments)

    def test_the_backend_enqueues_a_task_in_an_async_context(self) -> None:
        """It takes them by position or name. (ref/tasks, BaseTaskBackend.aenqueue)"""
        aenqueue = async_to_sync(self.backend.aenqueue)
        first = aenqueue(self.tasks.arguments, [1], {"two": 2})
        second = aenqueue(task=self.tasks.arguments, args=[1], kwargs={"two": 2})
        for result in (first, second):
            self.assertIsInstance(result, TaskResult)
            self.assertEqual(result.task, self.tasks.arguments)

    def test_a_task_runs_after_the_backend_has_enqueued_it(self) -> None:
        """The arguments are for the task. (ref/tasks, BaseTaskBackend.enqueue)"""
        self.require("executes_tasks")
        results = [
            self.backend.enqueue(self.tasks.arguments, [1], {"two": 2}),
            async_to_sync(self.backend.aenqueue)(self.tasks.arguments, [1], {"two": 2}),
        ]
        self.run_due()
        for result in results:
            self.assertEqual(self.now(result).return_value, [[1], {"two": 2}])

    def test_a_new_result_is_ready(self) -> None:
        """The Task has just been enqueued. (ref/tasks, TaskResultStatus.READY)"""
        self.require("lets_tasks_wait")
        self.assertEqual(self.tasks.answer.enqueue().status, TaskResultStatus.READY)

    def test_a_new_result_has_no_times_of_a_run(self) -> None:
        """They are the times when it began and finished. (ref/tasks, TaskResult.started_at)"""
        self.require("lets_tasks_wait")
        result = self.tasks.answer.enqueue()
        times = (result.started_at, result.last_attempted_at, result.finished_at)
        self.assertEqual(times, (None, None, None))

    def test_a_new_result_has_no_attempts_and_no_errors(self) -> None:
        """Nothing has executed the Task. (ref/tasks, TaskResult.attempts)"""
        self.require("lets_tasks_wait")
        result = self.tasks.answer.enqueue()
        self.assertEqual((result.attempts, result.worker_ids, result.errors), (0, [], []))

    def test_a_new_result_is_not_finished(self) -> None:
        """Neither successfully nor with an error. (ref/tasks, TaskResult.is_finished)"""
        self.require("lets_tasks_wait")
        self.assertFalse(self.tasks.answer.enqueue().is_finished)

    def test_a_new_result_has_no_return_value(self) -> None:
        """ValueError is raised. (topics/tasks, Return values)"""
        self.require("lets_tasks_wait")
        result = self.tasks.answer.enqueue()
        with self.assertRaises(ValueError):
            _ = result.return_value

    def test_enqueued_at_is_the_time_of_the_call(self) -> None:
        """It is when the Task was enqueued. (ref/tasks, TaskResult.enqueued_at)"""
        self.assert_is_now(self.tasks.answer.enqueue().enqueued_at)

    def test_the_id_is_a_short_text(self) -> None:
        """Ids are strings of less than 64 characters. (ref/tasks, TaskResult.id)"""
        result_id = self.tasks.answer.enqueue().id
        self.assertIsInstance(result_id, str)
        self.assertTrue(0 < len(result_id) < MAX_ID_LENGTH, result_id)

    def test_the_id_is_unique(self) -> None:
        """Each result has a unique id. (topics/tasks, Task results)"""
        ids = {self.tasks.answer.enqueue().id for _ in range(20)}
        self.assertEqual(len(ids), 20)

    def test_the_result_has_the_task(self) -> None:
        """It is the Task that was enqueued. (ref/tasks, TaskResult.task)"""
        moved = self.tasks.answer.using(queue_name=QUEUE)
        self.assertEqual(moved.enqueue().task, moved)

    def test_the_result_has_the_alias_of_the_backend(self) -> None:
        """It is the backend that the result is from. (ref/tasks, TaskResult.backend)"""
        self.assertEqual(self.tasks.answer.enqueue().backend, DEFAULT)
        self.assertEqual(self.tasks.answer.using(backend=SECOND).enqueue().backend, SECOND)

    def test_the_attributes_of_a_result_cannot_be_modified(self) -> None:
        """A TaskResult cannot be modified. (ref/tasks, TaskResult)"""
        names = ("task", "id", "status", "enqueued_at", "backend", "errors", "attempts")
        self.assert_cannot_be_modified(self.tasks.answer.enqueue(), *names)

    def test_enqueue_refuses_an_invalid_task(self) -> None:
        """InvalidTask is raised. (ref/tasks, Task.enqueue)"""
        moved = self.tasks.record.using(queue_name=QUEUE)
        with (
            self.reconfigured(QUEUES=[DEFAULT]),
            self.assert_enqueues_nothing(),
            self.assertRaises(InvalidTask),
        ):
            moved.enqueue()

    def test_aenqueue_refuses_an_invalid_task(self) -> None:
        """InvalidTask is raised. (ref/tasks, Task.aenqueue)"""
        moved = self.tasks.record.using(queue_name=QUEUE)
        with (
            self.reconfigured(QUEUES=[DEFAULT]),
            self.assert_enqueues_nothing(),
            self.assertRaises(InvalidTask),
        ):
            async_to_sync(moved.aenqueue)()

    def test_enqueue_refuses_what_is_not_json(self) -> None:
        """Arguments must be serializable, or it is a TypeError. (topics/tasks, Enqueueing Tasks)"""
        for kind, value in NOT_JSON.items():
            for enqueue in (
                partial(self.tasks.record.enqueue, value),
                partial(self.tasks.record.enqueue, entry=value),
            ):
                with (
                    self.subTest(kind),
                    self.assert_enqueues_nothing(),
                    self.assertRaises(TypeError),
                ):
                    enqueue()

    def test_aenqueue_refuses_what_is_not_json(self) -> None:
        """It is the variant of enqueue(). (ref/tasks, Task.aenqueue)"""
        for kind, value in NOT_JSON.items():
            with (
                self.subTest(kind),
                self.assert_enqueues_nothing(),
                self.assertRaises(TypeError),
            ):
                async_to_sync(self.tasks.record.aenqueue)(value)

    def test_a_task_can_be_enqueued_on_commit(self) -> None:
        """Use transaction.on_commit() and partial(). (topics/tasks, Transactions)"""
        with self.listen(task_enqueued) as signals:
            with transaction.atomic():
                transaction.on_commit(partial(self.tasks.record.enqueue, entry=1))
                self.assertEqual(signals, [])
            self.assertEqual(len(signals), 1)

    def test_a_task_that_waits_for_a_commit_is_not_enqueued_after_a_rollback(self) -> None:
        """Use transaction.on_commit() and partial(). (topics/tasks, Transactions)"""
        with self.assert_enqueues_nothing(), self.assertRaises(Rollback), transaction.atomic():
            transaction.on_commit(partial(self.tasks.record.enqueue, entry=1))
            raise Rollback

    def test_a_task_can_be_enqueued_many_times(self) -> None:
        """A result is about one execution. (ref/tasks, TaskResult)"""
        self.require("executes_tasks")
        results = [self.tasks.echo.enqueue(number) for number in range(5)]
        self.run_due()
        self.assertEqual([self.now(result).return_value for result in results], [0, 1, 2, 3, 4])

    def test_a_task_can_enqueue_another_task(self) -> None:
        """A result may be retrieved in another Task. (topics/tasks, Task results)"""
        self.require("supports_get_result")
        result_id = self.run_task(self.tasks.enqueue_another, "text").return_value
        self.run_due()
        self.assertEqual(task_backends[DEFAULT].get_result(result_id).return_value, "text")
