"""Whether anything notices a signal of the Tasks API.

Django connects a receiver to each signal that logs a line. With its default settings no handler
outputs the line unless DEBUG is on, but writing it takes longer than a small task.
"""

import logging
from typing import Any
from weakref import ReferenceType

from django.conf import settings
from django.dispatch import Signal
from django.utils.log import RequireDebugFalse, RequireDebugTrue

# The loggers of the modules with the receivers: that of Django, and that of the backport.
_LOGGERS = {f"{name}.signals": logging.getLogger(name) for name in ("django.tasks", "django_tasks")}


def is_noticed(signal: Signal, level: int = logging.INFO) -> bool:
    """Return whether a receiver does something: one of the project, or a log that is output.

    `level` is that of the line. It is INFO for a start, and for an end without a failure.
    """
    receivers = [_function_of(entry[1]) for entry in signal.receivers]
    if len(receivers) != 1:
        return bool(receivers)
    [only] = receivers
    logger = _LOGGERS.get(getattr(only, "__module__", ""))
    return logger is None or _has_output(logger, level)


def _function_of(receiver: Any) -> Any:
    return receiver() if isinstance(receiver, ReferenceType) else receiver


def _has_output(logger: logging.Logger, level: int) -> bool:
    if not logger.isEnabledFor(level):
        return False
    ancestor: logging.Logger | None = logger
    while ancestor is not None:
        for handler in ancestor.handlers:
            if _outputs(handler, level):
                return True
        ancestor = ancestor.parent if ancestor.propagate else None
    return False


def _outputs(handler: logging.Handler, level: int) -> bool:
    if handler.level > level or isinstance(handler, logging.NullHandler):
        return False
    # Any other filter may let a record pass.
    blocking = RequireDebugFalse if settings.DEBUG else RequireDebugTrue
    return blocking not in map(type, handler.filters)
