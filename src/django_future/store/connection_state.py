"""Whether a connection is as a new one would be, and the end of one that is not."""

from collections.abc import Sequence
from contextlib import suppress
from select import POLLIN, poll
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper


def is_clean(connection: BaseDatabaseWrapper, wrappers: Sequence[object] | None = None) -> bool:
    """Tell whether Django has no transaction open on `connection`, nor changed how it commits.

    With `wrappers`, also whether these are the wrappers of its statements: a project may install
    its own when a connection is made.

    What the driver itself has open, `Store.is_idle` tells.
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
    """Close a connection whose state is in doubt, so that this thread opens another when needed.

    With `wrappers`, these are the wrappers of its statements from now on.
    """
    # The driver first: a pool that is given back a closed connection replaces it.
    if connection.connection is not None:
        with suppress(Exception):
            connection.connection.close()
    with suppress(Exception):
        connection.close()
    # Inside an atomic block Django keeps the state of the block, which has no more use.
    connection.connection = None
    connection.in_atomic_block = connection.closed_in_transaction = False
    connection.needs_rollback = False
    connection.savepoint_ids, connection.atomic_blocks, connection.run_on_commit = [], [], []
    if wrappers is not None:
        connection.execute_wrappers = [*wrappers]


def is_hung_up(descriptor: int) -> bool:
    """Tell whether the server has closed an idle connection, without asking it.

    A server says nothing to a client that asked nothing, but for the end of the connection.
    """
    poller = poll()
    poller.register(descriptor, POLLIN)
    return bool(poller.poll(0))
