"""Remedies for error messages: what to pass instead of what a job cannot store or call.

No remedy quotes a value.
"""

import io
import sys
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from functools import partial
from pkgutil import iter_modules
from types import EllipsisType, FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any

from django.core.files import File
from django.core.signing import Signer
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models import Manager, Model, QuerySet
from django.http import HttpRequest
from django.utils.connection import ConnectionProxy

# Modules that another process cannot import by this name: those of a script or a shell.
OWN_MODULES = frozenset({"__main__", "__console__", "django.core.management.commands.shell"})
FRAMEWORK_PACKAGES = ("django", "django_future")

_PRIMARY_KEYS = (
    "Pass the primary keys, as list(queryset.values_list('pk', flat=True)) returns them, and query "
    "again in the handler."
)
_FILE = "Read it first and pass its content, or save it and pass its path."
_CONNECTION = "Use django.db.connection in the handler."
_ARGUMENT_REMEDIES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (QuerySet, _PRIMARY_KEYS),
    (Manager, "Use the manager in the handler."),
    (
        HttpRequest,
        "Pass what the handler needs from it, such as the id of the user, request.user.pk.",
    ),
    ((File, io.IOBase), _FILE),
    (Signer, "Create it in the handler: it contains SECRET_KEY."),
    ((BaseDatabaseWrapper, CursorWrapper, ConnectionProxy), _CONNECTION),
    (
        (GeneratorType, type({}.keys()), type({}.values()), type({}.items())),
        "Pass a list of its items.",
    ),
    # The admin prints it for a value that it does not show.
    (EllipsisType, "It stands for a value that is not shown. Pass the value instead."),
)
_LOCAL_NAME_REMEDIES = {
    "<lambda>": "It is a lambda. Write it with def, at the top level of a module.",
    "<locals>": (
        "It is defined inside a function. Move it to the top level of a module, and pass the "
        "variables that it uses in args."
    ),
}
_IN_MEMORY = (io.BytesIO, io.StringIO)


def for_argument(value: object) -> str | None:
    """Return what to pass instead of `value`, or None if it may be an argument."""
    if isinstance(value, _IN_MEMORY):
        return None
    for kinds, remedy in _ARGUMENT_REMEDIES:
        if isinstance(value, kinds):
            return remedy
    kind = value if isinstance(value, type | FunctionType) else type(value)
    if getattr(kind, "__module__", None) in OWN_MODULES:
        return f"{kind.__qualname__} is defined in a script or a shell. Move it to a module."
    return None


def for_object(value: object) -> str:
    """Return what to pass instead of a `content_object` that is not a model instance."""
    if isinstance(value, QuerySet):
        return (
            "Schedule one job for each object: schedule_jobs({'when': ..., 'callable': ..., "
            "'content_object': found} for found in queryset)."
        )
    if isinstance(value, Manager) or (isinstance(value, type) and issubclass(value, Model)):
        return "Pass one saved instance, such as Model.objects.get(pk=...)."
    return "Pass a saved model instance as content_object, and other values in args."


def for_callable(target: Any) -> str:
    """Return what to pass instead of a callable that a worker cannot import by its name."""
    if isinstance(target, partial):
        return (
            "It is a partial. Pass its function as callable, and its arguments in args and kwargs."
        )
    if isinstance(target, MethodType):
        return _for_bound_method(target)
    name = getattr(target, "__qualname__", None) or ""
    for part, remedy in _LOCAL_NAME_REMEDIES.items():
        if part in name:
            return remedy
    if "." in name:
        return _for_method(name)
    if getattr(target, "__module__", None) in {*OWN_MODULES, None}:
        return "It is defined in a script or a shell. Move it to a module that workers can import."
    return "Write a function at the top level of a module that calls it."


def for_not_allowed(name: str, reason: str, module_name: str | None = None) -> str:
    """Return why jobs may not call `name`, which `module_name` defines, and how to allow it."""
    package = (module_name or "").partition(".")[0]
    text = f"{name!r} {reason}, so jobs may not call it."
    if package in FRAMEWORK_PACKAGES or package in sys.stdlib_module_names:
        return (
            f"{text} List it in DJANGO_FUTURE['CALLABLES'], or write a function or a method that "
            "calls it."
        )
    if module_name:
        text = f"{text} Is the app of {module_name!r} in INSTALLED_APPS? Otherwise decorate it"
    else:
        text = f"{text} Decorate it"
    return (
        f"{text} with @job in a module that the project imports, or list it in "
        "DJANGO_FUTURE['CALLABLES']."
    )


def similar_function(module: ModuleType, name: str) -> str:
    """Return a question with the dotted path of a function that `name` may mean, or ''."""
    if ":" in name:
        return f" Did you mean '{module.__name__}.{name.replace(':', '.')}'?"
    known = [key for key, value in vars(module).items() if _is_public_function(key, value)]
    paths = [f"{module.__name__}.{found}" for found in known]
    return did_you_mean(f"{module.__name__}.{name}", paths)


def for_missing_method(model: type[Model], name: str) -> str:
    """Return what to do if `model` has no public method `name`."""
    if not name.startswith("_"):
        for child in _descendants(model):
            if callable(getattr(child, name, None)):
                return f"{child._meta.label} has it: bind the job to an object of that model."
    similar = similar_method(model, name)
    return f"Check its spelling.{similar or ' For a function, give its dotted path.'}"


def for_failed_import(module_name: str, name: str, error: BaseException) -> str:
    """Return what to give instead of `name` if there is no module `module_name`, or ''."""
    if not isinstance(error, ModuleNotFoundError) or error.name != module_name:
        return ""  # the module exists, or its package does not
    package, _, last = module_name.rpartition(".")
    parent = sys.modules.get(package)
    if isinstance(getattr(parent, last, None), type):
        return f" {_for_method(name.removeprefix(f'{package}.'))}"
    siblings = iter_modules(getattr(parent, "__path__", None) or [])
    return did_you_mean(module_name, [f"{package}.{sibling.name}" for sibling in siblings])


def similar_method(model: type[Model], name: str) -> str:
    """Return a question with the public method of `model` that `name` may mean, or ''."""
    found = (pair for kind in model.__mro__ for pair in vars(kind).items())
    return did_you_mean(name, {key for key, value in found if _is_public_function(key, value)})


def no_such(kind: str, unknown: Iterable[object], known: Iterable[str], otherwise: str = "") -> str:
    """Return that there are no such names, which names there are, and which of them are similar.

    `kind` is what a name stands for, such as "option". `otherwise` is the remedy if no known name
    is similar.
    """
    names, wrong = sorted(known), sorted(unknown, key=repr)
    similar = "".join(did_you_mean(name, names) for name in wrong)
    quoted = ", ".join(map(repr, wrong))
    return f"no {kind} {quoted}. {kind.capitalize()}s: {', '.join(names)}.{similar or otherwise}"


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return a question with the most similar of the `known` names, or '' if none is similar.

    Upper and lower case do not matter.
    """
    folded = {each.casefold(): str(each) for each in known}
    similar = get_close_matches(str(name).casefold(), folded, n=1)
    return f" Did you mean {folded[similar[0]]!r}?" if similar else ""


def kind_of(value: object) -> str:
    """Return the name of the type of `value`, for a message."""
    kind = type(value)
    is_builtin = kind.__module__ == "builtins"
    return kind.__qualname__ if is_builtin else f"{kind.__module__}.{kind.__qualname__}"


def _descendants(model: type[Model]) -> Iterator[type[Model]]:
    for child in model.__subclasses__():
        if not child._meta.abstract:
            yield child
        yield from _descendants(child)


def _is_public_function(name: str, value: object) -> bool:
    is_function = callable(value) and not isinstance(value, type) and not name.startswith("_")
    return is_function and _package_of(value) not in FRAMEWORK_PACKAGES


def _package_of(function: object) -> str:
    return str(getattr(function, "__module__", None) or "").partition(".")[0]


def _for_bound_method(method: MethodType) -> str:
    name, owner = method.__name__, method.__self__
    if isinstance(owner, Model):
        if _package_of(method) in FRAMEWORK_PACKAGES:
            path = f"{type(owner).__module__}.{type(owner).__qualname__}.{name}"
            return (
                f"It is bound to an object, and {method.__module__} defines it. Write a method "
                f"that calls it. Or list {path!r} in DJANGO_FUTURE['CALLABLES'], and pass {name!r} "
                "and the object as content_object."
            )
        return (
            f"It is bound to an object. Pass the name of the method, {name!r}, and the object as "
            "content_object."
        )
    return (
        f"It is bound to a value of type {kind_of(owner)}. Write a function at the top level of a "
        "module that calls it."
    )


def _for_method(name: str) -> str:
    owner, _, method = name.rpartition(".")
    return (
        f"It is a method of {owner}. If that is a model, pass the name of the method, {method!r}, "
        "and a saved instance as content_object. Otherwise write a function at the top level of a "
        "module that calls it."
    )
