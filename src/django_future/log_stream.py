"""The log on the stream of a worker, if the LOGGING of the project does not configure it."""

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
    """Write the log to `stream`, unless the LOGGING of the project already handles it.

    A level that the project has set for the logger applies.
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
    """Collect the lines that this thread logs in the block, and write them at its end.

    A line of level WARNING or above, and a line of another thread, is written immediately, together
    with the lines before it.
    """
    handlers = [handler for handler in logger.handlers if isinstance(handler, _StreamHandler)]
    for handler in handlers:
        handler.start_buffering()
    try:
        yield
    finally:
        for handler in handlers:
            handler.stop_buffering()


def _is_handled() -> bool:
    """Return whether the logger, or one that it propagates to, has a handler."""
    current: logging.Logger | None = logger
    while current is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in current.handlers):
            return True
        current = current.parent if current.propagate else None
    return False


class _StreamHandler(logging.StreamHandler[IO[str]]):
    """Writes each line immediately, or many lines together: a write can take as long as a job."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(stream)
        self._buffer: list[str] = []
        self._latest: logging.LogRecord | None = None  # the last record in the buffer
        self._buffering_threads: set[int] = set()
        # Otherwise a child process would write the buffered lines of its parent again.
        os.register_at_fork(after_in_child=self._buffer.clear)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._buffer.append(self.format(record) + self.terminator)
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001 - as every handler of logging does
            self.handleError(record)
            return
        self._latest = record
        if record.levelno >= logging.WARNING or get_ident() not in self._buffering_threads:
            self._write_buffer()

    def start_buffering(self) -> None:
        """Buffer the lines of this thread from now on."""
        self._buffering_threads.add(get_ident())

    def stop_buffering(self) -> None:
        """Write the buffer, and no longer buffer the lines of this thread."""
        self._buffering_threads.discard(get_ident())
        self.acquire()
        try:
            self._write_buffer()
        finally:
            self.release()

    def _write_buffer(self) -> None:
        if self._latest is None:
            return
        text, record = "".join(self._buffer), self._latest
        self._buffer.clear()
        self._latest = None
        try:
            self.stream.write(text)
            self.flush()
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001 - as every handler of logging does
            self.handleError(record)


class _TextFormatter(logging.Formatter):
    """Formats a line as `logging` does, but formats a time once for all records that share it."""

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
