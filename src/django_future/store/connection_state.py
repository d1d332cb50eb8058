"""Checks whether a connection is in the state of a new one, and discards one that is not."""

from collections.abc import Sequence
from contextlib import suppress
from select import POLLIN, poll
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper


def is_clean(connection: BaseDatabaseWrapper, wrappers: Sequence[object] | None = None) -> bool:
    """Return whether `connection` has no open transaction and its original autocommit mode.

    With `wrappers`, also whether these are its `execute_wrappers`. A project may install some when
    a connection is created.

    This is Django's view. `Store.is_idle` returns whether the driver has an open transaction.
    """
    return (
        not connection.in_atomic_block
        and not connection.savepoint_ids
        and (wrappers is None or connection.execute_wrappers == wrappers)
        and (
            connection.connection is None
            or connection.autocommit == connection.settings_dict["AUTOCOMMIT"]
        )
    )


def discard(connection: BaseDatabaseWrapper, wrappers: Sequence[Any] | None = None) -> None:
    """Close a connection in an unknown state, so that this thread opens another when needed.

    With `wrappers`, these become its `execute_wrappers`.
    """
    # The driver's connection first: a pool replaces a closed connection that returns to it.
    if connection.connection is not None:
        with suppress(Exception):
            connection.connection.close()
    with suppress(Exception):
        connection.close()
    # Inside an atomic block, close() keeps the state of the block, which is obsolete now.
    connection.connection = None
    connection.in_atomic_block = connection.closed_in_transaction = False
    connection.needs_rollback = False
    connection.savepoint_ids, connection.atomic_blocks, connection.run_on_commit = [], [], []
    if wrappers is not None:
        connection.execute_wrappers = [*wrappers]


def is_hung_up(descriptor: int) -> bool:
    """Return whether the server has closed an idle connection, without a query.

    A notice of the server, which is rare on an idle connection, counts as well.
    """
    poller = poll()
    poller.register(descriptor, POLLIN)
    return bool(poller.poll(0))
