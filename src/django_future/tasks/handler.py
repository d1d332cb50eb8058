"""The handler of a task: it calls the function of the task, and returns JSON."""

import json
import sys
from collections.abc import AsyncGenerator, Awaitable, Generator, Mapping, Sequence
from types import FunctionType
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction

from django_future.options import JobOptions
from django_future.serialization import contains_secret_key, encode
from django_future.tasks.options import own_options
from django_future.text import MAX_RESULT_BYTES

# How much longer the stored text of a JSON value may be: NaN has a tag there, and so has a
# dictionary with the key of a tag.
_MAX_EXPANSION = 16

_UNCHANGED = frozenset({bool, float, int, str, type(None)})

_APIS = ("django.tasks.base", "django_tasks.base")


def is_task(value: object) -> bool:
    """Return whether `value` is a task, without an import of the Tasks API."""
    if isinstance(value, str | FunctionType):  # most handlers, without the search below
        return False
    loaded = (sys.modules.get(name) for name in _APIS)
    return any(module is not None and isinstance(value, module.Task) for module in loaded)


def task_types() -> tuple[type, ...]:
    """Return the classes of tasks that are loaded."""
    return tuple(sys.modules[name].Task for name in _APIS if name in sys.modules)


class TaskHandler:
    """Calls the function of a task, as the handler of a job.

    The options are those of the task on the backend `alias`.
    """

    def __init__(self, task: Any, alias: str | None = None) -> None:
        self.task = task
        self.alias: str = alias or task.backend
        self.job_options = options_of_task(task, self.alias)
        backend = _backend(self.alias)
        self.database: str | None = getattr(backend, "database", None)
        self._is_strict = backend is None or bool(backend.options.get("STRICT_JSON", True))
        self._variants: dict[str, TaskHandler] = {self.alias: self}
        self.__module__, self.__qualname__ = task.func.__module__, task.func.__qualname__
        if iscoroutinefunction(task.func):
            markcoroutinefunction(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function of the task, and return its result as JSON returns it."""
        result = self.task.func(*args, **kwargs)
        return self._awaited(result) if iscoroutinefunction(self.task.func) else self._plain(result)

    def __repr__(self) -> str:
        return f"<task {self.task.module_path}>"

    def on(self, alias: str | None) -> "TaskHandler":
        """Return the handler of the same task on the backend `alias`."""
        if alias is None or alias == self.alias:
            return self
        if alias not in self._variants:
            self._variants[alias] = TaskHandler(self.task, alias)
        return self._variants[alias]

    def normalize_arguments(
        self, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments as JSON returns them.

        Raises `TypeError` or `ValueError` for values that are not JSON.
        """
        args, kwargs = list(args), dict(kwargs)
        if not self._is_strict:
            return args, kwargs
        try:
            return _normalized(args), _normalized(kwargs)
        except RecursionError as error:
            raise TypeError(
                f"An argument of {self.task.module_path} contains itself, or is nested too deeply "
                "for JSON."
            ) from error

    async def _awaited(self, result: Any) -> Any:
        return self._plain(await result)

    def _plain(self, result: Any) -> Any:
        """Return a result as the row will return it; raise an error if it cannot.

        A job stores a notice in place of such a result. The result of a task must be exact.
        """
        if result is None or isinstance(result, Awaitable | Generator | AsyncGenerator):
            return result  # the caller refuses what was not awaited
        text: str
        if self._is_strict:
            text = _json(result)
            result = json.loads(text)
        if not self._is_strict or len(text) > MAX_RESULT_BYTES / _MAX_EXPANSION:
            text = encode(result, ("return_value", self.task.module_path))
        if len(text) > MAX_RESULT_BYTES:
            raise ValueError(
                f"The return value of {self.task.module_path} has {len(text):,} bytes, and the "
                f"limit is {MAX_RESULT_BYTES:,}. Save it, and return its primary key."
            )
        if contains_secret_key(text):
            raise ValueError(
                f"The return value of {self.task.module_path} contains SECRET_KEY, so it is not "
                "stored."
            )
        return result


def options_of_task(task: Any, alias: str) -> JobOptions:
    """Return the options of a task on the backend `alias`.

    Raises `InvalidOption`.
    """
    base = getattr(_backend(alias), "job_options", _DEFAULT_OPTIONS)
    values = {name: getattr(base, name) for name in JobOptions.__dataclass_fields__}
    own = {"queue_name": task.queue_name, "priority": task.priority, **own_options(task)}
    return JobOptions(**{**values, **own})


_DEFAULT_OPTIONS = JobOptions(expires=None)


def _backend(alias: str) -> Any:
    """Return the backend `alias`; None if it is gone from the settings, or is not valid."""
    from django_future.tasks import api  # noqa: PLC0415 - loaded, because a task exists

    try:
        return api.task_backends[alias]
    except api.InvalidTaskBackend:
        return None


def _normalized(values: Any) -> Any:
    # JSON does not change most arguments, and the conversion takes as long as the rest of a build.
    items = values.values() if isinstance(values, dict) else values
    if all(type(item) in _UNCHANGED for item in items) and not _has_other_keys(values):
        return values
    return json.loads(_json(values))


def _has_other_keys(values: Any) -> bool:
    return isinstance(values, dict) and not all(type(key) is str for key in values)


def _json(value: Any) -> str:
    from django_future.tasks import api  # noqa: PLC0415

    return json.dumps(api.normalize_json(value))
