"""Hides the text of exceptions of jobs with sensitive arguments."""

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
MAX_CAUSES = 10  # exceptions of a chain

# Their messages quote no argument.
_SAFE = frozenset({
    HandlerExited, InvalidArguments, JobTimeout, LeaseLost, NotAwaited, TamperedArguments,
    TransactionBroken, WorkerLost,
})  # fmt: skip
_REPLACED: dict[type[BaseException], str] = {
    ObjectGone: "An object that the job refers to is no longer in the database."
}


def disclosed(exception: BaseException, *, is_sensitive: bool) -> BaseException:
    """Return the exception to log and to store: `exception`, or a copy that hides its text.

    An exception may quote arguments, as database errors do. The copy has the classes and the
    tracebacks of the exception and of its causes.
    """
    return _without_text(exception, MAX_CAUSES) if is_sensitive else exception


def _without_text(exception: BaseException, max_causes: int) -> BaseException:
    kind = type(exception)
    text = str(exception) if kind in _SAFE else _REPLACED.get(kind, HIDDEN)
    names: dict[str, Any] = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    redacted: Exception = type(kind.__name__, (Exception,), names)(text)
    redacted.__traceback__ = exception.__traceback__
    if max_causes > 1 and exception.__cause__ is not None:
        redacted.__cause__ = _without_text(exception.__cause__, max_causes - 1)
    elif (
        max_causes > 1 and exception.__context__ is not None and not exception.__suppress_context__
    ):
        redacted.__context__ = _without_text(exception.__context__, max_causes - 1)
    return redacted
