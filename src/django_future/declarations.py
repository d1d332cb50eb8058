"""`@recurring`, which declares recurring jobs in code, and the list of them in the settings."""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Never, TypeVar

from django.apps import apps
from django.utils.module_loading import module_has_submodule

from django_future.conf import config
from django_future.exceptions import InvalidOption
from django_future.tasks.handler import is_task

if TYPE_CHECKING:
    from typing import Unpack

    from django_future.scheduling.recurring_columns import DeclaredArguments

F = TypeVar("F")  # a function, a handler, or a task of Django's Tasks API

# The modules of each installed app in which declarations are found.
MODULES = ("jobs", "tasks")


@dataclass(frozen=True)
class Declaration:
    """A recurring job that the code declares: the arguments of `schedule_recurring`.

    Nothing is checked yet, so they are of any type.
    """

    name: Any
    callable: Any
    arguments: Mapping[str, Any]

    def __str__(self) -> str:
        target = self.callable
        return f"{self.name!r} ({_path_of(target) if callable(target) else target})"


def recurring(
    *given: Never, name: str | None = None, **arguments: "Unpack[DeclaredArguments]"
) -> Callable[[F], F]:
    """Declare that a handler recurs, and return it unchanged.

    The arguments are those of `schedule_recurring`, such as `cron` and `timezone`. `name` defaults
    to the dotted path of the handler. Write it above or below `@job`, more than once with a `name`
    each. The declarations in the modules `jobs` and `tasks` of the installed apps are synchronised
    after `migrate` and when a worker starts. `manage.py check` finds mistakes.

    Raises `InvalidOption` only for an argument that is not given by name.
    """
    if given:
        raise InvalidOption(
            "@recurring takes its arguments by name, such as @recurring(cron='0 9 * * mon-fri') or "
            "@recurring(every='90m')."
        )

    def declare(handler: F) -> F:
        function: Any = handler
        if is_task(handler):
            function = function.func
        path = _path_of(function)
        # By its path, because `@job` above puts another object in the place of the function. What
        # has no path, such as a method or a lambda, is kept, so that a check refuses it.
        target = path if _is_global(function) else function
        _declared.append(Declaration(path if name is None else name, target, arguments))
        return handler

    return declare


def declarations() -> list[Declaration]:
    """Return what the decorators and the settings declare, in the order of the names."""
    # A module that is executed twice, such as by a reload, declares the same again.
    found = {_text_of(declaration): declaration for declaration in [*_declared, *_in_settings()]}
    return sorted(found.values(), key=lambda declaration: str(declaration.name))


def import_declarations() -> dict[str, BaseException]:
    """Import the modules that may declare recurring jobs; return the errors of those that fail.

    Each module is executed only once, also if it fails. The second error would hide the first, for
    example if the module defines a model.
    """
    found = [(app.name, name) for app in apps.get_app_configs() for name in MODULES]
    return {
        f"{package}.{name}": error
        for package, name in found
        if f"{package}.{name}" not in sys.modules and (error := _import(package, name))
    }


_declared: list[Declaration] = []


def _path_of(function: object) -> str:
    return f"{getattr(function, '__module__', None)}.{getattr(function, '__qualname__', None)}"


def _is_global(function: object) -> bool:
    name = getattr(function, "__qualname__", None)
    return isinstance(name, str) and name.isidentifier()


def _in_settings() -> Iterator[Declaration]:
    for entry in config().RECURRING:
        arguments = {str(key): value for key, value in entry.items()}
        name, path = arguments.pop("name", None), arguments.pop("callable", None)
        yield Declaration(path if name is None else name, path, arguments)


def _text_of(declaration: Declaration) -> str:
    arguments = sorted((name, repr(value)) for name, value in declaration.arguments.items())
    return repr((declaration.name, str(declaration), arguments))


@cache
def _import(package: str, name: str) -> BaseException | None:
    """Import a module of a package, if it exists; return its error."""
    try:
        if module_has_submodule(import_module(package), name):
            import_module(f"{package}.{name}")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a module may raise anything
        return error
    return None
