"""The handlers that the admin offers: those that the code of the project declares."""

import inspect
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from inspect import Parameter
from types import FunctionType
from typing import Any

from django.apps import apps
from django.db.models import Model

from django_future import handlers
from django_future.conf import config
from django_future.declarations import declarations, import_declarations
from django_future.decorators import JobFunction
from django_future.exceptions import InvalidCallable
from django_future.options import JobOptions
from django_future.parameters import signature_of
from django_future.tasks.handler import TaskHandler, task_types

MAX_DEFAULT_LENGTH = 40  # characters of a default in a signature
_KINDS = (JobFunction, FunctionType)


@dataclass(frozen=True)
class KnownHandler:
    """A handler that a user may choose. `model` defines it if it is a method."""

    name: str
    handler: Any
    model: type[Model] | None = None

    @cached_property
    def signature(self) -> str:
        """The parameters, as the code writes them, without defaults that are sensitive."""
        found = signature_of(self.function)
        if found is None:
            return "(...)"
        skipped = self._takes_job + (self.model is not None)
        shown = [self._shown(parameter) for parameter in list(found.parameters.values())[skipped:]]
        return str(found.replace(parameters=shown, return_annotation=found.empty))

    @cached_property
    def summary(self) -> str:
        """The first line of the docstring."""
        text = inspect.getdoc(self.function) or ""
        return text.partition("\n")[0]

    @property
    def model_name(self) -> str:
        """The name of the model of a method, for people."""
        return "" if self.model is None else str(self.model._meta.verbose_name)

    @property
    def function(self) -> Any:
        """The function of a task, or the handler."""
        return self.handler.task.func if isinstance(self.handler, TaskHandler) else self.handler

    @property
    def _takes_job(self) -> bool:
        if isinstance(self.handler, TaskHandler):
            return bool(self.handler.task.takes_context)
        return handlers.takes_job(self.handler)

    def _shown(self, parameter: Parameter) -> Parameter:
        if parameter.annotation is Parameter.empty:
            pass
        elif isinstance(parameter.annotation, type):
            parameter = parameter.replace(annotation=_Bare(parameter.annotation.__name__))
        elif isinstance(parameter.annotation, str):
            parameter = parameter.replace(annotation=_Bare(parameter.annotation))
        if parameter.default is Parameter.empty:
            return parameter
        sensitive = handlers.options_of(self.handler).sensitive_arguments
        is_hidden = sensitive is True or (sensitive and parameter.name in sensitive)
        return parameter.replace(default=_Bare("..." if is_hidden else _text_of(parameter.default)))


def known_handlers() -> dict[str, KnownHandler]:
    """Return the handlers by the names that jobs store, in alphabetical order.

    These are the functions that `@job` or `@task` decorates, also methods of models, those that
    recur by a declaration, and those that the setting `CALLABLES` lists by their paths.
    """
    import_declarations()
    found = [*_decorated(), *_listed(), *_methods()]
    return {known.name: known for known in sorted(found, key=lambda known: known.name)}


def is_declared_method(model: type[Model], name: str) -> bool:
    """Return whether `model` has a method of this name that `@job` decorates."""
    found = next((vars(kind)[name] for kind in model.__mro__ if name in vars(kind)), None)
    return _is_declared(found)


class _Bare:
    """A value whose `repr` is a given text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _text_of(default: Any) -> str:
    try:
        text = repr(default)
    except Exception:  # noqa: BLE001 - the class of the default may raise anything
        return "..."
    return text if len(text) <= MAX_DEFAULT_LENGTH else "..."


def _decorated() -> Iterator[KnownHandler]:
    for module_name, module in list(sys.modules.items()):
        namespace = getattr(module, "__dict__", {})
        for name in _handlers_in(module_name, namespace):
            value, path = namespace.get(name), f"{module_name}.{name}"
            if _is_function_at(path, value):
                yield KnownHandler(path, value)
            elif _is_task_at(path, value):
                yield from _resolved(path)


def _handlers_in(module_name: str, namespace: dict[str, Any]) -> list[str]:
    """Return the names of the handlers in a module.

    A module is searched again if its number of names has changed. A search of all modules for each
    page would take a sixth of the time of the list of jobs.
    """
    if module_name in _searched:
        searched, size, names = _searched[module_name]
        if searched is namespace and size == len(namespace):
            return names
    names = [
        name
        for name, value in list(namespace.items())
        if _is_function_at(f"{module_name}.{name}", value)
        or _is_task_at(f"{module_name}.{name}", value)
    ]
    _searched[module_name] = namespace, len(namespace), names
    return names


# By the name of a module: its namespace, the number of its names, and the handlers among them.
_searched: dict[str, tuple[dict[str, Any], int, list[str]]] = {}


# By the type first: it is fast, and a lazy object may be in the place of any value.
def _is_function_at(path: str, value: Any) -> bool:
    return type(value) in _KINDS and _is_declared(value) and _path_of_function(value) == path


def _is_task_at(path: str, value: Any) -> bool:
    return issubclass(type(value), task_types()) and bool(value.module_path == path)


def _path_of_function(function: Any) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def _is_declared(value: Any) -> bool:
    # A wrapper of a handler has the attribute too.
    if type(value) not in _KINDS or getattr(value, "job_options", None) is None:
        return False
    return isinstance(value.job_options, JobOptions) and not value.__name__.startswith("_")


def _listed() -> Iterator[KnownHandler]:
    for declaration in declarations():
        target = declaration.callable
        yield from _resolved(target if isinstance(target, str) else _path_of(target))
    for path in config().CALLABLES:
        yield from _resolved(path)


def _resolved(path: str) -> Iterator[KnownHandler]:
    with suppress(InvalidCallable):
        yield KnownHandler(path, handlers.resolve(path, None))


def _path_of(target: Any) -> str:
    with suppress(InvalidCallable):
        return handlers.identify(target, None)[0]
    return ""


def _methods() -> Iterator[KnownHandler]:
    for model in apps.get_models(include_auto_created=False):
        for kind in reversed(model.__mro__):
            for name, value in vars(kind).items():
                if _is_declared(value) and not name.startswith("_"):
                    yield KnownHandler(name, value, model)
