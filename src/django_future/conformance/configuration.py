"""Promises about the setting TASKS, and about the backend that it makes."""

from dataclasses import make_dataclass
from unittest import mock

from django_future.conformance.compat import (
    DECORATOR_TAKES_KEYWORDS,
    BaseTaskBackend,
    InvalidTask,
    InvalidTaskBackend,
    Task,
    default_task_backend,
    task_backends,
)
from django_future.conformance.helpers import Helpers, define
from django_future.conformance.hooks import ANY_QUEUE, DEFAULT, QUEUE, SECOND


class ConfigurationPromises(Helpers):
    """The setting TASKS, BaseTaskBackend."""

    def test_the_backend_inherits_the_base_backend(self) -> None:
        """A backend is a class that inherits it. (topics/tasks, Third-party backends)"""
        self.assertIsInstance(task_backends[DEFAULT], BaseTaskBackend)

    def test_the_alias_default_is_default_task_backend(self) -> None:
        """It is available under this name. (topics/tasks, Retrieving backends)"""
        self.assertEqual(default_task_backend, task_backends[DEFAULT])

    def test_each_alias_has_a_backend_of_its_own(self) -> None:
        """Multiple backends are supported. (topics/tasks, Configuring a Task backend)"""
        backends = [task_backends[alias] for alias in (DEFAULT, SECOND, ANY_QUEUE)]
        self.assertEqual(len({id(backend) for backend in backends}), 3)
        self.assertEqual(len({type(backend) for backend in backends}), 1)

    def test_an_unknown_alias_is_invalid(self) -> None:
        """The alias must match a backend. (ref/tasks, Task.backend)"""
        with self.assertRaises(InvalidTaskBackend):
            task_backends["unknown"]
        with self.assertRaises(InvalidTaskBackend):
            self.tasks.answer.using(backend="unknown")

    def test_a_backend_that_cannot_be_imported_is_invalid(self) -> None:
        """Using it raises InvalidTaskBackend. (ref/tasks, InvalidTaskBackend)"""
        with (
            self.reconfigured("broken", BACKEND="no.such.Backend"),
            self.assertRaises(InvalidTaskBackend),
        ):
            self.tasks.answer.using(backend="broken")

    def test_without_queues_the_only_queue_is_default(self) -> None:
        """QUEUES is ["default"] by default. (ref/settings, TASKS-QUEUES)"""
        params = self.tasks_setting()[SECOND]
        del params["QUEUES"]
        with self.settings(TASKS=self.tasks_setting() | {SECOND: params}):
            on_second = self.tasks.answer.using(backend=SECOND)
            self.assertEqual(on_second.queue_name, "default")
            with self.assertRaises(InvalidTask):
                on_second.using(queue_name=QUEUE)

    def test_a_queue_that_is_not_in_queues_is_invalid(self) -> None:
        """The queue must match one of QUEUES. (ref/tasks, Task.queue_name)"""
        with self.assertRaises(InvalidTask):
            self.tasks.answer.using(queue_name="unknown")
        with self.assertRaises(InvalidTask):
            define(queue_name="unknown")(self.tasks.answer.func)

    def test_each_queue_of_queues_is_valid(self) -> None:
        """QUEUES holds the names that the backend supports. (ref/settings, TASKS-QUEUES)"""
        for name in (DEFAULT, QUEUE):
            self.assertEqual(self.tasks.answer.using(queue_name=name).queue_name, name)

    def test_with_empty_queues_each_queue_is_valid(self) -> None:
        """An empty list disables the validation. (ref/settings, TASKS-QUEUES)"""
        moved = self.tasks.answer.using(backend=ANY_QUEUE, queue_name="whatever")
        self.assertEqual(moved.queue_name, "whatever")

    def test_options_are_the_options_of_the_backend(self) -> None:
        """They are a dictionary of extra parameters. (ref/tasks, BaseTaskBackend.options)"""
        self.assertEqual(self.backend.options, self.tasks_setting()[DEFAULT]["OPTIONS"])

    def test_without_options_the_options_are_empty(self) -> None:
        """OPTIONS is {} by default. (ref/settings, TASKS-OPTIONS)"""
        if self.options:
            self.skipTest("The backend has OPTIONS here, and may need them.")
        params = self.tasks_setting()[SECOND]
        del params["OPTIONS"]
        with self.settings(TASKS=self.tasks_setting() | {SECOND: params}):
            self.assertEqual(task_backends[SECOND].options, {})

    def test_the_backend_says_what_it_supports(self) -> None:
        """Four flags identify the supported functionality. (ref/tasks, Feature flags)"""
        for name in ("defer", "async_task", "get_result", "priority"):
            self.assertIsInstance(getattr(self.backend, f"supports_{name}"), bool, name)

    def test_validate_task_accepts_a_valid_task(self) -> None:
        """It says whether a task can be enqueued. (ref/tasks, BaseTaskBackend.validate_task)"""
        self.backend.validate_task(self.tasks.answer)

    def test_validate_task_refuses_an_invalid_task(self) -> None:
        """It raises InvalidTask. (ref/tasks, BaseTaskBackend.validate_task)"""
        moved = self.tasks.answer.using(queue_name=QUEUE)
        with self.reconfigured(QUEUES=[DEFAULT]), self.assertRaises(InvalidTask):
            self.backend.validate_task(moved)

    def test_a_task_is_of_the_task_class_of_its_backend(self) -> None:
        """The decorator creates tasks of this class. (ref/tasks, BaseTaskBackend.task_class)"""
        self.assertTrue(issubclass(self.backend.task_class, Task))
        self.assertIsInstance(self.tasks.answer, self.backend.task_class)

    def test_the_decorator_passes_keywords_to_the_task_class(self) -> None:
        """All of them are passed, since Django 6.1. (ref/tasks, The task decorator)"""
        if not DECORATOR_TAKES_KEYWORDS:
            self.skipTest("The decorator takes no other keywords before Django 6.1.")
        labelled = make_dataclass(
            "LabelledTask",
            [("label", str, "none")],
            bases=(self.backend.task_class,),
            frozen=True,
            kw_only=True,
        )
        with mock.patch.object(type(self.backend), "task_class", labelled):
            made = define(label="new", queue_name=QUEUE)(self.tasks.answer.func)
        self.assertIsInstance(made, labelled)
        self.assertEqual((made.label, made.queue_name), ("new", QUEUE))
