"""What the tests of the suite have in common."""

import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module, invalidate_caches
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, TypeVar

from django.db import connections
from django.dispatch import Signal
from django.test import override_settings
from django.utils import timezone

from django_future.conformance.compat import (
    TASKS_MODULE,
    AnyResult,
    AnyTask,
    TaskResultStatus,
    task,
    task_backends,
    task_enqueued,
)
from django_future.conformance.hooks import DEFAULT, Hooks

T = TypeVar("T")

# The decorator without its types, which forbid what some tests try.
define: Any = task

NOT_APPLICABLE = {
    "supports_async_task": "The backend refuses coroutines: supports_async_task is false.",
    "supports_defer": "The backend does not defer tasks: supports_defer is false.",
    "supports_get_result": "The backend does not keep results: supports_get_result is false.",
    "supports_priority": "The backend has no priorities: supports_priority is false.",
    "executes_tasks": "The backend executes no tasks.",
    "executes_in_this_process": "The backend executes tasks in another process.",
    "lets_tasks_wait": "The backend executes a task as it is enqueued.",
}

SOURCE = f"from {TASKS_MODULE} import task\n\n\n@task\ndef answer():\n    return 42\n"


@dataclass(frozen=True)
class Sent:
    """A signal, with the result as it was."""

    sender: Any
    id: str
    status: str
    attempts: int
    errors: int


class Helpers(Hooks):
    """Enqueues and runs tasks for the tests."""

    @property
    def backend(self) -> Any:
        """Return the backend of the alias `default`."""
        return task_backends[DEFAULT]

    @property
    def lets_tasks_wait(self) -> bool:
        """Return whether a task is enqueued before it is executed."""
        return not self.executes_at_enqueue

    def require(self, *names: str) -> None:
        """Skip the test unless the backend has these abilities."""
        for name in names:
            owner = self.backend if name.startswith("supports_") else self
            if not getattr(owner, name):
                self.skipTest(NOT_APPLICABLE[name])

    def run_task(self, task: AnyTask, /, *args: Any, **kwargs: Any) -> AnyResult:
        """Enqueue a task, run it, and return its result."""
        self.require("executes_tasks")
        result = task.enqueue(*args, **kwargs)
        self.run_due()
        return self.now(result)

    def now(self, result: AnyResult) -> AnyResult:
        """Return the present state of a result."""
        if not self.backend.supports_get_result and self.executes_at_enqueue:
            return result
        self.require("supports_get_result")
        return task_backends[result.backend].get_result(result.id)

    def after(self, duration: timedelta) -> datetime:
        """Return the time when `duration` has passed, aware or naive as USE_TZ says."""
        return timezone.now() + duration

    def assert_is_now(self, time: datetime | None) -> None:
        """Fail if a time of a result is not about now."""
        self.assertIsNotNone(time)
        # A database server may have a clock of its own.
        self.assertLess(abs((timezone.now() - time).total_seconds()), 60)  # type: ignore[operator]

    def assert_cannot_be_modified(self, value: object, *names: str) -> None:
        """Fail if one of the attributes can be set."""
        for name in names:
            # Python raises TypeError for a property of a frozen dataclass with slots.
            with self.subTest(name), self.assertRaises((AttributeError, TypeError)):
                setattr(value, name, getattr(value, name))

    def assert_succeeded(self, result: AnyResult) -> None:
        """Fail with the errors of the task if it has not succeeded."""
        report = "\n".join(error.traceback for error in result.errors)
        self.assertEqual(result.status, TaskResultStatus.SUCCESSFUL, report)

    def assert_returns(self, expected: Any, task: AnyTask, /, *args: Any, **kwargs: Any) -> None:
        """Run a task, and compare what it returns."""
        result = self.run_task(task, *args, **kwargs)
        self.assert_succeeded(result)
        self.assertEqual(result.return_value, expected)

    def assert_failed(self, result: AnyResult, error: type[BaseException]) -> None:
        """Fail if the task has not failed with one error of this class."""
        self.assertEqual(result.status, TaskResultStatus.FAILED)
        self.assertEqual([each.exception_class for each in result.errors], [error])

    @contextmanager
    def assert_enqueues_nothing(self) -> Iterator[None]:
        """Fail if the block enqueues a task, or if the task `record` runs afterwards."""
        with self.listen(task_enqueued) as signals:
            yield
        self.assertEqual(signals, [])
        self.run_due()
        self.assertEqual(self.tasks.CALLS, [])

    @contextmanager
    def listen(self, signal: Signal) -> Iterator[list[Sent]]:
        """Return the list of the signals that are sent in the context."""
        sent: list[Sent] = []

        def receive(sender: Any, task_result: AnyResult, **_: Any) -> None:
            sent.append(
                Sent(
                    sender,
                    task_result.id,
                    task_result.status,
                    task_result.attempts,
                    len(task_result.errors),
                )
            )

        with self.connected(signal, receive):
            yield sent

    @contextmanager
    def connected(self, signal: Signal, receiver: Callable[..., Any]) -> Iterator[None]:
        """Connect a receiver in the context."""
        signal.connect(receiver, weak=False)
        try:
            yield
        finally:
            signal.disconnect(receiver)

    def reconfigured(self, alias: str = DEFAULT, **changes: Any) -> override_settings:
        """Change parameters of an alias in TASKS."""
        tasks = self.tasks_setting()
        tasks[alias] = tasks.get(alias, {}) | changes
        return override_settings(TASKS=tasks)

    def retrying(self, attempts: int, delays: float = 0.5) -> Mapping[str, Any]:
        """Return OPTIONS by which a task has several attempts, some deferrals apart."""
        self.require("executes_tasks")
        options = self.retry_options(attempts, delays * self.deferral)
        if options is None:
            self.skipTest("The backend does not retry a failed task.")
        return options

    def run_attempts(self, count: int) -> None:
        """Run what is due, several times, with the deferral in between."""
        for number in range(count):
            with self.pass_time(number * self.deferral):
                self.run_due()

    def in_thread(self, function: Callable[[], T]) -> T:
        """Call a function in another thread."""

        def call() -> T:
            try:
                return function()
            finally:
                connections.close_all()

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(call).result()

    @contextmanager
    def module_outside_the_apps(self) -> Iterator[ModuleType]:
        """Return a module with the task `answer`, which exists only in the context."""
        self.require("executes_in_this_process")
        name = f"conformance_{uuid.uuid4().hex}"
        with TemporaryDirectory() as folder:
            Path(folder, f"{name}.py").write_text(SOURCE, encoding="utf-8")
            sys.path.insert(0, folder)
            invalidate_caches()
            try:
                yield import_module(name)
            finally:
                sys.path.remove(folder)
                sys.modules.pop(name, None)

    def forget(self, module: ModuleType) -> None:
        """Let the next import of a module load it again."""
        sys.modules.pop(module.__name__, None)
