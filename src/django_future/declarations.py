"""`@recurring`, which declares recurring jobs in code, and the list of them in the settings."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeVar

from django.apps import apps

from django_future.conf import config

F = TypeVar("F", bound=Callable[..., Any])

# The modules of each installed app in which declarations are found.
MODULES = ("jobs", "tasks")


@dataclass(frozen=True)
class Declaration:
    """A recurring job that the code declares: the arguments of `schedule_recurring`."""

    name: Any
    callable_name: Any
    arguments: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.name!r} ({self.callable_name})"


def recurring(*, name: str | None = None, **arguments: Any) -> Callable[[F], F]:
    """Declare that a handler recurs, and return it unchanged.

    The arguments are those of `schedule_recurring`, such as `cron` and `timezone`. `name` defaults
    to the dotted path of the handler. Write it above or below `@job`, more than once with a `name`
    each. The declarations in the modules `jobs` and `tasks` of the installed apps are synchronised
    after `migrate` and when a worker starts. `manage.py check` finds mistakes.
    """

    def declare(function: F) -> F:
        module, qualified_name = (
            getattr(function, attribute, None) for attribute in ("__module__", "__qualname__")
        )
        path = f"{module}.{qualified_name}"
        _declared.append(Declaration(name or path, path, arguments))
        return function

    return declare


def declarations() -> list[Declaration]:
    """Return what the decorators and the settings declare, in the order of the names."""
    # A module that is imported twice, such as by a reload, declares the same again.
    found = {_key(declaration): declaration for declaration in [*_declared, *_in_settings()]}
    return sorted(found.values(), key=lambda declaration: str(declaration.name))


def duplicates(found: list[Declaration]) -> set[str]:
    """Return the names that more than one of the declarations has."""
    names = [str(declaration.name) for declaration in found]
    return {name for name in names if names.count(name) > 1}


def fingerprint(found: list[Declaration]) -> str:
    """Return a text that identifies these declarations."""
    return sha256(repr(sorted(map(_key, found))).encode()).hexdigest()


def import_declarations() -> Iterator[tuple[str, Exception]]:
    """Import the modules that may declare recurring jobs; yield those that fail, with the error."""
    for app in apps.get_app_configs():
        for module in MODULES:
            path = f"{app.name}.{module}"
            try:
                if find_spec(path) is not None:
                    import_module(path)
            except Exception as error:  # noqa: BLE001 - the module of a project may raise anything
                yield path, error


_declared: list[Declaration] = []


def _in_settings() -> Iterator[Declaration]:
    for entry in config().RECURRING:
        arguments = dict(entry)
        name, path = arguments.pop("name", None), arguments.pop("callable", None)
        yield Declaration(name or path, path, arguments)


def _key(declaration: Declaration) -> str:
    arguments = sorted((name, repr(value)) for name, value in declaration.arguments.items())
    return repr((str(declaration.name), str(declaration.callable_name), arguments))
