"""Promises about the execution of tasks: which, in which order, and with which context."""

from django_future.conformance.compat import TaskResultStatus
from django_future.conformance.helpers import Helpers
from django_future.conformance.hooks import ANY_QUEUE, QUEUE, SECOND


class RunningPromises(Helpers):
    """The execution of tasks, and its order."""

    def test_a_task_waits_until_it_runs(self) -> None:
        """enqueue() adds it to the queue store. (topics/tasks, Enqueueing Tasks)"""
        self.require("executes_tasks", "lets_tasks_wait", "supports_get_result")
        result = self.tasks.answer.enqueue()
        self.assertEqual(self.now(result).status, TaskResultStatus.READY)
        self.run_due()
        self.assertEqual(self.now(result).status, TaskResultStatus.SUCCESSFUL)

    def test_a_finished_task_does_not_run_again(self) -> None:
        """A worker looks for new Tasks. (topics/tasks, Background Task fundamentals)"""
        result = self.run_task(self.tasks.answer)
        self.run_due()
        again = self.now(result)
        self.assertEqual((again.attempts, again.finished_at), (1, result.finished_at))

    def test_a_failed_task_does_not_stop_the_next(self) -> None:
        """The exception is saved. (topics/tasks, Errors)"""
        self.require("executes_tasks")
        results = [self.tasks.fail.enqueue(), self.tasks.answer.enqueue()]
        results += [self.tasks.fail_with.enqueue("SystemExit"), self.tasks.answer.enqueue()]
        self.run_due()
        statuses = [self.now(result).status for result in results]
        self.assertEqual(statuses, ["FAILED", "SUCCESSFUL", "FAILED", "SUCCESSFUL"])

    def test_tasks_of_each_queue_run(self) -> None:
        """The backend supports each of QUEUES. (ref/settings, TASKS-QUEUES)"""
        for name in ("default", QUEUE):
            with self.subTest(name):
                self.assert_returns(42, self.tasks.answer.using(queue_name=name))

    def test_tasks_of_any_queue_run_with_empty_queues(self) -> None:
        """An empty list only disables the validation. (ref/settings, TASKS-QUEUES)"""
        for name in ("default", "whatever"):
            with self.subTest(name):
                moved = self.tasks.answer.using(backend=ANY_QUEUE, queue_name=name)
                self.assert_returns(42, moved)

    def test_tasks_of_another_alias_run(self) -> None:
        """Multiple backends are supported. (topics/tasks, Configuring a Task backend)"""
        self.assert_returns(42, self.tasks.answer.using(backend=SECOND))

    def test_tasks_run_by_their_priority(self) -> None:
        """Larger numbers will be run sooner. (ref/tasks, Task.priority)"""
        self.require("supports_priority", "executes_tasks", "lets_tasks_wait")
        priorities = [0, 50, -100, 100, -1, 1]
        results = {
            priority: self.tasks.answer.using(priority=priority).enqueue()
            for priority in priorities
        }
        self.run_due()
        started = [self.now(results[each]).started_at for each in sorted(priorities, reverse=True)]
        self.assertEqual(started, sorted(started))

    def test_a_coroutine_runs(self) -> None:
        """The backend supports it. (ref/tasks, BaseTaskBackend.supports_async_task)"""
        self.require("supports_async_task")
        self.assert_returns("text", self.coroutines.echo, "text")

    def test_a_task_may_be_in_any_module(self) -> None:
        """A file tasks.py is not enforced. (topics/tasks, Defining Tasks)"""
        self.require("executes_tasks")
        with self.module_outside_the_apps() as module:
            self.assert_returns(42, module.answer)

    def test_the_module_of_a_task_is_imported_if_necessary(self) -> None:
        """Workers run outside the request. (topics/tasks, Background Task fundamentals)"""
        self.require("executes_tasks", "lets_tasks_wait", "supports_get_result")
        with self.module_outside_the_apps() as module:
            result = module.answer.enqueue()
            self.forget(module)
            self.run_due()
            self.assertEqual(self.now(result).return_value, 42)


class ContextPromises(Helpers):
    """The TaskContext."""

    def test_a_task_receives_its_context(self) -> None:
        """It is passed if the Task takes it. (topics/tasks, Task context)"""
        result = self.run_task(self.tasks.describe_context)
        self.assert_succeeded(result)
        self.assertEqual(result.return_value["class"], "TaskContext")

    def test_a_task_receives_its_context_before_its_arguments(self) -> None:
        """Only Tasks that take it receive it. (topics/tasks, Task context)"""
        result = self.run_task(self.tasks.describe_context, 1, two=2)
        self.assert_succeeded(result)
        self.assertEqual(result.return_value["arguments"], [[1], {"two": 2}])

    def test_the_context_has_the_result_of_the_task(self) -> None:
        """It is the TaskResult being run. (ref/tasks, TaskContext.task_result)"""
        result = self.run_task(self.tasks.describe_context)
        self.assertEqual(result.return_value["id"], result.id)
        self.assertEqual(result.return_value["name"], "describe_context")

    def test_the_result_in_the_context_is_running(self) -> None:
        """The Task is being executed. (ref/tasks, TaskResultStatus.RUNNING)"""
        described = self.run_task(self.tasks.describe_context).return_value
        self.assertEqual(described["status"], TaskResultStatus.RUNNING)
        self.assertTrue(described["is_started"])
        self.assertFalse(described["is_finished"])

    def test_the_result_in_the_context_has_no_return_value(self) -> None:
        """ValueError is raised. (topics/tasks, Return values)"""
        self.assert_returns("ValueError", self.tasks.own_return_value)

    def test_the_first_attempt_is_1(self) -> None:
        """Attempts start at 1. (ref/tasks, TaskContext.attempt)"""
        self.assertEqual(self.run_task(self.tasks.describe_context).return_value["attempt"], 1)

    def test_the_context_cannot_be_modified(self) -> None:
        """Its attributes cannot. (ref/tasks, TaskContext)"""
        self.assert_returns([], self.tasks.modify_context)

    def test_a_coroutine_receives_its_context(self) -> None:
        """It is passed if the Task takes it. (topics/tasks, Task context)"""
        self.require("supports_async_task")
        self.assert_returns(1, self.coroutines.attempt)

    def test_others_see_that_a_task_is_running(self) -> None:
        """The Task is being executed. (ref/tasks, TaskResultStatus.RUNNING)"""
        self.require("supports_get_result")
        self.assert_returns("RUNNING", self.tasks.stored_status)
