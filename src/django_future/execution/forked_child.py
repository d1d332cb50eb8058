"""A process that a handler forks: it is no worker, and what becomes of it is not its job's end."""

import os
import sys
import traceback
from typing import Any, NoReturn
from weakref import WeakSet

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.dispatch import receiver

_runners: set[object] = set()  # what runs handlers in this process
_opened: WeakSet[BaseDatabaseWrapper] = WeakSet()  # on whatever thread
_kept: list[Any] = []  # what a child must not close, since it belongs to the parent
_is_child = False


def expect(runner: object) -> None:
    """Treat what this process forks as a child of a handler, while `runner` runs handlers."""
    _runners.add(runner)


def expect_no_more(runner: object) -> None:
    """Treat what this process forks as any process again."""
    _runners.discard(runner)


def is_this_process() -> bool:
    """Tell whether this process was forked while handlers ran."""
    return _is_child


def end(error: BaseException | None) -> NoReturn:
    """End this process as Python ends one whose main function raised `error`, or returned."""
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
def _note_connection(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
    _opened.add(connection)


def _become_child() -> None:
    """Leave the parent's connections to it: the child opens its own when it needs them."""
    global _is_child  # noqa: PLW0603
    if not _runners:
        return
    _is_child = True
    # A driver that frees a connection says goodbye to the server, on the socket of the parent.
    for wrapper in list(_opened):
        _kept.append((wrapper, wrapper.connection))
        pools = getattr(wrapper, "_connection_pools", None)
        if pools:
            _kept.append(dict(pools))
            pools.clear()
    for connection in connections.all(initialized_only=True):
        _kept.append(connection)
        del connections[connection.alias]
    _runners.clear()


os.register_at_fork(after_in_child=_become_child)
