"""Promises about the signals `task_enqueued`, `task_started` and `task_finished`."""

from contextlib import ExitStack
from typing import Any

from asgiref.sync import async_to_sync

from django_future.conformance.compat import (
    AnyTask,
    TaskResultStatus,
    task_enqueued,
    task_finished,
    task_started,
)
from django_future.conformance.helpers import Helpers, Sent
from django_future.conformance.hooks import SECOND

SIGNALS = {"enqueued": task_enqueued, "started": task_started, "finished": task_finished}


class SignalPromises(Helpers):
    """The signals, their order and their arguments."""

    def sent_by(self, task: AnyTask, *args: Any) -> dict[str, list[Sent]]:
        """Run a task, and return the signals by their names."""
        self.require("executes_tasks", "executes_in_this_process")
        with ExitStack() as stack:
            sent = {name: stack.enter_context(self.listen(each)) for name, each in SIGNALS.items()}
            task.enqueue(*args)
            self.run_due()
        return sent

    def test_task_enqueued_is_sent_once(self) -> None:
        """When a Task has been enqueued. (ref/signals, task_enqueued)"""
        with self.listen(task_enqueued) as signals:
            result = self.tasks.answer.enqueue()
        self.assertEqual([signal.id for signal in signals], [result.id])

    def test_task_enqueued_is_sent_once_by_aenqueue(self) -> None:
        """When a Task has been enqueued. (ref/signals, task_enqueued)"""
        with self.listen(task_enqueued) as signals:
            result = async_to_sync(self.tasks.answer.aenqueue)()
        self.assertEqual([signal.id for signal in signals], [result.id])

    def test_task_enqueued_has_the_class_of_the_backend(self) -> None:
        """The sender is the backend class. (ref/signals, task_enqueued)"""
        with self.listen(task_enqueued) as signals:
            self.tasks.answer.enqueue()
            async_to_sync(self.tasks.answer.aenqueue)()
            self.tasks.answer.using(backend=SECOND).enqueue()
        self.assertEqual([signal.sender for signal in signals], 3 * [type(self.backend)])

    def test_the_result_in_task_enqueued_is_ready(self) -> None:
        """It is the enqueued TaskResult. (ref/signals, task_enqueued)"""
        with self.listen(task_enqueued) as (signals):
            self.tasks.answer.enqueue()
        (sent,) = signals
        self.assertEqual((sent.status, sent.attempts), (TaskResultStatus.READY, 0))

    def test_task_started_and_task_finished_are_not_sent_by_enqueue(self) -> None:
        """They are about the execution. (ref/signals, task_started)"""
        self.require("lets_tasks_wait")
        with self.listen(task_started) as started, self.listen(task_finished) as finished:
            self.tasks.answer.enqueue()
        self.assertEqual((started, finished), ([], []))

    def test_task_started_is_sent_once(self) -> None:
        """When a Task has started executing. (ref/signals, task_started)"""
        sent = self.sent_by(self.tasks.answer)
        ids = {signal.id for signal in sent["enqueued"]}
        self.assertEqual([{signal.id} for signal in sent["started"]], [ids])

    def test_task_started_has_the_class_of_the_backend(self) -> None:
        """The sender is the backend class. (ref/signals, task_started)"""
        (started,) = self.sent_by(self.tasks.answer)["started"]
        self.assertIs(started.sender, type(self.backend))

    def test_the_result_in_task_started_is_running(self) -> None:
        """It is the started TaskResult. (ref/signals, task_started)"""
        (started,) = self.sent_by(self.tasks.answer)["started"]
        self.assertEqual(started.status, TaskResultStatus.RUNNING)

    def test_task_started_is_sent_before_the_function_is_called(self) -> None:
        """When a Task has started executing. (ref/signals, task_started)"""
        self.require("executes_tasks", "executes_in_this_process")
        calls = self.tasks.CALLS
        with self.connected(task_started, lambda **_: calls.append("started")):
            self.tasks.record.enqueue("called")
            self.run_due()
        self.assertEqual(calls, ["started", "called"])

    def test_task_finished_is_sent_after_the_function_is_called(self) -> None:
        """Once a Task has finished executing. (ref/signals, task_finished)"""
        self.require("executes_tasks", "executes_in_this_process")
        calls = self.tasks.CALLS
        with self.connected(task_finished, lambda **_: calls.append("finished")):
            self.tasks.record.enqueue("called")
            self.run_due()
        self.assertEqual(calls, ["called", "finished"])

    def test_task_finished_is_sent_once(self) -> None:
        """Once a Task has finished, successfully or otherwise. (ref/signals, task_finished)"""
        for task in (self.tasks.answer, self.tasks.fail):
            sent = self.sent_by(task)
            ids = {signal.id for signal in sent["enqueued"]}
            self.assertEqual([{signal.id} for signal in sent["finished"]], [ids])

    def test_task_finished_has_the_class_of_the_backend_after_a_success(self) -> None:
        """The sender is the backend class. (ref/signals, task_finished)"""
        (finished,) = self.sent_by(self.tasks.answer)["finished"]
        self.assertIs(finished.sender, type(self.backend))

    def test_task_finished_has_the_class_of_the_backend_after_a_failure(self) -> None:
        """The sender is the backend class. (ref/signals, task_finished)"""
        (finished,) = self.sent_by(self.tasks.fail)["finished"]
        self.assertIs(finished.sender, type(self.backend))

    def test_the_result_in_task_finished_has_succeeded(self) -> None:
        """It is the finished TaskResult. (ref/signals, task_finished)"""
        (finished,) = self.sent_by(self.tasks.answer)["finished"]
        self.assertEqual((finished.status, finished.errors), (TaskResultStatus.SUCCESSFUL, 0))

    def test_the_result_in_task_finished_has_failed(self) -> None:
        """It is the finished TaskResult. (ref/signals, task_finished)"""
        (finished,) = self.sent_by(self.tasks.fail)["finished"]
        self.assertEqual((finished.status, finished.errors), (TaskResultStatus.FAILED, 1))

    def test_the_signals_of_a_coroutine_are_sent(self) -> None:
        """Once a Task has finished, successfully or otherwise. (ref/signals, task_finished)"""
        self.require("supports_async_task")
        sent = self.sent_by(self.coroutines.echo, "text")
        self.assertEqual(
            {name: len(each) for name, each in sent.items()}, dict.fromkeys(SIGNALS, 1)
        )
