"""Connections outside of a pool, for threads that need one all the time."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper


@contextmanager
def dedicated_connection(alias: str) -> Iterator[None]:
    """Give this thread a connection to the database `alias` outside of Django's pool.

    A pool is for short use. Threads that keep its connections can exhaust it, and then wait for one
    another forever.
    """
    ordinary = connections[alias]
    if not is_pooled(ordinary) or ordinary.in_atomic_block:
        yield
        return
    # Returns the connection to the pool, because the thread does not use it now.
    ordinary.close()
    connections[alias] = unpooled_copy(ordinary)
    try:
        yield
    finally:
        connections[alias].close()  # not of the copy, which may have been replaced
        connections[alias] = ordinary


def unpooled_copy(connection: BaseDatabaseWrapper) -> BaseDatabaseWrapper:
    """Return a new connection to the same database, outside of the pool."""
    copy = connection.copy()
    copy.settings_dict["OPTIONS"].pop("pool", None)
    return copy


def is_pooled(connection: BaseDatabaseWrapper) -> bool:
    """Return whether Django takes this connection from a pool."""
    return bool(connection.settings_dict["OPTIONS"].get("pool"))


def close_pools() -> None:
    """Close the pools of this process before it forks, so that no child shares them."""
    for connection in connections.all():
        if is_pooled(connection) and hasattr(connection, "close_pool"):
            connection.close()
            connection.close_pool()
