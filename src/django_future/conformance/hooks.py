"""What the author of a backend says about it."""

import functools
import sys
import unittest
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from datetime import datetime, timedelta
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar
from unittest import mock

from django.test import override_settings
from django.utils import timezone

if TYPE_CHECKING:
    from django.test import TransactionTestCase as Base
else:
    Base = object

PACKAGE = __name__.rpartition(".")[0]

DEFAULT = "default"
SECOND = "second"  # another alias
ANY_QUEUE = "any_queue"  # an alias with QUEUES: []
QUEUE = "letters"  # a queue of the alias `default`, apart from the queue `default`


class Hooks(Base):
    """Describes a backend. A subclass sets `backend_path`, and overrides what differs.

    Each test starts without tasks. A `TransactionTestCase` empties the database; a backend that
    stores its tasks elsewhere removes them in `setUp`.
    """

    # The BACKEND of TASKS, and OPTIONS by which a failed task is not executed again.
    backend_path: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = {}

    # Does anything execute the tasks?
    executes_tasks: ClassVar[bool] = True

    # Does `enqueue` execute the task before it returns?
    executes_at_enqueue: ClassVar[bool] = False

    # Does `run_due` execute the tasks in this process? If not, no test can receive their signals.
    executes_in_this_process: ClassVar[bool] = True

    # How far ahead the suite defers a task.
    deferral: ClassVar[timedelta] = timedelta(hours=1)

    # The tests that the backend fails, and why. They are expected failures.
    known_faults: ClassVar[Mapping[str, str]] = {}

    # The module `tasks` of the suite.
    tasks: ClassVar[Any]

    def run_due(self) -> None:
        """Execute the tasks that are due now, of each alias and queue, then return.

        The error of a task must not get out.
        """
        if self.executes_tasks and not self.executes_at_enqueue:
            raise NotImplementedError(f"{type(self).__name__} needs run_due().")

    def pass_time(self, duration: timedelta) -> AbstractContextManager[None]:
        """Let the clock of the backend be `duration` ahead in the context.

        By default this moves `django.utils.timezone.now`. A backend with a clock of its own moves
        it here, or sets `deferral` to a second and sleeps here.
        """
        return _move_clock(duration)

    @classmethod
    def retry_options(cls, attempts: int, delay: timedelta) -> Mapping[str, Any] | None:  # noqa: ARG003
        """Return OPTIONS by which a failing task has `attempts` attempts, `delay` apart.

        By default this returns None: the backend does not retry.
        """
        return None

    @classmethod
    def tasks_setting(cls) -> dict[str, dict[str, Any]]:
        """Return the setting TASKS, with the aliases that the suite uses."""
        queues = {DEFAULT: [DEFAULT, QUEUE], SECOND: [DEFAULT], ANY_QUEUE: []}
        return {
            alias: {
                "BACKEND": cls.backend_path,
                "QUEUES": names,
                "OPTIONS": deepcopy(dict(cls.options)),
            }
            for alias, names in queues.items()
        }

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Mark the known faults as expected failures."""
        super().__init_subclass__(**kwargs)
        for name in cls.__dict__.get("known_faults", {}):
            setattr(cls, name, _expected_failure(getattr(cls, name)))

    @classmethod
    def setUpClass(cls) -> None:
        """Configure the backend, and import the tasks, which the backend then makes."""
        super().setUpClass()
        override = override_settings(TASKS=cls.tasks_setting())
        override.enable()
        cls.addClassCleanup(override.disable)
        cls.tasks = _import_again("tasks")
        sys.modules.pop(f"{PACKAGE}.coroutines", None)

    @property
    def coroutines(self) -> Any:
        """Return the module `coroutines` of the suite, which some backends refuse to import."""
        return import_module(f"{PACKAGE}.coroutines")

    def setUp(self) -> None:
        """Forget the calls of the test before."""
        super().setUp()
        self.tasks.CALLS.clear()


def _import_again(name: str) -> ModuleType:
    sys.modules.pop(f"{PACKAGE}.{name}", None)
    return import_module(f"{PACKAGE}.{name}")


def _expected_failure(test: Callable[[Any], None]) -> Callable[[Any], None]:
    @functools.wraps(test)
    def expected_failure(self: Any) -> None:
        test(self)

    return unittest.expectedFailure(expected_failure)


@contextmanager
def _move_clock(duration: timedelta) -> Iterator[None]:
    before = timezone.now

    def ahead() -> datetime:
        return before() + duration

    with mock.patch.object(timezone, "now", ahead):
        yield
