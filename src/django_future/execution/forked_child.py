"""A process that a handler forks. It is no worker, and its end is not the end of the job."""

import os
import sys
import traceback
from typing import Any, NoReturn
from weakref import WeakSet

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.dispatch import receiver

_runners: set[object] = set()  # the objects that run handlers in this process
_opened: WeakSet[BaseDatabaseWrapper] = WeakSet()  # on all threads
_owned_by_parent: list[Any] = []  # references, so that a child does not close the connections
is_this_process = False  # whether this process was forked while handlers ran


def register_runner(runner: object) -> None:
    """Treat processes that this one forks as children of a handler: `runner` runs handlers."""
    _runners.add(runner)


def unregister_runner(runner: object) -> None:
    """Undo `register_runner`, because `runner` runs no more handlers."""
    _runners.discard(runner)


def exit_with(error: BaseException | None) -> NoReturn:
    """End this process like a Python program that raised `error`, or that returned."""
    code = 0
    if isinstance(error, SystemExit):
        code = _exit_code(error)
    elif error is not None:
        code = 1
        traceback.print_exception(error)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _exit_code(error: SystemExit) -> int:
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 0xFF
    print(error.code, file=sys.stderr)  # noqa: T201 - as Python does
    return 1


@receiver(connection_created)
def _track_connection(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
    _opened.add(connection)


def _become_child() -> None:
    """Give up the connections of the parent; the child opens its own when it needs them."""
    global is_this_process  # noqa: PLW0603
    if not _runners:
        return
    is_this_process = True
    # A driver that frees a connection ends the session of the parent, because both share a socket.
    for wrapper in list(_opened):
        _owned_by_parent.append((wrapper, wrapper.connection))
        pools = getattr(wrapper, "_connection_pools", None)
        if pools:
            _owned_by_parent.append(dict(pools))
            pools.clear()
    for connection in connections.all(initialized_only=True):
        _owned_by_parent.append(connection)
        del connections[connection.alias]
    _runners.clear()


os.register_at_fork(after_in_child=_become_child)
