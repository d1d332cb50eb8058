"""Connections that come from no pool, for threads that need one as long as they live."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper


@contextmanager
def dedicated_connection(alias: str) -> Iterator[None]:
    """Give this thread a connection to the database `alias` that comes from no pool.

    A pool lends connections for a short time. A thread that keeps one takes it from the others, and
    may wait for ever for one that they keep.
    """
    ordinary = connections[alias]
    if not is_pooled(ordinary) or ordinary.in_atomic_block:
        yield
        return
    # What was borrowed before would stay borrowed for as long as the thread has no use for it.
    ordinary.close()
    connections[alias] = unpooled_copy(ordinary)
    try:
        yield
    finally:
        connections[alias].close()  # which may be another by now
        connections[alias] = ordinary


def unpooled_copy(connection: BaseDatabaseWrapper) -> BaseDatabaseWrapper:
    """Return a connection to the same database that comes from no pool."""
    copy = connection.copy()
    copy.settings_dict["OPTIONS"].pop("pool", None)
    return copy


def is_pooled(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether Django takes this connection from a pool."""
    return bool(connection.settings_dict["OPTIONS"].get("pool"))


def close_pools() -> None:
    """Close the pools of this process, which a process that it forks would share."""
    for connection in connections.all():
        if is_pooled(connection) and hasattr(connection, "close_pool"):
            connection.close()
            connection.close_pool()
