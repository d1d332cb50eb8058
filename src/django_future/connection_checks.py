"""Checks options in `DATABASES` that make workers slow, or that block them."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from django.db import connections

DEFAULT_POOL_SIZE = 4  # of psycopg_pool

_COSTLY_COMMAND = re.compile(r"isolation|sql_mode|storage_engine", re.IGNORECASE)


def check_options(alias: str) -> list[CheckMessage]:
    """Check the `OPTIONS` of a database that may contain jobs."""
    settings = connections[alias].settings_dict
    vendor = connections[alias].vendor
    checks: dict[str, list[Callable[[str, dict[str, Any]], Iterator[CheckMessage]]]] = {
        "mysql": [_check_init_command, _check_isolation_level],
        "sqlite": [_check_transaction_mode],
    }
    return [message for check in checks.get(vendor, []) for message in check(alias, settings)]


def small_pools(jobs_alias: str, threads: int) -> list[tuple[str, int]]:
    """Return the aliases and sizes of the pools that have fewer connections than threads.

    The database of the jobs is excluded, because a worker connects to it without a pool.
    """
    sizes = {alias: _pool_size(alias) for alias in connections if alias != jobs_alias}
    return [(alias, size) for alias, size in sizes.items() if size is not None and size < threads]


def _pool_size(alias: str) -> int | None:
    pool = connections[alias].settings_dict["OPTIONS"].get("pool")
    if not pool:
        return None
    options = pool if isinstance(pool, dict) else {}
    return int(options.get("max_size") or options.get("min_size") or DEFAULT_POOL_SIZE)


def _check_init_command(alias: str, settings: dict[str, Any]) -> Iterator[CheckMessage]:
    command = str(settings["OPTIONS"].get("init_command") or "")
    if not _COSTLY_COMMAND.search(command):
        return
    yield CheckWarning(
        f"The 'init_command' of the database {alias!r}, {command!r}, costs a round trip for "
        "each new connection.",
        hint="Remove it. Django sets the isolation level READ COMMITTED, and strict mode and "
        "InnoDB are defaults of the server. Set other values in the configuration of the server.",
        id="django_future.W004",
    )


def _check_isolation_level(alias: str, settings: dict[str, Any]) -> Iterator[CheckMessage]:
    level = settings["OPTIONS"].get("isolation_level", "read committed")
    if str(level).lower() == "read committed":
        return
    yield CheckWarning(
        f"The 'isolation_level' of the database {alias!r} is {level!r}. Claims then also lock the "
        "gaps between rows, so workers wait for each other or deadlock.",
        hint="Remove it. Django's default is 'read committed'.",
        id="django_future.W005",
    )


def _check_transaction_mode(alias: str, settings: dict[str, Any]) -> Iterator[CheckMessage]:
    mode = str(settings["OPTIONS"].get("transaction_mode") or "").upper()
    if mode == "IMMEDIATE" and settings["ATOMIC_REQUESTS"]:
        reason = "with ATOMIC_REQUESTS each request takes the write lock, even if it only reads"
    elif mode == "EXCLUSIVE":
        reason = "without WAL each transaction blocks all readers"
    else:
        return
    yield CheckWarning(
        f"The 'transaction_mode' of the database {alias!r} is {mode!r}: {reason}, so jobs wait.",
        hint="Remove it. Workers take the write lock before they read, in every mode.",
        id="django_future.W006",
    )
