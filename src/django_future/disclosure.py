"""What may be told of an exception, if its job has arguments that are not to be seen."""

from typing import Any

from django_future.exceptions import (
    HandlerExited,
    InvalidArguments,
    JobTimeout,
    LeaseLost,
    NotAwaited,
    ObjectGone,
    TamperedArguments,
    TransactionBroken,
    WorkerLost,
)

HIDDEN = "[hidden]"
MAX_CAUSES = 10  # exceptions of a chain that are told of

# The messages of these quote no argument.
_SAFE = frozenset({
    HandlerExited, InvalidArguments, JobTimeout, LeaseLost, NotAwaited, TamperedArguments,
    TransactionBroken, WorkerLost,
})  # fmt: skip
_REPLACED: dict[type[BaseException], str] = {
    ObjectGone: "An object that the job refers to is no longer in the database."
}


def disclosed(exception: BaseException, *, is_sensitive: bool) -> BaseException:
    """Return what stands for `exception` in a log and in a row: itself, or one that hides its text.

    Whatever a handler raises may quote its arguments, as errors of a database do. What is left are
    the classes and the tracebacks of the exception and of its causes.
    """
    return _without_text(exception, MAX_CAUSES) if is_sensitive else exception


def _without_text(exception: BaseException, most: int) -> BaseException:
    kind = type(exception)
    text = str(exception) if kind in _SAFE else _REPLACED.get(kind, HIDDEN)
    known: dict[str, Any] = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    stand_in: Exception = type(kind.__name__, (Exception,), known)(text)
    stand_in.__traceback__ = exception.__traceback__
    if most > 1 and exception.__cause__ is not None:
        stand_in.__cause__ = _without_text(exception.__cause__, most - 1)
    elif most > 1 and exception.__context__ is not None and not exception.__suppress_context__:
        stand_in.__context__ = _without_text(exception.__context__, most - 1)
    return stand_in
