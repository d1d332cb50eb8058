"""The log on a worker's own stream, where the project's LOGGING says nothing of it."""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import get_ident
from typing import IO, Any, cast

logger = logging.getLogger("django_future")


def to_stream(stream: Any, log_format: str, verbosity: int) -> None:
    """Show the log on `stream`, unless the project's LOGGING already says where it goes.

    A level that the project has set for the logger is kept.
    """
    if _is_handled():
        return
    handler = _StreamHandler(cast("IO[str]", stream))
    handler.setFormatter(_JSONFormatter() if log_format == "json" else _TextFormatter())
    logger.addHandler(handler)
    if logger.level == logging.NOTSET:
        logger.setLevel({0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG))


@contextmanager
def lines_written_together() -> Iterator[None]:
    """Write what this thread logs within this block at its end, by one write to the stream.

    A line of WARNING or above, and one that another thread logs, is written at once, with those
    that came before it.
    """
    own = [handler for handler in logger.handlers if isinstance(handler, _StreamHandler)]
    for handler in own:
        handler.hold()
    try:
        yield
    finally:
        for handler in own:
            handler.release_held()


def _is_handled() -> bool:
    """Tell whether a handler of the logger, or of one that it passes its lines to, shows them."""
    current: logging.Logger | None = logger
    while current is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in current.handlers):
            return True
        current = current.parent if current.propagate else None
    return False


class _StreamHandler(logging.StreamHandler[IO[str]]):
    """Writes each line at once, or those of a block together: a write takes as long as a job."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(stream)
        self._held: list[str] = []
        self._latest: logging.LogRecord | None = None  # of those that are held
        self._holders: set[int] = set()  # threads
        # A child process would write once more what its parent holds.
        os.register_at_fork(after_in_child=self._held.clear)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._held.append(self.format(record) + self.terminator)
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001 - as every handler of logging does
            self.handleError(record)
            return
        self._latest = record
        if record.levelno >= logging.WARNING or get_ident() not in self._holders:
            self._write_held()

    def hold(self) -> None:
        """Hold the lines of this thread from now on."""
        self._holders.add(get_ident())

    def release_held(self) -> None:
        """Write what is held, and hold the lines of this thread no more."""
        self._holders.discard(get_ident())
        self.acquire()
        try:
            self._write_held()
        finally:
            self.release()

    def _write_held(self) -> None:
        if self._latest is None:
            return
        text, record = "".join(self._held), self._latest
        self._held.clear()
        self._latest = None
        try:
            self.stream.write(text)
            self.flush()
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001 - as every handler of logging does
            self.handleError(record)


class _TextFormatter(logging.Formatter):
    """Formats a line as `logging` does, but the time once for the records that have the same."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")
        self._created, self._time = 0.0, ""

    def format(self, record: logging.LogRecord) -> str:
        if record.exc_info or record.exc_text or record.stack_info:
            return super().format(record)
        if record.created != self._created:
            self._created, self._time = record.created, self.formatTime(record)
        return f"{self._time} {record.levelname} {record.getMessage()}"


class _JSONFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__()
        self._created, self._time = 0.0, ""
        self._encode = json.JSONEncoder().encode

    def format(self, record: logging.LogRecord) -> str:
        if record.created != self._created:
            at = datetime.fromtimestamp(record.created, UTC)
            self._created, self._time = record.created, at.isoformat()
        line = {
            "at": self._time,
            "level": record.levelname,
            "message": record.getMessage(),
            **record.__dict__.get("facts", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return self._encode(line)
