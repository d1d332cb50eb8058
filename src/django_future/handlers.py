"""From a dotted path to a callable and back, and what a stored job may call at all."""

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

Handler = Callable[..., Any]
Target = str | Handler

MAX_NAME_LENGTH = 255
GENERATOR_FLAGS = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_USUAL = JobOptions()

# They are installed in every project, and much in them calls what its arguments name.
FOREIGN = ("django", "django_future")
SAMPLES = "django_future.tests"


def identify(target: Target, content_object: Model | None) -> tuple[str, Handler]:
    """Return the name under which a job stores `target`, and what that resolves to.

    Raises `InvalidCallable`, or `CallableNotAllowed` with what would allow it.
    """
    name = target if isinstance(target, str) else _path_of(target)
    if len(name) > MAX_NAME_LENGTH:
        raise InvalidCallable(
            f"{name!r} has more than {MAX_NAME_LENGTH} characters. Move it nearer."
        )
    if name.rpartition(".")[0] in remedies.OWN_MODULES:
        raise InvalidCallable(
            f"{name!r} is in a script or a shell, which no worker can import. Move it to a module."
        )
    found = resolve(name, content_object)
    if not isinstance(target, str) and found is not target:
        raise InvalidCallable(f"{target!r} is not what {name!r} names; that is {found!r}.")
    if _is_generator_function(found):
        raise InvalidCallable(
            f"{name!r} is a generator function: a job would call it, and nothing would run its "
            "body. Do not yield in a handler."
        )
    return name, found


def resolve(name: str, content_object: Model | None) -> Handler:
    """Return the callable that `name` stands for: a dotted path, or a method of `content_object`.

    Raises `HandlerUnknown` if it is not to be found here, `CallableNotAllowed` with what would
    allow it, or another `InvalidCallable`.
    """
    module_name, _, attribute = name.rpartition(".")
    if not module_name:
        return _method(name, content_object)
    if name in _allowed:
        # The module may have been replaced since, or the attribute.
        present = getattr(sys.modules.get(module_name), attribute, None)
        if _allowed[name] is present:
            return _allowed[name]
    module = _module(module_name, name)
    try:
        found: Handler = getattr(module, attribute)
    except AttributeError as error:
        raise HandlerUnknown(f"{name!r} does not exist: {error}.") from error
    if not callable(found):
        raise InvalidCallable(f"{name!r} is {found!r}, which is not callable.")
    if not _is_allowed(name, found):
        raise _not_allowed(name, _why_not(name, found))
    _allowed[name] = found
    return found


def takes_job(handler: Handler) -> bool:
    """Tell whether `handler` asks for the job as its first argument."""
    return getattr(handler, "takes_job", False) is True


def leading(name: str, handler: Handler, *, is_bound: bool) -> Sequence[str]:
    """Return what the handler `name` is passed before its `args`, in words.

    `is_bound` tells whether its job is bound to an object, of which it may be a method.
    """
    is_passed_object = is_bound and "." in name
    if takes_job(handler):
        return ("the job", "the content object") if is_passed_object else ("the job",)
    return ("the content object",) if is_passed_object else ()


def options_of(handler: Handler) -> JobOptions:
    """Return what `@job` says of `handler`, or what goes for all others."""
    options = getattr(handler, "job_options", None)
    return options if isinstance(options, JobOptions) else _USUAL


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
            f"callable is of type {remedies.kind_of(target)}, neither callable nor a dotted path."
        )
    raise InvalidCallable(
        f"No worker can find {name or 'this'} by its name. {remedies.for_callable(target)}"
    )


def _method(name: str, content_object: Model | None) -> Handler:
    if content_object is None:
        raise InvalidCallable(
            f"{name!r} is not a dotted path. Write 'package.module.function', or pass the "
            "content_object whose method it is."
        )
    model = type(content_object)
    if name.startswith("_") or not callable(getattr(model, name, None)):
        is_unknown = not hasattr(model, name)
        raise (HandlerUnknown if is_unknown else InvalidCallable)(
            f"{content_object._meta.label} has no public method {name!r}. Check its spelling."
        )
    method: Handler = getattr(content_object, name)
    if not _is_allowed_method(name, model):
        path = f"{model.__module__}.{model.__qualname__}.{name}"
        raise _not_allowed(path, f"is defined in {_home_of(getattr(model, name))}")
    return method


def _module(module_name: str, name: str) -> ModuleType:
    """Import a module if its name is trusted; else take it only if the project imported it."""
    if not _is_trusted(module_name) and name not in config().CALLABLES:
        if module_name in sys.modules:
            return sys.modules[module_name]
        package = module_name.partition(".")[0]
        if package not in sys.modules and not _exists(package):
            similar = remedies.did_you_mean(package, [*_own_packages(), *config().CALLABLES])
            raise ModuleNotImported(
                f"{name!r} does not exist: there is no module {package!r}. Check its spelling."
                f"{similar}"
            )
        raise _not_allowed(name, "is outside the installed apps and the project", ModuleNotImported)
    try:
        return import_module(module_name)
    # Whatever a module raises that does not even load, where the code is in order it will.
    except (Exception, SystemExit) as error:
        raise HandlerUnknown(
            f"{name!r} cannot be imported: {type(error).__name__}: {error}."
        ) from error


def _exists(package: str) -> bool:
    try:
        return find_spec(package) is not None  # which imports nothing, as the name has no dot
    except (ImportError, ValueError):  # of an empty name, and of finders of others
        return False


def _is_allowed(name: str, found: Handler) -> bool:
    # Where a callable is defined decides, not where it was imported to: `from os import system` in
    # a module of the project does not open the shell to whoever can write a row.
    if _is_job(found) or name in config().CALLABLES:
        return True
    return not _is_private(name) and _is_trusted(_home_of(found))


def _is_allowed_method(name: str, model: type[Model]) -> bool:
    # Where it is defined decides here, too: each model has Model.delete.
    found = getattr(model, name)
    if _is_job(found) or _is_trusted(_home_of(found)):
        return True
    paths = (f"{kind.__module__}.{kind.__qualname__}.{name}" for kind in model.__mro__)
    return any(path in config().CALLABLES for path in paths)


def _why_not(name: str, found: Handler) -> str:
    if _is_private(name):
        return "has a name that begins with an underscore"
    return f"is defined in {_home_of(found)}"


def _is_job(found: Any) -> bool:
    # By type: there are objects that answer any attribute. Who wraps a handler takes it over, with
    # the other attributes of a function.
    return isinstance(getattr(found, "job_options", None), JobOptions)


def _is_private(name: str) -> bool:
    return name.startswith("_") or "._" in name


def _home_of(found: Any) -> str:
    """Return the name of the module in which `found` is defined, '' if it does not tell."""
    module_name = getattr(found, "__module__", None)
    return module_name if isinstance(module_name, str) else ""


@cache
def _is_trusted(module_name: str) -> bool:
    if _is_beneath(module_name, [SAMPLES, *config().CALLABLES]):
        return True
    if _is_beneath(module_name, FOREIGN):
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


# What each name stood for when it was last found to be allowed. To find out takes longer than a
# small job.
_allowed: dict[str, Handler] = {}


@receiver(setting_changed)
def _forget(**_: Any) -> None:
    _is_trusted.cache_clear()
    _allowed.clear()


def _not_allowed(
    name: str, reason: str, kind: type[CallableNotAllowed] = CallableNotAllowed
) -> CallableNotAllowed:
    return kind(
        f"{name!r} {reason}, and nothing allows jobs to call it. Decorate it with @job in a module "
        "that the project imports, or list it in DJANGO_FUTURE['CALLABLES']."
    )
