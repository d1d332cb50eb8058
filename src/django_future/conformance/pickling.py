"""Promises about the pickling of tasks and results, since Django 6.1."""

import pickle
from typing import TypeVar

from django_future.conformance.compat import TASKS_CAN_BE_PICKLED
from django_future.conformance.helpers import Helpers
from django_future.conformance.hooks import QUEUE

T = TypeVar("T")


class PicklingPromises(Helpers):
    """Task and TaskResult can be pickled."""

    def pickled(self, value: T) -> T:
        """Return a value after pickling."""
        if not TASKS_CAN_BE_PICKLED:
            self.skipTest("Tasks cannot be pickled before Django 6.1.")
        copy: T = pickle.loads(pickle.dumps(value))  # noqa: S301
        return copy

    def test_a_task_can_be_pickled(self) -> None:
        """Instances can be pickled and unpickled. (releases/6.1, Tasks)"""
        for made in (self.tasks.answer, self.tasks.describe_context.using(queue_name=QUEUE)):
            self.assertEqual(self.pickled(made), made)

    def test_a_task_with_priority_and_time_can_be_pickled(self) -> None:
        """Instances can be pickled and unpickled. (releases/6.1, Tasks)"""
        self.require("supports_priority", "supports_defer")
        made = self.tasks.answer.using(priority=3, run_after=self.after(self.deferral))
        self.assertEqual(self.pickled(made), made)

    def test_a_new_result_can_be_pickled(self) -> None:
        """Instances can be pickled and unpickled. (releases/6.1, Tasks)"""
        result = self.tasks.answer.enqueue()
        copy = self.pickled(result)
        self.assertEqual((copy.id, copy.status, copy.task), (result.id, result.status, result.task))

    def test_a_finished_result_can_be_pickled(self) -> None:
        """Instances can be pickled and unpickled. (releases/6.1, Tasks)"""
        copy = self.pickled(self.run_task(self.tasks.answer))
        self.assertEqual(copy.return_value, 42)
        copy = self.pickled(self.run_task(self.tasks.fail))
        self.assert_failed(copy, self.tasks.Refusal)
