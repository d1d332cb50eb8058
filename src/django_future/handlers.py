"""Finds the callable of a dotted path, and decides which callables a stored job may call."""

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import MethodType, ModuleType
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.signals import setting_changed
from django.db.models import Model
from django.dispatch import receiver

from django_future import remedies
from django_future.conf import config
from django_future.exceptions import (
    CallableNotAllowed,
    HandlerUnknown,
    InvalidCallable,
    ModuleNotImported,
)
from django_future.options import JobOptions
from django_future.tasks.handler import TaskHandler, is_task

Handler = Callable[..., Any]
Target = str | Handler

MAX_NAME_LENGTH = 255
GENERATOR_FLAGS = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_DEFAULT_OPTIONS = JobOptions()

# They are installed in every project, and many of their functions call what an argument names.
UNTRUSTED_PACKAGES = remedies.FRAMEWORK_PACKAGES
SAMPLE_HANDLERS = "django_future.tests"


def identify(target: Target, content_object: Model | None) -> tuple[str, Handler]:
    """Return the name by which a job stores `target`, and the callable that the name resolves to.

    Raises `InvalidCallable`, or its subclass `CallableNotAllowed`.
    """
    if is_task(target):
        return _identify_task(target)
    name = target if isinstance(target, str) else _path_of(target)
    if len(name) > MAX_NAME_LENGTH:
        raise InvalidCallable(
            f"{name!r} has more than {MAX_NAME_LENGTH} characters. Use a shorter path."
        )
    if name.rpartition(".")[0] in remedies.OWN_MODULES:
        raise InvalidCallable(_in_a_script(name))
    found = resolve(name, content_object)
    if not isinstance(target, str) and found is not target:
        raise InvalidCallable(
            f"{name!r} is {found!r}, not {target!r}. Pass the callable that its module and name "
            "stand for."
        )
    if _is_generator_function(found):
        raise InvalidCallable(
            f"{name!r} is a generator function. A call only creates a generator, and does not run "
            "the body. Do not yield in a handler."
        )
    return name, found


def resolve(name: str, content_object: Model | None, *, is_of_task: bool = False) -> Handler:
    """Return the callable with this dotted path, or the method of `content_object` with this name.

    With `is_of_task`, the row is signed and says that it calls a task. Then its module is imported
    wherever it is, because it was a task when code enqueued it.

    Raises `HandlerUnknown` if this process cannot find it, `CallableNotAllowed` if a job may not
    call it, or `InvalidCallable`.
    """
    module_name, _, attribute = name.rpartition(".")
    if not module_name:
        return _method(name, content_object)
    if name in _allowed:
        # The module or the attribute may have been replaced in the meantime.
        current = getattr(sys.modules.get(module_name), attribute, None)
        found, handler = _allowed[name]
        if found is current:
            return handler
    module = _module(module_name, name, is_of_task=is_of_task)
    try:
        found = getattr(module, attribute)
    except AttributeError as error:
        similar = remedies.similar_function(module, attribute)
        raise HandlerUnknown(f"{name!r} does not exist: {error}.{similar}") from error
    resolved: Handler = TaskHandler(found) if is_task(found) else found
    if not callable(resolved):
        raise InvalidCallable(f"{name!r} is {found!r}, which is not callable.")
    if not _is_allowed(name, resolved):
        raise CallableNotAllowed(_why_not_allowed(name, resolved))
    _allowed[name] = found, resolved
    return resolved


def takes_job(handler: Handler) -> bool:
    """Return whether `handler` takes the job as its first argument."""
    return getattr(handler, "takes_job", False) is True


def leading_arguments(name: str, handler: Handler, *, is_bound: bool) -> Sequence[str]:
    """Return descriptions of the arguments that the handler gets before its `args`.

    `is_bound` says whether the job has a content object. The handler may be a method of it.
    """
    is_passed_object = is_bound and "." in name
    if takes_job(handler):
        return ("the job", "the content object") if is_passed_object else ("the job",)
    return ("the content object",) if is_passed_object else ()


def options_of(handler: Handler) -> JobOptions:
    """Return the options that `@job` gives to `handler`, or the defaults."""
    options = getattr(handler, "job_options", None)
    return options if isinstance(options, JobOptions) else _DEFAULT_OPTIONS


def _identify_task(task: Any) -> tuple[str, Handler]:
    name: str = task.module_path
    if name.rpartition(".")[0] in remedies.OWN_MODULES:
        raise InvalidCallable(_in_a_script(name))
    found = resolve(name, None)
    if not isinstance(found, TaskHandler) or found.task.func is not task.func:
        raise InvalidCallable(
            f"{name!r} is {found!r}, not the task {task!r}. Pass the task that its module and name "
            "stand for."
        )
    if found.task is task:
        return name, found
    handler = TaskHandler(task)
    if handler.job_options.sensitive_arguments != found.job_options.sensitive_arguments:
        raise InvalidCallable(
            f"The sensitive_arguments of {name!r} differ from those of the declared task. A row "
            "does not store them. Declare them with @task, or with name = name.using(...) in its "
            "module."
        )
    return name, handler


def _in_a_script(name: str) -> str:
    return (
        f"{name!r} is defined in a script or a shell, which no worker can import. Move it to a "
        "module."
    )


def _is_generator_function(handler: Handler) -> bool:
    function = getattr(handler, "__wrapped__", handler) if _is_job(handler) else handler
    code = getattr(function, "__code__", None)
    return code is not None and bool(code.co_flags & GENERATOR_FLAGS)


def _path_of(target: Handler) -> str:
    module, name = getattr(target, "__module__", None), getattr(target, "__qualname__", None)
    is_findable = module and name and "." not in name and "<" not in name
    if is_findable and module not in remedies.OWN_MODULES and not isinstance(target, MethodType):
        return f"{module}.{name}"
    if not callable(target):
        raise InvalidCallable(
            f"callable is of type {remedies.kind_of(target)}. Pass a function without "
            "calling it, its dotted path, or the name of a method of the content object."
        )
    raise InvalidCallable(
        f"No worker can import {name or 'this callable'} by its name. "
        f"{remedies.for_callable(target)}"
    )


def _method(name: str, content_object: Model | None) -> Handler:
    if content_object is None:
        raise InvalidCallable(
            f"{name!r} is not a dotted path. Write 'package.module.function', or pass the "
            "content_object that has this method."
        )
    model = type(content_object)
    if name.startswith("_") or not callable(getattr(model, name, None)):
        is_unknown = not hasattr(model, name)
        raise (HandlerUnknown if is_unknown else InvalidCallable)(
            f"{content_object._meta.label} has no public method {name!r}. "
            f"{remedies.for_missing_method(model, name)}"
        )
    method: Handler = getattr(content_object, name)
    if not _is_allowed_method(name, model):
        path = f"{model.__module__}.{model.__qualname__}.{name}"
        raise CallableNotAllowed(_why_not_allowed(path, getattr(model, name)))
    return method


def _module(module_name: str, name: str, *, is_of_task: bool) -> ModuleType:
    """Return a module: import it only if its name is trusted, else it must be imported already."""
    if not (is_of_task or _is_trusted(module_name) or name in config().CALLABLES):
        if module_name in sys.modules:
            return sys.modules[module_name]
        package = module_name.partition(".")[0]
        if package not in sys.modules and not _exists(package):
            similar = remedies.did_you_mean(package, [*_own_packages(), *config().CALLABLES])
            raise ModuleNotImported(
                f"{name!r} does not exist: there is no module {package!r}. Check its spelling."
                f"{similar}"
            )
        why = "is outside the installed apps and the project"
        raise ModuleNotImported(remedies.for_not_allowed(name, why, module_name))
    try:
        return import_module(module_name)
    # An import can raise anything. The module may load in a process that has working code.
    except (Exception, SystemExit) as error:
        remedy = remedies.for_failed_import(module_name, name, error)
        raise HandlerUnknown(
            f"{name!r} cannot be imported: {type(error).__name__}: {error}.{remedy}"
        ) from error


def _exists(package: str) -> bool:
    try:
        return find_spec(package) is not None  # imports nothing, because the name has no dot
    except (ImportError, ValueError):  # the name is empty, or a third-party finder fails
        return False


def _is_allowed(name: str, found: Handler) -> bool:
    # The module that defines a callable decides, not a module that imports it. Otherwise
    # `from os import system` in a project's module would let a row run shell commands.
    if _is_job(found) or name in config().CALLABLES:
        return True
    return not _is_private(name) and _is_trusted(_module_of(found))


def _is_allowed_method(name: str, model: type[Model]) -> bool:
    # The defining module decides here, too, because each model inherits Model.delete.
    found = getattr(model, name)
    if _is_job(found) or _is_trusted(_module_of(found)):
        return True
    paths = (f"{kind.__module__}.{kind.__qualname__}.{name}" for kind in model.__mro__)
    return any(path in config().CALLABLES for path in paths)


def _why_not_allowed(name: str, found: Handler) -> str:
    if _is_private(name):
        return remedies.for_not_allowed(name, "has a name that begins with an underscore")
    module_name = _module_of(found)
    is_installed = _is_beneath(module_name, UNTRUSTED_PACKAGES)
    where = "" if is_installed else ", outside the installed apps and the project"
    return remedies.for_not_allowed(name, f"is defined in {module_name}{where}", module_name)


def _is_job(found: Any) -> bool:
    # Check the type, because some objects have any attribute. functools.wraps copies the attribute
    # to a wrapper.
    return isinstance(getattr(found, "job_options", None), JobOptions)


def _is_private(name: str) -> bool:
    return name.startswith("_") or "._" in name


def _module_of(found: Any) -> str:
    """Return the name of the module that defines `found`, or '' if `found` does not have it."""
    module_name = getattr(found, "__module__", None)
    return module_name if isinstance(module_name, str) else ""


@cache
def _is_trusted(module_name: str) -> bool:
    if _is_beneath(module_name, [SAMPLE_HANDLERS, *config().CALLABLES]):
        return True
    if _is_beneath(module_name, UNTRUSTED_PACKAGES):
        return False
    return _is_beneath(module_name, _own_packages())


def _is_beneath(module_name: str, packages: Iterable[str]) -> bool:
    return any(
        module_name == package or module_name.startswith(f"{package}.") for package in packages
    )


def _own_packages() -> Iterator[str]:
    yield from (app.name for app in apps.get_app_configs())
    for setting in ("SETTINGS_MODULE", "ROOT_URLCONF", "WSGI_APPLICATION", "ASGI_APPLICATION"):
        if path := getattr(settings, setting, None):
            yield path.partition(".")[0]


# The attribute and the handler of each name that was found to be allowed. A cache, because the
# check takes longer than a small job.
_allowed: dict[str, tuple[Any, Handler]] = {}


@receiver(setting_changed)
def _forget(**_: Any) -> None:
    _is_trusted.cache_clear()
    _allowed.clear()
