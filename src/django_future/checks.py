"""System checks of a project's settings and databases."""

import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.utils.module_loading import import_string

from django_future.conf import SETTING, SETTINGS, config
from django_future.connection_checks import check_options, small_pools
from django_future.databases import jobs_database
from django_future.models import ScheduledJob
from django_future.options import DEFAULT_THREADS
from django_future.plural import counted
from django_future.scheduling.declared import faults
from django_future.schema import describe_missing, remedy

MIN_SIMILARITY = 0.9  # of another setting that is meant as ours, from 0 to 1


@register("django_future")
def check_settings(**_: Any) -> list[CheckMessage]:
    """Check the dictionary `DJANGO_FUTURE`."""
    try:
        paths = config().CALLABLES
    except ImproperlyConfigured as error:
        return [Error(str(error), id="django_future.E001")]
    return [message for path in paths for message in _check_callable(path)]


@register("django_future")
def check_names(**_: Any) -> list[CheckMessage]:
    """Check that no other setting seems to be meant as `DJANGO_FUTURE` or as an entry of it."""
    return [
        CheckWarning(
            f"django-future does not read the setting {name}.",
            hint=_hint_for(name),
            id="django_future.W008",
        )
        for name in dir(settings)
        if name.isupper() and name != SETTING and _is_meant(name)
    ]


def _is_meant(name: str) -> bool:
    is_longer = name.startswith(f"{SETTING}_")
    return is_longer or bool(get_close_matches(name, [SETTING], cutoff=MIN_SIMILARITY))


def _hint_for(name: str) -> str:
    entry = name.removeprefix(f"{SETTING}_")
    if entry in SETTINGS:
        return f"Give it as an entry: {SETTING} = {{{entry!r}: ...}}."
    return f"Rename it to {SETTING}, whose entries are {', '.join(sorted(SETTINGS))}."


@register("django_future")
def check_drivers(**_: Any) -> list[CheckMessage]:
    """Check that workers support the drivers of the databases that contain jobs."""
    return [
        Error(
            f"The database {alias!r} uses psycopg2, which workers do not support.",
            hint="Install psycopg 3: pip install 'psycopg[binary]'. Django then uses it.",
            id="django_future.E004",
        )
        for alias in _with_jobs(connections)
        if uses_psycopg2(alias)
    ]


@register("django_future")
def check_connections(**_: Any) -> list[CheckMessage]:
    """Check the entries in `DATABASES`, without a connection."""
    messages = [message for alias in _with_jobs(connections) for message in check_options(alias)]
    pools = small_pools(jobs_database(), DEFAULT_THREADS)
    return [*messages, *(_small_pool(alias, size) for alias, size in pools)]


def _small_pool(alias: str, size: int) -> CheckMessage:
    return CheckWarning(
        f"The pool of the database {alias!r} has {counted(size, 'connection')}, but a worker has "
        f"{DEFAULT_THREADS} threads. Handlers that use this database wait for each other.",
        hint="Set 'max_size' to at least the --threads of the worker, plus the connections that "
        "other code of the process needs.",
        id="django_future.W003",
    )


def uses_psycopg2(alias: str) -> bool:
    """Return whether Django uses psycopg2 for this database."""
    if connections[alias].vendor != "postgresql":
        return False
    from django.db.backends.postgresql.psycopg_any import is_psycopg3  # noqa: PLC0415

    return not is_psycopg3


@register("django_future")
def check_declarations(**_: Any) -> list[CheckMessage]:
    """Check the recurring jobs that the code declares."""
    # Warnings, because an error would keep the project from starting.
    try:
        config()
    except ImproperlyConfigured:
        return []  # reported by `check_settings`
    return [
        CheckWarning(
            text,
            hint="Correct it. Until then, the database keeps what was declared before.",
            id="django_future.W007",
        )
        for text in faults()
    ]


@register(Tags.database)
def check_databases(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Check that workers can claim jobs from the databases that contain jobs."""
    aliases = _with_jobs(databases or ())
    return [message for alias in aliases for message in _check_database(alias)]


def _with_jobs(aliases: Iterable[str]) -> list[str]:
    return [alias for alias in aliases if router.allow_migrate_model(alias, ScheduledJob)]


def _check_callable(path: str) -> list[CheckMessage]:
    try:
        _import(path)
    except ImportError as error:
        return [
            Error(
                f"DJANGO_FUTURE['CALLABLES'] lists {path!r}, which cannot be imported: {error}.",
                hint="Correct it, or remove it from the list.",
                id="django_future.E002",
            )
        ]
    return []


def _import(path: str) -> None:
    if "." not in path:
        __import__(path)
        return
    try:
        import_string(path)
    except ImportError:
        model, _, method = path.rpartition(".")
        if not hasattr(import_string(model), method):
            raise


def _check_database(alias: str) -> list[CheckMessage]:
    connection = connections[alias]
    messages = _check_tables(alias)
    if connection.vendor == "sqlite":
        return [*messages, *_check_sqlite(alias)]
    if connection.features.has_select_for_update_skip_locked:
        return messages
    return [
        *messages,
        Error(
            f"The database {alias!r} does not support SKIP LOCKED, so workers wait for each other.",
            hint="Use PostgreSQL, MariaDB 10.6 or later, MySQL 8.0 or later, or SQLite.",
            id="django_future.E003",
        ),
    ]


def _check_tables(alias: str) -> list[CheckMessage]:
    # `migrate` runs these checks before it creates the tables.
    missing = "" if sys.argv[1:2] == ["migrate"] else describe_missing(connections[alias])
    if not missing:
        return []
    return [
        CheckWarning(
            f"The database {alias!r} {missing}.",
            hint=f"Run `{remedy(alias)}`.",
            id="django_future.W002",
        )
    ]


def _check_sqlite(alias: str) -> list[CheckMessage]:
    with connections[alias].cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        (mode,) = cursor.fetchone()
    if mode in {"wal", "memory"}:
        return []
    return [
        CheckWarning(
            f"The SQLite database {alias!r} is in journal mode {mode!r}, in which a reader blocks "
            "the writes of a worker.",
            hint="Set 'OPTIONS': {'init_command': 'PRAGMA journal_mode=WAL'} in DATABASES.",
            id="django_future.W001",
        )
    ]
