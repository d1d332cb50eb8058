"""Promises about the definition of a Task, and about `using`."""

from django.utils import timezone

from django_future.conformance.compat import InvalidTask, Task
from django_future.conformance.helpers import Helpers, define
from django_future.conformance.hooks import DEFAULT, QUEUE, SECOND


def take_nothing() -> None:
    """Take no argument, so no context either."""


def take_context_second(value: object, context: object) -> None:
    """Take a context, but not as the first argument."""


async def coroutine() -> None:
    """Be a coroutine function."""


class DefinitionPromises(Helpers):
    """The decorator, the attributes of a Task, `using`."""

    def test_the_decorator_returns_a_task(self) -> None:
        """With and without parentheses. (topics/tasks, Defining Tasks)"""
        for made in (self.tasks.nothing, self.tasks.answer):
            self.assertIsInstance(made, Task)

    def test_the_attributes_of_a_task_have_defaults(self) -> None:
        """Each argument of the decorator is optional. (ref/tasks, The task decorator)"""
        made = self.tasks.answer
        self.assertEqual(
            (made.priority, made.queue_name, made.backend, made.takes_context, made.run_after),
            (0, "default", "default", False, None),
        )

    def test_the_decorator_sets_attributes(self) -> None:
        """Its arguments customize the attributes. (topics/tasks, Defining Tasks)"""
        made = define(queue_name=QUEUE)(self.tasks.answer.func)
        self.assertEqual((made.queue_name, made.backend), (QUEUE, DEFAULT))
        made = define(backend=SECOND)(self.tasks.answer.func)
        self.assertEqual((made.queue_name, made.backend), (DEFAULT, SECOND))
        self.assertTrue(self.tasks.describe_context.takes_context)

    def test_the_decorator_sets_the_priority(self) -> None:
        """It has the argument `priority`. (topics/tasks, Defining Tasks)"""
        self.require("supports_priority")
        self.assertEqual(define(priority=2)(self.tasks.answer.func).priority, 2)

    def test_the_name_of_a_task_is_that_of_its_function(self) -> None:
        """It is the name of the decorated function. (ref/tasks, Task.name)"""
        self.assertEqual(self.tasks.answer.name, "answer")

    def test_the_attributes_of_a_task_cannot_be_modified(self) -> None:
        """A Task cannot be modified directly. (ref/tasks, Task)"""
        names = ("priority", "backend", "queue_name", "run_after", "name")
        self.assert_cannot_be_modified(self.tasks.answer, *names)

    def test_using_creates_another_task(self) -> None:
        """It creates a new Task. (ref/tasks, Task.using)"""
        copy = self.tasks.answer.using()
        self.assertIsInstance(copy, type(self.tasks.answer))
        self.assertIsNot(copy, self.tasks.answer)

    def test_using_modifies_the_queue(self) -> None:
        """It can modify `queue_name`, and leaves the Task unchanged. (ref/tasks, Task.using)"""
        self.assertEqual(self.tasks.answer.using(queue_name=QUEUE).queue_name, QUEUE)
        self.assertEqual(self.tasks.answer.queue_name, DEFAULT)

    def test_using_modifies_the_backend(self) -> None:
        """It can modify `backend`, and leaves the Task unchanged. (ref/tasks, Task.using)"""
        self.assertEqual(self.tasks.answer.using(backend=SECOND).backend, SECOND)
        self.assertEqual(self.tasks.answer.backend, DEFAULT)

    def test_using_modifies_the_priority(self) -> None:
        """It can give a higher priority, in a copy. (topics/tasks, Modifying Tasks)"""
        self.require("supports_priority")
        self.assertEqual(self.tasks.answer.using(priority=10).priority, 10)
        self.assertEqual(self.tasks.answer.priority, 0)

    def test_using_modifies_the_time(self) -> None:
        """It can modify `run_after`, and leaves the Task unchanged. (ref/tasks, Task.using)"""
        self.require("supports_defer")
        later = timezone.now() + self.deferral
        self.assertEqual(self.tasks.answer.using(run_after=later).run_after, later)
        self.assertIsNone(self.tasks.answer.run_after)

    def test_using_keeps_what_it_does_not_modify(self) -> None:
        """It creates a Task with modified defaults. (ref/tasks, Task.using)"""
        chained = self.tasks.describe_context.using(queue_name=QUEUE).using()
        self.assertEqual((chained.queue_name, chained.takes_context), (QUEUE, True))
        self.assertEqual(chained.name, "describe_context")

    def test_a_function_within_a_function_is_no_task(self) -> None:
        """Tasks are defined on a module-level function. (topics/tasks, Defining Tasks)"""

        def inner() -> None:
            pass

        with self.assertRaises(InvalidTask):
            define(inner)

    def test_a_builtin_and_a_method_are_no_tasks(self) -> None:
        """Tasks are defined on a module-level function. (topics/tasks, Defining Tasks)"""
        for name, function in {"builtin": len, "method": self.run_due}.items():
            with self.subTest(name), self.assertRaises(InvalidTask):
                define(function)

    def test_a_task_with_context_has_the_argument_context(self) -> None:
        """A task accesses it by a `context` argument. (topics/tasks, Task context)"""
        for function in (take_nothing, take_context_second):
            with self.subTest(function.__name__), self.assertRaises(InvalidTask):
                define(takes_context=True)(function)

    def test_a_coroutine_can_be_a_task(self) -> None:
        """If the backend supports it. (ref/tasks, BaseTaskBackend.supports_async_task)"""
        self.require("supports_async_task")
        self.assertIsInstance(define(coroutine), Task)

    def test_a_coroutine_is_no_task_if_the_backend_does_not_support_it(self) -> None:
        """The flag says so. (ref/tasks, BaseTaskBackend.supports_async_task)"""
        if self.backend.supports_async_task:
            self.skipTest("The backend supports coroutines.")
        with self.assertRaises(InvalidTask):
            define(coroutine)

    def test_the_priority_may_be_between_minus_100_and_100(self) -> None:
        """Both bounds are valid. (ref/tasks, Task.priority)"""
        self.require("supports_priority")
        for priority in (-100, -1, 1, 100):
            self.assertEqual(self.tasks.answer.using(priority=priority).priority, priority)

    def test_the_priority_may_not_exceed_100_or_minus_100(self) -> None:
        """They must be between the bounds. (ref/tasks, Task.priority)"""
        self.require("supports_priority")
        for priority in (-101, 101, 10**6):
            with self.subTest(priority=priority), self.assertRaises(InvalidTask):
                self.tasks.answer.using(priority=priority)
            with self.subTest(decorator=priority), self.assertRaises(InvalidTask):
                define(priority=priority)(self.tasks.answer.func)

    def test_the_priority_is_fixed_if_the_backend_does_not_support_it(self) -> None:
        """The backend must have the flag to use this feature. (ref/tasks, Task.priority)"""
        if self.backend.supports_priority:
            self.skipTest("The backend has priorities.")
        with self.assertRaises(InvalidTask):
            self.tasks.answer.using(priority=1)

    def test_run_after_is_invalid_if_the_backend_does_not_support_it(self) -> None:
        """Otherwise InvalidTask is raised. (ref/tasks, Task.run_after)"""
        if self.backend.supports_defer:
            self.skipTest("The backend defers tasks.")
        with self.assertRaises(InvalidTask):
            self.tasks.answer.using(run_after=timezone.now())

    def test_run_after_must_be_aware(self) -> None:
        """It can be a timezone-aware datetime. (ref/tasks, Task.run_after)"""
        self.require("supports_defer")
        with self.settings(USE_TZ=True), self.assertRaises(InvalidTask):
            self.tasks.answer.using(run_after=timezone.now().replace(tzinfo=None))
